"""A cross-validation of the bundle itself on a tiny data set, one epoch a fold."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import run as run_bundle
from tiny_data import write_tiny_dataset

from seep_monai.crossval.runs import train_folds
from seep_monai.crossval.settings import begin, make_settings
from seep_monai.crossval.summary import write_summary
from seep_monai.workflow import stop_log

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["--max_epochs", "1", "--network_settings#init_filters", "8", "--validate#n_pictures", "1", "--device", "cpu"]
SMALL += ["--network_settings#blocks_down", "[1,1]", "--network_settings#blocks_up", "[1]"]
# One epoch finds nothing that a classifier could be fitted to.
SMALL += ["--instances#mode", "object"]


def in_this_process(words: Sequence[str]) -> int:
    """What `run_process` does, without the seconds that a new process needs to start."""
    pairs = zip(words[1::2], words[2::2], strict=True)
    given = {name.removeprefix("--"): plain(value) for name, value in pairs}
    run_bundle(words[0], logging_file=False, **given)
    stop_log()
    return 0


def plain(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cross")
    write_tiny_dataset(folder / "data")
    settings = make_settings(folder / "data", SMALL, n_folds=3)
    out = folder / "out"
    out.mkdir()
    begin(settings, out)
    train_folds(settings, out, in_this_process)
    yield folder
    stop_log()


def test_bundle_trained_on_all_folds_scores_every_tile_once(trained: Path) -> None:
    write_summary(trained / "out")
    summary = json.loads((trained / "out" / "cross_validation.json").read_text())
    assert (summary["n_tiles"], summary["n_scenes"], summary["folds_missing"]) == (18, 6, [])
    assert [fold["n_scenes"] for fold in summary["folds"].values()] == [2, 2, 2]
    names = [name for fold in summary["folds"].values() for tiles in fold["scenes"].values() for name in tiles]
    assert sorted(names) == sorted(path.stem for path in (trained / "data" / "train_masks_256").iterdir())
    assert summary["pooled"]["ci95"]["seep.dice"] is not None


def test_bundle_fold_scores_are_those_of_its_metrics_file(trained: Path) -> None:
    write_summary(trained / "out")
    summary = json.loads((trained / "out" / "cross_validation.json").read_text())
    metrics = json.loads((trained / "out" / "fold_1" / "eval" / "metrics.json").read_text())
    scores = summary["folds"]["1"]["scores"]
    assert scores["seep.dice"] == metrics["seep"]["dice"]
    assert scores["seep.AP50"] == metrics["seep"]["AP50"]
    assert summary["folds"]["1"]["weights_sha256"] == metrics["weights_sha256"]


def test_script_scores_weights_trained_by_hand_in_processes_of_their_own(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "out" / "fold_2" / "models", tmp_path / "fold_2" / "models")
    words = [
        "-m",
        "seep_monai",
        "crossval",
        "--dataset_dir",
        trained / "data",
        "--output_dir",
        tmp_path,
        "--score_only",
    ]
    result = subprocess.run(
        [sys.executable, *map(str, words), "--device", "cpu", "--instances#mode", "object"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "of 3 folds these are missing: 0, 1" in result.stdout
    one, other = (folder / "fold_2" / "eval" / "metrics.json" for folder in (tmp_path, trained / "out"))
    assert json.loads(one.read_text()) == json.loads(other.read_text())
