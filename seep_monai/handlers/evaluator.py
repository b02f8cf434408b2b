"""MONAI's evaluator for several processes."""

from __future__ import annotations

from ignite.engine import Events
from monai.engines import SupervisedEvaluator


class SharedEvaluator(SupervisedEvaluator):
    """`SupervisedEvaluator` whose handlers also run in a process that has no tile.

    MONAI's returns at once there, and the other processes would wait for its share of the scores.
    """

    def run(self, global_epoch: int = 1) -> None:
        """Evaluate the tiles of this process; see `SupervisedEvaluator.run`."""
        if self.state.epoch_length:
            super().run(global_epoch)
            return
        self.state.epoch = global_epoch
        for event in (Events.STARTED, Events.EPOCH_STARTED, Events.EPOCH_COMPLETED, Events.COMPLETED):
            self.fire_event(event)
