"""The tree of candidates and the choice among them, worked by hand and against all choices that there are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from seep_monai.objects.candidates import Candidates, choose, find_candidates

# Two ribbons, joined by a faint bridge.
BRIDGED = np.array([[0.9, 0.9, 0.4, 0.7, 0.7]])


def pixel_lists(found: Candidates) -> list[list[int]]:
    return [pixels.tolist() for pixels in found.pixels]


def test_bridged_ribbons_are_one_candidate_below_and_two_above() -> None:
    found = find_candidates(BRIDGED, (0.3, 0.6, 0.8), min_px=1)
    assert pixel_lists(found) == [[0, 1, 2, 3, 4], [0, 1], [3, 4]]
    assert found.parents.tolist() == [-1, 0, 0]
    # The brighter one is the same set of pixels at .8.
    assert found.levels.tolist() == [0.3, 0.8, 0.6]


def test_candidates_diagonal_neighbours_are_one() -> None:
    assert pixel_lists(find_candidates(np.eye(3), (0.5,), min_px=1)) == [[0, 4, 8]]


def test_candidates_keep_off_no_data_and_drop_the_small() -> None:
    valid = np.array([[True, False, True, True, True]])
    assert pixel_lists(find_candidates(BRIDGED, (0.3,), valid=valid, min_px=2)) == [[2, 3, 4]]


def test_candidates_of_an_empty_map_are_none() -> None:
    found = find_candidates(np.zeros((4, 4)))
    assert len(found) == len(choose(found, np.zeros(0))) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_candidates_are_the_components_of_each_level(seed: int) -> None:
    prob = ndimage.gaussian_filter(np.random.default_rng(seed).random((24, 24)), 1.5)
    prob = (prob - prob.min()) / np.ptp(prob)
    levels = (0.3, 0.5, 0.7)
    found = find_candidates(prob, levels, min_px=1)
    expected = set()
    for level in levels:
        labels, n = ndimage.label(prob >= level, np.ones((3, 3)))
        expected |= {tuple(np.flatnonzero(labels == i)) for i in range(1, n + 1)}
    assert {tuple(pixels) for pixels in found.pixels} == expected
    assert len(found) == len(expected)
    for i, parent in enumerate(found.parents):
        assert parent < i
        assert parent < 0 or set(found.pixels[i]) < set(found.pixels[parent])


@pytest.mark.parametrize(
    ("values", "chosen"),
    [([0.9, 0.4, 0.4], [0]), ([0.5, 0.4, 0.4], [1, 2]), ([0.5, 0.25, 0.25], [0]), ([0.3, 0.9, 0.0], [1, 2])],
)
def test_choice_is_the_whole_or_its_parts_whichever_is_worth_more(values: list[float], chosen: list[int]) -> None:
    found = find_candidates(BRIDGED, (0.3, 0.6), min_px=1)
    assert choose(found, np.array(values)).tolist() == chosen


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_choice_is_worth_as_much_as_the_best_of_all_disjoint_sets(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 8))
    parents = [data.draw(st.integers(-1, i - 1)) for i in range(n)]
    # Sums of these are exact in binary, so that equal ones are equal.
    values = np.array([data.draw(st.integers(0, 16)) / 16 for _ in range(n)])
    tree = Candidates((1, 1), (np.zeros(1, np.intp),) * n, np.zeros(n), np.array(parents, np.intp))

    def ancestors(i: int) -> set[int]:
        return set() if parents[i] < 0 else {parents[i]} | ancestors(parents[i])

    def disjoint(members: tuple[int, ...]) -> bool:
        return not any(set(members) & ancestors(i) for i in members)

    subsets = [c for size in range(n + 1) for c in combinations(range(n), size) if disjoint(c)]
    chosen = choose(tree, values)
    assert disjoint(tuple(chosen.tolist()))
    assert values[chosen].sum() == max(values[list(c)].sum() for c in subsets)
