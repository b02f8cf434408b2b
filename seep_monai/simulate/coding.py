"""From intensity to the tiles' digital numbers: amplitude, clip, about 200 levels on a constant step, 0 reserved."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

DN_MAX = 65535


def coded(intensity: npt.NDArray[np.float32], *, full_scale: float, n_levels: float) -> npt.NDArray[np.uint16]:
    """Digital numbers of intensities.

    Args:
        intensity: (row, col), linear, >= 0.
        full_scale: amplitude that becomes `DN_MAX`.
        n_levels: levels up to `DN_MAX`, need not be whole; DN is level * DN_MAX / n_levels, rounded and clipped.

    Returns:
        (row, col) uint16, all 1 or more: 0 is kept for no-data.
    """
    level = np.rint(np.sqrt(intensity) * np.float32(n_levels / full_scale))
    # Source: the reference tiles, DN = min(65535, round(k * step)) with a step that is no whole number.
    dn = np.rint(np.maximum(level, 1) * np.float32(DN_MAX / n_levels))
    return np.minimum(dn, DN_MAX).astype(np.uint16)
