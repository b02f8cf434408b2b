"""Trainer handlers that keep a run sane: non-finite losses stop it, gradients are clipped, patience ends it."""

from __future__ import annotations

import logging

import torch
from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents
from torch import nn

from seep_monai.checks import number, whole_number
from seep_monai.errors import TrainingError, listed
from seep_monai.handlers.checkpoints import BestCheckpoint

logger = logging.getLogger(__name__)


class StopOnNonFiniteLoss:
    """Raises before the weights take harm, so that the last checkpoint stays good."""

    def attach(self, engine: Engine) -> None:
        """Follow the trainer."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Look at the loss of this iteration.

        Raises:
            TrainingError: if it is NaN or infinite; names epoch, iteration and tiles.
        """
        loss = engine.state.output["loss"]
        if torch.isfinite(loss):
            return
        raise TrainingError(_message("loss", loss, engine))


class ClipGradients:
    """Scales the gradients down to a total norm.

    Args:
        network: whose gradients are clipped.
        max_norm: largest L2 norm of all gradients together, above 0.
    """

    def __init__(self, network: nn.Module, max_norm: float) -> None:
        self.network, self.max_norm = network, number("max_grad_norm", max_norm, low=0)

    def attach(self, engine: Engine) -> None:
        """Follow the trainer."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Clip; with a gradient scaler after unscaling, which the following step then knows of.

        Raises:
            TrainingError: if the norm is NaN or infinite and there is no scaler.
        """
        scaler = getattr(engine, "scaler", None)
        if scaler is not None:
            scaler.unscale_(engine.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.max_norm)
        # A scaler leaves such a step out by itself; without one it would spoil the weights.
        if scaler is None and not torch.isfinite(norm):
            raise TrainingError(_message("gradient norm", norm, engine))


class StopEarly:
    """Ends the training when the key metric has not improved for some validations.

    Args:
        best: the validator's handler, whose record is watched.
        patience: validations without improvement, at least 1; 0 never stops.
    """

    def __init__(self, best: BestCheckpoint, patience: int) -> None:
        self.best, self.patience = best, whole_number("patience", patience, at_least=0)

    def attach(self, engine: Engine) -> None:
        """Follow the trainer; in its list of handlers it stands behind the validation."""
        if self.patience:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Terminate where patience is over."""
        if self.best.best.n_since >= self.patience:
            logger.info("stopping early: %s has not improved for %d validations", self.best.key_metric, self.patience)
            engine.terminate()


def _message(what: str, value: torch.Tensor, engine: Engine) -> str:
    tiles = [str(tile) for tile in engine.state.batch.get("tile", [])]
    return (
        f"The {what} became {float(value)} in epoch {engine.state.epoch}, iteration {engine.state.iteration}, on the "
        f"tiles {listed(tiles)}. The last checkpoint is kept. Look at these tiles, or lower --learning_rate and "
        "--resume True."
    )
