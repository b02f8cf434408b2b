from __future__ import annotations

import numpy as np
import pytest

from seep_monai.calibration.dark_areas import core_and_edge, dark_areas, edge_width_px

rows, cols = np.mgrid[:160, :160]
RADIUS = np.hypot(rows - 80, cols - 80)


def disc(ramp_px: float, dark: float = 500.0) -> np.ndarray:
    """A disc of 40 px radius, half-way to the sea of 1000 DN at its outline, that rises over `ramp_px`."""
    rise = np.clip((RADIUS - 40) / ramp_px + 0.5, 0, 1) if ramp_px else (RADIUS > 40).astype(float)
    return np.rint(dark + (1000 - dark) * rise).astype(np.uint16)


@pytest.mark.parametrize("ramp_px", [6, 10, 16])
def test_edge_width_of_a_ramp_is_its_width(ramp_px: int) -> None:
    dn, area = disc(ramp_px), RADIUS <= 40
    assert edge_width_px(dn, area, dn > 0) == pytest.approx(ramp_px, abs=1.2)


def test_edge_width_of_a_step_is_about_a_pixel() -> None:
    dn = disc(0)
    assert edge_width_px(dn, RADIUS <= 40, dn > 0) == pytest.approx(1, abs=0.5)


def test_edge_width_under_speckle_stays() -> None:
    dn = (disc(10) * np.random.default_rng(0).gamma(30, 1 / 30, RADIUS.shape)).astype(np.uint16)
    assert edge_width_px(dn, RADIUS <= 40, dn > 0) == pytest.approx(10, abs=2)


def test_edge_width_of_a_small_area_is_undefined() -> None:
    assert np.isnan(edge_width_px(disc(0), RADIUS <= 5, np.ones(RADIUS.shape, bool)))


def test_edge_width_of_an_area_that_is_not_dark_is_undefined() -> None:
    assert np.isnan(edge_width_px(disc(0, dark=1500), RADIUS <= 40, np.ones(RADIUS.shape, bool)))


@pytest.mark.parametrize(("labelled_share", "expected"), [(0.0, [False]), (1.0, [True]), (0.3, [])])
def test_dark_areas_by_their_label(labelled_share: float, expected: list[bool]) -> None:
    classes = np.where((RADIUS <= 40) & (rows < 40 + 80 * labelled_share), 5, 0).astype(np.uint8)
    found = dark_areas(disc(0), classes)
    assert [area.is_seep for area in found] == expected
    # The 7-px mean of a step falls below .7 at .6 of the way, about a pixel inside the outline.
    assert all(area.area_px == pytest.approx(np.pi * 39**2, rel=0.05) for area in found)


def test_dark_areas_leaves_out_small_and_faint_ones() -> None:
    empty = np.zeros(RADIUS.shape, np.uint8)
    small = np.where(RADIUS <= 20, 500, 1000).astype(np.uint16)
    assert dark_areas(small, empty) == []
    assert dark_areas(disc(0, dark=800), empty) == []
    assert dark_areas(np.zeros(RADIUS.shape, np.uint16), empty) == []


def test_dark_areas_do_not_count_no_data() -> None:
    dn = np.full(RADIUS.shape, 1000, np.uint16)
    dn[:, :60] = 0
    assert dark_areas(dn, np.zeros(RADIUS.shape, np.uint8)) == []


def test_core_and_edge_by_hand() -> None:
    instance = RADIUS <= 30
    dn = np.where(RADIUS <= 28, 400, np.where(instance, 700, 1000)).astype(np.uint16)
    core, edge = core_and_edge(dn, instance, ~instance)
    assert core == pytest.approx(0.4)
    assert edge == pytest.approx(0.7, abs=0.02)
