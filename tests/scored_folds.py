"""Folds of a cross-validation without any training: records of random tiles, with the descriptions they need."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.crossval.pooling import Fold
from seep_monai.dataset.split import SplitSettings
from seep_monai.handlers import TileRecords
from seep_monai.metrics.scored_tiles import ScoredTiles
from seep_monai.report.scored_tiles_file import write_scored_tiles

N_FOLDS = 3
# Fold 0 tests a and d, fold 1 b and e, fold 2 c and f.
SCENES = ("a", "b", "c", "d", "e", "f")
TILES = {scene: [f"{scene}.{i}" for i in range(1 + position % 3)] for position, scene in enumerate(SCENES)}
INSTANCE_SETTINGS = {"mode": "class", "high": 0.5, "low": 0.5, "min_size_px": 0, "score_threshold": 0.0}


def random_truth(seed: int) -> np.ndarray:
    """(32, 32) uint8 with two bars of random classes, and a row without data."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((32, 32), np.uint8)
    truth[rng.integers(2, 12), 3:28] = rng.integers(1, 8)
    truth[rng.integers(16, 28), 3:28] = 1
    truth[:1] = 255
    return truth


def random_probabilities(truth: np.ndarray, seed: int, share_missed: float) -> np.ndarray:
    """(8, 32, 32) float32 that find most of the truth."""
    rng = np.random.default_rng(seed)
    drawn = np.where(rng.random(truth.shape) < share_missed, 0, np.where(truth == 255, 0, truth))
    noise = rng.dirichlet(np.ones(8), truth.shape).transpose(2, 0, 1)
    return (0.9 * np.eye(8)[drawn].transpose(2, 0, 1) + 0.1 * noise).astype(np.float32)


def scored_tiles(scenes: Iterable[str], *, seed: int = 0, share_missed: float = 0.05) -> ScoredTiles:
    """Records of all tiles of the scenes; a tile's truth depends on its name alone, its prediction on `seed` too."""
    records = TileRecords()
    for name in (name for scene in scenes for name in TILES[scene]):
        number = SCENES.index(name[0]) * 10 + int(name[2:])
        truth = random_truth(number)
        prediction = random_probabilities(truth, number + 1000 * seed, share_missed)
        tile = {"label": truth[None], "pred": prediction, "image": np.zeros((1, 32, 32), np.float32)}
        tensors = {key: torch.from_numpy(value) for key, value in tile.items()}
        records.add({"tile": name, "scene": name[0]}, tensors)
    return records.records.tiles


def origin(**changes: Any) -> dict[str, Any]:
    """What `scored_tiles.npz` says of a fold."""
    content = {
        "part": "test",
        "unit": "tile",
        "leaky": False,
        "instance_mode": "class",
        "instance_settings": INSTANCE_SETTINGS,
        "weights_sha256": "0" * 64,
        "plan_fingerprint": "1" * 64,
        "class_names": list(DEFAULT_CLASS_NAMES),
    }
    return {**content, **changes}


def description(number: int, **settings: Any) -> dict[str, Any]:
    """What `model.json` says of a fold."""
    split = SplitSettings(**{"n_folds": N_FOLDS, "fold": number, **settings})
    return {
        "format": 2,
        "network": {"init_filters": 8},
        "class_names": list(DEFAULT_CLASS_NAMES),
        "instance_settings": INSTANCE_SETTINGS,
        "trained_scenes": SCENES,
        "chosen_scenes": [],
        "tile_size": [64, 64],
        "plan_fingerprint": "1" * 64,
        "normalisation_version": 1,
        "band": None,
        "sha256": "0" * 64,
        "trained": {"key_metric": "seep_dice", "value": 0.5, "epoch": 2},
        "plan": {
            "settings": asdict(split),
            "fingerprint": "1" * 64,
            "leaky": False,
            "scene_levels": dict.fromkeys(SCENES, 1000.0),
            "training": [{"image": f"{name}.tif"} for names in TILES.values() for name in names],
            "validation": [],
            "test": [],
        },
    }


def scenes_of_fold(number: int) -> list[str]:
    """The scenes that fold `number` tests."""
    return [scene for i, scene in enumerate(SCENES) if i % N_FOLDS == number]


def make_fold(number: int, *, seed: int = 0, **changes: Any) -> Fold:
    """One fold; `changes` are of its origin."""
    return Fold(number, scored_tiles(scenes_of_fold(number), seed=seed), origin(**changes), description(number))


def write_weights(models: Path, number: int, content: bytes = b"weights", *, epoch: int = 2) -> str:
    """Files like those of a training, and the checksum of the weights."""
    models.mkdir(parents=True, exist_ok=True)
    (models / "model.pt").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    (models / "model.json").write_text(json.dumps({**description(number), "sha256": sha256}))
    torch.save({"epoch": epoch}, models / "last.pt")
    return sha256


def write_scores(place: Path, number: int, sha256: str, *, seed: int = 0) -> None:
    """Records like those of an evaluation."""
    (place / "eval").mkdir(parents=True, exist_ok=True)
    tiles = scored_tiles(scenes_of_fold(number), seed=seed)
    write_scored_tiles(place / "eval" / "scored_tiles.npz", tiles, origin(weights_sha256=sha256))


def write_folds(folder: Path, *, seed: int = 0) -> Path:
    """The files of a whole cross-validation."""
    for number in range(N_FOLDS):
        place = folder / f"fold_{number}"
        write_scores(place, number, write_weights(place / "models", number), seed=seed)
    return folder
