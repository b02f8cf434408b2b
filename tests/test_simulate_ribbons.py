"""Ribbons and slicks drawn on windows of a scene: widths, crossings, rims, and windows that agree with one another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seep_monai.errors import SeepError
from seep_monai.rectangles import Window
from seep_monai.simulate.shapes import draw_slick
from seep_monai.simulate.slicks import CORE_SHARE, EDGE_PX, Films, Ribbon, Slick, films_on, rasterised

WINDOW = (slice(0, 40), slice(0, 60))


def _straight(row: float, *, first: float = 0, last: float = 59, width_px: float = 4, damping_db: float = 3) -> Ribbon:
    cols = np.arange(first, last + 0.1, 0.5)
    n = len(cols)
    return Ribbon(np.full(n, row), cols, np.full(n, width_px), np.ones(n), damping_db)


def _slick(ribbon: Ribbon, label: int = 1) -> Slick:
    return Slick(label, (0.0, 0.0), 0.0, (ribbon,))


def _whole(ribbon: Ribbon, window: Window) -> np.ndarray:
    """The rasterised strength set into its window."""
    image = np.zeros([part.stop - part.start for part in window], np.float32)
    part, patch = rasterised(ribbon, window)
    rows, cols = (
        slice(span.start - all_.start, span.stop - all_.start) for span, all_ in zip(part, window, strict=True)
    )
    image[rows, cols] = patch
    return image


def _tiled(slicks: list[Slick], window: Window, tile: tuple[int, int]) -> Films:
    """The films of a window put together from tiles of a size that need not divide it."""
    parts: dict[str, list[np.ndarray]] = {"damping_db": [], "label": [], "rim_db": []}
    for row in range(window[0].start, window[0].stop, tile[0]):
        line: dict[str, list[np.ndarray]] = {name: [] for name in parts}
        for col in range(window[1].start, window[1].stop, tile[1]):
            ends = min(row + tile[0], window[0].stop), min(col + tile[1], window[1].stop)
            films = films_on(slicks, (slice(row, ends[0]), slice(col, ends[1])))
            for name in parts:
                line[name].append(getattr(films, name))
        for name in parts:
            parts[name].append(np.concatenate(line[name], axis=1))
    return Films(**{name: np.concatenate(rows) for name, rows in parts.items()})


def test_rasterised_straight_ribbon_has_its_width_at_half_depth() -> None:
    image = _whole(_straight(20), WINDOW)

    # 4 px wide, soft over 1.5 px: the depth is 1/2 at 2 px, and 0.5 + (2 - 1) / 1.5 > 1 at 1 px.
    np.testing.assert_allclose(image[17:24, 30], [0, 0.5, 1, 1, 1, 0.5, 0], atol=1e-6)


def test_rasterised_ribbon_outside_the_window_is_empty() -> None:
    part, strength = rasterised(_straight(-50), WINDOW)

    assert strength.size == 0
    assert part[0].start == part[0].stop


def test_rasterised_patch_lies_where_its_window_says() -> None:
    part, strength = rasterised(_straight(20, first=10, last=20), (slice(18, 100), slice(-5, 15)))

    # Reach 2 + 1.5 -> 4 px: rows 16..24 and columns 6..24, cut to the window.
    assert part == (slice(18, 25), slice(6, 15))
    assert strength.shape == (7, 9)


@pytest.mark.parametrize("seed", range(4))
def test_rasterised_equals_the_largest_disc_at_every_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 12
    rows, cols = rng.uniform(-5, 35, n), rng.uniform(-5, 45, n)
    ribbon = Ribbon(rows, cols, rng.uniform(1, 25, n), rng.uniform(0, 1, n), 3.0)

    expected = np.zeros((30, 40))
    for k in range(n):
        for row in range(30):
            for col in range(40):
                distance = np.hypot(row - rows[k], col - cols[k])
                depth = min(1.0, max(0.0, 0.5 + (ribbon.width_px[k] / 2 - distance) / EDGE_PX))
                expected[row, col] = max(expected[row, col], depth * ribbon.strength[k])
    np.testing.assert_allclose(_whole(ribbon, (slice(0, 30), slice(0, 40))), expected, atol=1e-5)


@pytest.mark.parametrize("label", range(1, 8))
@pytest.mark.parametrize("tile", [(64, 64), (37, 101)])
def test_films_of_tiles_equal_those_of_one_window_pixel_for_pixel(label: int, tile: tuple[int, int]) -> None:
    rng = np.random.default_rng(label)
    slicks = [draw_slick(label, (float(x), float(y)), 0.5, rng) for x, y in rng.uniform(-60, 200, (3, 2))]
    slicks = [replace(s, ribbons=tuple(replace(r, rim_db=1.5, wind_rad=0.8) for r in s.ribbons)) for s in slicks]
    window = slice(-100, 230), slice(-90, 240)
    whole, tiled = films_on(slicks, window), _tiled(slicks, window, tile)

    assert whole.label.any()
    assert whole.rim_db.any()
    np.testing.assert_array_equal(tiled.damping_db, whole.damping_db)
    np.testing.assert_array_equal(tiled.label, whole.label)
    np.testing.assert_array_equal(tiled.rim_db, whole.rim_db)


def test_films_far_from_the_origin_look_as_near_to_it() -> None:
    near, far = _straight(20.3, first=10, last=40), _straight(60020.3, first=80010, last=80040)
    films = [
        films_on([_slick(near)], WINDOW),
        films_on([_slick(far)], (slice(60000, 60040), slice(80000, 80060))),
    ]

    np.testing.assert_allclose(films[0].damping_db, films[1].damping_db, atol=1e-4)


def test_films_label_is_exactly_where_damping_is_applied() -> None:
    rng = np.random.default_rng(3)
    slicks = [draw_slick(k, (100.0, 100.0), 0.3 * k, rng) for k in range(1, 8)]
    films = films_on(slicks, (slice(0, 200), slice(0, 200)))

    np.testing.assert_array_equal(films.label > 0, films.damping_db > 0)


def test_films_core_is_damped_and_its_faint_fringe_is_not() -> None:
    films = films_on([_slick(_straight(20, damping_db=5), 2)], WINDOW)

    # Depth by row as above: 0.5 at 2 px is applied, and nothing further out.
    np.testing.assert_allclose(films.damping_db[17:24, 30], [0, 2.5, 5, 5, 5, 2.5, 0], atol=1e-5)
    np.testing.assert_array_equal(films.label[17:24, 30], [0, 2, 2, 2, 2, 2, 0])


def test_films_below_the_core_share_leave_the_sea_alone() -> None:
    ribbon = _straight(20)
    films = films_on([_slick(replace(ribbon, strength=(CORE_SHARE - 0.01) * ribbon.strength))], WINDOW)

    assert not films.damping_db.any()
    assert not films.label.any()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_films_that_cross_keep_the_stronger_in_any_order(order: tuple[int, int]) -> None:
    slicks = [_slick(_straight(20, damping_db=3), 1), _slick(_straight(22, damping_db=6), 6)]
    films = films_on([slicks[k] for k in order], WINDOW)

    # Row 20 is 2 px from the stronger film's line: half of 6 dB ties with 3 dB, so the rows beside it are looked at.
    assert films.label[22, 30] == films.label[21, 30] == 6
    assert films.label[19, 30] == films.label[18, 30] == 1
    assert films.damping_db[22, 30] == pytest.approx(6)
    assert films.damping_db[19, 30] == pytest.approx(3)


@pytest.mark.parametrize(("wind_deg", "side"), [(90, -1), (-90, 1)])
def test_films_rim_lies_on_the_side_the_wind_comes_from(wind_deg: float, side: int) -> None:
    ribbon = replace(_straight(20), rim_db=1.6, wind_rad=np.deg2rad(wind_deg))
    films = films_on([_slick(ribbon)], WINDOW)

    # The label covers rows 18 to 22; the wind of 90 deg blows towards higher rows, so the rim lies on rows 17 and 16.
    edge = 20 + 3 * side
    np.testing.assert_allclose(films.rim_db[[edge, edge + side, edge + 2 * side], 30], [1.6, 0.8, 0], atol=1e-6)
    assert not films.rim_db[20 - 3 * side, 30]
    assert not films.rim_db[films.label > 0].any()


def test_films_rim_ends_where_another_film_begins() -> None:
    rimmed = replace(_straight(20), rim_db=2.0, wind_rad=np.pi / 2)
    films = films_on([_slick(rimmed), _slick(_straight(15), 3)], WINDOW)

    # The neighbour covers rows 13 to 17, the rim would lie on rows 16 and 17.
    assert not films.rim_db[:, 30].any()


def test_films_without_slicks_are_empty() -> None:
    films = films_on([], (slice(-7, 5), slice(3, 10)))

    assert films.damping_db.shape == films.label.shape == films.rim_db.shape == (12, 7)
    assert (films.damping_db.dtype, films.label.dtype, films.rim_db.dtype) == (np.float32, np.uint8, np.float32)
    assert not films.label.any()


def test_ribbon_bounds_hold_every_disc() -> None:
    ribbon = Ribbon(np.array([2.2, 9.0]), np.array([-3.0, 4.5]), np.array([2.0, 5.0]), np.ones(2), 3.0)

    # Reach ceil(2.5 + 1.5) = 4 around rows 2..9 and columns -3..5; ends are one past the last pixel.
    assert ribbon.bounds == (-2, 14, -7, 10)


def test_slick_bounds_hold_its_ribbons_and_their_rims() -> None:
    slick = Slick(1, (0.0, 0.0), 0.0, (_straight(20, first=0, last=10), _straight(50, first=5, last=30)))

    # Reach 4, rim 2: rows 14..56, columns -6..36.
    assert slick.bounds == (14, 57, -6, 37)


@pytest.mark.parametrize("n_line", [0, 22, -1])
def test_ribbon_centre_line_of_other_points_than_it_has_raises(n_line: int) -> None:
    # Columns 0 to 10 by halves: 21 points.
    with pytest.raises(SeepError, match=f"n_line: expected 1..21 of the ribbon's points, but got {n_line}"):
        replace(_straight(20, last=10), n_line=n_line)


def test_slick_scaled_keeps_the_centre_lines() -> None:
    slick = _slick(replace(_straight(20), n_line=7))

    assert slick.scaled(2.0).ribbons[0].n_line == 7
