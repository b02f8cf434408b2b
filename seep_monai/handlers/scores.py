"""Validator handler that writes pooled pixel scores and instance AP to `state.metrics`."""

from __future__ import annotations

from ignite.engine import Engine, Events

from seep_monai import processes
from seep_monai.instances.components import DEFAULT_SETTINGS, InstanceSettings
from seep_monai.metrics import InstanceAveragePrecision, PixelScores
from seep_monai.metrics.operating_point import operating_point


class SeepScores:
    """Updates both metrics with every validation batch and writes their values to the engine's `state.metrics`.

    The engine's output is a list of dictionaries, one per tile, with `pred` (8, H, W) probabilities and `label`
    (1, H, W). Values are floats, NaN if undefined. For names see `InstanceAveragePrecision` and `PixelScores`.

    Args:
        settings: settings of the instances.
    """

    def __init__(self, settings: InstanceSettings = DEFAULT_SETTINGS) -> None:
        self.instances = InstanceAveragePrecision(settings)
        self.pixels = PixelScores(settings)

    def attach(self, engine: Engine) -> None:
        """Attach to the validator, before all other handlers, because they read the values."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.compute)

    def reset(self, engine: Engine) -> None:
        """Reset both metrics."""
        self.instances.reset()
        self.pixels.reset()

    def update(self, engine: Engine) -> None:
        """Add the tiles of one batch."""
        predictions = [tile["pred"] for tile in engine.state.output]
        labels = [tile["label"] for tile in engine.state.output]
        self.instances(y_pred=predictions, y=labels)
        self.pixels(y_pred=predictions, y=labels)

    def compute(self, engine: Engine) -> None:
        """Write the values over the tiles of all processes to `state.metrics`."""
        scores = {**self.pixels.aggregate(), **self.instances.aggregate()}
        # Those of process 0: a last bit that differs on another machine must not give another decision there.
        engine.state.metrics.update(processes.by_first(lambda: scores)())
        # `BestCheckpoint` stores the score thresholds chosen on the validation tiles with the weights.
        engine.state.operating_point = operating_point(self.instances.rows())
