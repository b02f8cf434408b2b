"""Handlers that write checkpoints: the best weights by the key metric, and the last state for resuming."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn

from seep_monai import processes
from seep_monai.checkpoints import (
    ANCESTRY_KEYS,
    LAST_FILE,
    Best,
    batches_an_epoch,
    process_states,
    read_last,
    save_atomic,
    write_weights,
)
from seep_monai.checks import number
from seep_monai.errors import ConfigError
from seep_monai.handlers.random_states import RandomStates

logger = logging.getLogger(__name__)

# Choice: batches between two times that several processes ask process 0 whether to write. Each time, they wait.
_ASKED_EVERY = 10


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
        if not processes.is_first():
            return
        description = dict(self.description)
        if hasattr(engine.state, "operating_point"):
            description["operating_point"] = engine.state.operating_point
        trained = {"key_metric": self.key_metric, "value": value, "epoch": self.best.epoch}
        # Saved from the CPU, so a machine without a GPU can load the file.
        weights = {key: tensor.cpu() for key, tensor in self.network.state_dict().items()}
        write_weights(self.folder, weights, {**description, "trained": trained})


class LastCheckpoint:
    """Trainer handler that writes `last.pt` during and after each epoch, and restores it at the start of a resumed run.

    The file holds weights, optimiser, schedule, gradient scaler, random states, epoch, iteration and the best
    validation; within an epoch also the number of batches and the random states at its start, so that the same batches
    follow. A resumed run gives the same weights as an uninterrupted one: on the CPU with one or two processes bit for
    bit, with more processes up to rounding. Process 0 writes the file, with the random states of all.

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
        checkpoint_interval_s: seconds between two writes within an epoch; 0: only after each epoch.
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
        checkpoint_interval_s: float = 0,
    ) -> None:
        self.average = None if average is network else average
        self.network, self.optimizer, self.lr_scheduler = network, optimizer, lr_scheduler
        self.best, self.random = best, RandomStates(generator)
        self.path = Path(str(ckpt_dir)) / LAST_FILE
        self.fingerprint, self.resume = fingerprint, resume
        self.interval_s = number("checkpoint_interval_s", checkpoint_interval_s, low=0, low_allowed=True)
        self._written = 0.0
        self._epoch_start: dict[str, Any] = {}

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer, after the validation handler and all that changes the state in an iteration."""
        self.random.add_loader(engine.data_loader)
        if self.resume:
            engine.add_event_handler(Events.STARTED, self.restore)
        engine.add_event_handler(Events.EPOCH_STARTED, self.start_epoch)
        if self.interval_s:
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.save_within_epoch)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def start_epoch(self, engine: Engine) -> None:
        """Keep the random states from which the order of the epoch's tiles is drawn."""
        self._epoch_start = self.random.capture()
        self._written = time.monotonic()

    def save_within_epoch(self, engine: Engine) -> None:
        """Write `last.pt` if the interval has passed. After the last batch, the end of the epoch writes it."""
        n_batches = engine.state.iteration % engine.state.epoch_length
        every = _ASKED_EVERY if processes.world_size() > 1 else 1
        if n_batches and n_batches % every == 0 and self._is_due():
            self.save(engine, n_batches)
            self._written = time.monotonic()

    def save(self, engine: Engine, n_batches: int = 0) -> None:
        """Write `last.pt`, after so many batches of the current epoch (0: after the whole epoch)."""
        scaler = getattr(engine, "scaler", None)
        states = {"now": self.random.capture(), "epoch": self._epoch_start if n_batches else None}
        random_states = processes.gathered(states)
        if not processes.is_first():
            return
        content = {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            # Only the number of steps is stored, because the length of the schedule is that of the new run.
            "scheduler_steps": int(self.lr_scheduler.last_epoch),
            "scaler": scaler.state_dict() if scaler is not None else None,
            # The number of complete epochs.
            "epoch": int(engine.state.epoch) - bool(n_batches),
            "iteration": int(engine.state.iteration),
            "epoch_length": engine.state.epoch_length,
            "best": asdict(self.best.best),
            "key_metric": self.best.key_metric,
            # Of each process.
            "rng": [states["now"] for states in random_states],
            "begun": {"n_batches": n_batches, "rng": [states["epoch"] for states in random_states]}
            if n_batches
            else None,
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
        steps, iteration, length = content["scheduler_steps"], content["iteration"], engine.state.epoch_length
        if batches_an_epoch(content) != length:
            # Another number of processes: whole epochs are what both runs have in common.
            steps = iteration = content["epoch"] * length
        self.lr_scheduler.load_state_dict(
            {**self.lr_scheduler.state_dict(), "last_epoch": steps, "_step_count": steps + 1}
        )
        engine.state.epoch, engine.state.iteration = content["epoch"], iteration
        self.best.best = Best(**content["best"])
        # A resumed run keeps the ancestry of the stored one.
        self.best.description |= content.get("ancestry", {})
        self._restore_random_states(engine, content)

    def _restore_random_states(self, engine: Engine, content: Mapping[str, Any]) -> None:
        states = process_states(content)
        begun = content.get("begun")
        n_batches = begun["n_batches"] if begun else 0
        if len(states) != processes.world_size():
            if begun:
                raise ConfigError(
                    f"resume: {self.path} was written within an epoch by {len(states)} processes, but this run has "
                    f"{processes.world_size()}, which would see other tiles. Start as many processes as before."
                )
            logger.warning(
                "%s: written by %d processes, but this run has %d: it goes on with other batches and random numbers",
                self.path,
                len(states),
                processes.world_size(),
            )
        # A process that was not there before keeps the random numbers of its own seed.
        if (rank := processes.rank()) < len(states):
            if begun:
                # The loader draws the order of the tiles from these states once more.
                self.random.restore(begun["rng"][rank])
                engine.state.dataloader = _BegunLoader(
                    engine.data_loader, n_batches, lambda: self.random.restore(states[rank])
                )
            else:
                self.random.restore(states[rank])
        logger.info("resumed after epoch %d and %d batches from %s", content["epoch"], n_batches, self.path)

    @processes.by_first
    def _is_due(self) -> bool:
        """Whether the interval has passed. Process 0 decides, because all write together."""
        return time.monotonic() - self._written >= self.interval_s


class _BegunLoader:
    """A loader whose first pass leaves out the batches of an epoch that were seen before the checkpoint.

    Args:
        loader: the loader.
        n_seen: number of these batches. They are loaded and dropped.
        then: called after that, to restore the random states of the checkpoint.
    """

    def __init__(self, loader: Iterable[Any], n_seen: int, then: Callable[[], None]) -> None:
        self.loader, self.n_seen, self.then = loader, n_seen, then

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self.loader)
        if self.n_seen:
            for _ in itertools.islice(batches, self.n_seen):
                pass
            self.then()
            self.n_seen = 0
        return batches
