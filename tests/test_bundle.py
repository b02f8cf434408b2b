"""The bundle as users run it: training, evaluation and inference by MONAI's own entry points on a tiny data set."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import tifffile
import torch
from monai.bundle import ConfigWorkflow, run, verify_metadata, verify_net_in_out
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_data import SIZE_PX, write_tiny_dataset

from seep_monai.checkpoints import LastCheckpoint
from seep_monai.tiff import read_tiff, write_tiff
from seep_monai.workflow import stop_log

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "bundle" / "configs"
TRAIN = str(CONFIGS / "train.json")
EVALUATE = [TRAIN, str(CONFIGS / "evaluate.json")]
INFERENCE = str(CONFIGS / "inference.json")
SMALL = {
    "init_filters": 8,
    "batch_size": 4,
    "n_folds": 3,
    "n_panels": 2,
    "device": "cpu",
    "network_settings#blocks_down": [1, 1],
    "network_settings#blocks_up": [1],
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("tiny") / "data")


@pytest.fixture(autouse=True)
def closed_log() -> Iterator[None]:
    yield
    stop_log()


def places(out: Path) -> dict[str, str]:
    return {"output_dir": str(out / "eval"), "ckpt_dir": str(out / "models")}


def train(dataset: Path, out: Path, **overrides: Any) -> None:
    arguments = {**SMALL, **places(out), "dataset_dir": str(dataset), "max_epochs": 2, "run_name": "one", **overrides}
    run("training", config_file=TRAIN, logging_file=False, **arguments)


def evaluate(dataset: Path, out: Path, **overrides: Any) -> dict[str, Any]:
    arguments = {**places(out), "dataset_dir": str(dataset), "device": "cpu", **overrides}
    run("evaluating", config_file=EVALUATE, logging_file=False, **arguments)
    content: dict[str, Any] = json.loads((Path(arguments["output_dir"]) / "metrics.json").read_text())
    return content


def message_of(call: Any, *args: Any, **kwargs: Any) -> str:
    """The text that the program ends with."""
    with pytest.raises(SystemExit) as caught:
        call(*args, **kwargs)
    assert isinstance(caught.value.code, str)
    return caught.value.code


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    train(dataset, out)
    stop_log()
    return out


@pytest.fixture(scope="module")
def learned(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained long enough to find most of what there is."""
    out = tmp_path_factory.mktemp("learned")
    train(dataset, out, max_epochs=40, learning_rate=0.01)
    stop_log()
    evaluate(dataset, out)
    return out


@pytest.fixture(scope="module")
def scored(dataset: Path, trained: Path) -> dict[str, Any]:
    return evaluate(dataset, trained)


# Training ------------------------------------------------------------------------------------------------------------


def test_training_writes_the_files_of_the_contract(trained: Path) -> None:
    names = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    wanted = {"models/model.pt", "models/model.json", "models/last.pt", "eval/datalist.json"}
    wanted |= {f"eval/runs/one/{name}" for name in ("config.json", "versions.json", "run.log")}
    assert wanted <= names
    assert not [name for name in names if name.endswith(".tmp")]


def test_training_writes_one_event_file(trained: Path) -> None:
    assert len(list((trained / "eval" / "runs" / "one").glob("events.out.tfevents.*"))) == 1


