"""The sea of a scene as functions of position: wind, incidence, backscatter and texture; and speckle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from seep_monai.rectangles import Window
from seep_monai.simulate import backscatter, waves
from seep_monai.simulate.parameters import SceneParameters

FloatArray = npt.NDArray[np.floating]
FloatImage = npt.NDArray[np.float32]

# Choice: 16 px; wind and incidence vary over hundreds of pixels, so the sea level is computed on every 16th only.
COARSE_PX = 16
# Weights and correlation lengths in px. Choice: most of the wind's variation is broader than a tile, the rest half as
# broad.
_WIND_SCALES = ((0.9, 450.0), (0.44, 110.0))
# Periods of the background, px. Source: the spectra of the reference tiles follow about one power law between these.
_BACKGROUND_PX = (6.4, 260.0)
# Choice: 250 px; in the reference, the roughness of the sea changes from tile to tile.
_ROUGHNESS_PX = 250.0
# Choice: 2.2 times the average; beyond, waves would be steeper than in any reference tile.
_MAX_ROUGHNESS = 2.2


@dataclass(frozen=True)
class Sea:
    """The undisturbed sea of a scene.

    Attributes:
        parameters: of the scene.
        wind: unit-variance field; the wind's logarithm is a skewed function of it.
        pattern: zero-mean Gaussian field of the sea's texture, in intensity, at average roughness.
        roughness: field of the logarithm of the texture's deviation relative to the average.
    """

    parameters: SceneParameters
    wind: waves.RandomWaves
    pattern: waves.RandomWaves
    roughness: waves.RandomWaves

    def wind_on(self, rows: FloatArray, cols: FloatArray) -> FloatArray:
        """Wind speed in m/s on the grid of rows and columns."""
        return self._speed(self.wind.on(rows, cols).astype(float))

    def wind_at(self, row: float, col: float) -> float:
        """Wind speed in m/s at one position."""
        return float(self._speed(self.wind.at(row, col)))

    def winds_at(self, rows: FloatArray, cols: FloatArray) -> FloatArray:
        """Wind speed in m/s at positions, (n,)."""
        return self._speed(self.wind.at(rows, cols))

    def _speed(self, field: FloatArray) -> FloatArray:
        """Wind in m/s from a unit Gaussian; its logarithm has the given spread and a tail towards low wind."""
        p, k = self.parameters, self.parameters.wind_skew
        # (1 - exp(-k g)) / k is g for small k; for larger k its negative tail is longer.
        bent = (math.exp(k * k / 2) - np.exp(-k * field)) / (k * math.exp(k * k / 2) * math.sqrt(1 + k * k))
        return p.wind_m_s * np.exp(p.wind_spread * bent)

    def level_on(self, rows: FloatArray, cols: FloatArray) -> FloatArray:
        """sigma0 without texture, linear, on the grid of rows and columns."""
        return backscatter.cmod5n(self.wind_on(rows, cols), self.parameters.phi_deg, self.incidence_on(rows, cols))

    def noise_floor(self, rows: FloatArray, cols: FloatArray) -> FloatArray:
        """Noise-equivalent sigma0, linear, on the grid of rows and columns."""
        p = self.parameters
        incidence = self.incidence_on(rows, cols)
        return backscatter.noise_floor(incidence, median_db=p.nesz_db, ripple_db=p.nesz_ripple_db)

    def incidence_on(self, rows: FloatArray, cols: FloatArray) -> FloatArray:
        """Incidence angle in deg on the grid of rows and columns."""
        first, last = self.parameters.incidence_deg
        return first + (last - first) * self.range_share(rows, cols)

    def range_share(self, rows: FloatArray, cols: FloatArray) -> FloatArray:
        """Position along range, 0 to 1 from corner to corner, on the grid; range is tilted against the columns."""
        n_rows, n_cols = self.parameters.size_px
        tilt = math.radians(self.parameters.tilt_deg)
        sin, cos = math.sin(tilt), math.cos(tilt)
        first, length = min(0.0, sin * n_rows), cos * n_cols + abs(sin) * n_rows
        return (sin * np.asarray(rows)[:, None] + cos * np.asarray(cols) - first) / length

    def texture_on(self, block: Window) -> FloatImage:
        """Unit-mean gamma texture on a window, (row, col); with speckle, the intensity is K-distributed."""
        rows, cols = (np.arange(part.start, part.stop, dtype=float) for part in block)
        shape = len(rows), len(cols)
        coarse = np.minimum(np.exp(self.roughness.on(*coarse_grid(block))), _MAX_ROUGHNESS)
        roughness = upsampled(coarse, (shape[0] + 1, shape[1] + 1))[:-1, :-1]
        field = self.pattern.on(rows, cols) * roughness
        return gamma_from_gaussian(field, variance=np.float32(self._variance) * roughness * roughness)

    @cached_property
    def _variance(self) -> float:
        return self.pattern.variance


def draw_sea(parameters: SceneParameters, rng: np.random.Generator) -> Sea:
    """Draw the sea of a scene."""
    p = parameters
    wind = [waves.smooth(length, rng).scaled(share) for share, length in _WIND_SCALES]
    deviation, length, direction, *spread = p.swell
    streaks = waves.streaks(p.streaks[1], p.streaks[2], p.wind_deg, rng).scaled(p.streaks[0])
    pattern = [
        streaks,
        waves.power_law(_BACKGROUND_PX, p.background[1], p.background[2], rng).scaled(p.background[0]),
        waves.swell(length, direction, rng, spread=(spread[0], spread[1])).scaled(deviation),
    ]
    roughness = waves.smooth(_ROUGHNESS_PX, rng).scaled(p.roughness_spread)
    return Sea(p, waves.total(wind), waves.total(pattern), roughness)


def background_deviation(density_at_20_px: float, exponent: float) -> float:
    """Relative deviation of intensity of a background whose spectral density of amplitude is known at 20 px.

    The density per (cycle per pixel) squared is b (20 f)^-p; its integral over the background's periods is the variance
    of the amplitude. Worked: b = .04, p = 2 -> 2 pi .04 / 400 * ln(260 / 7) = .00227; the deviation of intensity is
    twice that of amplitude: 2 * .0477 = .095.
    """
    low, high = (1 / period for period in reversed(_BACKGROUND_PX))
    q = 2 - exponent
    integral = math.log(high / low) if abs(q) < 1e-6 else (high**q - low**q) / q
    return 2 * math.sqrt(2 * math.pi * density_at_20_px / 20**exponent * integral)


def coarse_grid(block: Window) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Rows and columns of the coarse grid over a block; the last ones are the first of the next block."""
    rows, cols = (np.arange(part.start, part.stop + 1, COARSE_PX, dtype=float) for part in block)
    return rows, cols


