from __future__ import annotations

import numpy as np
import pytest

from seep_monai.instances.ring import ring_ratio, window_around


def brute_force_ratio(dn: np.ndarray, instance: np.ndarray, sea: np.ndarray) -> float:
    """Geometric mean inside over that of the sea 2 to 8 px away, with the distance of every pair of pixels."""
    inside = np.argwhere(instance)
    ring = [
        dn[row, col] for row, col in np.argwhere(sea) if 2 <= np.sqrt(((inside - (row, col)) ** 2).sum(1)).min() <= 8
    ]
    return float(np.exp(np.log(dn[instance]).mean() - np.log(ring).mean())) if len(ring) >= 16 else np.nan


@pytest.mark.parametrize("seed", range(4))
def test_ring_ratio_equals_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dn = rng.uniform(50, 150, (40, 50))
    instance = np.zeros(dn.shape, bool)
    row, col = rng.integers(0, 30, 2)
    instance[row : row + 6, col : col + 3] = True
    sea = ~instance & (rng.random(dn.shape) < 0.7)
    assert ring_ratio(np.log(dn), instance, sea) == pytest.approx(brute_force_ratio(dn, instance, sea), rel=1e-12)


def test_ring_ratio_of_a_flat_sea_is_the_damping() -> None:
    dn = np.full((30, 30), 200.0)
    instance = np.zeros(dn.shape, bool)
    instance[10:14, 10:20] = True
    dn[instance] = 120.0
    assert ring_ratio(np.log(dn) + 5, instance, ~instance) == pytest.approx(0.6)


def test_ring_ratio_with_fewer_than_16_pixels_of_sea_is_undefined() -> None:
    instance = np.zeros((30, 30), bool)
    instance[10:14, 10:20] = True
    sea = np.zeros_like(instance)
    sea[17, :15] = True
    assert np.isnan(ring_ratio(np.zeros((30, 30)), instance, sea))


def test_window_around_stays_in_the_image() -> None:
    instance = np.zeros((20, 30), bool)
    instance[0, 29] = True
    assert window_around(*np.nonzero(instance), instance.shape, margin_px=8) == (slice(0, 9), slice(21, 30))
