"""Films on the sea: ribbons drawn on a scene's canvas as damping in dB, labelled where the damping was applied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# A pixel carries the slick's label where the applied damping is at least this share of the slick's full damping.
# Choice: 0.4, a little wider than the film at half depth, as the reference tiles are drawn; thin film has no label.
CORE_SHARE = 0.4
# Choice: 1.5 px; slick edges in the reference tiles are 1-2 px soft.
EDGE_PX = 1.5
# Choice: 0.7 px between points, so that a ribbon drawn diagonally has no scalloped edge.
POINT_STEP_PX = 0.7


@dataclass(frozen=True)
class Ribbon:
    """A film along a line of points.

    Attributes:
        rows, cols: (n,) scene coordinates in px, about `POINT_STEP_PX` apart; points outside the scene are allowed.
        width_px: (n,) full width at half damping.
        strength: (n,) share of the full damping at each point, 0 = no film.
        damping_db: full damping, > 0 means darker.
    """

    rows: npt.NDArray[np.floating]
    cols: npt.NDArray[np.floating]
    width_px: npt.NDArray[np.floating]
    strength: npt.NDArray[np.floating]
    damping_db: float


Window = tuple[slice, slice]


def rasterised(ribbon: Ribbon, shape: tuple[int, int]) -> tuple[Window, npt.NDArray[np.float32]]:
    """Strength (0 to 1) of a ribbon on the pixels of its bounding window within `shape`.

    Each point is a disc with a soft edge; a pixel takes the largest value of all discs over it.

    Returns:
        The window as two slices, (row, col), and a float32 array of its size; both are empty
        if the ribbon lies outside.
    """
    reach = int(np.ceil(ribbon.width_px.max() / 2 + EDGE_PX))
    window = _span(ribbon.rows, reach, shape[0]), _span(ribbon.cols, reach, shape[1])
    height, width = (part.stop - part.start for part in window)
    patch = np.zeros((height, width), np.float32)
    offset = np.arange(-reach, reach + 1)
    row = np.rint(ribbon.rows).astype(int)[:, None] + offset
    col = np.rint(ribbon.cols).astype(int)[:, None] + offset
    distance_sq = ((row - ribbon.rows[:, None]) ** 2)[:, :, None] + ((col - ribbon.cols[:, None]) ** 2)[:, None, :]
    profile = 0.5 + (ribbon.width_px[:, None, None] / 2 - np.sqrt(distance_sq)) / EDGE_PX
    value = np.clip(profile, 0, 1) * ribbon.strength[:, None, None]
    row, col = row - window[0].start, col - window[1].start
    inside = ((row >= 0) & (row < height))[:, :, None] & ((col >= 0) & (col < width))[:, None, :] & (value > 0)
    flat = row[:, :, None] * width + col[:, None, :]
    np.maximum.at(patch.reshape(-1), flat[inside], value[inside].astype(np.float32))
    return window, patch


def _span(position: npt.NDArray[np.floating], reach: int, size: int) -> slice:
    """Pixels that points at `position` can touch along one axis, cut to 0..size."""
    start = min(max(int(np.floor(position.min())) - reach, 0), size)
    return slice(start, min(max(int(np.ceil(position.max())) + reach + 1, start), size))


class SlickCanvas:
    """Damping and labels of a scene, filled ribbon by ribbon.

    Where films cross the stronger damping counts, and the label is that of the film whose core is stronger there.

    Attributes:
        damping_db: (row, col) float32, 0 where there is no film.
        label: (row, col) uint8, 0 or 1..7.
        valid: (row, col) bool; no label is set outside the swath.
    """

    def __init__(self, valid: npt.NDArray[np.bool_]) -> None:
        self.valid = valid
        self.damping_db: npt.NDArray[np.float32] = np.zeros(valid.shape, np.float32)
        self.label: npt.NDArray[np.uint8] = np.zeros(valid.shape, np.uint8)

    def add(self, ribbon: Ribbon, label: int) -> None:
        """Draw one ribbon with its label."""
        window, strength = rasterised(ribbon, self.valid.shape)
        damping, before = strength * np.float32(ribbon.damping_db), self.damping_db[window]
        core = (strength >= CORE_SHARE) & self.valid[window] & ((damping > before) | (self.label[window] == 0))
        self.label[window][core] = label
        np.maximum(before, damping, out=before)

    def tiles_with(self, label: int, tile_px: int) -> npt.NDArray[np.bool_]:
        """(n_rows, n_cols) bool: which tiles of the non-overlapping grid hold this label."""
        n_rows, n_cols = self.label.shape[0] // tile_px, self.label.shape[1] // tile_px
        return (self.label == label).reshape(n_rows, tile_px, n_cols, tile_px).any(axis=(1, 3))
