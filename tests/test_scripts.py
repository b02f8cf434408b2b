"""The scripts that users run, each once on little data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_data import write_tiny_dataset

ROOT = Path(__file__).resolve().parent.parent
SMALL = [
    "--network_settings#init_filters",
    "8",
    "--network_settings#blocks_down",
    "[1,1]",
    "--network_settings#blocks_up",
    "[1]",
]


def done(*words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("scripts") / "data")


def test_compare_with_baselines_prints_three_columns_of_the_scored_part(dataset: Path, tmp_path: Path) -> None:
    places = ["--dataset_dir", dataset, "--output_dir", tmp_path / "eval", "--ckpt_dir", tmp_path / "models"]
    run = ["-m", "monai.bundle", "run"]
    train = ["training", "--config_file", "bundle/configs/train.json", "--max_epochs", "1", "--split#n_folds", "3"]
    assert done(*run, *train, *places, *SMALL).returncode == 0
    both = "['bundle/configs/train.json','bundle/configs/evaluate.json']"
    assert done(*run, "evaluating", "--config_file", both, *places).returncode == 0
    table = done("scripts/compare_with_baselines.py", *places)
    assert table.returncode == 0, table.stderr
    assert "test part: 6 tiles of 2 scenes" in table.stdout
    rows = {line[:12].strip(): line[12:].split() for line in table.stdout.splitlines() if line.startswith("seep")}
    assert rows["seep Dice"][2] == "0.000"
    trained = json.loads((tmp_path / "eval" / "metrics.json").read_text())["seep"]["dice"]
    assert float(rows["seep Dice"][0]) == pytest.approx(trained, abs=6e-4)


def test_compare_with_baselines_before_an_evaluation_says_so(tmp_path: Path) -> None:
    failed = done("scripts/compare_with_baselines.py", "--output_dir", tmp_path)
    assert failed.returncode == 1
    assert failed.stderr.strip().splitlines()[-1].endswith("Evaluate first.")


def test_benchmark_training_prints_its_ratio(dataset: Path) -> None:
    result = done("scripts/benchmark_training.py", "--dataset_dir", dataset, "--n_rounds", "1")
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("ratio of medians")]
    assert 0.1 < float(lines[0].split()[-1]) < 10


@pytest.mark.parametrize(
    "name",
    [
        "compare_with_baselines",
        "benchmark_training",
        "benchmark_simulator",
        "compare_with_real",
        "compare_contrast",
        "compare_runs",
    ],
)
def test_script_help_says_what_it_does(name: str) -> None:
    result = done(f"scripts/{name}.py", "--help")
    assert result.returncode == 0
    assert len(result.stdout) > 200
