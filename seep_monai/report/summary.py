"""The content of `metrics.json`: scores, intervals over scenes, and counts of instances."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seep_monai.metrics.confusion import CONFUSION_IOU, FALSE_ALARM_ROW, MISSED_COLUMN, instance_confusion
from seep_monai.metrics.errors import error_summary
from seep_monai.metrics.intervals import Interval, bootstrap_intervals
from seep_monai.metrics.recall import recall_summary
from seep_monai.metrics.ribbon import ribbon_scores
from seep_monai.metrics.scored_tiles import SCORE_FUNCTIONS, ScoredTiles
from seep_monai.report.tables import nested_metrics, value_at

# Format of metrics.json. Increased when the meaning of a key changes.
METRICS_FORMAT = 2


def summarised(tiles: ScoredTiles, class_names: Sequence[str]) -> dict[str, Any]:
    """All scores, intervals and counts in `metrics.json`; undefined values are None.

    Args:
        tiles: the records of all tiles, at least one.
        class_names: names of the labels 1..7, for the axes of the confusion matrix.
    """
    flat = tiles.scores()
    ribbons = {key.removeprefix("ribbon_"): value for key, value in flat.items() if key.startswith("ribbon_")}
    metrics = {
        **nested_metrics(flat),
        "ribbon": {key: None if math.isnan(value) else value for key, value in ribbons.items()},
        "confusion_matrix": {
            "iou": CONFUSION_IOU,
            "rows": [*class_names, FALSE_ALARM_ROW],
            "columns": [*class_names, MISSED_COLUMN],
            "counts": instance_confusion(tiles.pooled("confusion")).tolist(),
        },
        "errors": error_summary(tiles.pooled("errors")),
        "recall": recall_summary(tiles.pooled("recall")),
    }
    intervals = {place(key): interval for key, interval in scene_intervals(tiles).items()}
    metrics["ci95"] = {key: interval for key, interval in intervals.items() if _is_there(metrics, key)}
    return metrics


def false_alarms_by_area(tiles: ScoredTiles, pixel_size_m: float | None) -> float | None:
    """Predicted seeps without a true one within 3 px, per 1,000 km2 of pixels with data.

    Args:
        tiles: the records of all tiles or scenes.
        pixel_size_m: size of a pixel; None: unknown, and the result is None.
    """
    if pixel_size_m is None:
        return None
    n_alarms = ribbon_scores(tiles.pooled("ribbons"))["false_alarms_per_tile"] * len(tiles.ribbons)
    n_px = int(np.sum(tiles.pixels))
    return n_alarms / (n_px * pixel_size_m**2 / 1e9)


def scene_intervals(tiles: ScoredTiles, *, minus: ScoredTiles | None = None) -> dict[str, Interval]:
    """95 % bootstrap intervals over scenes by the keys of `ScoredTiles.scores`; all scores use the same draws.

    Args:
        tiles: the records of all tiles.
        minus: the records of a second model on the same scenes; the intervals are those of the differences
            tiles - minus. None: one model.

    Raises:
        DataError: if the scenes differ.
    """
    intervals: dict[str, Interval] = {}
    for name, score_function in SCORE_FUNCTIONS.items():
        others = None if minus is None else minus.by_scene(name)
        intervals |= bootstrap_intervals(score_function, tiles.by_scene(name), minus=others, summed=name != "instances")
    return intervals


def place(key: str) -> str:
    """Dotted key in `metrics.json` of a flat score.

    >>> place("AP50_3"), place("seep_dice"), place("ribbon_f1_r1"), place("mAP50")
    ('classes.3.AP50', 'seep.dice', 'ribbon.f1_r1', 'mAP50')
    """
    for group in ("seep", "ribbon"):
        if key.startswith(f"{group}_"):
            return f"{group}.{key.removeprefix(f'{group}_')}"
    match = re.fullmatch(r"(.+)_([1-7])", key)
    return key if match is None else f"classes.{match[2]}.{match[1]}"


def _is_there(metrics: Mapping[str, Any], key: str) -> bool:
    """Whether a score has an interval: it is in `metrics` and is not a count."""
    if key.endswith("n_instances") or ".n_" in key:
        return False
    try:
        value_at(metrics, key)
    except KeyError:
        return False
    return True
