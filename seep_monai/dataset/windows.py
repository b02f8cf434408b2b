"""Windows of a scene: where each begins, what it holds, and which pixels are taken from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.errors import ConfigError
from seep_monai.rectangles import Window, copy_overlap, shape_of

# No-data by key: where a scene has no pixels.
_OUTSIDE = {"image": 0, "label": NO_DATA_LABEL, "valid": False}
# A part of a scene: (C, h, w) by key, and its rows and columns.
Part = tuple[Mapping[str, torch.Tensor], Window]


class AxisWindow(NamedTuple):
    """One window along one axis, in px of the image.

    Attributes:
        start: first pixel inside the window's margin.
        first: first pixel that is taken from this window.
        stop: pixel after the last one that is taken.
    """

    start: int
    first: int
    stop: int


def windows_along(size_px: int, inside_px: int) -> list[AxisWindow]:
    """Windows that cover an axis; each pixel is taken from exactly one.

    The last window is moved back to end at the edge, so that it holds as many pixels of the image as the others.

    Args:
        size_px: length of the image, at least 1.
        inside_px: length of a window without its margins, at least 1.

    >>> windows_along(10, 4)
    [AxisWindow(start=0, first=0, stop=4), AxisWindow(start=4, first=4, stop=8), AxisWindow(start=6, first=8, stop=10)]
    >>> windows_along(3, 4)
    [AxisWindow(start=0, first=0, stop=3)]
    """
    last = max(size_px - inside_px, 0)
    return [
        AxisWindow(min(first, last), first, min(first + inside_px, size_px)) for first in range(0, size_px, inside_px)
    ]


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


def filled_window(parts: Sequence[Part], window: Window, keys: Iterable[str]) -> dict[str, torch.Tensor]:
    """A window of a scene, filled from parts of the scene; no-data where there is none.

    A scene is a raster, which is one part, or tiles in a grid, with gaps between them.

    Args:
        parts: one or more. The first gives dtype and metadata.
        window: rows and columns, which may reach beyond the scene.
        keys: `image`, `label` and `valid`, whose no-data is 0, 255 and False. What the first part lacks is left out.

    Returns:
        (C, H, W) by key.
    """
    first = parts[0][0]
    size = shape_of(window)
    filled = {key: first[key].new_full((*first[key].shape[:-2], *size), _OUTSIDE[key]) for key in keys if key in first}
    for tensors, place in parts:
        for key, into in filled.items():
            copy_overlap(tensors[key], place, into=into, window=window)
    return filled
