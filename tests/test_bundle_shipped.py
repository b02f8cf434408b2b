"""The bundle with weights that ship: used by default, said in outputs, started from, never written to."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import rasterio
import torch
from bundle_runs import EVALUATE, FIT, INFERENCE, PIXEL, TRAIN, message_of, train
from monai.bundle import run
from shipped_bundle import ship_into

from seep_monai.shipped_weights import NOTE
from seep_monai.tiff import read_tiff
from seep_monai.workflow import BUNDLE_ROOT_VARIABLE

pytestmark = pytest.mark.usefixtures("closed_log")


@pytest.fixture
def shipped(learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights of `learned`, which ship with the bundle folder `tmp_path / "bundle"`."""
    monkeypatch.setenv(BUNDLE_ROOT_VARIABLE, str(tmp_path / "bundle"))
    return ship_into(tmp_path / "bundle", learned / "models")


def infer(source: Path, out: Path, **overrides: Any) -> None:
    """Without the id `ckpt_dir`."""
    arguments = {"input": str(source), "output_dir": str(out), "device": "cpu", **overrides}
    run("inference", config_file=INFERENCE, logging_file=False, **arguments)


def evaluate(dataset: Path, out: Path, **overrides: Any) -> dict[str, Any]:
    """Without the id `ckpt_dir`."""
    arguments = {"dataset_dir": str(dataset), "output_dir": str(out), "device": "cpu", **overrides}
    with patch("seep_monai.report.page.figure_png", lambda figure: PIXEL):
        run("evaluating", config_file=EVALUATE, logging_file=False, **arguments)
    content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return content


def sha256_of(folder: Path) -> str:
    return str(json.loads((folder / "model.json").read_text())["sha256"])


def renamed(dataset: Path, folder: Path) -> Path:
    """A copy with other scenes."""
    for kind in ("images", "masks"):
        (folder / f"train_{kind}_256").mkdir(parents=True)
        for path in (dataset / f"train_{kind}_256").iterdir():
            shutil.copy(path, folder / f"train_{kind}_256" / f"9{path.name[1:]}")
    return folder


# Used by default -----------------------------------------------------------------------------------------------------


