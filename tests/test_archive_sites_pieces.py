"""Pieces of slicks, worked out by hand and against a search of all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from seep_monai.archive import sites_pieces
from seep_monai.archive.sites_peaks import EARTH_KM
from seep_monai.archive.sites_pieces import pieces
from seep_monai.archive.sites_places import Slicks

# (n, 4): east and north of the origin and of the other end, km from a point on the equator.
LONG = (0, 0, 10, 0)


def slicks_of(ends: list[tuple[float, float, float, float]] | np.ndarray, number: list[int] | None = None) -> Slicks:
    places = np.array(ends, float).reshape(-1, 2, 2).transpose(1, 0, 2)
    places = np.concatenate([np.full((*places.shape[:2], 1), EARTH_KM), places], axis=2)
    passes = np.zeros(places.shape[1], int) if number is None else np.array(number)
    return Slicks(places, passes, passes)


@pytest.mark.parametrize(
    ("other", "is_piece"),
    [
        ((5, 1.4, 8, 1.4), True),
        ((5, -1.6, 8, -1.6), False),  # too far aside
        ((1.2, 0, 4, 0), True),
        ((0.8, 0, 4, 0), False),  # hardly behind it
        ((-6, 0, -3, 0), False),  # before it
        ((11.4, 0, 14, 0), True),  # behind its end
        ((11.6, 0, 14, 0), False),
        ((5, 0, 5 + np.cos(1), np.sin(1)), True),  # 57 degrees
        ((5, 0, 5 + np.cos(1.1), np.sin(1.1)), False),  # 63 degrees
        ((8, 0, 5, 0), False),  # the other way
        ((5, 0, 5, 0), False),  # without a direction
    ],
)
def test_slick_that_begins_beside_another_and_behind_its_origin_is_a_piece(other: tuple, is_piece: bool) -> None:
    assert pieces(slicks_of([LONG, other])).tolist() == [False, is_piece]


def test_slicks_of_other_passes_and_of_the_same_origin_are_no_pieces() -> None:
    ends = [LONG, (5, 0, 8, 0), (0, 0.1, 9, 3), (5, 0, 9, 0)]
    assert pieces(slicks_of(ends, [0, 1, 0, 0])).tolist() == [False, False, False, True]


def test_pieces_of_pieces_follow_the_first() -> None:
    chain = [(6, 0, 7, 0), (3, 0, 5, 0), (0, 0, 2, 0)]
    assert pieces(slicks_of(chain)).tolist() == [True, True, False]


def test_without_a_slick_there_is_no_piece() -> None:
    assert pieces(slicks_of([])).tolist() == []


@pytest.mark.parametrize("pairs_at_once", [1, 2**23])
def test_search_by_points_along_lines_equals_that_of_all_pairs(
    monkeypatch: pytest.MonkeyPatch, pairs_at_once: int
) -> None:
    rng, n = np.random.default_rng(0), 150
    origin, turn, length = rng.uniform(0, 30, (n, 2)), rng.normal(0, 1, n), rng.exponential(5, n)
    other = origin + length[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    number = rng.integers(0, 3, n)
    monkeypatch.setattr(sites_pieces, "_PAIRS_AT_ONCE", pairs_at_once)
    found = pieces(slicks_of(np.concatenate([origin, other], axis=1), number.tolist()))

    expected = np.zeros(n, bool)
    for a in range(n):
        for b in range(n):
            way_a, way_b = (other[a] - origin[a]) / length[a], (other[b] - origin[b]) / length[b]
            gap = origin[b] - origin[a]
            nearest = origin[a] + np.clip(gap @ way_a, 0, length[a]) * way_a
            close = np.linalg.norm(origin[b] - nearest) <= 1.5
            behind = gap @ (way_a + way_b) / 2 > 1
            expected[b] |= a != b and number[a] == number[b] and close and behind and way_a @ way_b > 0.5
    assert 20 < expected.sum() < 100
    assert found.tolist() == expected.tolist()
