"""The content of `metrics.json`: scores, their intervals over scenes, the confusion of instances."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.instances import ClassMap, Components, Floats, class_components, without_no_data
from seep_monai.metrics import IOU_THRESHOLDS, confusion_counts, instance_scores, pixel_scores
from seep_monai.metrics.confusion import (
    CONFUSION_IOU,
    FALSE_ALARM_ROW,
    MISSED_COLUMN,
    confusion_rows,
    instance_confusion,
)
from seep_monai.metrics.errors import error_counts, error_summary
from seep_monai.metrics.intervals import bootstrap_intervals, bootstrap_sums, paired_intervals, paired_sums
from seep_monai.metrics.recall import recall_counts, recall_scores, recall_summary, ring_ratios
from seep_monai.metrics.records import RowKind, instance_rows
from seep_monai.metrics.ribbon import ribbon_row, ribbon_scores
from seep_monai.report.tables import nested_metrics, value_at

Interval = tuple[float, float] | None
# Tables of the truth and of the prediction of one tile.
Pair = tuple[Components, Components]


@dataclass
class ScoredTiles:
    """The records of all tiles, one entry per tile in each list.

    Attributes:
        scenes: scene of each tile.
        instances: rows of matched instances (`metrics.records.ROW_DTYPE`).
        confusion: rows for the confusion matrix (`metrics.confusion.CONFUSION_DTYPE`).
        pixels: (8, 8) pixel counts.
        ribbons: (96,) counts of `metrics.ribbon`.
        errors: (7, 10) counts of `metrics.errors`.
        recall: (7, 9, 4) counts of `metrics.recall`.
        names: name of each tile.
    """

    scenes: list[str] = field(default_factory=list)
    instances: list[npt.NDArray[np.void]] = field(default_factory=list)
    confusion: list[npt.NDArray[np.void]] = field(default_factory=list)
    pixels: list[npt.NDArray[np.int64]] = field(default_factory=list)
    ribbons: list[npt.NDArray[np.float64]] = field(default_factory=list)
    errors: list[npt.NDArray[np.int64]] = field(default_factory=list)
    recall: list[npt.NDArray[np.int64]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(
        self,
        source: tuple[str, str],
        truth: ClassMap,
        predicted: ClassMap,
        *,
        by_class: Pair,
        detections: Pair,
        seeps: Pair,
        log_dn: Floats | None = None,
    ) -> None:
        """Record one tile.

        Args:
            source: its name and its scene.
            truth: (H, W) uint8, 0..7 and 255 = no-data.
            predicted: (H, W) uint8, 0..7, background where the truth is no-data.
            by_class: the true instances of the classes 1..7, and the predicted ones with the class each is given.
            detections: the same truth, and what AP ranks.
            seeps: the instances of any seep of truth and prediction.
            log_dn: (H, W) logarithm of DN, whatever its offset; None: contrasts are not known.
        """
        image_id = len(self.scenes)
        confusion = confusion_rows(image_id, *by_class)
        is_found = confusion["predicted_class"][confusion["kind"] == RowKind.TRUTH] > 0
        true = class_components(without_no_data(truth, truth=truth))
        self.names.append(source[0])
        self.scenes.append(source[1])
        self.instances.append(instance_rows(image_id, [detections, seeps], IOU_THRESHOLDS))
        self.confusion.append(confusion)
        self.pixels.append(confusion_counts(truth=truth, predicted=predicted))
        self.errors.append(error_counts(*by_class))
        self.recall.append(recall_counts(true, predicted, is_found, ring_ratios(true, log_dn, truth)))
        self.ribbons.append(ribbon_row(predicted, truth))

    def by_scene(self, records: Sequence[npt.NDArray[Any]]) -> dict[str, list[npt.NDArray[Any]]]:
        """One of the lists, divided by scene."""
        parts: dict[str, list[npt.NDArray[Any]]] = {}
        for scene, record in zip(self.scenes, records, strict=True):
            parts.setdefault(scene, []).append(record)
        return parts

    def selected(self, positions: Iterable[int]) -> ScoredTiles:
        """The tiles at `positions`, in this order, with the image ids 0, 1, .. by their new places."""
        chosen = list(positions)
        return ScoredTiles(
            scenes=[self.scenes[i] for i in chosen],
            instances=_with_new_ids(self.instances, chosen),
            confusion=_with_new_ids(self.confusion, chosen),
            pixels=[self.pixels[i] for i in chosen],
            ribbons=[self.ribbons[i] for i in chosen],
            errors=[self.errors[i] for i in chosen],
            recall=[self.recall[i] for i in chosen],
            names=[self.names[i] for i in chosen],
        )

    def scores(self) -> dict[str, float]:
        """The values of `InstanceAveragePrecision` and `PixelScores`, and those of ribbons as `ribbon_<key>`."""
        ribbons = ribbon_scores(np.sum(self.ribbons, axis=0))
        return {
            **pixel_scores(np.sum(self.pixels, axis=0)),
            **instance_scores(np.concatenate(self.instances)),
            **{f"ribbon_{key}": value for key, value in ribbons.items()},
            **recall_scores(np.sum(self.recall, axis=0)),
        }


def summarised(tiles: ScoredTiles, class_names: Sequence[str]) -> dict[str, Any]:
    """Everything that `metrics.json` says of the predictions; undefined is None.

    Args:
        tiles: the records of all tiles, at least one.
        class_names: of the labels 1..7, for the axes of the confusion matrix.
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
            "counts": instance_confusion(np.concatenate(tiles.confusion)).tolist(),
        },
    }
    metrics["errors"] = error_summary(np.sum(tiles.errors, axis=0))
    metrics["recall"] = recall_summary(np.sum(tiles.recall, axis=0))
    intervals = {place(key): interval for key, interval in scene_intervals(tiles).items()}
    metrics["ci95"] = {key: interval for key, interval in intervals.items() if _is_there(metrics, key)}
    return metrics


