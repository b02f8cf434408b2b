"""Training by the bundle on bad data, settings and places: it ends with a message and writes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from bundle_runs import copied, message_of, train

from seep_monai.handlers.checkpoints import LastCheckpoint
from seep_monai.tiff import read_tiff

pytestmark = pytest.mark.usefixtures("closed_log")


def test_missing_dataset_names_the_sample_script_and_the_option(tmp_path: Path) -> None:
    message = message_of(train, tmp_path / "nowhere", tmp_path)
    assert "nowhere/train_images_256: expected a folder of images" in message
    assert "seep-monai simulate" in message
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
        ({"loss#class_weights": [1, 2, 3]}, "7 finite numbers"),
        ({"loss#class_weights": "sqrt"}, "class_weights: expected one of"),
        ({"loss#weights_by": "areas"}, "class_weights: expected one of"),
        ({"network_settings#init_filters": 12}, "init_filters: expected a positive multiple of 8"),
        ({"network_settings#blocks_down": 2}, "blocks_down: expected a list"),
        ({"network_settings#depth": 2}, "network_settings: unknown arguments ['depth']"),
        ({"key_metric": "dice"}, "key_metric: expected one of"),
        ({"class_names": ["a", "b"]}, "class_names: expected 7 different names"),
        ({"class_names": "abcdefg"}, "class_names: expected 7 different names"),
        ({"instances#mode": "objects"}, "mode: expected one of"),
        ({"instances#low": 0.7}, "expected 0 < low <= high <= 1"),
        ({"max_epochs": 0}, "max_epochs: expected a whole number of at least 1"),
        ({"max_epochs": 3, "val_interval": 2}, "val_interval: expected a divisor of max_epochs 3"),
        ({"batch_size": 2.5}, "batch_size: expected a whole number"),
        ({"learning_rate": "abc"}, "learning_rate: expected a finite number"),
        ({"average#decay": 1}, "average#decay: expected a finite number"),
        ({"augment#turn_prob": 2}, "turn_prob: expected a number from 0 to 1"),
        ({"augment#paste_prob": -1}, "paste_prob: expected a number from 0 to 1"),
        ({"augment#paste_prob": 1, "augment#paste_class_weights": "rare"}, "class_weights: expected one of"),
        ({"patience": -1}, "patience: expected a whole number"),
        ({"device": "toaster"}, "device: expected cpu"),
        ({"run_name": "../x"}, "run_name: expected the name of one folder"),
        ({"resume": "yes"}, "resume: expected True or False"),
        ({"amp": "1"}, "amp: expected True or False"),
        ({"split#split_by": "tile"}, "--split#allow_leak True"),
        ({"split#n_folds": 2}, "n_folds: expected 1"),
        ({"split#split_file": 12}, "12: expected a JSON split file"),
        ({"scene_pattern": "("}, "scene_pattern"),
        ({"max_epoch": 7}, "Did you mean --max_epochs?"),
        ({"checkpoint_interval_s": 60}, "Did you mean --train#checkpoint_interval_s?"),
        ({"train#checkpoint_interval_s": -1}, "checkpoint_interval_s: expected a finite number"),
        ({"resume": True}, "--resume True needs the last checkpoint"),
        ({"loss#shares": {"dice": 1}}, "loss#shares"),
        ({"loss#shares": {"seep_ce": "a"}}, "loss#shares"),
        ({"loss#weighted_terms": ["seep_ce"]}, "loss#weighted_terms"),
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
    message_of(train, dataset, tmp_path, overwrite=True, train__max_grad_norm=0)
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
        ({"split#fold": 1, "max_epochs": 3}, "trained on another plan"),
        ({"max_epochs": 2}, "has already 2 of 2 epochs"),
        ({"key_metric": "mAP50", "max_epochs": 3}, "chosen by seep_dice"),
        ({"batch_size": 2, "max_epochs": 3}, "was trained with 2 batches an epoch, but this run has 3"),
        ({"network_settings#init_filters": 16, "max_epochs": 3}, "holds another network"),
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
    # The best weights were written before.
    assert "stopped in epoch 1; start again with --overwrite True: it has no checkpoint" in caplog.text


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
