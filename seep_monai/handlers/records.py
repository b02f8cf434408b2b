"""Evaluator handler: the records of all tiles that a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ignite.engine import Engine, Events

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.instances.components import DEFAULT_SETTINGS, InstanceSettings
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.report.records import EvaluationRecords


class TileRecords:
    """Gathers `EvaluationRecords`, and writes the scores to `state.metrics`.

    Attributes:
        records: those of the last run.

    Args:
        settings: how instances are found.
        class_names: of the labels 1..7, for the COCO files.
        classifier: what rates and names objects; None: there is none.
    """

    def __init__(
        self,
        settings: InstanceSettings = DEFAULT_SETTINGS,
        class_names: Sequence[str] = DEFAULT_CLASS_NAMES,
        classifier: ObjectClassifier | None = None,
    ) -> None:
        self._new = lambda: EvaluationRecords(settings, class_names, classifier)
        self.records = self._new()

    def attach(self, engine: Engine) -> None:
        """Follow the evaluator."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.compute)

    def reset(self, engine: Engine) -> None:
        """Forget all tiles."""
        self.records = self._new()

    def update(self, engine: Engine) -> None:
        """Take in one batch."""
        for source, tile in zip(engine.state.batch, engine.state.output, strict=True):
            self.add(source, tile)

    def add(self, source: Mapping[str, Any], tile: Mapping[str, Any]) -> None:
        """Take in one tile: `source` names it, `tile` has `image` (1, H, W), `label` (1, H, W) and `pred` (8, H, W)."""
        self.records.add(
            (str(source["tile"]), str(source["scene"])),
            tile["image"][0].cpu().numpy(),
            tile["label"][0].cpu().numpy().astype(np.uint8),
            tile["pred"].float().cpu().numpy(),
        )

    def compute(self, engine: Engine) -> None:
        """Write the scores."""
        engine.state.metrics.update(self.records.tiles.scores())
