"""Tolerant scores against pairwise distances, disk dilation and plain loops over masks, and by hand."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from scipy.spatial.distance import cdist
from skimage.morphology import disk, skeletonize

from seep_monai.errors import DataError
from seep_monai.metrics.ribbon import RIBBON_COLUMNS, near_maps, ribbon_row, ribbon_scores

Tile = tuple[np.ndarray, np.ndarray]  # prediction, truth
NAN = float("nan")


# ------------------------------------------------------------------------------------------------- the reference
def distances(classes_from: np.ndarray, classes_to: np.ndarray) -> np.ndarray:
    """(H, W): for each seep pixel of the first map, the distance to the closest of the second; inf elsewhere."""
    result = np.full(classes_from.shape, np.inf)
    first, second = np.argwhere(classes_from), np.argwhere(classes_to)
    if len(first) and len(second):
        result[tuple(first.T)] = cdist(first, second).min(axis=1)
    return result


def instances(classes: np.ndarray) -> list[np.ndarray]:
    labels, n = ndimage.label(classes, np.ones((3, 3)))
    return [labels == i for i in range(1, n + 1)]


def group_map(classes: np.ndarray, group: str) -> np.ndarray:
    return classes > 0 if group == "seep" else classes == int(group)


def count_group(total: Counter, group: str, predicted: np.ndarray, true: np.ndarray) -> None:
    """Near instances of both sides, and PQ's pairs."""
    of_predicted, of_true = instances(predicted), instances(true)
    for side, masks, away in (
        ("P", of_predicted, distances(predicted, true)),
        ("T", of_true, distances(true, predicted)),
    ):
        total[side, group] += len(masks)
        for r in (1, 2, 3):
            total[side, group, r] += sum(np.mean(away[mask] <= r) >= 0.5 for mask in masks)
    for a in of_predicted:
        for b in of_true:
            iou = (a & b).sum() / (a | b).sum()
            total["matched", group] += int(iou > 0.5)
            total["iou", group] += iou if iou > 0.5 else 0


def reference_counts(tiles: list[Tile]) -> Counter:
    total: Counter = Counter()
    for predicted, true in tiles:
        if (true == 255).all():
            continue
        predicted, true = predicted * (true != 255), true * (true != 255)
        for group in (*"1234567", "seep"):
            count_group(total, group, group_map(predicted, group), group_map(true, group))
        for side, a, b in (("P", predicted, true), ("T", true, predicted)):
            total[side, "px"] += int((a > 0).sum())
            total[side, "line"] += int((line := skeletonize(np.pad(a > 0, 5))[5:-5, 5:-5]).sum())
            total[side, "hit"] += int(line[b > 0].sum())
            for r in (1, 2, 3):
                total[side, "near", r] += int((distances(a, b) <= r).sum())
        away = distances(predicted, true)
        alarms = sum(bool((away[mask] > 3).all()) for mask in instances(predicted))
        total.update({"alarms": alarms, "tiles": 1})
        if not true.any():
            total.update({"empty alarms": alarms, "empty tiles": 1})
    return total


def divide(a: float, b: float) -> float:
    return a / b if b else NAN


def three(n_right: int, n_predicted: int, n_found: int, n_true: int) -> tuple[float, float, float]:
    """Precision, recall and F1."""
    precision, recall = divide(n_right, n_predicted), divide(n_found, n_true)
    f1 = 2 / (1 / precision + 1 / recall) if n_right and n_found else 0.0
    return precision, recall, f1 if n_predicted or n_true else NAN


def reference_scores(tiles: list[Tile]) -> dict[str, float]:
    n = reference_counts(tiles)
    scores = {"cldice": three(n["P", "hit"], n["P", "line"], n["T", "hit"], n["T", "line"])[2]}
    for r in (1, 2, 3):
        pixels = three(n["P", "near", r], n["P", "px"], n["T", "near", r], n["T", "px"])
        scores |= dict(zip((f"precision_r{r}", f"recall_r{r}", f"f1_r{r}"), pixels, strict=True))
        for group in (*"1234567", "seep"):
            found = three(n["P", group, r], n["P", group], n["T", group, r], n["T", group])
            if group == "seep":
                names = (f"instance_precision_r{r}", f"instance_recall_r{r}", f"instance_f1_r{r}")
                scores |= dict(zip(names, found, strict=True))
            else:
                scores[f"instance_f1_r{r}_{group}"] = found[2]
    for group in (*"1234567", "seep"):
        n_matched = n["matched", group]
        n_false, n_missed = n["P", group] - n_matched, n["T", group] - n_matched
        scores[f"pq_{group}"] = divide(n["iou", group], n_matched + n_false / 2 + n_missed / 2)
    scores["sq_seep"] = divide(n["iou", "seep"], n["matched", "seep"])
    scores["rq_seep"] = divide(2 * n["matched", "seep"], n["P", "seep"] + n["T", "seep"])
    defined = [scores[f"pq_{k}"] for k in range(1, 8) if not math.isnan(scores[f"pq_{k}"])]
    scores["pq"] = divide(sum(defined), len(defined))
    scores["false_alarms_per_tile"] = divide(n["alarms"], n["tiles"])
    scores["false_alarms_per_empty_tile"] = divide(n["empty alarms"], n["empty tiles"])
    return scores | {"n_tiles": n["tiles"], "n_empty_tiles": n["empty tiles"]}


