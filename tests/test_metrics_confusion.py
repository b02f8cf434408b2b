"""Confusion matrix of instances, worked by hand, and its sums on random maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seep_monai.errors import ConfigError
from seep_monai.instances.components import Components, class_components
from seep_monai.metrics import instance_confusion, normalised
from seep_monai.metrics.confusion import confusion_rows
from seep_monai.metrics.records import RowKind, to_matrix, unique_tiles

BACKGROUND = 7


def row_components(text: str, scores: list[float] | None = None) -> Components:
    """Components of a one-row map written as digits, with given scores."""
    table = class_components(np.array([[int(c) for c in text]], np.uint8))
    return Components(table.labels, table.classes, table.areas_px, table.scores if scores is None else np.array(scores))


def cells(counts: np.ndarray) -> dict[tuple[int, int], int]:
    """The cells that are not 0, by mask value; background is 0."""
    return {(int(r + 1) % 8, int(c + 1) % 8): int(counts[r, c]) for r, c in np.argwhere(counts)}


def confusion(truth: str, predicted: str, scores: list[float], threshold: float = 0.0, iou: float = 0.5) -> dict:
    rows = confusion_rows(0, row_components(truth), row_components(predicted, scores), iou_threshold=iou)
    return cells(instance_confusion(rows, threshold))


def test_confusion_right_wrong_missed_and_false_alarm_stand_in_their_cells() -> None:
    # Class 1 right, class 2 taken for 3, class 4 missed, class 5 a false alarm.
    found = confusion("1102204400", "1103300005", [0.9, 0.8, 0.7])
    assert found == {(1, 1): 1, (2, 3): 1, (4, 0): 1, (0, 5): 1}


def test_confusion_matrix_last_row_and_column_are_background() -> None:
    counts = instance_confusion(confusion_rows(0, row_components("100"), row_components("007", [0.5])))
    assert counts.shape == (8, 8)
    assert counts.dtype == np.int64
    assert counts[0, BACKGROUND] == 1
    assert counts[BACKGROUND, 6] == 1


def test_confusion_iou_on_the_threshold_is_a_partner() -> None:
    assert confusion("1111", "2200", [0.5]) == {(1, 2): 1}
    assert confusion("1111", "2200", [0.5], iou=0.51) == {(1, 0): 1, (0, 2): 1}


def test_confusion_best_score_takes_the_truth() -> None:
    # Both halves reach IoU .5; the right class comes second.
    assert confusion("1111", "1122", [0.5, 0.75]) == {(1, 2): 1, (0, 1): 1}


def test_confusion_score_threshold_turns_a_hit_into_a_miss() -> None:
    assert confusion("1100", "1100", [0.5], threshold=0.5) == {(1, 1): 1}
    assert confusion("1100", "1100", [0.5], threshold=0.51) == {(1, 0): 1}


def test_confusion_score_threshold_equals_matching_what_is_left() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        truth, predicted = (class_components(rng.integers(0, 3, (6, 9)).astype(np.uint8)) for _ in range(2))
        scored = Components(predicted.labels, predicted.classes, predicted.areas_px, rng.random(len(predicted)))
        keep = scored.scores >= 0.5
        labels = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)[scored.labels]
        left = Components(labels, scored.classes[keep], scored.areas_px[keep], scored.scores[keep])
        after = instance_confusion(confusion_rows(0, truth, scored, iou_threshold=0.2), 0.5)
        np.testing.assert_array_equal(after, instance_confusion(confusion_rows(0, truth, left, iou_threshold=0.2)))


def test_confusion_more_than_100_detections_all_count() -> None:
    many = row_components("10" * 150, [0.5] * 150)
    assert cells(instance_confusion(confusion_rows(0, many, many))) == {(1, 1): 150}


def test_confusion_tiles_add_up() -> None:
    tiles = [confusion_rows(i, row_components("11022"), row_components("11033", [0.5, 0.5])) for i in range(3)]
    assert cells(instance_confusion(np.concatenate(tiles))) == {(1, 1): 3, (2, 3): 3}


def test_confusion_without_instances_is_all_zero() -> None:
    rows = confusion_rows(4, row_components("00"), row_components("00", []))
    assert rows["kind"].tolist() == [RowKind.TILE]
    assert not instance_confusion(rows).any()


def test_confusion_rows_name_partner_iou_and_score() -> None:
    rows = confusion_rows(6, row_components("1111"), row_components("2220", [0.5]))
    expected = [(6, 0, 0, 0, 0, np.nan), (6, 1, 1, 2, 0.75, 0.5), (6, 2, 1, 2, 0.75, 0.5)]
    np.testing.assert_array_equal(to_matrix(rows), expected)


def test_confusion_rows_of_a_repeated_tile_stay_the_same() -> None:
    rows = confusion_rows(6, row_components("1101"), row_components("2201", [0.5, 0.25]))
    np.testing.assert_array_equal(to_matrix(unique_tiles(np.concatenate([rows, rows]))), to_matrix(rows))


def test_confusion_nan_threshold_raises() -> None:
    with pytest.raises(ConfigError, match="got NaN"):
        instance_confusion(confusion_rows(0, row_components("1"), row_components("1", [0.5])), float("nan"))


@pytest.mark.parametrize("iou", [0.0, 1.5, float("nan")])
def test_confusion_bad_iou_threshold_raises(iou: float) -> None:
    with pytest.raises(ConfigError, match="IoU thresholds"):
        confusion("1", "1", [0.5], iou=iou)


def test_normalised_rows_are_shares_and_empty_rows_nan() -> None:
    counts = np.zeros((8, 8), np.int64)
    counts[2, [2, 3, BACKGROUND]] = 2, 1, 1
    shares = normalised(counts)
    assert shares[2, [2, 3, BACKGROUND]].tolist() == [0.5, 0.25, 0.25]
    assert np.isnan(shares[[0, 1, 3, 4, 5, 6, 7]]).all()


maps = hnp.arrays(np.uint8, (5, 7), elements=st.integers(0, 7))


@settings(max_examples=60, deadline=None)
@given(truth=maps, predicted=maps, threshold=st.sampled_from([0.0, 0.25, 0.5, 1.0]), seed=st.integers(0, 99))
def test_confusion_sums_are_the_numbers_of_instances(truth, predicted, threshold, seed) -> None:
    true, table = class_components(truth), class_components(predicted)
    scores = np.random.default_rng(seed).integers(0, 5, len(table)) / 4
    rows = confusion_rows(0, true, Components(table.labels, table.classes, table.areas_px, scores), iou_threshold=0.2)
    counts = instance_confusion(rows, threshold)
    kept = table.classes[scores >= threshold]
    assert counts[:7].sum(axis=1).tolist() == np.bincount(true.classes, minlength=8)[1:].tolist()
    assert counts[:, :7].sum(axis=0).tolist() == np.bincount(kept, minlength=8)[1:].tolist()
    assert counts[BACKGROUND, BACKGROUND] == 0


@settings(max_examples=30, deadline=None)
@given(classes=maps)
def test_confusion_of_a_map_with_itself_is_diagonal(classes) -> None:
    table = class_components(classes)
    scored = Components(table.labels, table.classes, table.areas_px, np.full(len(table), 0.5))
    counts = instance_confusion(confusion_rows(0, table, scored))
    assert np.trace(counts) == counts.sum() == len(table)
