"""What goes wrong with instances, worked by hand on maps of one row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_metrics_confusion import row_components

from seep_monai.instances.components import class_components
from seep_monai.metrics.errors import DETECTION_OUTCOMES, TRUTH_OUTCOMES, error_counts, error_summary


def outcomes(truth: str, predicted: str, scores: list[float] | None = None) -> tuple[dict, dict]:
    """{(class, outcome): n} of the truths and of the detections, without zeros."""
    table = row_components(predicted, scores if scores is not None else [0.5] * len(row_components(predicted)))
    summary = error_summary(error_counts(row_components(truth), table))
    return tuple(
        {(int(k), outcome): n for k, row in summary[part].items() for outcome, n in row.items() if n}
        for part in ("truth", "detections")
    )  # type: ignore[return-value]


def test_found_and_named_right() -> None:
    assert outcomes("0111100", "0111000") == ({(1, "found"): 1}, {(1, "right"): 1})


def test_found_and_misnamed() -> None:
    assert outcomes("0111100", "0555100") == ({(1, "wrong_class"): 1}, {(5, "wrong_class"): 1, (1, "outline"): 1})


def test_missed_and_false_alarm() -> None:
    assert outcomes("0220000", "0000330") == ({(2, "missed"): 1}, {(3, "false_alarm"): 1})


def test_poor_outline() -> None:
    # 2 of 8 pixels: IoU .25.
    assert outcomes("11111111", "11000000") == ({(1, "outline"): 1}, {(1, "outline"): 1})


def test_overlap_below_a_tenth_is_a_miss_and_a_false_alarm() -> None:
    # One of 11 + 2 - 1 pixels.
    assert outcomes("0111111111110", "0000000000011") == ({(1, "missed"): 1}, {(1, "false_alarm"): 1})


def test_broken_into_pieces_that_are_enough_together() -> None:
    # Pieces of 4 and 4 of 10 pixels: each .4, both .8.
    assert outcomes("1111111111", "1111001111") == ({(1, "broken"): 1}, {(1, "outline"): 2})


def test_pieces_that_are_too_little_together_are_a_poor_outline() -> None:
    # 2 + 2 of 10.
    assert outcomes("1111111111", "1100000011") == ({(1, "outline"): 1}, {(1, "outline"): 2})


def test_merged_with_a_neighbour() -> None:
    # Two truths of 4 in a detection of 10: each .4, both .8.
    assert outcomes("1111002222", "1111111111") == ({(1, "merged"): 1, (2, "merged"): 1}, {(1, "outline"): 1})


def test_large_detection_that_two_small_truths_do_not_fill_is_a_poor_outline_of_both() -> None:
    # 1 + 1 of 10 pixels: .2 together, .1 each.
    assert outcomes("1000000002", "1111111111") == ({(1, "outline"): 1, (2, "outline"): 1}, {(1, "outline"): 1})


def test_named_is_the_share_of_the_found_ones() -> None:
    counts = error_counts(row_components("1101102200"), row_components("1105502200", [0.5, 0.5, 0.5]))
    named = error_summary(counts)["named"]
    assert (named["1"], named["2"], named["3"]) == (0.5, 1.0, None)
    assert named["mean"] == pytest.approx(0.75)


def test_nothing_found_leaves_named_undefined() -> None:
    assert error_summary(error_counts(row_components("11"), row_components("00", [])))["named"]["mean"] is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_every_instance_has_one_outcome(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = [np.where(rng.random((12, 12)) < 0.4, rng.integers(1, 8, (12, 12)), 0).astype(np.uint8) for _ in range(2)]
    truth, predicted = (class_components(m, rng.random((8, 12, 12))) for m in maps)
    counts = error_counts(truth, predicted)
    n = len(TRUTH_OUTCOMES)
    assert counts.shape == (7, n + len(DETECTION_OUTCOMES))
    assert (counts[:, :n].sum(axis=1) == np.bincount(truth.classes, minlength=8)[1:]).all()
    assert (counts[:, n:].sum(axis=1) == np.bincount(predicted.classes, minlength=8)[1:]).all()
    # Partners are pairs.
    assert counts[:, :2].sum() == counts[:, n : n + 2].sum()
