"""Walks, and ribbons along them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seep_monai.simulate.slicks import POINT_STEP_PX, Ribbon
from seep_monai.simulate.walks import (
    Film,
    comb,
    displaced,
    drawn_length,
    headings,
    hooked,
    joined,
    ribbon_along,
    walked,
)

FILM = Film(3.0, 0.3, 100.0, 0.5, 4.0, 0.3)


def _straight(n: int, *, width_px: float = 4.0, damping_db: float = 3.0) -> Ribbon:
    return Ribbon(np.zeros(n), POINT_STEP_PX * np.arange(n), np.full(n, width_px), np.ones(n), damping_db)


def test_walked_steps_along_columns_then_rows() -> None:
    rows, cols = walked((10.0, 20.0), np.array([0.0, 0.0, np.pi / 2]))

    np.testing.assert_allclose(rows, [10, 10, 10.7])
    np.testing.assert_allclose(cols, [20.7, 21.4, 21.4])


def test_displaced_goes_ahead_and_to_the_side() -> None:
    # Heading 90 deg is down the rows; to its side means back along the columns.
    np.testing.assert_allclose(displaced((5.0, 5.0), np.pi / 2, along=3, across=2), (8, 3))


def test_headings_have_one_step_per_point_and_begin_near_the_drift() -> None:
    along = headings(70.0, 1.0, np.random.default_rng(0), wander_deg=0)

    assert len(along) == 100
    assert along[0] == pytest.approx(1.0)


def test_drawn_length_stays_within_three_px_and_eight_medians() -> None:
    rng, film = np.random.default_rng(0), Film(3.0, 0.3, 10.0, 2.0, 4.0, 0.3)
    lengths = [drawn_length(film, rng) for _ in range(500)]

    assert min(lengths) == 3
    assert max(lengths) == pytest.approx(80)


def test_hooked_bends_the_start_of_one_walk_in_three_and_never_its_end() -> None:
    rng = np.random.default_rng(0)
    walks = [hooked(np.zeros(300), rng) for _ in range(300)]
    bends_deg = np.rad2deg(np.abs([walk[0] for walk in walks]))

    assert 70 < (bends_deg > 0).sum() < 130
    assert bends_deg[bends_deg > 0].min() > 39
    assert np.abs([walk[-1] for walk in walks]).max() < 1e-6


def test_ribbon_along_grows_from_its_start_and_fades_at_its_end() -> None:
    rng = np.random.default_rng(0)
    ribbons = [ribbon_along((0.0, 0.0), np.zeros(300), FILM, rng) for _ in range(60)]
    width, strength = (np.mean([getattr(r, name) for r in ribbons], axis=0) for name in ("width_px", "strength"))

    assert width[0] < 0.8 * width[150]
    assert width[-1] < 0.8 * width[150]
    assert strength[-1] < 0.6 < 0.8 < strength[150]


def test_ribbon_along_blunt_does_not_fade() -> None:
    plain = Film(3.0, 0.3, 100.0, 0.5, 4.0, 0.3, beads=0.0)
    ribbon = ribbon_along((0.0, 0.0), np.zeros(100), plain, np.random.default_rng(0), blunt=True)

    np.testing.assert_array_equal(ribbon.strength, 1)


def test_ribbon_along_short_walk_is_at_most_about_half_as_wide_as_long() -> None:
    wide = Film(3.0, 0.3, 100.0, 0.5, 50.0, 0.3, ragged=0.0)
    ribbon = ribbon_along((0.0, 0.0), np.zeros(20), wide, np.random.default_rng(0), blunt=True)

    # 20 points are 14 px long: a level of 7 px, times 1.2 in the middle of the lens.
    assert ribbon.width_px.max() == pytest.approx(8.4, rel=0.01)


def test_ribbon_along_barbs_add_points_off_the_line() -> None:
    smooth = Film(3.0, 0.3, 100.0, 0.5, 4.0, 0.0, ragged=0.0)
    barbed = Film(3.0, 0.3, 100.0, 0.5, 4.0, 0.0, ragged=0.0, barbs_per_100_px=10.0)
    plain, thorny = (ribbon_along((0.0, 0.0), np.zeros(300), f, np.random.default_rng(1)) for f in (smooth, barbed))

    assert np.abs(plain.rows).max() < 1e-9
    assert len(thorny.rows) > 300
    assert thorny.rows.min() < -1.5
    assert thorny.rows.max() > 1.5


def test_comb_has_teeth_on_one_side_only() -> None:
    ribbon = comb(_straight(300), np.pi / 2, 15.0, np.random.default_rng(0))

    # The bearing of 90 deg points down the rows.
    assert ribbon.rows.max() > 4
    assert ribbon.rows.min() > -1.5


def test_joined_keeps_the_damping_of_the_first() -> None:
    ribbon = joined([_straight(5, width_px=3, damping_db=2), _straight(4, width_px=6, damping_db=7)])

    np.testing.assert_array_equal(ribbon.width_px, [3] * 5 + [6] * 4)
    assert len(ribbon.rows) == len(ribbon.cols) == len(ribbon.strength) == 9
    assert ribbon.damping_db == 2


def test_joined_has_the_centre_line_of_the_first() -> None:
    whole, part = _straight(5), replace(_straight(5), n_line=3)

    assert joined([whole, _straight(9)]).n_line == 5
    assert joined([part, _straight(9)]).n_line == 3
    assert joined([joined([whole, _straight(9)]), part]).n_line == 5


def test_ribbon_along_barbs_are_no_part_of_its_centre_line() -> None:
    smooth = Film(3.0, 0.3, 100.0, 0.5, 4.0, 0.0, ragged=0.0, barbs_per_100_px=10.0)
    thorny = ribbon_along((0.0, 0.0), np.zeros(300), smooth, np.random.default_rng(1))

    # The walk of 300 steps leads along row 0.
    assert thorny.n_line == 300 < len(thorny.rows)
    np.testing.assert_allclose(thorny.cols[:300], POINT_STEP_PX * np.arange(1, 301))
    assert np.abs(thorny.rows[:300]).max() < 1e-9


def test_comb_of_a_barbed_ribbon_keeps_its_centre_line() -> None:
    barbed = joined([_straight(300), _straight(40)])
    ribbon = comb(barbed, np.pi / 2, 15.0, np.random.default_rng(0))

    assert ribbon.n_line == 300
    np.testing.assert_array_equal(ribbon.cols[:300], barbed.cols[:300])
