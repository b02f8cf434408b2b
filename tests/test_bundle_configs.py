"""The bundle's configs and metadata as MONAI verifies them, and its command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_runs import CONFIGS, EVALUATE, INFERENCE, ROOT, SMALL, TRAIN, evaluate, fit, message_of, places, train
from monai.bundle import ConfigWorkflow, ckpt_export, load, run, verify_metadata, verify_net_in_out

MULTI_GPU_TRAIN, MULTI_GPU_EVALUATE = (str(CONFIGS / f"multi_gpu_{name}.json") for name in ("train", "evaluate"))

pytestmark = pytest.mark.usefixtures("closed_log")


# What MONAI expects of a bundle --------------------------------------------------------------------------------------


def test_metadata_passes_monai_verification(tmp_path: Path) -> None:
    schema = shutil.copy(ROOT / "tests" / "data" / "meta_schema_20240725.json", tmp_path / "schema.json")
    verify_metadata(meta_file=str(CONFIGS / "metadata.json"), filepath=str(schema))


def test_metadata_version_is_the_package_version_and_in_the_changelog() -> None:
    import seep_monai

    metadata = json.loads((CONFIGS / "metadata.json").read_text())
    assert metadata["version"] == seep_monai.__version__
    assert metadata["version"] in metadata["changelog"]


@pytest.mark.parametrize("config", [TRAIN, INFERENCE])
def test_network_passes_monai_verification(config: str, tmp_path: Path) -> None:
    meta = str(CONFIGS / "metadata.json")
    verify_net_in_out("network_def", config_file=config, meta_file=meta, device="cpu", n=4, ckpt_dir=str(tmp_path))


def test_network_of_a_copied_bundle_is_verified_and_exported_with_its_own_weights(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "mine"
    shutil.copytree(CONFIGS, bundle / "configs")
    shutil.copytree(trained / "models", bundle / "models")
    config, meta = str(bundle / "configs" / "inference.json"), str(bundle / "configs" / "metadata.json")
    monkeypatch.chdir(tmp_path)
    verify_net_in_out("network_def", config_file=config, meta_file=meta, device="cpu", n=4)
    # The default network has 24 filters: weights of one with 8 load only into the network that model.json describes.
    exported, weights = tmp_path / "model.ts", str(bundle / "models" / "model.pt")
    ckpt_export("network_def", filepath=str(exported), ckpt_file=weights, config_file=config, meta_file=meta)
    assert exported.is_file()


def test_bundle_load_of_inference_loads_every_weight(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(CONFIGS, tmp_path / "seeps" / "configs")
    shutil.copytree(trained / "models", tmp_path / "seeps" / "models")
    network = load("seeps", bundle_dir=str(tmp_path), workflow_type="inference", source="monaihosting")
    stored = torch.load(trained / "models" / "model.pt", weights_only=True)
    assert all(torch.equal(value, stored[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("start", [train, evaluate, fit])
def test_several_processes_are_refused(
    start: Any, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "expected one process" in message_of(start, dataset, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("config", [TRAIN, [TRAIN, MULTI_GPU_TRAIN]])
def test_train_config_has_all_properties(config: Any, dataset: Path, tmp_path: Path) -> None:
    overrides = {**SMALL, **places(tmp_path), "dataset_dir": str(dataset)}
    workflow = ConfigWorkflow(config, workflow_type="train", logging_file=False, **overrides)
    workflow.initialize()
    assert workflow.check_properties() == []


def test_inference_config_has_all_properties(dataset: Path, trained: Path, tmp_path: Path) -> None:
    overrides = {"input": str(dataset / "train_images_256"), "output_dir": str(tmp_path / "out")}
    overrides["ckpt_dir"] = str(trained / "models")
    workflow = ConfigWorkflow(INFERENCE, workflow_type="infer", logging_file=False, **overrides)
    workflow.initialize()
    assert workflow.check_properties() == []


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (TRAIN, "train"),
        (EVALUATE, "train"),
        (INFERENCE, "infer"),
        ([TRAIN, MULTI_GPU_TRAIN], "train"),
        ([*EVALUATE, MULTI_GPU_EVALUATE], "train"),
    ],
)
def test_initialize_without_data_touches_nothing(config: Any, kind: str, tmp_path: Path) -> None:
    nowhere = {"dataset_dir": str(tmp_path / "nowhere"), **places(tmp_path)}
    ConfigWorkflow(config, workflow_type=kind, logging_file=False, **nowhere).initialize()
    assert list(tmp_path.iterdir()) == []


# The command line ----------------------------------------------------------------------------------------------------


def command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "monai.bundle", "run", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)


def as_arguments(settings: dict[str, Any]) -> list[str]:
    return [word for key, value in settings.items() for word in (f"--{key}", str(value))]


def test_command_line_from_another_folder_trains_a_copied_bundle(dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "bundle", tmp_path / "mine", ignore=shutil.ignore_patterns("eval", "models"))
    settings = {**SMALL, "dataset_dir": str(dataset), "max_epochs": 1}
    config = ["--config_file", str(tmp_path / "mine" / "configs" / "train.json")]
    done = command("training", *config, *as_arguments(settings), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine" / "models" / "last.pt").is_file()
    assert "epoch 1/1: loss" in done.stdout


def test_command_line_with_bad_input_ends_with_code_1_and_the_message_last(tmp_path: Path) -> None:
    settings = {"dataset_dir": str(tmp_path / "nowhere"), **places(tmp_path)}
    done = command("training", "--config_file", TRAIN, *as_arguments(settings), folder=ROOT)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(f"{tmp_path}/nowhere/train_images_256: expected a folder")


def test_folders_named_by_numbers_work(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(dataset, tmp_path / "7")
    numbers = {"output_dir": 8, "ckpt_dir": 9}
    train(tmp_path, tmp_path, max_epochs=1, dataset_dir=7, run_name=6, **numbers)
    evaluate(tmp_path, tmp_path, dataset_dir=7, ckpt_dir=9, output_dir="8")
    run("inference", config_file=INFERENCE, logging_file=False, dataset_dir=7, device="cpu", output_dir=5, ckpt_dir=9)
    assert (tmp_path / "8" / "runs" / "6" / "run.log").is_file()
    assert len(list((tmp_path / "5").glob("*_classes.tif"))) == 18
