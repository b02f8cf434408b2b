"""Land in the pixels of a scene; GDAL on the map grid and shapely on the map are the independent truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from pyproj import CRS, Transformer
from rasterio.features import rasterize
from rasterio.transform import Affine
from scene_places import UTM, sentinel_1, write_polygons
from tiff_files import make_tiff

from seep_monai.errors import DataError
from seep_monai.scene.land import LandMask
from seep_monai.scene.place import CubicFit, Place
from seep_monai.scene.raster import Raster, RasterOptions
from seep_monai.simulate.georeference import AffineReference

SHAPE = (300, 400)
WHOLE = (slice(0, SHAPE[0]), slice(0, SHAPE[1]))


def island(x: float, y: float, radius_x: float, radius_y: float, n: int = 60, seed: int = 0) -> shapely.Polygon:
    """A jagged coast of n corners."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    length = 1 + 0.2 * np.random.default_rng(seed).standard_normal(n).clip(-2, 2)
    return shapely.Polygon(
        np.stack([x + radius_x * length * np.cos(angle), y + radius_y * length * np.sin(angle)], axis=1)
    )


def inside(shapes: list[shapely.Geometry], place: Place, pixels: np.ndarray, crs: int = 4326) -> np.ndarray:
    """Whether pixels are in polygons, asked on the map: from the pixel to the polygon, not the other way."""
    degrees = place.to_lon_lat(pixels)
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(*degrees.T)
    return shapely.contains_xy(shapely.union_all(shapes), x, y)


