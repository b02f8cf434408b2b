"""Scenes of one pass, told by time and place."""

from __future__ import annotations

import numpy as np
import shapely

from seep_monai.archive.sites_input import Scenes
from seep_monai.archive.sites_passes import pass_numbers


def scenes(*given: tuple[int, float, float]) -> Scenes:
    """Scenes of one degree: minutes, and the lower left corner."""
    times = np.datetime64("2024-01-01T23:50:00") + np.array([60 * minutes for minutes, _, _ in given], "timedelta64[s]")
    boxes = np.array([shapely.box(x, y, x + 1, y + 1) for _, x, y in given], object)
    return Scenes(np.array([f"s{i}" for i in range(len(given))], object), times, boxes)


def test_frames_of_one_flight_are_one_pass_across_midnight() -> None:
    # Three frames that follow each other, the next day's ones in another order, and one that does not touch them.
    found = pass_numbers(scenes((1440, 0, 1), (0, 0, 0), (1, 0, 0.9), (15, 0, 1.8), (1441, 0, 0), (2, 40, 0)))
    assert found.tolist() == [2, 0, 0, 0, 2, 1]


def test_chain_of_frames_is_one_pass_though_its_ends_are_an_hour_apart() -> None:
    assert pass_numbers(scenes(*((20 * k, 0, k) for k in range(4)))).tolist() == [0, 0, 0, 0]


def test_half_an_hour_later_is_another_pass() -> None:
    assert pass_numbers(scenes((0, 0, 0), (30, 0, 0), (29, 0, 0))).tolist() == [0, 0, 0]
    assert pass_numbers(scenes((0, 0, 0), (30, 0, 0))).tolist() == [0, 1]


def test_frames_that_abut_with_a_small_gap_are_one_pass() -> None:
    assert pass_numbers(scenes((0, 0, 0), (0, 0, 1.05), (0, 0, 2.5))).tolist() == [0, 0, 1]


def test_no_scene_has_no_pass() -> None:
    assert pass_numbers(scenes()).tolist() == []
