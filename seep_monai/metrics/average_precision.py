"""COCO's average precision and recall from the rows of matched tiles.

A class without truth has NaN, which every mean leaves out. A class with truth but without detections has 0.
Source: the accumulation in `pycocotools.cocoeval`, equal to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seep_monai.classes import SEEP_LABELS
from seep_monai.instances.components import ANY_SEEP
from seep_monai.metrics.matching import MAX_DETECTIONS, bits_to_matched
from seep_monai.metrics.records import RowKind

# Source: COCO evaluation, IoU .50:.05:.95.
COCO_IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
# Choice: the same step below .5, because a shift by one pixel halves the IoU of a slick three pixels wide.
LOW_IOU_THRESHOLDS = np.linspace(0.1, 0.5, 9)
# 17 thresholds: .50 is in both ranges.
IOU_THRESHOLDS = np.concatenate([LOW_IOU_THRESHOLDS[:-1], COCO_IOU_THRESHOLDS])
# Source: COCO evaluation, 101 recall levels.
RECALL_LEVELS = np.linspace(0.0, 1.0, 101)
# Index of IoU .50 in `IOU_THRESHOLDS`.
AT_50 = len(LOW_IOU_THRESHOLDS) - 1

_LOW = slice(0, len(LOW_IOU_THRESHOLDS))
_COCO = slice(len(LOW_IOU_THRESHOLDS) - 1, len(IOU_THRESHOLDS))
_AT_75 = AT_50 + 5
# Detections per tile and class for `mAR<n>`. Source: COCO evaluation.
_RECALL_LIMITS = (1, 10, MAX_DETECTIONS)


def precision_at_recall(
    scores: npt.NDArray[np.float64], matched: npt.NDArray[np.bool_], *, n_truth: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(T, 101) interpolated precision at recall 0, .01, .. 1, and (T,) recall of all detections.

    Args:
        scores: (n,) float64, in image-id order; equal scores keep this order.
        matched: (n, T) bool, True where the detection is matched at threshold t.
        n_truth: number of true instances. 0: both results are NaN.

    Returns:
        Precision is 0 at recall levels that are not reached.
    """
    n_thresholds = matched.shape[1]
    if n_truth == 0:
        return np.full((n_thresholds, len(RECALL_LEVELS)), np.nan), np.full(n_thresholds, np.nan)
    order = np.argsort(-scores, kind="stable")
    n_true = np.cumsum(matched[order], axis=0).astype(np.float64)
    n_false = np.cumsum(~matched[order], axis=0).astype(np.float64)
    recall = n_true / n_truth
    precision = n_true / (n_false + n_true + np.spacing(1))
    highest_to_the_right = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    # The extra row of zeros is for levels that are not reached: there searchsorted returns len(scores).
    padded = np.vstack([highest_to_the_right, np.zeros((1, n_thresholds))])
    curves = [padded[np.searchsorted(recall[:, t], RECALL_LEVELS), t] for t in range(n_thresholds)]
    total = recall[-1] if len(recall) else np.zeros(n_thresholds)
    return np.array(curves).reshape(n_thresholds, len(RECALL_LEVELS)), total


@dataclass(frozen=True, eq=False)
class GroupDetections:
    """The detections of one class, or of any seep, over all tiles.

    Attributes:
        scores: (n,) float64.
        matched: (n, T) bool, True where a detection is matched.
        rank: (n,) int64, rank by score within the tile, from 0.
        n_truth: number of true instances.
    """

    scores: npt.NDArray[np.float64]
    matched: npt.NDArray[np.bool_]
    rank: npt.NDArray[np.int64]
    n_truth: int

    def precision_recall(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(T, 101) precision and (T,) recall, see `precision_at_recall`."""
        return precision_at_recall(self.scores, self.matched, n_truth=self.n_truth)


def group_detections(rows: npt.NDArray[np.void], group: int) -> GroupDetections:
    """The detections of one class, or of any seep, in the order of `rows`."""
    mine = np.flatnonzero(rows["group"] == group)
    mine = mine[rows["kind"][mine] == RowKind.DETECTION]
    # Tiles are counted by headers, not image ids: a bootstrap sample may contain a tile twice.
    tile = np.searchsorted(np.flatnonzero(rows["kind"] == RowKind.TILE), mine)
    rank = np.arange(len(tile)) - np.searchsorted(tile, tile, side="left")
    detections = rows[mine]
    matched = bits_to_matched(detections["matches"], len(IOU_THRESHOLDS))
    return GroupDetections(detections["score"], matched, rank, count_truth(rows, group))


def count_truth(rows: npt.NDArray[np.void], group: int) -> int:
    """Number of true instances of a class, or of any seep."""
    return int(np.count_nonzero((rows["group"] == group) & (rows["kind"] == RowKind.TRUTH)))


def instance_scores(rows: npt.NDArray[np.void]) -> dict[str, float]:
    """AP, AR and instance counts, as Python floats; NaN where undefined.

    Args:
        rows: rows of matched tiles at `IOU_THRESHOLDS`, in image-id order, each tile once (`records.unique_tiles`).

    Returns:
        `mAP` (IoU .50:.95), `mAP50`, `mAP75`, `mAP10_50` (IoU .10:.50), and `mAR1`, `mAR10`, `mAR100` (IoU .50:.95, the
        1, 10 and 100 highest scores of each tile and class): means over the classes with truth.
        `AP_<k>`, `AP50_<k>`, `AP10_50_<k>`, `n_instances_<k>` for the mask values 1..7, and `n_instances`, their sum.
        `seep_AP`, `seep_AP50`, `seep_AP10_50`, `seep_n_instances` for any seep.
    """
    ap, recall = _by_group(rows, SEEP_LABELS)
    scores = {
        "mAP": _mean(ap[:, _COCO]),
        "mAP50": _mean(ap[:, AT_50]),
        "mAP75": _mean(ap[:, _AT_75]),
        "mAP10_50": _mean(ap[:, _LOW]),
        **{f"mAR{n}": _mean(values[:, _COCO]) for n, values in zip(_RECALL_LIMITS, recall, strict=True)},
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
    """(groups, T) AP, and (limits, groups, T) recall within each limit on the number of detections."""
    ap, recalls = [], []
    for group in groups:
        found = group_detections(rows, group)
        ap.append(found.precision_recall()[0].mean(axis=1))
        n_right = np.array([found.matched[found.rank < limit].sum(axis=0) for limit in _RECALL_LIMITS], np.float64)
        recalls.append(n_right / found.n_truth if found.n_truth else np.full_like(n_right, np.nan))
    return np.array(ap), np.stack(recalls, axis=1)


def _ap_values(ap: npt.NDArray[np.float64]) -> dict[str, float]:
    return {"AP": _mean(ap[_COCO]), "AP50": float(ap[AT_50]), "AP10_50": _mean(ap[_LOW])}


def _mean(values: npt.NDArray[np.float64]) -> float:
    """The mean of the defined values; NaN if there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