# ----------------------------------------------------------------------------------------------------- the tiles
def blank(shape: tuple[int, int] = (20, 40)) -> np.ndarray:
    return np.zeros(shape, np.uint8)


def bar(rows: slice, columns: slice, k: int = 1) -> np.ndarray:
    classes = blank()
    classes[rows, columns] = k
    return classes


def random_tile(rng: np.random.Generator) -> Tile:
    """Ribbons of some classes and a prediction that shifts, drops, relabels, cuts and adds; some no-data."""
    shape = (int(rng.integers(15, 30)), int(rng.integers(20, 45)))
    predicted, true = blank(shape), blank(shape)
    for _ in range(rng.integers(0, 5)):
        k, row, column = rng.integers(1, 8), rng.integers(0, shape[0] - 3), rng.integers(0, shape[1] - 3)
        height, width = (3, rng.integers(3, 25))[:: rng.choice([-1, 1])]
        true[row : row + height, column : column + width] = k
        if rng.random() < 0.8:
            row, column = max(row + rng.integers(-3, 4), 0), column + rng.integers(0, 4)
            k = rng.integers(1, 8) if rng.random() < 0.2 else k
            predicted[row : row + height, column : column + width] = k
    predicted[rng.random(shape) < rng.choice([0.0, 0.05])] = 0
    predicted[rng.random(shape) < rng.choice([0.0, 0.01])] = rng.integers(1, 8)
    true[rng.random(shape) < rng.choice([0.0, 0.05])] = 255
    return predicted, true


def scores_of(*tiles: Tile) -> dict[str, float]:
    return ribbon_scores(np.array([ribbon_row(predicted, true) for predicted, true in tiles]))


def check(tiles: list[Tile]) -> None:
    scores, expected = scores_of(*tiles), reference_scores(tiles)
    assert scores.keys() == expected.keys()
    for key, value in expected.items():
        assert scores[key] == pytest.approx(value, abs=1e-12, nan_ok=True), key
        assert type(scores[key]) is float


@st.composite
def small_tiles(draw) -> list[Tile]:
    values = st.sampled_from([0, 0, 0, 1, 1, 2, 7])
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8))
    maps = hnp.arrays(np.uint8, shape, elements=values, fill=st.just(0))
    truths = hnp.arrays(np.uint8, shape, elements=st.one_of(values, st.just(255)), fill=st.just(0))
    return draw(st.lists(st.tuples(maps, truths), min_size=1, max_size=3))


# ----------------------------------------------------------------------------------------------------- the tests
@pytest.mark.parametrize("seed", range(40))
def test_ribbon_random_ribbons_equal_plain_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    check([random_tile(rng) for _ in range(rng.integers(1, 5))])


