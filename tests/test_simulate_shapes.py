"""Recipes of the seven classes: what they draw, that they repeat themselves, and how large the films come out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from seep_monai.simulate.shapes import RECIPES, TARGET_LABEL, draw_slick
from seep_monai.simulate.slicks import CORE_SHARE, EDGE_PX, Slick, films_on, rasterised
from seep_monai.simulate.walks import MAX_WIDTH_PX, MIN_WIDTH_PX

LABELS = sorted(RECIPES)


def _sizes_px(label: int, n_slicks: int) -> np.ndarray:
    """Areas of the connected pieces of a number of slicks, each drawn alone and whole."""
    rng, sizes = np.random.default_rng(label), []
    for _ in range(n_slicks):
        slick = draw_slick(label, (0.0, 0.0), float(rng.uniform(0, 6)), rng)
        first_row, end_row, first_col, end_col = slick.bounds
        mask = films_on([slick], (slice(first_row, end_row), slice(first_col, end_col))).label > 0
        sizes.append(np.bincount(ndimage.label(mask, np.ones((3, 3)))[0].ravel())[1:])
    return np.concatenate(sizes)


def _points(slick: Slick) -> np.ndarray:
    """(n, 2) points of all ribbons."""
    return np.concatenate([np.stack([ribbon.rows, ribbon.cols], axis=1) for ribbon in slick.ribbons])


@pytest.mark.parametrize("label", LABELS)
def test_recipe_of_each_class_gives_drawable_ribbons(label: int) -> None:
    rng = np.random.default_rng(label)
    for _ in range(30):
        for ribbon in RECIPES[label]((100.0, 100.0), rng.uniform(0, 6), rng):
            assert len(ribbon.rows) == len(ribbon.cols) == len(ribbon.width_px) == len(ribbon.strength) >= 2
            assert np.isfinite(ribbon.rows).all()
            assert np.isfinite(ribbon.cols).all()
            assert ribbon.strength.min() >= 0
            assert ribbon.strength.max() <= 1
            assert ribbon.width_px.min() >= MIN_WIDTH_PX == 2.2
            assert ribbon.width_px.max() <= MAX_WIDTH_PX == 24
            assert ribbon.damping_db > 0
            assert ribbon.rim_db == 0 or 1 <= ribbon.rim_db <= 2


@pytest.mark.parametrize("label", LABELS)
def test_draw_slick_with_the_same_seed_is_the_same_bit_for_bit(label: int) -> None:
    first, second = (draw_slick(label, (10.0, 20.0), 1.0, np.random.default_rng(5)) for _ in range(2))

    assert len(first.ribbons) == len(second.ribbons)
    for a, b in zip(first.ribbons, second.ribbons, strict=True):
        for name in ("rows", "cols", "width_px", "strength"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert (a.damping_db, a.rim_db, a.wind_rad) == (b.damping_db, b.rim_db, b.wind_rad)


@pytest.mark.parametrize("label", LABELS)
def test_draw_slick_elsewhere_is_the_same_slick_moved(label: int) -> None:
    here, there = (draw_slick(label, origin, 1.0, np.random.default_rng(7)) for origin in ((0.0, 0.0), (300.0, -40.0)))

    np.testing.assert_allclose(_points(there), _points(here) + np.array([300, -40]), atol=1e-8)


@pytest.mark.parametrize("label", LABELS)
def test_draw_slick_has_a_target_in_class_4_alone(label: int) -> None:
    slick = draw_slick(label, (3.0, 4.0), 0.5, np.random.default_rng(0))

    assert slick.label == label
    assert slick.origin == (3.0, 4.0)
    assert slick.target == (label == TARGET_LABEL == 4)


def test_recipe_of_class_1_draws_families_of_one_to_six_and_strays() -> None:
    rng = np.random.default_rng(0)
    sizes = {len(RECIPES[1]((0.0, 0.0), 0.0, rng)) for _ in range(120)}

    assert sizes >= {1, 2, 3, 4, 5, 6}


def test_recipe_of_class_1_lets_neighbours_run_side_by_side() -> None:
    rng = np.random.default_rng(1)
    bearings = []
    while len(bearings) < 40:
        ribbons = RECIPES[1]((0.0, 0.0), 0.0, rng)[:2]
        ends = [complex(r.cols[200] - r.cols[100], r.rows[200] - r.rows[100]) for r in ribbons if len(r.rows) > 250]
        if len(ends) == 2:
            bearings.append(np.angle(ends[0] / ends[1]))

    assert np.median(np.abs(bearings)) < np.deg2rad(15)


def test_recipe_of_class_6_branches_in_some_slicks_only() -> None:
    rng = np.random.default_rng(2)
    sizes = [len(RECIPES[6]((0.0, 0.0), 0.0, rng)) for _ in range(100)]

    assert 1 in sizes
    assert max(sizes) >= 4


def test_recipe_rims_are_on_some_thick_films_of_classes_1_4_and_5() -> None:
    rng = np.random.default_rng(4)
    ribbons = {k: [r for _ in range(60) for r in RECIPES[k]((0.0, 0.0), 0.0, rng)] for k in LABELS}

    rimmed = {k for k in LABELS if any(r.rim_db > 0 for r in ribbons[k])}
    assert rimmed == {1, 4, 5}
    assert all(np.median(r.width_px) >= 4 for k in rimmed for r in ribbons[k] if r.rim_db > 0)
    assert any(r.rim_db == 0 and np.median(r.width_px) >= 4 for r in ribbons[1])


def test_class_5_holds_crumbs_and_large_pools() -> None:
    sizes = _sizes_px(5, 60)

    assert np.percentile(sizes, 25) < 60
    assert sizes.max() > 3000


@pytest.mark.parametrize(("label", "low", "high"), [(1, 200, 1500), (6, 30, 300), (7, 15, 60)])
def test_class_has_pieces_of_about_the_size_of_the_reference(label: int, low: float, high: float) -> None:
    """Whole slicks, before tiles cut them: class 1 is longer than a tile, spots of class 7 measure some 35 px."""
    assert low < np.median(_sizes_px(label, 25)) < high


def test_pools_are_solid_and_dark() -> None:
    pools = []
    for seed in range(150):
        slick = draw_slick(5, (300.0, 300.0), 0.0, np.random.default_rng(seed))
        _, strength = rasterised(slick.ribbons[0], (slice(0, 600), slice(0, 600)))
        labels, n = ndimage.label(strength >= CORE_SHARE)
        largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]) if n else labels > 0
        if np.count_nonzero(largest) > 3000:
            pools.append((slick.ribbons[0].damping_db, largest.sum() / ndimage.binary_fill_holes(largest).sum()))
    damping_db, solid = np.array(pools).T

    assert len(pools) >= 8
    assert np.median(solid) > 0.9
    # Ribbons of class 5 damp by 4.3 dB in the median.
    assert np.median(damping_db) > 4.6
    assert damping_db.max() <= 9


@pytest.mark.parametrize("pool_share", [0.0, 0.5, 1.0])
def test_pool_share_is_the_share_of_pools_in_class_5(pool_share: float) -> None:
    slicks = [draw_slick(5, (0.0, 0.0), 0.0, np.random.default_rng(seed), pool_share=pool_share) for seed in range(200)]
    # Pools alone have edges other than 1.5 px.
    n_pools = sum(slick.ribbons[0].edge_px != EDGE_PX for slick in slicks)

    assert n_pools / 200 == pytest.approx(pool_share, abs=0.1)
