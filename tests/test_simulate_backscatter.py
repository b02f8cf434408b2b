"""Backscatter of the simulated sea against published tables and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from seep_monai.simulate import backscatter


def _db(sigma0: np.ndarray) -> np.ndarray:
    return 10 * np.log10(sigma0)


@pytest.mark.parametrize(
    ("wind", "expected_db"), [(5, (-17.64, -18.87, -20.56, -18.29)), (10, (-12.21, -14.08, -16.94, -12.98))]
)
def test_cmod5n_at_38_deg_matches_published_values(wind: float, expected_db: tuple[float, ...]) -> None:
    np.testing.assert_allclose(_db(backscatter.cmod5n(wind, [0, 45, 90, 180], 38)), expected_db, atol=0.006)


@pytest.mark.parametrize(
    ("wind", "expected_db"),
    [
        (2, (-19.0, -22.0, -24.1, -25.7, -27.0)),
        (5, (-13.9, -16.6, -18.9, -20.8, -22.4)),
        (7, (-12.1, -14.6, -16.7, -18.5, -20.0)),
        (10, (-10.0, -12.2, -14.1, -15.7, -16.9)),
        (15, (-7.4, -9.3, -10.9, -12.2, -13.3)),
    ],
)
def test_cmod5n_across_the_swath_matches_published_table(wind: float, expected_db: tuple[float, ...]) -> None:
    np.testing.assert_allclose(_db(backscatter.cmod5n(wind, 45, [30, 34, 38, 42, 46])), expected_db, atol=0.06)


def test_from_db_ten_decibels_are_a_factor_of_ten() -> None:
    np.testing.assert_allclose(backscatter.from_db([-10, 0, 10]), [0.1, 1, 10], rtol=1e-6)


def test_noise_floor_dips_once_per_sub_swath() -> None:
    # The swath reaches from 30.9 to 46.0 deg: crests at the borders of its three thirds, dips half-way.
    incidence = 30.9 + 15.1 * np.arange(7) / 6
    floor_db = _db(backscatter.noise_floor(incidence, median_db=-27, ripple_db=2))

    np.testing.assert_allclose(floor_db, [-26, -28, -26, -28, -26, -28, -26], atol=0.01)


def test_film_visibility_is_full_in_light_wind_and_gone_in_calm_and_storm() -> None:
    visible = backscatter.film_visibility([1, 2, 2.5, 3, 5, 7, 8.5, 10, 15])

    np.testing.assert_allclose(visible, [0, 0, 0.5, 1, 1, 1, 0.5, 0, 0])


def test_damping_for_contrast_gives_that_contrast_over_the_noise_floor() -> None:
    sea, noise = np.array([0.1, 0.02, 0.01]), np.array([0.0, 0.01, 0.003])

    damping_db = backscatter.damping_for_contrast(1.0, sea, noise)

    np.testing.assert_allclose(_db((sea + noise) / (sea * 10 ** (-damping_db / 10) + noise)), 1.0)
    assert damping_db[0] == pytest.approx(1.0)


def test_damping_for_contrast_is_infinite_where_the_noise_floor_hides_the_sea() -> None:
    # Without any return from the sea the pixel keeps 10 / 11 of its intensity: .41 dB darker, less than 1 dB.
    assert np.isinf(backscatter.damping_for_contrast(1.0, np.array(0.01), np.array(0.1)))
