"""Records of scored tiles: all counts that scores are computed from, tile by tile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.instances.components import ClassMap, Components, Floats, class_components, without_no_data
from seep_monai.metrics.average_precision import IOU_THRESHOLDS, instance_scores
from seep_monai.metrics.confusion import confusion_rows
from seep_monai.metrics.errors import error_counts
from seep_monai.metrics.intervals import ScoreFunction
from seep_monai.metrics.matching import MAX_DETECTIONS
from seep_monai.metrics.pixels import confusion_counts, pixel_scores
from seep_monai.metrics.recall import recall_counts, recall_scores, ring_ratios
from seep_monai.metrics.records import RowKind, instance_rows
from seep_monai.metrics.ribbon import ribbon_row, ribbon_scores

# True and predicted components of one tile.
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
        n_tiles: int = 1,
    ) -> None:
        """Add one tile.

        Args:
            source: name and scene of the tile.
            truth: (H, W) uint8, 0..7 and 255 = no-data.
            predicted: (H, W) uint8, 0..7, background where the truth is no-data.
            by_class: the true and the predicted instances of the classes 1..7.
            detections: the same truth, and the detections that AP ranks.
            seeps: the true and the predicted instances of any seep.
            log_dn: (H, W) logarithm of DN, with any offset; None: contrasts are unknown.
            n_tiles: number of tiles of a scene; so many times as many detections of each class count.
        """
        image_id = len(self.scenes)
        confusion = confusion_rows(image_id, *by_class)
        is_found = confusion["predicted_class"][confusion["kind"] == RowKind.TRUTH] > 0
        true = class_components(without_no_data(truth, truth=truth))
        self.names.append(source[0])
        self.scenes.append(source[1])
        self.instances.append(instance_rows(image_id, [detections, seeps], IOU_THRESHOLDS, MAX_DETECTIONS * n_tiles))
        self.confusion.append(confusion)
        self.pixels.append(confusion_counts(truth=truth, predicted=predicted))
        self.errors.append(error_counts(*by_class))
        self.recall.append(recall_counts(true, predicted, is_found, ring_ratios(true, log_dn, truth)))
        self.ribbons.append(ribbon_row(predicted, truth))

    def extend(self, tiles: ScoredTiles) -> None:
        """Add all of `tiles`; image ids are not changed (see `selected`)."""
        for name, records in vars(tiles).items():
            getattr(self, name).extend(records)

    def pooled(self, name: str) -> npt.NDArray[Any]:
        """The records in one of the lists as one array: rows are concatenated, counts are summed."""
        return _pooled(getattr(self, name))

    def by_scene(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """As `pooled`, of each scene."""
        parts: dict[str, list[npt.NDArray[Any]]] = {}
        for scene, record in zip(self.scenes, getattr(self, name), strict=True):
            parts.setdefault(scene, []).append(record)
        return {scene: _pooled(records) for scene, records in parts.items()}

    def selected(self, positions: Iterable[int]) -> ScoredTiles:
        """The tiles at `positions`, in this order, with new image ids 0, 1, .."""
        chosen = list(positions)
        tiles = ScoredTiles(**{name: [values[i] for i in chosen] for name, values in vars(self).items()})
        for lists in (tiles.instances, tiles.confusion):
            for image_id, rows in enumerate(lists):
                lists[image_id] = rows.copy()
                lists[image_id]["image_id"] = image_id
        return tiles

    def scores(self) -> dict[str, float]:
        """All scores: of instances, of pixels, recalls, and of ribbons as `ribbon_<key>`."""
        scores = [score_function(self.pooled(name)) for name, score_function in SCORE_FUNCTIONS.items()]
        return {key: value for of_kind in scores for key, value in of_kind.items()}


def _pooled(records: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(records) if records[0].dtype.names else np.sum(records, axis=0)


def _ribbon_scores(counts: npt.NDArray[np.float64]) -> dict[str, float]:
    return {f"ribbon_{key}": value for key, value in ribbon_scores(counts).items()}


# The scores of each kind of record, in the order of `ci95` in metrics.json.
SCORE_FUNCTIONS: Mapping[str, ScoreFunction] = {
    "instances": instance_scores,
    "pixels": pixel_scores,
    "recall": recall_scores,
    "ribbons": _ribbon_scores,
}
