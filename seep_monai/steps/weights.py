"""Trained weights and what `model.json` says of them: network, band, instances, object classifier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seep_monai import checkpoints, checks
from seep_monai.dataset.transforms import NORMALISATION_VERSION
from seep_monai.errors import ConfigError, entry
from seep_monai.instances.components import InstanceSettings
from seep_monai.network.segresnet import SegResNetSettings, settings_from_json
from seep_monai.objects.classifier import CLASSIFIED, ObjectClassifier


@entry
def read_description(ckpt_dir: str, band: int | None = None) -> dict[str, Any]:
    """`model.json`, checked against the weights beside it.

    Args:
        ckpt_dir: folder of both.
        band: which band of images with several is read. It must be that of the training, unless that had images with
            one band.
    """
    description = checkpoints.read_description(ckpt_dir)
    if band is not None and description["band"] is None:
        description["band"] = checks.whole_number("band", band, at_least=1)
    checks.check_agreement(checkpoints.DESCRIPTION_FILE, description, {"band": band})
    if description["normalisation_version"] != NORMALISATION_VERSION:
        raise ConfigError(
            f"{ckpt_dir}: the weights were trained with normalisation {description['normalisation_version']}, this "
            f"version has "
            f"{NORMALISATION_VERSION}. Train again, or install the version in model.json."
        )
    return description


@entry
def stored_network_settings(ckpt_dir: str, **overrides: Any) -> SegResNetSettings:
    """The settings in `model.json`, or the default ones where nothing has been trained yet.

    An override that is not None must say the same as `model.json`.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    stored = Path(str(ckpt_dir)) / checkpoints.DESCRIPTION_FILE
    if not stored.is_file():
        return settings_from_json(given)
    network = settings_from_json(checkpoints.read_description(ckpt_dir)["network"])
    settings_from_json(given)
    checks.check_agreement(str(stored), network.to_json(), given)
    return network


@entry
def load_best(network: nn.Module, ckpt_dir: str, device: torch.device | str) -> None:
    """Load `model.pt` into the network."""
    checkpoints.load_weights(network, Path(str(ckpt_dir)) / checkpoints.MODEL_FILE, device)


@entry
def stored_classifier(description: Mapping[str, Any], mode: str | None) -> ObjectClassifier | None:
    """The object classifier in `model.json`, if it is to be used: by default where one was fitted.

    Args:
        description: the content of `model.json`.
        mode: `classified`, a mode of `InstanceSettings` (None comes back), or None for the default.
    """
    stored = description.get("objects")
    if mode == CLASSIFIED and stored is None:
        raise ConfigError(
            "instance_mode: expected class or object, but got classified, and no object classifier was fitted to these "
            "weights yet. Fit it first: seep-monai fit (run fitting)."
        )
    return ObjectClassifier.from_json(stored) if stored is not None and mode in (None, CLASSIFIED) else None


@entry
def stored_instances(
    description: Mapping[str, Any], classifier: ObjectClassifier | None, *, mode: str | None = None, **overrides: Any
) -> InstanceSettings:
    """The settings stored with the weights; what is given and not None takes their place.

    With a classifier the map is drawn by hysteresis, from the stored threshold on if none is given.
    """
    stored = dict(description["instance_settings"])
    if classifier is not None:
        threshold = description["map_threshold"]
        stored |= {"mode": "object", "high": threshold, "low": threshold}
    elif mode is not None:
        stored["mode"] = mode
    return InstanceSettings.from_json(stored | {name: value for name, value in overrides.items() if value is not None})


@entry
def inference_instances(
    description: Mapping[str, Any], classifier: ObjectClassifier | None, *, mode: str | None = None, **overrides: Any
) -> InstanceSettings:
    """As `stored_instances`, cut at the operating point that was chosen on the validation tiles.

    Each mode has scores of its own; one that no operating point was chosen for is not cut.
    """
    points = {CLASSIFIED: "classified_operating_point", description["instance_settings"]["mode"]: "operating_point"}
    used = CLASSIFIED if classifier is not None else mode or description["instance_settings"]["mode"]
    chosen = description.get(points.get(used, ""), {}).get("instances", {}).get("threshold")
    if overrides.get("score_threshold") is None and chosen is not None:
        overrides["score_threshold"] = chosen
    return stored_instances(description, classifier, mode=mode, **overrides)
