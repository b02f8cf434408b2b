"""Objects with a position and a direction in a scene: local coordinates and bounding box."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.floating]
Bounds = tuple[float, float, float, float]
Span = tuple[float, float]


@dataclass(frozen=True)
class Placed:
    """A position and a direction.

    Attributes:
        row, col: position in scene coordinates, px.
        bearing_deg: direction, from the column axis towards the rows. "Along" is this direction, "across" is a quarter
            turn further.
    """

    row: float
    col: float
    bearing_deg: float

    def local(self, rows: FloatArray, cols: FloatArray) -> tuple[FloatImage, FloatImage]:
        """Distances along and across on the grid of rows (m,) and columns (n,), px, two (m, n) float32."""
        sin, cos = self._direction()
        # Offsets in double precision: far from the scene's origin, single precision loses hundredths of a pixel.
        row, col = np.asarray(rows, float)[:, None] - self.row, np.asarray(cols, float) - self.col
        along = (sin * row).astype(np.float32) + (cos * col).astype(np.float32)
        across = (cos * row).astype(np.float32) - (sin * col).astype(np.float32)
        return along, across

    def box(self, along: Span, across: Span) -> Bounds:
        """(row0, row1, col0, col1) of the axis-aligned box around these spans along and across."""
        sin, cos = self._direction()
        rows = [self.row + sin * a + cos * b for a in along for b in across]
        cols = [self.col + cos * a - sin * b for a in along for b in across]
        return min(rows), max(rows), min(cols), max(cols)

    def _direction(self) -> tuple[float, float]:
        return math.sin(math.radians(self.bearing_deg)), math.cos(math.radians(self.bearing_deg))


def bump(x: FloatImage) -> FloatImage:
    """Smooth bump: (1 - x^2)^2 between -1 and 1, else 0."""
    rest = np.maximum(1 - x * x, np.float32(0))
    return rest * rest


def step(x: FloatImage) -> FloatImage:
    """Smooth step from 0 at -1 to 1 at 1; the largest slope, 3/4, is at 0."""
    share: FloatImage = np.clip((x + 1) / 2, 0, 1)
    return share * share * (3 - 2 * share)
