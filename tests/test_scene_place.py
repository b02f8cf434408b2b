"""Where pixels lie: affine exactly, control points against GDAL's own polynomials of order 3."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import CRS, Transformer
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from scene_places import sentinel_1

from seep_monai.errors import ConfigError, DataError
from seep_monai.scene.place import CubicFit, Place, pixel_factor, pixel_size_m, read_place, scaled
from seep_monai.simulate.georeference import orbit_gcps

SHAPE = (240, 320)


def write(path: Path, array: np.ndarray, **place: object) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", height=array.shape[0], width=array.shape[1], count=1, dtype=array.dtype, **place
    ) as target:
        target.write(array, 1)
    return path


def test_affine_place_is_exact_and_goes_to_degrees(tmp_path: Path) -> None:
    affine = Affine(40.0, 0.0, 500_000.0, 0.0, -40.0, 6_600_000.0)
    place = read_place(write(tmp_path / "a.tif", np.zeros(SHAPE, np.uint8), crs="EPSG:32631", transform=affine))
    pixels = np.array([[0.0, 0.0], [10.5, 20.25]])
    assert place.to_map(pixels).tolist() == [[500_000.0, 6_600_000.0], [500_420.0, 6_599_190.0]]
    expected = Transformer.from_crs(32631, 4326, always_xy=True).transform(500_420.0, 6_599_190.0)
    assert place.to_lon_lat(pixels)[1] == pytest.approx(expected, abs=1e-12)


def test_place_without_georeference_is_the_pixels_and_has_no_degrees(tmp_path: Path) -> None:
    place = read_place(write(tmp_path / "a.tif", np.zeros(SHAPE, np.uint8)))
    assert place.crs is None
    assert place.to_map(np.array([[3.0, 4.0]])).tolist() == [[3.0, 4.0]]
    with pytest.raises(DataError, match="the image has none"):
        place.to_lon_lat(np.array([[3.0, 4.0]]))


def test_control_points_as_gdal_of_order_3(tmp_path: Path) -> None:
    reference = orbit_gcps(SHAPE, (5.0, 58.0), pixel_m=400.0, heading_deg=348.0)
    place = reference.raster_place(SHAPE)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    found = read_place(write(tmp_path / "rows.tif", rows + 0.5, **place))
    warped = []
    for name, array in (("rows", rows), ("columns", columns)):
        path = write(tmp_path / f"{name}.tif", array + 0.5, **place)
        with (
            rasterio.open(path) as source,
            WarpedVRT(
                source,
                src_crs="EPSG:4326",
                crs="EPSG:4326",
                nodata=-1,
                resampling=rasterio.enums.Resampling.bilinear,
                warp_extras={},
                METHOD="GCP_POLYNOMIAL",
                MAX_GCP_ORDER=3,
            ) as warp,
        ):
            warped.append(warp.read(1))
            transform = warp.transform
    known = (warped[0] > 1) & (warped[1] > 1) & (warped[0] < SHAPE[0] - 1) & (warped[1] < SHAPE[1] - 1)
    at_rows, at_columns = np.nonzero(known)
    lon, lat = transform * (at_columns + 0.5, at_rows + 0.5)
    ours = found.to_lon_lat(np.stack([warped[1][known], warped[0][known]], axis=1))
    pixel_lon, pixel_lat = 400 / 59_000, 400 / 111_000
    assert known.sum() > 10_000
    assert np.abs(ours[:, 0] - lon).max() < 0.5 * pixel_lon
    assert np.abs(ours[:, 1] - lat).max() < 0.5 * pixel_lat


def test_cubic_fit_of_a_cubic_is_the_cubic() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 20_000, (40, 2))
    x, y = (pixels / 20_000).T
    places = np.stack([3 + x - y + x * y + 2 * x**3, -1 + y + 0.5 * x**2 * y - y**3], axis=1)
    assert CubicFit.of_points(pixels, places)(pixels) == pytest.approx(places, abs=1e-10)


def test_control_points_across_the_antimeridian_stay_together(tmp_path: Path) -> None:
    points = [
        GroundControlPoint(row, column, ((179.9 + column * 0.001 + 180) % 360) - 180, 10 - row * 0.001)
        for row in range(0, 241, 40)
        for column in range(0, 321, 40)
    ]
    place = read_place(write(tmp_path / "a.tif", np.zeros(SHAPE, np.uint8), gcps=points, crs="EPSG:4326"))
    lon = place.to_lon_lat(np.array([[0.0, 0.0], [160.0, 100.0], [320.0, 240.0]]))[:, 0]
    assert lon % 360 == pytest.approx([179.9, 180.06, 180.22])


def test_few_control_points_raise(tmp_path: Path) -> None:
    points = [GroundControlPoint(row, column, column / 100, row / 100) for row in (0, 100) for column in (0, 100, 200)]
    path = write(tmp_path / "a.tif", np.zeros(SHAPE, np.uint8), gcps=points, crs="EPSG:4326")
    with pytest.raises(DataError, match="at least 10 ground control points, but got 6"):
        read_place(path)


def test_control_points_without_a_coordinate_system_are_not_taken_for_degrees(tmp_path: Path) -> None:
    points = [
        GroundControlPoint(row, column, column, row) for row in (0, 80, 160, 240) for column in (0, 100, 200, 320)
    ]
    place = read_place(write(tmp_path / "a.tif", np.zeros(SHAPE, np.uint8), gcps=points, crs=rasterio.CRS()))
    assert place.crs is None


def test_file_that_is_no_image_raises(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("no image")
    with pytest.raises(DataError, match=r"a\.tif: expected an image that GDAL can open"):
        read_place(tmp_path / "a.tif")


def around(shape: tuple[int, int], margin: float = 0.1) -> np.ndarray:
    """Pixels all over an image and a margin around it."""
    rows, columns = (np.linspace(-margin * size, (1 + margin) * size, 40) for size in shape)
    return np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("centre", [(5.0, 58.0), (-90.0, 27.0), (60.0, -75.0)])
@pytest.mark.parametrize("shape", [(16_700, 25_000), (400, 500)])
def test_pixels_of_the_places_of_pixels_are_the_pixels(shape: tuple[int, int], centre: tuple[float, float]) -> None:
    place = sentinel_1(shape, centre)
    pixels = around(shape)
    assert place.to_pixels(place.to_map(pixels)) == pytest.approx(pixels, abs=0.01)
    assert scaled(place, 4).to_pixels(place.to_map(pixels)) == pytest.approx(pixels / 4, abs=0.01)


def test_pixels_of_an_affine_place_are_those_of_the_inverse_transform() -> None:
    place = Place(CRS.from_epsg(32631), Affine(8.0, 6.0, 500_000.0, 6.0, -8.0, 4_000_000.0))
    assert place.to_pixels(np.array([[500_014.0, 3_999_998.0]])) == pytest.approx(np.array([[1.0, 1.0]]), abs=1e-9)


def test_pixels_without_georeference_are_the_places() -> None:
    assert Place().to_pixels(np.array([[3.0, 4.0]])).tolist() == [[3.0, 4.0]]


def test_places_far_from_the_control_points_are_nan_or_outside() -> None:
    shape = (16_700, 25_000)
    far = np.random.default_rng(0).uniform((-180, -90), (180, 90), (20_000, 2))
    far = far[np.abs(far - (5, 58)).max(axis=1) > 5]
    found = sentinel_1(shape).to_pixels(far)
    assert not ((found > 0) & (found < shape[::-1])).all(axis=1).any()


def test_longitudes_a_whole_turn_off_are_the_same_place() -> None:
    place = sentinel_1()
    there = place.to_map(np.array([[100.0, 200.0]]))
    assert place.to_pixels(there - (360, 0)) == pytest.approx(np.array([[100.0, 200.0]]), abs=0.01)


def test_places_of_control_points_on_a_line_are_nan() -> None:
    line = np.stack([np.arange(12.0), np.arange(12.0)], axis=1)
    place = Place(CRS.from_epsg(4326), cubic=CubicFit.of_points(line, line / 100))
    assert np.isnan(place.to_pixels(np.array([[3.0, -3.0]]))).all()


def test_pixel_size_is_the_geodesic_distance_at_the_centre() -> None:
    assert pixel_size_m(sentinel_1(), (16_700, 25_000)) == pytest.approx(10, rel=0.005)
    # A hundredth of a degree at 60 degrees north: 1,114 m by latitude (WGS 84), 558 m by longitude.
    degrees = Place(CRS.from_epsg(4326), Affine(0.01, 0, 5, 0, -0.01, 60.5))
    assert pixel_size_m(degrees, (100, 100)) == pytest.approx((1114.1 * 558.0) ** 0.5, rel=1e-3)
    with pytest.raises(DataError, match="the image has none"):
        pixel_size_m(Place(), (3, 3))


@pytest.mark.parametrize(("wanted_m", "factor"), [(7.6, 1), (14, 1), (16, 2), (40, 4)])
def test_pixel_factor_is_the_nearest_whole_number(wanted_m: float, factor: int) -> None:
    assert pixel_factor(10.0, wanted_m) == factor


@pytest.mark.parametrize("wanted_m", [7.4, 0.0, float("nan")])
def test_pixels_cannot_be_divided(wanted_m: float) -> None:
    with pytest.raises(ConfigError, match=r"pixel_size_m: .*10 m, but got"):
        pixel_factor(10.0, wanted_m)
