"""Handlers that write checkpoints: the best weights by the key metric, and the last state for resuming."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn

from seep_monai.checkpoints import ANCESTRY_KEYS, DESCRIPTION_FILE, LAST_FILE, MODEL_FILE, Best, read_last, save_atomic
from seep_monai.errors import ConfigError
from seep_monai.files import file_sha256, write_json

logger = logging.getLogger(__name__)


class BestCheckpoint:
    """Validator handler that writes `model.pt` and `model.json` after each validation that improves the key metric.

    Args:
        network: network whose weights are saved.
        ckpt_dir: folder of both files.
        key_metric: name of a value in the validator's `state.metrics`; higher is better.
        description: content of `model.json` besides metric, epoch, checksum and operating point.
    """

    def __init__(
        self, network: nn.Module, ckpt_dir: str | os.PathLike[str], key_metric: str, description: Mapping[str, Any]
    ) -> None:
        self.network, self.folder, self.key_metric = network, Path(str(ckpt_dir)), key_metric
        self.description = dict(description)
        self.best = Best()

    def attach(self, engine: Engine) -> None:
        """Attach to the validator."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Save the weights if the key metric improved."""
        metrics = engine.state.metrics
        if self.key_metric not in metrics:
            raise ConfigError(
                f"key_metric: expected a metric of the validation, but got {self.key_metric!r}; there are "
                f"{', '.join(sorted(metrics))}."
            )
        value = float(metrics[self.key_metric])
        if not self.best.improved_by(value):
            self.best.n_since += 1
            return
        self.best = Best(value, int(engine.state.epoch))
        model = self.folder / MODEL_FILE
        # Saved from the CPU, so a machine without a GPU can load the file.
        save_atomic(model, {key: tensor.cpu() for key, tensor in self.network.state_dict().items()})
        description = dict(self.description)
        if hasattr(engine.state, "operating_point"):
            description["operating_point"] = engine.state.operating_point
        trained = {"key_metric": self.key_metric, "value": value, "epoch": self.best.epoch}
        write_json(self.folder / DESCRIPTION_FILE, {**description, "trained": trained, "sha256": file_sha256(model)})


class LastCheckpoint:
    """Trainer handler that writes `last.pt` after each epoch, and restores it at the start if `resume` is set.

    The file holds weights, optimiser, schedule, gradient scaler, random states, epoch, iteration and the best
    validation. A resumed run gives the same weights as an uninterrupted one (bit for bit on the CPU).

    Args:
        network: the network in training.
        optimizer: its optimiser.
        lr_scheduler: its schedule. The length is that of the new run, not the stored one.
        best: the validator's handler, whose `best` is stored and restored.
        generator: random generator of the augmentation.
        ckpt_dir: folder of `last.pt`.
        fingerprint: fingerprint of the plan, stored for the check before a run is resumed.
        resume: whether to restore `last.pt`.
        average: network with averaged weights; None or `network` itself if there is none.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        lr_scheduler: torch.optim.lr_scheduler.LRScheduler,
        best: BestCheckpoint,
        generator: torch.Generator,
        ckpt_dir: str | os.PathLike[str],
        *,
        fingerprint: str,
        resume: bool = False,
        average: nn.Module | None = None,
    ) -> None:
        self.average = None if average is network else average
        self.network, self.optimizer, self.lr_scheduler = network, optimizer, lr_scheduler
        self.best, self.generator = best, generator
        self.path = Path(str(ckpt_dir)) / LAST_FILE
        self.fingerprint, self.resume = fingerprint, resume

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer, after the validation handler."""
        if self.resume:
            engine.add_event_handler(Events.STARTED, self.restore)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def save(self, engine: Engine) -> None:
        """Write `last.pt`."""
        scaler = getattr(engine, "scaler", None)
        content = {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            # Only the number of steps is stored, because the length of the schedule is that of the new run.
            "scheduler_steps": int(self.lr_scheduler.last_epoch),
            "scaler": scaler.state_dict() if scaler is not None else None,
            "epoch": int(engine.state.epoch),
            "iteration": int(engine.state.iteration),
            "best": asdict(self.best.best),
            "key_metric": self.best.key_metric,
            "rng": {
                "torch": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
                "augment": self.generator.get_state(),
            },
            "fingerprint": self.fingerprint,
            "ancestry": {key: self.best.description.get(key) for key in ANCESTRY_KEYS},
        }
        save_atomic(self.path, content)

    def restore(self, engine: Engine) -> None:
        """Restore the state from `last.pt`.

        Raises:
            DataError: if the file is missing or unreadable.
        """
        content = read_last(self.path)
        self.network.load_state_dict(content["network"])
        if self.average is not None:
            # A run without averaged weights starts the average from its weights.
            self.average.load_state_dict(content.get("average") or content["network"])
        elif content.get("average") is not None:
            logger.warning(
                "the averaged weights in %s are dropped, because averaging is off (--average#decay 0)", self.path
            )
        self.optimizer.load_state_dict(content["optimizer"])
        if content["scaler"] is not None and getattr(engine, "scaler", None) is not None:
            engine.scaler.load_state_dict(content["scaler"])
        steps = content["scheduler_steps"]
        self.lr_scheduler.load_state_dict(
            {**self.lr_scheduler.state_dict(), "last_epoch": steps, "_step_count": steps + 1}
        )
        engine.state.epoch, engine.state.iteration = content["epoch"], content["iteration"]
        self.best.best = Best(**content["best"])
        # A resumed run keeps the ancestry of the stored one.
        self.best.description |= content.get("ancestry", {})
        self.generator.set_state(content["rng"]["augment"].cpu())
        torch.set_rng_state(content["rng"]["torch"].cpu())
        # With another number of GPUs the random states do not apply.
        if len(content["rng"]["cuda"]) == torch.cuda.device_count() > 0:
            torch.cuda.set_rng_state_all([state.cpu() for state in content["rng"]["cuda"]])
        logger.info("resumed after epoch %d from %s", content["epoch"], self.path)
