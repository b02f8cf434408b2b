"""Evaluator handler that collects the records of all tiles for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ignite.engine import Engine, Events

from seep_monai import processes
from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.dataset.assembly import Assembly
from seep_monai.handlers.units import tile_unit
from seep_monai.instances.components import DEFAULT_SETTINGS, InstanceSettings
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.report.records import EvaluationRecords


class TileRecords:
    """Collects `EvaluationRecords`, and writes the scores to `state.metrics`.

    Several processes must have shares of the units dealt in turn, see `dataset.shares`.

    Args:
        settings: settings of the instances.
        class_names: names of the labels 1..7, for the COCO files.
        classifier: the object classifier, or None.
        assembly: makes scenes of tiles; None: each tile is scored by itself.

    Attributes:
        records: the records of the last run.
    """

    def __init__(
        self,
        settings: InstanceSettings = DEFAULT_SETTINGS,
        class_names: Sequence[str] = DEFAULT_CLASS_NAMES,
        classifier: ObjectClassifier | None = None,
        assembly: Assembly | None = None,
    ) -> None:
        self.assembly = assembly or Assembly()
        self._new = lambda: EvaluationRecords(settings, class_names, classifier)
        self.records = self._new()

    def attach(self, engine: Engine) -> None:
        """Attach to the evaluator."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.compute)

    def reset(self, engine: Engine) -> None:
        """Remove all records."""
        self.records = self._new()

    def update(self, engine: Engine) -> None:
        """Add the tiles of one batch."""
        for source, tile in zip(engine.state.batch, engine.state.output, strict=True):
            self.add(source, tile)

    def add(self, source: Mapping[str, Any], tile: Mapping[str, Any]) -> None:
        """Add one tile, or the scene that is complete with it; see `tile_unit`."""
        for unit in self.assembly.add(tile_unit(source, tile)):
            source_of = unit.name, unit.scene
            self.records.add(source_of, unit.image, unit.label, unit.probabilities, n_tiles=unit.n_tiles)

    def compute(self, engine: Engine) -> None:
        """Merge the records of all processes, and write the scores to `state.metrics`."""
        if processes.world_size() > 1:
            self.records = EvaluationRecords.merged(processes.gathered(self.records))
        engine.state.metrics.update(self.records.tiles.scores())
