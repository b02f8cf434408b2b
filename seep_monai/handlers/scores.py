"""Validator handler: pooled pixel scores and instance AP from connected components, into `state.metrics`."""

from __future__ import annotations

from ignite.engine import Engine, Events

from seep_monai.instances.components import DEFAULT_SETTINGS, InstanceSettings
from seep_monai.metrics import InstanceAveragePrecision, PixelScores
from seep_monai.metrics.operating_point import operating_point


class SeepScores:
    """Feeds both metrics with every validation batch and writes their values into the engine's `state.metrics`.

    The engine's output is a list of dictionaries (one per tile) with `pred` (8, H, W) probabilities and `label` (1, H,
    W). Values are Python floats, NaN where undefined; names as in `InstanceAveragePrecision` and `PixelScores`.

    Args:
        settings: how instances are found.
    """

    def __init__(self, settings: InstanceSettings = DEFAULT_SETTINGS) -> None:
        self.instances = InstanceAveragePrecision(settings)
        self.pixels = PixelScores(settings)

    def attach(self, engine: Engine) -> None:
        """Follow the validator; in its list of handlers it stands first, for the others read its values."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.compute)

    def reset(self, engine: Engine) -> None:
        """Forget the previous validation."""
        self.instances.reset()
        self.pixels.reset()

    def update(self, engine: Engine) -> None:
        """Take in one batch."""
        predictions = [tile["pred"] for tile in engine.state.output]
        labels = [tile["label"] for tile in engine.state.output]
        self.instances(y_pred=predictions, y=labels)
        self.pixels(y_pred=predictions, y=labels)

    def compute(self, engine: Engine) -> None:
        """Write the values."""
        engine.state.metrics.update(self.pixels.aggregate())
        engine.state.metrics.update(self.instances.aggregate())
        # For the best checkpoint: where to cut the scores is chosen on validation tiles and stored with the weights.
        engine.state.operating_point = operating_point(self.instances.rows())
