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
from seep_monai.metrics import pixel_scores
from seep_monai.metrics.recall import missed_px
from seep_monai.objects.finding import find_seeps
from seep_monai.objects.judge import ObjectJudge
from seep_monai.report.panels import TilePicture
from seep_monai.report.summary import ScoredTiles

N_EXTREMES = 4
Ranked = tuple[float, TilePicture]


class TileRecords:
    """Gathers `ScoredTiles` and pictures of tiles, and writes the scores to `state.metrics`.

    Attributes:
        tiles: the records.
        coco: the instances for the COCO files.
        worst, best: a few tiles with the lowest and the highest seep Dice, and what it is.
        missed: a few tiles with the most missed seep pixels, and how many.

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

    def _start(self) -> None:
        self.tiles = ScoredTiles()
        self.coco = CocoRecords(self.class_names)
        self.worst: list[Ranked] = []
        self.best: list[Ranked] = []
        self.missed: list[Ranked] = []

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
        valid = truth != NO_DATA_LABEL
        found = find_seeps(probabilities, image, self.settings, self.judge, valid=valid)
        known = without_no_data(truth, truth=truth)
        true = class_components(known)
        self.tiles.add(
            (str(source["tile"]), str(source["scene"])),
            truth,
            found.classes,
            by_class=(true, found.by_class),
            detections=(true, found.detections),
            seeps=(seep_components(known), found.seeps),
            log_dn=image,
        )
        self.coco.add_tile(f"{source['tile']}.tif", true, found.detections)
        picture = TilePicture(str(source["tile"]), image, truth, found.classes)
        self.missed = _first([*self.missed, (missed_px(found.classes, truth), picture)], largest=True)
        dice = pixel_scores(self.tiles.pixels[-1])["seep_dice"]
        if not np.isnan(dice):
            self.worst = _first([*self.worst, (dice, picture)], largest=False)
            self.best = _first([*self.best, (dice, picture)], largest=True)

    def compute(self, engine: Engine) -> None:
        """Write the scores."""
        engine.state.metrics.update(self.tiles.scores())


def _first(ranked: list[Ranked], *, largest: bool) -> list[Ranked]:
    """A few pictures with the largest or the smallest numbers: only these stay in memory."""
    return sorted(ranked, key=lambda pair: -pair[0] if largest else pair[0])[:N_EXTREMES]
