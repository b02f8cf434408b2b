"""The area of a scene with data: the tilted borders of the swath, and the strip of border noise inside them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seep_monai.rectangles import Window

Edge = tuple[str, float, float]
_TILE_PX = 256
# Highest noise level beside a border. Source: the reference tiles; 90 % of the pixels of their strips hold levels 1 to
# 7 of about 190, with a median of 3 to 5.
_NOISE_LEVELS = 7
# How often a side of the scene is cut, per rows * columns / (rows + columns) in tiles (see `draw_edges`).
# Choice: 0.12; of the tiles with data about 15 % are then cut, 12 % of those that are at least a quarter sea
# (reference: 12.4 %), and 7 % and 4 % of their pixels are no-data (reference: 4.4 %).
_CUT_RATE = 0.12


@dataclass(frozen=True)
class Swath:
    """The scene minus one half-plane per border.

    Attributes:
        shape: (row, col) of the scene in px.
        edges: (side, offset, slope) each; side is "top", "bottom", "left" or "right". At the middle of the side, the
            border lies `offset` px inside; it moves inwards by `slope` px per px along the side.
    """

    shape: tuple[int, int]
    edges: tuple[Edge, ...]

    def valid(self, window: Window) -> npt.NDArray[np.bool_] | None:
        """True inside the swath, (row, col) of the window; None if all of it lies inside."""
        cutting = self._near(window, 0.0)
        if not cutting.edges:
            return None
        rows, cols = (np.arange(part.start, part.stop) for part in window)
        valid = np.ones((len(rows), len(cols)), bool)
        for _, distance in cutting._distances(rows, cols):
            valid &= distance >= 0
        return valid

    def contains(self, rows: npt.NDArray[np.floating], cols: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """True for positions (row, col), (n,) each, inside the swath."""
        inside = np.ones(np.shape(rows), bool)
        for side, offset, slope in self.edges:
            inside &= self._depth(side, offset, slope, rows, cols) >= 0
        return inside

    def blank(
        self,
        image: npt.NDArray[np.uint16],
        window: Window,
        *,
        border_noise_px: float,
        step_dn: float,
        rng: np.random.Generator,
    ) -> None:
        """Write no-data (0) outside the swath and the noise strip inside its left and right borders, in place.

        The top and bottom borders, along azimuth, have no noise strip in real products. The pixel beside the strip is a
        mix of noise and sea, as after resampling.

        Args:
            image: (row, col) uint16 of the window.
            window: rows and columns in scene coordinates.
            border_noise_px: width of the strip along the rows, 0 for none.
            step_dn: DN from one level to the next; the strip holds levels 1 to 7.
        """
        rows, cols = (np.arange(part.start, part.stop) for part in window)
        distances = self._near(window, border_noise_px + 1.0)._distances(rows, cols)
        for side, distance in distances:
            if border_noise_px and side in ("left", "right"):
                _add_noise(image, distance, width_px=border_noise_px, step_dn=step_dn, rng=rng)
        for _, distance in distances:
            image[distance < 0] = 0

    def _near(self, window: Window, reach_px: float) -> Swath:
        """The swath with only the borders that cut the window or come within `reach_px` of it."""
        # A border is straight, so the smallest distance to it is that of a corner.
        corners = (np.array([part.start, part.stop - 1]) for part in window)
        distances = self._distances(*corners)
        near = (edge for edge, (_, d) in zip(self.edges, distances, strict=True) if (d < reach_px).any())
        return Swath(self.shape, tuple(near))

    def _distances(
        self, rows: npt.NDArray[np.int_], cols: npt.NDArray[np.int_]
    ) -> list[tuple[str, npt.NDArray[np.floating]]]:
        """The side of each edge with the signed distance to it along the grid, (m, n) px, >= 0 inside the swath."""
        row, col = rows[:, None], cols[None, :]
        return [(side, self._depth(side, offset, slope, row, col)) for side, offset, slope in self.edges]

    def _depth(
        self, side: str, offset: float, slope: float, row: npt.NDArray[np.number], col: npt.NDArray[np.number]
    ) -> npt.NDArray[np.floating]:
        """Signed distance to one edge along the grid, px, of the broadcast shape of `row` and `col`."""
        depth, along = (row, col) if side in ("top", "bottom") else (col, row)
        n_depth, n_along = self.shape if side in ("top", "bottom") else self.shape[::-1]
        depth = n_depth - 1 - depth if side in ("bottom", "right") else depth
        return np.asarray(depth - (offset + slope * (along - n_along / 2)))


def _add_noise(
    image: npt.NDArray[np.uint16],
    distance: npt.NDArray[np.floating],
    *,
    width_px: float,
    step_dn: float,
    rng: np.random.Generator,
) -> None:
    """Write noise levels where 0 <= distance < width, and mix the next pixel with noise."""
    touched = (distance >= 0) & (distance < width_px + 1)
    if not touched.any():
        return
    level = rng.integers(1, _NOISE_LEVELS + 1, int(touched.sum()))
    sea_share = np.clip(distance[touched] - width_px, 0, 1)
    mixed = np.rint((1 - sea_share) * level + sea_share * (image[touched] / step_dn))
    image[touched] = np.rint(step_dn * mixed).astype(np.uint16)


def draw_edges(shape: tuple[int, int], rng: np.random.Generator, *, tilt_deg: float) -> tuple[Edge, ...]:
    """Draw the borders of a tilted swath: each side of the scene is cut or not, all by the same angle.

    A scene is part of a larger swath. A smaller scene meets a border less often, so that about an eighth of the tiles
    with data are cut at any size. A border crosses a side at a uniformly distributed position.

    Args:
        shape: (row, col) of the scene in px.
        tilt_deg: angle between swath and grid, > 0 if the top border falls to the right.
    """
    n_rows, n_cols = (size / _TILE_PX for size in shape)
    probability = _CUT_RATE * n_rows * n_cols / (n_rows + n_cols)
    slope = math.tan(math.radians(tilt_deg))
    edges = []
    # The signs rotate a rectangle as a whole: if the top border falls to the right, the left one leans outwards.
    for side, sign in (("top", 1), ("right", 1), ("bottom", -1), ("left", -1)):
        length = shape[1] if side in ("top", "bottom") else shape[0]
        offset = float(rng.uniform(-0.5, 0.5)) * abs(slope) * length
        if rng.random() < probability:
            edges.append((side, offset, sign * slope))
    return tuple(edges)
