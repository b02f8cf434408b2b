"""Weights that a training starts from: which ones, whether they fit, and which scenes they have seen."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from seep_monai.checkpoints import ANCESTRY_KEYS, MODEL_FILE, load_weights, read_description
from seep_monai.dataset.plan import Plan
from seep_monai.dataset.transforms import NORMALISATION_VERSION
from seep_monai.errors import ConfigError, DataError, listed
from seep_monai.network.segresnet import SegResNetSettings, settings_from_json
from seep_monai.shipped_weights import shipped_folder

logger = logging.getLogger(__name__)

# Values of `initial_weights` beside a folder: the weights that ship, where they are there and fit; from scratch.
AUTO = "auto"
NONE = "none"
# Dropout has no weights.
_WEIGHTLESS = "dropout_prob"


def initial_folder(choice: object) -> Path | None:
    """The folder that a value of `initial_weights` means; None: from scratch.

    Args:
        choice: `auto`, `none` or a folder. `auto` is None where the folder of the weights that ship is missing.

    Raises:
        ConfigError: if the choice is None or empty.
    """
    if choice is None or not str(choice):
        raise ConfigError(f"initial_weights: expected {AUTO}, {NONE} or a folder of weights, but got {choice!r}.")
    if choice == AUTO:
        return shipped_folder() if shipped_folder().is_dir() else None
    return None if choice == NONE else Path(str(choice))


def fitting_folder(choice: object, network: SegResNetSettings) -> Path | None:
    """As `initial_folder`; with `auto` None, and a line in the log, where the weights that ship do not fit.

    Args:
        choice: see `initial_folder`.
        network: settings of the network to train.

    Raises:
        DataError: if the weights are missing or damaged.
        ConfigError: if given weights are of another network; the message names the settings that differ.
    """
    folder = initial_folder(choice)
    if folder is None:
        reason = f"{shipped_folder()} does not exist" if choice == AUTO else NONE
        logger.info("training from scratch (initial weights: %s)", reason)
        return None
    differences = _differences(read_description(folder), network)
    if not differences:
        return folder
    text = "; ".join(differences)
    if choice == AUTO:
        logger.info("training from scratch: the weights that ship are of another network (%s)", text)
        return None
    raise ConfigError(
        f"initial_weights: {folder} has weights of another network: {text}. Give the same network settings, other "
        f"weights, or --initial_weights {NONE}."
    )


def ancestry(plan: Plan, initial_weights: str | os.PathLike[str] | None) -> dict[str, Any]:
    """The scenes used by this training and earlier ones, and the checksum of the initial weights (a folder or None)."""
    trained = {tile.scene for tile in plan.training_tiles()}
    chosen = {tile.scene for tile in plan.parts["validation"]}
    sha256 = None
    if initial_weights is not None:
        before = read_description(initial_weights)
        trained, chosen = trained.union(before["trained_scenes"]), chosen.union(before["chosen_scenes"])
        sha256 = before["sha256"]
    return dict(zip(ANCESTRY_KEYS, (sha256, sorted(trained), sorted(chosen)), strict=True))


def start_from(network: nn.Module, ckpt_dir: str | os.PathLike[str], plan: Plan) -> None:
    """Load the best weights of another training, `model.pt` in `ckpt_dir`, as initial weights.

    Raises:
        DataError: if the weights are missing or do not fit, or if they (or their initial weights) were trained or
            validated on scenes that this training validates or tests on.
    """
    description = read_description(ckpt_dir)
    seen = {*description["trained_scenes"], *description["chosen_scenes"]}
    shared = sorted(seen & {tile.scene for part in ("validation", "test") for tile in plan.parts[part]})
    if shared:
        raise DataError(
            f"{ckpt_dir}: these weights, or those that they started from, were trained or chosen on {listed(shared)}. "
            "This training validates or tests on these scenes. Give weights of other scenes, or train from scratch "
            f"with --initial_weights {NONE}. To continue a training use --resume True."
        )
    load_weights(network, Path(ckpt_dir) / MODEL_FILE)
    logger.info("initial weights: %s", ckpt_dir)


def _differences(description: Mapping[str, Any], network: SegResNetSettings) -> list[str]:
    """One text for each setting in which weights and network differ."""
    stored = settings_from_json(description["network"]).to_json() | {
        "normalisation_version": description["normalisation_version"]
    }
    here = network.to_json() | {"normalisation_version": NORMALISATION_VERSION}
    return [
        f"{name} {stored[name]} there, {here[name]} here"
        for name in here
        if name != _WEIGHTLESS and stored[name] != here[name]
    ]