def centres(shape: tuple[int, int], n: int = 2000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of random pixels, and their centres."""
    rng = np.random.default_rng(1)
    rows, columns = rng.integers(0, shape[0], n), rng.integers(0, shape[1], n)
    return rows, columns, np.stack([columns + 0.5, rows + 0.5], axis=1)


@pytest.mark.parametrize("suffix", ["gpkg", "shp"])
def test_land_on_a_map_grid_is_what_gdal_draws(tmp_path: Path, suffix: str) -> None:
    shapes = [island(506_000, 2_995_000, 3000, 2500), island(513_000, 2_990_000, 4000, 3000, n=3000)]
    found = LandMask(write_polygons(tmp_path / f"a.{suffix}", shapes, "EPSG:32616"), UTM, SHAPE)
    expected = rasterize(shapes, out_shape=SHAPE, transform=UTM.affine, dtype="uint8")
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_array_equal(found.read(*WHOLE), expected)


def test_land_in_degrees_on_a_map_grid(tmp_path: Path) -> None:
    coast = island(506_000, 2_995_000, 4000, 3500)
    to_degrees = Transformer.from_crs(32616, 4326, always_xy=True)
    in_degrees = shapely.transform(coast, lambda places: np.stack(to_degrees.transform(*places.T), axis=1))
    found = LandMask(write_polygons(tmp_path / "a.geojson", [in_degrees]), UTM, SHAPE)
    expected = rasterize([coast], out_shape=SHAPE, transform=UTM.affine, dtype="uint8")
    # GeoJSON is rounded to 1 cm.
    assert np.count_nonzero(found.read(*WHOLE) != expected) <= 1


def test_window_is_that_part_of_the_whole(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "a.gpkg", [island(508_000, 2_994_000, 6000, 5000, n=5000)], "EPSG:32616")
    found = LandMask(path, UTM, SHAPE)
    whole = found.read(*WHOLE)
    for rows, columns in (
        (slice(0, 64), slice(50, 300)),
        (slice(100, 163), slice(97, 98)),
        (slice(290, 300), WHOLE[1]),
    ):
        np.testing.assert_array_equal(found.read(rows, columns), whole[rows, columns])
    assert found.read(slice(0, 64), slice(50, 300)).dtype == bool


def test_land_of_a_scene_with_control_points_and_a_continent(tmp_path: Path) -> None:
    shape = (16_700, 25_000)
    place = sentinel_1(shape)
    # The continent reaches to where the cubic is no place at all, with straight edges through the scene.
    shapes = [island(7.0, 58.3, 0.8, 0.3), shapely.Polygon([(-170, -80), (3.5, -80), (4.5, 80), (-170, 80)])]
    found = LandMask(write_polygons(tmp_path / "a.gpkg", shapes), place, shape)
    rows, columns, pixels = centres(shape)
    expected = inside(shapes, place, pixels)
    got = np.array([found.read(slice(r, r + 1), slice(c, c + 1))[0, 0] for r, c in zip(rows, columns, strict=True)])
    assert 0.1 < expected.mean() < 0.9
    # 0.1 px beside the edge of a piece may be on its other side.
    assert np.count_nonzero(got != expected) <= 1


def test_straight_edges_on_the_map_are_bent_in_the_raster(tmp_path: Path) -> None:
    # At 60 degrees north, the parallel bulges by 90 km over 16 degrees, some 220 px.
    place = Place(CRS.from_epsg(32633), Affine(400.0, 0, 50_000, 0, -400.0, 7_000_000))
    shape = (2000, 2250)
    land = shapely.box(0, 60, 40, 90)
    found = LandMask(write_polygons(tmp_path / "a.gpkg", [land]), place, shape)
    whole = found.read(slice(0, shape[0]), slice(0, shape[1]))
    rows, columns, pixels = centres(shape)
    np.testing.assert_array_equal(whole[rows, columns], inside([land], place, pixels))
    border = np.argmin(whole, axis=0)
    assert np.ptp(border) > 50


@pytest.mark.parametrize("centre", [(179.8, 10.0), (-179.8, 10.0)])
def test_land_on_both_sides_of_the_antimeridian(tmp_path: Path, centre: tuple[float, float]) -> None:
    shapes = [shapely.box(179.2, 9.9, 180, 10.1), shapely.box(-180, 9.7, -179.5, 10.05)]
    path = write_polygons(tmp_path / "a.gpkg", shapes)
    pixels = np.array([(c, r) for r in range(0, 401, 80) for c in range(0, 501, 100)], float)
    degrees = np.stack([centre[0] + (pixels[:, 0] - 250) / 250, 10 - (pixels[:, 1] - 200) / 500], axis=1)
    place = Place(CRS.from_epsg(4326), cubic=CubicFit.of_points(pixels, degrees))
    found = LandMask(path, place, (400, 500)).read(slice(0, 400), slice(0, 500))
    rows, columns, centre_px = centres((400, 500))
    lon, lat = place.to_lon_lat(centre_px).T
    expected = shapely.contains_xy(shapely.union_all(shapes), (lon + 180) % 360 - 180, lat)
    np.testing.assert_array_equal(found[rows, columns], expected)
    assert 0.1 < expected.mean() < 0.9


def test_longitudes_from_0_to_360(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "a.gpkg", [shapely.box(269.9, 26.9, 270.0, 27.1)])
    place = Place(CRS.from_epsg(4326), Affine(0.001, 0, -90.1, 0, -0.001, 27.1))
    found = LandMask(path, place, (200, 200)).read(slice(0, 200), slice(0, 200))
    assert found[:, :100].all()
    assert not found[:, 100:].any()


def test_open_sea_far_from_the_land_of_the_file(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "a.gpkg", [shapely.box(5, 5, 6, 6)])
    assert not LandMask(path, UTM, SHAPE).read(*WHOLE).any()


def test_crossing_edges_of_a_bad_polygon_are_taken_as_they_are_drawn(tmp_path: Path) -> None:
    bow = shapely.Polygon([(499_001, 3_001_003), (516_007, 2_988_011), (516_013, 3_001_017), (499_019, 2_988_023)])
    found = LandMask(write_polygons(tmp_path / "a.gpkg", [bow], "EPSG:32616"), UTM, SHAPE).read(*WHOLE)
    np.testing.assert_array_equal(found, rasterize([bow], out_shape=SHAPE, transform=UTM.affine, dtype="uint8"))


def test_raster_masks_land(tmp_path: Path) -> None:
    land = write_polygons(tmp_path / "a.gpkg", [shapely.box(500_000, 2_999_600, 500_400, 3_000_000)], "EPSG:32616")
    place = AffineReference(32616, 40.0, 500_000.0, 3_000_000.0).raster_place((20, 30))
    path = make_tiff(tmp_path / "a.tif", np.full((20, 30), 9, np.uint16), **place)
    with Raster(path, RasterOptions(land=str(land))) as raster:
        valid = raster.read(slice(0, 20), slice(0, 30))[1]
    assert not valid[:10, :10].any()
    assert valid.sum() == 500


def test_raster_round_the_pole_with_land_in_degrees_raises(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "a.gpkg", [shapely.box(5, 85, 6, 86)])
    place = Place(CRS.from_epsg(3413), Affine(1000.0, 0, -200_000, 0, -1000.0, 200_000))
    with pytest.raises(DataError, match=r"a\.gpkg: .*round a pole.*ogr2ogr"):
        LandMask(path, place, (400, 400))


@pytest.mark.parametrize(
    ("shapes", "crs", "message"),
    [
        ([shapely.Point(-87, 27.1)], "EPSG:4326", "expected polygons of land, but found none"),
        ([shapely.box(0, 0, 1, 1)], None, "expected a coordinate system"),
    ],
)
def test_file_of_other_things_raises(tmp_path: Path, shapes: list, crs: str | None, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.gpkg: {message}"):
        LandMask(write_polygons(tmp_path / "a.gpkg", shapes, crs), UTM, SHAPE)


def test_coast_lines_raise(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "a.shp", [shapely.LineString([(0, 0), (1, 1)])])
    with pytest.raises(DataError, match=r"a\.shp: expected polygons, but .* LineString"):
        LandMask(path, UTM, SHAPE)


def test_file_that_cannot_be_read_raises(tmp_path: Path) -> None:
    (tmp_path / "a.gpkg").write_text("no polygons")
    for name in ("a.gpkg", "b.gpkg"):
        with pytest.raises(DataError, match=rf"{name}: expected a vector file that GDAL can open, but"):
            LandMask(tmp_path / name, UTM, SHAPE)


def test_raster_without_coordinate_system_raises(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "a.gpkg", [shapely.box(0, 0, 1, 1)])
    with pytest.raises(DataError, match=r"expected a raster with a coordinate system"):
        LandMask(path, Place(), SHAPE)
