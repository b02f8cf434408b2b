"""Records of scored tiles: all counts that scores are computed from, tile by tile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.instances.components import ClassMap, Components, Floats, class_components, without_no_data
from seep_monai.metrics.average_precision import IOU_THRESHOLDS, instance_scores
from seep_monai.metrics.confusion import confusion_rows
from seep_monai.metrics.errors import error_counts
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

    def by_scene(self, records: Sequence[npt.NDArray[Any]]) -> dict[str, list[npt.NDArray[Any]]]:
        """The entries of one of the lists, by scene."""
        parts: dict[str, list[npt.NDArray[Any]]] = {}
        for scene, record in zip(self.scenes, records, strict=True):
            parts.setdefault(scene, []).append(record)
        return parts

    def selected(self, positions: Iterable[int]) -> ScoredTiles:
        """The tiles at `positions`, in this order, with new image ids 0, 1, .."""
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
        """All scores: of instances, of pixels, of ribbons as `ribbon_<key>`, and recalls."""
        ribbons = ribbon_scores(np.sum(self.ribbons, axis=0))
        return {
            **pixel_scores(np.sum(self.pixels, axis=0)),
            **instance_scores(np.concatenate(self.instances)),
            **{f"ribbon_{key}": value for key, value in ribbons.items()},
            **recall_scores(np.sum(self.recall, axis=0)),
        }


def _with_new_ids(records: Sequence[npt.NDArray[np.void]], positions: Sequence[int]) -> list[npt.NDArray[np.void]]:
    copies = [records[i].copy() for i in positions]
    for image_id, rows in enumerate(copies):
        rows["image_id"] = image_id
    return copies
