"""AP and AR against pycocotools, which labels, scores and matches on its own here."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from coco_oracle import (
    SEEP,
    Tile,
    arg_max,
    blank,
    coco_files,
    coco_scores,
    dots,
    evaluated,
    line,
    random_tile,
    separate,
    tile,
)
from scipy import ndimage

from seep_monai.instances.components import InstanceSettings
from seep_monai.metrics import InstanceAveragePrecision
from seep_monai.metrics.average_precision import (
    IOU_THRESHOLDS,
    group_detections,
    instance_scores,
    precision_at_recall,
)


def metric_of(tiles: list[Tile], *arguments) -> InstanceAveragePrecision:
    metric = InstanceAveragePrecision(*arguments)
    metric(y_pred=[torch.from_numpy(p) for p, _ in tiles], y=[torch.from_numpy(t) for _, t in tiles])
    return metric


def check(tiles: list[Tile]) -> dict[str, float]:
    """Compares all keys with pycocotools and hands our scores back."""
    scores = metric_of(tiles).aggregate()
    assert_equal(scores, coco_scores(tiles))
    return scores


def assert_equal(scores: dict[str, float], expected: dict[str, float]) -> None:
    assert scores.keys() == expected.keys()
    for key, value in expected.items():
        assert scores[key] == pytest.approx(value, abs=1e-9, nan_ok=True), key
        assert type(scores[key]) is float


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


# ------------------------------------------------------------------------------------------ limits of detections
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_ap_other_limit_of_detections_equals_pycocotools(limit: int) -> None:
    rng = np.random.default_rng(limit)
    tiles = [random_tile(rng) for _ in range(8)]
    expected = evaluated(coco_files(tiles), IOU_THRESHOLDS, limit)
    rows = metric_of(tiles).rows()
    for group in range(1, 9):
        found = group_detections(rows, group)
        kept = found.rank < limit
        precision, recall = precision_at_recall(found.scores[kept], found.matched[kept], n_truth=found.n_truth)
        np.testing.assert_allclose(precision.mean(axis=1), expected[0][:, group - 1], rtol=0, atol=1e-9)
        np.testing.assert_allclose(recall, expected[1][:, group - 1], rtol=0, atol=1e-9)


def test_ar_at_1_and_10_count_the_best_detections_of_each_tile_and_class() -> None:
    truth = dots(12)
    truth[:, 24:] *= 2
    truth[30, 30] = 2
    scores = check([tile(truth, truth), tile(dots(8), dots(8))])
    # Class 1: 1 of 12 and 1 of 8; class 2: 1 of 1. With ten: 10 + 8 of 20, and 1.
    assert scores["mAR1"] == pytest.approx((2 / 20 + 1) / 2)
    assert scores["mAR10"] == pytest.approx((18 / 20 + 1) / 2)


def test_ar_tile_that_stands_twice_counts_as_two() -> None:
    rows = metric_of([tile(dots(2), dots(2))]).rows()
    assert instance_scores(np.concatenate([rows, rows]))["mAR1"] == 0.5


# -------------------------------------------------------------------------------------------- objects, dropped
def soft_tile(rng: np.random.Generator) -> Tile:
    """A tile with smooth probabilities, sums over classes in 1/256, so that nothing is rounded."""
    _, truth = random_tile(rng)
    seep = ndimage.uniform_filter((truth % 255 > 0) + 0.4 * rng.random(truth.shape), 3)
    steps = np.clip(np.round(seep * 200), 0, 256).astype(int)
    first = (steps * rng.random()).astype(int)
    probabilities = np.zeros((8, *truth.shape), np.float32)
    k = np.where(truth % 255 > 0, truth, rng.integers(1, 8))
    rows, columns = np.indices(truth.shape)
    np.add.at(probabilities, (k, rows, columns), first / 256)
    np.add.at(probabilities, (rng.integers(1, 8, truth.shape), rows, columns), (steps - first) / 256)
    probabilities[0] = 1 - steps / 256
    return probabilities, truth


def voted(probabilities: np.ndarray, known: np.ndarray, *, high: float, low: float) -> np.ndarray:
    """Objects one by one; no-data is cut out before."""
    seep = np.where(known, 1 - probabilities[0], 0)
    kept = grown(seep, low, high)
    labels, n = ndimage.label(kept, np.ones((3, 3)))
    classes = np.zeros(known.shape, np.uint8)
    for i in range(1, n + 1):
        classes[labels == i] = 1 + np.argmax(probabilities[1:, labels == i].astype(float).sum(axis=1))
    return classes


def grown(seep: np.ndarray, low: float, high: float) -> np.ndarray:
    """By reconstruction: grow the strong pixels inside the weak ones."""
    return ndimage.binary_propagation(seep >= high, np.ones((3, 3)), mask=seep >= low)


@pytest.mark.parametrize("seed", range(25))
def test_ap_object_mode_equals_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tiles = [soft_tile(rng) for _ in range(rng.integers(1, 5))]
    low, high = np.sort(rng.integers(60, 220, 2)) / 256
    settings = InstanceSettings(mode="object", high=float(high), low=float(low))
    expected = coco_scores(tiles, draw=partial(voted, high=high, low=low))
    assert_equal(metric_of(tiles, settings).aggregate(), expected)


@pytest.mark.parametrize("seed", range(10))
def test_ap_small_instances_dropped_equals_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tiles = [random_tile(rng) for _ in range(4)]

    def draw(probabilities: np.ndarray, known: np.ndarray) -> np.ndarray:
        classes = arg_max(probabilities, known)
        for _, mask in [pair for pair in separate(classes) if pair[0] < SEEP]:
            classes[mask] *= mask.sum() >= 5
        return classes

    assert_equal(metric_of(tiles, InstanceSettings(min_size_px=5)).aggregate(), coco_scores(tiles, draw=draw))
