"""Look-alikes that fill an area: calm patches, rain cells and wind fronts, as gains on the sea."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from seep_monai.simulate import waves
from seep_monai.simulate.placed import Bounds, FloatArray, FloatImage, Placed, bump, step

Point = tuple[float, float]
# Choice: an outline strays up to half as far again as the patch's half axes; there it has faded out.
_OUTLINE_REACH = 1.5
# Choice: gust fronts run ahead of the rain to up to three times the cell's radius.
_GUST_REACH = 3.0
SEED_END = 2**32


@dataclass(frozen=True)
class LowWindPatch(Placed):
    """A calm: darker sea with a ragged outline, wisps drawn out along the bearing, and brighter cat's paws inside.

    Attributes:
        half_length_px, half_width_px: half axes along and across.
        depth_db: how much darker the calm is, > 0.
        steepness: how sharp the outline is, 1 = as soft as the patch is wide, 25 = some pixels.
        raggedness: how far the outline strays, in half axes.
        seed: of outline and inner variation.
    """

    half_length_px: float
    half_width_px: float
    depth_db: float
    steepness: float
    raggedness: float
    seed: int

    @property
    def bounds(self) -> Bounds:
        """(row0, row1, col0, col1) outside of which the gain is 0."""
        length, width = _OUTLINE_REACH * self.half_length_px, _OUTLINE_REACH * self.half_width_px
        return self.box((-length, length), (-width, width))

    def gain_db(self, rows: FloatArray, cols: FloatArray) -> FloatImage:
        """Gain in dB at every crossing of rows (m,) and columns (n,), (m, n) float32."""
        along, across = self.local(rows, cols)
        radius_sq = (along / self.half_length_px) ** 2 + (across / self.half_width_px) ** 2
        size = math.sqrt(self.half_length_px * self.half_width_px)
        outline, inner = _patch_fields(self.seed, size, self.bearing_deg)
        level = np.float32(0.6) - radius_sq + np.float32(self.raggedness) * outline.on(rows, cols)
        # One flank is nine times as sharp as the other: wind sets in at a line and dies down over an area.
        flank = 1 + np.float32(0.8) * np.clip(across / np.float32(self.half_width_px), -1, 1)
        calm = step(np.float32(self.steepness / 3) * flank * level)
        calm *= np.clip((_OUTLINE_REACH**2 - radius_sq) * 1.5, 0, 1)
        return np.float32(-self.depth_db) * calm * np.clip(1 + np.float32(0.3) * inner.on(rows, cols), 0.2, 1.4)


@lru_cache(maxsize=64)
def _patch_fields(seed: int, size_px: float, bearing_deg: float) -> tuple[waves.RandomWaves, waves.RandomWaves]:
    """Unit-variance fields of a patch's outline and of its inside; both have broad parts and fine, drawn-out ones."""
    rng = np.random.default_rng(seed)
    broad = waves.smooth(0.3 * size_px, rng, n_waves=16)
    bays = waves.streaks(0.22 * size_px, 0.1 * size_px, bearing_deg, rng, n_waves=24)
    wisps = waves.streaks(max(0.07 * size_px, 4.0), max(0.025 * size_px, 1.5), bearing_deg, rng, n_waves=32)
    outline = waves.total((broad.scaled(0.8), bays.scaled(0.5), wisps.scaled(0.33)))
    spots = waves.smooth(0.12 * size_px, rng, n_waves=24)
    lanes = waves.streaks(0.4 * size_px, max(0.04 * size_px, 2.0), bearing_deg, rng, n_waves=24)
    return outline, waves.total((spots.scaled(0.7), lanes.scaled(0.7)))


def draw_low_wind_patch(centre: Point, rng: np.random.Generator) -> LowWindPatch:
    """A patch 40 to 400 px long with a soft outline, as where the wind dies down.

    Choice: 2 to 8 dB, and an outline as soft as that of the few calms of the reference tiles, 5 to 13 px.
    """
    half_length = log_uniform(rng, 20, 200)
    return LowWindPatch(
        *centre,
        bearing_deg=float(rng.uniform(0, 360)),
        half_length_px=half_length,
        half_width_px=half_length * float(rng.uniform(0.35, 0.95)),
        depth_db=float(rng.uniform(2, 8)),
        steepness=log_uniform(rng, 2, 12),
        raggedness=float(rng.uniform(0.3, 0.7)),
        seed=int(rng.integers(SEED_END)),
    )


@dataclass(frozen=True)
class RainCell(Placed):
    """Rain on the sea: a ragged core, a rim around it, and the downdraft that blows out ahead of the bearing.

    Attributes:
        radius_px: radius of the core.
        core_db: gain in the core; < 0 where drops damp the ripples, > 0 where splashes and the rain itself reflect.
        rim_db: gain of the rim, > 0.
        gust_db: gain at the gust front, > 0; it fades inwards.
        seed: of the outlines.
    """

    radius_px: float
    core_db: float
    rim_db: float
    gust_db: float
    seed: int

    @property
    def bounds(self) -> Bounds:
        """(row0, row1, col0, col1) outside of which the gain is 0."""
        reach = (_GUST_REACH + 0.5) * self.radius_px
        return self.box((-reach, reach), (-reach, reach))

    def gain_db(self, rows: FloatArray, cols: FloatArray) -> FloatImage:
        """Gain in dB at every crossing of rows (m,) and columns (n,), (m, n) float32."""
        along, across = (x / np.float32(self.radius_px) for x in self.local(rows, cols))
        radius = np.sqrt(along * along + across * across)
        broad, fine = (field.on(rows, cols) for field in _rain_fields(self.seed, self.radius_px))
        # Both outlines calm down towards the bounds, where all must have ended.
        strayed = radius + np.float32(0.25) * np.clip(broad, -2, 2) * np.clip(3.2 - radius, 0, 1)
        core = step(3 * (np.float32(0.8) - strayed) + fine) * np.clip(2 - radius, 0, 1)
        ahead = np.clip(0.5 + 0.6 * along / np.maximum(radius, np.float32(0.1)), 0, 1)
        rim = bump((strayed - np.float32(1.2)) / np.float32(0.45)) * np.clip(1 + np.float32(0.5) * fine, 0, 2)
        gust = np.clip(strayed / _GUST_REACH, 0, 1) ** 2 * step((_GUST_REACH - 0.1 - strayed) * 10)
        return (
            np.float32(self.core_db) * core * np.clip(1 + np.float32(0.25) * fine, 0.3, 2)
            + np.float32(self.rim_db) * rim * np.clip(ahead + np.float32(0.2), 0, 1)
            + np.float32(self.gust_db) * gust * ahead * np.clip(3.5 - radius, 0, 1)
        )


