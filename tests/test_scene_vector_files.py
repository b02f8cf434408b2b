"""Polygon files, read by pyogrio and by hand."""

from __future__ import annotations

import json
import sqlite3
import warnings
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import CRS
from rasterio.transform import Affine

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.scene.place import Place
from seep_monai.scene.seep_objects import SeepObject, label_polygons
from seep_monai.scene.vector_files import write_seeps

UTM = Place(CRS.from_epsg(32631), Affine(40.0, 0.0, 500_000.0, 0.0, -40.0, 6_600_000.0))


def seep(label: int = 5) -> SeepObject:
    labels = np.zeros((20, 30), np.int32)
    labels[5:9, 5:25] = 1
    labels[6, 10:12] = 0
    line = np.array([[5.5, 7.0], [24.5, 7.0]])
    return SeepObject(label, 0.75, np.eye(7)[label - 1], label_polygons(labels)[1], line, -4.2, False)


def written(folder: Path, seeps: list[SeepObject], place: Place = UTM) -> list[Path]:
    return write_seeps(folder / "a", seeps, place, DEFAULT_CLASS_NAMES, scene="s1", model_sha256="ab")


def table(path: Path) -> tuple[dict, dict[str, list], list[shapely.Geometry]]:
    meta, _, geometry, fields = pyogrio.raw.read(path)
    return meta, dict(zip(meta["fields"], (f.tolist() for f in fields), strict=True)), list(shapely.from_wkb(geometry))


def test_geopackage_has_the_image_s_system_fields_and_shape(tmp_path: Path) -> None:
    meta, fields, [geometry] = table(written(tmp_path, [seep()])[0])
    assert CRS.from_user_input(meta["crs"]).to_epsg() == 32631
    assert geometry.area == pytest.approx(78 * 1600)
    assert geometry.bounds == (500_200.0, 6_599_640.0, 501_000.0, 6_599_800.0)
    assert (fields["class"], fields["class_name"], fields["score"]) == ([5], ["Seep cls5"], [0.75])
    assert [fields[f"prob_{k}"][0] for k in range(1, 8)] == [0, 0, 0, 0, 1, 0, 0]
    assert fields["area_km2"][0] == pytest.approx(78 * 0.0016, rel=2e-3)
    assert (fields["contrast_db"], fields["scene"], fields["model_sha256"]) == ([-4.2], ["s1"], ["ab"])


def test_geopackage_holds_a_style_that_qgis_takes_by_default(tmp_path: Path) -> None:
    with sqlite3.connect(written(tmp_path, [seep()])[0]) as database:
        [(name, column, qml, default)] = database.execute(
            "SELECT f_table_name, f_geometry_column, styleQML, useAsDefault FROM layer_styles"
        )
        columns = [row[1] for row in database.execute("PRAGMA table_info(seeps)")]
    assert (name, default) == ("seeps", 1)
    assert column in columns
    assert qml.count("<category ") == 7


def test_geojson_follows_rfc_7946(tmp_path: Path) -> None:
    content = json.loads(written(tmp_path, [seep()])[1].read_text())
    [feature] = content["features"]
    [rings] = feature["geometry"]["coordinates"]
    outer, hole = (shapely.LinearRing(ring) for ring in rings)
    assert "crs" not in content
    assert (outer.is_ccw, hole.is_ccw) == (True, False)
    assert feature["geometry"]["type"] == "MultiPolygon"
    expected = shapely.transform(seep().polygon, UTM.to_lon_lat).bounds
    assert outer.bounds == pytest.approx(expected, abs=1e-6)
    assert feature["properties"]["lon"] == pytest.approx(3.0107, abs=1e-3)


def test_without_a_seep_the_layers_are_empty_and_valid(tmp_path: Path) -> None:
    for path in written(tmp_path, []):
        meta, _, geometries = table(path)
        assert geometries == []
        # GeoJSON keeps fields with features only.
        assert path.suffix == ".geojson" or {"class", "score", "area_km2"} <= set(meta["fields"])


def test_without_georeference_there_is_a_geopackage_in_pixels_alone(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [path] = written(tmp_path, [seep()], Place())
    meta, fields, [geometry] = table(path)
    assert meta["crs"] is None or "Undefined" in meta["crs"]
    assert geometry.bounds == (5.0, -9.0, 25.0, -5.0)
    assert np.isnan(fields["area_km2"][0]) or fields["area_km2"][0] is None


def test_written_anew_it_replaces_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    written(tmp_path, [seep(), seep()])
    written(tmp_path, [seep(2)])
    assert len(table(tmp_path / "a_seeps.gpkg")[2]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_seeps.geojson", "a_seeps.gpkg"]
