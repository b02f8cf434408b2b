"""Evaluator handler that collects candidate objects for the fit of the object classifier."""

from __future__ import annotations

from ignite.engine import Engine, Events

from seep_monai.dataset.assembly import Assembly
from seep_monai.handlers.units import tile_unit
from seep_monai.objects.fitting import FittingTiles, tile_objects


class ObjectTiles:
    """Collects the candidate objects of all tiles for `fit_objects`. Batches give the `part` of each tile.

    Args:
        assembly: makes scenes of tiles; None: the candidates of each tile.
    """

    def __init__(self, assembly: Assembly | None = None) -> None:
        self.assembly = assembly or Assembly()
        self.tiles = FittingTiles()

    def attach(self, engine: Engine) -> None:
        """Attach to the evaluator."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)

    def reset(self, engine: Engine) -> None:
        """Remove all tiles."""
        self.tiles = FittingTiles()

    def update(self, engine: Engine) -> None:
        """Add the tiles of one batch, or the scenes that are complete with them."""
        for source, tile in zip(engine.state.batch, engine.state.output, strict=True):
            for unit in self.assembly.add(tile_unit(source, tile)):
                found = tile_objects(unit.probabilities, unit.image, unit.label, n_tiles=unit.n_tiles)
                (self.tiles.training if unit.part == "training" else self.tiles.validation).append(found)
