"""Small weights like those that ship, and a bundle folder that holds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from seep_monai.checkpoints import save_atomic
from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.dataset.split import SplitSettings
from seep_monai.files import file_sha256
from seep_monai.instances.components import DEFAULT_SETTINGS
from seep_monai.network.segresnet import SegResNetSettings, build_network
from seep_monai.shipped_weights import ship

TINY = SegResNetSettings(init_filters=8, blocks_down=(1, 1), blocks_up=(1,))
RECORD = {"seep_monai": "0.1.0", "seed": 100, "n_scenes": 2, "n_tiles": 5, "empty_share": 0.1}


def write_training(folder: Path, *, seed: int = 0, **changes: Any) -> Path:
    """`model.pt` and `model.json` of an untrained small network that says it has seen the scenes 900001 and 900002."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True)
    save_atomic(folder / "model.pt", build_network(TINY).state_dict())
    split = asdict(SplitSettings(n_folds=1, split_file="/home/somebody/split.json"))
    lists = {part: [{"image": "900001.1.tif"}] for part in ("training", "validation")}
    plan = {**lists, "test": [], "scene_levels": {"900001": 200.0}, "left_out": [], "extra": None, "leaky": False}
    description = {
        "format": 2,
        "network": TINY.to_json(),
        "normalisation_version": 1,
        "trained_scenes": ["900001"],
        "chosen_scenes": ["900002"],
        "initial_weights_sha256": None,
        "tile_size": [64, 64],
        "band": None,
        "class_names": list(DEFAULT_CLASS_NAMES),
        "instance_settings": DEFAULT_SETTINGS.to_json(),
        "plan_fingerprint": "1" * 64,
        "plan": {**plan, "settings": split, "fingerprint": "1" * 64, "counts": {}},
        **changes,
        "sha256": file_sha256(folder / "model.pt"),
    }
    (folder / "model.json").write_text(json.dumps(description))
    return folder


def write_record(path: Path, scenes: Sequence[str] = ("900001", "900002"), **changes: Any) -> Path:
    """A `simulation.json` of these scenes."""
    content = {**RECORD, "settings": {"pool_share": 0.7}, "n_tiles_per_scene": [3, 2], **changes}
    path.write_text(json.dumps({**content, "scenes": [{"name": name, "tiles": []} for name in scenes]}))
    return path


def ship_into(bundle: Path, training: Path) -> Path:
    """The folder of `training`'s weights as those that ship with a bundle folder."""
    description = json.loads((training / "model.json").read_text())
    seen = sorted({*description["trained_scenes"], *description["chosen_scenes"]})
    record = write_record(bundle.parent / f"{bundle.name}.json", seen)
    ship(training, bundle / "models" / "simulated", [record])
    return bundle / "models" / "simulated"
