"""The undisturbed radar sea in linear intensity: CMOD5.N backscatter, noise floor, wind, texture and speckle."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

FloatArray = npt.NDArray[np.floating]

# Coefficients c1..c28 of CMOD5.N. Source: Hersbach 2008, ECMWF Technical Memorandum 554.
# The leading NaN makes the indices those of the paper.
# fmt: off
_C = (
    math.nan,
    -0.6878, -0.7957, 0.3380, -0.1728, 0.0000, 0.0040, 0.1103, 0.0159, 6.7329, 2.7713,
    -2.2885, 0.4971, -0.7250, 0.0450, 0.0066, 0.3222, 0.0120, 22.7000, 2.0813, 3.0000,
    8.3659, -3.3428, 1.3236, 6.2437, 2.3893, 0.3249, 4.1590, 1.6930,
)
# fmt: on
# Choice: 16 px; wind and incidence vary over hundreds of pixels, so the sea level is computed on every 16th only.
COARSE_PX = 16
# Choice: three; the noise floor of an IW image dips once in each of its three sub-swaths.
_N_SUB_SWATHS = 3


def from_db(value_db: npt.ArrayLike) -> FloatArray:
    """Linear intensity factor of decibels, float32; 0 dB -> 1, 10 dB -> 10."""
    return np.exp(np.asarray(value_db, np.float32) * np.float32(np.log(10) / 10))


def cmod5n(wind_m_s: npt.ArrayLike, phi_deg: npt.ArrayLike, incidence_deg: npt.ArrayLike) -> FloatArray:
    """Sea backscatter sigma0 (VV, C band, linear) of a neutral 10 m wind.

    Args:
        wind_m_s: wind speed, > 0; all three arguments are broadcast together.
        phi_deg: angle between wind and antenna look direction, 0 = wind blows towards the radar.
        incidence_deg: incidence angle, 16 to 66 deg.

    Returns:
        sigma0 as a factor, not in dB. Source: Hersbach 2008 (CMOD5.N).
    """
    wind, phi = np.asarray(wind_m_s, float), np.deg2rad(np.asarray(phi_deg, float))
    x = (np.asarray(incidence_deg, float) - 40) / 25
    b0, b1, b2 = _isotropic_term(wind, x), _upwind_term(wind, x), _crosswind_term(wind, x)
    return b0 * (1 + b1 * np.cos(phi) + b2 * np.cos(2 * phi)) ** 1.6


def _isotropic_term(wind: FloatArray, x: FloatArray) -> FloatArray:
    """B0 of CMOD5.N; `x` is the scaled incidence angle."""
    c = _C
    a0 = c[1] + c[2] * x + c[3] * x**2 + c[4] * x**3
    gamma = c[9] + c[10] * x + c[11] * x**2
    s, s0 = (c[7] + c[8] * x) * wind, c[12] + c[13] * x
    a3 = 1 / (1 + np.exp(-np.maximum(s, s0)))
    # The base is clipped where the light-wind branch is not taken, since 0.5 ** negative would only warn.
    light = a3 * np.clip(s / np.where(s0 == 0, np.inf, s0), 0, None) ** np.where(s < s0, s0 * (1 - a3), 1)
    a3 = np.where(s < s0, light, a3)
    return a3**gamma * 10 ** (a0 + (c[5] + c[6] * x) * wind)


def _upwind_term(wind: FloatArray, x: FloatArray) -> FloatArray:
    """B1 of CMOD5.N: how much brighter upwind is than downwind."""
    c = _C
    b1 = c[14] * (1 + x) - c[15] * wind * (0.5 + x - np.tanh(4 * (x + c[16] + c[17] * wind)))
    return b1 / (np.exp(0.34 * (wind - c[18])) + 1)


def _crosswind_term(wind: FloatArray, x: FloatArray) -> FloatArray:
    """B2 of CMOD5.N: how much brighter along the wind is than across it."""
    c = _C
    y0, power = c[19], c[20]
    a, b = y0 - (y0 - 1) / power, 1 / (power * (y0 - 1) ** (power - 1))
    v0, d1, d2 = c[21] + c[22] * x + c[23] * x**2, c[24] + c[25] * x + c[26] * x**2, c[27] + c[28] * x
    v2 = wind / v0 + 1
    v2 = np.where(v2 < y0, a + b * (v2 - 1) ** power, v2)
    return (-d1 + d2 * v2) * np.exp(-v2)


def noise_floor(n_cols: int, *, median_db: float, ripple_db: float) -> FloatArray:
    """Noise-equivalent sigma0 per column, (n_cols,) float32, linear: one dip in each of three sub-swaths.

    Args:
        n_cols: columns across the swath.
        median_db: level half-way between dip and crest.
        ripple_db: crest minus dip.
    """
    phase = np.linspace(0, _N_SUB_SWATHS, n_cols, endpoint=False) * 2 * np.pi
    return from_db(median_db + ripple_db / 2 * np.cos(phase))


def wind_field(shape: tuple[int, int], rng: np.random.Generator, *, mean_m_s: float, spread: float) -> FloatArray:
    """Wind speed in m/s on a coarse grid: log-normal, correlated over about 20 grid points.

    Args:
        shape: (row, col) of the coarse grid.
        rng: source of randomness.
        mean_m_s: median wind speed.
        spread: standard deviation of the logarithm, such as 0.08.
    """
    broad, local = (smooth_noise(shape, sigma, rng) for sigma in (20.0, 5.0))
    # Choice: 0.9 and 0.44 keep the variance at one (.81 + .19); most of the change is broader than a tile.
    return mean_m_s * np.exp(spread * (0.9 * broad + 0.44 * local))


def smooth_noise(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> FloatArray:
    """Gaussian noise, float64, correlated over `sigma` samples along every axis, unit expected standard deviation."""
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    # A normalised Gaussian kernel keeps 1 / (2 sqrt(pi) sigma) of white noise's variance per axis; a short axis that
    # it wraps around keeps its mean, 1 / n.
    kept = np.prod([max(1 / (2 * np.sqrt(np.pi) * max(sigma, 0.3)), 1 / n) for n in shape])
    return smooth / np.sqrt(kept)


def upsampled(coarse: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """`coarse` (m, n) stretched bilinearly onto `shape`, corner samples on corner pixels, float32."""
    rows, cols = (_linear_weights(n, size) for n, size in zip(coarse.shape, shape, strict=True))
    return rows @ coarse.astype(np.float32) @ cols.T


def _linear_weights(n_coarse: int, n_fine: int) -> FloatArray:
    """(n_fine, n_coarse) float32 matrix of linear interpolation; each row sums to one."""
    position = np.linspace(0, n_coarse - 1, n_fine)
    return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(n_coarse))).astype(np.float32)


def texture(
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    swell: tuple[float, float, float],
    streaks: tuple[float, float],
    patches: tuple[float, float],
) -> FloatArray:
    """Unit-mean gamma texture of the sea, float32: swell, wind streaks and patches in one correlated field.

    With speckle on top the intensity is K-distributed; the gamma order is 1 / (sum of the squared deviations).
    The field wraps around at the borders.

    Args:
        shape: (row, col).
        rng: source of randomness.
        swell: relative standard deviation of intensity, wave length in px, direction of travel in deg
            from the column axis.
        streaks: relative standard deviation of intensity, direction in deg they run along, from the column axis.
        patches: relative standard deviation of intensity, correlation length in px.
    """
    frequency = fft.fftfreq(shape[0]).astype(np.float32)[:, None], fft.rfftfreq(shape[1]).astype(np.float32)
    filters = (
        (swell[0], _swell_filter(*frequency, wave_px=swell[1], direction_deg=swell[2])),
        (streaks[0], _streak_filter(*frequency, direction_deg=streaks[1])),
        (patches[0], np.exp(-((2 * math.pi * patches[1]) ** 2) / 2 * (frequency[0] ** 2 + frequency[1] ** 2))),
    )
    response = np.sqrt(sum(deviation**2 / _power(h, shape) * h**2 for deviation, h in filters))
    pair = rng.standard_normal((2, *response.shape), dtype=np.float32) * np.float32(np.sqrt(np.prod(shape) / 2))
    spectrum = (pair[0] + 1j * pair[1]) * response
    field = fft.irfft2(spectrum, s=shape, overwrite_x=True)
    return _gamma_from_gaussian(field, variance=float(sum(deviation**2 for deviation, _ in filters)))


def _power(response: FloatArray, shape: tuple[int, int]) -> float:
    """Variance that unit white noise has left after a half-plane filter (Parseval)."""
    weight = np.full(response.shape[1], 2.0)
    weight[0] = 1.0
    return float((response.astype(float) ** 2 @ weight).sum() / np.prod(shape))


def _swell_filter(rows: FloatArray, cols: FloatArray, *, wave_px: float, direction_deg: float) -> FloatArray:
    """Two lobes at plus and minus the wave number. Choice: 25 % band width, crests of about four wave lengths."""
    along, across = _rotated(rows, cols, direction_deg)
    k = 1 / wave_px
    return np.exp(-(((np.abs(along) - k) / (0.25 * k)) ** 2 + (across / (0.25 * k)) ** 2) / 2)


def _rotated(rows: FloatArray, cols: FloatArray, direction_deg: float) -> tuple[FloatArray, FloatArray]:
    """Frequencies along and across a direction that is counted from the column axis."""
    # Python floats: a NumPy scalar would turn float32 frequencies into float64.
    sin, cos = math.sin(math.radians(direction_deg)), math.cos(math.radians(direction_deg))
    return cos * cols + sin * rows, cos * rows - sin * cols


def _streak_filter(rows: FloatArray, cols: FloatArray, *, direction_deg: float) -> FloatArray:
    """A ridge across the wind. Choice: streaks 5 px wide (standard deviation) and 40 px long."""
    along, across = _rotated(rows, cols, direction_deg)
    return np.exp(-2 * math.pi**2 * ((40 * along) ** 2 + (5 * across) ** 2))


def _gamma_from_gaussian(field: FloatArray, variance: float) -> FloatArray:
    """Zero-mean Gaussian `field` of this variance -> unit-mean gamma of the same variance.

    Source: Wilson and Hilferty 1931, gamma(n) / n is about (1 - 1/(9n) + z / (3 sqrt(n)))^3; here 1/n = variance.
    """
    root = np.maximum(1 - variance / 9 + field / 3, 0)
    return root * root * root


def speckle(
    shape: tuple[int, int], looks: float, rng: np.random.Generator, *, correlation: float = 0.0
) -> npt.NDArray[np.float32]:
    """Unit-mean multiplicative speckle in intensity, float32; its standard deviation is 1 / sqrt(looks).

    Args:
        shape: (row, col).
        looks: equivalent number of looks, > 0.
        rng: source of randomness.
        correlation: lag-1 correlation along the columns, 0 to 0.4.
    """
    # Mixing neighbours with weights (1 - w, w) leaves q = (1 - w)^2 + w^2 of the variance and correlates them by
    # w (1 - w) / q, so w (1 - w) = r / (1 + 2 r). Worked: r = .15 -> w = .132, q = .770.
    product = correlation / (1 + 2 * correlation)
    weight = np.float32((1 - np.sqrt(1 - 4 * product)) / 2)
    order = looks * (1 - 2 * product)
    grains = rng.standard_gamma(order, (shape[0], shape[1] + 1), dtype=np.float32) / np.float32(order)
    return np.asarray(grains[:, 1:] + weight * (grains[:, :-1] - grains[:, 1:]), np.float32)
