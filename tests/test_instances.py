"""Class map -> components, areas, scores."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from seep_monai.errors import DataError
from seep_monai.instances import (
    ANY_SEEP,
    bounding_boxes,
    class_components,
    class_map,
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


@pytest.mark.parametrize("seed", range(3))
def test_bounding_boxes_random_map_equals_scipy(seed: int) -> None:
    table = class_components(noisy_map(seed))
    expected = [(r.start, c.start, r.stop, c.stop) for r, c in ndimage.find_objects(table.labels)]
    assert [tuple(box) for box in bounding_boxes(table).tolist()] == expected


@pytest.mark.parametrize("components", [class_components, seep_components])
@pytest.mark.parametrize(
    "classes", [np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.int64), np.zeros((1, 2, 2), np.uint8)]
)
def test_components_bad_map_raises(components, classes) -> None:
    with pytest.raises(DataError, match=r"expected \(H, W\) uint8 with values 0\.\.7"):
        components(classes)
