"""Size, shape and contrast of slicks, against bars and discs with known measures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from seep_monai.calibration.outlines import dn_ratio, measure_instances, width_px
from seep_monai.instances.components import class_components


def only_instance(dn: npt.NDArray[np.uint16], classes: npt.NDArray[np.uint8]) -> dict[str, float]:
    measures = measure_instances(dn, classes, class_components(classes))
    return {name: values.item() for name, values in measures.items()}


def bar() -> npt.NDArray[np.uint8]:
    classes = np.zeros((100, 100), np.uint8)
    classes[40:45, 20:80] = 1
    return classes


def test_bar_has_area_axes_and_aspect_of_a_rectangle() -> None:
    instance = only_instance(np.full((100, 100), 1000, np.uint16), bar())
    assert instance["area_px"] == 300
    # The centres of n pixels in a row have the variance (n^2 - 1) / 12; an ellipse's axis is four deviations long.
    assert instance["major_axis_px"] == pytest.approx(4 * (3599 / 12) ** 0.5)
    assert instance["aspect"] == pytest.approx((3599 / 24) ** 0.5)
    assert not instance["touches_border"]


def test_single_pixel_is_one_px_long_and_wide() -> None:
    classes = np.zeros((20, 20), np.uint8)
    classes[10, 5] = 2
    instance = only_instance(np.full((20, 20), 1000, np.uint16), classes)
    assert [instance[name] for name in ("area_px", "major_axis_px", "aspect", "width_px")] == [1, 1, 1, 1]


def test_row_of_pixels_counts_with_a_minor_axis_of_one() -> None:
    classes = np.zeros((20, 60), np.uint8)
    classes[10, 5:45] = 2
    instance = only_instance(np.full((20, 60), 1000, np.uint16), classes)
    assert instance["aspect"] == pytest.approx(4 * (1599 / 12) ** 0.5)


@pytest.mark.parametrize("width", [1, 3, 5, 8])
def test_width_of_long_bar_is_its_height(width: int) -> None:
    # The skeleton is shorter than the bar by about its width: 300 / (300 - 8) = 1.03.
    assert width_px(np.ones((width, 300), bool)) == pytest.approx(width, rel=0.04)


def test_width_of_curved_ribbon_is_near_its_width() -> None:
    rows, cols = np.mgrid[:200, :200]
    radius = np.hypot(rows - 100, cols - 100)
    # A ring 5 px wide; a skeleton around a circle has 0.9 pixels per px of length.
    ring = (radius >= 78) & (radius < 83)
    assert width_px(ring) == pytest.approx(5 / 0.9, rel=0.05)


@pytest.mark.parametrize(("row", "col"), [(0, 50), (99, 50), (50, 0), (50, 99)])
def test_instance_at_each_side_touches_the_border(row: int, col: int) -> None:
    classes = np.zeros((100, 100), np.uint8)
    classes[row, col] = 1
    assert only_instance(np.full((100, 100), 1000, np.uint16), classes)["touches_border"]


def test_ratio_is_mean_inside_over_mean_of_the_ring() -> None:
    dn = np.where(bar() > 0, 800, 1000).astype(np.uint16)
    assert only_instance(dn, bar())["dn_ratio"] == pytest.approx(0.8)


def test_ratio_leaves_out_what_is_nearer_than_2_or_further_than_8_px_away() -> None:
    dn = np.full((100, 100), 60000, np.uint16)
    dn[32:53, 20:80] = 1000
    dn[40:45, 20:80] = 700
    dn[39, 20:80] = dn[45, 20:80] = 9
    instance, rows = bar() > 0, np.zeros((100, 100), bool)
    # Row 40 is 8 px from row 32 and 9 px from row 31; the columns keep the ends of the bar out.
    rows[:, 30:70] = True
    assert dn_ratio(dn, instance, ~instance & rows) == pytest.approx(0.7)
    dn[32, 20:80] = 60000
    assert dn_ratio(dn, instance, ~instance & rows) < 0.7


def test_ratio_leaves_out_other_seeps_and_no_data_in_the_ring() -> None:
    classes = bar()
    dn = np.where(classes > 0, 800, 1000).astype(np.uint16)
    classes[48, 20:80] = 5
    dn[48, 20:80] = 100
    dn[35, :] = 0
    components = class_components(classes)
    assert measure_instances(dn, classes, components)["dn_ratio"][0] == pytest.approx(0.8)


def test_ratio_without_sea_around_is_undefined() -> None:
    instance = np.zeros((30, 30), bool)
    instance[10:13, 10:20] = True
    assert np.isnan(dn_ratio(np.full((30, 30), 5, np.uint16), instance, np.zeros((30, 30), bool)))


def test_instances_come_in_the_order_of_the_components() -> None:
    classes = np.zeros((40, 40), np.uint8)
    classes[5, 5:9], classes[20, 3:5] = 7, 1
    measures = measure_instances(np.full((40, 40), 10, np.uint16), classes, class_components(classes))
    assert measures["area_px"].tolist() == [4, 2]
