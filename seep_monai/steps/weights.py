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
from seep_monai.objects.judge import JUDGED, ObjectJudge


@entry
def read_description(ckpt_dir: str) -> dict[str, Any]:
    """`model.json`, checked against the weights beside it."""
    description = checkpoints.read_description(ckpt_dir)
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
def stored_band(description: Mapping[str, Any], band: int | None) -> int | None:
    """The band of the images that the weights were trained on; an override must say the same."""
    checks.check_agreement(checkpoints.DESCRIPTION_FILE, dict(description), {"band": band})
    stored: int | None = description["band"]
    return stored


@entry
def load_best(network: nn.Module, ckpt_dir: str, device: torch.device | str) -> None:
    """Load `model.pt` into the network."""
    checkpoints.load_weights(network, Path(str(ckpt_dir)) / checkpoints.MODEL_FILE, device)


@entry
def stored_judge(description: Mapping[str, Any], mode: str | None) -> ObjectJudge | None:
    """The judge in `model.json`, if objects are to be judged: by default where one was fitted.

    Args:
        description: the content of `model.json`.
        mode: `judged`, a mode of `InstanceSettings` (None comes back), or None for the default.
    """
    stored = description.get("objects")
    if mode == JUDGED and stored is None:
        raise ConfigError(
            "instance_mode: expected class or object, but got judged, and no judge was fitted to these weights yet. "
            "Fit one first (run fitting, see README)."
        )
    return ObjectJudge.from_json(stored) if stored is not None and mode in (None, JUDGED) else None


@entry
def stored_instances(
    description: Mapping[str, Any], judge: ObjectJudge | None, *, mode: str | None = None, **overrides: Any
) -> InstanceSettings:
    """The settings stored with the weights; what is given and not None takes their place.

    With a judge the map is drawn by hysteresis, from the stored threshold on if none is given.
    """
    stored = dict(description["instance_settings"])
    if judge is not None:
        threshold = description["map_threshold"]
        stored |= {"mode": "object", "high": threshold, "low": threshold}
    elif mode is not None:
        stored["mode"] = mode
    return InstanceSettings.from_json(stored | {name: value for name, value in overrides.items() if value is not None})


@entry
def inference_instances(
    description: Mapping[str, Any], judge: ObjectJudge | None, *, mode: str | None = None, **overrides: Any
) -> InstanceSettings:
    """As `stored_instances`, cut at the operating point that was chosen on the validation tiles.

    Each mode has scores of its own; one that no operating point was chosen for is not cut.
    """
    points = {JUDGED: "judged_operating_point", description["instance_settings"]["mode"]: "operating_point"}
    used = JUDGED if judge is not None else mode or description["instance_settings"]["mode"]
    chosen = description.get(points.get(used, ""), {}).get("instances", {}).get("threshold")
    if overrides.get("score_threshold") is None and chosen is not None:
        overrides["score_threshold"] = chosen
    return stored_instances(description, judge, mode=mode, **overrides)
