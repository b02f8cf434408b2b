"""Scoring of other models' predictions: class maps and COCO results, end to end by the script."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from seep_monai.__main__ import main
from seep_monai.coco import CocoRecords
from seep_monai.errors import SeepError
from seep_monai.instances.components import InstanceSettings, class_components, class_map
from seep_monai.metrics import InstanceAveragePrecision, PixelScores
from seep_monai.report.scoring import CocoPredictions, LabelPredictions, find_masks, score_predictions
from seep_monai.report.tables import nested_metrics
from seep_monai.scene.outputs import map_description
from seep_monai.tiff import read_tiff, write_tiff

SHAPE = (32, 48)


def two_level_tile(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are 0 or a multiple of 1/64 in one class and the background, and a truth that is near."""
    rng = np.random.default_rng(seed)
    truth, drawn = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    for _ in range(rng.integers(1, 6)):
        k, row, column = rng.integers(1, 8), rng.integers(0, SHAPE[0] - 3), rng.integers(0, 20)
        truth[row : row + 3, column : column + 20] = k
        drawn[row : row + 3, column + rng.integers(0, 8) : column + 18] = k
    rows, columns = np.indices(SHAPE)
    probabilities = np.zeros((8, *SHAPE))
    probabilities[drawn, rows, columns] = 1 - rng.integers(0, 30, SHAPE) / 64
    probabilities[0] += 1 - probabilities.sum(axis=0)
    return probabilities, truth


