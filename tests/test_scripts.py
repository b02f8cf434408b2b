"""The scripts that developers run, each once on little data."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundle_runs import evaluate, train
from script_runs import run_script

from seep_monai.shipped_weights import shipped_folder

pytestmark = pytest.mark.usefixtures("closed_log")


def test_compare_with_baselines_prints_columns_of_the_scored_part(dataset: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path, max_epochs=1)
    trained = evaluate(dataset, tmp_path)["seep"]["dice"]
    places = ["--dataset_dir", dataset, "--output_dir", tmp_path / "eval", "--ckpt_dir", tmp_path / "models"]
    table = run_script("compare_with_baselines", *places)
    assert table.returncode == 0, table.stderr
    assert "test part: 6 tiles of 2 scenes" in table.stdout
    rows = {line[:12].strip(): line[12:].split() for line in table.stdout.splitlines() if line.startswith("seep")}
    assert len(rows["seep Dice"]) == 2 + shipped_folder().is_dir()
    assert rows["seep Dice"][0] == "0.000"
    assert float(rows["seep Dice"][-1]) == pytest.approx(trained, abs=6e-4)


def test_compare_with_baselines_before_an_evaluation_says_so(tmp_path: Path) -> None:
    failed = run_script("compare_with_baselines", "--output_dir", tmp_path)
    assert failed.returncode == 1
    assert failed.stderr.strip().splitlines()[-1].endswith("Evaluate first.")


def test_benchmark_training_prints_its_ratio(dataset: Path) -> None:
    small = ["--network_settings#init_filters", "8", "--network_settings#blocks_down", "[1,1]"]
    small += ["--network_settings#blocks_up", "[1]"]
    result = run_script("benchmark_training", "--dataset_dir", dataset, "--n_rounds", "1", *small)
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("ratio of medians")]
    assert 0.1 < float(lines[0].split()[-1]) < 10


def test_benchmark_processes_prints_the_efficiency_of_each_number(dataset: Path) -> None:
    small = ["--network_settings#init_filters", "8", "--network_settings#blocks_down", "[1,1]"]
    small += ["--network_settings#blocks_up", "[1]", "--device", "cpu", "--n_rounds", "1", "--n_epochs", "2"]
    result = run_script("benchmark_processes", "--dataset_dir", dataset, "--n_processes", "1", *small)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].split()[5:] == ["1.000", "1.000", "..", "1.000"]


@pytest.mark.parametrize(
    "name",
    [
        "compare_with_baselines",
        "benchmark_training",
        "benchmark_processes",
        "benchmark_exports",
        "benchmark_simulator",
        "compare_with_real",
        "compare_contrast",
        "compare_runs",
    ],
)
def test_script_help_says_what_it_does(name: str) -> None:
    result = run_script(name, "--help")
    assert result.returncode == 0
    assert len(result.stdout) > 200
