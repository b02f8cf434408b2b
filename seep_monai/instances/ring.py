"""The ring of sea around an instance, against which its contrast is measured."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from seep_monai.rectangles import Window, clipped, with_margin

Floats = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.integer]

# Choice: 2 to 8 px from the outline. At 1 px the sea is still some per cent darker; beyond 8 px the sea
# may be different.
RING_PX = (2, 8)
# Choice: with fewer pixels of sea, the uncertainty of their mean is above 5 %.
MIN_RING_PX = 16


def window_around(rows: Indices, cols: Indices, shape: tuple[int, ...], *, margin_px: int) -> Window:
    """Rows and columns of the bounding box of pixels plus a margin, clipped to the image.

    Args:
        rows, cols: (n,) indices of the pixels, at least one.
        shape: (H, W) of the image.
        margin_px: margin on every side.

    >>> window_around(np.array([3]), np.array([0]), (5, 9), margin_px=1)
    (slice(2, 5, None), slice(0, 2, None))
    """
    box = slice(int(rows.min()), int(rows.max()) + 1), slice(int(cols.min()), int(cols.max()) + 1)
    return clipped(with_margin(box, margin_px), shape)


def in_ring(distance_px: Floats) -> Mask:
    """True where the distance from an instance, in px, is inside the ring."""
    return (distance_px >= RING_PX[0]) & (distance_px <= RING_PX[1])


def ring_window(instance: Mask, sea: Mask) -> tuple[Window, Mask]:
    """The window of an instance and its ring, and the mask of the ring's sea pixels in this window.

    Args:
        instance: (H, W) bool, True at least once.
        sea: (H, W) bool, pixels with data and without seep.
    """
    rows, cols = np.nonzero(instance)
    window = window_around(rows, cols, instance.shape, margin_px=RING_PX[1])
    return window, in_ring(distance_transform_edt(~instance[window])) & sea[window]


def ring_ratio(log_dn: Floats, instance: Mask, sea: Mask) -> float:
    """Geometric mean DN of an instance / geometric mean DN of the sea in its ring; below 1 = darker than the sea.

    Args:
        log_dn: (H, W) logarithm of DN, with any offset.
        instance: (H, W) bool, only pixels with data, True at least once.
        sea: (H, W) bool, pixels with data and without seep.

    Returns:
        NaN if the ring has fewer than 16 pixels of sea.
    """
    window, ring = ring_window(instance, sea)
    if np.count_nonzero(ring) < MIN_RING_PX:
        return float("nan")
    values = log_dn[window].astype(np.float64)
    return float(np.exp(values[instance[window]].mean() - values[ring].mean()))
