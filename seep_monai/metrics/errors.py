"""Error types of instances: missed, wrong class, broken, merged, poor outline, false alarm.

Each true instance and each detection gets exactly one outcome. Unlike TIDE, broken and merged instances are counted
separately from poor outlines.
Source: Bolya et al. 2020, "TIDE: a general toolbox for identifying object detection errors".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.classes import N_SEEP_CLASSES, SEEP_LABELS
from seep_monai.instances.components import Components
from seep_monai.metrics.confusion import CONFUSION_IOU
from seep_monai.metrics.matching import pairs_of_any_class
from seep_monai.metrics.overlap import Overlaps, overlaps

# The matches are those of the confusion matrix.
FOUND_IOU = CONFUSION_IOU
# Below this IoU, a detection and a true instance count as unrelated. Source: TIDE's background threshold.
TOUCHED_IOU = 0.1

TRUTH_OUTCOMES = ("found", "wrong_class", "broken", "merged", "outline", "missed")
DETECTION_OUTCOMES = ("right", "wrong_class", "outline", "false_alarm")

Counts = npt.NDArray[np.int64]


def error_counts(truth: Components, predicted: Components) -> Counts:
    """(7, 10) int64 counts of one tile: a row per class, the outcomes of true instances, then of detections.

    Matches are those of the confusion matrix: mask IoU >= .5, highest score first, any class. An unmatched true
    instance gets the first outcome that applies:

    - `broken`: two or more detections that lie mostly inside it have together IoU >= .5 with it.
    - `merged`: two or more true instances, it among them, lie mostly inside one detection and have together IoU >= .5
      with that detection.
    - `outline`: IoU >= .1 with a detection.
    - `missed`.

    An unmatched detection is `outline` at IoU >= .1 with a true instance, else `false_alarm`.

    Args:
        truth: true instances of the classes 1..7 of one tile.
        predicted: disjoint instances of the same tile, with scores.
    """
    pairs = pairs_of_any_class(truth, predicted, FOUND_IOU)
    found = overlaps(truth.of_any_class(), predicted.of_any_class())
    of_truth = np.full(len(truth), TRUTH_OUTCOMES.index("missed"))
    of_detection = np.full(len(predicted), DETECTION_OUTCOMES.index("false_alarm"))
    touched = found.iou >= TOUCHED_IOU
    of_truth[found.truth[touched]] = TRUTH_OUTCOMES.index("outline")
    of_detection[found.predicted[touched]] = DETECTION_OUTCOMES.index("outline")
    of_truth[_merged(truth, predicted, found)] = TRUTH_OUTCOMES.index("merged")
    of_truth[_broken(truth, predicted, found)] = TRUTH_OUTCOMES.index("broken")
    misnamed = (truth.classes[pairs.truth] != predicted.classes[pairs.predicted]).astype(np.int64)
    of_truth[pairs.truth] = of_detection[pairs.predicted] = misnamed
    counts = np.zeros((N_SEEP_CLASSES, len(TRUTH_OUTCOMES) + len(DETECTION_OUTCOMES)), np.int64)
    np.add.at(counts, (truth.classes - 1, of_truth), 1)
    np.add.at(counts, (predicted.classes - 1, len(TRUTH_OUTCOMES) + of_detection), 1)
    return counts


def error_summary(counts: Counts) -> dict[str, Any]:
    """Counts by class as in `metrics.json`, and the share of found instances that have the right class.

    Args:
        counts: (7, 10), summed over tiles.

    Returns:
        `iou`; `truth.<k>.<outcome>` and `detections.<k>.<outcome>` for the mask values 1..7; `named.<k>`: found /
        (found + wrong_class), None if both are 0; `named.mean`: mean of the defined ones.
    """
    n = len(TRUTH_OUTCOMES)
    rows = dict(zip(map(str, SEEP_LABELS), counts.tolist(), strict=True))
    named = {key: row[0] / (row[0] + row[1]) if row[0] + row[1] else None for key, row in rows.items()}
    defined = [share for share in named.values() if share is not None]
    return {
        "iou": FOUND_IOU,
        "truth": {key: dict(zip(TRUTH_OUTCOMES, row[:n], strict=True)) for key, row in rows.items()},
        "detections": {key: dict(zip(DETECTION_OUTCOMES, row[n:], strict=True)) for key, row in rows.items()},
        "named": {**named, "mean": sum(defined) / len(defined) if defined else None},
    }


def _broken(truth: Components, predicted: Components, found: Overlaps) -> npt.NDArray[np.bool_]:
    """(n,) bool, True for true instances that are `broken` (see `error_counts`)."""
    inside = found.subset(np.flatnonzero(2 * found.intersection_px > predicted.areas_px[found.predicted]))
    return _reached(inside.truth, inside.intersection_px, predicted.areas_px[inside.predicted], truth.areas_px)


def _merged(truth: Components, predicted: Components, found: Overlaps) -> npt.NDArray[np.bool_]:
    """(n,) bool, True for true instances that are `merged` (see `error_counts`)."""
    inside = found.subset(np.flatnonzero(2 * found.intersection_px > truth.areas_px[found.truth]))
    holders = _reached(inside.predicted, inside.intersection_px, truth.areas_px[inside.truth], predicted.areas_px)
    merged = np.zeros(len(truth), bool)
    merged[inside.truth[holders[inside.predicted]]] = True
    return merged


def _reached(whole: Counts, shared_px: Counts, part_px: Counts, whole_px: Counts) -> npt.NDArray[np.bool_]:
    """(n,) bool, True for wholes with two or more parts whose union has IoU >= .5 with the whole.

    Args:
        whole: (p,) index of the whole that each part belongs to.
        shared_px: (p,) pixels that part and whole share.
        part_px: (p,) pixels of the part.
        whole_px: (n,) pixels of each whole.
    """
    n = len(whole_px)
    shared, parts = (np.bincount(whole, weights=values, minlength=n) for values in (shared_px, part_px))
    # Written without a division to avoid 0 / 0; an empty mask has fewer than two parts, so it is not reached.
    reached = shared >= FOUND_IOU * (whole_px + parts - shared)
    return reached & (np.bincount(whole, minlength=n) >= 2)
