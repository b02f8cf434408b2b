"""Look-alikes: patterns that change the sea in a similar way to films, but have label 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np

from seep_monai.errors import SeepError
from seep_monai.rectangles import Window, overlap, shape_of, within
from seep_monai.simulate.bands import draw_biogenic_film, draw_internal_waves
from seep_monai.simulate.patches import draw_low_wind_patch, draw_rain_cell, draw_wind_front
from seep_monai.simulate.placed import Bounds, FloatArray, FloatImage

Point = tuple[float, float]


class LookAlike(Protocol):
    """A pattern of gain as a function of scene coordinates; implementations are frozen dataclasses of plain numbers."""

    @property
    def bounds(self) -> Bounds:
        """(row0, row1, col0, col1) in px outside of which the gain is 0."""

    def gain_db(self, rows: FloatArray, cols: FloatArray) -> FloatImage:
        """Gain in dB on the grid of rows (m,) and columns (n,), (m, n) float32."""


KINDS: dict[str, Callable[[Point, np.random.Generator], LookAlike]] = {
    "low_wind": draw_low_wind_patch,
    "rain": draw_rain_cell,
    "internal_waves": draw_internal_waves,
    "wind_front": draw_wind_front,
    "biogenic_film": draw_biogenic_film,
}


def draw_lookalikes(
    counts: Mapping[str, int], shape: tuple[int, int], rng: np.random.Generator
) -> tuple[LookAlike, ...]:
    """Draw look-alikes at positions that are uniform over the scene.

    Args:
        counts: number of each kind, by the names of `KINDS`; missing kinds count as 0.
        shape: (row, col) of the scene in px.

    Raises:
        SeepError: if a kind is unknown or a count is negative.
    """
    check_lookalikes(counts)
    # In the order of KINDS, so that the order of `counts` has no effect.
    return tuple(draw(_place(shape, rng), rng) for kind, draw in KINDS.items() for _ in range(counts.get(kind, 0)))


def check_lookalikes(counts: Mapping[str, int]) -> None:
    """Raise SeepError if a kind is unknown or a count is negative."""
    unknown = sorted(set(counts) - set(KINDS))
    if unknown:
        raise SeepError(f"look-alikes: expected kinds of {', '.join(KINDS)}, but got {', '.join(unknown)}.")
    negative = [f"{kind} {count}" for kind, count in counts.items() if count < 0]
    if negative:
        raise SeepError(f"look-alikes: expected counts of 0 or more, but got {', '.join(negative)}.")


def gain_on(lookalikes: Iterable[LookAlike], window: Window) -> FloatImage | None:
    """Summed gain in dB on a window, (row, col) float32; None if no look-alike touches it.

    Each look-alike is evaluated only on its own part of the window.

    Args:
        window: rows and columns in scene coordinates; may extend beyond the scene.
    """
    total: FloatImage | None = None
    for lookalike in lookalikes:
        row0, row1, col0, col1 = lookalike.bounds
        box = slice(math.ceil(row0), math.floor(row1) + 1), slice(math.ceil(col0), math.floor(col1) + 1)
        part = overlap(box, window)
        if not all(shape_of(part)):
            continue
        if total is None:
            total = np.zeros(shape_of(window), np.float32)
        rows, cols = (np.arange(along.start, along.stop, dtype=float) for along in part)
        total[within(part, window)] += lookalike.gain_db(rows, cols)
    return total


def _place(shape: tuple[int, int], rng: np.random.Generator) -> Point:
    row, col = rng.uniform(0, shape)
    return float(row), float(col)
