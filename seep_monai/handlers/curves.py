"""TensorBoard curves of the trainer and the validator."""

from __future__ import annotations

import logging
import math
import time

import torch
from ignite.engine import Engine, Events

from seep_monai.classes import SEEP_LABELS
from seep_monai.handlers.writer import RunWriter
from seep_monai.network.losses import SeepLoss

logger = logging.getLogger(__name__)

_HEADLINE = ("mAP", "mAP50", "mAP75", "mAP10_50", "mAR100", "mean_iou")
_SEEP = ("dice", "iou", "precision", "recall", "AP", "AP50", "AP10_50")
_PER_CLASS = ("iou", "dice", "AP50")


class TrainingCurves:
    """Trainer handler that writes loss, terms and speed per epoch, and loss and learning rate every few iterations.

    Args:
        writer: the shared TensorBoard writer of the run.
        loss: the loss, whose terms are read after each iteration.
        optimizer: optimiser whose learning rate is written.
        interval: iterations between two points of `train_iterations/*`.
    """

    def __init__(
        self, writer: RunWriter, loss: SeepLoss, optimizer: torch.optim.Optimizer, *, interval: int = 10
    ) -> None:
        self.writer, self.loss, self.optimizer = writer, loss, optimizer
        self.interval = interval
        self._sums: dict[str, torch.Tensor] = {}
        self._n_tiles: torch.Tensor | float = 0.0
        self._started = 0.0

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer, before the validation handler, so the speed does not include the validation."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def start(self, engine: Engine) -> None:
        """Reset the sums at the start of an epoch."""
        self._sums, self._n_tiles, self._started = {}, 0.0, time.perf_counter()

    def update(self, engine: Engine) -> None:
        """Add one iteration. Sums stay on the device, because reading a value synchronises the GPU."""
        n_tiles = self.loss.n_tiles
        for name, value in {"loss": engine.state.output["loss"].detach(), **self.loss.terms}.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + n_tiles * value
        self._n_tiles = self._n_tiles + n_tiles
        if engine.state.iteration % self.interval == 0:
            iteration = engine.state.iteration
            self.writer.add_scalar("train_iterations/loss", float(engine.state.output["loss"].detach()), iteration)
            self.writer.add_scalar("train_iterations/learning_rate", self.optimizer.param_groups[0]["lr"], iteration)

    def write(self, engine: Engine) -> None:
        """Write the means of the epoch."""
        epoch, n_tiles = engine.state.epoch, float(self._n_tiles)
        tiles_per_s = n_tiles / (time.perf_counter() - self._started)
        means = {name: float(total) / n_tiles for name, total in self._sums.items()}
        for name, value in means.items():
            self.writer.add_scalar("train/loss" if name == "loss" else f"train_terms/{name}", value, epoch)
        self.writer.add_scalar("train/learning_rate", self.optimizer.param_groups[0]["lr"], epoch)
        self.writer.add_scalar("train/tiles_per_second", tiles_per_s, epoch)
        logger.info(
            "epoch %d/%d: loss %.4f, %.1f tiles/s",
            epoch,
            engine.state.max_epochs,
            means["loss"],
            tiles_per_s,
        )


class ValidationCurves:
    """Validator handler that writes every defined value of `SeepScores` to the shared TensorBoard writer."""

    def __init__(self, writer: RunWriter) -> None:
        self.writer = writer

    def attach(self, engine: Engine) -> None:
        """Attach to the validator, after `SeepScores`."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Write the values. Undefined values are skipped."""
        metrics, epoch = engine.state.metrics, engine.state.epoch
        for name, tag in validation_tags().items():
            if not math.isnan(metrics[name]):
                self.writer.add_scalar(tag, metrics[name], epoch)
        logger.info(
            "epoch %d validation: seep Dice %.3f, seep IoU %.3f, seep AP50 %.3f, mAP50 %.3f",
            epoch,
            metrics["seep_dice"],
            metrics["seep_iou"],
            metrics["seep_AP50"],
            metrics["mAP50"],
        )


def validation_tags() -> dict[str, str]:
    """TensorBoard tags by name of the metric."""
    tags = {name: f"validation/{name}" for name in _HEADLINE}
    tags |= {f"seep_{name}": f"validation_seep/{name}" for name in _SEEP}
    tags |= {f"{name}_{label}": f"validation_{name}/cls{label}" for name in _PER_CLASS for label in SEEP_LABELS}
    return tags