class Case:
    """Masks and predictions of four tiles in both forms, and what our metrics say of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tiles = {f"{i:06d}.{i:06d}": two_level_tile(i) for i in range(4)}
        for kind in ("masks", "labels", "probabilities"):
            (folder / kind).mkdir()
        records = CocoRecords()
        for name, (probabilities, truth) in self.tiles.items():
            classes = class_map(probabilities)
            write_tiff(folder / "masks" / f"{name}.tif", truth)
            write_tiff(folder / "labels" / f"{name}.tif", classes)
            write_tiff(folder / "probabilities" / f"{name}.tif", 1 - probabilities[0])
            records.add_tile(f"{name}.tif", class_components(truth), class_components(classes, probabilities))
        records.write(folder)

    def expected(self) -> dict:
        """The metrics of the maps by the MONAI shells."""
        values: dict[str, float] = {}
        for metric in (InstanceAveragePrecision(), PixelScores()):
            predictions = [torch.from_numpy(p) for p, _ in self.tiles.values()]
            metric(y_pred=predictions, y=[torch.from_numpy(t) for _, t in self.tiles.values()])
            values |= metric.aggregate()
        return nested_metrics(values)

    def masks(self) -> dict[str, Path]:
        return find_masks(self.folder / "masks")

    def score_labels(self, *, with_probability: bool = True, **kwargs) -> dict:
        masks = self.masks()
        probability_dir = self.folder / "probabilities" if with_probability else None
        return score_predictions(
            masks, LabelPredictions(list(masks), self.folder / "labels", probability_dir), **kwargs
        )

    def score_results(self, content: object = None, images: object = None) -> dict:
        masks, path = self.masks(), self.folder / "predictions_coco.json"
        if content is not None:
            path = self.folder / "other.json"
            path.write_text(json.dumps(content))
        if images is not None:
            (self.folder / "images.json").write_text(json.dumps(images))
        ids = self.folder / "images.json" if images is not None else None
        return score_predictions(masks, CocoPredictions(list(masks), path, ids))

    def results(self) -> list[dict]:
        return json.loads((self.folder / "predictions_coco.json").read_text())


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def assert_figures(metrics: dict, expected: dict) -> None:
    """Equal in all that is measured."""
    assert {key: metrics[key] for key in expected} == expected


@pytest.fixture
def run_script() -> Callable[..., None]:
    """Runs `seep-monai score` with a command line; SystemExit with its message where it fails."""

    def run(*arguments: object) -> None:
        main(["score", *map(str, arguments)])

    return run


# ------------------------------------------------------------------------------------------------------ class maps
def test_score_labels_with_probability_equals_the_metric(case: Case) -> None:
    assert_figures(case.score_labels(), case.expected())


def test_score_labels_without_probability_scores_one(case: Case) -> None:
    case.tiles = {name: (np.eye(8)[class_map(p)].transpose(2, 0, 1), t) for name, (p, t) in case.tiles.items()}
    assert_figures(case.score_labels(with_probability=False), case.expected())


def test_score_our_own_inference_files_are_found_by_their_endings(case: Case) -> None:
    expected, maps = case.score_labels(), case.folder / "maps"
    maps.mkdir()
    for name in case.masks():
        (case.folder / "labels" / f"{name}.tif").rename(maps / f"{name}_classes.tif")
        (case.folder / "probabilities" / f"{name}.tif").rename(maps / f"{name}_probability.tif")
    names = list(case.masks())
    assert score_predictions(case.masks(), LabelPredictions(names, maps, maps)) == expected


def test_score_raster_maps_of_our_inference_count_in_250ths(case: Case) -> None:
    for path in sorted((case.folder / "probabilities").iterdir()):
        steps = np.rint(read_tiff(path).array * 250)
        write_tiff(path, (steps / np.float32(250)).astype(np.float32))
    expected = case.score_labels()
    mark = map_description(1.0, "ab", InstanceSettings(), classified=False)
    for path in sorted((case.folder / "probabilities").iterdir()):
        write_tiff(path, np.rint(read_tiff(path).array * 250).astype(np.uint8), no_data=255, description=mark)
    assert case.score_labels() == expected


def test_score_false_alarms_by_area(case: Case) -> None:
    metrics = case.score_labels(pixel_size_m=50)
    n_alarms = metrics["ribbon"]["false_alarms_per_tile"] * 4
    area_km2 = 4 * SHAPE[0] * SHAPE[1] * 0.0025
    assert metrics["false_alarms_per_1000_km2"] == pytest.approx(n_alarms / area_km2 * 1000)
    assert case.score_labels()["false_alarms_per_1000_km2"] is None


def test_score_no_data_of_the_images_is_left_out(case: Case) -> None:
    (case.folder / "images").mkdir()
    expected_tiles = {}
    for name, (probabilities, truth) in case.tiles.items():
        dn = np.full(SHAPE, 900, np.uint16)
        dn[:, :12] = 0
        write_tiff(case.folder / "images" / f"{name}.tif", dn)
        expected_tiles[name] = (probabilities, np.where(dn == 0, 255, truth).astype(np.uint8))
    metrics = case.score_labels(images_dir=case.folder / "images")
    case.tiles = expected_tiles
    assert_figures(metrics, case.expected())


def test_score_no_data_in_a_prediction_counts_as_missed(case: Case) -> None:
    expected = case.score_labels()
    for name, (probabilities, _) in case.tiles.items():
        labels = class_map(probabilities)
        labels[labels == 0] = 255
        write_tiff(case.folder / "labels" / f"{name}.tif", labels)
    assert case.score_labels() == expected


def test_score_float_label_file_gives_the_same(case: Case) -> None:
    expected = case.score_labels()
    for name, (probabilities, _) in case.tiles.items():
        write_tiff(case.folder / "labels" / f"{name}.tif", class_map(probabilities).astype(np.float32))
    assert case.score_labels() == expected


def test_score_scenes_are_counted_by_the_pattern(case: Case) -> None:
    assert case.score_labels(scene_pattern=r"^(\d{3})")["n_scenes"] == 1
    assert case.score_labels()["n_scenes"] == 4


@pytest.mark.parametrize(
    ("kind", "array", "message"),
    [
        ("labels", np.full(SHAPE, 8, np.uint8), r"labels.000001\.000001\.tif: expected mask values .*found 8"),
        ("labels", np.full(SHAPE, -1, np.int16), "found -1"),
        ("labels", np.full(SHAPE, np.nan, np.float32), "found nan"),
        ("labels", np.full(SHAPE, 1.5, np.float32), "found 1.5"),
        ("labels", np.zeros((5, 6), np.uint8), "expected the mask's size"),
        ("masks", np.full(SHAPE, 255, np.uint8), r"masks.000001\.000001\.tif: expected mask values .*found 255"),
        ("probabilities", np.full(SHAPE, np.nan, np.float32), "leave no NaN there"),
        ("probabilities", np.full(SHAPE, 200, np.uint8), "divide bytes by 255"),
        ("probabilities", np.zeros((5, 6), np.float32), "expected the mask's size"),
    ],
)
def test_score_bad_file_raises(kind: str, array: np.ndarray, message: str, case: Case) -> None:
    write_tiff(case.folder / kind / "000001.000001.tif", array)
    with pytest.raises(SeepError, match=message):
        case.score_labels()


@pytest.mark.parametrize(("kind", "option"), [("labels", "--label_dir"), ("probabilities", "--probability_dir")])
def test_score_missing_prediction_raises(kind: str, option: str, case: Case) -> None:
    (case.folder / kind / "000002.000002.tif").unlink()
    with pytest.raises(SeepError, match=rf"none for 1 of 4: 000002\.000002\..*{option}"):
        case.score_labels()


def test_find_masks_two_of_one_name_raise(case: Case) -> None:
    write_tiff(case.folder / "masks" / "000001.000001.tiff", np.zeros(SHAPE, np.uint8))
    with pytest.raises(SeepError, match=r"found two of 000001\.000001"):
        case.masks()


# ---------------------------------------------------------------------------------------------------- COCO results
def test_score_results_of_our_own_maps_equal_the_metric(case: Case) -> None:
    metrics, expected = case.score_results(), case.expected()
    assert metrics["classes"] == expected["classes"]
    assert {key: metrics[key] for key in ("mAP", "mAP50", "mAR100")} == {
        key: expected[key] for key in ("mAP", "mAP50", "mAR100")
    }


def test_score_results_empty_list_is_zero_and_not_undefined(case: Case) -> None:
    metrics = case.score_results([])
    assert (metrics["mAP"], metrics["seep"]["recall"], metrics["seep"]["AP"]) == (0, 0, 0)


def test_score_results_ids_of_an_image_file_are_followed(case: Case) -> None:
    images = [{"id": 70 - i, "file_name": f"x/{name}.png"} for i, name in enumerate(case.tiles)]
    moved = [record | {"image_id": 71 - record["image_id"]} for record in case.results()]
    assert case.score_results(moved, {"images": images}) == case.score_results()


@pytest.mark.parametrize("seed", range(6))
def test_score_results_overlapping_masks_equal_pycocotools(seed: int, case: Case) -> None:
    rng, content = np.random.default_rng(seed), []
    for image_id, (_, truth) in enumerate(case.tiles.values(), start=1):
        for k in rng.choice([*np.unique(truth[truth > 0]), 1], 6):
            shifted = np.roll(truth == k, int(rng.integers(-1, 2)), axis=0) & (rng.random(SHAPE) < rng.uniform(0.6, 1))
            text = coco_mask.encode(np.asfortranarray(shifted.astype(np.uint8)))["counts"].decode()
            record = {"image_id": image_id, "category_id": int(k) - 1, "score": float(rng.choice([0.25, 0.5, 0.75]))}
            content.append(record | {"segmentation": {"size": list(SHAPE), "counts": text}})
    metrics = case.score_results(content)
    with contextlib.redirect_stdout(io.StringIO()):
        truth_file = COCO(case.folder / "ground_truth_coco.json")
        run = COCOeval(truth_file, truth_file.loadRes(content), "segm")
        run.evaluate()
        run.accumulate()
        run.summarize()
    ours = [metrics[key] for key in ("mAP", "mAP50", "mAP75", "mAR100")]
    assert ours == pytest.approx(run.stats[[0, 1, 2, 8]].tolist(), abs=1e-9)
    assert 0 < metrics["mAP"] < 1


def test_score_results_unknown_image_id_raises(case: Case) -> None:
    with pytest.raises(SeepError, match=r"ids 1\.\.4 by the order of mask names.*got 5.*--coco_images"):
        case.score_results([record | {"image_id": 5} for record in case.results()])


def test_score_results_mask_without_image_raises(case: Case) -> None:
    with pytest.raises(SeepError, match=r"000001\.000001, 000002\.000002, 000003\.000003 have none"):
        case.score_results([], {"images": [{"id": 1, "file_name": "000000.000000.tif"}]})


def test_score_results_other_size_raises_with_file_and_tile(case: Case) -> None:
    record = case.results()[0] | {"segmentation": {"size": [4, 4], "counts": [16]}}
    with pytest.raises(SeepError, match=r"other\.json: 000000\.000000: .*Predict at full resolution"):
        case.score_results([record])


# ---------------------------------------------------------------------------------------------------------- script
def test_script_labels_writes_metrics_and_prints_the_headline(case: Case, run_script, capsys) -> None:
    out = case.folder / "out"
    run_script("--masks_dir", case.folder / "masks", "--label_dir", case.folder / "labels", "--output_dir", out)
    assert capsys.readouterr().out.startswith("4 tiles of 4 scenes\nseep Dice ")
    assert json.loads((out / "metrics.json").read_text()) == case.score_labels(with_probability=False)


def test_script_results_with_images_writes_metrics(case: Case, run_script) -> None:
    results, images = case.folder / "predictions_coco.json", case.folder / "ground_truth_coco.json"
    given = ["--masks_dir", case.folder / "masks", "--coco_results", results, "--coco_images", images]
    run_script(*given, "--output_dir", case.folder / "out")
    assert json.loads((case.folder / "out" / "metrics.json").read_text()) == case.score_results()


def test_script_bad_results_is_one_line_and_writes_nothing(case: Case, run_script) -> None:
    (case.folder / "bad.json").write_text(json.dumps([case.results()[0] | {"category_id": 7}]))
    out = case.folder / "out"
    with pytest.raises(SystemExit) as exit_:
        run_script(
            "--masks_dir", case.folder / "masks", "--coco_results", case.folder / "bad.json", "--output_dir", out
        )
    # Python prints a message given as exit code and ends with 1.
    assert "bad.json: result 0: expected category_id 0..6" in exit_.value.code
    assert "\n" not in exit_.value.code
    assert not out.exists()


@pytest.mark.parametrize(
    "options", [[], ["--label_dir", "a", "--coco_results", "b"], ["--coco_results", "b", "--probability_dir", "c"]]
)
def test_script_contradicting_options_exit_with_usage(options: list[str], case: Case, run_script, capsys) -> None:
    with pytest.raises(SystemExit):
        run_script("--masks_dir", case.folder / "masks", "--output_dir", case.folder / "out", *options)
    assert "usage:" in capsys.readouterr().err
