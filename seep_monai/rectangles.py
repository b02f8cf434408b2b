"""Windows of a scene, as rectangles of pixels: cells of a grid, margins, and the pixels that two windows share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

# Rows and columns in px of the scene, each with start and stop. A window may reach beyond the scene.
Window = tuple[slice, slice]
Cell = tuple[int, int]


def cell_window(cell: Cell, cell_px: tuple[int, int]) -> Window:
    """The window of one cell of a grid that begins at the first pixel of the scene.

    >>> cell_window((1, 0), (4, 5))
    (slice(4, 8, None), slice(0, 5, None))
    """
    rows, columns = (slice(place * size, (place + 1) * size) for place, size in zip(cell, cell_px, strict=True))
    return rows, columns


def cells_in(window: Window, cell_px: tuple[int, int]) -> Iterator[tuple[Cell, Window]]:
    """Row and column, and window, of each cell of a grid that shares pixels with a window, row by row.

    >>> [cell for cell, _ in cells_in((slice(-1, 4), slice(5, 11)), (4, 5))]
    [(-1, 1), (-1, 2), (0, 1), (0, 2)]
    """
    rows, columns = (range(part.start // n, -(-part.stop // n)) for part, n in zip(window, cell_px, strict=True))
    for cell in product(rows, columns):
        yield cell, cell_window(cell, cell_px)


def row_blocks(shape: tuple[int, ...], n_rows: int) -> Iterator[Window]:
    """Windows over the full width of an image, `n_rows` rows each except the last, from top to bottom.

    >>> list(row_blocks((300, 40), 256))
    [(slice(0, 256, None), slice(0, 40, None)), (slice(256, 300, None), slice(0, 40, None))]
    """
    for start in range(0, shape[0], n_rows):
        yield slice(start, min(start + n_rows, shape[0])), slice(0, shape[1])


def shape_of(window: Window) -> tuple[int, int]:
    """Number of rows and columns."""
    return window[0].stop - window[0].start, window[1].stop - window[1].start


def with_margin(window: Window, margin_px: int) -> Window:
    """The window with a margin on every side."""
    rows, columns = (slice(part.start - margin_px, part.stop + margin_px) for part in window)
    return rows, columns


def overlap(one: Window, other: Window) -> Window:
    """The pixels that two windows share; a slice of length 0 if there are none.

    >>> overlap((slice(-2, 3), slice(0, 2)), (slice(0, 9), slice(4, 6)))
    (slice(0, 3, None), slice(4, 4, None))
    """
    pairs = [(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True)]
    rows, columns = (slice(start, max(start, stop)) for start, stop in pairs)
    return rows, columns


def clipped(window: Window, shape: tuple[int, ...]) -> Window:
    """The pixels of a window that are inside an image of a shape (rows, columns)."""
    return overlap(window, (slice(0, shape[0]), slice(0, shape[1])))


def within(window: Window, frame: Window) -> Window:
    """A window in px of a frame that holds it.

    >>> within((slice(4, 8), slice(0, 5)), (slice(3, 9), slice(-1, 5)))
    (slice(1, 5, None), slice(1, 6, None))
    """
    rows, columns = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(window, frame, strict=True))
    return rows, columns


def copy_overlap(part: Any, place: Window, *, into: Any, window: Window) -> None:
    """Copy the pixels that a part of a scene shares with a window; other pixels of the window stay as they are.

    Args:
        part: array or tensor (..., h, w).
        place: window of the part.
        into: array or tensor (..., H, W) of the window, which is changed.
        window: window of `into`.
    """
    shared = overlap(place, window)
    into[..., *within(shared, window)] = part[..., *within(shared, place)]
