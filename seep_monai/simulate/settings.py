"""User settings of simulated scenes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from seep_monai.classes import SEEP_LABELS
from seep_monai.errors import SeepError
from seep_monai.simulate.shapes import POOL_SHARE
from seep_monai.simulate.walks import MAX_WIDTH_PX

TILE_PX = 256
# Nominal: at 40 m the simulated swell of 4 to 6 px is 160 to 240 m long, and films of 2 to 5 px are 80 to 200 m wide.
PIXEL_SIZE_M = 40.0
Orbit = Literal["descending", "ascending", "radar", "any"]
Variety = Literal["reference", "archive"]
# Number of tiles with each class 1..7. Source: the 790 tiles of the public seep tile set; 1157 (tile, class) pairs in
# 788 tiles with seep.
_TILES_WITH_CLASS = (478, 161, 76, 66, 125, 200, 51)
CLASS_FREQUENCIES = tuple(round(n / sum(_TILES_WITH_CLASS), 4) for n in _TILES_WITH_CLASS)
CLASSES_PER_TILE = sum(_TILES_WITH_CLASS) / 788
# Choice: a quarter to twenty times the reference tiles; smaller films break into single pixels, larger ones fill tiles.
_FILM_SCALES = (0.25, 20.0)
# Source: the reference scenes have 19 or 20 columns of tiles and 11 to 17 rows.
REFERENCE_PX = (13 * TILE_PX, 20 * TILE_PX)
# The sum of seven rounded shares differs from one by less than this.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class SceneSettings:
    """User settings of scenes; all other parameters are drawn at random.

    Attributes:
        size_px: (row, col) size of a scene, at least 256 px.
        seep_share: approximate share of the scene's tiles with seep, 0 to 1.
        class_frequencies: share of each class 1..7 in the (tile, class) pairs; they sum to one.
        wind_m_s: range of the scenes' median wind.
        looks: range of the equivalent number of looks in intensity.
        film_scale: scale factor of film lengths and widths, 1 as in the reference tiles; the sea is not scaled.
        pool_share: share of the slicks of class 5 that are pools, 0 to 1. A network needs many pools to learn to fill
            them, so training tiles may have more than the reference tiles.
        orbit: direction of range. `descending`, as in the reference tiles: a north-up grid with a tilted swath and
            brightness that increases with the column; `ascending`: its mirror image; `radar`: sensor geometry with rows
            along the flight and near range in the first column.

    Raises:
        SeepError: if a value is out of range.
    """

    size_px: tuple[int, int] = REFERENCE_PX
    seep_share: float = 0.19
    class_frequencies: tuple[float, ...] = CLASS_FREQUENCIES
    wind_m_s: tuple[float, float] = (3.5, 7.0)
    looks: tuple[float, float] = (12.8, 15.2)
    film_scale: float = 1.0
    pool_share: float = POOL_SHARE
    orbit: Orbit = "descending"
    variety: Variety = "reference"

    def __post_init__(self) -> None:
        check_size(self.size_px)
        _check_range("seep_share", (self.seep_share, self.seep_share), low=0, high=1, unit="as a share of the tiles")
        _check_range("pool_share", (self.pool_share, self.pool_share), low=0, high=1, unit="as a share of the slicks")
        _check_range("wind_m_s", self.wind_m_s, low=0.5, high=30, unit="m/s")
        _check_range("looks", self.looks, low=1, high=1000, unit="looks")
        check_film_scale(self.film_scale, self.size_px)
        for name, given, known in (("orbit", self.orbit, Orbit), ("variety", self.variety, Variety)):
            if given not in get_args(known):
                raise SeepError(f"{name}: expected one of {', '.join(get_args(known))}, but got {given!r}.")
        shares = self.class_frequencies
        if len(shares) != len(SEEP_LABELS) or any(not 0 <= share <= 1 for share in shares):
            raise SeepError(
                f"class_frequencies: expected {len(SEEP_LABELS)} shares of 0 to 1, one per class, but got {shares}."
            )
        if abs(sum(shares) - 1) > _SUM_TOLERANCE:
            raise SeepError(
                f"class_frequencies: expected shares that sum to one, but {shares} sum to {sum(shares):g}. "
                f"Divide each by the sum."
            )


def check_size(size_px: tuple[int, int]) -> None:
    """Raise SeepError if the scene is smaller than a tile."""
    if len(size_px) != 2 or any(not isinstance(n, int) or n < TILE_PX for n in size_px):
        raise SeepError(
            f"size_px: expected rows and columns, whole numbers of {TILE_PX} or more (one tile), but got {size_px}. "
            f"Give a larger scene."
        )


def _check_range(name: str, given: tuple[float, float], *, low: float, high: float, unit: str) -> None:
    if len(given) != 2 or not all(math.isfinite(value) for value in given) or not low <= given[0] <= given[1] <= high:
        raise SeepError(f"{name}: expected low <= high, both {low:g} to {high:g} {unit}, but got {given}. Change it.")


def check_film_scale(film_scale: float, size_px: tuple[int, int]) -> None:
    """Raise SeepError if the scale is out of range or makes films wider than the scene."""
    low, high = _FILM_SCALES
    if not low <= film_scale <= high:
        raise SeepError(f"film_scale: expected a number of {low:g} to {high:g}, but got {film_scale}.")
    widest = film_scale * MAX_WIDTH_PX
    if widest > min(size_px):
        raise SeepError(
            f"film_scale: at {film_scale:g} a ribbon is up to {widest:.0f} px wide, wider than the scene of "
            f"{size_px[0]} x {size_px[1]} px. Expected {min(size_px) / MAX_WIDTH_PX:g} or less, or a larger scene."
        )
