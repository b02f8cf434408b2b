"""Weights on disk: the best by the key metric with its description, and the last with all that a resumed run needs.

Every file is written whole under a temporary name and then renamed, so that a reader or a crash never meets half of
one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn

from seep_monai.dataset.grid import SceneContext
from seep_monai.dataset.plan import Plan, trained_scenes
from seep_monai.errors import ConfigError, DataError, TrainingError
from seep_monai.workflow import write_json

logger = logging.getLogger(__name__)

MODEL_FILE = "model.pt"
DESCRIPTION_FILE = "model.json"
LAST_FILE = "last.pt"


def save_atomic(path: Path, content: Any) -> None:
    """`torch.save` to a temporary file beside `path`, then rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        torch.save(content, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_description(ckpt_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of `model.json`, checked against the `model.pt` beside it.

    Raises:
        DataError: if either file is missing or unreadable, or they do not belong together.
    """
    model, description = Path(str(ckpt_dir)) / MODEL_FILE, Path(str(ckpt_dir)) / DESCRIPTION_FILE
    for path in (model, description):
        if not path.is_file():
            raise DataError(
                f"{path}: expected trained weights, but there is no such file. Train first, or give --ckpt_dir DIR."
            )
    try:
        content: dict[str, Any] = json.loads(description.read_text(encoding="utf-8"))
        stored = content["sha256"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(
            f"{description}: expected JSON with the key sha256, but it cannot be read ({error!r})."
        ) from error
    actual = file_sha256(model)
    if stored != actual:
        raise DataError(
            f"{description}: describes weights with sha256 {stored[:12]}..., but {model} has {actual[:12]}.... "
            "Put the two files of one training run together."
        )
    return content


def start_from(network: nn.Module, ckpt_dir: str | os.PathLike[str], plan: Plan) -> None:
    """Load the best weights of another training, so that this one goes on from them.

    Args:
        network: what is to be trained.
        ckpt_dir: folder of the other training's `model.pt` and `model.json`.
        plan: of this training.

    Raises:
        DataError: if the weights are missing or do not fit, or were trained on scenes that this training validates or
            tests on.
    """
    description = read_description(ckpt_dir)
    seen = trained_scenes(description["plan"])
    judged = {tile.scene for part in ("validation", "test") for tile in plan.parts[part]}
    if seen & judged:
        raise DataError(
            f"{ckpt_dir}: these weights were trained on the scenes {', '.join(sorted(seen & judged))}, on which this "
            f"training would be judged. Start from other weights (simulated data, the same fold)."
        )
    load_weights(network, Path(ckpt_dir) / MODEL_FILE)
    logger.info("starting from the weights in %s", ckpt_dir)


def load_weights(network: nn.Module, path: Path, device: torch.device | str = "cpu") -> None:
    """Load a state dict into the network, with nothing left over.

    Raises:
        DataError: if the file is unreadable or its weights do not fit the network.
    """
    try:
        network.load_state_dict(torch.load(path, map_location=device, weights_only=True))
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{path}: expected weights of the network that model.json describes, but: {reason}") from error


@dataclass
class Best:
    """The best validation so far, and how many came since; `value` is NaN and `epoch` 0 until one is defined."""

    value: float = math.nan
    epoch: int = 0
    n_since: int = 0

    def improved_by(self, value: float) -> bool:
        """Whether `value` is defined and higher; an undefined value is never the best."""
        return not math.isnan(value) and not value <= self.value


class BestCheckpoint:
    """Validator handler: after each validation that improves the key metric writes `model.pt` and `model.json`.

    Args:
        network: whose weights are kept.
        ckpt_dir: folder of both files.
        key_metric: name of a value in the validator's `state.metrics`; higher is better.
        description: what `model.json` says beside metric, epoch and checksum.
    """

    def __init__(
        self, network: nn.Module, ckpt_dir: str | os.PathLike[str], key_metric: str, description: Mapping[str, Any]
    ) -> None:
        self.network, self.folder, self.key_metric = network, Path(str(ckpt_dir)), key_metric
        self.description = dict(description)
        self.best = Best()

    def attach(self, engine: Engine) -> None:
        """Follow the validator."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Compare, and save where better."""
        metrics = engine.state.metrics
        if self.key_metric not in metrics:
            raise ConfigError(
                f"key_metric: no value is called {self.key_metric!r}; there are {', '.join(sorted(metrics))}."
            )
        value = float(metrics[self.key_metric])
        if not self.best.improved_by(value):
            self.best.n_since += 1
            return
        self.best = Best(value, int(engine.state.epoch))
        model = self.folder / MODEL_FILE
        # On the CPU, so that a machine without a GPU loads it as it is.
        save_atomic(model, {key: tensor.cpu() for key, tensor in self.network.state_dict().items()})
        description = dict(self.description)
        if hasattr(engine.state, "operating_point"):
            description["operating_point"] = engine.state.operating_point
        trained = {"key_metric": self.key_metric, "value": value, "epoch": self.best.epoch}
        write_json(self.folder / DESCRIPTION_FILE, {**description, "trained": trained, "sha256": file_sha256(model)})


class LastCheckpoint:
    """Trainer handler: writes `last.pt` after each epoch, and goes on from it at the start where asked.

    It holds weights, optimiser, schedule, gradient scaler, random states, epoch, iteration and the best validation: a
    run that was stopped after an epoch and resumed ends with the weights of one that was not (on the CPU bit for bit).

    Args:
        network: the network in training.
        optimizer: its optimiser.
        lr_scheduler: its schedule; the length of the schedule is that of the new run, not of the stored one.
        best: the validator's handler, whose record is stored and restored.
        generator: random generator of the augmentation.
        ckpt_dir: folder of `last.pt`.
        fingerprint: the plan's; resuming on other data is an error.
        resume: go on from `last.pt`.
        average: network with averaged weights, which are kept as well; None, or `network` itself: there are none.
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
        """Follow the trainer; in its list of handlers it stands behind the validation."""
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
            # The number of steps is all that a schedule must keep: its length comes from the run that goes on.
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
        }
        save_atomic(self.path, content)

    def restore(self, engine: Engine) -> None:
        """Load `last.pt` into everything it came from.

        Raises:
            DataError: if the file is missing or unreadable.
        """
        content = read_last(self.path)
        self.network.load_state_dict(content["network"])
        if self.average is not None:
            # Weights of a training without a mean, or of a version without one, are its first mean.
            self.average.load_state_dict(content.get("average") or content["network"])
        elif content.get("average") is not None:
            logger.warning(
                "the mean of the weights in %s is dropped, for this run has none (average_decay 0)", self.path
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
        self.generator.set_state(content["rng"]["augment"].cpu())
        torch.set_rng_state(content["rng"]["torch"].cpu())
        # A machine with other GPUs goes on with states of its own.
        if len(content["rng"]["cuda"]) == torch.cuda.device_count() > 0:
            torch.cuda.set_rng_state_all([state.cpu() for state in content["rng"]["cuda"]])
        logger.info("resumed after epoch %d from %s", content["epoch"], self.path)


def read_last(path: Path) -> dict[str, Any]:
    """The content of a `last.pt`, on the CPU.

    Raises:
        DataError: if it is missing or unreadable.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: --resume True needs the last checkpoint of a run, but there is none. Start without it."
        )
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())[:300]}).") from error
    return content


