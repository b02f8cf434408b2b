"""Average precision (AP) by the rules of other programs, to compare their figures with ours.

The rules differ in the area under the precision-recall curve. COCO's rule, which we use, sets precision to 0 above the
highest recall reached. Ultralytics 8.0 to 8.3 (and the first releases of 8.4) draws a straight line from that point to
recall 1 and precision 0, which raises AP, most of all for models with few detections. Later versions follow COCO. Only
this area rule is reproduced, not the matching order or the limits on scores and detections.
Source: the rule of `compute_ap` in Ultralytics 8.3. COCO's rule is in `average_precision`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from seep_monai.classes import SEEP_LABELS
from seep_monai.instances.components import ANY_SEEP, Floats
from seep_monai.markdown import markdown_table
from seep_monai.metrics.average_precision import (
    AT_50,
    RECALL_LEVELS,
    GroupDetections,
    group_detections,
)


def coco_ap(found: GroupDetections) -> Floats:
    """(T,) AP at each IoU threshold by COCO's rule; NaN without truth."""
    return found.precision_recall()[0].mean(axis=1)


def ultralytics_ap(found: GroupDetections) -> Floats:
    """(T,) AP at each IoU threshold by the rule of Ultralytics 8.0 to 8.3; NaN without truth, 0 without detections."""
    n_thresholds = found.matched.shape[1]
    if not found.n_truth:
        return np.full(n_thresholds, np.nan)
    if not len(found.scores):
        return np.zeros(n_thresholds)
    right = found.matched[np.argsort(-found.scores, kind="stable")]
    n_right = right.cumsum(axis=0)
    recall, precision = n_right / found.n_truth, n_right / np.arange(1, len(right) + 1)[:, None]
    return np.array([_area(recall[:, t], precision[:, t]) for t in range(n_thresholds)])


RULES: Mapping[str, Callable[[GroupDetections], Floats]] = {"COCO": coco_ap, "Ultralytics 8.0-8.3": ultralytics_ap}


def scores_by_rule(rows: npt.NDArray[np.void]) -> dict[str, dict[str, float]]:
    """Scores by rule: seep AP50 and AP50-95, mAP50 and mAP50-95 over the classes with truth, AP50 of each class.

    Args:
        rows: rows of matched tiles (`records.ROW_DTYPE`) at `IOU_THRESHOLDS`, each tile once. No truth gives NaN.
    """
    groups = {group: group_detections(rows, group) for group in (ANY_SEEP, *SEEP_LABELS)}
    return {
        rule: _scores({group: area(found)[AT_50:] for group, found in groups.items()}) for rule, area in RULES.items()
    }


def rules_text(scores: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table with one column per rule."""
    names = list(next(iter(scores.values())))
    rows = [[name, *(f"{scores[rule][name]:.3f}" for rule in scores)] for name in names]
    return markdown_table(["AP by", *scores], rows)


def _area(recall: Floats, precision: Floats) -> float:
    """Area under the envelope of the curve with end points (0, 1) and (1, 0) added, by 100 trapezoids."""
    closed = np.concatenate([[1.0], precision, [0.0]])
    envelope = np.maximum.accumulate(closed[::-1])[::-1]
    return float(
        np.trapezoid(np.interp(RECALL_LEVELS, np.concatenate([[0.0], recall, [1.0]]), envelope), RECALL_LEVELS)
    )


def _scores(ap: Mapping[int, Floats]) -> dict[str, float]:
    classes = [ap[label] for label in SEEP_LABELS if not np.isnan(ap[label]).any()]
    mean = np.mean(classes, axis=0) if classes else np.full_like(ap[ANY_SEEP], np.nan)
    return {
        "seep AP50": float(ap[ANY_SEEP][0]),
        "seep AP50-95": float(ap[ANY_SEEP].mean()),
        "mAP50": float(mean[0]),
        "mAP50-95": float(mean.mean()),
        **{f"AP50 of class {label}": float(ap[label][0]) for label in SEEP_LABELS},
    }