@settings(max_examples=100, deadline=None)
@given(small_tiles())
def test_ribbon_any_small_maps_equal_plain_loops(tiles: list[Tile]) -> None:
    check(tiles)


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (9, 2), (30, 40)])
def test_near_maps_of_a_class_equal_dilation_with_a_disk(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    classes = np.where(rng.random(shape) < 0.05, rng.integers(1, 8, shape), 0).astype(np.uint8)
    for r, near in zip((1, 2, 3), near_maps(classes), strict=True):
        for k in range(1, 8):
            expected = ndimage.binary_dilation(classes == k, disk(r))
            np.testing.assert_array_equal(near & (1 << (k - 1)) > 0, expected)


def test_ribbon_row_has_one_count_per_column() -> None:
    predicted, true = random_tile(np.random.default_rng(1))
    assert ribbon_row(predicted, true).shape == ribbon_row(blank(), blank()).shape == (len(RIBBON_COLUMNS),)


def test_ribbon_row_leaves_its_input_alone() -> None:
    predicted, true = random_tile(np.random.default_rng(2))
    before = predicted.copy(), true.copy()
    ribbon_row(predicted, true)
    np.testing.assert_array_equal((predicted, true), before)


def test_ribbon_scores_sum_of_rows_gives_the_same_as_rows() -> None:
    rows = np.array([ribbon_row(*random_tile(np.random.default_rng(seed))) for seed in range(6)])
    np.testing.assert_equal(ribbon_scores(rows.sum(axis=0)), ribbon_scores(rows))


def test_ribbon_scores_of_no_tiles_are_undefined() -> None:
    scores = ribbon_scores(np.empty((0, len(RIBBON_COLUMNS))))
    assert all(math.isnan(value) for key, value in scores.items() if not key.startswith("n_"))


@pytest.mark.parametrize("seed", range(5))
def test_ribbon_scores_of_identical_maps_are_one_where_defined(seed: int) -> None:
    _, true = random_tile(np.random.default_rng(seed + 10))
    true[true == 255] = 0
    true[:3, :9] = 4
    scores = scores_of((true, true))
    ratios = {key: value for key, value in scores.items() if not key.startswith(("n_", "false")) and value == value}
    assert len(ratios) > 25
    assert set(ratios.values()) == {1.0}
    assert scores["false_alarms_per_tile"] == 0


def test_ribbon_moved_by_one_pixel_is_perfect_in_a_buffer_of_one_and_has_no_pq() -> None:
    # Three rows moved by one: 2 of 4 rows shared, IoU .5, which is not above .5.
    scores = scores_of((bar(slice(6, 9), slice(2, 38)), bar(slice(5, 8), slice(2, 38))))
    assert scores["f1_r1"] == scores["instance_f1_r1"] == 1
    # The centre line bends into a corner at its end, so a pixel may miss.
    assert scores["cldice"] > 0.95
    assert [scores["pq"], scores["pq_seep"], scores["rq_seep"]] == [0, 0, 0]
    assert math.isnan(scores["sq_seep"])


def test_ribbon_moved_by_four_pixels_gains_one_row_per_tolerance_from_two_on() -> None:
    # Rows 5..7 against 9..11: the nearest rows are 2, 3 and 4 px apart.
    scores = scores_of((bar(slice(9, 12), slice(2, 38)), bar(slice(5, 8), slice(2, 38))))
    assert [scores["precision_r1"], scores["precision_r2"], scores["precision_r3"]] == [0, 1 / 3, 2 / 3]
    assert [scores["instance_f1_r2"], scores["instance_f1_r3"]] == [0, 1]


def test_ribbon_diagonal_neighbour_is_farther_than_one_pixel() -> None:
    scores = scores_of((bar(slice(4, 5), slice(4, 5)), bar(slice(5, 6), slice(5, 6))))
    assert [scores["f1_r1"], scores["f1_r2"]] == [0, 1]


def test_ribbon_instance_with_half_of_its_pixels_near_is_found() -> None:
    # Columns 0..4 and the next one are within 1 px: 6 of 12, then 6 of 13.
    predicted = bar(slice(5, 6), slice(0, 5))
    assert scores_of((predicted, bar(slice(5, 6), slice(0, 12))))["instance_recall_r1"] == 1
    assert scores_of((predicted, bar(slice(5, 6), slice(0, 13))))["instance_recall_r1"] == 0


def test_ribbon_wrong_class_counts_for_seep_and_not_for_the_class() -> None:
    scores = scores_of((bar(slice(5, 8), slice(2, 38), k=2), bar(slice(5, 8), slice(2, 38), k=1)))
    assert scores["instance_f1_r1"] == scores["pq_seep"] == 1
    assert scores["instance_f1_r1_1"] == scores["instance_f1_r1_2"] == scores["pq"] == 0
    assert math.isnan(scores["instance_f1_r1_3"])


def test_cldice_hand_worked_line() -> None:
    # One-pixel lines are their own centre line: 6 of 8 predicted pixels on the truth, 6 of 10 true ones found.
    scores = scores_of((bar(slice(5, 6), slice(6, 14)), bar(slice(5, 6), slice(2, 12))))
    assert scores["cldice"] == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))


def test_cldice_pools_counts_over_tiles() -> None:
    short, long = bar(slice(5, 6), slice(0, 2)), bar(slice(5, 6), slice(0, 38))
    assert scores_of((short, short), (blank(), long))["cldice"] == pytest.approx(2 * 1 * 0.05 / 1.05)


