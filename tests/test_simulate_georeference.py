"""Tests of `seep_monai.simulate.georeference`; rasterio writes and reads the files, tifffile looks at their tags."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from tiff_files import make_tiff

from seep_monai.errors import SeepError
from seep_monai.simulate.georeference import (
    AffineReference,
    GcpReference,
    NoReference,
    from_json,
    orbit_gcps,
    to_json,
)
from seep_monai.tiff import read_tiff

SHAPE = (60, 90)
UTM = AffineReference(32618, 10.0, 500000.0, 4000000.0)
# 2 x 3 points; lon grows by 0.5 per 45 columns and 0.1 per 60 rows, lat falls by 0.6 per 60 rows.
SMALL = GcpReference(
    (0.0, 60.0), (0.0, 45.0, 90.0), ((10.0, 10.5, 11.0), (10.1, 10.6, 11.1)), ((50.0, 50.0, 50.0), (49.4, 49.4, 49.4))
)
# 60 rows and 90 columns of a tenth of a degree: longitudes -80 to -71, latitudes 40 down to 34.
DEGREES = AffineReference(4326, 0.1, -80.0, 40.0)
ASCENDING = orbit_gcps((1000, 2000), (-75.0, 36.0), pixel_m=40.0, heading_deg=348.0)


def written(folder: Path, georeference, shape: tuple[int, int] = SHAPE) -> Path:
    return make_tiff(folder / "a.tif", np.ones(shape, np.uint8), **georeference.raster_place(shape))


# 32618, 3857 and 4087 are projected; 4087 lies among the geographic codes.
@pytest.mark.parametrize("epsg", [32618, 3857, 4087, 2154])
def test_affine_crs_and_transform_as_rasterio_reads_them(tmp_path, epsg):
    with rasterio.open(written(tmp_path, replace(UTM, epsg=epsg))) as file:
        assert file.crs.to_epsg() == epsg
        assert tuple(file.transform)[:6] == (10.0, 0.0, 500000.0, 0.0, -10.0, 4000000.0)
        assert file.tags()["AREA_OR_POINT"] == "Area"


# 7844 is geographic too, of a later block of the register.
@pytest.mark.parametrize("epsg", [4326, 4258, 4269, 4617, 7844])
def test_affine_in_degrees_as_rasterio_reads_it(tmp_path, epsg):
    with rasterio.open(written(tmp_path, replace(DEGREES, epsg=epsg))) as file:
        assert file.crs.to_epsg() == epsg
        assert tuple(file.transform)[:6] == (0.1, 0.0, -80.0, 0.0, -0.1, 40.0)


@pytest.mark.parametrize("epsg", [32618, 3857, 4087, 2154, 4326, 4258, 4269, 4617])
def test_affine_model_type_is_that_of_the_register(tmp_path, epsg):
    keys = read_tiff(written(tmp_path, replace(DEGREES, epsg=epsg))).geo_tags[34735]
    assert keys[4:8] == (1024, 0, 1, 2 if CRS.from_epsg(epsg).is_geographic else 1)


def test_affine_map_coordinates_are_those_of_pixel_centres(tmp_path):
    with rasterio.open(written(tmp_path, UTM)) as file:
        x, y = UTM.map_coordinates([0, 7], [0, 3])
        np.testing.assert_array_equal([x, y], rasterio.transform.xy(file.transform, [0, 7], [0, 3]))
    assert (x.tolist(), y.tolist()) == ([500005.0, 500035.0], [3999995.0, 3999925.0])


@pytest.mark.parametrize(("pixel_size", "decimals"), [(10.0, 2), (30.0, 2), (1.0, 3), (1e-4, 7), (25000.0, 0)])
def test_affine_decimals_are_a_thousandth_of_a_pixel(pixel_size, decimals):
    assert replace(UTM, pixel_size=pixel_size).decimals == decimals


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epsg", 0),
        ("epsg", -32618),
        ("epsg", 32618.0),
        ("epsg", "32618"),
        ("epsg", True),
        ("epsg", 32767),
        ("epsg", 900913),
        # None of the register, a height, a geocentric system, and two with heights.
        ("epsg", 3),
        ("epsg", 5703),
        ("epsg", 4978),
        ("epsg", 4979),
        ("epsg", 5555),
        ("pixel_size", 0),
        ("pixel_size", -10.0),
        ("pixel_size", float("nan")),
        ("pixel_size", float("inf")),
        ("pixel_size", "10"),
        ("upper_left_x", float("nan")),
        ("upper_left_y", None),
    ],
)
def test_affine_bad_value_raises_by_name(name, value):
    with pytest.raises(SeepError, match=f"^{name}: expected"):
        replace(UTM, **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "reach"),
    [
        # 90 columns of .1 degrees are 9 degrees, 60 rows are 6.
        ("upper_left_x", -180.5, r"from -180\.5 to -171\.5"),
        ("upper_left_x", 171.5, r"from 171\.5 to 180\.5"),
        ("upper_left_y", 90.5, r"from 84\.5 to 90\.5"),
        ("upper_left_y", -84.5, r"from -90\.5 to -84\.5"),
        ("pixel_size", 10.0, r"from -80\.0 to 820\.0"),
    ],
)
def test_affine_in_degrees_that_leaves_the_globe_raises(name, value, reach):
    with pytest.raises(SeepError, match=f"expected a scene within.*EPSG:4326 is geographic.*{reach}.*Move the corner"):
        replace(DEGREES, **{name: value}).raster_place(SHAPE)


def test_affine_in_degrees_may_cover_the_whole_globe():
    # 1800 and 3600 times .1, which sums round, end at the limits themselves.
    replace(DEGREES, upper_left_x=-180.0, upper_left_y=90.0).raster_place((1800, 3600))


def test_affine_in_metres_has_no_limits_of_degrees():
    replace(UTM, epsg=4087).raster_place(SHAPE)


def test_gcps_as_rasterio_reads_them(tmp_path):
    with rasterio.open(written(tmp_path, SMALL)) as file:
        points, crs = file.gcps
        assert file.crs is None
    assert crs.to_epsg() == 4326
    assert [(p.row, p.col, p.x, p.y, p.z) for p in points] == [
        (0, 0, 10.0, 50.0, 0),
        (0, 45, 10.5, 50.0, 0),
        (0, 90, 11.0, 50.0, 0),
        (60, 0, 10.1, 49.4, 0),
        (60, 45, 10.6, 49.4, 0),
        (60, 90, 11.1, 49.4, 0),
    ]


def test_gcps_are_no_affine_transform(tmp_path):
    # Neither a pixel scale nor a transformation matrix.
    assert set(read_tiff(written(tmp_path, SMALL)).geo_tags).isdisjoint({33550, 34264})


def test_gcps_map_coordinates_by_hand():
    # The centre of pixel (29.5, 22) is at (30, 22.5) from the corner: half way down, a quarter across.
    lon, lat = SMALL.map_coordinates(29.5, 22)
    assert (float(lon), float(lat)) == pytest.approx((10.25 + 0.05, 49.7))


def test_gcps_map_coordinates_outside_go_on_straight():
    # 45 columns left of the grid, 60 rows below it.
    lon, lat = SMALL.map_coordinates([-0.5, 119.5], [-45.5, 89.5])
    np.testing.assert_allclose(lon, [9.5, 11.2])
    np.testing.assert_allclose(lat, [50.0, 48.8])


def test_gcps_map_coordinates_near_those_of_gdal():
    points = [
        rasterio.control.GroundControlPoint(row=row, col=col, x=ASCENDING.lon[i][j], y=ASCENDING.lat[i][j])
        for i, row in enumerate(ASCENDING.rows)
        for j, col in enumerate(ASCENDING.cols)
    ]
    rows, cols = np.array([0, 333, 999]), np.array([0, 1234, 1999])
    with rasterio.transform.GCPTransformer(points, tps=True) as transformer:
        expected = transformer.xy(rows, cols)
    # A hundredth of a pixel of 40 m is some 4e-6 degrees.
    np.testing.assert_allclose(ASCENDING.map_coordinates(rows, cols), expected, atol=4e-6)


def test_gcps_of_another_shape_raise():
    with pytest.raises(SeepError, match=r"^cols: expected control points from 0 to 100.*but got 0\.0 to 90\.0"):
        SMALL.raster_place((60, 100))


def test_gcps_that_end_a_pixel_early_as_in_products_are_taken():
    replace(SMALL, rows=(0.0, 59.0), cols=(0.0, 45.0, 89.0)).raster_place(SHAPE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", (0.0,)),
        ("rows", (60.0, 0.0)),
        ("cols", (0.0, 45.0, 45.0)),
        ("cols", (0.0, 45.0, float("nan"))),
        ("rows", 60.0),
        ("cols", None),
        ("lon", ((10.0, 10.5, 11.0),)),
        ("lon", (10.0, 10.5)),
        ("lat", 50.0),
        ("lat", ("abc", "def")),
        ("lat", ((50.0, 50.0), (49.0, 49.0))),
        ("lon", ((10.0, 10.5, 181.0), (10.1, 10.6, 11.1))),
        ("lat", ((50.0, 50.0, 50.0), (49.0, 49.0, -90.5))),
        ("lat", ((50.0, 50.0, 50.0), (49.0, 49.0, float("nan")))),
    ],
)
def test_gcps_bad_value_raises_by_name(name, value):
    with pytest.raises(SeepError, match=f"^{name}: expected"):
        replace(SMALL, **{name: value})


def test_orbit_has_the_points_of_a_product(tmp_path):
    with rasterio.open(written(tmp_path, orbit_gcps(SHAPE, (-75, 36), pixel_m=10, heading_deg=348))) as file:
        points, _ = file.gcps
    assert len(points) == 231
    assert (points[-1].row, points[-1].col) == SHAPE


def test_orbit_centre_and_pixel_size():
    # Pixels (499.5, 999.5) and one further right: 40 m towards 348 + 90 = 78 degrees.
    lon, lat = ASCENDING.map_coordinates([499.5, 499.5], [999.5, 1000.5])
    assert (lon[0], lat[0]) == pytest.approx((-75.0, 36.0), abs=1e-9)
    m_per_deg = np.pi * 6371008.8 / 180
    east, north = (lon[1] - lon[0]) * m_per_deg * np.cos(np.deg2rad(36)), (lat[1] - lat[0]) * m_per_deg
    assert np.hypot(east, north) == pytest.approx(40, rel=1e-3)
    assert np.degrees(np.arctan2(east, north)) == pytest.approx(78, abs=0.05)


def test_orbit_ascending_goes_north_and_looks_east():
    lon, lat = np.array(ASCENDING.lon), np.array(ASCENDING.lat)
    assert (np.diff(lat, axis=0) > 0).all()
    assert (np.diff(lon, axis=1) > 0).all()


@pytest.mark.parametrize(
    "options",
    [
        {"centre": (179.99, 0.0)},
        {"centre": (0.0, 95.0)},
        {"pixel_m": 0.0},
        {"heading_deg": float("nan")},
        {"n_points": (1, 21)},
        {"shape": (0, 5)},
    ],
)
def test_orbit_bad_value_raises(options):
    given = {"shape": (1000, 1000), "centre": (0.0, 0.0), "pixel_m": 40.0, "heading_deg": 0.0, **options}
    with pytest.raises(SeepError, match="expected"):
        orbit_gcps(given.pop("shape"), given.pop("centre"), **given)


@pytest.mark.parametrize(
    ("latitude", "heading", "pole"),
    [
        # 1000 px of 40 m reach 20 km, .18 degrees, to each side of the centre.
        (90.0, 0.0, 90),
        (89.9, 30.0, 90),
        (89.9, 180.0, 90),
        (-89.9, 348.0, -90),
        (-90.0, 0.0, -90),
        # The edge itself: 20000 m / 6371008.8 m = .179864 degrees.
        (90 - 0.179864, 0.0, 90),
    ],
)
def test_orbit_that_touches_a_pole_raises(latitude, heading, pole):
    with pytest.raises(SeepError, match=f"touches no pole.* reach latitude {pole}\\. Move the scene"):
        orbit_gcps((1000, 1000), (0.0, latitude), pixel_m=40.0, heading_deg=heading)


def test_orbit_near_a_pole_is_taken():
    lat = np.array(orbit_gcps((1000, 1000), (0.0, 89.7), pixel_m=40.0, heading_deg=0.0).lat)
    assert 89.8 < lat.max() < 90


def test_orbit_around_half_the_globe_raises():
    # 1000 px of 25 km are 225 degrees along the equator.
    with pytest.raises(SeepError, match=r"span 180 degrees or less.*span 224\.8\. Move"):
        orbit_gcps((10, 1000), (0.0, 0.0), pixel_m=25000.0, heading_deg=0.0)


def test_no_reference_gives_pixels_and_no_place():
    x, y = NoReference().map_coordinates([1, 2], [3, 4.5])
    assert (x.tolist(), y.tolist(), NoReference().raster_place(SHAPE)) == ([3, 4.5], [1, 2], {})


@pytest.mark.parametrize("georeference", [UTM, SMALL, ASCENDING, NoReference()])
def test_json_round_trip_gives_an_equal_georeference(georeference):
    assert from_json(json.loads(json.dumps(to_json(georeference)))) == georeference


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "kind: expected one of"),
        ({"kind": "wkt"}, "but got 'wkt'"),
        ({"kind": "none", "epsg": 4326}, "none: expected the attributes"),
        ({"kind": "affine", "epsg": 4326}, "affine: expected the attributes"),
        ({**to_json(UTM), "pixel_size": -1}, "pixel_size: expected"),
        (
            {**to_json(SMALL), "lon": [10.0, 10.5]},
            r"lon: expected 2 rows of 3 numbers.*but got \(10\.0, 10\.5\)\. Give",
        ),
        ({**to_json(SMALL), "rows": 60}, "rows: expected two or more"),
    ],
)
def test_json_bad_content_raises(content, message):
    with pytest.raises(SeepError, match=message):
        from_json(content)
