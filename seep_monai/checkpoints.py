"""Checkpoint files: the best weights with their description, and the last state for resuming a run.

Every file is written under a temporary name and then renamed, so an incomplete file is never visible. The best weights
and their description are two files that change as one, by the renaming of `model.pt`: before it, `NEXT_FILE` describes
the new weights beside the two former files; after it, `NEXT_FILE` takes the name of `model.json`. In each moment one of
the two descriptions has the checksum of `model.pt`, and `description_file` picks that one.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seep_monai import processes
from seep_monai.dataset.grid import SceneContext
from seep_monai.description import check_description
from seep_monai.errors import ConfigError, DataError, TrainingError, listed
from seep_monai.files import (
    file_sha256,
    move_into_place,
    naming_failed_writes,
    parsed_json,
    read_json,
    remove_unfinished,
    write_bytes,
    write_json,
)

MODEL_FILE = "model.pt"
DESCRIPTION_FILE = "model.json"
# Description of weights that are about to become `model.pt`.
NEXT_FILE = "model.next.json"
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
    write_bytes(path, _serialised(content))


def _serialised(content: Any) -> bytes:
    # In memory, because torch stores the name of the file it writes to in the archive.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def write_weights(folder: Path, weights: Mapping[str, torch.Tensor], description: Mapping[str, Any]) -> None:
    """Write `model.pt` and `model.json` as one change: whenever the process ends, the folder holds a pair that fits.

    Args:
        folder: of both files.
        weights: the state dict.
        description: content of `model.json` besides the checksum of the weights.

    Raises:
        DataError: if they cannot be written. A pair that was there stays.
    """
    settle(folder)
    content = _serialised(weights)
    write_json(folder / NEXT_FILE, {**description, "sha256": hashlib.sha256(content).hexdigest()})
    write_bytes(folder / MODEL_FILE, content)
    with naming_failed_writes(folder / DESCRIPTION_FILE):
        move_into_place(folder / NEXT_FILE, folder / DESCRIPTION_FILE)


def settle(folder: Path) -> None:
    """Complete or undo a change of `model.pt` and `model.json` that did not end, and remove unfinished files."""
    with naming_failed_writes(folder / DESCRIPTION_FILE):
        if description_file(folder).name == NEXT_FILE:
            move_into_place(folder / NEXT_FILE, folder / DESCRIPTION_FILE)
        (folder / NEXT_FILE).unlink(missing_ok=True)
        for name in (MODEL_FILE, DESCRIPTION_FILE, NEXT_FILE, LAST_FILE):
            remove_unfinished(folder, name)


def description_file(ckpt_dir: str | os.PathLike[str]) -> Path:
    """The file that describes `model.pt`: `model.json`, or `NEXT_FILE` if only that one has its checksum."""
    folder = Path(str(ckpt_dir))
    usual, new, model = (folder / name for name in (DESCRIPTION_FILE, NEXT_FILE, MODEL_FILE))
    if not new.is_file() or not model.is_file():
        return usual
    actual = file_sha256(model)
    return new if _stored(usual).get("sha256") != actual == _stored(new).get("sha256") else usual


def _stored(path: Path) -> dict[str, Any]:
    """The content of a description; empty if it is missing or unreadable."""
    try:
        content = read_json(path)
    except DataError:
        return {}
    return content if isinstance(content, dict) else {}


def read_description(ckpt_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of `model.json`, checked against the `model.pt` beside it.

    Raises:
        DataError: if either file is missing or unreadable, or the checksum or the format does not match.
    """
    model, description = Path(str(ckpt_dir)) / MODEL_FILE, description_file(ckpt_dir)
    for path in (model, description):
        if not path.is_file():
            raise DataError(
                f"{path}: expected trained weights, but there is no such file. Train first, or give --ckpt_dir DIR. "
                f"{_restoring(ckpt_dir)}".rstrip()
            )
    content = checked_description(description, description.read_bytes(), remedy=_restoring(ckpt_dir))
    stored = content["sha256"]
    actual = file_sha256(model)
    if stored != actual:
        remedy = _restoring(ckpt_dir) or "Put the two files of one training run together."
        raise DataError(
            f"{description}: describes weights with sha256 {stored[:12]}..., but {model} has {actual[:12]}.... {remedy}"
        )
    check_description(content, description, ships=bool(content.get(SHIPPED_KEY)))
    return content


