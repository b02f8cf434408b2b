"""Probabilities -> class map -> components, areas, scores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from seep_monai.errors import ConfigError, DataError
from seep_monai.instances.components import (
    ANY_SEEP,
    InstanceSettings,
    class_components,
    class_map,
    find_instances,
    object_map,
    painted_map,
    seep_components,
    without_no_data,
)


def noisy_map(seed: int, shape: tuple[int, int] = (20, 33)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < 0.35, rng.integers(1, 8, shape), 0).astype(np.uint8)


def test_class_map_random_probabilities_equals_argmax() -> None:
    probabilities = np.random.default_rng(0).integers(0, 5, (8, 30, 41)).astype(np.float32)
    np.testing.assert_array_equal(class_map(probabilities), probabilities.argmax(axis=0))


def test_class_map_channels_last_memory_equals_argmax() -> None:
    probabilities = np.random.default_rng(1).random((30, 41, 8)).transpose(2, 0, 1)
    np.testing.assert_array_equal(class_map(probabilities), probabilities.argmax(axis=0))


def test_without_no_data_label_255_becomes_background() -> None:
    truth = np.array([[255, 1, 0]], np.uint8)
    predicted = np.array([[2, 2, 2]], np.uint8)
    np.testing.assert_array_equal(without_no_data(predicted, truth=truth), [[0, 2, 2]])
    np.testing.assert_array_equal(predicted, [[2, 2, 2]])


def test_class_components_diagonal_contact_is_one() -> None:
    assert class_components(np.eye(4, dtype=np.uint8)).areas_px.tolist() == [4]


def test_class_components_touching_classes_stay_apart() -> None:
    table = class_components(np.array([[1, 1, 2], [3, 3, 2]], np.uint8))
    assert table.classes.tolist() == [1, 2, 3]
    assert table.areas_px.tolist() == [2, 2, 2]


def test_class_components_two_parts_of_one_class_are_in_raster_order() -> None:
    table = class_components(np.array([[0, 0, 0, 5], [5, 5, 0, 5], [0, 5, 0, 0]], np.uint8))
    assert table.areas_px.tolist() == [2, 3]
    assert table.labels.dtype == np.int32
    np.testing.assert_array_equal(table.labels, [[0, 0, 0, 1], [2, 2, 0, 1], [0, 2, 0, 0]])


def test_class_components_hole_is_not_filled() -> None:
    ring = np.full((3, 3), 4, np.uint8)
    ring[1, 1] = 0
    assert class_components(ring).areas_px.tolist() == [8]


def test_class_components_empty_map_gives_no_rows() -> None:
    table = class_components(np.zeros((5, 6), np.uint8), np.zeros((8, 5, 6)))
    assert len(table) == 0
    assert table.labels.shape == (5, 6)
    assert table.scores.dtype == np.float64


def test_class_components_more_than_255_keep_their_numbers() -> None:
    grid = np.zeros((41, 41), np.uint8)
    grid[::2, ::2] = 1
    table = class_components(grid)
    assert len(table) == 441
    assert table.labels[40, 40] == 441


def test_class_components_without_probabilities_have_nan_scores() -> None:
    assert np.isnan(class_components(np.ones((1, 1), np.uint8)).scores).all()


def test_class_components_score_is_mean_of_own_class() -> None:
    classes = np.array([[3, 3, 0, 1]], np.uint8)
    probabilities = np.zeros((8, 1, 4), np.float32)
    probabilities[3, 0] = [0.5, 1.0, 0.25, 0.125]
    probabilities[1, 0] = [0.25, 0.0, 0.25, 0.75]
    assert class_components(classes, probabilities).scores.tolist() == [0.75, 0.75]


@pytest.mark.parametrize("seed", range(5))
def test_class_components_random_map_equals_labelling_class_by_class(seed: int) -> None:
    classes = noisy_map(seed)
    table = class_components(classes)
    for k in range(1, 8):
        labels, n = ndimage.label(classes == k, structure=np.ones((3, 3)))
        rows = np.flatnonzero(table.classes == k)
        assert len(rows) == n
        for i, row in enumerate(rows):
            np.testing.assert_array_equal(table.labels == row + 1, labels == i + 1)


def test_seep_components_touching_classes_are_one() -> None:
    table = seep_components(np.array([[1, 1, 0], [0, 0, 2]], np.uint8))
    assert table.classes.tolist() == [ANY_SEEP]
    assert table.areas_px.tolist() == [3]


def test_seep_components_score_is_mean_summed_seep_probability() -> None:
    probabilities = np.zeros((8, 1, 3), np.float64)
    probabilities[0, 0] = [0.25, 0.5, 1.0]
    probabilities[1, 0] = [0.75, 0.0, 0.0]
    probabilities[2, 0] = [0.0, 0.5, 0.0]
    assert seep_components(np.array([[1, 2, 0]], np.uint8), probabilities).scores.tolist() == [0.625]


@pytest.mark.parametrize("components", [class_components, seep_components])
@pytest.mark.parametrize(
    "classes", [np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.int64), np.zeros((1, 2, 2), np.uint8)]
)
def test_components_bad_map_raises(components, classes) -> None:
    with pytest.raises(DataError, match=r"expected \(H, W\) uint8 with values 0\.\.7"):
        components(classes)


# ------------------------------------------------------------------------------------------------------ settings
def test_settings_through_json_stay_the_same() -> None:
    settings = InstanceSettings(mode="object", high=0.75, low=0.25, min_size_px=4, score_threshold=0.5)
    assert InstanceSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_settings_from_nothing_are_the_defaults() -> None:
    assert InstanceSettings.from_json({}) == InstanceSettings()


def test_settings_unknown_key_raises() -> None:
    with pytest.raises(ConfigError, match=r"got \['min_size'\]"):
        InstanceSettings.from_json({"min_size": 3})


@pytest.mark.parametrize(
    "bad",
    [
        {"mode": "pixel"},
        {"high": 0.4, "low": 0.5},
        {"low": 0.0},
        {"high": 1.5},
        {"high": float("nan")},
        {"low": "0.5"},
        {"min_size_px": -1},
        {"min_size_px": 2.5},
        {"min_size_px": True},
        {"score_threshold": -0.1},
        {"score_threshold": 1.1},
        {"score_threshold": float("nan")},
        {"score_threshold": None},
    ],
)
def test_settings_out_of_range_raise(bad: dict) -> None:
    with pytest.raises(ConfigError, match="expected"):
        InstanceSettings(**bad)


# ----------------------------------------------------------------------------------------------------- instances
def one_row(**channels: list[float]) -> np.ndarray:
    """(8, 1, W) probabilities from the given seep channels (`c3=[...]`); the rest is background."""
    probabilities = np.zeros((8, 1, len(next(iter(channels.values())))))
    for name, values in channels.items():
        probabilities[int(name[1:]), 0] = values
    probabilities[0] = 1 - probabilities.sum(axis=0)
    return probabilities


def random_probabilities(seed: int, background: float = 0.5) -> np.ndarray:
    """(8, 20, 33), multiples of 1/64, so that sums are exact and many are equal."""
    shares = [background] + [(1 - background) / 7] * 7
    return np.moveaxis(np.random.default_rng(seed).multinomial(64, shares, (20, 33)) / 64, -1, 0)


def test_object_map_weak_pixels_join_a_strong_one() -> None:
    probabilities = one_row(c2=[0.25, 0.75, 0.25, 0.125, 0.25, 0.25])
    np.testing.assert_array_equal(object_map(probabilities, high=0.75, low=0.25), [[2, 2, 2, 0, 0, 0]])


def test_object_map_thresholds_include_their_value() -> None:
    assert object_map(one_row(c2=[0.5]), high=0.5, low=0.5).tolist() == [[2]]
    assert object_map(one_row(c2=[0.5]), high=0.5001, low=0.5).tolist() == [[0]]


def test_object_map_classes_below_one_half_each_are_a_seep_together() -> None:
    # Seep .75, though the arg-max map is background.
    probabilities = one_row(c1=[0.25], c3=[0.25], c5=[0.25])
    assert class_map(probabilities).tolist() == [[0]]
    assert object_map(probabilities, high=0.75, low=0.5).tolist() == [[1]]


def test_object_map_class_is_that_with_the_highest_sum() -> None:
    # Class 5 leads in two pixels of three, class 3 has 1.5 against 1.25.
    probabilities = one_row(c3=[0.25, 0.25, 1.0], c5=[0.625, 0.625, 0.0])
    np.testing.assert_array_equal(object_map(probabilities), [[3, 3, 3]])


def test_object_map_equal_sums_go_to_the_lower_label() -> None:
    assert object_map(one_row(c6=[1.0, 0.0], c4=[0.0, 1.0])).tolist() == [[4, 4]]


def test_object_map_diagonal_contact_is_one_object() -> None:
    probabilities = np.zeros((8, 2, 2))
    probabilities[7] = [[1.0, 0.0], [0.0, 0.25]]
    probabilities[2] = [[0.0, 0.0], [0.0, 0.75]]
    probabilities[0] = 1 - probabilities.sum(axis=0)
    assert object_map(probabilities).tolist() == [[7, 0], [0, 7]]


def test_object_map_no_data_cuts_and_has_no_vote() -> None:
    probabilities = one_row(c1=[0.25, 1.0, 0.25, 0.25], c2=[0.75, 0.0, 0.25, 0.0])
    valid = np.array([[True, False, True, True]])
    np.testing.assert_array_equal(object_map(probabilities, high=0.75, low=0.25, valid=valid), [[2, 0, 0, 0]])


@pytest.mark.parametrize("seed", range(5))
def test_object_map_random_probabilities_equals_growing_from_strong_pixels(seed: int) -> None:
    probabilities = random_probabilities(seed)
    seep = 1 - probabilities[0]
    expected = ndimage.binary_propagation(seep >= 0.625, np.ones((3, 3)), mask=seep >= 0.53125)
    np.testing.assert_array_equal(object_map(probabilities, high=0.625, low=0.53125) > 0, expected)


def test_find_instances_defaults_are_the_arg_max_components() -> None:
    probabilities = random_probabilities(0)
    found = find_instances(probabilities)
    by_class = class_components(class_map(probabilities), probabilities)
    seeps = seep_components(class_map(probabilities), probabilities)
    for table, expected in ((found.by_class, by_class), (found.seeps, seeps)):
        np.testing.assert_array_equal(table.labels, expected.labels)
        np.testing.assert_array_equal(table.scores, expected.scores)
    np.testing.assert_array_equal(found.classes, class_map(probabilities))


def test_find_instances_object_score_is_seep_probability_times_class_share() -> None:
    # Mean seep probability .75; class 3 has 1 of 1.5.
    found = find_instances(one_row(c3=[0.75, 0.25], c4=[0.0, 0.5]), InstanceSettings(mode="object"))
    assert found.by_class.classes.tolist() == [3]
    assert found.by_class.scores.tolist() == [0.75 * (1 / 1.5)]
    assert found.seeps.scores.tolist() == [0.75]


@pytest.mark.parametrize("mode", ["class", "object"])
def test_find_instances_no_data_is_background(mode) -> None:
    valid = np.array([[True, False, True]])
    found = find_instances(one_row(c3=[0.75, 0.75, 0.75]), InstanceSettings(mode=mode), valid=valid)
    np.testing.assert_array_equal(found.classes, [[3, 0, 3]])
    assert found.by_class.areas_px.tolist() == [1, 1]


def test_find_instances_minimum_size_drops_smaller_only() -> None:
    found = find_instances(one_row(c3=[1, 0, 1, 1, 0, 1, 1, 1]), InstanceSettings(min_size_px=2))
    np.testing.assert_array_equal(found.classes, [[0, 0, 3, 3, 0, 3, 3, 3]])
    np.testing.assert_array_equal(found.by_class.labels, [[0, 0, 1, 1, 0, 2, 2, 2]])
    assert found.by_class.areas_px.tolist() == [2, 3]
    assert found.seeps.areas_px.tolist() == [2, 3]


def test_find_instances_score_threshold_drops_lower_only() -> None:
    found = find_instances(one_row(c3=[0.625, 0, 0.75, 0, 0.875]), InstanceSettings(score_threshold=0.75))
    assert found.by_class.scores.tolist() == [0.75, 0.875]
    np.testing.assert_array_equal(found.classes, [[0, 0, 3, 0, 3]])


def test_find_instances_dropped_class_leaves_the_rest_of_the_seep() -> None:
    found = find_instances(one_row(c1=[1, 1, 0], c2=[0, 0, 1]), InstanceSettings(min_size_px=2))
    assert found.seeps.areas_px.tolist() == [2]


def test_find_instances_everything_dropped_gives_no_rows() -> None:
    found = find_instances(one_row(c3=[1, 1]), InstanceSettings(min_size_px=3))
    assert len(found.by_class) == len(found.seeps) == 0
    assert not found.classes.any()


@pytest.mark.parametrize("mode", ["class", "object"])
def test_find_instances_without_any_seep_gives_no_rows(mode) -> None:
    found = find_instances(np.eye(8)[:, :1, None] * np.ones((4, 5)), InstanceSettings(mode=mode))
    assert len(found.by_class) == len(found.seeps) == 0
    assert found.classes.shape == (4, 5)


@pytest.mark.parametrize("seed", range(3))
def test_find_instances_objects_are_the_seeps(seed: int) -> None:
    found = find_instances(random_probabilities(seed), InstanceSettings(mode="object", high=0.59375, low=0.53125))
    assert len(found.seeps) > 3
    np.testing.assert_array_equal(found.by_class.labels, found.seeps.labels)


@pytest.mark.parametrize(
    "settings",
    [
        InstanceSettings(),
        InstanceSettings(min_size_px=1),
        InstanceSettings(min_size_px=3),
        InstanceSettings(score_threshold=0.25),
        InstanceSettings(mode="object", high=0.875, low=0.828125),
        InstanceSettings(mode="object", high=0.875, low=0.828125, min_size_px=2),
    ],
)
def test_painted_map_any_settings_equals_that_of_the_instances(settings) -> None:
    probabilities = random_probabilities(3, background=0.2)
    valid = np.random.default_rng(0).random(probabilities.shape[1:]) < 0.9
    found = find_instances(probabilities, settings, valid=valid)
    assert len(found.by_class) > 3
    np.testing.assert_array_equal(painted_map(probabilities, settings, valid=valid), found.classes)
    np.testing.assert_array_equal(found.classes > 0, found.by_class.labels > 0)


@pytest.mark.parametrize("mode", ["class", "object"])
def test_find_instances_input_stays_untouched(mode) -> None:
    probabilities = random_probabilities(1)
    before = probabilities.copy()
    find_instances(probabilities, InstanceSettings(mode=mode, min_size_px=4))
    np.testing.assert_array_equal(probabilities, before)
