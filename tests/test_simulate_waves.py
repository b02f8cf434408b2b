"""Random fields of the simulator against closed forms of their variance, correlation and spectrum."""

from __future__ import annotations

import numpy as np
import pytest

from seep_monai.simulate import waves

ROWS, COLS = np.arange(256.0), np.arange(512.0)


def _ensemble(make: object, n_fields: int = 40) -> np.ndarray:
    """Independent fields of one kind, (n_fields, 256, 512)."""
    return np.stack([make(np.random.default_rng(seed)).on(ROWS, COLS) for seed in range(n_fields)])  # type: ignore[operator]


def test_field_is_the_written_sum_of_cosines() -> None:
    field = waves.RandomWaves(np.array([0.1, 0.0]), np.array([0.2, 0.3]), np.array([0.5, 1.0]), np.array([2.0, 1.0]))

    # Row 3, column 7: 2 cos(.3 + 1.4 + .5) + cos(2.1 + 1).
    expected = 2 * np.cos(2.2) + np.cos(3.1)
    assert field.on(np.array([3.0]), np.array([7.0]))[0, 0] == pytest.approx(expected, abs=1e-6)
    assert field.at(3, 7) == pytest.approx(expected)
    # (2^2 + 1^2) / 2
    assert field.variance == 2.5


def test_field_at_many_places_is_that_at_each() -> None:
    field = waves.smooth(20.0, np.random.default_rng(2))

    np.testing.assert_allclose(field.at([3.0, 50.0], [7.0, 1.0]), [field.at(3, 7), field.at(50, 1)])


def test_field_far_away_keeps_its_precision() -> None:
    field = waves.smooth(5.0, np.random.default_rng(0))

    assert field.on(np.array([1e6]), np.array([3e6]))[0, 0] == pytest.approx(field.at(1e6, 3e6), abs=1e-5)


def test_field_is_the_same_in_every_window() -> None:
    field = waves.smooth(8.0, np.random.default_rng(1))

    np.testing.assert_allclose(
        field.on(ROWS, COLS)[100:130, 300:340], field.on(ROWS[100:130], COLS[300:340]), atol=1e-5
    )


def test_smooth_field_has_unit_variance_and_gaussian_correlation() -> None:
    fields = _ensemble(lambda rng: waves.smooth(6.0, rng))
    variance = (fields**2).mean()
    correlation = (fields[:, :, 6:] * fields[:, :, :-6]).mean() / variance

    assert variance == pytest.approx(1, rel=0.05)
    # exp(-1/2) at a distance of one correlation length.
    assert correlation == pytest.approx(np.exp(-0.5), abs=0.03)


@pytest.mark.parametrize("direction", [0.0, 90.0])
def test_swell_peaks_at_its_wave_length_along_its_direction(direction: float) -> None:
    fields = _ensemble(lambda rng: waves.swell(8.0, direction, rng, spread=(0.03, 10.0)), n_fields=8)
    axis = 2 if direction == 0 else 1
    power = (np.abs(np.fft.rfft(fields, axis=axis)) ** 2).mean(axis=(0, 3 - axis))

    # 512 columns or 256 rows of 8 px waves.
    n_waves = fields.shape[axis] / 8
    assert np.argmax(power) == pytest.approx(n_waves, rel=0.25)


def test_swell_has_most_waves_shorter_than_its_peak() -> None:
    field = waves.swell(8.0, 0.0, np.random.default_rng(0), spread=(0.1, 10.0), n_waves=20_000)
    relative = np.hypot(field.row_numbers, field.col_numbers) / (2 * np.pi / 8) - 1

    # A split normal distribution of widths .42 and .04: .42 / .46 of it lies above the peak, two thirds of that below
    # one width and 95 % below two.
    assert (relative > 0).mean() == pytest.approx(0.42 / 0.46, abs=0.01)
    assert (relative[relative > 0] < 0.42).mean() == pytest.approx(0.6827, abs=0.01)
    assert (relative[relative < 0] > -0.08).mean() == pytest.approx(0.9545, abs=0.02)


def test_streaks_are_longer_along_their_direction() -> None:
    fields = _ensemble(lambda rng: waves.streaks(40.0, 5.0, 0.0, rng))
    along = (fields[:, :, 10:] * fields[:, :, :-10]).mean()
    across = (fields[:, 10:] * fields[:, :-10]).mean()

    # exp(-10^2 / (2 * 40^2)) = .97 and exp(-10^2 / (2 * 5^2)) = .14
    assert along == pytest.approx(0.97, abs=0.06)
    assert across == pytest.approx(0.14, abs=0.06)


def test_total_is_the_sum_of_the_fields() -> None:
    first, second = (waves.smooth(10.0, np.random.default_rng(seed)) for seed in (1, 2))
    both = waves.total([first.scaled(0.5), second])

    np.testing.assert_allclose(
        both.on(ROWS[:9], COLS[:9]), 0.5 * first.on(ROWS[:9], COLS[:9]) + second.on(ROWS[:9], COLS[:9]), atol=1e-5
    )
    assert both.variance == pytest.approx(1.25)


def test_power_law_has_unit_variance_and_its_slope() -> None:
    fields = _ensemble(lambda rng: waves.power_law((7.0, 260.0), 2.0, 30.0, rng), n_fields=60)
    spectrum = np.abs(np.fft.fft2(fields[:, :256, :256] * np.outer(np.hanning(256), np.hanning(256)))) ** 2
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256))
    near, far = (spectrum[:, (frequency > f) & (frequency < 1.5 * f)].mean() for f in (0.02, 0.08))

    assert (fields**2).mean() == pytest.approx(1, rel=0.1)
    # Four times the frequency: the density falls by 4 ** 2.
    assert np.log2(near / far) == pytest.approx(4, abs=0.6)
