"""Trainer handlers that stop on a non-finite loss, clip gradients and stop early."""

from __future__ import annotations

import logging

import torch
from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents
from torch import nn

from seep_monai import processes
from seep_monai.checks import number, whole_number
from seep_monai.errors import TrainingError, listed
from seep_monai.handlers.checkpoints import BestCheckpoint

logger = logging.getLogger(__name__)


class StopOnNonFiniteLoss:
    """Trainer handler that raises on a non-finite loss before the weights are updated."""

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Check the loss of this iteration.

        Raises:
            TrainingError: if it is NaN or infinite. The message names epoch, iteration and tiles.
        """
        loss = engine.state.output["loss"]
        if torch.isfinite(loss):
            return
        raise TrainingError(_message("loss", loss, engine))


class ClipGradients:
    """Trainer handler that clips the gradients to a total norm.

    Args:
        network: network whose gradients are clipped.
        max_norm: maximum L2 norm of all gradients together, above 0.
    """

    def __init__(self, network: nn.Module, max_norm: float) -> None:
        self.network, self.max_norm = network, number("max_grad_norm", max_norm, low=0)

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Clip the gradients, after unscaling if there is a gradient scaler.

        Raises:
            TrainingError: if the norm is NaN or infinite and there is no scaler.
        """
        scaler = getattr(engine, "scaler", None)
        if scaler is not None:
            scaler.unscale_(engine.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.max_norm)
        # A gradient scaler skips a step with non-finite gradients itself.
        if scaler is None and not torch.isfinite(norm):
            raise TrainingError(_message("gradient norm", norm, engine))


class StopEarly:
    """Trainer handler that stops the training when the key metric has not improved for `patience` validations.

    Args:
        best: the validator's handler that tracks the best validation.
        patience: number of validations without improvement; 0 never stops.
    """

    def __init__(self, best: BestCheckpoint, patience: int) -> None:
        self.best, self.patience = best, whole_number("patience", patience, at_least=0)

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer, after the validation handler and `LastCheckpoint`."""
        if self.patience:
            # At the start as well, because a run may be resumed that was killed while it stopped.
            engine.add_event_handler(Events.STARTED, self)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Terminate the training if the patience is exceeded."""
        if self.best.best.n_since >= self.patience:
            logger.info("stopping early: %s has not improved for %d validations", self.best.key_metric, self.patience)
            engine.terminate()


def _message(what: str, value: torch.Tensor, engine: Engine) -> str:
    # The value is the same in all processes, so all of them come here.
    batches = processes.gathered([str(tile) for tile in engine.state.batch.get("tile", [])])
    tiles = [tile for batch in batches for tile in batch]
    place = f"epoch {engine.state.epoch}, iteration {engine.state.iteration}"
    return (
        f"The {what} became {float(value.detach())} in {place}, on the tiles {listed(tiles)}. The last checkpoint is "
        "kept. Check these tiles, or lower --learning_rate and resume with --resume True."
    )
