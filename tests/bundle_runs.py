"""Training, evaluation, inference and fitting of the bundle by MONAI's own entry points, small enough for tests."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from monai.bundle import run

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "bundle" / "configs"
TRAIN = str(CONFIGS / "train.json")
EVALUATE = [TRAIN, str(CONFIGS / "evaluate.json")]
FIT = [*EVALUATE, str(CONFIGS / "fit_objects.json")]
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsVXWlQAAAABJRU5ErkJggg==")
INFERENCE = str(CONFIGS / "inference.json")
SMALL = {
    "network_settings#init_filters": 8,
    "batch_size": 4,
    "split#n_folds": 3,
    "validate#n_pictures": 2,
    "device": "cpu",
    "network_settings#blocks_down": [1, 1],
    "network_settings#blocks_up": [1],
}


def _ids(overrides: dict[str, Any]) -> dict[str, Any]:
    """Python has no `#` in names: `split__fold` stands for `split#fold`."""
    return {name.replace("__", "#"): value for name, value in overrides.items()}


def places(out: Path) -> dict[str, str]:
    return {"output_dir": str(out / "eval"), "ckpt_dir": str(out / "models")}


def train(dataset: Path, out: Path, **overrides: Any) -> None:
    arguments = {
        **SMALL,
        **places(out),
        "dataset_dir": str(dataset),
        "max_epochs": 2,
        "run_name": "one",
        **_ids(overrides),
    }
    run("training", logging_file=False, **{"config_file": TRAIN, **arguments})


def evaluate(dataset: Path, out: Path, *, figures: bool = False, **overrides: Any) -> dict[str, Any]:
    """The content of metrics.json. Without `figures`, which take most of the time, their files hold one pixel."""
    arguments = {**places(out), "dataset_dir": str(dataset), "device": "cpu", **_ids(overrides)}
    with contextlib.nullcontext() if figures else patch("seep_monai.report.page.figure_png", lambda figure: PIXEL):
        run("evaluating", config_file=EVALUATE, logging_file=False, **arguments)
    content: dict[str, Any] = json.loads((Path(arguments["output_dir"]) / "metrics.json").read_text())
    return content


def fit(dataset: Path, out: Path, **overrides: Any) -> dict[str, Any]:
    arguments = {**places(out), "dataset_dir": str(dataset), "device": "cpu", **_ids(overrides)}
    run("fitting", config_file=FIT, logging_file=False, **arguments)
    content: dict[str, Any] = json.loads((out / "models" / "model.json").read_text())
    return content


def infer(source: Path, trained: Path, out: Path, **overrides: Any) -> None:
    arguments = {"input": str(source), "output_dir": str(out), "ckpt_dir": str(trained / "models"), "device": "cpu"}
    run("inference", config_file=INFERENCE, logging_file=False, **{**arguments, **_ids(overrides)})


def message_of(call: Any, *args: Any, **kwargs: Any) -> str:
    """The text that the program ends with."""
    with pytest.raises(SystemExit) as caught:
        call(*args, **kwargs)
    assert isinstance(caught.value.code, str)
    return caught.value.code


def copied(dataset: Path, folder: Path) -> Path:
    return Path(shutil.copytree(dataset, folder / "data"))


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = (torch.load(folder / "last.pt", weights_only=True) for folder in (one, other))
    assert first["network"].keys() == second["network"].keys()
    for kept in ("network", "average"):
        assert all(torch.equal(first[kept][key], second[kept][key]) for key in first[kept])
    assert first["best"] == second["best"]
