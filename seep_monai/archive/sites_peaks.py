"""Where the origins of slicks crowd: peaks of their smoothed density, found block by block.

A site is a peak of density, not a chain of neighbours. Single linkage, and DBSCAN, join two sites if stray origins fill
the gap; a peak stays a peak as long as the density falls between the two. Two sites of equal strength whose origins
scatter by s in each direction have two peaks if their distance is above 2 sqrt(s^2 + h^2), where h is the width of the
smoothing: 3 km for s = 1.1 km and the default h of 1 km.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.spatial import cKDTree

from seep_monai.archive.sites_passes import rows_by_pass

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

EARTH_KM = 6371.0088  # Source: mean radius of the IUGG.
# The width of the smoothing (standard deviation) as a share of the radius, and cells for one width.
_WIDTH_SHARE, _CELLS_PER_WIDTH = 0.5, 4
# Choice: half the density of one origin; the origins of a pass that lie side by side share the weight of one.
_LEAST_DENSITY = 0.5
# Choice: 1 degree, a grid of some 450 x 450 cells at the default radius.
_BLOCK_DEG = 1.0
# Choice: all pairs of so many origins are 200 MB. Counting them without listing them takes twice the time.
_MOST_IN_PAIRS = 5000
# More than the degrees around the Earth: apart by so much, the rows of blocks do not mix when they are sorted.
_ONE_ROW = 1000
# Beyond four widths the smoothing adds nothing.
_REACH_WIDTHS = 4.0


def directions(lon: Floats, lat: Floats) -> Floats:
    """(n, 3) places on a sphere of Earth's size, km. Straight distances of some km are those along the surface.

    >>> directions(np.array([0.0]), np.array([90.0])).round().tolist()
    [[0.0, 0.0, 6371.0]]
    """
    lon, lat = np.radians(lon), np.radians(lat)
    return EARTH_KM * np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def lon_lat(places: Floats) -> tuple[Floats, Floats]:
    """Longitude and latitude in degrees of (n, 3) places; the inverse of `directions`."""
    x, y, z = places.T
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def axes_at(places: Floats) -> tuple[Floats, Floats]:
    """(n, 3) unit vectors to the east and to the north at (n, 3) places."""
    lon, lat = (np.radians(angle) for angle in lon_lat(places))
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], axis=1)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=1)
    return east, north


def pass_weights(places: Floats, passes: Indices, radius_km: float) -> Floats:
    """(n,) one over the number of origins of the same pass within the radius, so that a family counts once.

    Args:
        places: (n, 3) origins.
        passes: (n,) pass of each.
        radius_km: radius of a site.
    """
    n_near = np.ones(len(places))
    # A tree for each pass: one tree of all passes is several times slower.
    for rows in rows_by_pass(passes):
        tree = cKDTree(places[rows])
        if len(rows) <= _MOST_IN_PAIRS:
            pairs = tree.query_pairs(radius_km, output_type="ndarray")
            n_near[rows] += np.bincount(pairs.ravel(), minlength=len(rows))
        else:
            n_near[rows] = tree.query_ball_point(places[rows], radius_km, return_length=True)
    return 1.0 / n_near


def density_peaks(places: Floats, weights: Floats, radius_km: float) -> Floats:
    """(m, 3) peaks of the density of origins, the highest first.

    No two peaks are closer than the radius: of such two the higher one is kept.

    Args:
        places: (n, 3) origins.
        weights: (n,) of each, 0 to 1.
        radius_km: radius of a site, > 0.
    """
    found = [
        _block_peaks(places[near], weights[near], block, radius_km)
        for block, near in _blocks(places, _REACH_WIDTHS * _WIDTH_SHARE * radius_km + _border_km(radius_km))
    ]
    peaks = np.concatenate([np.zeros((0, 3)), *(peak for peak, _ in found)])
    heights = np.concatenate([np.zeros(0), *(height for _, height in found)])
    # Ties are broken by place, so that the order of the origins has no effect.
    peaks = peaks[np.lexsort((*peaks.round(3).T, -heights.round(6)))]
    return peaks[_highest(peaks, radius_km)]


@dataclass(frozen=True)
class _Block:
    """An area between two parallels and two meridians, degrees."""

    south: float
    west: float
    width: float

    @property
    def centre(self) -> Floats:
        """(3,) see `directions`."""
        return directions(np.array([self.west + self.width / 2]), np.array([self.south + _BLOCK_DEG / 2]))[0]

    def windows(self, margin_km: float) -> tuple[tuple[float, float], list[tuple[float, float]]]:
        """Latitudes, and longitudes from -180 to 180 in one or two parts, of the block and a margin around it."""
        margin = math.degrees(margin_km / EARTH_KM)
        low, high = self.south - margin, self.south + _BLOCK_DEG + margin
        margin /= math.cos(math.radians(min(max(-low, high), 89.9)))
        west, east = self.west - margin, self.west + self.width + margin
        if east - west >= 360:
            return (low, high), [(-180.0, 180.0)]
        parts = [(max(west + turn, -180.0), min(east + turn, 180.0)) for turn in (-360, 0, 360)]
        return (low, high), [(first, last) for first, last in parts if first <= last]

    def holds(self, places: Floats, margin_km: float) -> npt.NDArray[np.bool_]:
        """(n,) places in the block or within a margin of it."""
        lon, lat = lon_lat(places)
        (low, high), parts = self.windows(margin_km)
        return (lat >= low) & (lat <= high) & np.any([(lon >= west) & (lon <= east) for west, east in parts], axis=0)


def _blocks(places: Floats, margin_km: float) -> Iterator[tuple[_Block, Indices]]:
    """Each block that holds origins, and the origins in it and within a margin of it."""
    lon, lat = lon_lat(places)
    row = np.floor(lat / _BLOCK_DEG)
    # Columns as wide as the rows are high.
    width = _BLOCK_DEG / np.cos(np.radians(np.clip((row + 0.5) * _BLOCK_DEG, -89, 89)))
    column = np.floor(lon / width)
    # One number for a block is sorted several times as fast as a pair.
    _, first = np.unique(row * _ONE_ROW + column, return_index=True)
    # Row by row from west to east: what lies between two meridians are neighbours in each row.
    keys = row * _ONE_ROW + lon
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    for south, west, across in zip(row[first] * _BLOCK_DEG, (column * width)[first], width[first], strict=True):
        block = _Block(float(south), float(west), float(across))
        (low, high), parts = block.windows(margin_km)
        rows = np.arange(math.floor(low / _BLOCK_DEG), math.floor(high / _BLOCK_DEG) + 1)
        ends = [(_ONE_ROW * r + start, _ONE_ROW * r + end) for r in rows for start, end in parts]
        near = np.concatenate(
            [order[np.searchsorted(keys, start) : np.searchsorted(keys, end, side="right")] for start, end in ends]
        )
        yield block, near[(lat[near] >= low) & (lat[near] <= high)]


def _border_km(radius_km: float) -> float:
    """The grids of two blocks differ by less than a cell: a peak that each places in the other is found in both."""
    return 2 * _WIDTH_SHARE * radius_km / _CELLS_PER_WIDTH


def _block_peaks(places: Floats, weights: Floats, block: _Block, radius_km: float) -> tuple[Floats, Floats]:
    """The peaks in a block, (m, 3), and their heights (m,)."""
    cell_km, centre = _WIDTH_SHARE * radius_km / _CELLS_PER_WIDTH, block.centre
    (east,), (north,) = axes_at(centre[None])
    # Half a cell beyond the outermost origin on each side.
    plane = np.rint((places - centre) @ np.stack([north, east], axis=1) / cell_km).astype(np.intp)
    low = plane.min(axis=0) - 1
    shape = tuple(plane.max(axis=0) - low + 2)
    cells = np.ravel_multi_index(tuple((plane - low).T), shape)
    grid = np.bincount(cells, weights, minlength=int(np.prod(shape))).reshape(shape)
    smooth = gaussian_filter(grid, _CELLS_PER_WIDTH, mode="constant", truncate=_REACH_WIDTHS)
    # One origin has the density 1 in its own cell.
    smooth *= 2 * np.pi * _CELLS_PER_WIDTH**2
    is_peak = (smooth > _LEAST_DENSITY) & (smooth == maximum_filter(smooth, 3, mode="constant"))
    north_km, east_km = ((np.argwhere(is_peak) + low) * cell_km).T
    peaks = centre + north_km[:, None] * north + east_km[:, None] * east
    peaks *= EARTH_KM / np.linalg.norm(peaks, axis=1, keepdims=True)
    inside = block.holds(peaks, _border_km(radius_km))
    return peaks[inside], smooth[is_peak][inside]


def _highest(peaks: Floats, radius_km: float) -> npt.NDArray[np.bool_]:
    """Which peaks remain if, from the first on, each removes the later ones within the radius."""
    kept, open_ = np.zeros(len(peaks), bool), np.ones(len(peaks), bool)
    pairs = cKDTree(peaks).query_pairs(radius_km, output_type="ndarray") if len(peaks) else np.zeros((0, 2), np.intp)
    first, later = pairs.min(axis=1), pairs.max(axis=1)
    # All open peaks without an open earlier neighbour are kept at once: the result is that of one after the other.
    while open_.any():
        alive = open_[first] & open_[later]
        first, later = first[alive], later[alive]
        best = open_.copy()
        best[later] = False
        kept |= best
        open_ &= ~best
        open_[later[kept[first]]] = False
    return kept
