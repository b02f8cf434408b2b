"""Pixel scores from pooled counts: one 8 x 8 confusion matrix over all tiles, then ratios.

A ratio 0 / 0, such as the IoU of a class in neither truth nor prediction, is NaN. Means leave it out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seep_monai.classes import N_CLASSES, NO_DATA_LABEL, SEEP_LABELS
from seep_monai.instances.components import ClassMap

Confusion = npt.NDArray[np.int64]


def confusion_counts(*, truth: ClassMap, predicted: ClassMap) -> Confusion:
    """(8, 8) int64 pixel counts, row = true class, column = predicted class.

    Args:
        truth: (H, W) uint8, 0..7 and 255 = no-data, which is ignored.
        predicted: (H, W) uint8, 0..7.

    >>> counts = confusion_counts(truth=np.array([[0, 1, 255]], np.uint8), predicted=np.array([[0, 2, 3]], np.uint8))
    >>> int(counts[0, 0]), int(counts[1, 2]), int(counts.sum())
    (1, 1, 2)
    """
    valid = truth != NO_DATA_LABEL
    if not valid.all():
        truth, predicted = truth[valid], predicted[valid]
    # Truth 3 and prediction 5 count in cell 3 * 8 + 5 = 29.
    cells = truth * np.uint8(N_CLASSES) + predicted
    return np.bincount(cells.ravel(), minlength=N_CLASSES**2).reshape(N_CLASSES, N_CLASSES).astype(np.int64)


def pixel_scores(confusion: Confusion) -> dict[str, float]:
    """IoU and Dice per class and for seep against no seep, as Python floats in [0, 1]; NaN for 0 / 0.

    Args:
        confusion: (8, 8) int64 counts, row = truth, column = prediction, summed over tiles.

    Returns:
        `iou_<k>` and `dice_<k>` for the mask values 1..7; `mean_iou`, the mean of the defined `iou_<k>`; `seep_iou`,
        `seep_dice`, `seep_precision` and `seep_recall`, where any seep class counts as seep; `named_<k>`, of the
        pixels of class k predicted as any seep the share predicted as k; `mean_named`, the mean of the defined ones.
    """
    scores: dict[str, float] = {}
    for k in SEEP_LABELS:
        scores |= {f"{name}_{k}": value for name, value in _overlap_scores(_one_against_rest(confusion, k)).items()}
    scores |= {f"named_{k}": ratio(int(confusion[k, k]), int(confusion[k, 1:].sum())) for k in SEEP_LABELS}
    for name in ("iou", "named"):
        defined = [scores[f"{name}_{k}"] for k in SEEP_LABELS if not np.isnan(scores[f"{name}_{k}"])]
        scores[f"mean_{name}"] = ratio(sum(defined), len(defined))
    hits, misses, false_alarms = seep = _seep_against_background(confusion)
    scores |= {f"seep_{name}": value for name, value in _overlap_scores(seep).items()}
    scores["seep_precision"] = ratio(hits, hits + false_alarms)
    scores["seep_recall"] = ratio(hits, hits + misses)
    return scores


def ratio(numerator: float, denominator: float) -> float:
    """The quotient; NaN where the denominator is 0."""
    return numerator / denominator if denominator else float("nan")


def _overlap_scores(counts: tuple[int, int, int]) -> dict[str, float]:
    hits, misses, false_alarms = counts
    return {"iou": ratio(hits, hits + misses + false_alarms), "dice": ratio(2 * hits, 2 * hits + misses + false_alarms)}


def _one_against_rest(confusion: Confusion, k: int) -> tuple[int, int, int]:
    """Hits, misses and false alarms of class k, in pixels."""
    hits = int(confusion[k, k])
    return hits, int(confusion[k].sum()) - hits, int(confusion[:, k].sum()) - hits


def _seep_against_background(confusion: Confusion) -> tuple[int, int, int]:
    """Hits, misses and false alarms of any seep, in pixels."""
    return int(confusion[1:, 1:].sum()), int(confusion[1:, 0].sum()), int(confusion[0, 1:].sum())
