"""Linear look-alikes: internal waves, ship wakes and biogenic films, as gains on the sea."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from seep_monai.simulate import waves
from seep_monai.simulate.patches import SEED_END, log_uniform
from seep_monai.simulate.placed import Bounds, FloatArray, FloatImage, Placed, bump

Point = tuple[float, float]
# Half width of a wake's bright arm. Choice: 1.5 px, about the resolution.
_ARM_PX = 1.5
_TURN = np.float32(2 * math.pi)
# Choice: 0.3; the phase grows by 1 + 0.6 at the end of a packet, so the last band is 1.6 times narrower than the first.
_SHRINK = 0.3


@dataclass(frozen=True)
class InternalWaves(Placed):
    """A packet of curved bright lines with dark troughs behind them; it travels against the bearing.

    Attributes:
        half_length_px: half the length of the crests.
        curvature_per_px: curvature of the crests, 1 / px.
        spacing_px: wavelength at the front; 1.6 times shorter at the end.
        n_bands: number of crests, 3 to 8.
        depth_db: height of the first crest, > 0; later ones are lower.
        seed: seed of the waviness of the crests.
    """

    half_length_px: float
    curvature_per_px: float
    spacing_px: float
    n_bands: int
    depth_db: float
    seed: int

    @property
    def bounds(self) -> Bounds:
        """(row0, row1, col0, col1) outside of which the gain is 0."""
        length, sag = self._length_px, self.curvature_per_px * self.half_length_px**2
        stray = 3 * self._stray_px
        return self.box(
            (min(0.0, -sag) - stray, length + max(0.0, -sag) + stray), (-self.half_length_px, self.half_length_px)
        )

    @property
    def _length_px(self) -> float:
        """Distance from the front to the end, where the phase is `n_bands` turns; every turn has one crest."""
        return self.n_bands * self.spacing_px / (1 + _SHRINK)

    @property
    def _stray_px(self) -> float:
        """Standard deviation of the waviness; a small part of the spacing, so that crests do not touch."""
        return 0.2 * self.spacing_px

    def gain_db(self, rows: FloatArray, cols: FloatArray) -> FloatImage:
        """Gain in dB on the grid of rows (m,) and columns (n,), (m, n) float32."""
        along, across = self.local(rows, cols)
        waviness = np.clip(_crest_field(self.seed, self.spacing_px).on(rows, cols), -3, 3)
        behind = along + np.float32(self.curvature_per_px) * across * across + np.float32(self._stray_px) * waviness
        share = behind / np.float32(self._length_px)
        # Worked: four bands 20 px apart end at 4 * 20 / 1.3 = 61.5 px: 61.5 / 20 * 1.3 = 4 turns of phase.
        phase = behind / np.float32(self.spacing_px) * (1 + np.float32(_SHRINK) * share)
        crest = np.square(np.float32(0.5) - np.float32(0.5) * np.cos(_TURN * phase))
        trough = np.float32(0.5) + np.float32(0.5) * np.cos(_TURN * (phase - np.float32(0.85)))
        # The first crest is by far the highest.
        height = np.where((share > 0) & (share < 1), 1 - share, 0) * (1 - np.float32(0.5) * share)
        height *= bump(across / np.float32(self.half_length_px))
        return np.float32(self.depth_db) * height * (crest * crest - np.float32(0.5) * trough * trough)


@lru_cache(maxsize=64)
def _crest_field(seed: int, spacing_px: float) -> waves.RandomWaves:
    """Unit-variance waviness of the crests."""
    return waves.smooth(4 * spacing_px, np.random.default_rng(seed), n_waves=24)


def draw_internal_waves(centre: Point, rng: np.random.Generator) -> InternalWaves:
    """Draw a packet of three to eight bands, 6 to 25 px apart, with crests 80 to 800 px long."""
    half_length = log_uniform(rng, 40, 400)
    return InternalWaves(
        *centre,
        bearing_deg=float(rng.uniform(0, 360)),
        half_length_px=half_length,
        curvature_per_px=float(rng.uniform(0.05, 0.5)) / half_length,
        spacing_px=log_uniform(rng, 6, 25),
        n_bands=int(rng.integers(3, 9)),
        depth_db=float(rng.uniform(1.5, 5)),
        seed=int(rng.integers(SEED_END)),
    )


@dataclass(frozen=True)
class ShipWake(Placed):
    """The dark, widening wake of a ship with two fainter bright arms; it starts at (row, col), along the bearing.

    Attributes:
        length_px: length of the wake.
        curvature_per_px: curvature of the ship's track, 1 / px.
        width_px: half width of the dark wake at the ship; doubles towards the end.
        depth_db: darkening by the wake, > 0.
        arms_db: brightening by the arms, >= 0.
        arm_deg: angle between an arm and the track.
    """

    length_px: float
    curvature_per_px: float
    width_px: float
    depth_db: float
    arms_db: float
    arm_deg: float

    @property
    def bounds(self) -> Bounds:
        """(row0, row1, col0, col1) outside of which the gain is 0."""
        sag, aside = self.curvature_per_px * self.length_px**2, self._spread * self.length_px
        aside = max(aside + _ARM_PX, 2 * self.width_px)
        return self.box((0.0, self.length_px), (min(sag, 0) - aside, max(sag, 0) + aside))

    @property
    def _spread(self) -> float:
        return math.tan(math.radians(self.arm_deg))

    def gain_db(self, rows: FloatArray, cols: FloatArray) -> FloatImage:
        """Gain in dB on the grid of rows (m,) and columns (n,), (m, n) float32."""
        astern, across = self.local(rows, cols)
        share = astern / np.float32(self.length_px)
        aside = np.abs(across - np.float32(self.curvature_per_px) * astern * astern)
        fade = np.where((share > 0) & (share < 1), 1 - share, 0)
        wake = bump(aside / (np.float32(self.width_px) * (1 + np.clip(share, 0, 1))))
        arms = bump((aside - np.float32(self._spread) * astern) / np.float32(_ARM_PX))
        # The arms fade earlier than the turbulent wake.
        return np.sqrt(fade) * (np.float32(self.arms_db) * fade * arms - np.float32(self.depth_db) * wake)


def draw_ship_wake(centre: Point, rng: np.random.Generator) -> ShipWake:
    """Draw a wake 30 to 300 px long, straight or slightly curved."""
    length = log_uniform(rng, 30, 300)
    bend = float(rng.uniform(-0.15, 0.15)) if rng.random() < 0.5 else 0.0
    return ShipWake(
        *centre,
        bearing_deg=float(rng.uniform(0, 360)),
        length_px=length,
        curvature_per_px=bend / length,
        width_px=float(rng.uniform(1.5, 3)),
        depth_db=float(rng.uniform(1.5, 4)),
        arms_db=float(rng.uniform(0, 3)),
        arm_deg=float(rng.uniform(4, 16)),
    )


@dataclass(frozen=True)
class BiogenicFilm(Placed):
    """Thin, wavy, broken dark lines that spiral around an eddy; around a distant eddy they are nearly straight.

    Attributes:
        half_length_px, half_width_px: semi-axes of the area with lines, along and across.
        eddy_px: distance of the eddy's centre from the area's centre, across.
        spacing_px: mean distance between the lines.
        sharpness: thinness of the lines; at 10, their width at half depth is 12 % of their spacing.
        depth_db: darkening by the lines, > 0.
        seed: seed of waviness and gaps.
    """

    half_length_px: float
    half_width_px: float
    eddy_px: float
    spacing_px: float
    sharpness: float
    depth_db: float
    seed: int

    @property
    def bounds(self) -> Bounds:
        """(row0, row1, col0, col1) outside of which the gain is 0."""
        return self.box((-self.half_length_px, self.half_length_px), (-self.half_width_px, self.half_width_px))

    def gain_db(self, rows: FloatArray, cols: FloatArray) -> FloatImage:
        """Gain in dB on the grid of rows (m,) and columns (n,), (m, n) float32."""
        along, across = self.local(rows, cols)
        stray, gaps = (field.on(rows, cols) for field in _film_fields(self.seed, self.spacing_px, self.bearing_deg))
        from_eddy = across + np.float32(self.eddy_px)
        phase = np.sqrt(along * along + from_eddy * from_eddy) / np.float32(self.spacing_px)
        # A spiral with one arm: where the angle jumps, the phase changes by a whole turn, which leaves no seam.
        phase += np.arctan2(from_eddy, along) / _TURN + np.float32(0.5) * stray
        lines = np.exp(np.float32(self.sharpness) * (np.cos(_TURN * phase) - 1))
        radius_sq = (along / np.float32(self.half_length_px)) ** 2 + (across / np.float32(self.half_width_px)) ** 2
        area = np.clip(2 * (1 - radius_sq), 0, 1)
        return np.float32(-self.depth_db) * lines * area * np.clip(np.float32(0.4) + gaps, 0, 1)


@lru_cache(maxsize=64)
def _film_fields(seed: int, spacing_px: float, bearing_deg: float) -> tuple[waves.RandomWaves, waves.RandomWaves]:
    """Unit-variance fields of the waviness of the lines and of the gaps in them."""
    rng = np.random.default_rng(seed)
    stray = waves.smooth(2.5 * spacing_px, rng, n_waves=32)
    return stray, waves.streaks(4 * spacing_px, 1.2 * spacing_px, bearing_deg, rng, n_waves=32)


def draw_biogenic_film(centre: Point, rng: np.random.Generator) -> BiogenicFilm:
    """Draw lines 1 to 4 dB dark and 12 to 40 px apart, over 100 to 500 px; tightly wound or nearly straight."""
    half_length = log_uniform(rng, 50, 250)
    return BiogenicFilm(
        *centre,
        bearing_deg=float(rng.uniform(0, 360)),
        half_length_px=half_length,
        half_width_px=half_length * float(rng.uniform(0.3, 0.9)),
        eddy_px=half_length * log_uniform(rng, 0.3, 10),
        spacing_px=log_uniform(rng, 12, 40),
        sharpness=float(rng.uniform(4, 15)),
        depth_db=float(rng.uniform(1, 4)),
        seed=int(rng.integers(SEED_END)),
    )