def checked_description(path: Path, text: str | bytes, *, remedy: str = "") -> dict[str, Any]:
    """The content of `model.json`, of the file or of an exported network that carries it.

    Args:
        path: of the file, for messages.
        text: the JSON.
        remedy: what to do if it cannot be read; by default to train again.

    Raises:
        DataError: if it is no JSON with a checksum, or of another format version.
    """
    try:
        content = parsed_json(text.decode() if isinstance(text, bytes) else text, path)
    except (DataError, UnicodeDecodeError) as error:
        raise DataError(f"{error} {remedy}".rstrip()) from error
    if not isinstance(content, dict) or not isinstance(content.get("sha256"), str):
        raise DataError(
            f"{path}: expected an object with the key sha256, but there is none. "
            f"{remedy or 'Train again, or give another folder.'}"
        )
    if content.get("format") != DESCRIPTION_FORMAT:
        raise DataError(
            f"{path}: expected format {DESCRIPTION_FORMAT}, but got {content.get('format', 'none')}: another "
            "version of seep_monai wrote it. Train again, or install the version that its key versions names."
        )
    return content


def is_shipped(ckpt_dir: str | os.PathLike[str]) -> bool:
    """Whether the folder holds the weights that ship, or a copy of them. False if `model.json` cannot be read."""
    return bool(_stored(Path(str(ckpt_dir)) / DESCRIPTION_FILE).get(SHIPPED_KEY))


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
        network.load_state_dict(_loaded(path, device))
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{path}: expected weights of the network that model.json describes, but: {reason}") from error
    strange = [name for name, weights in network.state_dict().items() if not torch.isfinite(weights).all()]
    if strange:
        raise DataError(f"{path}: expected finite weights, but {listed(strange, 3)} are not. Train again.")


def _loaded(path: Path, device: torch.device | str) -> Any:
    """The content of a file that `torch.save` wrote: tensors and plain values, no code."""
    with zipfile.ZipFile(path) as archive:
        n_bytes = sum(member.file_size for member in archive.infolist())
    if n_bytes > path.stat().st_size:
        raise ValueError(f"its members have {n_bytes} bytes, more than the file")
    return torch.load(path, map_location=device, weights_only=True)


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
            f"{path}: --resume True needs the last checkpoint of a run, but there is none. To train, "
            f"{how_to_go_on(path.parent)}."
        )
    try:
        content: dict[str, Any] = _loaded(path, "cpu")
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{path}: expected a checkpoint, but it cannot be read ({reason}).") from error
    return content


def how_to_go_on(ckpt_dir: Path) -> str:
    """What a user whose training was stopped does next: resume, or start again where there is no `last.pt` yet."""
    if (ckpt_dir / LAST_FILE).is_file():
        return "continue with --resume True"
    option = " with --overwrite True" if (ckpt_dir / MODEL_FILE).is_file() else ""
    return f"start again{option}: it has no checkpoint to resume from"


def check_resume(
    ckpt_dir: Path,
    network: nn.Module,
    *,
    fingerprint: str,
    max_epochs: int,
    epoch_length: int,
    key_metric: str,
    context: Mapping[str, Any] | None = None,
) -> None:
    """Check that `last.pt` can be resumed with the settings of this run.

    Args:
        ckpt_dir: folder of the checkpoint.
        network: network of this run.
        fingerprint: fingerprint of this run's plan.
        max_epochs: number of epochs of this run.
        epoch_length: batches of an epoch of this run.
        key_metric: key metric of this run.
        context: scene context of this run; must equal the one in `model.json`, if there is one.

    Raises:
        DataError: if `last.pt`, or the best weights that it refers to, are missing or unreadable.
        TrainingError: if plan, network, key metric, context or batches of an epoch differ, or all epochs are done. With
            another number of processes, batches may differ.
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
    stored_length = batches_an_epoch(content)
    # Another number of processes has other batches; the schedule then goes on by epochs.
    if len(process_states(content)) == processes.world_size() and stored_length != epoch_length:
        raise TrainingError(
            f"{path}: was trained with {stored_length} batches an epoch, but this run has {epoch_length}. Give the "
            f"same --batch_size, {anew}"
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


def batches_an_epoch(last: Mapping[str, Any]) -> int:
    """How many batches an epoch of the run had that wrote `last.pt`."""
    # Files of earlier versions were written at the ends of epochs alone, and do not hold the number of batches.
    return int(last.get("epoch_length") or last["iteration"] // last["epoch"])


def process_states(last: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The random states in `last.pt`, one for each process that trained."""
    # Files of earlier versions hold those of one process.
    return last["rng"] if isinstance(last["rng"], list) else [last["rng"]]


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
        remedy = "Resume it with --resume True, replace" if LAST_FILE in found else "Replace"
        raise ConfigError(
            f"{ckpt_dir / found[0]}: the folder already holds weights of another run. {remedy} the weights with "
            "--overwrite True, or choose another folder with --ckpt_dir DIR."
        )
