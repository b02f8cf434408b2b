"""AP and AR against pycocotools, which labels, scores and matches on its own here."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import ndimage

from seep_monai.metrics import InstanceAveragePrecision
from seep_monai.metrics.average_precision import precision_at_recall

Tile = tuple[np.ndarray, np.ndarray]  # probabilities (8, H, W), truth (H, W)
SEEP = 8


# ---------------------------------------------------------------------------------------------------- the oracle
def separate(classes: np.ndarray):
    """(category, mask) of each component: classes 1..7, then all seeps as category 8."""
    for category in range(1, SEEP + 1):
        labels, n = ndimage.label(classes > 0 if category == SEEP else classes == category, np.ones((3, 3)))
        yield from ((category, labels == i) for i in range(1, n + 1))


def annotations(image_id: int, classes: np.ndarray, probabilities: np.ndarray | None) -> list[dict]:
    found = []
    for category, mask in separate(classes):
        rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        item = {"image_id": image_id, "category_id": category, "segmentation": rle, "iscrowd": 0}
        if probabilities is None:
            item |= {"area": float(mask.sum()), "bbox": coco_mask.toBbox(rle).tolist()}
        else:
            p = 1 - probabilities[0] if category == SEEP else probabilities[category]
            item["score"] = float(p[mask].astype(np.float64).mean())
        found.append(item)
    return found


def coco_files(tiles: list[Tile]) -> tuple[COCO, COCO]:
    images = [{"id": i, "height": t.shape[0], "width": t.shape[1]} for i, (_, t) in enumerate(tiles)]
    categories = [{"id": k, "name": str(k)} for k in range(1, SEEP + 1)]
    truth, detections = [], []
    for i, (probabilities, labels) in enumerate(tiles):
        known = labels != 255
        truth += annotations(i, labels * known, None)
        detections += annotations(i, probabilities.argmax(axis=0) * known, probabilities)
    numbered = [item | {"id": n} for n, item in enumerate(truth, start=1)]
    ground_truth = COCO()
    ground_truth.dataset = {"images": images, "categories": categories, "annotations": numbered}
    ground_truth.createIndex()
    if detections:
        return ground_truth, ground_truth.loadRes(detections)
    nothing = COCO()
    nothing.dataset = {"images": images, "categories": categories, "annotations": []}
    nothing.createIndex()
    return ground_truth, nothing


def evaluated(files: tuple[COCO, COCO], thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AP (T, 8) and recall (T, 8), NaN where COCO says -1."""
    run = COCOeval(*files, iouType="segm")
    run.params.useCats = 1
    run.params.iouThrs = thresholds
    run.params.maxDets = [100]
    run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
    run.evaluate()
    run.accumulate()
    precision, recall = run.eval["precision"][:, :, :, 0, 0], run.eval["recall"][:, :, 0, 0]
    return np.where(precision < 0, np.nan, precision).mean(axis=1), np.where(recall < 0, np.nan, recall)


def mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if (~np.isnan(values)).any() else float("nan")


