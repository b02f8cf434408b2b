"""COCO's greedy matching of predicted to true components, at all IoU thresholds in one pass.

What is matched at which threshold is kept as one bit mask per component: bit i stands for threshold i.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seep_monai.errors import ConfigError
from seep_monai.instances import Components
from seep_monai.metrics.overlap import Overlaps, overlaps

# Detections that count per tile and class, the best scores first. Source: COCO evaluation, maxDets = 100.
MAX_DETECTIONS = 100
# A threshold of 1 still accepts an IoU that rounding left just below it. Source: COCO evaluation.
_HIGHEST_THRESHOLD = 1 - 1e-10
# A bit mask travels as float64, which is exact up to 2**53.
_MAX_THRESHOLDS = 53


@dataclass(frozen=True, eq=False)
class Matches:
    """Which components of a tile found a partner, per IoU threshold.

    Attributes:
        order: (n,) int64, rows of the prediction's table that count: class by class, best score first, equal scores
            in raster order, at most 100 of a class.
        detection_bits: (n,) int64, for `order`; bit i is set where the detection is a true positive at threshold i.
        truth_bits: (m,) int64, for all rows of the truth's table; bit i is set where it was found at threshold i.
    """

    order: npt.NDArray[np.int64]
    detection_bits: npt.NDArray[np.int64]
    truth_bits: npt.NDArray[np.int64]


def match_components(
    truth: Components,
    predicted: Components,
    thresholds: npt.NDArray[np.float64],
    max_detections: int = MAX_DETECTIONS,
) -> Matches:
    """Greedy one-to-one matches of equal class: each detection, best score first, takes the best free truth.

    Args:
        truth: true components of a tile.
        predicted: predicted components of the same tile, with scores.
        thresholds: (T,) float64, ascending, in (0, 1], at most 53. An IoU equal to a threshold is a match.
        max_detections: the most detections of one class that count.

    Raises:
        ConfigError: if the thresholds are not as said.

    Source: the matching of COCO's evaluation (`pycocotools.cocoeval`), without crowd or ignored objects.
    """
    _check_thresholds(thresholds)
    order = detection_order(predicted, max_detections)
    found = overlaps(truth, predicted)
    detection_bits, truth_bits = _greedy(found, order, n_truth=len(truth), thresholds=thresholds)
    return Matches(order, detection_bits, truth_bits)


def detection_order(predicted: Components, max_detections: int = MAX_DETECTIONS) -> npt.NDArray[np.int64]:
    """Table rows by class, then score from high to low, then raster order; the first `max_detections` of each class."""
    order = np.lexsort((-predicted.scores, predicted.classes))
    classes = predicted.classes[order]
    rank = np.arange(len(order)) - np.searchsorted(classes, classes, side="left")
    return order[rank < max_detections]


def bits_to_matched(bits: npt.ArrayLike, n_thresholds: int) -> npt.NDArray[np.bool_]:
    """(n,) bit masks as (n, n_thresholds) bool.

    >>> bits_to_matched([5, 0], 3)
    array([[ True, False,  True],
           [False, False, False]])
    """
    masks = np.asarray(bits).astype(np.int64)
    return (masks[:, None] >> np.arange(n_thresholds)) & 1 == 1


def _greedy(
    found: Overlaps, order: npt.NDArray[np.int64], *, n_truth: int, thresholds: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The bit masks of the detections in `order` and of all truths."""
    position = _positions(found, order)
    # COCO scans the truths in order and lets an equal IoU replace the best so far: of equals, the last one wins.
    ranking = np.lexsort((-found.truth, -found.iou, position))
    ranking = ranking[position[ranking] < len(order)]
    # IoU .62 reaches .5, .55 and .6 of .5, .55, .6, .65: three bits, 0b111.
    n_reached = np.searchsorted(np.minimum(thresholds, _HIGHEST_THRESHOLD), found.iou[ranking], side="right")
    matched = [0] * len(order)
    taken = [0] * n_truth
    pairs = zip(position[ranking].tolist(), found.truth[ranking].tolist(), n_reached.tolist(), strict=True)
    for detection, truth, n in pairs:
        new = ((1 << n) - 1) & ~matched[detection] & ~taken[truth]
        matched[detection] |= new
        taken[truth] |= new
    return np.array(matched, np.int64), np.array(taken, np.int64)


def _positions(found: Overlaps, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where in `order` the detection of each pair stands; len(order) for one that does not count."""
    size = max(int(found.predicted.max(initial=-1)), int(order.max(initial=-1))) + 1
    position = np.full(size, len(order), np.int64)
    position[order] = np.arange(len(order))
    return position[found.predicted]


def _check_thresholds(thresholds: npt.NDArray[np.float64]) -> None:
    inside = len(thresholds) <= _MAX_THRESHOLDS and bool(np.all((thresholds > 0) & (thresholds <= 1)))
    if not inside or np.any(np.diff(thresholds) <= 0):
        raise ConfigError(
            f"IoU thresholds: expected at most {_MAX_THRESHOLDS} ascending values in (0, 1], but got {thresholds}."
        )
