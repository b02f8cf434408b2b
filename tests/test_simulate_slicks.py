"""Films, artefacts and coding of the simulator on small canvases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from seep_monai.simulate import artefacts, coding
from seep_monai.simulate.shapes import RECIPES
from seep_monai.simulate.slicks import CORE_SHARE, Ribbon, SlickCanvas, rasterised

SHAPE = (40, 60)
Pattern = Callable[[np.ndarray, tuple[float, float], np.random.Generator], None]
PATTERNS = [
    artefacts.add_low_wind_patch,
    artefacts.add_rain_cell,
    artefacts.add_internal_waves,
    artefacts.add_wake,
]


def _straight(row: float, *, first: float = 0, last: float = 59, width_px: float = 4, damping_db: float = 3) -> Ribbon:
    cols = np.arange(first, last + 0.1, 0.5)
    n = len(cols)
    return Ribbon(np.full(n, row), cols, np.full(n, width_px), np.ones(n), damping_db)


def test_rasterised_straight_ribbon_has_its_width_at_half_depth() -> None:
    window, strength = rasterised(_straight(20), SHAPE)
    column = np.zeros(SHAPE[0])
    column[window[0]] = strength[:, 30]

    # 4 px wide, soft over 1.5 px: the depth is 1/2 at 2 px, and 0.5 + (2 - 1) / 1.5 > 1 at 1 px.
    np.testing.assert_allclose(column[17:24], [0, 0.5, 1, 1, 1, 0.5, 0], atol=1e-6)


def test_rasterised_ribbon_outside_is_empty() -> None:
    _, strength = rasterised(_straight(-50), SHAPE)

    assert strength.size == 0


def test_canvas_label_is_where_the_damping_reaches_the_core() -> None:
    canvas = SlickCanvas(np.ones(SHAPE, bool))
    canvas.add(_straight(20.3, first=10, last=40, damping_db=5), label=2)

    assert canvas.damping_db.max() == pytest.approx(5)
    np.testing.assert_array_equal(canvas.label == 2, canvas.damping_db >= np.float32(CORE_SHARE * 5))


def test_canvas_faded_film_damps_but_has_no_label() -> None:
    canvas, ribbon = SlickCanvas(np.ones(SHAPE, bool)), _straight(20)
    canvas.add(Ribbon(ribbon.rows, ribbon.cols, ribbon.width_px, 0.3 * ribbon.strength, 3.0), label=1)

    assert canvas.damping_db.max() == pytest.approx(0.9)
    assert not canvas.label.any()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_canvas_crossing_films_keep_the_stronger_in_any_order(order: tuple[int, int]) -> None:
    films = [(_straight(20, damping_db=3), 1), (_straight(22, damping_db=6), 6)]
    canvas = SlickCanvas(np.ones(SHAPE, bool))
    for k in order:
        canvas.add(*films[k])

    assert canvas.label[22, 30] == 6
    assert canvas.label[19, 30] == 1
    assert canvas.damping_db[22, 30] == pytest.approx(6)


def test_canvas_sets_no_label_outside_the_swath() -> None:
    valid = np.ones(SHAPE, bool)
    valid[:, 30:] = False
    canvas = SlickCanvas(valid)
    canvas.add(_straight(20), label=1)

    assert canvas.label[20, 29] == 1
    assert not canvas.label[:, 30:].any()


def test_canvas_tiles_with_label_lists_the_tiles_a_ribbon_crosses() -> None:
    canvas = SlickCanvas(np.ones((40, 60), bool))
    canvas.add(_straight(5, first=5, last=30), label=3)

    np.testing.assert_array_equal(canvas.tiles_with(3, 20), [[True, True, False], [False, False, False]])


@pytest.mark.parametrize("label", sorted(RECIPES))
def test_recipe_of_each_class_gives_drawable_ribbons(label: int) -> None:
    rng = np.random.default_rng(label)
    for _ in range(20):
        for ribbon in RECIPES[label]((100.0, 100.0), rng.uniform(0, 6), rng):
            assert len(ribbon.rows) == len(ribbon.cols) == len(ribbon.width_px) == len(ribbon.strength) >= 2
            assert ribbon.strength.min() >= 0
            assert ribbon.strength.max() <= 1
            assert ribbon.width_px.min() >= 1
            assert ribbon.damping_db > 0


def test_recipe_of_class_1_draws_up_to_six_neighbours() -> None:
    rng = np.random.default_rng(0)
    sizes = {len(RECIPES[1]((0.0, 0.0), 0.0, rng)) for _ in range(300)}

    assert sizes == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize("draw", PATTERNS)
def test_artefact_changes_only_its_neighbourhood(draw: Pattern) -> None:
    gain_db = np.zeros((400, 400), np.float32)
    draw(gain_db, (200.0, 200.0), np.random.default_rng(1))

    assert np.abs(gain_db).max() > 0.3
    assert np.isfinite(gain_db).all()
    assert gain_db[0, 0] == gain_db[399, 399] == 0


@pytest.mark.parametrize("draw", PATTERNS)
def test_artefact_over_a_corner_is_cut_off(draw: Pattern) -> None:
    gain_db = np.zeros((400, 400), np.float32)
    draw(gain_db, (0.0, 399.0), np.random.default_rng(2))

    assert np.isfinite(gain_db).all()
    assert not gain_db[200:, :200].any()


@pytest.mark.parametrize("seed", range(5))
def test_target_peak_is_10_to_30_db_above_the_sea(seed: int) -> None:
    intensity = np.full((100, 100), 2.0, np.float32)
    artefacts.add_target(intensity, (50.0, 40.0), np.random.default_rng(seed))

    peak_db = 10 * np.log10((intensity[50, 40] - 2) / 2)
    assert 10 <= peak_db <= 30
    assert intensity[50, 40] == intensity.max()
    assert intensity[0, 0] == 2
    assert (intensity >= 2).all()


def test_swath_edge_at_the_top_cuts_its_slanted_wedge() -> None:
    valid = artefacts.swath((10, 8), (("top", 3.0, 0.5),))

    # depth >= 3 + .5 (col - 4): columns 0, 4 and 7 begin at rows 1, 3 and 4.5 -> 5.
    np.testing.assert_array_equal(valid.argmax(axis=0)[[0, 4, 7]], [1, 3, 5])
    assert valid[-1].all()


def test_swath_edge_at_the_right_counts_from_the_right() -> None:
    valid = artefacts.swath((8, 10), (("right", 2.0, 0.0),))

    np.testing.assert_array_equal(valid[0], [True] * 8 + [False] * 2)


def test_coded_amplitude_sits_on_a_constant_step() -> None:
    intensity = np.array([[0, 1, 4, 16, 1e6, 1]], np.float32)
    valid = np.array([[True, True, True, True, True, False]])
    dn = coding.coded(intensity, valid, clip_medians=2.5, n_levels=100)

    # The sampled median (every fourth column: amplitudes 0 and 1000) is 500, so full scale is 1250 and the last one,
    # 1000, is level 80; step 65535 // 100 = 655. The others round to level 0, which is reserved, and become 1.
    np.testing.assert_array_equal(dn, [[655, 655, 655, 655, 80 * 655, 0]])


def test_coded_clips_to_the_highest_number() -> None:
    intensity = np.ones((8, 8), np.float32)
    intensity[1, 1] = 100
    dn = coding.coded(intensity, np.ones((8, 8), bool), clip_medians=2.0, n_levels=200)

    # Amplitude 1 of full scale 2 is level 100 of 200; 65535 // 200 = 327.
    assert dn[1, 1] == 65535
    assert dn[0, 0] == 32700


def test_border_noise_lies_on_the_valid_side_of_the_border() -> None:
    valid = np.ones((6, 8), bool)
    valid[:, :3] = False
    dn = np.where(valid, 30000, 0).astype(np.uint16)
    noisy = coding.with_border_noise(dn, valid, np.random.default_rng(0), width_px=2)

    assert (noisy[:, :3] == 0).all()
    assert ((noisy[:, 3:5] >= 1) & (noisy[:, 3:5] <= 30)).all()
    assert (noisy[:, 5:] == 30000).all()