def coco_scores(tiles: list[Tile]) -> dict[str, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        files = coco_files(tiles)
        ap, recall = evaluated(files, np.linspace(0.5, 0.95, 10))
        low, _ = evaluated(files, np.linspace(0.1, 0.5, 9))
    n = [sum(a["category_id"] == k for a in files[0].dataset["annotations"]) for k in range(1, SEEP + 1)]
    scores = {"mAP": mean(ap[:, :7]), "mAP50": mean(ap[0, :7]), "mAP75": mean(ap[5, :7]), "mAP10_50": mean(low[:, :7])}
    scores |= {"mAR100": mean(recall[:, :7]), "n_instances": float(sum(n[:7])), "seep_n_instances": float(n[7])}
    for k in range(1, 8):
        scores |= {f"AP_{k}": mean(ap[:, k - 1]), f"AP50_{k}": ap[0, k - 1], f"AP10_50_{k}": mean(low[:, k - 1])}
        scores[f"n_instances_{k}"] = float(n[k - 1])
    return scores | {"seep_AP": mean(ap[:, 7]), "seep_AP50": ap[0, 7], "seep_AP10_50": mean(low[:, 7])}


# ----------------------------------------------------------------------------------------------------- the tiles
def tile(truth: np.ndarray, predicted: np.ndarray, confidence: np.ndarray | float = 0.75) -> Tile:
    """A tile whose arg-max map is `predicted`; confidences are multiples of 1/64, so that score sums are exact."""
    probabilities = np.zeros((8, *truth.shape), np.float64)
    k, (rows, columns) = predicted.astype(int), np.indices(truth.shape)
    probabilities[k, rows, columns] = confidence
    probabilities[0] += 1 - probabilities.sum(axis=0)
    np.testing.assert_array_equal(probabilities.argmax(axis=0), predicted)
    return probabilities, truth.astype(np.uint8)


def random_tile(rng: np.random.Generator) -> Tile:
    """Ribbons of some classes, and a prediction that shifts, drops, relabels, cuts and adds."""
    shape = (int(rng.integers(20, 30)), int(rng.integers(25, 45)))
    truth, predicted = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for _ in range(rng.integers(0, 6)):
        k, row, column = rng.integers(1, 6), rng.integers(0, shape[0] - 4), rng.integers(0, shape[1] - 4)
        height, width = (rng.integers(1, 4), rng.integers(3, 20))[:: rng.choice([-1, 1])]
        truth[row : row + height, column : column + width] = k
        if rng.random() < 0.8:
            row, column = max(row + rng.integers(-1, 2), 0), column + rng.integers(0, 3)
            k = rng.integers(1, 6) if rng.random() < 0.2 else k
            predicted[row : row + height + rng.integers(0, 2), column : column + width] = k
    predicted[rng.random(shape) < rng.choice([0.0, 0.02, 0.1])] = 0
    predicted[rng.random(shape) < rng.choice([0.0, 0.01])] = rng.integers(1, 6)
    truth[rng.random(shape) < rng.choice([0.0, 0.05])] = 255
    steps = rng.choice([2, 30])  # two levels only: many equal scores
    return tile(truth, predicted, 1 - rng.integers(0, steps, shape) / 64)


def scores_of(tiles: list[Tile]) -> dict[str, float]:
    metric = InstanceAveragePrecision()
    metric(y_pred=[torch.from_numpy(p) for p, _ in tiles], y=[torch.from_numpy(t) for _, t in tiles])
    return metric.aggregate()


def check(tiles: list[Tile]) -> dict[str, float]:
    """Compares all keys with pycocotools and hands our scores back."""
    scores = scores_of(tiles)
    expected = coco_scores(tiles)
    assert scores.keys() == expected.keys()
    for key, value in expected.items():
        assert scores[key] == pytest.approx(value, abs=1e-9, nan_ok=True), key
        assert type(scores[key]) is float
    return scores


def blank(shape: tuple[int, int] = (24, 30)) -> np.ndarray:
    return np.zeros(shape, np.uint8)


def line(row: int, columns: slice, k: int = 1, shape: tuple[int, int] = (24, 30)) -> np.ndarray:
    classes = blank(shape)
    classes[row, columns] = k
    return classes


def dots(n: int, k: int = 1, size: int = 48) -> np.ndarray:
    """n single pixels that do not touch."""
    classes = blank((size, size))
    rows, columns = np.indices((size // 2, size // 2)) * 2
    classes[rows.ravel()[:n], columns.ravel()[:n]] = k
    return classes


# ----------------------------------------------------------------------------------------------------- the tests
@pytest.mark.parametrize("seed", range(100))
def test_ap_random_tiles_equals_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    check([random_tile(rng) for _ in range(rng.integers(1, 7))])


def test_ap_perfect_prediction_is_one() -> None:
    scores = check([tile(line(3, slice(2, 20), k=4), line(3, slice(2, 20), k=4))])
    assert scores["mAP"] == pytest.approx(1)


def test_ap_absent_class_is_nan_and_not_averaged() -> None:
    both = line(3, slice(2, 20)) + line(10, slice(2, 20), k=5)
    scores = check([tile(line(3, slice(2, 20)), both)])
    assert np.isnan(scores["AP_5"])
    assert scores["mAP"] == pytest.approx(1)


def test_ap_no_truth_at_all_is_nan() -> None:
    assert np.isnan(check([tile(blank(), line(3, slice(2, 20)))])["mAP"])


def test_ap_no_predictions_at_all_is_zero() -> None:
    scores = check([tile(line(3, slice(2, 20)), blank())])
    assert scores["mAP"] == 0
    assert scores["mAR100"] == 0


def test_ap_empty_tiles_without_detections_change_nothing() -> None:
    found = tile(line(3, slice(2, 20)), line(3, slice(2, 15)))
    assert check([found])["mAP"] == check([found, tile(blank(), blank())])["mAP"]


def test_ap_false_alarm_in_an_empty_tile_costs() -> None:
    found = tile(line(3, slice(2, 20)), line(3, slice(2, 20)), 0.75)
    alarm = tile(blank(), line(5, slice(2, 9)), 0.875)
    assert check([found, alarm])["mAP"] == pytest.approx(0.5)


def test_ap_touching_classes_equals_pycocotools() -> None:
    truth = line(3, slice(2, 10)) + line(3, slice(10, 20), k=2) + line(4, slice(2, 20), k=3)
    predicted = line(3, slice(2, 12)) + line(3, slice(12, 20), k=2) + line(4, slice(2, 20), k=3)
    check([tile(truth, predicted)])


def test_ap_diagonal_contact_is_one_instance() -> None:
    diagonal = np.eye(24, dtype=np.uint8) * 2
    assert check([tile(diagonal, diagonal)])["n_instances"] == 1


def test_ap_ties_over_tiles_go_by_image_order() -> None:
    hit = tile(line(3, slice(2, 20)), line(3, slice(2, 20)))
    alarm = tile(line(3, slice(2, 20)), line(9, slice(2, 20)))
    assert check([hit, alarm])["mAP"] > check([alarm, hit])["mAP"]


def test_ap_ties_in_a_tile_go_by_raster_order() -> None:
    truth = line(9, slice(2, 20))
    alarm_first = tile(truth, truth + line(3, slice(2, 20)))
    alarm_last = tile(truth, truth + line(15, slice(2, 20)))
    assert check([alarm_last])["mAP"] > check([alarm_first])["mAP"]


def test_ap_more_than_100_detections_keeps_the_best_100_of_a_class() -> None:
    confidence = 1 - np.random.default_rng(0).integers(0, 30, (48, 48)) / 64
    scores = check([tile(dots(130), dots(130), confidence), tile(dots(20), dots(10))])
    assert scores["mAR100"] == pytest.approx(110 / 150)


def test_ap_limit_of_100_holds_per_class() -> None:
    truth = dots(180)
    truth[:, 24:] *= 2
    scores = check([tile(truth, truth)])
    assert scores["mAR100"] == 1
    assert scores["n_instances"] == 180


def test_ap_more_than_255_components_equals_pycocotools() -> None:
    rng = np.random.default_rng(1)
    truth = dots(500) * rng.integers(1, 8, (48, 48)).astype(np.uint8)
    check([tile(truth, np.where(rng.random((48, 48)) < 0.9, truth, 0))])


@pytest.mark.parametrize("n_px", range(1, 21))
def test_ap_iou_exactly_on_a_threshold_equals_pycocotools(n_px: int) -> None:
    # n of 20 pixels: IoU n / 20 is each of .10, .15, .. .95.
    check([tile(line(3, slice(0, 20)), line(3, slice(0, n_px)))])


@pytest.mark.parametrize("n_px", range(20, 41))
def test_ap_larger_detection_on_a_threshold_equals_pycocotools(n_px: int) -> None:
    shape = (5, 50)
    check([tile(line(3, slice(0, 14), shape=shape), line(3, slice(0, n_px), shape=shape))])


def test_ap_equal_iou_with_two_truths_equals_pycocotools() -> None:
    truth = line(3, slice(0, 5)) + line(3, slice(6, 11))
    predicted = line(3, slice(0, 11))
    predicted[5, 6:9] = 1
    truth[4:7, 6:9] = 1
    check([tile(truth, predicted, 0.75 + 0.125 * (np.indices(truth.shape)[0] == 3))])


def test_ap_two_detections_on_one_truth_count_one_below_half() -> None:
    predicted = line(3, slice(0, 9)) + line(3, slice(11, 20))
    assert 0 < check([tile(line(3, slice(0, 20)), predicted)])["AP10_50_1"] < 1


def test_ap_non_square_tiles_of_two_sizes_equals_pycocotools() -> None:
    wide, tall = (9, 40), (40, 9)
    first = tile(line(3, slice(2, 30), shape=wide), line(3, slice(2, 20), shape=wide))
    check([first, tile(line(30, slice(2, 8), shape=tall), line(30, slice(1, 7), shape=tall))])


def test_ap_single_pixels_equals_pycocotools() -> None:
    check([tile(dots(3), dots(2, size=48)), tile(dots(3, k=2), dots(4, k=2), 0.625)])


def test_ap_holes_equals_pycocotools() -> None:
    ring = blank()
    ring[2:12, 2:12] = 6
    filled = ring.copy()
    ring[4:10, 4:10] = 0
    assert check([tile(ring, filled)])["AP50_6"] == pytest.approx(1)


def test_ap_prediction_on_no_data_is_no_false_alarm() -> None:
    truth = line(3, slice(2, 20))
    truth[10:] = 255
    scores = check([tile(truth, line(3, slice(2, 20)) + line(15, slice(2, 20), k=2) + line(12, slice(2, 20)))])
    assert scores["mAP"] == pytest.approx(1)


def test_ap_instance_cut_by_no_data_counts_as_two() -> None:
    truth = line(3, slice(2, 20))
    truth[3, 10] = 255
    assert check([tile(truth, line(3, slice(2, 20)))])["n_instances"] == 2


def test_seep_ap_wrong_class_still_counts() -> None:
    scores = check([tile(line(3, slice(2, 20)), line(3, slice(2, 20), k=2))])
    assert scores["mAP"] == 0
    assert scores["seep_AP"] == pytest.approx(1)


def test_precision_at_recall_hand_worked_curve() -> None:
    # Hit, miss, hit of 4 truths: precision 1 up to recall .25, 2/3 up to .5, then 0.
    matched = np.array([[True], [False], [True]])
    precision, recall = precision_at_recall(np.array([0.9, 0.8, 0.7]), matched, n_truth=4)
    assert recall.tolist() == [0.5]
    np.testing.assert_allclose(precision[0, [0, 25, 26, 50, 51, 100]], [1, 1, 2 / 3, 2 / 3, 0, 0])
