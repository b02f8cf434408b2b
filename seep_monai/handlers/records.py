"""Evaluator handler: everything that a report needs of each tile, from one search for its instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ignite.engine import Engine, Events

from seep_monai.classes import DEFAULT_CLASS_NAMES, NO_DATA_LABEL
from seep_monai.coco import CocoRecords
from seep_monai.instances import (
    DEFAULT_SETTINGS,
    Floats,
    InstanceSettings,
    class_components,
    seep_components,
    without_no_data,
)
from seep_monai.metrics import IOU_THRESHOLDS, confusion_counts, pixel_scores
from seep_monai.metrics.confusion import confusion_rows
from seep_monai.metrics.errors import error_counts
from seep_monai.metrics.records import instance_rows
from seep_monai.metrics.ribbon import ribbon_row
from seep_monai.objects.finding import find_seeps
from seep_monai.objects.judge import ObjectJudge
from seep_monai.objects.places import MIDDLE
from seep_monai.report.panels import TilePicture
from seep_monai.report.summary import ScoredTiles

N_EXTREMES = 4


class TileRecords:
    """Gathers `ScoredTiles` and the pictures of the worst and best tiles, and writes the scores to `state.metrics`.

    Args:
        settings: how instances are found.
        class_names: of the labels 1..7, for the COCO files.
        judge: what rates and names objects; None: they are not judged.
    """

    def __init__(
        self,
        settings: InstanceSettings = DEFAULT_SETTINGS,
        class_names: Sequence[str] = DEFAULT_CLASS_NAMES,
        judge: ObjectJudge | None = None,
    ) -> None:
        self.judge = judge
        self.settings = settings
        self.class_names = class_names
        self._start()

    def attach(self, engine: Engine) -> None:
        """Follow the evaluator."""
        engine.add_event_handler(Events.EPOCH_STARTED, lambda: self._start())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.compute)

    def update(self, engine: Engine) -> None:
        """Take in one batch."""
        for source, tile in zip(engine.state.batch, engine.state.output, strict=True):
            self.add(source, tile)

    def add(self, source: Mapping[str, Any], tile: Mapping[str, Any]) -> None:
        """Take in one tile: `source` names it, `tile` has `image` (1, H, W), `label` (1, H, W) and `pred` (8, H, W)."""
        truth = tile["label"][0].cpu().numpy().astype(np.uint8)
        probabilities: Floats = tile["pred"].float().cpu().numpy()
        image = tile["image"][0].cpu().numpy()
        place = source.get("place", MIDDLE)
        valid = truth != NO_DATA_LABEL
        found = find_seeps(probabilities, image, self.settings, self.judge, valid=valid, place=place)
        known = without_no_data(truth, truth=truth)
        true = class_components(known)
        image_id = len(self.tiles.scenes)
        pairs = [(true, found.detections), (seep_components(known), found.seeps)]
        self.tiles.names.append(str(source["tile"]))
        self.tiles.scenes.append(str(source["scene"]))
        self.tiles.instances.append(instance_rows(image_id, pairs, IOU_THRESHOLDS))
        self.tiles.confusion.append(confusion_rows(image_id, true, found.by_class))
        self.tiles.pixels.append(confusion_counts(truth=truth, predicted=found.classes))
        self.tiles.errors.append(error_counts(true, found.by_class))
        self.tiles.ribbons.append(ribbon_row(found.classes, truth))
        self.coco.add_tile(f"{source['tile']}.tif", true, found.detections)
        dice = pixel_scores(self.tiles.pixels[-1])["seep_dice"]
        if not np.isnan(dice):
            picture = TilePicture(str(source["tile"]), image, truth, found.classes)
            self._keep_extremes(dice, picture)

    def compute(self, engine: Engine) -> None:
        """Write the scores."""
        engine.state.metrics.update(self.tiles.scores())

    def _start(self) -> None:
        self.tiles = ScoredTiles()
        self.coco = CocoRecords(self.class_names)
        self.worst: list[tuple[float, TilePicture]] = []
        self.best: list[tuple[float, TilePicture]] = []

    def _keep_extremes(self, dice: float, picture: TilePicture) -> None:
        """Only a few pictures stay in memory, whatever the number of tiles."""
        self.worst = sorted([*self.worst, (dice, picture)], key=lambda pair: pair[0])[:N_EXTREMES]
        self.best = sorted([*self.best, (dice, picture)], key=lambda pair: -pair[0])[:N_EXTREMES]
