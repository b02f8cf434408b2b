"""Trained weights and their settings in `model.json`: network, band, instances, object classifier."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seep_monai import checkpoints, checks, initial_weights, shipped_weights
from seep_monai.dataset.transforms import NORMALISATION_VERSION
from seep_monai.errors import ConfigError, DataError, entry
from seep_monai.export.exported_network import ExportedNetwork, checked_format, read_exported_description
from seep_monai.export.formats import format_of
from seep_monai.instances.components import InstanceSettings
from seep_monai.network.segresnet import SegResNetSettings, settings_from_json
from seep_monai.objects.classifier import CLASSIFIED, ObjectClassifier
from seep_monai.steps.setup import place_network

logger = logging.getLogger(__name__)


@entry
def weights_folder(bundle_root: str) -> str:
    """The default of `ckpt_dir` where weights are read: `models` of the bundle, or the weights that ship."""
    return str(shipped_weights.default_folder(Path(str(bundle_root)) / "models"))


@entry
def inference_weights(ckpt_dir: str, model: str | None) -> str:
    """Where an inference finds its weights: the exported file `model` if it is given, else the folder `ckpt_dir`."""
    if model is not None:
        checked_format(Path(str(model)))
    return str(ckpt_dir if model is None else model)


def description_path(weights: str) -> Path:
    """The file that holds the description: `model.json` in a folder of weights, or an exported file."""
    place = Path(str(weights))
    return place if format_of(place) is not None else checkpoints.description_file(place)


def stored_description(weights: str) -> dict[str, Any]:
    """The content of `model.json` in a folder of weights, or the same in an exported file."""
    place = Path(str(weights))
    return checkpoints.read_description(place) if format_of(place) is None else read_exported_description(place)


@entry
def weights_note(description: Mapping[str, Any]) -> str | None:
    """What outputs say of the weights; None: nothing."""
    return shipped_weights.note_of(description)


@entry
def starting_weights(choice: str, network: SegResNetSettings, resume: object) -> str | None:
    """The folder of the weights that a training starts from, by the id `initial_weights`; None: from scratch.

    None for a training that is resumed, too: it goes on from its last weights.
    """
    if checks.boolean("resume", resume):
        return None
    folder = initial_weights.fitting_folder(choice, network)
    return None if folder is None else str(folder)


@entry
def read_description(weights: str, band: int | None = None) -> dict[str, Any]:
    """The content of `model.json`, checked against `model.pt`.

    Args:
        weights: folder of both, or an exported file.
        band: band of images with several. It must be that of the training, unless the training images had one band.
    """
    description = stored_description(weights)
    if band is not None and description["band"] is None:
        description["band"] = checks.whole_number("band", band, at_least=1)
    checks.check_agreement(checkpoints.DESCRIPTION_FILE, description, {"band": band})
    if description["normalisation_version"] != NORMALISATION_VERSION:
        raise ConfigError(
            f"{weights}: expected weights with normalisation {NORMALISATION_VERSION}, but got "
            f"{description['normalisation_version']}. Train again, or install the version in model.json."
        )
    note = shipped_weights.note_of(description)
    if note:
        logger.info("%s: %s", weights, note)
    return description


@entry
def stored_network_settings(weights: str, **overrides: Any) -> SegResNetSettings:
    """The settings in `model.json`, or the defaults if there are no weights yet.

    Args:
        weights: folder of `model.json`, or an exported file.
        overrides: must equal the stored values if they are not None.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    if not description_path(weights).is_file():
        return settings_from_json(given)
    network = settings_from_json(stored_description(weights)["network"])
    # An exported file holds its network; model.json describes one.
    model = Path(str(weights)) / checkpoints.MODEL_FILE
    # Two bytes a weight at least: a wrong description is found before its network is built.
    if model.is_file() and 2 * network.least_weights > model.stat().st_size:
        raise DataError(
            f"{description_path(weights)}: describes a network of {network.least_weights} weights or more, which "
            f"{model.stat().st_size} bytes of {checkpoints.MODEL_FILE} cannot hold. Put the two files of one training "
            "together."
        )
    settings_from_json(given)
    checks.check_agreement(str(description_path(weights)), network.to_json(), given, group="network_settings#")
    return network


@entry
def inference_network(network: nn.Module, weights: str, device: torch.device | str, amp: object = False) -> nn.Module:
    """The network on the device; that of the exported file, if `weights` is one.

    Raises:
        ConfigError: if an exported network should compute in bf16 on a CPU.
    """
    if format_of(str(weights)) is None:
        return place_network(network, device, amp)
    on_cpu = checks.usable_device(device).type == "cpu"
    if on_cpu and checks.boolean("amp", amp):
        raise ConfigError("amp: expected False, because exported networks compute in float32 on a CPU, but got True.")
    # As `place_network` does, so that the results are the same.
    return ExportedNetwork(weights, device, torch.channels_last if on_cpu else torch.contiguous_format)


@entry
def load_best(network: nn.Module, weights: str, device: torch.device | str) -> None:
    """Load `model.pt` of the folder `weights` into the network. An exported network has its own weights."""
    if not isinstance(network, ExportedNetwork):
        checkpoints.load_weights(network, Path(str(weights)) / checkpoints.MODEL_FILE, device)


@entry
def stored_classifier(description: Mapping[str, Any], mode: str | None) -> ObjectClassifier | None:
    """The object classifier in `model.json`; None if it is not used. By default it is used if there is one.

    Args:
        description: the content of `model.json`.
        mode: `classified`, a mode of `InstanceSettings` (gives None), or None for the default.

    Raises:
        ConfigError: if `mode` is `classified` and there is no object classifier.
    """
    stored = description.get("objects")
    if mode == CLASSIFIED and stored is None:
        raise ConfigError(
            "instances#mode: expected class or object, because no object classifier was fitted to these weights, but "
            "got classified. Fit it first: seep-monai fit (run fitting)."
        )
    return ObjectClassifier.from_json(stored) if stored is not None and mode in (None, CLASSIFIED) else None


@entry
def stored_instances(
    description: Mapping[str, Any], classifier: ObjectClassifier | None, *, mode: str | None = None, **overrides: Any
) -> InstanceSettings:
    """The instance settings in `model.json`, replaced by the overrides that are not None.

    With a classifier the mode is `object`, with the stored threshold of the map as default of `high` and `low`.
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
    """As `stored_instances`, with the score threshold of the operating point chosen on the validation tiles.

    Objects of the classifier are cut at the threshold for seep / no seep, other instances at that for named instances.
    Scores of different modes are not comparable. A mode without an operating point has no default threshold.
    """
    stored_mode = description["instance_settings"]["mode"]
    points = {CLASSIFIED: ("classified_operating_point", "seep"), stored_mode: ("operating_point", "instances")}
    point, cut = points.get(CLASSIFIED if classifier is not None else mode or stored_mode, ("", ""))
    chosen = description.get(point, {}).get(cut, {}).get("threshold")
    if overrides.get("score_threshold") is None and chosen is not None:
        overrides["score_threshold"] = chosen
    return stored_instances(description, classifier, mode=mode, **overrides)