def test_cldice_every_small_shape_has_a_centre_line() -> None:
    bits = np.arange(1, 1 << 12)[:, None] >> np.arange(12) & 1
    assert all(skeletonize(shape.astype(bool)).any() for shape in bits.reshape(-1, 3, 4))


def test_pq_hand_worked_counts() -> None:
    # Class 1: one match with IoU 8 / 10, one missed; class 2: one false. PQ .8 / 1.5 and 0.
    true = bar(slice(2, 3), slice(0, 10)) + bar(slice(12, 13), slice(0, 10))
    predicted = bar(slice(2, 3), slice(0, 8)) + bar(slice(7, 8), slice(0, 9), k=2)
    scores = scores_of((predicted, true))
    assert scores["pq_1"] == pytest.approx(0.8 / 1.5)
    assert scores["pq"] == pytest.approx(0.8 / 1.5 / 2)
    assert scores["sq_seep"] == pytest.approx(0.8)
    assert scores["rq_seep"] == pytest.approx(1 / 2)
    assert scores["pq_seep"] == pytest.approx(0.8 / 2)


def test_false_alarms_start_beyond_three_pixels() -> None:
    true = bar(slice(5, 6), slice(2, 38))
    near, far = bar(slice(8, 9), slice(2, 9)), bar(slice(9, 10), slice(2, 9))
    assert scores_of((near, true))["false_alarms_per_tile"] == 0
    assert scores_of((far, true))["false_alarms_per_tile"] == 1


def test_false_alarms_of_empty_tiles_are_counted_apart() -> None:
    true, alarm = bar(slice(2, 3), slice(0, 9)), bar(slice(12, 13), slice(0, 9)) + bar(slice(16, 17), slice(0, 9))
    scores = scores_of((alarm, true), (alarm, blank()), (blank(), blank()), (blank(), blank()))
    assert scores["false_alarms_per_tile"] == 4 / 4
    assert scores["false_alarms_per_empty_tile"] == 2 / 3
    assert (scores["n_tiles"], scores["n_empty_tiles"]) == (4, 3)


def test_false_alarms_without_empty_tiles_are_undefined_there() -> None:
    true = bar(slice(2, 3), slice(0, 9))
    assert math.isnan(scores_of((true, true))["false_alarms_per_empty_tile"])


def test_ribbon_empty_prediction_has_no_precision_and_f1_zero() -> None:
    scores = scores_of((blank(), bar(slice(5, 8), slice(2, 38))))
    assert math.isnan(scores["precision_r1"])
    assert math.isnan(scores["instance_precision_r1"])
    assert [scores[key] for key in ("recall_r1", "f1_r1", "instance_f1_r1", "cldice", "pq_seep")] == [0] * 5


def test_ribbon_empty_truth_has_no_recall_and_f1_zero() -> None:
    scores = scores_of((bar(slice(5, 8), slice(2, 38)), blank()))
    assert math.isnan(scores["recall_r1"])
    assert [scores[key] for key in ("precision_r1", "f1_r1", "instance_f1_r1", "cldice", "pq")] == [0] * 5


def test_ribbon_both_empty_has_only_false_alarm_scores() -> None:
    scores = scores_of((blank(), blank()))
    defined = {key: value for key, value in scores.items() if not math.isnan(value)}
    expected = {"false_alarms_per_tile": 0, "false_alarms_per_empty_tile": 0, "n_tiles": 1, "n_empty_tiles": 1}
    assert defined == expected


def test_ribbon_prediction_on_no_data_is_no_false_alarm() -> None:
    true = bar(slice(2, 5), slice(2, 38))
    predicted = true + bar(slice(14, 17), slice(2, 38))
    true[10:] = 255
    scores = scores_of((predicted, true))
    assert scores["f1_r1"] == scores["pq"] == 1
    assert scores["false_alarms_per_tile"] == 0


def test_ribbon_tile_of_no_data_counts_nothing() -> None:
    assert not ribbon_row(bar(slice(2, 5), slice(2, 38)), np.full((20, 40), 255, np.uint8)).any()


def test_ribbon_different_shapes_raise() -> None:
    with pytest.raises(DataError, match="one shape"):
        ribbon_row(blank((3, 4)), blank((4, 3)))


@pytest.mark.parametrize("value", [8, 255])
def test_ribbon_unknown_predicted_value_raises(value: int) -> None:
    with pytest.raises(DataError, match=r"0\.\.7"):
        ribbon_row(bar(slice(2, 3), slice(0, 9), k=value), blank())
