"""Files of weights: the best with its description, and the last with all that a resumed run needs.

Every file is written whole under a temporary name and then renamed, so that a reader or a crash never meets half of
one.
"""

from __future__ import annotations

import io
import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seep_monai.dataset.grid import SceneContext
from seep_monai.dataset.plan import Plan
from seep_monai.errors import ConfigError, DataError, TrainingError, listed
from seep_monai.files import file_sha256, write_bytes

logger = logging.getLogger(__name__)

MODEL_FILE = "model.pt"
DESCRIPTION_FILE = "model.json"
LAST_FILE = "last.pt"
# Of model.json. Raised with every change of what its keys mean.
DESCRIPTION_FORMAT = 2
# What model.json says of the trainings that came before: it goes on with a run that is resumed.
ANCESTRY_KEYS = ("initial_weights_sha256", "trained_scenes", "chosen_scenes")


def save_atomic(path: Path, content: Any) -> None:
    """`torch.save`, the whole file or nothing; equal content gives equal bytes."""
    # Into memory first: given a path, torch writes the temporary file's name into the archive.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


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
    if content.get("format") != DESCRIPTION_FORMAT:
        raise DataError(
            f"{description}: expected format {DESCRIPTION_FORMAT}, but got {content.get('format', 'none')}: another "
            "version of seep_monai wrote it. Train again, or install the version that its key versions names."
        )
    actual = file_sha256(model)
    if stored != actual:
        raise DataError(
            f"{description}: describes weights with sha256 {stored[:12]}..., but {model} has {actual[:12]}.... "
            "Put the two files of one training run together."
        )
    return content


def ancestry(plan: Plan, initial_weights: str | os.PathLike[str] | None) -> dict[str, Any]:
    """The scenes that a training and those before it train on and choose by, and the weights it starts from.

    Args:
        plan: of this training.
        initial_weights: folder of the weights that it starts from, or None.
    """
    trained = {tile.scene for tile in plan.training_tiles()}
    chosen = {tile.scene for tile in plan.parts["validation"]}
    sha256 = None
    if initial_weights is not None:
        before = read_description(initial_weights)
        trained, chosen = trained.union(before["trained_scenes"]), chosen.union(before["chosen_scenes"])
        sha256 = before["sha256"]
    return dict(zip(ANCESTRY_KEYS, (sha256, sorted(trained), sorted(chosen)), strict=True))


def start_from(network: nn.Module, ckpt_dir: str | os.PathLike[str], plan: Plan) -> None:
    """Load the best weights of another training, so that this one goes on from them.

    Args:
        network: what is to be trained.
        ckpt_dir: folder of the other training's `model.pt` and `model.json`.
        plan: of this training.

    Raises:
        DataError: if the weights are missing or do not fit, or they or those that they started from were trained or
            chosen on scenes that this training validates or tests on.
    """
    description = read_description(ckpt_dir)
    seen = {*description["trained_scenes"], *description["chosen_scenes"]}
    shared = sorted(seen & {tile.scene for part in ("validation", "test") for tile in plan.parts[part]})
    if shared:
        raise DataError(
            f"{ckpt_dir}: these weights, or those that they started from, were trained or chosen on {listed(shared)}, "
            "scenes that this training validates or tests on. Start from weights of other scenes (simulated ones); to "
            "continue a training use --resume True."
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
                f"--context#context_px and --tile_columns, {anew}"
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
