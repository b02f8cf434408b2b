"""Checkpoint files: the best weights with their description, and the last state for resuming a run.

Every file is written under a temporary name and then renamed, so an incomplete file is never visible.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seep_monai.dataset.grid import SceneContext
from seep_monai.errors import ConfigError, DataError, TrainingError
from seep_monai.files import file_sha256, write_bytes

MODEL_FILE = "model.pt"
DESCRIPTION_FILE = "model.json"
LAST_FILE = "last.pt"
# Format version of model.json. Increase it when the meaning of a key changes.
DESCRIPTION_FORMAT = 2
# Keys of model.json that describe earlier trainings. A resumed run keeps them.
ANCESTRY_KEYS = ("initial_weights_sha256", "trained_scenes", "chosen_scenes")
# Key of model.json that is true for the weights that ship, and their place below a bundle's folder.
SHIPPED_KEY = "shipped"
SHIPPED_PLACE = Path("models") / "simulated"


def save_atomic(path: Path, content: Any) -> None:
    """`torch.save` that writes the whole file or nothing. Equal content gives equal bytes."""
    # Serialised in memory, because torch stores the name of the file it writes to in the archive.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def read_description(ckpt_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of `model.json`, checked against the `model.pt` beside it.

    Raises:
        DataError: if either file is missing or unreadable, or the checksum or the format does not match.
    """
    model, description = Path(str(ckpt_dir)) / MODEL_FILE, Path(str(ckpt_dir)) / DESCRIPTION_FILE
    for path in (model, description):
        if not path.is_file():
            raise DataError(
                f"{path}: expected trained weights, but there is no such file. Train first, or give --ckpt_dir DIR. "
                f"{_restoring(ckpt_dir)}".rstrip()
            )
    try:
        content: dict[str, Any] = json.loads(description.read_text(encoding="utf-8"))
        stored = content["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        remedy = _restoring(ckpt_dir) or "Train again, or give another folder."
        raise DataError(
            f"{description}: expected JSON with the key sha256, but it cannot be read ({error!r}). {remedy}"
        ) from error
    if content.get("format") != DESCRIPTION_FORMAT:
        raise DataError(
            f"{description}: expected format {DESCRIPTION_FORMAT}, but got {content.get('format', 'none')}: another "
            "version of seep_monai wrote it. Train again, or install the version that its key versions names."
        )
    actual = file_sha256(model)
    if stored != actual:
        remedy = _restoring(ckpt_dir) or "Put the two files of one training run together."
        raise DataError(
            f"{description}: describes weights with sha256 {stored[:12]}..., but {model} has {actual[:12]}.... {remedy}"
        )
    return content


def is_shipped(ckpt_dir: str | os.PathLike[str]) -> bool:
    """Whether the folder holds the weights that ship, or a copy of them. False if `model.json` cannot be read."""
    try:
        content = json.loads((Path(str(ckpt_dir)) / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and bool(content.get(SHIPPED_KEY))


def _restoring(ckpt_dir: str | os.PathLike[str]) -> str:
    """How the weights that ship are restored; empty for others."""
    if Path(str(ckpt_dir)).parts[-2:] != SHIPPED_PLACE.parts and not is_shipped(ckpt_dir):
        return ""
    return (
        f"The weights that ship come back with 'git checkout bundle/{SHIPPED_PLACE.as_posix()}', or when the package "
        "is installed again."
    )


def load_weights(network: nn.Module, path: Path, device: torch.device | str = "cpu") -> None:
    """Load a state dict into the network. All keys must match. Weights in float16 become those of the network's type.

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
    """The best validation so far, and the number of validations since. Initially `value` is NaN and `epoch` is 0."""

    value: float = math.nan
    epoch: int = 0
    n_since: int = 0

    def improved_by(self, value: float) -> bool:
        """Whether `value` is defined (not NaN) and higher than the best one."""
        return not math.isnan(value) and not value <= self.value


def read_last(path: Path) -> dict[str, Any]:
    """The content of `last.pt`, with tensors on the CPU.

    Raises:
        DataError: if it is missing or unreadable.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: --resume True needs the last checkpoint of a run, but there is none. Leave out --resume."
        )
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{path}: expected a checkpoint, but it cannot be read ({reason}).") from error
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
    """Check that `last.pt` can be resumed with the settings of this run.

    Args:
        ckpt_dir: folder of the checkpoint.
        network: network of this run.
        fingerprint: fingerprint of this run's plan.
        max_epochs: number of epochs of this run.
        key_metric: key metric of this run.
        context: scene context of this run; must equal the one in `model.json`, if there is one.

    Raises:
        DataError: if `last.pt`, or the best weights that it refers to, are missing or unreadable.
        TrainingError: if plan, network, key metric or context differ, or all epochs are done.
    """
    path = ckpt_dir / LAST_FILE
    content = read_last(path)
    anew = "or start again with --overwrite True."
    if content["fingerprint"] != fingerprint:
        raise TrainingError(
            f"{path}: was trained on another plan: expected fingerprint {fingerprint[:12]}..., but got "
            f"{content['fingerprint'][:12]}.... Use the same data, split and seed, {anew}"
        )
    if content["key_metric"] != key_metric:
        raise TrainingError(
            f"{path}: expected best weights chosen by {key_metric}, but they were chosen by {content['key_metric']}. "
            f"Give --key_metric {content['key_metric']}, {anew}"
        )
    if content["epoch"] >= max_epochs:
        raise TrainingError(
            f"{path}: has already {content['epoch']} of {max_epochs} epochs. Give a higher --max_epochs."
        )
    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    if {key: tensor.shape for key, tensor in content["network"].items()} != shapes:
        raise TrainingError(f"{path}: holds another network than this run. Give the same --network_settings, {anew}")
    if content["best"]["epoch"] > 0:
        stored = read_description(ckpt_dir).get("context")
        if context is not None and stored is not None and SceneContext(**stored) != SceneContext(**context):
            raise TrainingError(
                f"{path}: expected the context {dict(context)}, but it was trained with {stored}. Give the same "
                f"--context#context_px and --tile_columns, {anew}"
            )


def check_free(ckpt_dir: Path, *, resume: bool, overwrite: bool) -> None:
    """Check that no weights of another run would be overwritten.

    Raises:
        ConfigError: if there are weights and neither `resume` nor `overwrite` is set, or if both are set.
        DataError: if `resume` is set and `last.pt` is missing or unreadable.
    """
    if resume and overwrite:
        raise ConfigError("resume and overwrite: expected at most one of them to be True.")
    if resume:
        read_last(ckpt_dir / LAST_FILE)
        return
    found = [name for name in (MODEL_FILE, LAST_FILE) if (ckpt_dir / name).exists()]
    if found and not overwrite:
        raise ConfigError(
            f"{ckpt_dir / found[0]}: the folder already holds weights of another run. Resume it with --resume True, "
            "replace the weights with --overwrite True, or choose another folder with --ckpt_dir DIR."
        )
