"""Intervals of a share and the level of chance, against SciPy and counts of random archives."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import shapely
from pyproj import Geod
from scipy.stats import binomtest

from seep_monai.archive.sites_chance import areas_km2, covered, log_chance, wilson_interval


def test_interval_is_that_of_scipy() -> None:
    n_seen, n_passes = np.array([0, 1, 5, 20, 57]), np.array([7, 1, 20, 20, 600])
    low, high = wilson_interval(n_seen, n_passes)
    expected = [
        binomtest(k, n).proportion_ci(method="wilson") for k, n in zip(n_seen.tolist(), n_passes.tolist(), strict=True)
    ]
    assert low == pytest.approx([interval.low for interval in expected], abs=1e-12)
    assert high == pytest.approx([interval.high for interval in expected], abs=1e-12)


def test_without_a_pass_the_interval_is_everything() -> None:
    assert [end.tolist() for end in wilson_interval(np.array([0]), np.array([0]))] == [[0.0], [1.0]]


def test_chance_of_a_place_is_binomial() -> None:
    # A density at which half of the passes show a slick by chance: three of four do at 5 of 16 places.
    density = math.log(2) / (math.pi * 2**2)
    found = log_chance(np.array([3]), np.array([4]), density=density, radius_km=2.0, n_places=16)
    assert 10 ** found[0] == pytest.approx(5)


def test_chance_of_strong_sites_is_that_of_exact_sums() -> None:
    # Beyond the range of floating numbers: by exact fractions.
    n_seen, n_passes = np.array([200, 550, 600]), np.array([600, 600, 600])
    share = Fraction(1, 500)
    density = -math.log1p(-float(share)) / (math.pi * 4)
    found = log_chance(n_seen, n_passes, density=density, radius_km=2.0, n_places=1)
    for k, log in zip(n_seen.tolist(), found, strict=True):
        tail = sum(math.comb(600, i) * share**i * (1 - share) ** (600 - i) for i in range(k, 601))
        expected = (math.log10(tail.numerator) - math.log10(tail.denominator)) if tail else 0
        assert log == pytest.approx(expected, abs=1e-3)


def test_areas_are_those_of_a_sphere() -> None:
    boxes = np.array([shapely.box(-90, 20, -88, 21), shapely.box(170, 60, 175, 62)], object)
    sphere = Geod(a=6371008.8, f=0)
    # Edges along a parallel: in small steps, as the geodesic between two corners is another line.
    fine = shapely.segmentize(boxes, 0.01)
    expected = [abs(sphere.geometry_area_perimeter(box)[0]) / 1e6 for box in fine]
    assert areas_km2(boxes) == pytest.approx(expected, rel=1e-5)


def test_area_counts_repeated_frames_once() -> None:
    shifted = [shapely.box(k / 1000, 0, 1 + k / 1000, 1) for k in range(20)]
    area = covered(np.array([*shifted, shapely.box(0.5, 0, 1.5, 1)], object))
    assert area.area == pytest.approx(1.5, abs=0.03)
    assert covered(np.zeros(0, object)).is_empty
