"""COCO's greedy matching of predicted to true components, at all IoU thresholds in one pass.

Each component has a bit mask of the thresholds at which it is matched: bit i stands for threshold i.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from seep_monai.errors import ConfigError
from seep_monai.instances.components import Components
from seep_monai.metrics.overlap import Overlaps, overlaps

# Detections that count per tile and class, highest scores first. Source: COCO evaluation, maxDets = 100.
MAX_DETECTIONS = 100
# Accepts an IoU that rounding left just below a threshold of 1. Source: COCO evaluation.
_HIGHEST_THRESHOLD = 1 - 1e-10
# Bit masks are stored as float64, which is exact up to 2**53.
_MAX_THRESHOLDS = 53


@dataclass(frozen=True, eq=False)
class Matches:
    """The matched components of a tile at each IoU threshold.

    Attributes:
        order: (n,) int64, rows of the prediction's table that count: class by class, highest score first, equal scores
            in raster order, at most 100 per class.
        detection_bits: (n,) int64, for `order`; bit i is set if the detection is a true positive at threshold i.
        truth_bits: (m,) int64, for all rows of the truth's table; bit i is set if the instance is found at threshold i.
        pairs: the matched pairs, each once.
    """

    order: npt.NDArray[np.int64]
    detection_bits: npt.NDArray[np.int64]
    truth_bits: npt.NDArray[np.int64]
    pairs: Overlaps


def match_components(
    truth: Components, predicted: Components, thresholds: npt.NDArray[np.float64], max_detections: int = MAX_DETECTIONS
) -> Matches:
    """Greedy one-to-one matches within a class: each detection, highest score first, takes the best unmatched truth.

    Args:
        truth: true components of a tile.
        predicted: predicted components of the same tile, with scores.
        thresholds: (T,) float64, ascending, in (0, 1], at most 53. An IoU equal to a threshold is a match.
        max_detections: how many detections of one class count.

    Raises:
        ConfigError: if the thresholds are not as described.

    Source: the matching of COCO's evaluation (`pycocotools.cocoeval`), without crowd objects.
    """
    _check_thresholds(thresholds)
    order = detection_order(predicted, max_detections)
    found = overlaps(truth, predicted)
    # Index in `order` of each detection; len(order) if it does not count.
    position = np.full(len(predicted), len(order), np.int64)
    position[order] = np.arange(len(order))
    position = position[found.predicted]
    # COCO scans the truths in order and replaces the best so far at an equal IoU: of equal IoUs, the last truth wins.
    ranking = np.lexsort((-found.truth, -found.iou, position))
    ranking = ranking[position[ranking] < len(order)]
    pairs, position = found.subset(ranking), position[ranking]
    bits = _greedy(pairs, position, thresholds)
    detection_bits, truth_bits = np.zeros(len(order), np.int64), np.zeros(len(truth), np.int64)
    np.bitwise_or.at(detection_bits, position, bits)
    np.bitwise_or.at(truth_bits, pairs.truth, bits)
    return Matches(order, detection_bits, truth_bits, pairs.subset(np.flatnonzero(bits)))


def pairs_of_any_class(truth: Components, predicted: Components, iou_threshold: float) -> Overlaps:
    """The matched pairs at one IoU threshold, where all classes count as one and all detections count."""
    one_class = truth.of_any_class(), predicted.of_any_class()
    return match_components(*one_class, np.array([iou_threshold]), max_detections=len(predicted)).pairs


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
    pairs: Overlaps, position: npt.NDArray[np.int64], thresholds: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """For each pair in matching order, the bit mask of the thresholds at which it is matched."""
    # IoU .62 reaches .5, .55 and .6 of .5, .55, .6, .65: three bits, 0b111.
    n_reached = np.searchsorted(np.minimum(thresholds, _HIGHEST_THRESHOLD), pairs.iou, side="right")
    matched: dict[int, int] = {}
    taken: dict[int, int] = {}
    bits = []
    for detection, truth, n in zip(position.tolist(), pairs.truth.tolist(), n_reached.tolist(), strict=True):
        new = ((1 << n) - 1) & ~matched.get(detection, 0) & ~taken.get(truth, 0)
        matched[detection] = matched.get(detection, 0) | new
        taken[truth] = taken.get(truth, 0) | new
        bits.append(new)
    return np.array(bits, np.int64)


def _check_thresholds(thresholds: npt.NDArray[np.float64]) -> None:
    # Python floats are faster for so few values. NaN fails the comparison.
    values = [0.0, *thresholds.tolist()]
    ascending = all(low < high for low, high in pairwise(values))
    if len(thresholds) > _MAX_THRESHOLDS or not ascending or values[-1] > 1:
        raise ConfigError(
            f"IoU thresholds: expected at most {_MAX_THRESHOLDS} ascending values in (0, 1], but got {thresholds}."
        )