def test_training_writes_every_curve_and_panel(trained: Path) -> None:
    events = EventAccumulator(str(trained / "eval" / "runs" / "one"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    wanted = {"train/loss", "train/learning_rate", "train/tiles_per_second", "validation/mAP", "validation/mAP50"}
    wanted |= {f"train_terms/{term}" for term in ("seep_ce", "seep_dice", "seep_jaccard", "class_ce", "class_dice")}
    wanted |= {"validation_seep/dice", "validation_seep/iou", "validation_iou/cls1", "validation_AP50/cls1"}
    assert wanted <= tags
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2]
    assert len([tag for tag in events.Tags()["images"] if tag.startswith("validation/")]) == 2


def test_training_keeps_model_pt_a_plain_state_dict_of_the_described_network(trained: Path) -> None:
    stored = torch.load(trained / "models" / "model.pt", weights_only=True)
    description = json.loads((trained / "models" / "model.json").read_text())
    assert description["network"]["init_filters"] == 8
    assert next(iter(stored.values())).shape[0] == 8
    assert description["tile_size"] == [SIZE_PX, SIZE_PX]


def test_training_plan_is_a_decathlon_list_of_disjoint_scenes(trained: Path, dataset: Path) -> None:
    plan = json.loads((trained / "eval" / "datalist.json").read_text())
    scenes = [{entry["scene"] for entry in plan[part]} for part in ("training", "validation", "test")]
    assert plan["leaky"] is False
    assert sum(map(len, scenes)) == len(set().union(*scenes)) == 6
    assert (dataset / plan["training"][0]["image"]).is_file()
    assert plan["counts"]["training"]["n_tiles"] == 6


def test_training_config_is_resolved_with_its_overrides(trained: Path) -> None:
    config = json.loads((trained / "eval" / "runs" / "one" / "config.json").read_text())
    assert config["init_filters"] == 8
    assert config["max_epochs"] == 2


def test_training_learns_the_tiny_set(learned: Path) -> None:
    # Seep everywhere would score 2 * .09 / (1 + .09) = .17.
    assert json.loads((learned / "eval" / "metrics.json").read_text())["seep"]["dice"] > 0.8


def test_training_twice_gives_the_same_weights(dataset: Path, trained: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path)
    assert_same_weights(trained / "models", tmp_path / "models")


def test_training_from_initial_weights_goes_on_where_those_ended(dataset: Path, learned: Path, tmp_path: Path) -> None:
    # One epoch that moves nothing: the weights stay those it started from.
    train(
        dataset, tmp_path, max_epochs=1, initial_weights=str(learned / "models"), learning_rate=1e-12, weight_decay=0.0
    )
    first, then = (torch.load(out / "models" / "model.pt") for out in (learned, tmp_path))
    described = json.loads((tmp_path / "models" / "model.json").read_text())

    for name, weight in first.items():
        torch.testing.assert_close(then[name], weight, atol=1e-6, rtol=0)
    assert described["initial_weights_sha256"] == json.loads((learned / "models" / "model.json").read_text())["sha256"]


def test_training_from_weights_that_saw_its_test_scenes_is_refused(
    dataset: Path, trained: Path, tmp_path: Path
) -> None:
    message = message_of(train, dataset, tmp_path, initial_weights=str(trained / "models"), fold=1)

    assert "trained on the scenes" in message
    assert not list((tmp_path / "models").iterdir())


def test_training_from_weights_that_are_not_there_is_refused(dataset: Path, tmp_path: Path) -> None:
    assert "expected trained weights" in message_of(train, dataset, tmp_path, initial_weights=str(tmp_path / "none"))


def test_unknown_sampling_is_refused(dataset: Path, tmp_path: Path) -> None:
    assert "expected one of shuffle, rarest_class" in message_of(train, dataset, tmp_path, sampling="fair")


@pytest.mark.parametrize("sampling", ["shuffle", "rarest_class"])
def test_training_resumed_equals_one_that_was_not_stopped(dataset: Path, tmp_path: Path, sampling: str) -> None:
    common = {"max_epochs": 3, "sampling": sampling}
    train(dataset, tmp_path / "whole", **common)
    train(dataset, tmp_path / "parts", **common, **{"train#trainer#max_epochs": 2})
    train(dataset, tmp_path / "parts", **common, resume=True, run_name="two")
    assert_same_weights(tmp_path / "whole" / "models", tmp_path / "parts" / "models")


def test_training_with_every_effect_resumed_equals_one_that_was_not_stopped(
    dataset: Path, trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    effects = {"speckle": 0.1, "wedge_prob": 0.5, "paste_prob": 1.0, "max_epochs": 2}
    with caplog.at_level("INFO"):
        train(dataset, tmp_path / "whole", **effects)
    assert "slick bank: " in caplog.text
    train(dataset, tmp_path / "parts", **effects, **{"train#trainer#max_epochs": 1})
    train(dataset, tmp_path / "parts", **effects, resume=True, run_name="two")
    assert_same_weights(tmp_path / "whole" / "models", tmp_path / "parts" / "models")
    first, second = (torch.load(out / "models" / "last.pt", weights_only=True) for out in (trained, tmp_path / "whole"))
    assert any(not torch.equal(first["network"][key], second["network"][key]) for key in first["network"])


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = (torch.load(folder / "last.pt", weights_only=True) for folder in (one, other))
    assert first["network"].keys() == second["network"].keys()
    for kept in ("network", "average"):
        assert all(torch.equal(first[kept][key], second[kept][key]) for key in first[kept])
    assert first["best"] == second["best"]


def test_training_with_folds_off_has_no_test_part(dataset: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path, max_epochs=1, n_folds=1)
    assert json.loads((tmp_path / "eval" / "datalist.json").read_text())["test"] == []


def test_training_by_its_own_datalist_gives_the_same_plan(dataset: Path, trained: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path, max_epochs=1, split_file=str(trained / "eval" / "datalist.json"))
    before, after = (json.loads((out / "eval" / "datalist.json").read_text()) for out in (trained, tmp_path))
    assert after["fingerprint"] == before["fingerprint"]


def test_training_by_tile_is_marked_leaky_everywhere(dataset: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path, max_epochs=1, split_by="tile", allow_leak="true")
    assert json.loads((tmp_path / "eval" / "datalist.json").read_text())["leaky"] is True
    assert evaluate(dataset, tmp_path)["leaky"] is True
    assert all(row.endswith("test,true") for row in (tmp_path / "eval" / "metrics.csv").read_text().splitlines()[1:])
    events = EventAccumulator(str(tmp_path / "eval" / "runs" / "one"))
    events.Reload()
    assert [tag for tag in events.Tags()["images"] if not tag.startswith("validation_leaky/")] == []


def test_training_stops_early_by_patience(dataset: Path, tmp_path: Path) -> None:
    # AP can only rise from 0 when something is found: within six epochs nothing is.
    train(dataset, tmp_path, max_epochs=10, val_interval=2, patience=2, key_metric="mAP75")
    # Validations after epochs 2 (the best so far, 0), 4 and 6.
    assert torch.load(tmp_path / "models" / "last.pt", weights_only=True)["epoch"] == 6


def test_training_with_overwrite_replaces_the_old_weights(dataset: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "models", tmp_path / "models")
    (tmp_path / "models" / "model.json").write_text("old")
    train(dataset, tmp_path, overwrite=True, seed=1)
    assert json.loads((tmp_path / "models" / "model.json").read_text())["plan"]["settings"]["seed"] == 1


# Bad input -----------------------------------------------------------------------------------------------------------


def copied(dataset: Path, folder: Path) -> Path:
    return Path(shutil.copytree(dataset, folder / "data"))


def test_missing_dataset_names_the_sample_script_and_the_option(tmp_path: Path) -> None:
    message = message_of(train, tmp_path / "nowhere", tmp_path)
    assert "nowhere/train_images_256: expected a folder of images" in message
    assert "make_sample_data.py" in message
    assert "--dataset_dir" in message
    assert not list((tmp_path / "eval").iterdir())


def rewritten(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replace a TIFF by a changed one."""
    tifffile.imwrite(path, change(read_tiff(path).array), photometric="minisblack")


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


IMAGE = "train_images_256/000001.000002.tif"
MASK = "train_masks_256/000001.000002.tif"

# What the user did to the data, and what the message must say.
SPOILT: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "empty folder": (
        lambda data: emptied(data / "train_images_256"),
        ["train_images_256: expected images", "--images_dir"],
    ),
    "image without mask": (
        lambda data: (data / MASK).unlink(),
        ["expected one mask per image", "for 1: 000001.000002"],
    ),
    "mask without image": (
        lambda data: (data / IMAGE).unlink(),
        ["expected one image per mask", "for 1: 000001.000002"],
    ),
    "sizes differ": (
        lambda data: rewritten(data / MASK, lambda mask: mask[:48]),
        [f"{MASK}: expected the image's size (64, 64), but got (48, 64)"],
    ),
    "mask value above 7": (
        lambda data: rewritten(data / MASK, lambda mask: np.where(mask == 1, 9, mask).astype(np.uint8)),
        [f"{MASK}: expected mask values 0", "found 9"],
    ),
    "truncated file": (
        lambda data: (data / IMAGE).write_bytes((data / IMAGE).read_bytes()[:2000]),
        [IMAGE, "copy it again"],
    ),
    "not a TIFF": (
        lambda data: (data / IMAGE).write_bytes(b"GIF89a and so on"),
        [IMAGE, "TIFF"],
    ),
    "several pages": (
        lambda data: rewritten(data / IMAGE, lambda image: np.stack([image, image])),
        [IMAGE, "band"],
    ),
    "several bands": (
        lambda data: tifffile.imwrite(data / IMAGE, np.zeros((64, 64, 3), np.uint8), photometric="rgb"),
        [IMAGE, "band"],
    ),
    "NaN that is not the no-data": (
        lambda data: rewritten(data / IMAGE, lambda image: np.where(image > 20000, np.nan, image).astype(np.float32)),
        [f"{IMAGE}: expected finite values", "GDAL no-data tag"],
    ),
    "name twice": (
        lambda data: shutil.copy(data / IMAGE, (data / IMAGE).with_suffix(".tiff")),
        ["expected one file per name", "000001.000002.tif and 000001.000002.tiff"],
    ),
    "size for the network": (
        lambda data: [
            rewritten(path, lambda array: array[:, :63])
            for folder in data.iterdir()
            for path in sorted(folder.iterdir())
        ],
        ["multiples of 4 px", "(64, 63)"],
    ),
    "one size among others": (
        lambda data: [rewritten(data / name, lambda array: array[:32]) for name in (IMAGE, MASK)],
        [f"{IMAGE}: expected the size (64, 64) of most tiles, but got (32, 64)"],
    ),
    "all tiles are no-data": (
        lambda data: [rewritten(path, np.zeros_like) for path in sorted((data / "train_images_256").iterdir())],
        ["all 18 are all no-data"],
    ),
    "no seep anywhere": (
        lambda data: [rewritten(path, np.zeros_like) for path in sorted((data / "train_masks_256").iterdir())],
        ["expected seeps in the training part"],
    ),
    "one scene": (
        lambda data: [
            path.rename(path.with_name(f"a.{path.name}"))
            for folder in data.iterdir()
            for path in sorted(folder.iterdir())
        ],
        ["needs at least two scenes", "--scene_pattern"],
    ),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_bad_data_end_with_their_message_and_nothing_written(dataset: Path, tmp_path: Path, fault: str) -> None:
    data = copied(dataset, tmp_path)
    spoil, expected = SPOILT[fault]
    spoil(data)
    message = message_of(train, data, tmp_path)
    assert [text for text in expected if text not in message] == []
    assert "\n" not in message
    assert files_below(tmp_path / "eval") == files_below(tmp_path / "models") == []


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_tiles_that_are_all_no_data_are_left_out_and_said(
    dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = copied(dataset, tmp_path)
    rewritten(data / IMAGE, np.zeros_like)
    train(data, tmp_path, max_epochs=1)
    assert json.loads((tmp_path / "eval" / "datalist.json").read_text())["left_out"] == ["000001.000002"]
    assert "1 of 18 tiles are all no-data and are left out: 000001.000002" in caplog.text


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"class_weights": [1, 2, 3]}, "7 finite numbers"),
        ({"class_weights": "sqrt"}, "class_weights: expected one of"),
        ({"class_weights_by": "areas"}, "class_weights: expected one of"),
        ({"init_filters": 12}, "init_filters: expected a positive multiple of 8"),
        ({"network_settings#blocks_down": 2}, "blocks_down: expected a list"),
        ({"network_settings#depth": 2}, "network_settings: unknown arguments ['depth']"),
        ({"key_metric": "dice"}, "key_metric: expected one of"),
        ({"class_names": ["a", "b"]}, "class_names: expected 7 different names"),
        ({"class_names": "abcdefg"}, "class_names: expected 7 different names"),
        ({"instance_mode": "objects"}, "mode: expected one of"),
        ({"instance_low": 0.7}, "expected 0 < low <= high <= 1"),
        ({"max_epochs": 0}, "max_epochs: expected a whole number of at least 1"),
        ({"max_epochs": 3, "val_interval": 2}, "val_interval: expected a divisor of max_epochs 3"),
        ({"batch_size": 2.5}, "batch_size: expected a whole number"),
        ({"learning_rate": "abc"}, "learning_rate: expected a finite number"),
        ({"speckle": "much"}, "speckle: expected a finite number"),
        ({"average_decay": 1}, "average_decay: expected a finite number"),
        ({"wedge_prob": 2}, "wedge_prob: expected a number from 0 to 1"),
        ({"paste_prob": -1}, "paste_prob: expected a number from 0 to 1"),
        ({"paste_prob": 1, "paste_class_weights": "rare"}, "class_weights: expected one of"),
        ({"patience": -1}, "patience: expected a whole number"),
        ({"device": "toaster"}, "device: expected cpu"),
        ({"run_name": "../x"}, "run_name: expected the name of one folder"),
        ({"resume": "yes"}, "resume: expected True or False"),
        ({"amp": "1"}, "amp: expected True or False"),
        ({"split_by": "tile"}, "--allow_leak True"),
        ({"n_folds": 2}, "n_folds: expected 1"),
        ({"split_file": 12}, "12: expected a JSON split file"),
        ({"scene_pattern": "("}, "scene_pattern"),
        ({"max_epoch": 7}, "Did you mean --max_epochs?"),
        ({"resume": True}, "--resume True needs the last checkpoint"),
        ({"loss_shares": {"dice": 1}}, "loss_shares"),
        ({"loss_shares": {"seep_ce": "a"}}, "loss_shares"),
        ({"weighted_terms": ["seep_ce"]}, "weighted_terms"),
    ],
)
def test_bad_setting_ends_with_its_message_and_nothing_written(
    dataset: Path, tmp_path: Path, overrides: dict[str, Any], expected: str
) -> None:
    assert expected in message_of(train, dataset, tmp_path, **overrides)
    assert files_below(tmp_path / "eval") == files_below(tmp_path / "models") == []


@pytest.mark.parametrize("name", ["runs", "datalist.json"])
def test_place_that_cannot_be_written_is_named(dataset: Path, tmp_path: Path, name: str) -> None:
    place = tmp_path / "eval" / name
    if name == "runs":
        place.parent.mkdir()
        place.write_text("in the way")
    else:
        place.mkdir(parents=True)
    assert str(place) in message_of(train, dataset, tmp_path)


def test_run_folder_of_another_run_is_refused(dataset: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "eval" / "runs", tmp_path / "eval" / "runs")
    before = files_below(tmp_path / "eval")
    assert "one holds another run" in message_of(train, dataset, tmp_path)
    assert files_below(tmp_path / "eval") == before


def test_overwrite_with_a_bad_setting_keeps_the_old_weights(dataset: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "models", tmp_path / "models")
    before = (tmp_path / "models" / "model.pt").read_bytes()
    message_of(train, dataset, tmp_path, overwrite=True, max_grad_norm=0)
    assert (tmp_path / "models" / "model.pt").read_bytes() == before


def test_another_runs_weights_in_the_way_are_kept(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.pt").write_bytes(b"precious")
    assert "--overwrite True" in message_of(train, dataset, tmp_path)
    assert (tmp_path / "models" / "model.pt").read_bytes() == b"precious"


@pytest.mark.parametrize(("place", "option"), [("eval", "--output_dir"), ("models", "--ckpt_dir")])
def test_file_in_place_of_an_output_folder_is_named(dataset: Path, tmp_path: Path, place: str, option: str) -> None:
    (tmp_path / place).write_text("in the way")
    message = message_of(train, dataset, tmp_path)
    assert f"{tmp_path / place}: expected a folder that can be written" in message
    assert option in message


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"fold": 1, "max_epochs": 3}, "trained on another plan"),
        ({"max_epochs": 2}, "has already 2 of 2 epochs"),
        ({"key_metric": "mAP50", "max_epochs": 3}, "chosen by seep_dice"),
        ({"init_filters": 16, "max_epochs": 3}, "holds another network"),
    ],
)
def test_resume_of_another_run_ends_with_its_message_and_changes_nothing(
    dataset: Path, trained: Path, tmp_path: Path, overrides: dict[str, Any], expected: str
) -> None:
    shutil.copytree(trained, tmp_path / "out")
    before = {path: path.read_bytes() for path in files_below(tmp_path / "out")}
    assert expected in message_of(train, dataset, tmp_path / "out", resume=True, run_name="two", **overrides)
    assert {path: path.read_bytes() for path in files_below(tmp_path / "out")} == before


def test_training_without_a_defined_key_metric_ends_with_its_message(dataset: Path, tmp_path: Path) -> None:
    # Without any class 7 its AP is undefined in every validation.
    data = copied(dataset, tmp_path)
    for path in sorted((data / "train_masks_256").iterdir()):
        rewritten(path, lambda mask: np.where(mask == 7, 6, mask).astype(np.uint8))
    message = message_of(train, data, tmp_path, max_epochs=1, key_metric="AP50_7")
    assert "no validation had a defined AP50_7" in message
    assert (tmp_path / "models" / "last.pt").is_file()
    assert not (tmp_path / "models" / "model.pt").exists()


def test_training_stopped_by_the_user_says_how_to_go_on(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupt(self: LastCheckpoint, engine: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LastCheckpoint, "save", interrupt)
    with pytest.raises(SystemExit) as caught:
        train(dataset, tmp_path)
    assert caught.value.code == 130
    assert "stopped in epoch 1; go on with --resume True" in caplog.text


def test_nan_loss_stops_with_tiles_and_keeps_the_last_checkpoint(dataset: Path, trained: Path, tmp_path: Path) -> None:
    last = tmp_path / "models" / "last.pt"
    shutil.copytree(trained / "models", tmp_path / "models")
    content = torch.load(last, weights_only=True)
    content["network"]["conv_final.2.conv.bias"][0] = float("nan")
    torch.save(content, last)
    before = last.read_bytes()
    message = message_of(train, dataset, tmp_path, resume=True, max_epochs=3)
    # Six training tiles in batches of 4 are two iterations an epoch: epoch 3 begins with iteration 5.
    assert "The loss became nan in epoch 3, iteration 5, on the tiles 00" in message
    assert last.read_bytes() == before
    assert "The loss became nan" in (tmp_path / "eval" / "runs" / "one" / "run.log").read_text()


# Evaluation ----------------------------------------------------------------------------------------------------------


def test_evaluation_metrics_have_the_keys_of_the_contract(scored: dict[str, Any], trained: Path) -> None:
    description = json.loads((trained / "models" / "model.json").read_text())
    assert scored["part"] == "test"
    assert scored["leaky"] is False
    assert (scored["n_tiles"], scored["n_scenes"]) == (6, 2)
    assert scored["weights_sha256"] == description["sha256"]
    assert scored["plan_fingerprint"] == description["plan_fingerprint"]
    assert set(scored["classes"]) == set("1234567")
    assert set(scored["classes"]["1"]) == {"iou", "dice", "named", "AP", "AP50", "AP10_50", "n_instances"}
    assert set(scored["seep"]) == {"iou", "dice", "precision", "recall", "AP", "AP50", "AP10_50"}
    assert {"f1_r1", "f1_r2", "f1_r3", "cldice", "pq", "pq_seep", "false_alarms_per_tile"} <= set(scored["ribbon"])
    assert np.array(scored["confusion_matrix"]["counts"]).shape == (8, 8)
    # Two test scenes are too few to draw from.
    assert scored["ci95"]["mAP50"] is None


def test_evaluation_figures_are_pngs(scored: dict[str, Any], trained: Path) -> None:
    names = {path.name for path in (trained / "eval" / "figures").iterdir()}
    assert {
        "tiles.png",
        "classes.png",
        "precision_recall.png",
        "precision.png",
        "recall.png",
        "f1.png",
        "confusion.png",
    } <= names
    for name in names:
        assert (trained / "eval" / "figures" / name).read_bytes().startswith(b"\x89PNG")


def test_evaluation_report_is_one_page_with_curves_and_fingerprint(scored: dict[str, Any], trained: Path) -> None:
    page = (trained / "eval" / "report.html").read_text()
    assert scored["plan_fingerprint"] in page
    assert "Curves of the training" in page
    assert "config of the training" in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_evaluation_coco_files_give_the_same_figures_by_pycocotools(learned: Path) -> None:
    scored = json.loads((learned / "eval" / "metrics.json").read_text())
    truth = COCO(str(learned / "eval" / "ground_truth_coco.json"))
    found = truth.loadRes(str(learned / "eval" / "predictions_coco.json"))
    reference = COCOeval(truth, found, "segm")
    reference.evaluate()
    reference.accumulate()
    precision = reference.eval["precision"][:, :, :, 0, 2]
    recall = reference.eval["recall"][:, :, 0, 2]
    assert scored["mAP"] == pytest.approx(precision[precision > -1].mean(), abs=1e-9)
    assert scored["mAP50"] == pytest.approx(precision[0][precision[0] > -1].mean(), abs=1e-9)
    assert scored["mAR100"] == pytest.approx(recall[recall > -1].mean(), abs=1e-9)


def test_evaluation_in_object_mode_says_so_and_names_one_class_per_object(
    dataset: Path, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "models", tmp_path / "models")
    metrics = evaluate(dataset, tmp_path, instance_mode="object", instance_high=0.04, instance_low=0.03)
    assert metrics["instance_mode"] == "object"
    assert metrics["instance_settings"] == {
        "mode": "object",
        "high": 0.04,
        "low": 0.03,
        "min_size_px": 0,
        "score_threshold": 0.0,
    }


def test_training_stores_the_operating_point_of_its_best_validation(
    dataset: Path, learned: Path, tmp_path: Path
) -> None:
    point = json.loads((learned / "models" / "model.json").read_text())["operating_point"]
    assert point["iou"] == 0.5
    assert 0 < point["seep"]["threshold"] <= 1
    assert point["seep"]["f1"] > 0.5
    source = dataset / "train_images_256" / "000001.000002.tif"
    infer(source, learned, tmp_path / "cut")
    infer(source, learned, tmp_path / "all", score_threshold=0)
    texts = [read_tiff(tmp_path / name / "000001.000002_classes.tif").description or "" for name in ("cut", "all")]
    cut, whole = (json.loads(text)["instance_settings"]["score_threshold"] for text in texts)
    assert (cut, whole) == (point["instances"]["threshold"], 0)


def test_evaluation_of_validation_equals_the_training_record(dataset: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "models", tmp_path / "models")
    metrics = evaluate(dataset, tmp_path, part="validation")
    best = json.loads((tmp_path / "models" / "model.json").read_text())["trained"]["value"]
    assert metrics["seep"]["dice"] == pytest.approx(best, abs=1e-6)


def test_evaluation_of_all_on_the_training_data_is_leaky(dataset: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "models", tmp_path / "models")
    metrics = evaluate(dataset, tmp_path, part="all")
    assert metrics["leaky"] is True
    assert metrics["n_tiles"] == 18


def test_evaluation_of_a_foreign_folder_takes_part_all_alone(trained: Path, tmp_path: Path) -> None:
    other = write_tiny_dataset(tmp_path / "other", n_scenes=2, seed=9)
    for folder in ("train_images_256", "train_masks_256"):
        for path in sorted((other / folder).iterdir()):
            path.rename(path.with_name(f"9{path.name}"))
    shutil.copytree(trained / "models", tmp_path / "models")
    assert "--part all" in message_of(evaluate, other, tmp_path)
    metrics = evaluate(other, tmp_path, part="all")
    assert (metrics["n_tiles"], metrics["leaky"]) == (6, False)


def test_evaluation_of_relabelled_tiles_is_of_another_data_set(dataset: Path, trained: Path, tmp_path: Path) -> None:
    data = copied(dataset, tmp_path)
    mask = data / "train_masks_256" / "000001.000002.tif"
    write_tiff(mask, np.where(read_tiff(mask).array == 1, 2, 0).astype(np.uint8))
    shutil.copytree(trained / "models", tmp_path / "models")
    assert "other levels or class pixels" in message_of(evaluate, data, tmp_path)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"init_filters": 16}, "says 8, but got 16"),
        ({"block_px": 1}, "says 2, but got 1"),
        ({"network_settings#blocks_down": [1, 2], "network_settings#blocks_up": [1]}, "says [1, 1], but got [1, 2]"),
        ({"band": 1}, "band: model.json says None, but got 1"),
        ({"n_folds": 4}, "n_folds: model.json says 3, but got 4"),
    ],
)
def test_evaluation_with_a_contradicting_setting_names_both(
    dataset: Path, trained: Path, overrides: dict[str, Any], expected: str
) -> None:
    assert expected in message_of(evaluate, dataset, trained, **overrides)


def test_evaluation_with_the_settings_of_the_training_passes(
    dataset: Path, trained: Path, scored: dict[str, Any]
) -> None:
    assert evaluate(dataset, trained, **SMALL) == scored


def test_evaluation_averaged_over_symmetries_scores_as_the_mean_of_eight(
    dataset: Path, learned: Path, tmp_path: Path
) -> None:
    plain = json.loads((learned / "eval" / "metrics.json").read_text())
    averaged = evaluate(dataset, learned, output_dir=str(tmp_path / "eval"), tta=True)

    assert averaged["weights_sha256"] == plain["weights_sha256"]
    assert averaged["seep"]["dice"] != plain["seep"]["dice"]
    assert averaged["seep"]["dice"] == pytest.approx(plain["seep"]["dice"], abs=0.1)


def test_inference_with_another_band_names_both(dataset: Path, trained: Path, tmp_path: Path) -> None:
    message = message_of(infer, dataset / "train_images_256", trained, tmp_path, band=2)
    assert "band: model.json says None, but got 2" in message


@pytest.mark.parametrize("overlap", [1.0, -0.1, "half"])
def test_inference_with_a_bad_overlap_names_it(dataset: Path, trained: Path, tmp_path: Path, overlap: object) -> None:
    message = message_of(infer, dataset / "train_images_256", trained, tmp_path, overlap=overlap)
    assert "overlap: expected a finite number" in message


def test_folders_named_by_numbers_work(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(dataset, tmp_path / "7")
    numbers = {"output_dir": 8, "ckpt_dir": 9}
    train(tmp_path, tmp_path, max_epochs=1, dataset_dir=7, run_name=6, **numbers)
    evaluate(tmp_path, tmp_path, dataset_dir=7, ckpt_dir=9, output_dir="8")
    run("inference", config_file=INFERENCE, logging_file=False, dataset_dir=7, device="cpu", output_dir=5, ckpt_dir=9)
    assert (tmp_path / "8" / "runs" / "6" / "run.log").is_file()
    assert len(list((tmp_path / "5").glob("*_classes.tif"))) == 18


def test_evaluation_without_weights_names_them(dataset: Path, tmp_path: Path) -> None:
    assert "model.pt: expected trained weights" in message_of(evaluate, dataset, tmp_path)


def test_evaluation_of_an_unknown_part_lists_the_parts(dataset: Path, trained: Path) -> None:
    assert "part: expected one of" in message_of(evaluate, dataset, trained, part="tests")


# Inference -----------------------------------------------------------------------------------------------------------


def infer(source: Path, trained: Path, out: Path, **overrides: Any) -> None:
    arguments = {"input": str(source), "output_dir": str(out), "ckpt_dir": str(trained / "models"), "device": "cpu"}
    run("inference", config_file=INFERENCE, logging_file=False, **{**arguments, **overrides})


def test_inference_writes_two_maps_per_tile(dataset: Path, trained: Path, tmp_path: Path) -> None:
    infer(dataset / "train_images_256", trained, tmp_path)
    assert len(list(tmp_path.glob("*_classes.tif"))) == len(list(tmp_path.glob("*_probability.tif"))) == 18
    with rasterio.open(tmp_path / "000000.000001_classes.tif") as classes:
        assert (classes.dtypes[0], classes.nodata) == ("uint8", 255)
        assert (classes.read(1)[:8] == 255).all()
        assert classes.read(1)[8:].max() <= 7
    with rasterio.open(tmp_path / "000000.000001_probability.tif") as probability:
        assert probability.dtypes[0] == "float32"
        assert np.isnan(probability.nodata)
        assert np.isnan(probability.read(1)[:8]).all()
        assert 0 <= probability.read(1)[8:].min() <= probability.read(1)[8:].max() <= 1


@pytest.mark.parametrize("tta", [False, True])
def test_inference_gives_the_class_map_that_evaluation_scores(
    dataset: Path, trained: Path, tmp_path: Path, tta: bool
) -> None:
    scored = evaluate(dataset, trained, output_dir=str(tmp_path / "eval"), tta=tta)
    infer(dataset / "train_images_256", trained, tmp_path, score_threshold=0, tta=tta)
    plan = json.loads((trained / "models" / "model.json").read_text())["plan"]
    hits = areas = 0
    for entry in plan["test"]:
        truth = read_tiff(dataset / entry["label"]).array > 0
        labels = read_tiff(tmp_path / f"{Path(entry['image']).stem}_classes.tif").array
        known = labels != 255
        hits += 2 * int((truth & known & (labels > 0)).sum())
        areas += int((truth & known).sum()) + int((known & (labels > 0)).sum())
    assert hits / areas == pytest.approx(scored["seep"]["dice"], abs=1e-3)


def test_inference_in_another_mode_is_not_cut_at_the_point_of_the_trained_one(
    dataset: Path, learned: Path, tmp_path: Path
) -> None:
    source = dataset / "train_images_256" / "000001.000002.tif"
    chosen = json.loads((learned / "models" / "model.json").read_text())["operating_point"]["instances"]["threshold"]
    found = {}
    for mode in (None, "class", "object"):
        infer(source, learned, tmp_path, instance_mode=mode)
        written = json.loads(read_tiff(tmp_path / "000001.000002_classes.tif").description or "")
        found[mode] = (written["instance_settings"]["mode"], written["instance_settings"]["score_threshold"])
    assert found == {None: ("class", chosen), "class": ("class", chosen), "object": ("object", 0.0)}


def test_inference_of_one_file_by_a_given_level_writes_the_level(dataset: Path, trained: Path, tmp_path: Path) -> None:
    infer(dataset / "train_images_256" / "000001.000002.tif", trained, tmp_path, scene_level=12345)
    description = json.loads(read_tiff(tmp_path / "000001.000002_classes.tif").description or "")
    assert description["scene_level"] == 12345
    assert description["weights_sha256"] == json.loads((trained / "models" / "model.json").read_text())["sha256"]


def test_inference_of_a_larger_image_runs_in_windows(dataset: Path, trained: Path, tmp_path: Path) -> None:
    tiles = [read_tiff(path).array for path in sorted((dataset / "train_images_256").glob("000001.*"))]
    write_tiff(tmp_path / "wide.tif", np.concatenate(tiles, axis=1)[:50])
    infer(tmp_path / "wide.tif", trained, tmp_path / "out")
    assert read_tiff(tmp_path / "out" / "wide_classes.tif").array.shape == (50, 3 * SIZE_PX)


def test_inference_into_the_input_folder_is_refused(dataset: Path, trained: Path) -> None:
    source = dataset / "train_images_256"
    assert "is the input folder" in message_of(infer, source, trained, source)
    assert not list(source.glob("*_classes.tif"))


def test_band_by_option_goes_through_training_evaluation_and_inference(
    dataset: Path, trained: Path, scored: dict[str, Any], tmp_path: Path
) -> None:
    data = copied(dataset, tmp_path)
    for path in (data / "train_images_256").iterdir():
        band = read_tiff(path).array
        tifffile.imwrite(path, np.stack([np.full_like(band, 7), band]), photometric="minisblack")
    assert "band" in message_of(train, data, tmp_path)
    train(data, tmp_path, band=2)
    assert_same_weights(trained / "models", tmp_path / "models")
    metrics = evaluate(data, tmp_path)
    assert {**metrics, "weights_sha256": None} == {**scored, "weights_sha256": None}
    infer(data / "train_images_256" / "000001.000002.tif", tmp_path, tmp_path / "one")
    infer(dataset / "train_images_256" / "000001.000002.tif", trained, tmp_path / "other")
    one, other = (read_tiff(tmp_path / name / "000001.000002_classes.tif").array for name in ("one", "other"))
    assert (one == other).all()


def test_inference_of_nothing_names_the_option(trained: Path, tmp_path: Path) -> None:
    assert "--input" in message_of(infer, tmp_path / "nowhere", trained, tmp_path)


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


def test_train_config_has_all_properties(dataset: Path, tmp_path: Path) -> None:
    overrides = {**SMALL, **places(tmp_path), "dataset_dir": str(dataset)}
    workflow = ConfigWorkflow(TRAIN, workflow_type="train", logging_file=False, **overrides)
    workflow.initialize()
    assert workflow.check_properties() == []


def test_inference_config_has_all_properties(dataset: Path, trained: Path, tmp_path: Path) -> None:
    overrides = {"input": str(dataset / "train_images_256"), "output_dir": str(tmp_path / "out")}
    overrides["ckpt_dir"] = str(trained / "models")
    workflow = ConfigWorkflow(INFERENCE, workflow_type="infer", logging_file=False, **overrides)
    workflow.initialize()
    assert workflow.check_properties() == []


@pytest.mark.parametrize(("config", "kind"), [(TRAIN, "train"), (EVALUATE, "train"), (INFERENCE, "infer")])
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
