"""Texture and speckle of the simulated sea against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seep_monai.simulate import sea
from seep_monai.simulate.backscatter import cmod5n
from seep_monai.simulate.drawing import draw_parameters
from seep_monai.simulate.parameters import SceneParameters


@pytest.fixture(scope="module")
def parameters() -> SceneParameters:
    return replace(
        draw_parameters("900001", np.random.default_rng(0)),
        size_px=(1024, 2048),
        background=(0.1, 2.0, 0.0),
        streaks=(0.05, 40.0, 5.0),
        swell=(0.15, 6.0, 30.0, 0.2, 12.0),
        roughness_spread=0.3,
    )


@pytest.mark.parametrize("correlation", [(0.0, 0.0), (0.15, 0.0), (0.15, 0.06)])
@pytest.mark.parametrize("looks", [1.0, 9.0])
def test_speckle_deviation_is_one_over_root_of_looks(looks: float, correlation: tuple[float, float]) -> None:
    grains = sea.speckle((1000, 1000), looks, np.random.default_rng(1), correlation=correlation)

    # A million samples: the mean scatters by .001, the deviation by about .3 %.
    assert grains.dtype == np.float32
    assert grains.shape == (1000, 1000)
    assert grains.mean() == pytest.approx(1, abs=0.006)
    assert grains.std() == pytest.approx(1 / np.sqrt(looks), rel=0.015)


def test_speckle_correlation_holds_across_and_down() -> None:
    grains = sea.speckle((1000, 1000), 9.0, np.random.default_rng(2), correlation=(0.15, 0.06))

    assert np.corrcoef(grains[:, 1:].ravel(), grains[:, :-1].ravel())[0, 1] == pytest.approx(0.15, abs=0.01)
    assert np.corrcoef(grains[1:].ravel(), grains[:-1].ravel())[0, 1] == pytest.approx(0.06, abs=0.01)
    assert np.corrcoef(grains[2:].ravel(), grains[:-2].ravel())[0, 1] == pytest.approx(0, abs=0.01)


def test_texture_has_unit_mean_and_the_sum_of_the_variances(parameters: SceneParameters) -> None:
    smooth = replace(parameters, roughness_spread=0.0)
    fields = [
        sea.draw_sea(smooth, np.random.default_rng(seed)).texture_on((slice(0, 1024), slice(0, 2048)))
        for seed in range(4)
    ]

    # .15^2 + .1^2 + .05^2 = .035
    assert np.mean(fields) == pytest.approx(1, abs=0.01)
    assert np.mean([field.var() for field in fields]) == pytest.approx(0.035, rel=0.1)
    assert np.min(fields) >= 0


def test_texture_is_rougher_in_some_places_than_in_others(parameters: SceneParameters) -> None:
    field = sea.draw_sea(parameters, np.random.default_rng(3)).texture_on((slice(0, 2048), slice(0, 2048)))
    deviations = field.reshape(16, 128, 16, 128).std(axis=(1, 3))

    # The logarithm of the deviation follows a field of 250 px with the deviation .3.
    assert 0.15 < np.log(deviations).std() < 0.45


def test_background_deviation_is_the_integral_of_its_spectrum() -> None:
    frequency = np.linspace(1 / 260, 1 / 6.4, 200_001)
    for exponent in (1.7, 2.0, 2.7):
        density = 0.04 * (20 * frequency) ** -exponent
        variance = np.trapezoid(2 * np.pi * frequency * density, frequency)

        assert sea.background_deviation(0.04, exponent) == pytest.approx(2 * np.sqrt(variance), rel=1e-4)


def test_range_share_runs_along_the_tilted_swath(parameters: SceneParameters) -> None:
    straight = sea.draw_sea(replace(parameters, tilt_deg=0.0), np.random.default_rng(0))
    tilted = sea.draw_sea(replace(parameters, tilt_deg=13.0), np.random.default_rng(0))

    np.testing.assert_allclose(straight.range_share(np.array([0.0, 900.0]), np.array([0.0, 1024.0])), [[0, 0.5]] * 2)
    corners = tilted.range_share(np.array([0.0, 1024.0]), np.array([0.0, 2048.0]))
    assert corners[0, 0] == pytest.approx(0)
    assert corners[1, 1] == pytest.approx(1)
    # A place 100 px further down and 100 tan(13 deg) = 23.09 px to the left lies at the same range.
    moved = tilted.range_share(np.array([600.0]), np.array([500 - 23.087]))
    assert moved == pytest.approx(tilted.range_share(np.array([500.0]), np.array([500.0])), abs=1e-6)


def test_grain_has_unit_mean_and_its_log_deviation() -> None:
    field = sea.grain((1000, 1000), 0.23, np.random.default_rng(8))

    assert field.dtype == np.float32
    assert field.mean() == pytest.approx(1, abs=0.002)
    assert np.log(field).std() == pytest.approx(0.23, rel=0.01)


def test_level_is_cmod5n_of_the_wind_at_that_incidence(parameters: SceneParameters) -> None:
    flat = replace(parameters, wind_spread=0.0, wind_m_s=5.0, phi_deg=45.0, tilt_deg=0.0, incidence_deg=(46.0, 30.0))
    water = sea.draw_sea(flat, np.random.default_rng(0))
    level = water.level_on(np.array([0.0, 500.0]), np.array([0.0, 1024.0]))

    # Half-way across the swath the incidence is 38 deg, where CMOD5.N gives -18.9 dB at 5 m/s and 45 deg.
    np.testing.assert_allclose(10 * np.log10(level[:, 1]), -18.87, atol=0.01)
    np.testing.assert_allclose(level[:, 0], cmod5n(5.0, 45.0, 46.0))


def test_wind_varies_around_its_median(parameters: SceneParameters) -> None:
    p = replace(parameters, wind_m_s=6.0, wind_spread=0.1, wind_skew=0.4)
    grid = np.arange(0.0, 20000.0, 100.0)
    winds = np.stack([sea.draw_sea(p, np.random.default_rng(seed)).wind_on(grid, grid) for seed in range(4)])

    logarithm = np.log(winds / 6)
    assert np.median(winds) == pytest.approx(6, rel=0.03)
    assert logarithm.std() == pytest.approx(0.1, rel=0.1)
    # Calms are deeper than gusts are strong; a log-normal of .4 has a skewness of 1.32.
    assert -1.7 < ((logarithm - logarithm.mean()) ** 3).mean() / logarithm.std() ** 3 < -0.9


def test_wind_at_a_place_is_that_of_the_grid(parameters: SceneParameters) -> None:
    water = sea.draw_sea(parameters, np.random.default_rng(5))

    assert water.wind_at(300, 700) == pytest.approx(water.wind_on(np.array([300.0]), np.array([700.0]))[0, 0], rel=1e-5)


def test_gamma_from_gaussian_matches_the_gamma_distribution() -> None:
    field = np.float32(0.3) * np.random.default_rng(6).standard_normal(200_000, dtype=np.float32)
    texture = sea.gamma_from_gaussian(field, variance=0.09)

    # A unit-mean gamma of variance v has the skewness 2 sqrt(v) = .6.
    centred = texture - texture.mean()
    assert texture.mean() == pytest.approx(1, abs=0.005)
    assert texture.var() == pytest.approx(0.09, rel=0.02)
    assert (centred**3).mean() / texture.std() ** 3 == pytest.approx(0.6, abs=0.05)


def test_upsampled_ramp_stays_a_ramp() -> None:
    fine = sea.upsampled(np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]), (4, 5))

    np.testing.assert_allclose(fine[0], [0, 0.5, 1, 1.5, 2], atol=1e-6)
    np.testing.assert_allclose(fine[:, 0], [0, 1, 2, 3], atol=1e-6)
