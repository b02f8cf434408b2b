"""Labelling by runs against scikit-image, and the sparse overlap against counting pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import label

from seep_monai.instances import labelling
from seep_monai.instances.components import Components, class_components, seep_components
from seep_monai.instances.labelling import labelled_pixels
from seep_monai.metrics.overlap import joint_histogram, overlaps

SHAPES = [(64, 64), (37, 53), (1, 90), (90, 1), (200, 3), (3, 200), (256, 250)]


@pytest.fixture(params=["by runs", "as chosen"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once with the runs whatever the map, once with the way that the map's changes choose."""
    if request.param == "by runs":
        monkeypatch.setattr(labelling, "_MAX_SHARE_OF_CHANGES", 1.0)


def random_map(seed: int, shape: tuple[int, int], density: float, n_classes: int = 7) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < density, rng.integers(1, n_classes + 1, shape), 0).astype(np.uint8)


def worm_map(seed: int, shape: tuple[int, int], n_worms: int = 12) -> np.ndarray:
    """Random walks one pixel wide with diagonal steps, that cross and touch: long components of many runs."""
    rng = np.random.default_rng(seed)
    classes = np.zeros(shape, np.uint8)
    for _ in range(n_worms):
        steps = rng.integers(-1, 2, (100, 2)).cumsum(axis=0) + rng.integers(0, shape)
        inside = np.all((steps >= 0) & (steps < shape), axis=1)
        classes[tuple(steps[inside].T)] = rng.integers(1, 8)
    return classes


def assert_equals_skimage(classes: np.ndarray) -> None:
    expected = label(classes, background=0, connectivity=2)
    found = labelled_pixels(classes)
    np.testing.assert_array_equal(found.pixels, np.flatnonzero(classes))
    np.testing.assert_array_equal(found.components + 1, expected[classes > 0])
    table = class_components(classes)
    np.testing.assert_array_equal(table.labels, expected)
    np.testing.assert_array_equal(table.pixels, np.flatnonzero(classes))
    assert found.pixels.dtype == found.components.dtype == np.intp
    assert table.labels.dtype == np.int32


def brute_force_histogram(first: np.ndarray, second: np.ndarray) -> list[tuple[int, int, int]]:
    ids = [(i, j) for i in range(1, first.max(initial=0) + 1) for j in range(1, second.max(initial=0) + 1)]
    counts = [(i, j, int(np.sum((first == i) & (second == j)))) for i, j in ids]
    return [row for row in counts if row[2]]


def as_rows(histogram: tuple[np.ndarray, ...]) -> list[tuple[int, int, int]]:
    return list(zip(*(column.tolist() for column in histogram), strict=True))


# ----------------------------------------------------------------------------------------------------- labelling
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("density", [0.0, 0.01, 0.04, 0.15, 0.4, 0.7, 1.0])
@pytest.mark.parametrize("n_classes", [1, 2, 7])
def test_labelled_pixels_random_map_equals_skimage(shape, density, n_classes) -> None:
    assert_equals_skimage(random_map(0, shape, density, n_classes))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("seed", range(20))
def test_labelled_pixels_crossing_worms_equal_skimage(seed) -> None:
    assert_equals_skimage(worm_map(seed, (60, 77)))


@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.sampled_from([0, 0, 0, 1, 2, 7]))
)
def test_labelled_pixels_any_map_equals_skimage(classes) -> None:
    assert_equals_skimage(classes)
    # A small map is mostly changes and goes to scikit-image; with background around it, it goes by its runs.
    assert_equals_skimage(np.pad(classes, 40))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("shape", [*SHAPES, (1, 1), (0, 5), (5, 0), (0, 0)])
def test_labelled_pixels_empty_and_full_map_have_none_and_one(shape) -> None:
    assert len(labelled_pixels(np.zeros(shape, np.uint8)).pixels) == 0
    assert len(class_components(np.zeros(shape, np.uint8))) == 0
    table = class_components(np.full(shape, 7, np.uint8))
    assert table.areas_px.tolist() == [shape[0] * shape[1]] * (shape[0] * shape[1] > 0)


