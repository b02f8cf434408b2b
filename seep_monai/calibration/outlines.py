"""Size, shape and contrast of the seep instances of one tile."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.measure import regionprops
from skimage.morphology import skeletonize

from seep_monai.instances.components import Components
from seep_monai.instances.ring import ring_window

# Choice: 10 px; with 18 % speckle, the mean of fewer pixels has an error above 6 %.
_MIN_RING_PX = 10
# Choice: 1 px; axes are measured between pixel centres, so a single pixel or row would have an axis of 0.
_MIN_AXIS_PX = 1.0

MEASURES = ("area_px", "major_axis_px", "aspect", "width_px", "dn_ratio", "touches_border")

Mask = npt.NDArray[np.bool_]


def measure_instances(
    dn: npt.NDArray[np.uint16], classes: npt.NDArray[np.uint8], components: Components
) -> dict[str, npt.NDArray[np.float64]]:
    """(n,) measures of the instances by name (`MEASURES`), in the order of the components.

    Args:
        dn: (H, W) uint16, 0 = no-data.
        classes: (H, W) uint8, 0 = no seep, 1..7 = seep class, 0 on no-data.
        components: the instances of `classes`.

    Returns:
        `area_px`: number of pixels. `major_axis_px`: major axis of the ellipse with the same second moments, at least
        1 px. `aspect`: major axis / minor axis, both at least 1 px. `width_px`: area / number of skeleton pixels.
        `dn_ratio`: mean DN inside / mean DN of the ring; NaN if the ring has fewer than ten valid, seep-free pixels.
        `touches_border`: 1 if a pixel lies in the first or last row or column of the tile, else 0.
    """
    free = (dn > 0) & (classes == 0)
    rows = []
    for region in regionprops(components.labels):
        top, left, bottom, right = region.bbox
        major_px, minor_px = (max(px, _MIN_AXIS_PX) for px in (region.axis_major_length, region.axis_minor_length))
        ratio = dn_ratio(dn, components.labels == region.label, free)
        touches_border = top == 0 or left == 0 or bottom == dn.shape[0] or right == dn.shape[1]
        rows.append((region.area, major_px, major_px / minor_px, width_px(region.image), ratio, touches_border))
    return dict(zip(MEASURES, np.array(rows, np.float64).reshape(-1, len(MEASURES)).T, strict=True))


def width_px(shape: Mask) -> float:
    """Mean width of a ribbon in px: area / number of skeleton pixels.

    Twice the distance to the edge would give only odd widths. A skeleton is about one width shorter than its ribbon,
    and a diagonal step counts as 1 px, so short and diagonal ribbons are measured too wide.

    Args:
        shape: (h, w) bool, True on the instance, not empty.

    >>> width_px(np.ones((1, 40), bool))
    1.0
    """
    # Padding keeps the skeleton away from the array's border.
    return float(np.count_nonzero(shape) / np.count_nonzero(skeletonize(np.pad(shape, 1))))


def dn_ratio(dn: npt.NDArray[np.uint16], instance: Mask, free: Mask) -> float:
    """Mean DN inside / mean DN of the sea 2 to 8 px away.

    Args:
        dn: (H, W) uint16.
        instance: (H, W) bool, True only on valid pixels, not empty.
        free: (H, W) bool, True on valid pixels without seep.

    Returns:
        NaN if the ring has fewer than ten free pixels.
    """
    window, ring = ring_window(instance, free)
    if np.count_nonzero(ring) < _MIN_RING_PX:
        return float("nan")
    return float(dn[window][instance[window]].mean() / dn[window][ring].mean())
