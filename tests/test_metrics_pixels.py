"""Pixel counts and ratios, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seep_monai.metrics import confusion_counts, pixel_scores

TRUTH = np.array([[0, 0, 1, 1, 1, 2, 255, 255]], np.uint8)
PREDICTED = np.array([[0, 1, 1, 1, 2, 0, 1, 0]], np.uint8)


@pytest.fixture
def scores() -> dict[str, float]:
    return pixel_scores(confusion_counts(truth=TRUTH, predicted=PREDICTED))


def test_confusion_no_data_is_left_out() -> None:
    counts = confusion_counts(truth=TRUTH, predicted=PREDICTED)
    assert counts.sum() == 6
    assert counts[:3, :3].tolist() == [[1, 1, 0], [0, 2, 1], [1, 0, 0]]


def test_confusion_highest_labels_count_in_the_last_cell() -> None:
    sevens = np.full((300, 300), 7, np.uint8)
    assert confusion_counts(truth=sevens, predicted=sevens)[7, 7] == 90000


def test_confusion_only_no_data_is_all_zero() -> None:
    assert confusion_counts(truth=np.full((2, 2), 255, np.uint8), predicted=np.ones((2, 2), np.uint8)).sum() == 0


def test_pixel_scores_class_iou_and_dice_follow_the_counts(scores) -> None:
    # Class 1: 2 hits, 1 miss, 1 false alarm.
    assert scores["iou_1"] == 2 / 4
    assert scores["dice_1"] == 4 / 6


def test_pixel_scores_missed_class_is_zero(scores) -> None:
    assert scores["iou_2"] == 0
    assert scores["dice_2"] == 0


def test_pixel_scores_absent_class_is_nan(scores) -> None:
    assert math.isnan(scores["iou_3"])
    assert math.isnan(scores["dice_3"])


def test_pixel_scores_mean_iou_averages_defined_classes(scores) -> None:
    assert scores["mean_iou"] == 0.25


def test_pixel_scores_seep_counts_confused_classes_as_hits(scores) -> None:
    # Seep against no seep: 3 hits, 1 miss, 1 false alarm.
    assert scores["seep_iou"] == 3 / 5
    assert scores["seep_dice"] == 6 / 8
    assert scores["seep_precision"] == 3 / 4
    assert scores["seep_recall"] == 3 / 4


def test_pixel_scores_no_counts_are_all_nan() -> None:
    assert all(math.isnan(value) for value in pixel_scores(np.zeros((8, 8), np.int64)).values())


def test_pixel_scores_false_alarms_only_have_precision_zero_and_no_recall() -> None:
    counts = np.zeros((8, 8), np.int64)
    counts[0, 5] = 3
    scores = pixel_scores(counts)
    assert scores["seep_precision"] == 0
    assert math.isnan(scores["seep_recall"])