@pytest.mark.usefixtures("way")
def test_labelled_pixels_seven_classes_that_touch_stay_apart() -> None:
    stripes = np.repeat(np.arange(1, 8, dtype=np.uint8), 9)
    for classes in (np.tile(stripes, (40, 1)), np.tile(stripes[:, None], (1, 40))):
        assert_equals_skimage(classes)
        assert len(class_components(classes)) == 7
        assert len(seep_components(classes)) == 1


@pytest.mark.usefixtures("way")
def test_labelled_pixels_row_ends_do_not_touch() -> None:
    # The last pixel of a row and the first of the next are neighbours in memory only.
    classes = np.zeros((4, 30), np.uint8)
    classes[0, -2:], classes[1, :2] = 3, 3
    classes[2, -1], classes[3, 0] = 3, 3
    assert labelled_pixels(classes).components.tolist() == [0, 0, 1, 1, 2, 3]


@pytest.mark.usefixtures("way")
def test_labelled_pixels_diagonal_contact_is_one() -> None:
    for classes in (np.eye(40, dtype=np.uint8), np.eye(40, dtype=np.uint8)[:, ::-1]):
        assert_equals_skimage(classes)
        assert labelled_pixels(classes).components.max() == 0


@pytest.mark.usefixtures("way")
def test_labelled_pixels_comb_spiral_and_zigzag_are_one() -> None:
    comb = np.zeros((40, 61), np.uint8)
    comb[:, ::4], comb[-1] = 1, 1
    zigzag = comb.copy()
    zigzag[-1, ::8], zigzag[0, 2::8] = 0, 1
    spiral = np.zeros((41, 41), np.uint8)
    for ring in range(0, 20, 4):
        spiral[ring, ring : 41 - ring] = spiral[40 - ring, ring : 41 - ring] = 1
        spiral[ring : 41 - ring, 40 - ring] = spiral[ring + 4 : 41 - ring, ring] = 1
        spiral[ring + 4, ring : ring + 5] = 1
    for classes in (comb, comb[::-1], comb.T, zigzag, zigzag.T, spiral, spiral[::-1, ::-1]):
        assert_equals_skimage(classes)
    assert len(class_components(comb)) == len(class_components(spiral)) == 1


@pytest.mark.usefixtures("way")
def test_labelled_pixels_other_memory_layouts_equal_skimage() -> None:
    classes = worm_map(3, (80, 80))
    for view in (np.asfortranarray(classes), classes[3:, 5:-2], classes[::2, ::-1], classes.T):
        assert_equals_skimage(view)


# ------------------------------------------------------------------------------------------------------- overlap
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("density", [0.0, 0.05, 0.3, 1.0])
def test_joint_histogram_random_maps_equals_brute_force(seed, density) -> None:
    first, second = (class_components(random_map(seed + n, (13, 21), density, 2)) for n in (0, 100))
    expected = brute_force_histogram(first.labels, second.labels)
    assert as_rows(joint_histogram(first.labels, second.labels)) == expected
    assert as_rows(joint_histogram(first.labels, second.labels, pixels=first.pixels)) == expected


def test_joint_histogram_ids_far_apart_equal_brute_force() -> None:
    # Few pixels and large ids: a table of all pairs would have 10 ** 12 cells.
    first = np.array([[0, 10**6, 10**6, 5]], np.int32)
    second = np.array([[7, 10**6, 2, 2]], np.int32)
    assert as_rows(joint_histogram(first, second)) == [(5, 2, 1), (10**6, 2, 1), (10**6, 10**6, 1)]


@pytest.mark.parametrize("seed", range(5))
def test_overlaps_with_and_without_pixels_are_equal_and_right(seed) -> None:
    truth, predicted = class_components(worm_map(seed, (40, 45))), class_components(worm_map(seed + 50, (40, 45)))
    plain = Components(truth.labels, truth.classes, truth.areas_px, truth.scores)
    assert plain.pixels is None
    expected = [
        (i - 1, j - 1, n)
        for i, j, n in brute_force_histogram(truth.labels, predicted.labels)
        if truth.classes[i - 1] == predicted.classes[j - 1]
    ]
    for table in (truth, plain):
        found = overlaps(table, predicted)
        assert as_rows((found.truth, found.predicted, found.intersection_px)) == expected
        unions = truth.areas_px[found.truth] + predicted.areas_px[found.predicted] - found.intersection_px
        np.testing.assert_array_equal(found.iou, found.intersection_px / unions)
