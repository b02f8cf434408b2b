"""Precision, recall and F1 against the score, worked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from seep_monai.instances.components import ANY_SEEP, InstanceSettings, find_instances
from seep_monai.metrics.average_precision import AT_50, IOU_THRESHOLDS, count_truth
from seep_monai.metrics.operating_point import operating_point, score_curve
from seep_monai.metrics.records import ROW_DTYPE, RowKind, tile_rows

HIT = 1 << AT_50


def rows_of(group: int, n_truth: int, detections: list[tuple[float, int]]) -> np.ndarray:
    """A tile with so many truths and detections (score, bits of the IoU thresholds)."""
    rows = [(0, RowKind.TILE, 0, np.nan, 0, 0)]
    rows += [(0, RowKind.TRUTH, group, np.nan, 9, 0)] * n_truth
    rows += [(0, RowKind.DETECTION, group, score, 9, bits) for score, bits in detections]
    return np.array(rows, ROW_DTYPE)


def threshold_of(group: int, rows: np.ndarray) -> float | None:
    return operating_point(rows)["classes"][str(group)]["threshold"]


@pytest.fixture
def rows() -> np.ndarray:
    """Class 2, four truths: hit at .9, miss at .8, two hits at .6, misses at .5 and .3."""
    return rows_of(2, 4, [(0.9, HIT), (0.8, 0), (0.6, HIT), (0.6, HIT), (0.5, 0), (0.3, 0)])


def test_score_curve_hand_worked(rows) -> None:
    curve = score_curve(rows, 2)
    assert curve.scores.tolist() == [0.9, 0.8, 0.6, 0.5, 0.3]
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 3 / 4, 3 / 5, 3 / 6])
    np.testing.assert_allclose(curve.recall, [1 / 4, 1 / 4, 3 / 4, 3 / 4, 3 / 4])
    np.testing.assert_allclose(curve.f1, [2 / 5, 2 / 6, 6 / 8, 6 / 9, 6 / 10])


def test_operating_point_threshold_is_the_score_with_the_highest_f1(rows) -> None:
    assert threshold_of(2, rows) == 0.6


def test_operating_point_threshold_equal_f1_takes_the_higher_score() -> None:
    # Of three truths: one hit of one kept, 2 / 4; two hits of five kept, 4 / 8.
    rows = rows_of(1, 3, [(0.9, HIT), (0.8, 0), (0.7, 0), (0.6, 0), (0.5, HIT)])
    assert threshold_of(1, rows) == 0.9


def test_operating_point_threshold_other_iou_levels_do_not_count() -> None:
    rows = rows_of(1, 2, [(0.9, (1 << AT_50) - 1), (0.5, HIT)])
    assert threshold_of(1, rows) == 0.5


@pytest.mark.parametrize(
    "rows",
    [rows_of(1, 0, []), rows_of(1, 0, [(0.5, 0)]), rows_of(1, 3, []), rows_of(1, 3, [(0.5, 0)])],
    ids=["nothing", "no truth", "no detection", "no hit"],
)
def test_operating_point_threshold_without_any_hit_is_none(rows) -> None:
    assert threshold_of(1, rows) is None


def test_score_curve_without_truth_has_no_recall() -> None:
    curve = score_curve(rows_of(1, 0, [(0.5, 0)]), 1)
    assert curve.precision.tolist() == [0]
    assert np.isnan([curve.recall, curve.f1]).all()


def test_score_curve_several_classes_are_pooled() -> None:
    rows = np.concatenate([rows_of(1, 1, [(0.5, HIT)]), rows_of(3, 3, [(0.75, HIT), (0.5, 0)]), rows_of(4, 9, [])])
    curve = score_curve(rows, 1, 3)
    assert curve.scores.tolist() == [0.75, 0.5]
    np.testing.assert_allclose(curve.precision, [1, 2 / 3])
    np.testing.assert_allclose(curve.recall, [1 / 4, 2 / 4])


def test_operating_point_is_json_with_none_for_undefined(rows) -> None:
    point = operating_point(np.concatenate([rows, rows_of(ANY_SEEP, 1, [(0.25, HIT)])]))
    expected = {"threshold": 0.6, "precision": 0.75, "recall": 0.75, "f1": 0.75}
    assert json.loads(json.dumps(point, allow_nan=False)) == point
    assert point["iou"] == 0.5
    assert point["classes"]["2"] == expected
    assert point["instances"] == expected
    assert point["seep"] == {"threshold": 0.25, "precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert point["classes"]["7"] == dict.fromkeys(("threshold", "precision", "recall", "f1"))


def test_operating_point_as_score_threshold_leaves_the_promised_detections() -> None:
    rng = np.random.default_rng(5)
    truth = np.zeros((60, 60), np.uint8)
    for row, k in zip(range(2, 58, 5), rng.integers(1, 4, 12), strict=False):
        truth[row : row + 3, 4:50] = k
    noise = rng.dirichlet(np.full(8, 0.15), (12, 60)).repeat(5, axis=0)
    probabilities = 0.5 * np.eye(8)[truth] + 0.5 * noise
    probabilities = np.moveaxis(probabilities, -1, 0)
    point = operating_point(tile_rows(0, probabilities, truth, IOU_THRESHOLDS))["instances"]
    settings = InstanceSettings(score_threshold=point["threshold"])
    after = tile_rows(0, probabilities, truth, IOU_THRESHOLDS, settings=settings)
    kept = after[(after["kind"] == RowKind.DETECTION) & (after["group"] != ANY_SEEP)]
    n_right = np.count_nonzero(kept["matches"].astype(int) & HIT)
    assert len(kept) == len(find_instances(probabilities, settings).by_class) > 0
    assert n_right / len(kept) == pytest.approx(point["precision"])
    assert n_right / sum(count_truth(after, k) for k in range(1, 8)) == pytest.approx(point["recall"])
