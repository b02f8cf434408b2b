"""The undisturbed sea of the simulator against published tables and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from seep_monai.simulate import sea

SHAPE = (256, 512)


def _db(sigma0: np.ndarray) -> np.ndarray:
    return 10 * np.log10(sigma0)


@pytest.mark.parametrize(
    ("wind", "expected_db"), [(5, (-17.64, -18.87, -20.56, -18.29)), (10, (-12.21, -14.08, -16.94, -12.98))]
)
def test_cmod5n_at_38_deg_matches_published_values(wind: float, expected_db: tuple[float, ...]) -> None:
    np.testing.assert_allclose(_db(sea.cmod5n(wind, [0, 45, 90, 180], 38)), expected_db, atol=0.006)


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
    np.testing.assert_allclose(_db(sea.cmod5n(wind, 45, [30, 34, 38, 42, 46])), expected_db, atol=0.06)


def test_from_db_ten_decibels_are_a_factor_of_ten() -> None:
    np.testing.assert_allclose(sea.from_db([-10, 0, 10]), [0.1, 1, 10], rtol=1e-6)


@pytest.mark.parametrize("correlation", [0.0, 0.15])
@pytest.mark.parametrize("looks", [1.0, 9.0])
def test_speckle_deviation_is_one_over_root_of_looks(looks: float, correlation: float) -> None:
    grains = sea.speckle((1000, 1000), looks, np.random.default_rng(1), correlation=correlation)

    # A million samples: the mean scatters by .001, the deviation by about .3 %.
    assert grains.dtype == np.float32
    assert grains.mean() == pytest.approx(1, abs=0.006)
    assert grains.std() == pytest.approx(1 / np.sqrt(looks), rel=0.015)


def test_speckle_correlation_holds_across_but_not_down() -> None:
    grains = sea.speckle((1000, 1000), 9.0, np.random.default_rng(2), correlation=0.15)

    assert np.corrcoef(grains[:, 1:].ravel(), grains[:, :-1].ravel())[0, 1] == pytest.approx(0.15, abs=0.01)
    assert np.corrcoef(grains[1:].ravel(), grains[:-1].ravel())[0, 1] == pytest.approx(0, abs=0.01)


def test_texture_has_unit_mean_and_the_sum_of_the_variances() -> None:
    field = sea.texture(
        SHAPE, np.random.default_rng(3), swell=(0.15, 6.0, 30.0), streaks=(0.05, 80.0), patches=(0.1, 6)
    )

    # .15^2 + .05^2 + .1^2 = .035
    assert field.shape == SHAPE
    assert field.mean() == pytest.approx(1, abs=0.02)
    assert field.var() == pytest.approx(0.035, rel=0.15)


def test_texture_of_swell_along_the_columns_peaks_at_its_wave_length() -> None:
    field = sea.texture(SHAPE, np.random.default_rng(4), swell=(0.2, 8.0, 0.0), streaks=(0.01, 0.0), patches=(0.01, 6))
    power = (np.abs(np.fft.rfft(field - field.mean(), axis=1)) ** 2).mean(axis=0)

    # 512 columns / 8 px = 64 waves; the band is a quarter wide.
    assert np.argmax(power) == pytest.approx(64, abs=13)


@pytest.mark.parametrize("sigma", [3.0, 12.0])
def test_smooth_noise_has_unit_deviation(sigma: float) -> None:
    assert sea.smooth_noise((600, 600), sigma, np.random.default_rng(5)).std() == pytest.approx(1, rel=0.1)


def test_upsampled_ramp_stays_a_ramp() -> None:
    fine = sea.upsampled(np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]), (4, 5))

    np.testing.assert_allclose(fine[0], [0, 0.5, 1, 1.5, 2], atol=1e-6)
    np.testing.assert_allclose(fine[:, 0], [0, 1, 2, 3], atol=1e-6)


def test_noise_floor_dips_once_per_sub_swath() -> None:
    floor_db = _db(sea.noise_floor(300, median_db=-27, ripple_db=2))

    # Crests at the borders of three sub-swaths (columns 0, 100, 200), dips half-way.
    np.testing.assert_allclose(floor_db[[0, 50, 100, 150, 200, 250]], [-26, -28, -26, -28, -26, -28], atol=0.01)


def test_wind_field_varies_around_its_median() -> None:
    wind = sea.wind_field((400, 400), np.random.default_rng(6), mean_m_s=6.0, spread=0.1)

    assert np.median(wind) == pytest.approx(6, rel=0.05)
    assert np.log(wind).std() == pytest.approx(0.1, rel=0.25)
