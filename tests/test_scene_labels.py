"""Masks from polygons: the way back from `write_seeps`, and GDAL on the map grid as the independent truth."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import CRS
from rasterio.features import rasterize
from rasterio.transform import Affine
from scene_places import UTM, random_mask, seeps_of, sentinel_1, write_polygons

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.errors import DataError
from seep_monai.scene.labels import LabelMask, read_labels
from seep_monai.scene.place import Place, scaled
from seep_monai.scene.vector_files import write_seeps

SHAPE = (240, 330)
WHOLE = (slice(0, SHAPE[0]), slice(0, SHAPE[1]))
SQUARE = shapely.box(500_080, 2_999_800, 500_200, 2_999_920)
PLACES = {
    "affine": UTM,
    "turned": Place(CRS.from_epsg(32616), Affine(8.0, 6.0, 500_000.0, 6.0, -8.0, 3_000_000.0)),
    "control points": sentinel_1(SHAPE, (-90.0, 27.0), pixel_m=40.0),
    "none": Place(),
}


def drawn(path: Path, place: Place, shape: tuple[int, int] = SHAPE, **options: str) -> np.ndarray:
    return LabelMask(read_labels(path, **options), place, shape).read(slice(0, shape[0]), slice(0, shape[1]))


def written(folder: Path, mask: np.ndarray, place: Place) -> list[Path]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return write_seeps(folder / "a", seeps_of(mask), place, DEFAULT_CLASS_NAMES, scene="s", model_sha256="ab")


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_mask_of_written_seeps_is_the_mask(tmp_path: Path, place: Place) -> None:
    mask = random_mask(SHAPE)
    paths = written(tmp_path, mask, place)
    assert len(paths) == (1 if place.crs is None else 2)
    for path in paths:
        np.testing.assert_array_equal(drawn(path, place), mask, err_msg=path.name)


def test_long_edges_along_the_pixels_of_a_large_scene_are_exact(tmp_path: Path) -> None:
    # A straight line of 25,000 px is bent by many pixels in degrees.
    place, shape = sentinel_1(), (16_700, 25_000)
    corners = shapely.box(10, 8000, 24_990, 8003)
    in_degrees = shapely.transform(corners, place.to_map)
    path = write_polygons(tmp_path / "a.geojson", [in_degrees], **{"class": [3]})
    found = LabelMask(read_labels(path), place, shape).read(slice(7990, 8010), slice(0, 25_000))
    expected = np.zeros((20, 25_000), np.uint8)
    expected[10:13, 10:24_990] = 3
    np.testing.assert_array_equal(found, expected)


def test_rounding_noise_of_degrees_does_not_matter(tmp_path: Path) -> None:
    place, mask = PLACES["control points"], random_mask(SHAPE, seed=3)
    path = written(tmp_path, mask, place)[0]
    _, _, geometry, [classes] = pyogrio.raw.read(path, layer="seeps", columns=["class"])
    noisy = shapely.transform(shapely.from_wkb(geometry), lambda xy: xy + 1e-9 * np.sin(1e7 * xy[:, ::-1]))
    found = drawn(write_polygons(tmp_path / "b.gpkg", list(noisy), **{"class": classes.tolist()}), place)
    np.testing.assert_array_equal(found, mask)


def test_window_is_that_part_of_the_whole(tmp_path: Path) -> None:
    place, mask = PLACES["control points"], random_mask(SHAPE)
    labels = LabelMask(read_labels(written(tmp_path, mask, place)[0]), place, SHAPE)
    for rows, columns in (
        (slice(0, 64), slice(50, 300)),
        (slice(100, 163), slice(97, 98)),
        (slice(230, 240), WHOLE[1]),
    ):
        found = labels.read(rows, columns)
        np.testing.assert_array_equal(found, mask[rows, columns])
        assert found.dtype == np.uint8


def test_any_polygons_on_a_map_grid_are_what_gdal_draws_the_later_on_top(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    shapes = [
        shapely.Point(500_000 + x, 3_000_000 - y).buffer(radius)
        for x, y, radius in zip(*(rng.uniform(0, size, 60) for size in (13_200, 9600, 1500)), strict=True)
    ]
    classes = rng.integers(1, 8, 60).tolist()
    found = drawn(write_polygons(tmp_path / "a.gpkg", shapes, "EPSG:32616", **{"class": classes}), UTM)
    pairs = list(zip(shapes, classes, strict=True))
    expected = rasterize(pairs, out_shape=SHAPE, transform=UTM.affine, dtype="uint8")
    reversed_order = rasterize(pairs[::-1], out_shape=SHAPE, transform=UTM.affine, dtype="uint8")
    np.testing.assert_array_equal(found, expected)
    assert (expected != reversed_order).mean() > 0.1


def test_polygon_that_reaches_far_beyond_the_raster_keeps_its_edge_inside(tmp_path: Path) -> None:
    far = shapely.box(400_000, 2_000_000, 500_400, 2_999_960)
    found = drawn(write_polygons(tmp_path / "a.gpkg", [far], "EPSG:32616", **{"class": [4]}), UTM)
    expected = np.zeros(SHAPE, np.uint8)
    expected[1:, :10] = 4
    np.testing.assert_array_equal(found, expected)


def test_polygons_of_another_place_are_not_drawn(tmp_path: Path) -> None:
    place = PLACES["control points"]
    path = write_polygons(tmp_path / "a.gpkg", [shapely.box(5, 5, 6, 6)], **{"class": [4]})
    labels = LabelMask(read_labels(path), place, SHAPE)
    assert labels.n_polygons == 0
    assert not labels.read(*WHOLE).any()


def test_number_of_polygons_counts_features_that_reach_into_the_raster(tmp_path: Path) -> None:
    parts = shapely.MultiPolygon([SQUARE, shapely.box(500_400, 2_999_800, 500_440, 2_999_840)])
    shapes = [parts, shapely.box(0, 0, 1, 1), SQUARE]
    path = write_polygons(tmp_path / "a.gpkg", shapes, "EPSG:32616", **{"class": [1, 2, 3]})
    assert LabelMask(read_labels(path), UTM, SHAPE).n_polygons == 2


def test_joined_pixels_belong_to_a_polygon_by_their_own_centre(tmp_path: Path) -> None:
    # In pixels of 80 m it reaches from 1.125 to 2.625.
    square = shapely.box(500_090, 2_999_790, 500_210, 2_999_910)
    path = write_polygons(tmp_path / "a.gpkg", [square], "EPSG:32616", **{"class": [6]})
    expected = np.zeros((5, 5), np.uint8)
    expected[1:3, 1:3] = 6
    np.testing.assert_array_equal(drawn(path, scaled(UTM, 2), (5, 5)), expected)


@pytest.mark.parametrize("values", [[3, 1], ["3", "1"], [3.0, 1.0]])
def test_classes_are_whole_numbers_of_any_type(tmp_path: Path, values: list) -> None:
    path = write_polygons(tmp_path / "a.gpkg", [SQUARE, None], "EPSG:32616", kind=values)
    assert read_labels(path, class_field="kind").classes.tolist() == [3]


@pytest.mark.parametrize("values", [[3, 8], [0, 1], [2.5, 1.0], ["pool", "1"], ["", "1"]])
def test_other_classes_raise(tmp_path: Path, values: list) -> None:
    path = write_polygons(tmp_path / "a.gpkg", [SQUARE, SQUARE], "EPSG:32616", **{"class": values})
    with pytest.raises(DataError, match=r"a\.gpkg: expected whole numbers 1\.\.7 .* feature [12]: .*--class_field"):
        read_labels(path)


def test_feature_without_a_class_raises(tmp_path: Path) -> None:
    polygon = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    features = [{"type": "Feature", "properties": {"class": value}, "geometry": polygon} for value in (3, None)]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    with pytest.raises(DataError, match=r"feature 2: nan"):
        read_labels(tmp_path / "a.geojson")


def test_missing_field_names_the_nearest(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "a.gpkg", [SQUARE], "EPSG:32616", klass=[1], other=[2])
    with pytest.raises(DataError, match=r"the fields are klass, other\. Did you mean klass\?.*--class_field"):
        read_labels(path)


def test_empty_files_raise(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(DataError, match="its layer 'a' is empty"):
        read_labels(tmp_path / "a.geojson")
    path = write_polygons(tmp_path / "b.gpkg", [None], "EPSG:32616", **{"class": [1]})
    with pytest.raises(DataError, match="no feature of layer 'b' has a geometry"):
        read_labels(path)


def test_lines_among_polygons_raise(tmp_path: Path) -> None:
    shapes = [SQUARE, shapely.LineString([(0, 0), (1, 1)])]
    path = write_polygons(tmp_path / "a.gpkg", shapes, "EPSG:32616", **{"class": [1, 1]})
    with pytest.raises(DataError, match="feature 2: LineString"):
        read_labels(path)


def test_one_of_several_layers_is_chosen(tmp_path: Path) -> None:
    for name, label in (("one", 1), ("two", 2)):
        pyogrio.raw.write(
            tmp_path / "a.gpkg",
            geometry=np.array([shapely.to_wkb(SQUARE)], object),
            field_data=[np.array([label])],
            fields=["class"],
            layer=name,
            geometry_type="Polygon",
            crs="EPSG:32616",
        )
    assert read_labels(tmp_path / "a.gpkg", layer="two").classes.tolist() == [2]
    with pytest.raises(DataError, match=r"expected one layer with geometries, but got 2: one, two"):
        read_labels(tmp_path / "a.gpkg")
    with pytest.raises(DataError, match=r"expected a layer named 'three', but it has one, two"):
        read_labels(tmp_path / "a.gpkg", layer="three")


def test_one_coordinate_system_of_two_raises(tmp_path: Path) -> None:
    bare = write_polygons(tmp_path / "a.gpkg", [shapely.box(1, -3, 2, -1)], None, **{"class": [1]})
    with pytest.raises(DataError, match=r"a\.gpkg: expected a coordinate system, for the raster has one"):
        LabelMask(read_labels(bare), UTM, SHAPE)
    placed = write_polygons(tmp_path / "b.gpkg", [SQUARE], "EPSG:32616", **{"class": [1]})
    with pytest.raises(DataError, match=r"b\.gpkg: .*x = column and y = -row.* but got WGS 84 / UTM zone 16N"):
        LabelMask(read_labels(placed), Place(), SHAPE)


def test_without_coordinate_systems_y_points_up(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "a.gpkg", [shapely.box(1, -3, 2, -1)], None, **{"class": [5]})
    assert drawn(path, Place(), (4, 3)).tolist() == [[0, 0, 0], [0, 5, 0], [0, 5, 0], [0, 0, 0]]
