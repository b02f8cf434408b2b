"""The object classifier through the bundle: fitted after a training, used by evaluation and inference."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bundle_runs import evaluate, fit, infer, message_of, train
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from seep_monai.tiff import read_tiff
from seep_monai.workflow import stop_log

pytestmark = pytest.mark.usefixtures("closed_log")


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    train(dataset, out, max_epochs=40, learning_rate=0.01)
    stop_log()
    return out


@pytest.fixture(scope="module")
def fitted(dataset: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fitted")
    shutil.copytree(trained, out, dirs_exist_ok=True)
    fit(dataset, out, tta=False)
    stop_log()
    return out


def test_fitting_adds_the_classifier_to_the_description_and_leaves_the_weights(trained: Path, fitted: Path) -> None:
    before, after = (json.loads((out / "models" / "model.json").read_text()) for out in (trained, fitted))
    assert {key: after[key] for key in before} == before
    assert set(after) - set(before) == {"objects", "map_threshold", "classified_operating_point"}
    assert (trained / "models" / "model.pt").read_bytes() == (fitted / "models" / "model.pt").read_bytes()


def test_fitting_warns_of_few_validation_scenes_and_of_weights_that_find_nothing(
    dataset: Path, trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr("seep_monai.steps.fitting._LOW_F1", 1.1)
    fit(dataset, tmp_path, tta=False)
    assert "validation tiles of 2 scene(s) alone" in caplog.text
    assert "find next to no seep of the validation tiles" in caplog.text


def test_evaluation_after_fitting_classifies_objects_and_equals_pycocotools(dataset: Path, fitted: Path) -> None:
    metrics = evaluate(dataset, fitted)
    assert metrics["instance_mode"] == "classified"
    threshold = json.loads((fitted / "models" / "model.json").read_text())["map_threshold"]
    assert metrics["instance_settings"]["low"] == threshold
    truth = COCO(str(fitted / "eval" / "ground_truth_coco.json"))
    scored = COCOeval(truth, truth.loadRes(str(fitted / "eval" / "predictions_coco.json")), "segm")
    scored.params.maxDets = [100]
    scored.evaluate()
    scored.accumulate()
    precision = scored.eval["precision"][0, :, :, 0, 0]
    for category, k in zip(scored.params.catIds, range(1, 8), strict=True):
        expected = metrics["classes"][str(k)]["AP50"]
        values = precision[:, category]
        assert (values < 0).all() if expected is None else values.mean() == pytest.approx(expected, abs=1e-9)
    assert metrics["seep"]["AP50"] > 0.5


def test_plain_modes_are_still_to_be_had(dataset: Path, trained: Path, fitted: Path, tmp_path: Path) -> None:
    plain = evaluate(dataset, trained, output_dir=str(tmp_path / "plain"))
    again = evaluate(dataset, fitted, output_dir=str(tmp_path / "again"), instances__mode="class")
    assert plain["instance_mode"] == "class"
    assert plain == again


def test_classified_mode_without_a_classifier_names_the_remedy(dataset: Path, trained: Path) -> None:
    assert "run fitting" in message_of(evaluate, dataset, trained, instances__mode="classified")


def test_evaluation_averaged_otherwise_than_fitted_is_refused(dataset: Path, fitted: Path) -> None:
    assert "tta: expected False, as the object classifier" in message_of(evaluate, dataset, fitted, tta=True)


def test_classifier_fitted_with_symmetries_is_used_with_them(dataset: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    description = fit(dataset, tmp_path)
    assert description["objects"]["tta"] is True
    assert evaluate(dataset, tmp_path)["instance_mode"] == "classified"


def test_inference_draws_the_map_that_evaluation_scores(dataset: Path, fitted: Path, tmp_path: Path) -> None:
    scored = evaluate(dataset, fitted, output_dir=str(tmp_path / "eval"))
    # The cut at the operating point is a matter of inference alone.
    infer(dataset / "train_images_256", fitted, tmp_path / "out", instances__score_threshold=0)
    plan = json.loads((fitted / "models" / "model.json").read_text())["plan"]
    counts = np.zeros((8, 8), int)
    for entry in plan["test"]:
        truth = read_tiff(dataset / entry["label"]).array
        labels = read_tiff(tmp_path / "out" / f"{Path(entry['image']).stem}_classes.tif").array
        known = labels != 255
        np.add.at(counts, (truth[known], labels[known]), 1)
    hits = counts[1:, 1:].sum()
    dice = 2 * hits / (2 * hits + counts[1:, 0].sum() + counts[0, 1:].sum())
    assert dice == pytest.approx(scored["seep"]["dice"], abs=1e-3)
    assert counts[1, 1] / counts[1, 1:].sum() == pytest.approx(scored["classes"]["1"]["named"], abs=2e-2)


def test_inference_cuts_classified_objects_at_the_operating_point_of_seep_or_not(
    dataset: Path, fitted: Path, tmp_path: Path
) -> None:
    infer(dataset / "train_images_256" / "000001.000002.tif", fitted, tmp_path)
    written = json.loads(read_tiff(tmp_path / "000001.000002_classes.tif").description or "")
    description = json.loads((fitted / "models" / "model.json").read_text())
    assert written["object_classifier"] is True
    chosen = description["classified_operating_point"]["seep"]["threshold"]
    assert written["instance_settings"]["score_threshold"] == chosen


def test_fitting_to_another_part_is_refused(dataset: Path, trained: Path) -> None:
    assert "Leave --part out" in message_of(fit, dataset, trained, part="test")
