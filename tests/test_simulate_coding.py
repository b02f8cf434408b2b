"""Coding of simulated intensities against hand-worked levels."""

from __future__ import annotations

import numpy as np

from seep_monai.simulate.coding import coded


def test_coded_amplitude_sits_on_a_step_that_need_not_be_whole() -> None:
    # 100 levels up to an amplitude of 4: amplitudes 1, 2.2, 3.99 are the levels 25, 55, 100 (99.75); a step is 655.35.
    dn = coded(np.array([[1.0, 2.2**2, 3.99**2]], np.float32), full_scale=4.0, n_levels=100)

    np.testing.assert_array_equal(dn, [[16384, 36044, 65535]])
    assert dn.dtype == np.uint16


def test_coded_clips_to_the_highest_number_and_keeps_zero_for_no_data() -> None:
    dn = coded(np.array([[0.0, 1e-9, 25.0, 1e6]], np.float32), full_scale=4.0, n_levels=200)

    # The lowest level is one step, 65535 / 200 = 327.675.
    np.testing.assert_array_equal(dn, [[328, 328, 65535, 65535]])


def test_coded_levels_of_a_step_between_whole_numbers_are_clipped_to_the_top() -> None:
    # 150.4 levels: level 150 is 150 * 435.74 = 65361, level 151 would be 65796.
    dn = coded(np.array([[1.0, 1.01]], np.float32) ** 2, full_scale=1.0, n_levels=150.4)

    np.testing.assert_array_equal(dn, [[65361, 65535]])
