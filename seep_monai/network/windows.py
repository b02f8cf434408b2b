"""Windows that cover an image: where each begins, and which pixels are taken from it."""

from __future__ import annotations

from typing import NamedTuple

from seep_monai.errors import ConfigError


class Window(NamedTuple):
    """One window along one axis, in px of the image.

    Attributes:
        start: first pixel inside the window's margin.
        first: first pixel that is taken from this window.
        stop: pixel after the last one that is taken.
    """

    start: int
    first: int
    stop: int


def windows_along(size_px: int, inside_px: int) -> list[Window]:
    """Windows that cover an axis; each pixel is taken from exactly one.

    The last window is moved back to end at the edge, so that it holds as many pixels of the image as the others.

    Args:
        size_px: length of the image, at least 1.
        inside_px: length of a window without its margins, at least 1.

    >>> windows_along(10, 4)
    [Window(start=0, first=0, stop=4), Window(start=4, first=4, stop=8), Window(start=6, first=8, stop=10)]
    >>> windows_along(3, 4)
    [Window(start=0, first=0, stop=3)]
    """
    last = max(size_px - inside_px, 0)
    return [Window(min(first, last), first, min(first + inside_px, size_px)) for first in range(0, size_px, inside_px)]


def inside_px(window_px: int, margin_px: int) -> int:
    """Length of a window without its margins.

    Raises:
        ConfigError: if the margins leave nothing.
    """
    inside = window_px - 2 * margin_px
    if margin_px < 0 or inside < 1:
        raise ConfigError(
            f"margin_px: expected 0 or more and less than half of the window's {window_px} px, but got {margin_px}."
        )
    return inside
