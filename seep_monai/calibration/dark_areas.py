"""Large dark areas of a tile: whether they are labelled as seep, and how sharp their edges are.

They matter for training: from simulated tiles with many unlabelled dark areas, a network learns that no large dark area
is a slick.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, uniform_filter
from skimage.measure import label

from seep_monai.instances.ring import ring_window

Floats = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

# Choice: dark is a mean over 7 x 7 px below 0.7 of the tile's median; the mean reduces 18 % speckle to 3 %.
_MEAN_PX, _DARK_RATIO = 7, 0.7
# Area from which a dark area or an instance is large. Choice: ten times a median slick of the reference tiles.
LARGE_PX = 1500
# Choice: an area is labelled if at least half of it is, unlabelled below a tenth; areas in between are ignored.
_LABELLED_SHARE, _UNLABELLED_SHARE = 0.5, 0.1
# An edge profile reaches this far to both sides of the outline; the last three px on each side are core and sea.
_REACH_PX, _PLATEAU_PX = 14, 3
# Shares of the rise from core to sea. Choice: 20 and 80 %, which noise does not reach by chance.
_RISE = (0.2, 0.8)


@dataclass(frozen=True)
class DarkArea:
    """One large dark area.

    Attributes:
        area_px: number of pixels.
        is_seep: True if at least half of it is labelled as seep, False if less than a tenth is.
        edge_px: `edge_width_px` of its outline.
    """

    area_px: int
    is_seep: bool
    edge_px: float


def dark_areas(dn: npt.NDArray[np.uint16], classes: npt.NDArray[np.uint8]) -> list[DarkArea]:
    """The dark areas of at least `LARGE_PX` in one tile; partly labelled ones are left out.

    Args:
        dn: (H, W) uint16, 0 = no-data.
        classes: (H, W) uint8, 0 = no seep, 1..7 = seep class.
    """
    valid = dn > 0
    if not valid.any():
        return []
    share = uniform_filter(valid.astype(np.float64), _MEAN_PX)
    mean = uniform_filter(dn.astype(np.float64), _MEAN_PX) / np.maximum(share, 1e-9)
    dark = valid & (mean < _DARK_RATIO * np.median(dn[valid]))
    found = []
    areas = label(dark, connectivity=1)
    for number in np.flatnonzero(np.bincount(areas[dark]) >= LARGE_PX):
        own = areas == number
        seep_share = np.count_nonzero(classes[own]) / np.count_nonzero(own)
        if not _UNLABELLED_SHARE <= seep_share < _LABELLED_SHARE:
            is_seep = bool(seep_share >= _LABELLED_SHARE)
            found.append(DarkArea(int(np.count_nonzero(own)), is_seep, edge_width_px(dn, own, valid)))
    return found


def edge_width_px(dn: Floats | npt.NDArray[np.uint16], area: Mask, valid: Mask) -> float:
    """Width of the rise from the area to the sea in px: the distance from 20 to 80 % of the rise, divided by 0.6.

    The profile is the mean DN at each whole distance from the outline, which averages out the speckle. A sharp but
    ragged edge still has a width of some px, because the outline comes from a mean over 7 px.

    Args:
        dn: (H, W) DN.
        area: (H, W) bool.
        valid: (H, W) bool, False = no-data.

    Returns:
        NaN if there are no pixels 14 px inside or outside, or if the area is not darker than its surroundings.
    """
    inside, outside = distance_transform_edt(np.pad(area, 1))[1:-1, 1:-1], distance_transform_edt(~area)
    # The outline lies between the first pixels inside, at -0.5, and the first ones outside, at +0.5.
    steps = np.rint(np.where(area, -inside, outside) + np.where(area, 0.0, -1.0)).astype(int)
    near = valid & (steps >= -_REACH_PX) & (steps < _REACH_PX)
    number, total = (np.bincount(steps[near] + _REACH_PX, w, 2 * _REACH_PX) for w in (None, dn[near].astype(float)))
    if np.any(number == 0):
        return float("nan")
    profile = total / number
    core, sea = profile[:_PLATEAU_PX].mean(), profile[-_PLATEAU_PX:].mean()
    if core >= sea:
        return float("nan")
    rise = np.maximum.accumulate((profile - core) / (sea - core))
    low, high = (float(np.interp(part, rise, np.arange(len(rise)))) for part in _RISE)
    return (high - low) / (_RISE[1] - _RISE[0])


def core_and_edge(dn: npt.NDArray[np.uint16], instance: Mask, free: Mask) -> tuple[float, float]:
    """Mean DN of an instance's core and of its outermost pixels, each divided by that of the sea 2 to 8 px away.

    Args:
        dn: (H, W) uint16.
        instance: (H, W) bool, True only on valid pixels.
        free: (H, W) bool, True on valid pixels without seep.

    Returns:
        core (at least 4 px inside the outline) and edge (up to 1.5 px inside); NaN without such pixels or without sea.
    """
    window, ring = ring_window(instance, free)
    if not ring.any():
        return float("nan"), float("nan")
    near = dn[window]
    sea, depth = near[ring].mean(), distance_transform_edt(np.pad(instance[window], 1))[1:-1, 1:-1]
    core, edge = depth >= 4, (depth > 0) & (depth <= 1.5)
    return (float(near[core].mean() / sea) if core.any() else float("nan")), float(near[edge].mean() / sea)
