"""Area look-alikes: low-wind patches, rain cells and wind fronts, as gains on the sea."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from seep_monai.simulate import waves
from seep_monai.simulate.placed import Bounds, FloatArray, FloatImage, Placed, bump, step

Point = tuple[float, float]
# Choice: an irregular outline reaches to 1.5 times the semi-axes; there the patch has faded out.
_OUTLINE_REACH = 1.5
# Choice: gust fronts lie up to three radii of the cell ahead of it.
_GUST_REACH = 3.0
SEED_END = 2**32


@dataclass(frozen=True)
class LowWindPatch(Placed):
    """A low-wind area: darker sea with an irregular outline, streaks along the bearing, and brighter gusts inside.

    Attributes:
        half_length_px, half_width_px: semi-axes along and across.
        depth_db: darkening, > 0.
        steepness: sharpness of the outline, from 1 (as soft as the patch is wide) to 25 (some pixels).
        raggedness: irregularity of the outline, in semi-axes.
        seed: seed of outline and inner variation.
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
        """Gain in dB on the grid of rows (m,) and columns (n,), (m, n) float32."""
        along, across = self.local(rows, cols)
        radius_sq = (along / self.half_length_px) ** 2 + (across / self.half_width_px) ** 2
        size = math.sqrt(self.half_length_px * self.half_width_px)
        outline, inner = _patch_fields(self.seed, size, self.bearing_deg)
        level = np.float32(0.6) - radius_sq + np.float32(self.raggedness) * outline.on(rows, cols)
        # One side is nine times as sharp as the other: the wind starts at a line and fades out over an area.
        flank = 1 + np.float32(0.8) * np.clip(across / np.float32(self.half_width_px), -1, 1)
        calm = step(np.float32(self.steepness / 3) * flank * level)
        calm *= np.clip((_OUTLINE_REACH**2 - radius_sq) * 1.5, 0, 1)
        return np.float32(-self.depth_db) * calm * np.clip(1 + np.float32(0.3) * inner.on(rows, cols), 0.2, 1.4)


@lru_cache(maxsize=64)
def _patch_fields(seed: int, size_px: float, bearing_deg: float) -> tuple[waves.RandomWaves, waves.RandomWaves]:
    """Unit-variance fields of a patch's outline and inside; both have broad and fine, elongated parts."""
    rng = np.random.default_rng(seed)
    broad = waves.smooth(0.3 * size_px, rng, n_waves=16)
    bays = waves.streaks(0.22 * size_px, 0.1 * size_px, bearing_deg, rng, n_waves=24)
    wisps = waves.streaks(max(0.07 * size_px, 4.0), max(0.025 * size_px, 1.5), bearing_deg, rng, n_waves=32)
    outline = waves.total((broad.scaled(0.8), bays.scaled(0.5), wisps.scaled(0.33)))
    spots = waves.smooth(0.12 * size_px, rng, n_waves=24)
    lanes = waves.streaks(0.4 * size_px, max(0.04 * size_px, 2.0), bearing_deg, rng, n_waves=24)
    return outline, waves.total((spots.scaled(0.7), lanes.scaled(0.7)))


def draw_low_wind_patch(centre: Point, rng: np.random.Generator) -> LowWindPatch:
    """Draw a patch 40 to 400 px long with a soft outline.

    Choice: 2 to 8 dB, and an edge width of 5 to 13 px as in the few low-wind areas of the reference tiles.
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
    """Rain on the sea: an irregular core, a rim around it, and a downdraft that spreads ahead along the bearing.

    Attributes:
        radius_px: radius of the core.
        core_db: gain in the core; < 0 if drops damp the short waves, > 0 if splashes and the rain itself scatter.
        rim_db: gain of the rim, > 0.
        gust_db: gain at the gust front, > 0; decreases inwards.
        seed: seed of the outlines.
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
        """Gain in dB on the grid of rows (m,) and columns (n,), (m, n) float32."""
        along, across = (x / np.float32(self.radius_px) for x in self.local(rows, cols))
        radius = np.sqrt(along * along + across * across)
        broad, fine = (field.on(rows, cols) for field in _rain_fields(self.seed, self.radius_px))
        # The irregularity of both outlines decreases towards the bounds, where the gain must be 0.
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
    """Unit-variance fields of a cell's outline: broad lobes and fine structure."""
    rng = np.random.default_rng(seed)
    lobes = waves.smooth(0.5 * radius_px, rng, n_waves=24)
    showers = waves.smooth(max(0.15 * radius_px, 3.0), rng, n_waves=32)
    drops = waves.smooth(max(0.05 * radius_px, 1.5), rng, n_waves=32)
    return lobes, waves.total((showers.scaled(0.85), drops.scaled(0.5)))


def draw_rain_cell(centre: Point, rng: np.random.Generator) -> RainCell:
    """Draw a cell of 10 to 40 px radius; half of the cells have a bright core.

    Choice: bright cores of 3 to 9 dB, because the reference tiles have saturated, irregular blobs of 20 to 60 px.
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
    """A long line at which the wind changes: brighter on one side, darker on the other, fading with the distance.

    Attributes:
        half_length_px: half the length of the line, along the bearing.
        curvature_per_px: curvature of the line, 1 / px.
        step_db: change of level over the line; > 0 if the side in the "across" direction is brighter.
        width_px: width of the change, 5 to 40 px.
        reach_px: distance at which both sides are back at the level of the sea.
        seed: seed of the waviness of the line.
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
        """Standard deviation of the waviness; larger for wide fronts."""
        return 3.0 + 0.4 * self.width_px

    def gain_db(self, rows: FloatArray, cols: FloatArray) -> FloatImage:
        """Gain in dB on the grid of rows (m,) and columns (n,), (m, n) float32."""
        along, across = self.local(rows, cols)
        waviness = np.clip(_front_field(self.seed, self.width_px).on(rows, cols), -3, 3)
        distance = across - np.float32(self.curvature_per_px) * along * along + np.float32(self._stray_px) * waviness
        side = np.tanh(distance / np.float32(self.width_px / 2))
        fade = bump(distance / np.float32(self.reach_px)) * bump(along / np.float32(self.half_length_px))
        return np.float32(self.step_db / 2) * side * fade


@lru_cache(maxsize=64)
def _front_field(seed: int, width_px: float) -> waves.RandomWaves:
    """Unit-variance waviness of a front: bends of about 100 px, and lobes as wide as the front."""
    rng = np.random.default_rng(seed)
    bends, lobes = waves.smooth(60.0, rng, n_waves=16), waves.smooth(max(width_px, 8.0), rng, n_waves=32)
    return waves.total((bends.scaled(0.87), lobes.scaled(0.5)))


def draw_wind_front(centre: Point, rng: np.random.Generator) -> WindFront:
    """Draw a front 300 to 3000 px long with a change of 1 to 3 dB over 5 to 40 px."""
    half_length = log_uniform(rng, 150, 1500)
    return WindFront(
        *centre,
        bearing_deg=float(rng.uniform(0, 360)),
        half_length_px=half_length,
        # Choice: the ends deviate from the tangent by up to a quarter of the length.
        curvature_per_px=float(rng.uniform(-0.5, 0.5)) / half_length,
        step_db=float(rng.choice((-1, 1)) * rng.uniform(1, 3)),
        width_px=log_uniform(rng, 5, 40),
        reach_px=log_uniform(rng, 120, 500),
        seed=int(rng.integers(SEED_END)),
    )


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A random number between `low` and `high`, > 0, with a uniform logarithm."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))