def test_inference_without_own_weights_uses_the_shipped_and_says_so(
    shipped: Path, dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        infer(dataset / "train_images_256" / "000001.000002.tif", tmp_path / "out")
    description = json.loads(read_tiff(tmp_path / "out" / "000001.000002_classes.tif").description or "")
    assert (description["weights_sha256"], description["weights_note"]) == (sha256_of(shipped), NOTE)
    assert caplog.messages.count(f"{shipped}: {NOTE}") == 1


def test_inference_of_a_raster_says_so_in_every_file(shipped: Path, tmp_path: Path) -> None:
    place = {"crs": "EPSG:32631", "transform": rasterio.Affine(40, 0, 500_000, 0, -40, 6_600_000)}
    dn = np.random.default_rng(0).integers(15000, 25000, (100, 150)).astype(np.uint16)
    with rasterio.open(
        tmp_path / "coast.tif", "w", driver="GTiff", height=100, width=150, count=1, dtype="uint16", **place
    ) as target:
        target.write(dn, 1)
    out = tmp_path / "out"
    infer(tmp_path / "coast.tif", out)
    for name in ("classes", "probability"):
        with rasterio.open(out / f"coast_{name}.tif") as file:
            assert json.loads(file.tags()["TIFFTAG_IMAGEDESCRIPTION"])["weights_note"] == NOTE
    with closing(sqlite3.connect(out / "coast_seeps.gpkg")) as database:
        layers = dict(database.execute("SELECT table_name, description FROM gpkg_contents"))
    assert layers["seeps"] == NOTE
    assert json.loads((out / "coast_seeps.geojson").read_text())["description"] == NOTE
    assert NOTE in (out / "coast.html").read_text()


def test_evaluation_without_own_weights_scores_all_tiles_and_says_so(
    shipped: Path, dataset: Path, tmp_path: Path
) -> None:
    other = renamed(dataset, tmp_path / "other")
    metrics = evaluate(other, tmp_path / "eval")
    assert (metrics["part"], metrics["n_tiles"], metrics["leaky"]) == ("all", 18, False)
    assert metrics["weights_sha256"] == sha256_of(shipped)
    assert f"{NOTE[0].upper()}{NOTE[1:]}." in (tmp_path / "eval" / "report.html").read_text()
    # Scenes that the weights saw.
    assert evaluate(dataset, tmp_path / "eval")["leaky"] is True


def test_evaluation_by_shipped_weights_takes_scenes_of_other_names(
    shipped: Path, dataset: Path, tmp_path: Path
) -> None:
    metrics = evaluate(renamed(dataset, tmp_path / "other"), tmp_path / "eval", scene_pattern="^(.{5})")
    assert metrics["n_scenes"] == 1


@pytest.mark.parametrize("part", ["training", "validation", "test"])
def test_evaluation_of_a_part_by_shipped_weights_is_refused(
    shipped: Path, dataset: Path, tmp_path: Path, part: str
) -> None:
    assert "part: expected all" in message_of(evaluate, dataset, tmp_path / "eval", part=part)


def test_own_weights_in_the_default_folder_are_used(
    shipped: Path, trained: Path, dataset: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "models", tmp_path / "bundle" / "models", dirs_exist_ok=True)
    infer(dataset / "train_images_256" / "000001.000002.tif", tmp_path / "out")
    description = json.loads(read_tiff(tmp_path / "out" / "000001.000002_classes.tif").description or "")
    assert description["weights_sha256"] == sha256_of(trained / "models")
    assert "weights_note" not in description


def test_given_folder_without_weights_is_an_error(shipped: Path, dataset: Path, tmp_path: Path) -> None:
    source = dataset / "train_images_256"
    message = message_of(infer, source, tmp_path / "out", ckpt_dir=str(tmp_path / "empty"))
    assert f"{tmp_path / 'empty'}/model.pt: expected trained weights" in message


def test_without_any_weights_the_message_says_how_they_come_back(shipped: Path, dataset: Path, tmp_path: Path) -> None:
    shutil.rmtree(shipped)
    message = message_of(infer, dataset / "train_images_256", tmp_path / "out")
    assert "Train first, or give --ckpt_dir DIR." in message
    assert "git checkout bundle/models/simulated" in message


# Never written to ----------------------------------------------------------------------------------------------------


def test_fit_and_training_refuse_the_shipped_folder(shipped: Path, dataset: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in shipped.iterdir()}
    places = {"dataset_dir": str(dataset), "output_dir": str(tmp_path / "eval"), "ckpt_dir": str(shipped)}
    for name, config in (("fitting", FIT), ("training", TRAIN)):
        overwrite = {"overwrite": True} if name == "training" else {}
        message = message_of(run, name, config_file=config, logging_file=False, device="cpu", **places, **overwrite)
        assert "is the folder of the weights that ship" in message
        assert "Give another folder with --ckpt_dir" in message
    assert {path: path.read_bytes() for path in shipped.iterdir()} == before


def test_fit_without_own_weights_says_train_first(shipped: Path, dataset: Path, tmp_path: Path) -> None:
    places = {"dataset_dir": str(dataset), "output_dir": str(tmp_path / "eval")}
    message = message_of(run, "fitting", config_file=FIT, logging_file=False, device="cpu", **places)
    assert f"{tmp_path}/bundle/models/model.pt: expected trained weights" in message


# Started from --------------------------------------------------------------------------------------------------------


def test_training_starts_from_the_shipped_weights(shipped: Path, dataset: Path, tmp_path: Path) -> None:
    # One epoch that moves nothing: the weights stay those it started from.
    still = {"learning_rate": 1e-12, "optimizer#weight_decay": 0.0}
    train(renamed(dataset, tmp_path / "other"), tmp_path, max_epochs=1, **still)
    described = json.loads((tmp_path / "models" / "model.json").read_text())
    before = json.loads((shipped / "model.json").read_text())
    assert described["initial_weights_sha256"] == before["sha256"]
    assert {*before["trained_scenes"]} < {*described["trained_scenes"]}
    assert "shipped" not in described
    first, then = (torch.load(folder / "model.pt", weights_only=True) for folder in (shipped, tmp_path / "models"))
    for name, weight in first.items():
        assert then[name].dtype == torch.float32
        torch.testing.assert_close(then[name], weight.float(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("overrides", [{"initial_weights": "none"}, {"network_settings#init_filters": 16}])
def test_training_from_scratch_by_word_or_by_another_network(
    shipped: Path, dataset: Path, tmp_path: Path, overrides: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        train(dataset, tmp_path, max_epochs=1, **overrides)
    assert json.loads((tmp_path / "models" / "model.json").read_text())["initial_weights_sha256"] is None
    assert len([line for line in caplog.messages if line.startswith("training from scratch")]) == 1


def test_training_on_scenes_that_the_shipped_weights_saw_is_refused(
    shipped: Path, dataset: Path, tmp_path: Path
) -> None:
    message = message_of(train, dataset, tmp_path)
    assert "were trained or chosen on" in message
    assert "--initial_weights none" in message
    assert list((tmp_path / "models").iterdir()) == []


def test_training_from_given_weights_of_another_network_names_the_setting(
    learned: Path, dataset: Path, tmp_path: Path
) -> None:
    given = {"initial_weights": str(learned / "models"), "network_settings#init_filters": 16}
    message = message_of(train, renamed(dataset, tmp_path / "other"), tmp_path, **given)
    assert "init_filters 8 there, 16 here" in message


def test_resumed_training_keeps_the_ancestry_and_loads_nothing(shipped: Path, dataset: Path, tmp_path: Path) -> None:
    other = renamed(dataset, tmp_path / "other")
    train(other, tmp_path, max_epochs=1)
    sha256 = sha256_of(shipped)
    shutil.rmtree(shipped)
    train(other, tmp_path, max_epochs=2, resume=True, run_name="two")
    assert (
        torch.load(tmp_path / "models" / "last.pt", weights_only=True)["ancestry"]["initial_weights_sha256"] == sha256
    )
