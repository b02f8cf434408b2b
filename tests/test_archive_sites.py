"""Sites of hand-made archives: what each column says, and what does not become a site."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shapely
from small_archives import FIRST, KM_PER_DEG, joined, scenes_of, seeps_of

from seep_monai.archive.sites import Sites, find_sites
from seep_monai.archive.sites_chance import areas_km2, covered, log_chance
from seep_monai.archive.sites_finding import find_places
from seep_monai.archive.sites_input import Seeps
from seep_monai.archive.sites_passes import pass_numbers
from seep_monai.archive.sites_places import SiteSettings, Slicks
from seep_monai.errors import ConfigError

DAY = np.timedelta64(86400, "s")


def sites_of(seeps: Seeps, n_passes: int = 10, **options: Any) -> Sites:
    return find_sites(seeps, scenes_of(n_passes), SiteSettings(**options))


def value(sites: Sites, name: str, i: int = 0) -> Any:
    return sites.columns[name][i]


def test_site_has_the_numbers_of_its_passes_and_slicks() -> None:
    # Passes 1, 4 (two slicks) and 8 of ten.
    seeps = seeps_of(
        [1, 4, 4, 8],
        [0, 0.4, 0.8, -0.6],
        [0, 0, 0, 0],
        area_km2=np.array([1.0, 2.0, 4.0, 9.0]),
        length_km=np.array([1.0, 3.0, 5.0, 8.0]),
        score=np.array([0.2, 0.4, 0.6, 0.8]),
        label=np.array([2, 6, 6, 1]),
        target_km=np.array([np.nan, 0.9, np.nan, 1.1]),
    )
    sites = sites_of(seeps)

    assert len(sites) == 1
    counts = {name: value(sites, name) for name in ("rank", "n_seen", "n_passes", "n_slicks", "class")}
    assert counts == {"rank": 1, "n_seen": 3, "n_passes": 10, "n_slicks": 4, "class": 6}
    assert value(sites, "recurrence") == pytest.approx(0.3)
    # Wilson, by hand: (.3 + .192 +- 1.96 sqrt(.021 + .0096)) / 1.384.
    assert (value(sites, "recurrence_low"), value(sites, "recurrence_high")) == pytest.approx((0.108, 0.603), abs=1e-3)
    assert (value(sites, "area_km2_sum"), value(sites, "area_km2_median")) == (16.0, 3.0)
    assert (value(sites, "length_km_sum"), value(sites, "length_km_median")) == (17.0, 4.0)
    assert value(sites, "score_mean") == pytest.approx(0.5)
    assert value(sites, "target_share") == pytest.approx(1 / 3)
    assert (value(sites, "first_time"), value(sites, "last_time")) == (FIRST + 12 * DAY, FIRST + 96 * DAY)
    # Each pass weighs the same: (0 + .6 - .6) / 3.
    assert (value(sites, "lon"), value(sites, "lat")) == pytest.approx((0, 0), abs=1e-9)


def test_pass_without_data_at_the_site_could_not_see_it() -> None:
    seeps = seeps_of([0, 1, 2], [0, 0.1, 0], [0, 0, 0.1])
    scenes = scenes_of(6)
    # The fourth scene lies beside the site, the fifth has a hole there.
    hole = shapely.box(-0.5, -0.5, 0.5, 0.5) - shapely.box(-0.1, -0.1, 0.1, 0.1)
    areas = [*scenes.footprints[:3], shapely.box(0.2, -0.5, 1, 0.5), hole, scenes.footprints[5]]
    sites = find_sites(seeps, replace(scenes, footprints=np.array(areas, object)), SiteSettings())

    assert (value(sites, "n_seen"), value(sites, "n_passes")) == (3, 4)
    assert sites.views.number.tolist() == [0, 1, 2, 5]
    assert sites.views.seen.tolist() == [True, True, True, False]


def test_two_frames_of_one_pass_count_once() -> None:
    scenes = scenes_of(8)
    # Pairs of frames, a minute apart.
    times = FIRST + np.arange(8) // 2 * 12 * DAY + np.arange(8) % 2 * np.timedelta64(60, "s")
    sites = find_sites(seeps_of([0, 1, 4, 5], [0, 0, 0, 0.1], [0] * 4), replace(scenes, times=times), SiteSettings())

    assert (value(sites, "n_seen"), value(sites, "n_passes"), value(sites, "n_slicks")) == (2, 4, 4)


def test_films_elsewhere_tell_on_which_passes_the_wind_let_them_show() -> None:
    site = seeps_of([0, 1, 2], [0, 0, 0.1], [0] * 3)
    # Other slicks on passes 1, 5 and 6: of these three the site shows one.
    others = seeps_of([1, 5, 6], [20, -30, 10], [9, 40, -20])
    sites = sites_of(joined(site, others))

    assert (value(sites, "n_passes"), value(sites, "n_passes_films")) == (10, 3)
    assert value(sites, "recurrence_films") == pytest.approx(1 / 3)


def test_without_films_elsewhere_the_wind_is_unknown() -> None:
    sites = sites_of(seeps_of([0, 1, 2], [0, 0, 0.1], [0] * 3))
    assert value(sites, "n_passes_films") == 0
    assert np.isnan(value(sites, "recurrence_films"))


def test_targets_that_nobody_looked_for_are_unknown() -> None:
    assert np.isnan(value(sites_of(seeps_of([0, 1, 2], [0, 0, 0.1], [0] * 3)), "target_share"))


def test_origins_stored_at_the_wrong_end_are_set_right_by_the_drift_of_each_pass() -> None:
    rng, n_passes = np.random.default_rng(0), 20
    vents = np.stack(np.meshgrid([-30.0, -10.0, 10.0, 30.0], [-20.0, 0.0, 20.0]), axis=-1).reshape(-1, 2)
    number, vent = np.nonzero(rng.random((n_passes, len(vents))) < 0.4)
    drift = rng.uniform(0, 2 * np.pi, n_passes)[number] + rng.normal(0, 0.4, len(number))
    length = rng.uniform(4, 8, len(number))
    origin = vents[vent] + rng.normal(0, 0.5, (len(vent), 2))
    other = origin + length[:, None] * np.stack([np.cos(drift), np.sin(drift)], axis=1)
    wrong = rng.random(len(number)) < 0.5
    ends = np.stack([np.where(wrong[:, None], other, origin), np.where(wrong[:, None], origin, other)]) / KM_PER_DEG
    scenes = scenes_of(n_passes)
    seeps = seeps_of(number, *origin.T, lon=ends[..., 0], lat=ends[..., 1])
    slicks = Slicks.of(seeps, pass_numbers(scenes))
    found = find_places(slicks, scenes, pass_numbers(scenes), covered(scenes.footprints), SiteSettings())
    assert (found.end == wrong).mean() > 0.97
    sites = find_sites(seeps, scenes, SiteSettings())
    at = np.stack([sites.columns["lon"], sites.columns["lat"]], axis=1) * KM_PER_DEG
    assert len(sites) == int((found.evidence >= 0).sum()) == len(vents)
    assert np.hypot(*(at[:, None] - vents).transpose(2, 0, 1)).min(axis=1).max() < 0.7


def test_site_lies_upstream_of_slicks_that_begin_to_be_seen_behind_it() -> None:
    # 40 slicks begin 1.5 km from their site, in all directions; so they scatter by more than a site of 15 does.
    turn = np.arange(40) * 2.4
    ends = np.stack([[1.5 * np.cos(turn), 1.5 * np.sin(turn)], [7 * np.cos(turn), 7 * np.sin(turn)]]) / KM_PER_DEG
    seeps = seeps_of(range(40), [0] * 40, [0] * 40, lon=ends[:, 0], lat=ends[:, 1])
    scenes = scenes_of(40)
    found = find_places(
        Slicks.of(seeps, pass_numbers(scenes)), scenes, pass_numbers(scenes), covered(scenes.footprints), SiteSettings()
    )
    assert found.offset_km == pytest.approx(1.5 * 40 / 50, abs=0.02)
    sites = find_sites(seeps, scenes, SiteSettings())
    assert value(sites, "n_seen") == 40
    assert max(value(sites, "ellipse_major_km"), abs(value(sites, "lon")) * KM_PER_DEG) < 0.15


def test_pieces_of_slicks_make_no_site() -> None:
    # On each pass the second half of a slick lies 5 km behind the first, always in the same direction.
    number = np.arange(12)
    lon = np.array([[0.0] * 12 + [5.0] * 12, [4.0] * 12 + [9.0] * 12]) / KM_PER_DEG
    seeps = seeps_of([*number, *number], [0] * 24, [0] * 24, lon=lon, lat=np.zeros((2, 24)))
    sites = sites_of(seeps, 20)
    assert len(sites) == 1
    assert value(sites, "lon") * KM_PER_DEG == pytest.approx(0, abs=0.1)


def test_slick_counts_where_its_other_end_keeps_coming_back() -> None:
    # Origins are taken for the wrong end on passes 3 to 5: those scatter, the other ends do not.
    seeps = seeps_of(range(6), [0, 0.2, 0, 9, -8, 7], [0, 0, 0.2, 3, 9, -9])
    lon, lat = seeps.lon.copy(), seeps.lat.copy()
    lon[1, :3], lat[1, :3] = np.array([5, -6, 4]) / KM_PER_DEG, np.array([9, 5, -7]) / KM_PER_DEG
    lon[1, 3:], lat[1, 3:] = 0, 0
    sites = sites_of(replace(seeps, lon=lon, lat=lat))

    assert len(sites) == 1
    assert value(sites, "n_seen") == 6
    assert abs(value(sites, "lon")) * KM_PER_DEG < 0.1


def test_slicks_up_to_two_radii_away_count_for_the_recurrence_nearby_alone() -> None:
    # Passes 0 to 4 at the site, 5 and 6 at 3 km, 4 once more at 3 km, and 7 at 4.2 km; passes 8 and 9 show none.
    seeps = seeps_of([0, 1, 2, 3, 4, 5, 6, 4, 7], [0, 0, 0, 0, 0, 3, 0, -3, 0], [0, 0, 0, 0, 0, 0, 3, 0, -4.2])
    sites = sites_of(seeps)
    assert [value(sites, name) for name in ("n_seen", "n_passes", "n_seen_near")] == [5, 10, 7]
    assert (value(sites, "recurrence"), value(sites, "recurrence_near")) == (0.5, 0.7)
    # Wilson's lower end of 5 of 10 and upper end of 7 of 10.
    assert (value(sites, "recurrence_low"), value(sites, "recurrence_high")) == pytest.approx((0.237, 0.892), abs=1e-3)


def test_strays_that_crowd_around_a_site_count_against_it() -> None:
    # 40 strays, each alone on its pass, 10 to 30 km from a site with 8 of 20 passes.
    number = np.arange(40)
    turn, away = number * 2.4, np.linspace(10, 30, 40)
    seeps = seeps_of(
        [*range(8), *(number % 20)],
        [*[0] * 8, *(away * np.cos(turn))],
        [*[0] * 8, *(away * np.sin(turn))],
    )
    sites = sites_of(seeps, 20)
    area = float(areas_km2(np.array([covered(scenes_of(20).footprints)]))[0])
    [expected] = -log_chance(
        np.array([8]),
        np.array([20]),
        density=40 / (np.pi * 40**2 * 20),
        radius_km=2.0,
        n_places=2 * area / (np.pi * 2**2),
    )
    assert len(sites) == 1
    assert value(sites, "evidence") == pytest.approx(expected)


def test_two_sites_three_km_apart_are_two() -> None:
    rng = np.random.default_rng(0)
    passes = np.concatenate([np.arange(0, 30, 2), np.arange(1, 30, 2)])
    east = np.concatenate([rng.normal(0, 0.5, 15), rng.normal(3, 0.5, 15)])
    sites = sites_of(seeps_of(passes, east, rng.normal(0, 0.5, 30)), 30)

    assert sorted((sites.columns["lon"] * KM_PER_DEG).round(0)) == [0, 3]
    assert sites.columns["n_seen"].tolist() == [15, 15]


def test_side_film_of_a_family_is_no_site_of_its_own() -> None:
    # Each slick has a second film 3.5 km aside, on the same passes.
    passes = np.arange(0, 20, 2)
    sites = sites_of(joined(seeps_of(passes, [0] * 10, [0] * 10), seeps_of(passes[:9], [3.5] * 9, [0] * 9)), 20)

    assert len(sites) == 1
    assert value(sites, "n_seen") == 10
    assert abs(value(sites, "lon")) < 1e-9


def test_random_slicks_make_less_than_a_few_sites() -> None:
    rng = np.random.default_rng(0)
    n = 600
    sites = sites_of(seeps_of(rng.integers(0, 40, n), rng.uniform(-55, 55, n), rng.uniform(-55, 55, n)), 40)
    assert len(sites) <= 4


def test_sites_are_ranked_by_evidence() -> None:
    strong, weak = np.arange(0, 40, 2), np.arange(0, 40, 4)
    seeps = joined(seeps_of(weak, [30] * 10, [30] * 10), seeps_of(strong, [0] * 20, [0] * 20))
    sites = sites_of(seeps, 40)

    assert sites.columns["n_seen"].tolist() == [20, 10]
    assert np.all(np.diff(sites.columns["evidence"]) < 0)


def test_few_passes_or_more_chance_leave_a_site_out() -> None:
    seeps = seeps_of([0, 1, 2, 5, 6], [0, 0, 0.1, 40, -40], [0, 0, 0, 40, -40])
    assert len(sites_of(seeps, 8)) == 1
    assert len(sites_of(seeps, 8, min_passes=4)) == 0
    assert len(sites_of(seeps, 8, most_by_chance=1e-9)) == 0


def test_archive_without_slicks_has_no_site() -> None:
    sites = sites_of(seeps_of([], [], []))
    assert len(sites) == 0
    assert all(len(column) == 0 for column in sites.columns.values())


@pytest.mark.parametrize(
    ("name", "bad"), [("radius_km", 0.0), ("radius_km", float("nan")), ("min_passes", 0), ("most_by_chance", 0.0)]
)
def test_setting_out_of_range_is_an_error(name: str, bad: float) -> None:
    with pytest.raises(ConfigError, match=f"{name}.*--{name}"):
        SiteSettings(**{name: bad})
