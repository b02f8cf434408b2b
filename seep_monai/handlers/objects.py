"""Evaluator handler: the candidates of training and validation tiles, to fit the object classifier to."""

from __future__ import annotations

import numpy as np
from ignite.engine import Engine, Events

from seep_monai.objects.fitting import FittingTiles, tile_objects


class ObjectTiles:
    """Gathers what `fit_objects` needs; batches name the `part` of each tile."""

    def __init__(self) -> None:
        self.tiles = FittingTiles()

    def attach(self, engine: Engine) -> None:
        """Follow the evaluator."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)

    def reset(self, engine: Engine) -> None:
        """Forget all tiles."""
        self.tiles = FittingTiles()

    def update(self, engine: Engine) -> None:
        """Take in one batch."""
        for source, tile in zip(engine.state.batch, engine.state.output, strict=True):
            truth = tile["label"][0].cpu().numpy().astype(np.uint8)
            probabilities = tile["pred"].float().cpu().numpy()
            image = tile["image"][0].cpu().numpy()
            found = tile_objects(probabilities, image, truth)
            (self.tiles.training if source["part"] == "training" else self.tiles.validation).append(found)