def check_resume(
    ckpt_dir: Path,
    network: nn.Module,
    *,
    fingerprint: str,
    max_epochs: int,
    key_metric: str,
    context: Mapping[str, Any] | None = None,
) -> None:
    """Refuse to go on from a checkpoint of another run.

    Args:
        ckpt_dir: of the checkpoint.
        network: of this run.
        fingerprint: of this run's plan.
        max_epochs: of this run.
        key_metric: of this run.
        context: how this run sees tiles, to be compared with `model.json`, where the best weights stand.

    Raises:
        DataError: if `last.pt` is missing or unreadable, or the best weights it tells of are.
        TrainingError: if it is of another plan, network or key metric, or has already reached the number of epochs.
    """
    path = ckpt_dir / LAST_FILE
    content = read_last(path)
    anew = "or start anew with --overwrite True."
    if content["fingerprint"] != fingerprint:
        raise TrainingError(
            f"{path}: was trained on another plan (fingerprint {content['fingerprint'][:12]}... against "
            f"{fingerprint[:12]}...). Use the same data, split and seed, {anew}"
        )
    if content["key_metric"] != key_metric:
        raise TrainingError(
            f"{path}: its best weights were chosen by {content['key_metric']}, which cannot be compared with "
            f"{key_metric}. Give --key_metric {content['key_metric']}, {anew}"
        )
    if content["epoch"] >= max_epochs:
        raise TrainingError(
            f"{path}: has already {content['epoch']} of {max_epochs} epochs. Give a higher --max_epochs."
        )
    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    if {key: tensor.shape for key, tensor in content["network"].items()} != shapes:
        raise TrainingError(f"{path}: holds another network than this run's. Give the same network settings, {anew}")
    if content["best"]["epoch"] > 0:
        stored = read_description(ckpt_dir).get("context")
        if context is not None and stored is not None and SceneContext(**stored) != SceneContext(**context):
            raise TrainingError(
                f"{path}: sees tiles with the context {stored}, this run with {dict(context)}. Give the same "
                f"--context_px and --tile_columns, {anew}"
            )


def check_free(ckpt_dir: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse to write over another run's weights.

    Raises:
        ConfigError: if there are weights and neither `resume` nor `overwrite` is set, or both are.
        DataError: if there is nothing to resume from.
    """
    if resume and overwrite:
        raise ConfigError("resume and overwrite: expected at most one of them to be True.")
    if resume:
        read_last(ckpt_dir / LAST_FILE)
        return
    found = [name for name in (MODEL_FILE, LAST_FILE) if (ckpt_dir / name).exists()]
    if found and not overwrite:
        raise ConfigError(
            f"{ckpt_dir / found[0]}: another run's weights are in the way. Go on from them with --resume True, "
            f"replace them with "
            "--overwrite True, or write elsewhere with --ckpt_dir DIR."
        )
