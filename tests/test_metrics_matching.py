"""Overlap and greedy matching, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from seep_monai.errors import ConfigError, DataError
from seep_monai.instances.components import Components, class_components
from seep_monai.metrics.matching import bits_to_matched, detection_order, match_components
from seep_monai.metrics.overlap import joint_histogram, overlaps


def row_components(text: str, scores: list[float] | None = None) -> Components:
    """Components of a one-row map written as digits, with given scores."""
    table = class_components(np.array([[int(c) for c in text]], np.uint8))
    if scores is None:
        return table
    return Components(table.labels, table.classes, table.areas_px, np.array(scores, np.float64))


def test_joint_histogram_different_shapes_raise() -> None:
    with pytest.raises(DataError, match="one shape"):
        joint_histogram(np.zeros((2, 2), np.int32), np.zeros((2, 3), np.int32))


def test_overlaps_shifted_line_gives_exact_ratio() -> None:
    found = overlaps(row_components("1111000"), row_components("0001111"))
    assert found.intersection_px.tolist() == [1]
    assert found.iou.tolist() == [1 / 7]


def test_overlaps_other_class_is_no_pair() -> None:
    assert len(overlaps(row_components("1111"), row_components("2222")).iou) == 0


def test_detection_order_equal_scores_stay_in_raster_order() -> None:
    predicted = row_components("2010102", [0.5, 0.25, 0.75, 0.5])
    assert detection_order(predicted).tolist() == [2, 1, 0, 3]


def test_detection_order_limit_holds_per_class() -> None:
    predicted = row_components("10102020", [0.1, 0.2, 0.3, 0.4])
    assert detection_order(predicted, max_detections=1).tolist() == [1, 3]


def test_bits_to_matched_high_bit_survives_float64() -> None:
    assert bits_to_matched(np.array([2.0**52]), 53)[0].nonzero()[0].tolist() == [52]


def test_match_one_detection_over_two_truths_takes_one_truth_below_half() -> None:
    # Truth lines of 3 and 2 px under one line of 6: IoU 3/6 and 2/6.
    matches = match_components(row_components("111011"), row_components("111111", [0.9]), np.array([0.3, 0.5, 0.6]))
    assert matches.detection_bits.tolist() == [0b011]
    assert matches.truth_bits.tolist() == [0b011, 0]


def test_match_best_truth_taken_falls_back_to_second_best() -> None:
    # Truth 8 px and 2 px. A (score .9) covers the first by 3/8. B covers it by 4/11, the second by 2/7.
    truth, predicted = row_components("11111111011"), row_components("11101111111", [0.9, 0.8])
    matches = match_components(truth, predicted, np.array([0.1, 0.25, 0.35]))
    assert matches.detection_bits.tolist() == [0b111, 0b011]
    assert matches.truth_bits.tolist() == [0b111, 0b011]


def test_match_low_score_is_left_without_when_truth_is_taken() -> None:
    # Both cover the truth of 5 px: the first by 2/5, the second by 2/5.
    matches = match_components(row_components("11111"), row_components("11011", [0.2, 0.8]), np.array([0.25]))
    assert matches.order.tolist() == [1, 0]
    assert matches.detection_bits.tolist() == [1, 0]


def test_match_equal_iou_goes_to_the_last_truth() -> None:
    matches = match_components(row_components("11011"), row_components("11111", [0.5]), np.array([0.25]))
    assert matches.truth_bits.tolist() == [0, 1]


def test_match_iou_on_threshold_is_a_match() -> None:
    matches = match_components(row_components("1111"), row_components("1100", [0.5]), np.array([0.5, 0.50001]))
    assert matches.detection_bits.tolist() == [0b01]


def test_match_threshold_one_takes_a_perfect_overlap() -> None:
    matches = match_components(row_components("0110"), row_components("0110", [0.5]), np.array([1.0]))
    assert matches.detection_bits.tolist() == [1]


def test_match_pairs_name_the_partners_of_each_threshold() -> None:
    truth, predicted = row_components("11111111011"), row_components("11101111111", [0.9, 0.8])
    matches = match_components(truth, predicted, np.array([0.1, 0.25, 0.35]))
    assert matches.pairs.predicted.tolist() == [0, 1]
    assert matches.pairs.truth.tolist() == [0, 1]
    assert matches.pairs.iou.tolist() == [3 / 8, 2 / 7]


@pytest.mark.parametrize("thresholds", [[0.0, 0.5], [0.5, 0.5], [0.6, 0.5], [0.5, 1.1], [np.nan]])
def test_match_bad_thresholds_raise(thresholds: list[float]) -> None:
    with pytest.raises(ConfigError, match="ascending values in"):
        match_components(row_components("1"), row_components("1", [0.5]), np.array(thresholds))
