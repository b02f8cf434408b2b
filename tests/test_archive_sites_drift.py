"""The origin of slicks by the direction of those around them, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from seep_monai.archive.sites_drift import origin_ends, origin_offset
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


# Both begin at their second ends, so that they drift to the west.
KNOWN = [slick(0, 0), slick(0, 10, north_km=10)]
BOTH = dict.fromkeys(range(2), (0.0, 3.0))


def test_slicks_nearby_follow_the_direction_of_those_that_are_known() -> None:
    assert ends_of(*KNOWN, slick(20, 30, north_km=10), slick(-30, 150), evidence=BOTH) == [1, 1, 1, 0]


def test_one_known_slick_is_not_enough() -> None:
    assert ends_of(slick(0, 0), slick(20, 0), evidence={0: (0, 3)}) == [1, 0]


def test_slicks_that_disagree_do_not_count() -> None:
    # One drifts to the west, the other to the east, with a little more evidence.
    known = {0: (0.0, 3.0), 1: (2.5, 0.0)}
    assert ends_of(*KNOWN, slick(20, 0), evidence=known) == [1, 0, 0]


def test_slick_across_the_drift_begins_at_its_own_better_place() -> None:
    assert ends_of(*KNOWN, slick(20, 95), evidence=BOTH | {2: (0.5, 0)}) == [1, 1, 0]


@pytest.mark.parametrize(("east_km", "number"), [(20.0, 1), (400.0, 0)])
def test_other_passes_and_slicks_far_away_do_not_count(east_km: float, number: int) -> None:
    assert ends_of(*KNOWN, slick(east_km, 0), evidence=BOTH, number=[0, 0, number]) == [1, 1, 0]


def test_many_neighbours_outweigh_a_place_with_little_evidence() -> None:
    known = dict.fromkeys(range(3), (0.0, 3.0))
    slicks = [slick(10 * index, 0) for index in range(4)]
    assert ends_of(*slicks, evidence=known | {3: (1.0, 0.0)}) == [1, 1, 1, 1]


def test_slick_whose_other_end_is_unknown_has_no_direction() -> None:
    point = np.stack([slick(5, 0)[0]] * 2)
    assert ends_of(point, slick(0, 0), evidence={1: (0, 3)}) == [0, 1]


def test_without_a_slick_there_is_no_origin() -> None:
    assert origin_ends(np.zeros((2, 0, 3)), np.zeros(0, int), np.zeros((2, 0))).tolist() == []


def offset_of(offset_km: float, *, evidence: float = 3.0, n_directions: int = 8, noise_km: float = 0.0) -> float:
    """The offset that two places tell, each with a slick in each of some directions; a third slick belongs to none."""
    rng, turns = np.random.default_rng(0), np.arange(n_directions) * 360 / n_directions
    slicks = [slick(east_km, turn) for east_km in (0, 50) for turn in turns]
    ends = np.stack([*slicks, slick(20, 0)], axis=1)
    way = (ends[1] - ends[0]) / 4
    ends = ends + offset_km * way + rng.normal(0, noise_km, (ends.shape[1], 3))
    owner = np.array([0] * n_directions + [1] * n_directions + [-1])
    return origin_offset(ends, owner, np.array([evidence, evidence]), 2.0)


@pytest.mark.parametrize("offset_km", [0.0, 0.5, 1.5])
def test_slicks_of_all_directions_tell_how_far_from_their_places_they_begin(offset_km: float) -> None:
    # Least squares with ten slicks of offset 0 added: 16 d / (16 + 10).
    assert offset_of(offset_km) == pytest.approx(offset_km * 16 / 26)
    assert offset_of(offset_km, n_directions=500, noise_km=0.5) == pytest.approx(offset_km, abs=0.05)


def test_offset_is_from_zero_to_its_limit() -> None:
    assert (offset_of(-1.0), offset_of(9.0)) == (0.0, 2.0)


def test_weak_places_and_slicks_of_one_direction_tell_no_offset() -> None:
    assert offset_of(1.0, evidence=2.9) == 0.0
    assert offset_of(1.0, n_directions=1) == 0.0
