"""Random fields as sums of cosine waves: smooth functions of position that need no grid, border or memory.

A sum of many waves with random phases is Gaussian (central limit theorem). If the wave numbers are drawn from a
spectrum, the field has that spectrum. Source: Longuet-Higgins 1957, the random phase model of the sea surface. A field
is a function of scene coordinates, so its values do not depend on the window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

FloatArray = npt.NDArray[np.floating]

# Widths of a swell's spectrum on its two sides, relative to the given spread. Source: the reference tiles; their
# spectra fall within 1 px above the peak's wavelength of about 6 px, but extend down to 2.5 px, as those of wind seas.
_SHORTER, _LONGER = 4.2, 0.4
# Choice: 60 % of a power law's waves about 25 deg from its direction; at 8-90 px, the spectra of the reference tiles,
# less the speckle, are about 2.5 times as high in one direction as across it.
_ALIGNED_SHARE, _ALIGNED_DEG = 0.6, 25.0


@dataclass(frozen=True)
class RandomWaves:
    """A zero-mean field: the sum of amplitude * cos(row_number * row + col_number * col + phase).

    Attributes:
        row_numbers, col_numbers: (n,) float64 wave numbers in rad / px.
        phases: (n,) float64 in rad.
        amplitudes: (n,) float64; the field's variance is half the sum of their squares.
    """

    row_numbers: npt.NDArray[np.float64]
    col_numbers: npt.NDArray[np.float64]
    phases: npt.NDArray[np.float64]
    amplitudes: npt.NDArray[np.float64]

    @property
    def variance(self) -> float:
        """Variance of the field over place and phase."""
        return float((self.amplitudes**2).sum() / 2)

    def on(self, rows: FloatArray, cols: FloatArray) -> npt.NDArray[np.float32]:
        """The field on the grid of rows (m,) and columns (n,), (m, n) float32.

        As cos(a + b) = cos a cos b - sin a sin b, the grid is one product of two narrow matrices.
        """
        # Phases are large in large scenes; reduced in double precision, they keep their accuracy in single precision.
        turn = 2 * math.pi
        a = (np.outer(rows, self.row_numbers) + self.phases) % turn
        b = np.outer(self.col_numbers, cols) % turn
        a, b, amplitudes = a.astype(np.float32), b.astype(np.float32), self.amplitudes.astype(np.float32)
        left = np.concatenate((amplitudes * np.cos(a), -amplitudes * np.sin(a)), axis=1)
        return left @ np.concatenate((np.cos(b), np.sin(b)))

    def at(self, rows: npt.ArrayLike, cols: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The field at positions (row, col), float64 of their shape."""
        row, col = np.asarray(rows, float)[..., None], np.asarray(cols, float)[..., None]
        value: npt.NDArray[np.float64] = np.cos(self.row_numbers * row + self.col_numbers * col + self.phases)
        return value @ self.amplitudes

    def scaled(self, factor: float) -> RandomWaves:
        """The field times a factor."""
        return RandomWaves(self.row_numbers, self.col_numbers, self.phases, factor * self.amplitudes)


def total(fields: Sequence[RandomWaves]) -> RandomWaves:
    """The sum of several fields as one."""
    parts = zip(*((f.row_numbers, f.col_numbers, f.phases, f.amplitudes) for f in fields), strict=True)
    return RandomWaves(*(np.concatenate(part) for part in parts))


def smooth(correlation_px: float, rng: np.random.Generator, *, n_waves: int = 48) -> RandomWaves:
    """Unit-variance field with the autocorrelation exp(-distance^2 / (2 correlation_px^2))."""
    numbers = rng.standard_normal((2, n_waves)) / correlation_px
    return _unit(numbers[0], numbers[1], rng)


