"""Where the films of a scene lie, against what was asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from seep_monai.simulate.drawing import draw_parameters
from seep_monai.simulate.parameters import SceneParameters
from seep_monai.simulate.placement import draw_slicks, tiles_of
from seep_monai.simulate.shapes import draw_slick
from seep_monai.simulate.slicks import Ribbon, Slick


@pytest.fixture(scope="module")
def parameters() -> SceneParameters:
    return replace(draw_parameters("1", np.random.default_rng(0)), class_tiles=(8, 3, 2, 2, 4, 6, 2), n_sites=(4, 2))


def test_slicks_reach_the_tiles_wanted_of_each_class(parameters: SceneParameters) -> None:
    slicks = draw_slicks(parameters, np.random.default_rng(1))

    for label, wanted in enumerate(parameters.class_tiles, start=1):
        reached = set().union(*(tiles_of(s, parameters.size_px) for s in slicks if s.label == label))
        assert len(reached) >= wanted


def test_slicks_start_inside_the_scene(parameters: SceneParameters) -> None:
    origins = np.array([slick.origin for slick in draw_slicks(parameters, np.random.default_rng(2))])

    assert (origins >= 0).all()
    assert (origins <= parameters.size_px).all()


def test_platforms_stand_apart_from_natural_seeps(parameters: SceneParameters) -> None:
    distances = {1: [], 5: []}  # type: dict[int, list[float]]
    for seed in range(6):
        slicks = draw_slicks(parameters, np.random.default_rng(seed))
        ships = np.array([slick.origin for slick in slicks if slick.label == 4])
        for label, found in distances.items():
            found += [np.hypot(*(ships - s.origin).T).min() for s in slicks if s.label == label]

    assert np.median(distances[5]) < 600 < np.median(distances[1])


def test_slicks_of_one_generator_state_are_the_same(parameters: SceneParameters) -> None:
    first, second = (draw_slicks(parameters, np.random.default_rng(3)) for _ in range(2))

    assert [slick.origin for slick in first] == [slick.origin for slick in second]
    np.testing.assert_array_equal(first[0].ribbons[0].rows, second[0].ribbons[0].rows)


def test_tiles_of_a_straight_ribbon_are_those_it_crosses() -> None:
    cols = np.arange(200.0, 600.0)
    strength = np.where(cols < 500, 1.0, 0.1)
    ribbon = Ribbon(np.full(400, 255.5), cols, np.full(400, 3.0), strength, 3.0)

    # Row 255 is the last of the first tiles; from column 500 on the film is too thin to be one.
    assert tiles_of(Slick(1, (255.5, 200.0), 0.0, (ribbon,)), (512, 1024)) == {(0, 0), (0, 1)}


def test_tiles_of_a_slick_outside_the_scene_are_none() -> None:
    slick = draw_slick(7, (-500.0, -500.0), 0.0, np.random.default_rng(0))

    assert tiles_of(slick, (512, 512)) == set()


def test_families_of_class_1_do_not_pile_up_on_a_tile(parameters: SceneParameters) -> None:
    many = replace(parameters, class_tiles=(35, 0, 0, 0, 0, 0, 0))
    for seed in range(3):
        slicks = draw_slicks(many, np.random.default_rng(seed))
        families = Counter(tile for slick in slicks for tile in tiles_of(slick, many.size_px))
        assert len(families) >= 35
        assert max(families.values()) <= 2
