"""From intensity to the tiles' digital numbers: amplitude, clip, about 200 levels on a constant step, 0 reserved."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

DN_MAX = 65535
# Highest DN of the strip of border noise. Source: Sentinel-1 border noise as met in ground-range products, DN 1 to 30.
BORDER_NOISE_DN = 30


def coded(
    intensity: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], *, clip_medians: float, n_levels: int
) -> npt.NDArray[np.uint16]:
    """Digital numbers of a scene.

    Args:
        intensity: (row, col), linear, >= 0.
        valid: (row, col); False becomes DN 0. At least one pixel is True.
        clip_medians: amplitude that becomes `DN_MAX`, in medians of the valid amplitudes.
        n_levels: number of non-zero levels; DN = level * (DN_MAX // n_levels), the highest level is `DN_MAX`.

    Returns:
        (row, col) uint16; valid pixels are 1 or more, clipped ones `DN_MAX`.
    """
    amplitude = np.sqrt(intensity)
    # Every fourth row and column: the median of a scene needs no more.
    sample = amplitude[::4, ::4][valid[::4, ::4]]
    full_scale = clip_medians * float(np.median(sample if sample.size else amplitude[valid]))
    level = np.clip(np.rint(amplitude * np.float32(n_levels / full_scale)), 1, n_levels).astype(np.uint16)
    dn = level * np.uint16(DN_MAX // n_levels)
    dn[level == n_levels] = DN_MAX
    dn[~valid] = 0
    return dn


def with_border_noise(
    dn: npt.NDArray[np.uint16], valid: npt.NDArray[np.bool_], rng: np.random.Generator, *, width_px: int
) -> npt.NDArray[np.uint16]:
    """The scene with a strip of border noise, DN 1 to 30, on the valid pixels nearest to the swath's border.

    Args:
        dn: (row, col) uint16.
        valid: (row, col) bool.
        rng: source of randomness.
        width_px: width of the strip; 0 leaves the scene as it is.
    """
    if width_px == 0 or valid.all():
        return dn
    strip = valid & ndimage.binary_dilation(~valid, iterations=width_px)
    noisy = dn.copy()
    noisy[strip] = rng.integers(1, BORDER_NOISE_DN + 1, int(strip.sum()), dtype=np.uint16)
    return noisy