def swell(
    wave_px: float, direction_deg: float, rng: np.random.Generator, *, spread: tuple[float, float], n_waves: int = 64
) -> RandomWaves:
    """Unit-variance waves of about one direction of travel, most of them shorter than the peak's wavelength.

    Args:
        wave_px: wavelength of the peak of the spectrum.
        direction_deg: direction of travel, from the column axis towards the rows.
        spread: width of the distribution of the wave numbers, relative to the peak's (`_SHORTER` times as much towards
            shorter waves, `_LONGER` times towards longer ones), and standard deviation of the directions, in deg.
    """
    # A split normal distribution: continuous at the peak, since each side has its width's share of the waves.
    shorter = rng.random(n_waves) < _SHORTER / (_SHORTER + _LONGER)
    sides = np.where(shorter, _SHORTER, -_LONGER) * np.abs(rng.standard_normal(n_waves))
    number = 2 * math.pi / wave_px * (1 + spread[0] * sides)
    angle = np.deg2rad(direction_deg + spread[1] * rng.standard_normal(n_waves))
    return _unit(number * np.sin(angle), number * np.cos(angle), rng)


def power_law(
    wave_px: tuple[float, float], exponent: float, direction_deg: float, rng: np.random.Generator, *, n_waves: int = 128
) -> RandomWaves:
    """Unit-variance field whose spectral density falls as frequency ** -exponent between two wavelengths.

    Half of the waves travel in all directions, half near one direction, so that crests across it are longer.

    Args:
        wave_px: shortest and longest wavelength.
        exponent: of the two-dimensional density; 2 gives every octave the same variance.
        direction_deg: preferred direction of travel, from the column axis towards the rows.
    """
    shortest, longest = wave_px
    # One wave in each of n equal steps of log frequency, so that there are always some long waves.
    steps = (np.arange(n_waves) + rng.random(n_waves)) / n_waves
    number = 2 * math.pi / longest * (longest / shortest) ** steps
    angle = rng.uniform(0, 2 * math.pi, n_waves)
    aligned = rng.random(n_waves) < _ALIGNED_SHARE
    angle[aligned] = np.deg2rad(direction_deg + _ALIGNED_DEG * rng.standard_normal(int(aligned.sum())))
    # In equal steps of log frequency, the area of a ring of frequencies grows with the square of the frequency.
    power = number ** (2 - exponent)
    field = _unit(number * np.sin(angle), number * np.cos(angle), rng)
    amplitudes = np.sqrt(2 * power / power.sum())
    return RandomWaves(field.row_numbers, field.col_numbers, field.phases, amplitudes)


def streaks(
    along_px: float, across_px: float, direction_deg: float, rng: np.random.Generator, *, n_waves: int = 48
) -> RandomWaves:
    """Unit-variance field elongated in a direction, with Gaussian correlation of these two lengths."""
    along, across = rng.standard_normal(n_waves) / along_px, rng.standard_normal(n_waves) / across_px
    sin, cos = math.sin(math.radians(direction_deg)), math.cos(math.radians(direction_deg))
    return _unit(sin * along + cos * across, cos * along - sin * across, rng)


def _unit(
    row_numbers: npt.NDArray[np.float64], col_numbers: npt.NDArray[np.float64], rng: np.random.Generator
) -> RandomWaves:
    """Waves of equal amplitude, random phase and unit total variance."""
    n = row_numbers.size
    return RandomWaves(row_numbers, col_numbers, rng.uniform(0, 2 * math.pi, n), np.full(n, math.sqrt(2 / n)))


def smooth_noise(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Gaussian noise on a grid, correlated over `sigma` samples along every axis, unit expected standard deviation."""
    smoothed = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    # A normalised Gaussian kernel keeps 1 / (2 sqrt(pi) sigma) of the variance of white noise per axis; on a short axis
    # with wrap-around it keeps that of the mean, 1 / n.
    kept = np.prod([max(1 / (2 * np.sqrt(np.pi) * max(sigma, 0.3)), 1 / n) for n in shape])
    return smoothed / np.sqrt(kept)
