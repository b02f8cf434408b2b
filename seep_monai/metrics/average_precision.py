"""COCO's average precision and recall from the rows of matched tiles.

Undefined (no truth of a class anywhere) is NaN and stays out of every mean; a class with truth and no detection has 0.
Source: the accumulation of COCO's evaluation (`pycocotools.cocoeval`), to the last bit of its float arithmetic.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seep_monai.classes import SEEP_LABELS
from seep_monai.instances import ANY_SEEP
from seep_monai.metrics.matching import bits_to_matched
from seep_monai.metrics.records import RowKind

# Source: COCO evaluation, IoU .50:.05:.95.
COCO_IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
# Choice: the same step below .5, since slicks three pixels wide lose half their IoU by one pixel.
LOW_IOU_THRESHOLDS = np.linspace(0.1, 0.5, 9)
# All 17: .50 stands in both ranges.
IOU_THRESHOLDS = np.concatenate([LOW_IOU_THRESHOLDS[:-1], COCO_IOU_THRESHOLDS])
# Source: COCO evaluation, 101 recall levels.
RECALL_LEVELS = np.linspace(0.0, 1.0, 101)

_LOW = slice(0, len(LOW_IOU_THRESHOLDS))
_COCO = slice(len(LOW_IOU_THRESHOLDS) - 1, len(IOU_THRESHOLDS))
_AT_50 = len(LOW_IOU_THRESHOLDS) - 1
_AT_75 = _AT_50 + 5


def precision_at_recall(
    scores: npt.NDArray[np.float64], matched: npt.NDArray[np.bool_], *, n_truth: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(T, 101) interpolated precision at the recall levels 0, .01, .. 1, and (T,) the recall of all detections.

    Args:
        scores: (n,) float64, detections in image-id order; equal scores stay in this order.
        matched: (n, T) bool, True where the detection is a true positive at threshold t.
        n_truth: number of true instances. 0: both results are NaN.

    Returns:
        Precision is 0 at recall levels that are never reached.
    """
    n_thresholds = matched.shape[1]
    if n_truth == 0:
        return np.full((n_thresholds, len(RECALL_LEVELS)), np.nan), np.full(n_thresholds, np.nan)
    ranked = matched[np.argsort(-scores, kind="stable")]
    n_true = np.cumsum(ranked, axis=0).astype(np.float64)
    n_false = np.cumsum(~ranked, axis=0).astype(np.float64)
    recall = n_true / n_truth
    precision = n_true / (n_false + n_true + np.spacing(1))
    highest_to_the_right = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    # One row of zeros more: where a level is never reached, searchsorted answers len(scores).
    padded = np.vstack([highest_to_the_right, np.zeros((1, n_thresholds))])
    curves = [padded[np.searchsorted(recall[:, t], RECALL_LEVELS), t] for t in range(n_thresholds)]
    total = recall[-1] if len(recall) else np.zeros(n_thresholds)
    return np.array(curves).reshape(n_thresholds, len(RECALL_LEVELS)), total


def group_precision_recall(
    rows: npt.NDArray[np.void], group: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """`precision_at_recall` of one class (1..7) or of `ANY_SEEP`, at the 17 `IOU_THRESHOLDS`.

    Args:
        rows: rows of matched tiles (`records.ROW_DTYPE`), in image-id order.
        group: mask value, or `ANY_SEEP`.
    """
    mine = rows[rows["group"] == group]
    detections = mine[mine["kind"] == RowKind.DETECTION]
    matched = bits_to_matched(detections["matches"], len(IOU_THRESHOLDS))
    return precision_at_recall(detections["score"], matched, n_truth=count_truth(rows, group))


def count_truth(rows: npt.NDArray[np.void], group: int) -> int:
    """Number of true instances of a class, or of any seep."""
    return int(np.count_nonzero((rows["kind"] == RowKind.TRUTH) & (rows["group"] == group)))


def instance_scores(rows: npt.NDArray[np.void]) -> dict[str, float]:
    """AP, AR and instance counts, as Python floats; NaN where undefined.

    Args:
        rows: rows of matched tiles at `IOU_THRESHOLDS`, in image-id order, each tile once (`records.unique_tiles`).

    Returns:
        `mAP` (IoU .50:.95), `mAP50`, `mAP75`, `mAP10_50` (IoU .10:.50), `mAR100`: means over the classes with truth.
        `AP_<k>`, `AP50_<k>`, `AP10_50_<k>`, `n_instances_<k>` for the mask values 1..7, and `n_instances`, their sum.
        `seep_AP`, `seep_AP50`, `seep_AP10_50`, `seep_n_instances` for any seep.
    """
    ap, recall = _by_group(rows, SEEP_LABELS)
    scores = {
        "mAP": _mean(ap[:, _COCO]),
        "mAP50": _mean(ap[:, _AT_50]),
        "mAP75": _mean(ap[:, _AT_75]),
        "mAP10_50": _mean(ap[:, _LOW]),
        "mAR100": _mean(recall[:, _COCO]),
        "n_instances": float(sum(count_truth(rows, k) for k in SEEP_LABELS)),
    }
    for k, row in zip(SEEP_LABELS, ap, strict=True):
        scores |= {f"{name}_{k}": value for name, value in _ap_values(row).items()}
        scores[f"n_instances_{k}"] = float(count_truth(rows, k))
    seep_ap, _ = _by_group(rows, (ANY_SEEP,))
    scores |= {f"seep_{name}": value for name, value in _ap_values(seep_ap[0]).items()}
    return scores | {"seep_n_instances": float(count_truth(rows, ANY_SEEP))}


def _by_group(
    rows: npt.NDArray[np.void], groups: tuple[int, ...]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(groups, T) AP and (groups, T) recall."""
    curves = [group_precision_recall(rows, group) for group in groups]
    return np.array([precision.mean(axis=1) for precision, _ in curves]), np.array([recall for _, recall in curves])


def _ap_values(ap: npt.NDArray[np.float64]) -> dict[str, float]:
    return {"AP": _mean(ap[_COCO]), "AP50": float(ap[_AT_50]), "AP10_50": _mean(ap[_LOW])}


def _mean(values: npt.NDArray[np.float64]) -> float:
    """The mean of the defined values; NaN if there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
