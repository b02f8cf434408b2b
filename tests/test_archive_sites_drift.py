"""The origin of slicks by the direction of those around them, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from seep_monai.archive.sites_drift import origin_ends
from seep_monai.archive.sites_peaks import EARTH_KM


def slick(east_km: float, turn_deg: float, *, north_km: float = 0.0) -> np.ndarray:
    """(2, 3) ends of a slick of 4 km at the equator, from its first end in a direction counted from east."""
    turn = np.radians(turn_deg)
    first = np.array([EARTH_KM, east_km, north_km])
    return np.stack([first, first + np.array([0.0, 4 * np.cos(turn), 4 * np.sin(turn)])])


def ends_of(
    *slicks: np.ndarray, evidence: dict[int, tuple[float, float]], number: list[int] | None = None
) -> list[int]:
    """The origin of each slick, with the evidence of the places at both ends of some."""
    weights = np.zeros((2, len(slicks)))
    for index, both in evidence.items():
        weights[:, index] = both
    passes = np.zeros(len(slicks), int) if number is None else np.array(number)
    return origin_ends(np.stack(slicks, axis=1), passes, weights).tolist()


@pytest.mark.parametrize(("evidence", "expected"), [((2.0, 1.0), 0), ((1.0, 2.0), 1), ((1.0, 1.0), 0), ((-5, -1), 0)])
def test_slick_alone_begins_at_the_better_place_else_at_the_stored_origin(
    evidence: tuple[float, float], expected: int
) -> None:
    assert ends_of(slick(0, 0), evidence={0: evidence}) == [expected]


def test_slicks_nearby_follow_the_direction_of_one_that_is_known() -> None:
    # The first one begins at its second end, so that it drifts to the west, and so do the others.
    slicks = [slick(0, 0), slick(20, 30, north_km=10), slick(-30, 150)]
    assert ends_of(*slicks, evidence={0: (0, 3)}) == [1, 1, 0]


def test_slick_across_the_drift_keeps_its_stored_origin() -> None:
    assert ends_of(slick(0, 0), slick(20, 90), evidence={0: (0, 3)}) == [1, 0]


@pytest.mark.parametrize(("east_km", "number"), [(20.0, 1), (400.0, 0)])
def test_other_passes_and_slicks_far_away_do_not_count(east_km: float, number: int) -> None:
    assert ends_of(slick(0, 0), slick(east_km, 0), evidence={0: (0, 3)}, number=[0, number]) == [1, 0]


def test_many_neighbours_outweigh_a_place_with_little_evidence() -> None:
    known = dict.fromkeys(range(3), (0.0, 3.0))
    slicks = [slick(10 * index, 0) for index in range(4)]
    assert ends_of(*slicks, evidence=known | {3: (1.0, 0.0)}) == [1, 1, 1, 1]


def test_slick_whose_other_end_is_unknown_has_no_direction() -> None:
    point = np.stack([slick(5, 0)[0]] * 2)
    assert ends_of(point, slick(0, 0), evidence={1: (0, 3)}) == [0, 1]


def test_without_a_slick_there_is_no_origin() -> None:
    assert origin_ends(np.zeros((2, 0, 3)), np.zeros(0, int), np.zeros((2, 0))).tolist() == []