def gamma_from_gaussian(field: FloatImage, variance: FloatImage | float) -> FloatImage:
    """Convert a zero-mean Gaussian field of this variance to a unit-mean gamma field of the same variance.

    Source: Wilson and Hilferty 1931, gamma(n) / n is about (1 - 1/(9n) + z / (3 sqrt(n)))^3; here 1/n = variance.
    """
    root = np.maximum(1 - np.asarray(variance, np.float32) / np.float32(9) + field / np.float32(3), np.float32(0))
    return root * root * root


def upsampled(coarse: FloatArray, shape: tuple[int, int]) -> FloatImage:
    """Interpolate `coarse` (m, n) bilinearly to `shape`, corner samples on corner pixels, float32."""
    rows, cols = (_linear_weights(n, size) for n, size in zip(coarse.shape, shape, strict=True))
    return rows @ coarse.astype(np.float32) @ cols.T


def _linear_weights(n_coarse: int, n_fine: int) -> FloatImage:
    """(n_fine, n_coarse) matrix of linear interpolation; each row sums to one."""
    position = np.linspace(0, n_coarse - 1, n_fine)
    return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(n_coarse))).astype(np.float32)


def speckle(
    shape: tuple[int, int], looks: float, rng: np.random.Generator, *, correlation: tuple[float, float] = (0.0, 0.0)
) -> FloatImage:
    """Unit-mean multiplicative speckle in intensity, float32; its standard deviation is 1 / sqrt(looks).

    Args:
        shape: (row, col).
        looks: equivalent number of looks, > 0.
        correlation: lag-1 correlation across (along a row) and down (along a column), 0 to 0.4 each.
    """
    across, down = (_mixing(r) for r in correlation)
    order = looks * across[1] * down[1]
    grains = rng.standard_gamma(order, (shape[0] + 1, shape[1] + 1), dtype=np.float32) / np.float32(order)
    mixed = grains[:, 1:] + np.float32(across[0]) * (grains[:, :-1] - grains[:, 1:])
    return np.asarray(mixed[1:] + np.float32(down[0]) * (mixed[:-1] - mixed[1:]), np.float32)


def grain(shape: tuple[int, int], deviation: float, rng: np.random.Generator) -> FloatImage:
    """Unit-mean, white (pixel-to-pixel), log-normal texture of the sea's intensity, float32.

    Source: the reference tiles. Their DN are as skewed as gamma speckle of 13 to 15 looks on such a texture, not as
    speckle of 9 looks without it, although both have the same coefficient of variation.

    Args:
        shape: (row, col).
        deviation: standard deviation of the logarithm.
    """
    exponent = np.float32(deviation) * rng.standard_normal(shape, dtype=np.float32)
    return np.exp(exponent - np.float32(deviation**2 / 2))


def _mixing(correlation: float) -> tuple[float, float]:
    """Weight of the neighbour that gives this lag-1 correlation, and the remaining share of the variance.

    Weights (1 - w, w) of two neighbours leave q = (1 - w)^2 + w^2 of the variance and give a correlation of
    w (1 - w) / q, so w (1 - w) = r / (1 + 2 r). Worked: r = .15 -> w = .132, q = .769.
    """
    product = correlation / (1 + 2 * correlation)
    return (1 - math.sqrt(1 - 4 * product)) / 2, 1 - 2 * product