@lru_cache(maxsize=64)
def _rain_fields(seed: int, radius_px: float) -> tuple[waves.RandomWaves, waves.RandomWaves]:
    """Unit-variance fields of a cell's outline: lobes, and the fine structure of showers."""
    rng = np.random.default_rng(seed)
    lobes = waves.smooth(0.5 * radius_px, rng, n_waves=24)
    showers = waves.smooth(max(0.15 * radius_px, 3.0), rng, n_waves=32)
    drops = waves.smooth(max(0.05 * radius_px, 1.5), rng, n_waves=32)
    return lobes, waves.total((showers.scaled(0.85), drops.scaled(0.5)))


def draw_rain_cell(centre: Point, rng: np.random.Generator) -> RainCell:
    """A cell of 10 to 40 px radius; every other one has a bright core.

    Choice: bright cores of 3 to 9 dB, since the reference tiles show saturated, ragged blobs of 20 to 60 px.
    """
    bright = rng.random() < 0.5
    return RainCell(
        *centre,
        bearing_deg=float(rng.uniform(0, 360)),
        radius_px=log_uniform(rng, 10, 40),
        core_db=float(rng.uniform(3, 9) if bright else -rng.uniform(2, 6)),
        rim_db=float(rng.uniform(0.5, 3)),
        gust_db=float(rng.uniform(0, 2)),
        seed=int(rng.integers(SEED_END)),
    )


@dataclass(frozen=True)
class WindFront(Placed):
    """A long line at which the wind changes: brighter on one side, darker on the other, both fading away from it.

    Attributes:
        half_length_px: half the line's length, along the bearing.
        curvature_per_px: how the line bends, 1 / px.
        step_db: change of level over the line; > 0: brighter across, in the direction of the second axis.
        width_px: width of the change, 5 to 40 px.
        reach_px: distance at which either side is back at the level of the sea.
        seed: of the line's waviness.
    """

    half_length_px: float
    curvature_per_px: float
    step_db: float
    width_px: float
    reach_px: float
    seed: int

    @property
    def bounds(self) -> Bounds:
        """(row0, row1, col0, col1) outside of which the gain is 0."""
        sag, aside = self.curvature_per_px * self.half_length_px**2, self.reach_px + 3 * self._stray_px
        return self.box((-self.half_length_px, self.half_length_px), (min(sag, 0) - aside, max(sag, 0) + aside))

    @property
    def _stray_px(self) -> float:
        """Standard deviation of the line's waviness: wide fronts stray further."""
        return 3.0 + 0.4 * self.width_px

    def gain_db(self, rows: FloatArray, cols: FloatArray) -> FloatImage:
        """Gain in dB at every crossing of rows (m,) and columns (n,), (m, n) float32."""
        along, across = self.local(rows, cols)
        waviness = np.clip(_front_field(self.seed, self.width_px).on(rows, cols), -3, 3)
        distance = across - np.float32(self.curvature_per_px) * along * along + np.float32(self._stray_px) * waviness
        side = np.tanh(distance / np.float32(self.width_px / 2))
        fade = bump(distance / np.float32(self.reach_px)) * bump(along / np.float32(self.half_length_px))
        return np.float32(self.step_db / 2) * side * fade


@lru_cache(maxsize=64)
def _front_field(seed: int, width_px: float) -> waves.RandomWaves:
    """Unit-variance waviness of a front: bends of a hundred pixels and lobes as wide as the front."""
    rng = np.random.default_rng(seed)
    bends, lobes = waves.smooth(60.0, rng, n_waves=16), waves.smooth(max(width_px, 8.0), rng, n_waves=32)
    return waves.total((bends.scaled(0.87), lobes.scaled(0.5)))


def draw_wind_front(centre: Point, rng: np.random.Generator) -> WindFront:
    """A front of 300 to 3000 px with a change of 1 to 3 dB over 5 to 40 px."""
    half_length = log_uniform(rng, 150, 1500)
    return WindFront(
        *centre,
        bearing_deg=float(rng.uniform(0, 360)),
        half_length_px=half_length,
        # Choice: the ends lie up to a quarter of the length off the tangent.
        curvature_per_px=float(rng.uniform(-0.5, 0.5)) / half_length,
        step_db=float(rng.choice((-1, 1)) * rng.uniform(1, 3)),
        width_px=log_uniform(rng, 5, 40),
        reach_px=log_uniform(rng, 120, 500),
        seed=int(rng.integers(SEED_END)),
    )


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between `low` and `high`, > 0, whose logarithm is uniform."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))
