"""Objects on the map: hand-made slicks whose size, direction, contrast and origin are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pyproj import CRS
from rasterio.features import rasterize
from rasterio.transform import Affine

from seep_monai.instances.components import Instances, class_components, find_instances, seep_components
from seep_monai.scene.place import Place
from seep_monai.scene.seep_objects import SeepObject, attributes, centre_line, label_polygons, seep_objects

SHAPE = (60, 90)
# 40 m pixels at the central meridian of UTM 31N, where the scale is .9996.
UTM = Place(CRS.from_epsg(32631), Affine(40.0, 0.0, 500_000.0, 0.0, -40.0, 6_600_000.0))


def tile(*slicks: tuple[int, slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """A class map and a log image in which slicks have half the DN of the sea."""
    classes = np.zeros(SHAPE, np.uint8)
    for label, rows, columns in slicks:
        classes[rows, columns] = label
    return classes, np.where(classes > 0, math.log(0.5), 0.0)


def objects_of(classes: np.ndarray, image: np.ndarray, **options: Any) -> list[SeepObject]:
    probabilities = np.full((8, *SHAPE), 0.02)
    np.put_along_axis(probabilities, classes[None].astype(int), 0.86, axis=0)
    valid = options.get("valid", np.ones(SHAPE, bool))
    return seep_objects(find_instances(probabilities, valid=valid), image, valid=valid, sea=valid)


def test_bar_has_its_geodesic_size_direction_and_contrast() -> None:
    [seep] = objects_of(*tile((3, slice(20, 24), slice(10, 60))))
    found = attributes(seep, UTM)
    scale = 1 / 0.9996
    assert found["area_km2"] == pytest.approx(4 * 50 * 0.04**2 * scale**2, rel=2e-3)
    assert found["length_km"] == pytest.approx(50 * 0.04 * scale, rel=0.08)
    assert found["width_m"] == pytest.approx(4 * 40, rel=0.08)
    assert found["orientation_deg"] == pytest.approx(90, abs=2)
    assert seep.contrast_db == pytest.approx(20 * math.log10(0.5))
    assert (seep.label, seep.touches_edge) == (3, False)
    assert seep.score == pytest.approx(0.86)
    assert seep.class_prob == pytest.approx([0, 0, 1, 0, 0, 0, 0])


def test_place_of_a_bar_is_that_of_its_middle() -> None:
    [seep] = objects_of(*tile((1, slice(0, 2), slice(0, 2))))
    expected = UTM.to_lon_lat(np.array([[1.0, 1.0]]))[0]
    found = attributes(seep, UTM)
    assert (found["lon"], found["lat"]) == pytest.approx(tuple(expected), abs=1e-9)
    assert seep.touches_edge


def test_slick_beside_no_data_touches_the_edge() -> None:
    classes, image = tile((1, slice(20, 24), slice(10, 60)))
    valid = np.ones(SHAPE, bool)
    valid[24:] = False
    assert objects_of(classes, image, valid=valid)[0].touches_edge


def test_origin_is_the_narrower_end() -> None:
    classes, image = tile((1, slice(28, 31), slice(10, 50)), (1, slice(20, 40), slice(50, 80)))
    [seep] = objects_of(classes, image)
    assert seep.centre_line[0][0] < 15
    [turned] = objects_of(classes[:, ::-1], image[:, ::-1])
    assert turned.centre_line[0][0] > SHAPE[1] - 15


def test_origin_is_the_end_at_a_bright_target() -> None:
    classes, image = tile((1, slice(28, 31), slice(10, 50)), (1, slice(20, 40), slice(50, 80)))
    image[29:31, 82:84] = 2.0
    [seep] = objects_of(classes, image)
    assert seep.centre_line[0][0] > 60


def test_distance_of_a_bright_target_is_that_from_the_origin() -> None:
    classes, image = tile((1, slice(28, 31), slice(10, 50)))
    image[29, 3:5] = 2.0
    [seep] = objects_of(classes, image)
    column, row = seep.centre_line[0] - 0.5
    assert seep.target_px == pytest.approx(math.hypot(column - 4, row - 29))
    assert attributes(seep, UTM)["target_km"] == pytest.approx(0.04 / 0.9996 * seep.target_px, rel=1e-3)


def test_bright_target_far_away_is_none() -> None:
    classes, image = tile((1, slice(28, 31), slice(40, 80)))
    image[29, 3:5] = 2.0
    [seep] = objects_of(classes, image)
    assert math.isnan(seep.target_px)
    assert math.isnan(attributes(seep, UTM)["target_km"])


def test_other_end_of_a_bar_is_where_the_line_stops() -> None:
    [seep] = objects_of(*tile((1, slice(20, 24), slice(10, 60))))
    found = attributes(seep, UTM)
    assert (found["end_lon"], found["end_lat"]) == pytest.approx(tuple(UTM.to_lon_lat(seep.centre_line[-1:])[0]))
    assert abs(found["end_lon"] - found["origin_lon"]) * 111.2 * math.cos(math.radians(59.5)) > 1.7


def test_centre_line_of_an_l_goes_through_its_corner() -> None:
    mask = np.zeros((40, 40), bool)
    mask[5:35, 5:8] = mask[32:35, 5:35] = True
    line = centre_line(mask)
    steps = np.hypot(*np.diff(line, axis=0).T)
    assert steps.max() < 1.5
    assert steps.sum() == pytest.approx(27 + 27, abs=8)
    assert np.hypot(*(line[0] - line[-1])) > 30


def test_centre_line_of_one_pixel_is_that_pixel() -> None:
    mask = np.zeros((3, 3), bool)
    mask[1, 2] = True
    assert centre_line(mask).tolist() == [[1, 2]]


def test_polygons_rasterised_again_are_the_labels() -> None:
    rng = np.random.default_rng(0)
    labels = seep_components((rng.random((50, 70)) < 0.4).astype(np.uint8)).labels
    polygons = label_polygons(labels)
    again = rasterize([(polygon, label) for label, polygon in polygons.items()], out_shape=labels.shape, dtype="int32")
    assert (again == labels).all()
    assert sum(polygon.area for polygon in polygons.values()) == np.count_nonzero(labels)


def test_parts_that_touch_at_a_corner_are_one_valid_multipolygon() -> None:
    [polygon] = label_polygons(np.eye(3, dtype=np.int32)).values()
    assert len(polygon.geoms) == 3
    assert polygon.is_valid


def test_an_object_that_may_be_several_classes_has_all_their_probabilities() -> None:
    table = class_components(np.pad(np.full((3, 5), 2, np.uint8), 9))
    classes = np.array([2, 6])
    detections = type(table)(table.labels, classes, np.full(2, 15), np.array([0.3, 0.1]), label_of_row=np.array([1, 1]))
    seeps = type(table)(table.labels, np.array([8]), np.array([15]), np.array([0.4]))
    found = Instances((table.labels > 0).astype(np.uint8) * 2, table, seeps, detections)
    everywhere = np.ones(table.labels.shape, bool)
    [seep] = seep_objects(found, np.zeros(table.labels.shape), valid=everywhere, sea=everywhere)
    assert seep.class_prob == pytest.approx([0, 0.75, 0, 0, 0, 0.25, 0])
    assert seep.score == pytest.approx(0.4)


def test_without_coordinate_system_nothing_is_measured_in_metres() -> None:
    [seep] = objects_of(*tile((1, slice(20, 24), slice(10, 60))))
    assert all(math.isnan(value) for value in attributes(seep, Place()).values())
