"""The scores of one evaluation as `metrics.json`, as `metrics.csv` and as text for a terminal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from seep_monai.classes import SEEP_LABELS
from seep_monai.metrics.recall import LARGE_RECALL

_HEADLINE = ("mAP", "mAP50", "mAP75", "mAP10_50", "mAR1", "mAR10", "mAR100", "mean_named")
_SEEP = ("iou", "dice", "precision", "recall", "AP", "AP50", "AP10_50")
_PER_CLASS = ("iou", "dice", "named", "AP", "AP50", "AP10_50", "n_instances")
_COUNTS = ("n_instances",)
# The headline scores: name -> dotted key in metrics.json.
HEADLINE_ROWS = (
    ("seep Dice", "seep.dice"),
    ("seep IoU", "seep.iou"),
    ("seep F1 within 1 px", "ribbon.f1_r1"),
    ("seep clDice", "ribbon.cldice"),
    ("pixel recall above 1,500 px", LARGE_RECALL),
    ("seep AP50", "seep.AP50"),
    ("seep AP10-50", "seep.AP10_50"),
    ("seep PQ", "ribbon.pq_seep"),
    ("mAP50", "mAP50"),
    ("mAP50-95", "mAP"),
    ("mAP10-50", "mAP10_50"),
    ("mAR100", "mAR100"),
    ("found px with correct class", "mean_named"),
    ("false alarms per tile", "ribbon.false_alarms_per_tile"),
)
_COMPARED = ("seep Dice", "seep IoU", "seep AP50", "mAP50", "mAP50-95")


def nested_metrics(flat: Mapping[str, float]) -> dict[str, Any]:
    """The flat scores in the structure of `metrics.json`; NaN (undefined) becomes None.

    Args:
        flat: score by name; a missing name is a KeyError.
    """
    return {
        **{name: _number(name, flat[name]) for name in _HEADLINE},
        "n_instances": _number("n_instances", flat["n_instances"]),
        "classes": {
            str(label): {name: _number(name, flat[f"{name}_{label}"]) for name in _PER_CLASS} for label in SEEP_LABELS
        },
        "seep": {name: _number(name, flat[f"seep_{name}"]) for name in _SEEP},
    }


def value_at(metrics: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key.

    >>> value_at({"seep": {"dice": 0.5}}, "seep.dice")
    0.5
    """
    content: Any = metrics
    for part in key.split("."):
        content = content[part]
    return content


def headline_text(metrics: Mapping[str, Any]) -> str:
    """The headline scores, one per line, each with its 95 % interval over scenes if there is one."""
    return "\n".join(f"{name:<28}{with_interval(metrics, key)}" for name, key in HEADLINE_ROWS)


def metrics_csv(metrics: Mapping[str, Any], class_names: Sequence[str]) -> str:
    """One row per class and one for seep / no seep, with 95 % intervals; undefined values are empty cells."""
    scores = (*(name for name in _PER_CLASS if name not in _COUNTS), "precision", "recall")
    limits = [f"{name}_{end}" for name in scores for end in ("low", "high")]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, ["label", "name", *_COUNTS, *scores, *limits, "part", "leaky"], lineterminator="\n")
    writer.writeheader()
    origin = {"part": metrics["part"], "leaky": str(metrics["leaky"]).lower()}
    names = {str(label): name for label, name in zip(SEEP_LABELS, class_names, strict=True)}
    for label, name in {**names, "1-7": "seep / no seep"}.items():
        place = f"classes.{label}" if label in names else "seep"
        # None is written as an empty cell.
        intervals = [metrics["ci95"].get(f"{place}.{key}") or (None, None) for key in scores]
        ends = dict(zip(limits, (end for interval in intervals for end in interval), strict=True))
        writer.writerow({"label": label, "name": name, **value_at(metrics, place), **ends, **origin})
    return buffer.getvalue()


def headline(metrics: Mapping[str, Any]) -> str:
    """The main scores of `metrics.json` in one line."""
    seep = metrics["seep"]
    return (
        f"seep Dice {shown(seep['dice'])}, seep IoU {shown(seep['iou'])}, seep AP50 {shown(seep['AP50'])}, "
        f"mAP50 {shown(metrics['mAP50'])}, mAP {shown(metrics['mAP'])}"
        + (" (leaky split)" if metrics.get("leaky") else "")
    )


def comparison_table(columns: Mapping[str, Mapping[str, Any]]) -> str:
    """A text table of scores with 95 % intervals: one row per score, one column per evaluation.

    Args:
        columns: name -> metrics in the structure of `metrics.json`.
    """
    rows = {
        name: [with_interval(metrics, key) for metrics in columns.values()]
        for name, key in HEADLINE_ROWS
        if name in _COMPARED
    }
    cells = [*columns, *(text for texts in rows.values() for text in texts)]
    width = max(16, *map(len, cells)) + 2
    lines = [f"{'':<12}" + "".join(f"{name:>{width}}" for name in columns)]
    lines += [f"{name:<12}" + "".join(f"{text:>{width}}" for text in texts) for name, texts in rows.items()]
    return "\n".join(lines)


def with_interval(metrics: Mapping[str, Any], key: str) -> str:
    """The value at a dotted key of `metrics.json`, with its 95 % interval in brackets if there is one."""
    interval = metrics.get("ci95", {}).get(key)
    limits = "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
    return shown(value_at(metrics, key)) + limits


def _number(name: str, value: float) -> float | int | None:
    if math.isnan(value):
        return None
    return int(value) if name in _COUNTS else float(value)


def shown(value: float | None) -> str:
    """The value with three decimals; None is "undefined".

    >>> shown(0.12345), shown(None)
    ('0.123', 'undefined')
    """
    return "undefined" if value is None else f"{value:.3f}"
