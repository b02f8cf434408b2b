"""Coding of intensity as digital numbers: amplitude, clipped, on about 200 equally spaced levels; 0 is reserved."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

DN_MAX = 65535


def coded(intensity: npt.NDArray[np.float32], *, full_scale: float, n_levels: float) -> npt.NDArray[np.uint16]:
    """Digital numbers of intensities.

    Args:
        intensity: (row, col), linear, >= 0.
        full_scale: amplitude that is coded as `DN_MAX`.
        n_levels: levels up to `DN_MAX`, may be fractional; DN is level * DN_MAX / n_levels, rounded and clipped.

    Returns:
        (row, col) uint16, at least 1, because 0 is reserved for no-data.
    """
    level = np.rint(np.sqrt(intensity) * np.float32(n_levels / full_scale))
    # Source: the reference tiles, DN = min(65535, round(k * step)) with a fractional step.
    dn = np.rint(np.maximum(level, 1) * np.float32(DN_MAX / n_levels))
    return np.minimum(dn, DN_MAX).astype(np.uint16)
