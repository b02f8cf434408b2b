"""Where the films of a scene lie: around a few places, natural seeps apart from ships and platforms."""

from __future__ import annotations

import logging
import math
from collections import Counter

import numpy as np
import numpy.typing as npt

from seep_monai.classes import SEEP_LABELS
from seep_monai.simulate.parameters import SceneParameters
from seep_monai.simulate.settings import TILE_PX
from seep_monai.simulate.shapes import draw_slick
from seep_monai.simulate.slicks import CORE_SHARE, Slick

logger = logging.getLogger(__name__)

Point = tuple[float, float]
Tile = tuple[int, int]

# All numbers below: Choice: calibrated until the classes meet in a tile as often as in the reference tiles, where 1, 2,
# 3, 6 and 7 lie together, and 4 and 5 together and apart from them, as they would around ships and platforms.
# Order of drawing: what others gather around comes first.
_ORDER = (4, 1, 2, 3, 5, 6, 7)
_PLATFORM_LABELS = (4, 5)
# Distance of the origins from their site, standard deviation in px.
_SPREAD_PX = {1: 330.0, 2: 330.0, 3: 330.0, 4: 180.0, 5: 350.0, 6: 700.0, 7: 330.0}
# Share of the films of classes 2, 3, 6 and 7 that lie in a tile with class 1, and of class 5 beside one of class 4.
_BESIDE_CLASS_1, _BESIDE_CLASS_4, _BESIDE_PX = 0.6, 0.5, 60.0
# Sites of natural seeps follow one another in steps of three tiles: the seep tiles of a scene form a band.
_SITE_STEP_PX = 750.0
# Slicks of one class (families of class 1) that a tile holds before others keep away from it, in so many trials. Else
# they pile up at one seep and join into webs of 20,000 px, where the largest of the reference tiles has 6,000.
_MAX_SLICKS_ON_TILE, _N_TRIALS = 2, 16
# Platforms stand away from natural seeps: the best of so many places.
_N_CANDIDATES = 6
# The drift turns from place to place.
_DRIFT_SPREAD_RAD = 0.44
# No recipe needs more slicks than this per tile that it is to reach; a bound keeps odd parameters from looping.
_MAX_SLICKS_PER_TILE = 25


def draw_slicks(parameters: SceneParameters, rng: np.random.Generator) -> tuple[Slick, ...]:
    """The slicks of a scene: of every class until the tiles they touch are as many as wanted."""
    p, field = parameters, _Field(parameters, rng)
    for label in _ORDER:
        wanted = p.class_tiles[label - 1]
        for _ in range(_MAX_SLICKS_PER_TILE * wanted):
            if len(field.tiles[label]) >= wanted:
                break
            field.add(label)
        if len(field.tiles[label]) < wanted:
            logger.warning(
                "scene %s: class %d reaches %d tiles instead of %d", p.name, label, len(field.tiles[label]), wanted
            )
    return tuple(field.slicks)


class _Field:
    """Slicks drawn so far, the tiles they touch by class, and the places where the next ones may start."""

    def __init__(self, parameters: SceneParameters, rng: np.random.Generator) -> None:
        self.parameters, self.rng = parameters, rng
        self.size = parameters.size_px
        natural, platform = parameters.n_sites
        self.natural = self._band(natural)
        self.platforms = [self._away_from(self.natural) for _ in range(platform)]
        self.slicks: list[Slick] = []
        self.tiles: dict[int, set[Tile]] = {label: set() for label in SEEP_LABELS}
        self.n_slicks: Counter[tuple[int, Tile]] = Counter()

    def add(self, label: int) -> None:
        """Draw one slick of a class, where it can be had, away from tiles that are full of slicks of this class."""
        for _ in range(_N_TRIALS):
            slick = self._slick(label)
            tiles = tiles_of(slick, self.size)
            if all(self.n_slicks[label, tile] < _MAX_SLICKS_ON_TILE for tile in tiles):
                break
        self.slicks.append(slick)
        self.tiles[label] |= tiles
        self.n_slicks.update((label, tile) for tile in tiles)

    def _slick(self, label: int) -> Slick:
        p = self.parameters
        drift = math.radians(p.drift_deg) + _DRIFT_SPREAD_RAD * float(self.rng.standard_normal())
        return draw_slick(label, self._origin(label), drift, self.rng, pool_share=p.pool_share).scaled(p.film_scale)

    def _origin(self, label: int) -> Point:
        rng = self.rng
        if label in _PLATFORM_LABELS:
            sources = [slick.origin for slick in self.slicks if slick.label == 4]
            if label == 5 and sources and rng.random() < _BESIDE_CLASS_4:
                return self._near(sources[int(rng.integers(len(sources)))], _BESIDE_PX)
            return self._near(self.platforms[int(rng.integers(len(self.platforms)))], _SPREAD_PX[label])
        if label != 1 and self.tiles[1] and rng.random() < _BESIDE_CLASS_1:
            tiles = sorted(self.tiles[1])
            row, col = tiles[int(rng.integers(len(tiles)))]
            return self._inside(((row + rng.random()) * TILE_PX, (col + rng.random()) * TILE_PX))
        return self._near(self.natural[int(rng.integers(len(self.natural)))], _SPREAD_PX[label])

    def _band(self, count: int) -> list[Point]:
        """Places of which each lies some tiles from the one before, as along one fault."""
        places = [self._anywhere()]
        while len(places) < count:
            places.append(self._near(places[-1], _SITE_STEP_PX))
        return places

    def _anywhere(self) -> Point:
        return self._inside(self.rng.uniform((0, 0), self.size))

    def _away_from(self, others: list[Point]) -> Point:
        """Of some places the one that is farthest from all others."""
        candidates = [self._anywhere() for _ in range(_N_CANDIDATES)]
        return max(candidates, key=lambda place: min(math.dist(place, other) for other in others))

    def _near(self, place: Point, spread_px: float) -> Point:
        return self._inside(self.rng.normal(place, spread_px))

    def _inside(self, place: npt.ArrayLike) -> Point:
        """The place, reflected at the borders of the scene: places near them lose nothing."""
        row, col = (
            size - abs(size - abs(float(x)) % (2 * size)) for x, size in zip(np.asarray(place), self.size, strict=True)
        )
        return row, col


def tiles_of(slick: Slick, size_px: tuple[int, int]) -> set[Tile]:
    """Row and column of the tiles of the grid on which the centre lines of a slick lie."""
    tiles: set[Tile] = set()
    for ribbon in slick.ribbons:
        core = ribbon.strength >= CORE_SHARE
        rows, cols = ribbon.rows[core], ribbon.cols[core]
        inside = (rows >= 0) & (rows < size_px[0]) & (cols >= 0) & (cols < size_px[1])
        numbers = (rows[inside] // TILE_PX).astype(int), (cols[inside] // TILE_PX).astype(int)
        tiles.update(zip(*(n.tolist() for n in numbers), strict=True))
    return tiles
