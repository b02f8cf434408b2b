"""Peaks of the density of origins: planted crowds are found apart, wherever they lie on Earth."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod
from scipy.spatial import cKDTree

from seep_monai.archive.sites_peaks import axes_at, density_peaks, directions, lon_lat, pass_weights

GEOD = Geod(a=6371008.8, f=0)


def crowd(lon: float, lat: float, n: int, spread_km: float, seed: int = 0) -> np.ndarray:
    """(n, 3) origins that scatter around a place; on a sphere, by pyproj."""
    rng = np.random.default_rng(seed)
    east, north = rng.normal(0, spread_km, (2, n))
    lons, lats, _ = GEOD.fwd(
        np.full(n, lon), np.full(n, lat), np.degrees(np.arctan2(east, north)), np.hypot(east, north) * 1000
    )
    return directions(np.array(lons), np.array(lats))


def moved(lon: float, lat: float, azimuth_deg: float, km: float) -> tuple[float, float]:
    lon, lat, _ = GEOD.fwd(lon, lat, azimuth_deg, km * 1000)
    return lon, lat


def peaks_of(places: np.ndarray, radius_km: float = 2.0) -> np.ndarray:
    return density_peaks(places, np.ones(len(places)), radius_km)


# Also beside the antimeridian, near a pole, and at the corner of four blocks.
@pytest.mark.parametrize(("lon", "lat"), [(-90.3, 27.4), (179.999, 0.2), (-179.999, 61.0), (12.0, 89.6), (0.0, 0.0)])
@pytest.mark.parametrize("azimuth_deg", [0.0, 60.0, 90.0])
def test_two_sites_three_km_apart_stay_apart(lon: float, lat: float, azimuth_deg: float) -> None:
    other = moved(lon, lat, azimuth_deg, 3.0)
    peaks = peaks_of(np.concatenate([crowd(lon, lat, 40, 0.6, 1), crowd(*other, 40, 0.6, 2)]))

    assert len(peaks) == 2
    distances = cKDTree(peaks).query(directions(*map(np.array, zip((lon, lat), other, strict=True))))[0]
    assert distances.max() < 0.6


def test_chain_of_strays_between_two_sites_does_not_join_them() -> None:
    sites = [crowd(5.0, 40.0, 60, 0.5, 1), crowd(*moved(5.0, 40.0, 90, 6), 60, 0.5, 2)]
    # One stray every 300 m: single linkage at any radius above joins all.
    chain = np.concatenate([crowd(*moved(5.0, 40.0, 90, km), 1, 0.0) for km in np.arange(0, 6, 0.3)])
    peaks = peaks_of(np.concatenate([*sites, chain]))

    assert len(peaks) == 2


def test_strong_site_does_not_swallow_a_weak_one_beside_it() -> None:
    weak = moved(5.0, 40.0, 45, 3.5)
    peaks = peaks_of(np.concatenate([crowd(5.0, 40.0, 40, 0.5, 1), crowd(*weak, 10, 0.4, 2)]))

    assert cKDTree(peaks).query(directions(*map(np.array, ([weak[0]], [weak[1]]))))[0] < 0.8


def test_no_two_peaks_are_closer_than_the_radius() -> None:
    rng = np.random.default_rng(0)
    places = directions(rng.uniform(0, 2, 4000), rng.uniform(0, 2, 4000))
    peaks = peaks_of(places, 2.0)

    assert len(peaks) > 500
    assert cKDTree(peaks).query(peaks, k=2)[0][:, 1].min() > 2.0


def test_peaks_do_not_depend_on_the_order_of_the_origins() -> None:
    rng = np.random.default_rng(1)
    places = directions(rng.uniform(0, 1.5, 800), rng.uniform(0, 1.5, 800))
    assert (peaks_of(places) == peaks_of(places[rng.permutation(800)])).all()


def test_one_origin_is_a_peak_at_its_place() -> None:
    place = crowd(-88.0, 27.0, 1, 0.0)
    assert np.linalg.norm(peaks_of(place) - place) < 0.25 / 2**0.5


def test_family_of_a_pass_weighs_as_one() -> None:
    places = np.concatenate([crowd(1.0, 1.0, 4, 0.1), crowd(1.0, 1.0, 1, 0.0)])
    weights = pass_weights(places, np.array([0, 0, 0, 0, 1]), 2.0)
    assert weights.tolist() == [0.25, 0.25, 0.25, 0.25, 1.0]


def test_places_go_to_degrees_and_back() -> None:
    lon, lat = np.array([-179.9, 0.0, 90.0]), np.array([-89.0, 0.0, 45.0])
    assert np.stack(lon_lat(directions(lon, lat))) == pytest.approx(np.stack([lon, lat]))


def test_axes_point_east_and_north() -> None:
    here, there = directions(np.array([10.0, 10.001]), np.array([50.0, 50.0]))
    (east,), (north,) = axes_at(here[None])
    assert (there - here) @ east == pytest.approx(GEOD.inv(10, 50, 10.001, 50)[2] / 1000, rel=1e-6)
    assert (there - here) @ north == pytest.approx(0, abs=1e-6)
    assert north[2] == pytest.approx(np.cos(np.radians(50)))
