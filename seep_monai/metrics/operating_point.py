"""Precision, recall and F1 against the score threshold, and the threshold with the highest F1.

All values are at mask IoU .50, from the same rows as AP. Nothing is matched again, because lower scores cannot change
the matches of higher scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.classes import SEEP_LABELS
from seep_monai.instances.components import ANY_SEEP
from seep_monai.metrics.average_precision import AT_50, IOU_THRESHOLDS, group_detections


@dataclass(frozen=True, eq=False)
class ScoreCurve:
    """Precision, recall and F1 at each score threshold; arrays (n,) float64, one entry per distinct score.

    Attributes:
        scores: thresholds from high to low; detections with this score or a higher one are kept.
        precision: right detections / kept detections, in [0, 1].
        recall: right detections / true instances; NaN without truth.
        f1: 2 x right detections / (kept detections + true instances); NaN without truth.
    """

    scores: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]


def score_curve(rows: npt.NDArray[np.void], *groups: int) -> ScoreCurve:
    """Precision, recall and F1 at IoU .50 against the score, of one class or several pooled ones.

    Args:
        rows: rows of matched tiles at `IOU_THRESHOLDS` (`records.ROW_DTYPE`), each tile once.
        groups: mask values 1..7, or `ANY_SEEP`; if pooled, a right detection has the class of its match.
    """
    tables = [group_detections(rows, group) for group in groups]
    n_truth = sum(table.n_truth for table in tables)
    scores = np.concatenate([table.scores for table in tables])
    right = np.concatenate([table.matched[:, AT_50] for table in tables])
    # Scores .9, .5, .5, .2 with hits 1, 0, 1, 0: n_kept is 1, 3, 4 and n_right 1, 2, 2.
    negative, place = np.unique(-scores, return_inverse=True)
    n_kept = np.cumsum(np.bincount(place, minlength=len(negative)))
    n_right = np.cumsum(np.bincount(place, weights=right, minlength=len(negative)))
    if n_truth == 0:
        undefined = np.full(len(negative), np.nan)
        return ScoreCurve(-negative, n_right / n_kept, undefined, undefined)
    return ScoreCurve(-negative, n_right / n_kept, n_right / n_truth, 2 * n_right / (n_kept + n_truth))


def operating_point(rows: npt.NDArray[np.void]) -> dict[str, Any]:
    """Thresholds with the highest F1 and the scores there, ready for JSON; None where undefined.

    Args:
        rows: as for `score_curve`, of validation tiles, because the threshold is a setting of the model.

    Returns:
        `iou`: .5. `classes.<k>` for the mask values 1..7, `instances` for all classes under one threshold
        (`InstanceSettings.score_threshold`) and `seep` for any seep, each with `threshold`, `precision`, `recall` and
        `f1`.
    """
    return {
        "iou": float(IOU_THRESHOLDS[AT_50]),
        "classes": {str(k): _best(score_curve(rows, k)) for k in SEEP_LABELS},
        "instances": _best(score_curve(rows, *SEEP_LABELS)),
        "seep": _best(score_curve(rows, ANY_SEEP)),
    }


def _best(curve: ScoreCurve) -> dict[str, float | None]:
    names = ("threshold", "precision", "recall", "f1")
    if not np.any(curve.f1 > 0):
        return dict.fromkeys(names)
    # Scores are descending, so argmax returns the highest score of equal F1.
    best = int(np.argmax(curve.f1))
    values = (curve.scores[best], curve.precision[best], curve.recall[best], curve.f1[best])
    return {name: float(value) for name, value in zip(names, values, strict=True)}
