"""Evaluation by the bundle on a tiny data set: its files, its parts and the settings that are those of the training."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from bundle_runs import SMALL, assert_same_weights, copied, evaluate, infer, message_of, train
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tiny_data import write_tiny_dataset

from seep_monai.tiff import read_tiff, write_tiff

pytestmark = pytest.mark.usefixtures("closed_log")


@pytest.fixture(scope="module")
def trained(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that evaluations may write into."""
    return Path(shutil.copytree(trained, tmp_path_factory.mktemp("evaluated"), dirs_exist_ok=True))


@pytest.fixture(scope="module")
def scored(dataset: Path, trained: Path) -> dict[str, Any]:
    return evaluate(dataset, trained, figures=True)


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
        "recall_by_size.png",
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
    for title in ("Recall of instances against the score threshold", "Recall by size and contrast of the true"):
        assert page.count(f'alt="{title}') == 1
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
    metrics = evaluate(dataset, tmp_path, instances__mode="object", instances__high=0.04, instances__low=0.03)
    assert metrics["instance_mode"] == "object"
    assert metrics["instance_settings"] == {
        "mode": "object",
        "high": 0.04,
        "low": 0.03,
        "min_size_px": 0,
        "score_threshold": 0.0,
    }


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
        ({"network_settings#init_filters": 16}, "says 8, but got 16"),
        ({"network_settings#block_px": 1}, "says 2, but got 1"),
        ({"network_settings#blocks_down": [1, 2], "network_settings#blocks_up": [1]}, "says [1, 1], but got [1, 2]"),
        ({"band": 0}, "band: expected a whole number of at least 1, but got 0"),
        ({"split#n_folds": 4}, "n_folds: model.json says 3, but got 4"),
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


def test_evaluation_without_weights_names_them(dataset: Path, tmp_path: Path) -> None:
    assert "model.pt: expected trained weights" in message_of(evaluate, dataset, tmp_path)


def test_evaluation_of_an_unknown_part_lists_the_parts(dataset: Path, trained: Path) -> None:
    assert "part: expected one of" in message_of(evaluate, dataset, trained, part="tests")


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
