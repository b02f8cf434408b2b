"""Positions of the slicks of a scene: clustered at sites, natural seeps apart from ships and platforms."""

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

# Choice: all numbers below are calibrated so that classes share a tile as often as in the reference tiles. There, 1, 2,
# 3, 6 and 7 lie together; 4 and 5 lie together and apart from them, as around ships and platforms.
# Drawing order: classes around which others cluster come first.
_ORDER = (4, 1, 2, 3, 5, 6, 7)
_PLATFORM_LABELS = (4, 5)
# Standard deviation of the distance of the origins from their site, px.
_SPREAD_PX = {1: 330.0, 2: 330.0, 3: 330.0, 4: 180.0, 5: 350.0, 6: 700.0, 7: 330.0}
# Shares of the slicks of classes 2, 3, 6 and 7 in a tile with class 1, and of class 5 near (px) one of class 4.
_BESIDE_CLASS_1, _BESIDE_CLASS_4, _BESIDE_PX = 0.6, 0.5, 60.0
# Successive sites of natural seeps are about three tiles apart: the seep tiles of a scene form a band.
_SITE_STEP_PX = 750.0
# Maximum number of slicks of one class (families of class 1) on a tile, and number of trials to find a tile below it.
# Without this limit, slicks merge into instances of 20,000 px; the largest in the reference tiles has 6,000.
_MAX_SLICKS_ON_TILE, _N_TRIALS = 2, 16
# Platforms are far from natural seeps: the farthest of this many candidates.
_N_CANDIDATES = 6
# Standard deviation of the drift direction between slicks.
_DRIFT_SPREAD_RAD = 0.44
# Maximum number of slicks per wanted tile, more than any class needs; it prevents endless loops.
_MAX_SLICKS_PER_TILE = 25


def draw_slicks(parameters: SceneParameters, rng: np.random.Generator) -> tuple[Slick, ...]:
    """Draw the slicks of a scene: of each class until they touch the wanted number of tiles."""
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
    """The slicks drawn so far, the tiles they touch by class, and the sites of the next ones."""

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
        """Draw one slick of a class, if possible only on tiles below the maximum number of slicks of this class."""
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
        """Positions that each lie some tiles from the previous one, as along a fault."""
        places = [self._anywhere()]
        while len(places) < count:
            places.append(self._near(places[-1], _SITE_STEP_PX))
        return places

    def _anywhere(self) -> Point:
        return self._inside(self.rng.uniform((0, 0), self.size))

    def _away_from(self, others: list[Point]) -> Point:
        """Of some random positions, the one that is farthest from all others."""
        candidates = [self._anywhere() for _ in range(_N_CANDIDATES)]
        return max(candidates, key=lambda place: min(math.dist(place, other) for other in others))

    def _near(self, place: Point, spread_px: float) -> Point:
        return self._inside(self.rng.normal(place, spread_px))

    def _inside(self, place: npt.ArrayLike) -> Point:
        """The position, reflected at the borders of the scene, so that the density near them is not reduced."""
        row, col = (
            size - abs(size - abs(float(x)) % (2 * size)) for x, size in zip(np.asarray(place), self.size, strict=True)
        )
        return row, col


def tiles_of(slick: Slick, size_px: tuple[int, int]) -> set[Tile]:
    """(row, col) of the grid tiles on which the centre lines of a slick lie."""
    tiles: set[Tile] = set()
    for ribbon in slick.ribbons:
        core = ribbon.strength >= CORE_SHARE
        rows, cols = ribbon.rows[core], ribbon.cols[core]
        inside = (rows >= 0) & (rows < size_px[0]) & (cols >= 0) & (cols < size_px[1])
        numbers = (rows[inside] // TILE_PX).astype(int), (cols[inside] // TILE_PX).astype(int)
        tiles.update(zip(*(n.tolist() for n in numbers), strict=True))
    return tiles