def scene_intervals(tiles: ScoredTiles) -> dict[str, Interval]:
    """95 % bootstrap intervals over scenes, by the names of `ScoredTiles.scores`; the same draws for all scores."""
    ribbons = bootstrap_sums(ribbon_scores, _sums(tiles, tiles.ribbons))
    return {
        **bootstrap_intervals(instance_scores, _rows(tiles)),
        **bootstrap_sums(pixel_scores, _sums(tiles, tiles.pixels)),
        **bootstrap_sums(recall_scores, _sums(tiles, tiles.recall)),
        **{f"ribbon_{key}": interval for key, interval in ribbons.items()},
    }


def difference_intervals(first: ScoredTiles, second: ScoredTiles) -> dict[str, Interval]:
    """As `scene_intervals`, of the differences first - second on the same scenes, which are drawn for both alike.

    Raises:
        DataError: if the scenes differ.
    """
    ribbons = paired_sums(ribbon_scores, _sums(first, first.ribbons), _sums(second, second.ribbons))
    return {
        **paired_intervals(instance_scores, _rows(first), _rows(second)),
        **paired_sums(pixel_scores, _sums(first, first.pixels), _sums(second, second.pixels)),
        **paired_sums(recall_scores, _sums(first, first.recall), _sums(second, second.recall)),
        **{f"ribbon_{key}": interval for key, interval in ribbons.items()},
    }


def place(key: str) -> str:
    """Where a flat score stands in `metrics.json`.

    >>> place("AP50_3"), place("seep_dice"), place("ribbon_f1_r1"), place("mAP50")
    ('classes.3.AP50', 'seep.dice', 'ribbon.f1_r1', 'mAP50')
    """
    for group in ("seep", "ribbon"):
        if key.startswith(f"{group}_"):
            return f"{group}.{key.removeprefix(f'{group}_')}"
    match = re.fullmatch(r"(.+)_([1-7])", key)
    return key if match is None else f"classes.{match[2]}.{match[1]}"


def _with_new_ids(records: Sequence[npt.NDArray[np.void]], positions: Sequence[int]) -> list[npt.NDArray[np.void]]:
    copies = [records[i].copy() for i in positions]
    for image_id, rows in enumerate(copies):
        rows["image_id"] = image_id
    return copies


def _rows(tiles: ScoredTiles) -> dict[str, npt.NDArray[Any]]:
    return {scene: np.concatenate(parts) for scene, parts in tiles.by_scene(tiles.instances).items()}


def _sums(tiles: ScoredTiles, counts: Sequence[npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {scene: np.sum(parts, axis=0) for scene, parts in tiles.by_scene(counts).items()}


def _is_there(metrics: Mapping[str, Any], key: str) -> bool:
    """Counts and what only means something as a whole have no interval."""
    if key.endswith("n_instances") or ".n_" in key:
        return False
    try:
        value_at(metrics, key)
    except KeyError:
        return False
    return True
