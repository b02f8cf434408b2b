"""Weights that ship with the package: their place, their use by default, and how they are made from a training.

They were trained on simulated tiles alone. `model.pt` holds float16, half the size; loading gives float32.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from seep_monai import files
from seep_monai.checkpoints import (
    DESCRIPTION_FILE,
    LAST_FILE,
    MODEL_FILE,
    SHIPPED_KEY,
    SHIPPED_PLACE,
    is_shipped,
    load_weights,
    read_description,
    write_weights,
)
from seep_monai.dataset.split_file import PARTS
from seep_monai.errors import ConfigError, DataError, listed
from seep_monai.network.segresnet import SegResNetSettings, build_network, settings_from_json
from seep_monai.workflow import bundle_source

NOTE = (
    "weights trained on simulated tiles alone: class names are not calibrated on real images; score is for seep / no "
    "seep"
)
# Choice: small enough for a Git repository and a wheel.
MOST_BYTES = 15_000_000
# Choice: pixels whose two highest logits are closer are ties.
_CLEAR_MARGIN = 1e-2
_N_CHECKED_TILES = 4
# Of the plan in model.json: the lists of tiles and what else grows with their number.
_LISTS = (*PARTS, "scene_levels", "left_out", "extra")


def shipped_folder() -> Path:
    """The folder of the weights that ship. It may be missing."""
    return bundle_source() / SHIPPED_PLACE


def note_of(description: Mapping[str, Any]) -> str | None:
    """What outputs say of these weights: `NOTE` for those that ship, None for others."""
    return NOTE if description.get(SHIPPED_KEY) else None


def default_folder(own: Path) -> Path:
    """The folder of the weights to use where none is given: `own`, or that of the weights that ship if `own` has none.

    A training without a validation so far (`last.pt` alone) counts: its folder is not passed over unnoticed.
    """
    has_own = any((own / name).exists() for name in (MODEL_FILE, DESCRIPTION_FILE, LAST_FILE))
    return own if has_own else shipped_folder()


def check_not_shipped(ckpt_dir: str | os.PathLike[str]) -> None:
    """Check that the folder may be written to.

    Raises:
        ConfigError: if it is the folder of the weights that ship, or holds a copy of them.
    """
    folder = Path(str(ckpt_dir))
    if is_shipped(folder) or folder.resolve() == shipped_folder().resolve():
        raise ConfigError(
            f"{folder}: is the folder of the weights that ship, and they are not changed. A training starts from them "
            "by default. Give another folder with --ckpt_dir DIR: a new one to train, that of a training to fit."
        )


def ship(source: Path, target: Path, records: Sequence[Path], *, overwrite: bool = False) -> None:
    """Write the weights that ship from those of a training. Equal inputs give equal bytes.

    Args:
        source: folder of the training's weights.
        target: folder to create. It appears when it is complete.
        records: `simulation.json` of every data set that was trained on.
        overwrite: replace weights in `target`.

    Raises:
        DataError: if a file is missing or damaged, `target` is in use, the weights saw a scene that is in no record,
            or float16 changes a class map.
    """
    description = read_description(source)
    simulation = _simulation(records, {*description["trained_scenes"], *description["chosen_scenes"]})
    network = build_network(settings_from_json(description["network"]))
    load_weights(network, source / MODEL_FILE)
    weights = network.state_dict()
    half = in_half(weights)
    check_half(settings_from_json(description["network"]), weights, half, random_images(description["tile_size"]))
    plan = {key: value for key, value in description["plan"].items() if key not in _LISTS}
    # The path of a file with lists would be that of a machine.
    plan["settings"] = {**plan["settings"], "split_file": None}
    content = {**description, "plan": plan, "simulation": simulation, SHIPPED_KEY: True}

    def write(folder: Path) -> None:
        write_weights(folder, half, content)
        n_bytes = sum(path.stat().st_size for path in folder.iterdir())
        if n_bytes > MOST_BYTES:
            raise DataError(
                f"{source}: expected weights of at most {MOST_BYTES / 1e6:g} MB in float16, but got "
                f"{n_bytes / 1e6:.1f} MB. Train a smaller network."
            )

    files.fill_folder(target, write, record=DESCRIPTION_FILE, overwrite=overwrite)


def in_half(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights in float16; whole numbers stay as they are."""
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}


def check_half(
    settings: SegResNetSettings,
    weights: Mapping[str, torch.Tensor],
    half: Mapping[str, torch.Tensor],
    images: torch.Tensor,
) -> None:
    """Check that float16 weights draw the same class maps wherever the two highest logits differ by more than .01.

    Args:
        settings: of the network.
        weights: state dict in float32.
        half: the same in float16.
        images: (N, 1, H, W) float32.

    Raises:
        DataError: if a class map differs there.
    """
    network = build_network(settings).eval()
    logits = []
    with torch.no_grad():
        for state in (weights, half):
            network.load_state_dict(state)
            logits.append(network(images))
    highest = logits[0].topk(2, dim=1).values
    clear = highest[:, 0] - highest[:, 1] > _CLEAR_MARGIN
    differs = clear & (logits[0].argmax(dim=1) != logits[1].argmax(dim=1))
    # A weight beyond the range of float16 becomes infinite and all logits NaN.
    if bool(differs.any()) or not bool(torch.isfinite(logits[1]).all()):
        raise DataError(
            f"weights in float16: expected the class maps of float32, but {int(differs.sum())} of {clear.numel()} "
            "pixels have another class. These weights cannot be stored in float16; train with a lower learning rate."
        )


def random_images(tile_size: Sequence[int]) -> torch.Tensor:
    """(4, 1, H, W) float32 in [-2, 2]: speckle on a smooth field with dark and bright places, the same in each call."""
    rng = np.random.default_rng(0)
    shape = (_N_CHECKED_TILES, 1, int(tile_size[0]), int(tile_size[1]))
    field = gaussian_filter(rng.standard_normal(shape), (0, 0, 6, 6))
    images = 0.7 * field / field.std() + 0.25 * rng.standard_normal(shape)
    return torch.from_numpy(images.clip(-2, 2).astype(np.float32))


def _simulation(records: Sequence[Path], seen: set[str]) -> list[dict[str, Any]]:
    """Seed, settings and numbers of scenes and tiles of each simulated data set.

    Raises:
        DataError: if a record cannot be read, or a seen scene is in none.
    """
    contents = [_read_record(path) for path in records]
    others = sorted(seen - {str(scene["name"]) for content in contents for scene in content["scenes"]})
    if others:
        raise DataError(
            f"{', '.join(map(str, records)) or 'no record'}: expected all scenes that the weights saw, but "
            f"{listed(others)} are missing. Give --record of every simulated data set. Weights that saw real images do "
            "not ship."
        )
    kept = ("seep_monai", "seed", "n_scenes", "n_tiles", "empty_share", "settings")
    return [{key: content[key] for key in kept} for content in contents]


def _read_record(path: Path) -> dict[str, Any]:
    try:
        content = files.read_json(path)
        for key in ("seep_monai", "seed", "n_scenes", "n_tiles", "empty_share", "settings", "scenes"):
            content[key]
    except (DataError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: expected the record of simulated tiles (simulation.json), but it cannot be read ({error!r})."
        ) from error
    return dict(content)
