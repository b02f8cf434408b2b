"""What `model.json` may say; each change of a sound one is refused by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shipped_bundle import write_training

from seep_monai.checkpoints import read_description
from seep_monai.errors import DataError
from seep_monai.steps.weights import stored_network_settings


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return write_training(tmp_path / "models", context={"margin_px": 8, "tile_columns": {"9": 3}, "found": True})


def change(models: Path, place: str, value: Any) -> None:
    """Set the value at a place such as plan#settings; None as value removes the key."""
    content = json.loads((models / "model.json").read_text())
    *above, key = place.split("#")
    inner = content
    for name in above:
        inner = inner[name]
    inner.pop(key, None)
    if value is not None:
        inner[key] = value
    (models / "model.json").write_text(json.dumps(content))


def test_sound_description_is_read(models: Path) -> None:
    assert read_description(models)["tile_size"] == [64, 64]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("network", None, "expected an object in network, but got no such key"),
        ("network", [], "expected an object in network"),
        ("tile_size", [10**9, 64], "whole numbers from 1 to 4096 in tile_size"),
        ("tile_size", [64.0, 64], "in tile_size"),
        ("band", 0, "in band"),
        ("pixel_size_m", -1, "in pixel_size_m"),
        ("class_names", ["a"] * 7, "class_names: expected 7 different names"),
        ("run_name", "../../other", "run_name: expected the name of one folder"),
        ("instance_settings", {}, "an object with a mode in instance_settings"),
        ("operating_point", {"instances": {"threshold": 2}}, "in operating_point"),
        ("objects", {}, "expected a map_threshold with the objects"),
        ("context#margin_px", 65, "expected a margin within a tile, but got 65 px"),
        ("context#width", 1, "cannot be used .*width"),
        ("plan#settings#fold", -1, "cannot be used .*fold"),
        ("plan#settings#strange", 1, "cannot be used .*strange"),
        ("plan#test", None, "a list of tiles in test, but got no such key"),
        ("plan#training", [{"image": "a\0.tif"}], "expected entries"),
        ("plan#leaky", "no", "in leaky"),
    ],
)
def test_changed_description_is_refused(models: Path, place: str, value: Any, message: str) -> None:
    change(models, place, value)
    with pytest.raises(DataError, match=rf"(?s)model\.json: .*{message}"):
        read_description(models)


def test_network_larger_than_its_weights_is_refused(models: Path) -> None:
    change(models, "network#init_filters", 256)
    with pytest.raises(SystemExit, match=r"describes a network of \d+ weights or more, which \d+ bytes of model\.pt"):
        stored_network_settings(str(models))
