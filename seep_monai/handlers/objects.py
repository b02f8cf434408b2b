"""Evaluator handler that collects candidate objects for the fit of the object classifier."""

from __future__ import annotations

import numpy as np
from ignite.engine import Engine, Events

from seep_monai.objects.fitting import FittingTiles, tile_objects


class ObjectTiles:
    """Collects the candidate objects of all tiles for `fit_objects`. Batches give the `part` of each tile."""

    def __init__(self) -> None:
        self.tiles = FittingTiles()

    def attach(self, engine: Engine) -> None:
        """Attach to the evaluator."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)

    def reset(self, engine: Engine) -> None:
        """Remove all tiles."""
        self.tiles = FittingTiles()

    def update(self, engine: Engine) -> None:
        """Add the tiles of one batch."""
        for source, tile in zip(engine.state.batch, engine.state.output, strict=True):
            truth = tile["label"][0].cpu().numpy().astype(np.uint8)
            probabilities = tile["pred"].float().cpu().numpy()
            image = tile["image"][0].cpu().numpy()
            found = tile_objects(probabilities, image, truth)
            (self.tiles.training if source["part"] == "training" else self.tiles.validation).append(found)
