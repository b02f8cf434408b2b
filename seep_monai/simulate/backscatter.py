"""Backscatter of the sea in linear intensity: CMOD5.N, the noise floor, and the visibility of films."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

# Coefficients c1..c28 of CMOD5.N. Source: Hersbach 2008, ECMWF Technical Memorandum 554.
# With the leading NaN, the indices are those of the paper.
# fmt: off
_C = (
    math.nan,
    -0.6878, -0.7957, 0.3380, -0.1728, 0.0000, 0.0040, 0.1103, 0.0159, 6.7329, 2.7713,
    -2.2885, 0.4971, -0.7250, 0.0450, 0.0066, 0.3222, 0.0120, 22.7000, 2.0813, 3.0000,
    8.3659, -3.3428, 1.3236, 6.2437, 2.3893, 0.3249, 4.1590, 1.6930,
)
# fmt: on
# Incidence at the near and the far border of an IW swath. Source: Sentinel-1 product specification.
IW_INCIDENCE_DEG = (30.9, 46.0)
# Choice: three; the noise floor of an IW image has one minimum in each of its three sub-swaths.
_N_SUB_SWATHS = 3
# Winds at which films start to be visible, are fully visible, start to fade, and are invisible.
_VISIBLE_M_S = (2.0, 3.0, 7.0, 10.0)


def from_db(value_db: npt.ArrayLike) -> FloatArray:
    """Convert dB to a linear intensity factor, float32; 0 dB -> 1, 10 dB -> 10."""
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
    # The base is clipped where the light-wind branch is not taken: 0.5 ** negative would only warn.
    light = a3 * np.clip(s / np.where(s0 == 0, np.inf, s0), 0, None) ** np.where(s < s0, s0 * (1 - a3), 1)
    a3 = np.where(s < s0, light, a3)
    return a3**gamma * 10 ** (a0 + (c[5] + c[6] * x) * wind)


def _upwind_term(wind: FloatArray, x: FloatArray) -> FloatArray:
    """B1 of CMOD5.N: the upwind-downwind asymmetry."""
    c = _C
    b1 = c[14] * (1 + x) - c[15] * wind * (0.5 + x - np.tanh(4 * (x + c[16] + c[17] * wind)))
    return b1 / (np.exp(0.34 * (wind - c[18])) + 1)


def _crosswind_term(wind: FloatArray, x: FloatArray) -> FloatArray:
    """B2 of CMOD5.N: the upwind-crosswind asymmetry."""
    c = _C
    y0, power = c[19], c[20]
    a, b = y0 - (y0 - 1) / power, 1 / (power * (y0 - 1) ** (power - 1))
    v0, d1, d2 = c[21] + c[22] * x + c[23] * x**2, c[24] + c[25] * x + c[26] * x**2, c[27] + c[28] * x
    v2 = wind / v0 + 1
    v2 = np.where(v2 < y0, a + b * (v2 - 1) ** power, v2)
    return (-d1 + d2 * v2) * np.exp(-v2)


def noise_floor(incidence_deg: npt.ArrayLike, *, median_db: float, ripple_db: float) -> FloatArray:
    """Noise-equivalent sigma0, float32, linear: one minimum in each of the three sub-swaths of an IW image.

    Args:
        incidence_deg: incidence angle; the swath reaches from 30.9 to 46.0 deg.
        median_db: level half-way between minimum and maximum.
        ripple_db: maximum minus minimum.
    """
    share = (np.asarray(incidence_deg, float) - IW_INCIDENCE_DEG[0]) / (IW_INCIDENCE_DEG[1] - IW_INCIDENCE_DEG[0])
    return from_db(median_db + ripple_db / 2 * np.cos(share * (_N_SUB_SWATHS * 2 * math.pi)))


def damping_for_contrast(contrast_db: float, sea: FloatArray, noise: FloatArray) -> FloatArray:
    """The damping in dB with which a film is darker than the sea by `contrast_db` once the noise floor is added.

    Args:
        contrast_db: (sea + noise) / (damped sea + noise) in dB, intensity, >= 0.
        sea: sigma0 of the undisturbed sea, linear, > 0; any shape.
        noise: noise-equivalent sigma0, linear, the same shape.

    Returns:
        dB, the same shape; infinite where even a sea without any return would not be that much darker.
    """
    damped = (sea + noise) * 10 ** (-contrast_db / 10) - noise
    return np.where(damped > 0, -10 * np.log10(np.where(damped > 0, damped, 1) / sea), np.inf)


def film_visibility(wind_m_s: npt.ArrayLike) -> FloatArray:
    """Visible share (0 to 1) of a film's damping: 1 at winds of 3 to 7 m/s, 0 below 2 and above 10 m/s.

    Without wind there are no short waves to damp; in strong wind, breaking waves mix the film into the water. Source:
    Alpers, Holt and Zeng 2017 for the limits. Choice: linear in between.
    """
    return np.interp(np.asarray(wind_m_s, float), _VISIBLE_M_S, (0.0, 1.0, 1.0, 0.0))
