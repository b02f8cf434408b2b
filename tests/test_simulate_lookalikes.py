"""Look-alikes of every kind: functions of place, zero outside their bounds, plain numbers, and as dark as stated."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import numpy as np
import pytest

from seep_monai.calibration.dark_areas import LARGE_PX, edge_width_px
from seep_monai.errors import SeepError
from seep_monai.simulate.bands import BiogenicFilm, InternalWaves, ShipWake, draw_ship_wake
from seep_monai.simulate.lookalikes import KINDS, draw_lookalikes, gain_on
from seep_monai.simulate.patches import LowWindPatch, RainCell, WindFront, draw_low_wind_patch
from seep_monai.simulate.placed import Placed, bump, step

SHAPE = (640, 640)
EVERY_KIND = dict.fromkeys(KINDS, 1)


def tiles(side: int) -> Iterator[tuple[slice, slice]]:
    for row in range(0, SHAPE[0], side):
        for col in range(0, SHAPE[1], side):
            yield slice(row, row + side), slice(col, col + side)


def gain_at(lookalike: object, row: float, col: float) -> float:
    return float(lookalike.gain_db(np.array([row]), np.array([col]))[0, 0])  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_gain_in_tiles_equals_gain_in_one_window(kind: str, seed: int) -> None:
    lookalike = KINDS[kind]((320.4, 300.7), np.random.default_rng(seed))
    whole = gain_on([lookalike], np.s_[0 : SHAPE[0], 0 : SHAPE[1]])
    assert whole is not None
    for window in tiles(128):
        part = gain_on([lookalike], window)
        # Steep outlines magnify the last bit of the matrix product.
        np.testing.assert_allclose(whole[window], 0 if part is None else part, atol=5e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_gain_outside_the_bounds_is_zero(kind: str, seed: int) -> None:
    lookalike = KINDS[kind]((0.0, 0.0), np.random.default_rng(seed))
    row0, row1, col0, col1 = lookalike.bounds
    rows, cols = np.linspace(row0 - 50, row1 + 50, 301), np.linspace(col0 - 50, col1 + 50, 299)
    gain = lookalike.gain_db(rows, cols)
    outside = ((rows < row0) | (rows > row1))[:, None] | ((cols < col0) | (cols > col1))
    assert not gain[outside].any()
    assert np.abs(gain).max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_lookalike_goes_through_json(kind: str) -> None:
    lookalike = KINDS[kind]((100.0, 200.0), np.random.default_rng(1))
    again = type(lookalike)(**json.loads(json.dumps(dataclasses.asdict(lookalike))))
    rows = np.arange(80.0, 120.0)
    np.testing.assert_array_equal(again.gain_db(rows, rows + 100), lookalike.gain_db(rows, rows + 100))


def test_gain_far_from_the_origin_is_that_near_it() -> None:
    near = draw_ship_wake((0.0, 0.0), np.random.default_rng(3))
    far = dataclasses.replace(near, row=40000.0, col=50000.0)
    x = np.arange(-60.0, 60.0)
    np.testing.assert_allclose(far.gain_db(x + 40000, x + 50000), near.gain_db(x, x), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_gain_is_single_precision(kind: str) -> None:
    lookalike = KINDS[kind]((0.0, 0.0), np.random.default_rng(0))
    assert lookalike.gain_db(np.arange(5.0), np.arange(7.0)).dtype == np.float32
    assert lookalike.gain_db(np.arange(5.0), np.arange(7.0)).shape == (5, 7)


def test_gain_on_adds_lookalikes() -> None:
    lookalikes = draw_lookalikes(dict.fromkeys(KINDS, 2), SHAPE, np.random.default_rng(2))
    window = np.s_[100:400, 200:500]
    alone = [gain_on([lookalike], window) for lookalike in lookalikes]
    total = gain_on(lookalikes, window)
    assert total is not None
    np.testing.assert_allclose(total, sum(gain for gain in alone if gain is not None), atol=1e-5)


def test_gain_on_untouched_window_is_none() -> None:
    patch = LowWindPatch(100.0, 100.0, 0.0, 30.0, 20.0, 8.0, 5.0, 0.4, 1)
    assert gain_on([patch], np.s_[400:500, 400:500]) is None
    assert gain_on([], np.s_[0:10, 0:10]) is None


def test_draw_lookalikes_gives_the_counts_inside_the_scene() -> None:
    lookalikes = draw_lookalikes({"rain": 3, "low_wind": 2}, (300, 900), np.random.default_rng(0))
    assert [type(x) for x in lookalikes] == [LowWindPatch] * 2 + [RainCell] * 3
    assert all(0 <= x.row < 300 and 0 <= x.col < 900 for x in lookalikes)  # type: ignore[attr-defined]


def test_draw_lookalikes_does_not_depend_on_the_order_of_counts() -> None:
    counts = dict(reversed(EVERY_KIND.items()))
    assert draw_lookalikes(counts, SHAPE, np.random.default_rng(7)) == draw_lookalikes(
        EVERY_KIND, SHAPE, np.random.default_rng(7)
    )


def test_draw_lookalikes_of_unknown_kind_raises() -> None:
    with pytest.raises(SeepError, match="but got oil"):
        draw_lookalikes({"oil": 1}, SHAPE, np.random.default_rng(0))


def test_draw_lookalikes_of_negative_count_raises() -> None:
    with pytest.raises(SeepError, match="rain -1"):
        draw_lookalikes({"rain": -1}, SHAPE, np.random.default_rng(0))


def test_low_wind_patch_is_dark_uneven_and_ragged() -> None:
    patch = LowWindPatch(0.0, 0.0, 20.0, 100.0, 60.0, 8.0, 10.0, 0.5, 4)
    x = np.arange(-150.0, 150.0)
    gain = patch.gain_db(x, x)
    inside = gain[gain < -4]
    assert gain.max() <= 0
    assert gain.min() >= -8 * 1.4 - 1e-4
    # An ellipse of 100 x 60 px half axes, with radius^2 < .6: pi * 6000 * .6 = 11310 px.
    assert 0.5 * 11310 < inside.size < 1.5 * 11310
    assert inside.std() > 0.5


def test_wind_front_changes_the_level_by_its_step() -> None:
    front = WindFront(0.0, 0.0, 0.0, 1000.0, 0.0, 2.0, 10.0, 400.0, 5)
    # Bearing 0: along the columns; "across" is down the rows. 60 px away the waviness no longer matters:
    # +-1 dB * (1 - (60 / 400)^2)^2 = .956 dB, within what 20 px of waviness change.
    assert gain_at(front, 60.0, 0.0) == pytest.approx(0.956, abs=0.04)
    assert gain_at(front, -60.0, 0.0) == pytest.approx(-0.956, abs=0.04)


def test_rain_cell_core_takes_its_sign() -> None:
    for core_db in (-5.0, 6.0):
        cell = RainCell(0.0, 0.0, 0.0, 30.0, core_db, 1.0, 1.0, 2)
        x = np.arange(-8.0, 9.0)
        assert np.sign(np.median(cell.gain_db(x, x))) == np.sign(core_db)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_bands", range(3, 9))
def test_internal_waves_show_their_number_of_bands(n_bands: int, seed: int) -> None:
    packet = InternalWaves(0.0, 0.0, 0.0, 200.0, 0.0, 20.0, n_bands, 3.0, seed)
    along = np.arange(-40.0, 20.0 * n_bands + 40, 0.25)
    profile = packet.gain_db(np.array([0.0]), along)[0]
    # The last of eight crests is 3 * .0515 * .526 = .08 dB high.
    peaks = (profile[1:-1] > profile[:-2]) & (profile[1:-1] > profile[2:]) & (profile[1:-1] > 0.05)
    assert peaks.sum() == n_bands
    # The first crest is the highest.
    assert profile.argmax() == 1 + np.flatnonzero(peaks)[0]


def test_internal_waves_lie_where_their_phase_says() -> None:
    # Crests stand at half turns: x / 20 * (1 + .3 * x / 61.54) = .5, 1.5, 2.5, 3.5 -> x = 9.56, 26.56, 41.47, 54.91;
    # the waviness moves all by nearly the same, 4 px a standard deviation.
    packet = InternalWaves(0.0, 0.0, 0.0, 200.0, 0.0, 20.0, 4, 3.0, 1)
    along = np.arange(-20.0, 110.0, 0.1)
    profile = packet.gain_db(np.array([0.0]), along)[0]
    peaks = (profile[1:-1] > profile[:-2]) & (profile[1:-1] > profile[2:]) & (profile[1:-1] > 0)
    np.testing.assert_allclose(np.diff(along[1:-1][peaks]), [17.0, 14.9, 13.4], atol=3)


def test_ship_wake_is_dark_astern_and_nothing_lies_ahead() -> None:
    wake = ShipWake(50.0, 50.0, 0.0, 100.0, 0.0, 2.0, 3.0, 1.0, 10.0)
    # Bearing 0: astern is towards higher columns. Half-way the fade is sqrt(.5).
    assert gain_at(wake, 50.0, 100.0) == pytest.approx(-3 * 0.5**0.5, abs=1e-4)
    # The arm lies tan(10 deg) * 50 = 8.82 px aside there, and has faded by .5^1.5.
    assert gain_at(wake, 50 + 50 * np.tan(np.radians(10)), 100.0) == pytest.approx(0.5**1.5, abs=1e-4)
    assert gain_at(wake, 50.0, 45.0) == 0


def test_biogenic_film_is_of_thin_dark_lines() -> None:
    film = BiogenicFilm(0.0, 0.0, 30.0, 200.0, 120.0, 300.0, 25.0, 10.0, 3.0, 3)
    x = np.arange(-80.0, 80.0)
    gain = film.gain_db(x, x)
    assert -3 <= gain.min() < -2
    assert gain.max() == 0
    assert 0.01 < (gain < -1).mean() < 0.15


def test_placed_local_and_box_by_hand() -> None:
    placed = Placed(10.0, 20.0, 90.0)
    # Bearing 90: along runs down the rows, across towards lower columns.
    along, across = placed.local(np.array([13.0]), np.array([25.0]))
    assert (along[0, 0], across[0, 0]) == (pytest.approx(3), pytest.approx(-5))
    assert placed.box((0.0, 4.0), (-1.0, 2.0)) == pytest.approx((10, 14, 18, 21))


def test_bump_and_step_by_hand() -> None:
    x = np.array([-2, -1, -0.5, 0, 0.5, 1, 2], np.float32)
    np.testing.assert_allclose(bump(x), [0, 0, 0.5625, 1, 0.5625, 0, 0])
    np.testing.assert_allclose(step(x), [0, 0, 0.15625, 0.5, 0.84375, 1, 1])


def test_low_wind_patches_have_soft_edges() -> None:
    widths = []
    for seed in range(30):
        patch = draw_low_wind_patch((250, 250), np.random.default_rng(seed))
        gain_db = patch.gain_db(np.arange(500.0), np.arange(500.0))
        dn, dark = 1000 * 10 ** (gain_db / 20), gain_db < -patch.depth_db / 2
        if np.count_nonzero(dark) > LARGE_PX:
            widths.append(edge_width_px(dn, dark, np.ones(dark.shape, bool)))

    assert len(widths) >= 10
    # The edge of a ribbon is 1.5 px wide, and comes out as 3 px along a ragged outline.
    assert np.nanquantile(widths, 0.1) > 4
    assert 6 < np.nanmedian(widths) < 20
