"""The sea around an instance: the ring that its contrast is measured against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

Floats = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]
Window = tuple[slice, slice]

# Choice: 2 to 8 px from the outline, beyond its soft edge and near enough for the same wind.
RING_PX = (2, 8)
# Choice: the mean of fewer pixels of sea is uncertain by more than 5 %.
MIN_RING_PX = 16


def window_around(instance: Mask, margin_px: int) -> Window:
    """Rows and columns of the instance's bounding box with a margin, as far as the image reaches.

    Args:
        instance: (H, W) bool, True at least once.
        margin_px: margin on every side.

    >>> window_around(np.eye(5, dtype=bool) & (np.arange(5) == 3), 1)
    (slice(2, 5, None), slice(2, 5, None))
    """
    rows, cols = np.flatnonzero(instance.any(axis=1)), np.flatnonzero(instance.any(axis=0))
    top, left = (max(0, int(found[0]) - margin_px) for found in (rows, cols))
    bottom, right = (
        min(size, int(found[-1]) + margin_px + 1) for found, size in zip((rows, cols), instance.shape, strict=True)
    )
    return slice(top, bottom), slice(left, right)


def ring_ratio(log_dn: Floats, instance: Mask, sea: Mask) -> float:
    """Mean DN of an instance over that of the sea in its ring, both as geometric means; below 1 = darker than the sea.

    Args:
        log_dn: (H, W) logarithm of DN, whatever its offset.
        instance: (H, W) bool, pixels with data alone, True at least once.
        sea: (H, W) bool, pixels with data and without seep.

    Returns:
        NaN where the ring has fewer than 16 pixels of sea.
    """
    window = window_around(instance, RING_PX[1])
    inside = instance[window]
    distance_px = distance_transform_edt(~inside)
    ring = (distance_px >= RING_PX[0]) & (distance_px <= RING_PX[1]) & sea[window]
    if np.count_nonzero(ring) < MIN_RING_PX:
        return float("nan")
    values = log_dn[window].astype(np.float64)
    return float(np.exp(values[inside].mean() - values[ring].mean()))
