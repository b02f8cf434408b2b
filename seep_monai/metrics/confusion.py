"""Confusion matrix of instances: confused classes, missed seeps and false alarms.

A detection and a true instance of any class match at mask IoU >= t. Each detection, highest score first, takes the
unmatched true instance with the highest IoU. Lower scores cannot change the matches of higher scores, so the rows of a
tile are valid for every score threshold.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seep_monai.classes import N_CLASSES, N_SEEP_CLASSES
from seep_monai.errors import ConfigError
from seep_monai.instances.components import Components
from seep_monai.metrics.matching import pairs_of_any_class
from seep_monai.metrics.pixels import Confusion
from seep_monai.metrics.records import RowKind, header_row

# Choice: the threshold of AP50, the lowest that COCO uses.
CONFUSION_IOU = 0.5
# Names of the last row and the last column, after those of the seven classes.
FALSE_ALARM_ROW = "background (false alarm)"
MISSED_COLUMN = "background (missed)"

# image_id: a whole number. kind: see RowKind. true_class, predicted_class: mask value 1..7; 0 for an unmatched
# instance and in a header. iou: of the match, 0 without one. score: of the detection, NaN without one.
CONFUSION_ROW_NAMES = ("image_id", "kind", "true_class", "predicted_class", "iou", "score")
CONFUSION_DTYPE = np.dtype([(name, np.float64) for name in CONFUSION_ROW_NAMES])


def confusion_rows(
    image_id: int, truth: Components, predicted: Components, *, iou_threshold: float = CONFUSION_IOU
) -> npt.NDArray[np.void]:
    """A header, a row per true instance and a row per detection of one tile (`CONFUSION_DTYPE`).

    Args:
        image_id: sort key of the tile; equal ids mark a repeated tile (`records.unique_tiles`).
        truth: true components of each class.
        predicted: predicted components of each class, with scores; all of them count.
        iou_threshold: in (0, 1]; an IoU equal to it is a match.

    Raises:
        ConfigError: if the threshold is out of range.
    """
    true_rows = np.zeros(len(truth), CONFUSION_DTYPE)
    true_rows["kind"], true_rows["true_class"], true_rows["score"] = RowKind.TRUTH, truth.classes, np.nan
    detections = np.zeros(len(predicted), CONFUSION_DTYPE)
    detections["kind"], detections["predicted_class"] = RowKind.DETECTION, predicted.classes
    detections["score"] = predicted.scores
    pairs = pairs_of_any_class(truth, predicted, iou_threshold)
    true_rows["predicted_class"][pairs.truth] = predicted.classes[pairs.predicted]
    true_rows["score"][pairs.truth] = predicted.scores[pairs.predicted]
    detections["true_class"][pairs.predicted] = truth.classes[pairs.truth]
    true_rows["iou"][pairs.truth] = detections["iou"][pairs.predicted] = pairs.iou
    rows = np.concatenate([header_row(image_id, CONFUSION_DTYPE), true_rows, detections])
    rows["image_id"] = image_id
    return rows


def instance_confusion(rows: npt.NDArray[np.void], score_threshold: float = 0.0) -> Confusion:
    """(8, 8) int64 counts of instances: row = truth, column = prediction.

    Row and column i < 7 stand for the mask value i + 1. The last row holds false alarms (unmatched detections). The
    last column holds missed instances, including those whose match has too low a score. The first seven rows sum to the
    true instances of each class, the first seven columns to its detections. The cell [7, 7] is 0.

    Args:
        rows: rows of tiles (`CONFUSION_DTYPE`), each tile once.
        score_threshold: detections with a lower score do not count.

    Raises:
        ConfigError: if the threshold is NaN.
    """
    if np.isnan(score_threshold):
        raise ConfigError("score_threshold: expected a number, but got NaN.")
    counts = np.zeros((N_CLASSES, N_CLASSES), np.int64)
    kept = rows["score"] >= score_threshold
    detections = rows[(rows["kind"] == RowKind.DETECTION) & kept]
    missed = rows[(rows["kind"] == RowKind.TRUTH) & ~kept]
    np.add.at(counts, (_index(detections["true_class"]), _index(detections["predicted_class"])), 1)
    np.add.at(counts[:, N_SEEP_CLASSES], _index(missed["true_class"]), 1)
    return counts


def normalised(counts: Confusion) -> npt.NDArray[np.float64]:
    """(8, 8) float64 counts divided by the sum of their row; a row without instances is NaN.

    Args:
        counts: (8, 8) as from `instance_confusion`.

    >>> normalised(np.array([[3, 1], [0, 0]]))
    array([[0.75, 0.25],
           [ nan,  nan]])
    """
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)


def _index(classes: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Matrix indices of mask values: 1..7 become 0..6, and 0 (no match) becomes 7."""
    return (classes.astype(np.int64) - 1) % N_CLASSES
