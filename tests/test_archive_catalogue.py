"""The catalogue of an archive: STAC items, the table of all seeps, and duplicates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from archive_tasks import MODEL, DrawTask, scenes
from child_python import printed_by
from pyproj import CRS, Transformer
from rasterio.transform import Affine
from scene_places import UTM, seeps_of, sentinel_1

from seep_monai.archive.attempts import ListedScene, Place, attempt
from seep_monai.archive.catalogue import write_catalogue
from seep_monai.archive.duplicates import PassScene, duplicates, passes
from seep_monai.archive.footprint import bounds, split_at_180, valid_area
from seep_monai.archive.seep_files import write_seep_files
from seep_monai.archive.seep_table import SeepTable, read_seeps
from seep_monai.errors import DataError
from seep_monai.scene.place import Place as ImagePlace
from seep_monai.scene.vector_files import write_seeps

TASK = DrawTask()


def archive(out: Path, listed: Sequence[ListedScene]) -> Path:
    """An archive of drawn scenes, made in this process."""
    out.mkdir()
    assert {attempt(TASK, Place(out, out / ".work"), scene).state for scene in listed} == {"done"}
    return out


def seeps(out: Path) -> list[dict[str, Any]]:
    """The rows of the table of all seeps."""
    meta, _, geometries, values = pyogrio.raw.read(out / "seeps.gpkg", layer="seeps")
    assert meta["crs"] == "EPSG:4326"
    rows = [dict(zip(meta["fields"], row, strict=True)) for row in zip(*values, strict=True)]
    return [{**row, "geometry": shapely.from_wkb(wkb)} for row, wkb in zip(rows, geometries, strict=True)]


def test_items_pass_pystac_and_lead_to_the_outputs(tmp_path: Path) -> None:
    pystac = pytest.importorskip("pystac")
    listed = [*scenes("a", "b"), ListedScene("c", Path("/scenes/c.tif"), None, "sentinel-1a")]
    out = archive(tmp_path / "out", listed)
    assert write_catalogue(out, TASK.settings, MODEL)[0] == 3

    catalog = pystac.Catalog.from_file(str(out / "catalogue" / "catalog.json"))
    catalog.validate()
    items = {item.id: item for item in catalog.get_items()}
    assert sorted(items) == ["a", "b", "c"]
    for name, item in items.items():
        # The schema of an extension is on the web; the model's fields are checked below.
        core = item.to_dict(include_self_link=False)
        pystac.validation.validate_dict({**core, "stac_extensions": []})
        assert Path(item.self_href) == out / "catalogue" / name / f"{name}.json"
        assert {"classes", "seeps", "seeps_geojson"} <= item.assets.keys()
        for key, asset in item.assets.items():
            assert key == "model" or Path(asset.get_absolute_href()).is_file()
        assert item.properties["n_seeps"] > 0
    assert items["b"].properties["datetime"] == "2023-04-01T00:05:00Z"
    assert "platform" not in items["b"].properties
    assert items["c"].properties["platform"] == "sentinel-1a"
    assert items["c"].properties["datetime"] is None


def test_model_has_the_fields_that_the_extension_requires(tmp_path: Path) -> None:
    out = archive(tmp_path / "out", scenes("a"))
    write_catalogue(out, TASK.settings, MODEL)
    content = json.loads((out / "catalogue" / "a" / "a.json").read_text())
    properties = content["properties"]
    # Source: README of the extension, v1.4.0: required fields, and those of its objects.
    assert {"mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output"} <= properties.keys()
    assert {"name", "bands", "input"} <= properties["mlm:input"][0].keys()
    assert {"name", "tasks", "result"} <= properties["mlm:output"][0].keys()
    assert {"shape", "dim_order", "data_type"} == properties["mlm:input"][0]["input"].keys()
    assert properties["mlm:output"][0]["classification:classes"][7] == {"value": 7, "name": "Seep_cls7"}
    assert properties["mlm:hyperparameters"] == {"weights_sha256": "ab" * 32}
    pystac, mlm = pytest.importorskip("pystac"), pytest.importorskip("pystac.extensions.mlm")
    read = mlm.MLMExtension.ext(pystac.Item.from_dict(content))
    assert (read.mlm_name, read.architecture) == ("seep-monai-" + "ab" * 6, "SegResNet")
    assert read.input[0].input.shape == [-1, 1, 320, 320]
    assert read.output[0].result.shape == [-1, 8, 320, 320]
    model = content["assets"]["model"]
    assert "mlm:model" in model["roles"]
    assert model["mlm:artifact_type"] == "torch.save"
    assert (out / "catalogue" / "a" / model["href"]).resolve() == Path("/weights/model.pt").resolve()


def test_table_holds_the_seeps_of_all_scenes_in_order(tmp_path: Path) -> None:
    # Named against the order of their times, and too far apart for one pass.
    listed = scenes("c", "b", "a", minutes_apart=30)
    untimed = ListedScene("0", Path("/scenes/0.tif"))
    out = archive(tmp_path / "out", [*listed, untimed])
    n_scenes, n_seeps = write_catalogue(out, TASK.settings, MODEL)
    rows = seeps(out)
    assert (n_scenes, n_seeps) == (4, len(rows))
    assert list(dict.fromkeys(row["scene"] for row in rows)) == ["c", "b", "a", "0"]
    assert {row["duplicate_of"] for row in rows} == {None}
    assert len({row["id"] for row in rows}) == len(rows)

    meta, fids, geometries, values = pyogrio.raw.read(
        out / "scenes" / "a" / "a_seeps.gpkg", layer="seeps", return_fids=True
    )
    mine = [row for row in rows if row["scene"] == "a"]
    assert [row["id"] for row in mine] == [f"a/{fid}" for fid in fids]
    for name, column in zip(meta["fields"], values, strict=True):
        found = [row[name] for row in mine]
        np.testing.assert_array_equal(np.array(found, column.dtype), column)
    assert {row["time"] for row in mine} == {"2023-04-01T01:00:00Z"}
    assert {row["time"] for row in rows if row["scene"] == "0"} == {None}
    to_degrees = Transformer.from_crs(UTM.crs, 4326, always_xy=True)
    for row, wkb in zip(mine, geometries, strict=True):
        places = shapely.get_coordinates(shapely.from_wkb(wkb))
        expected = np.stack(to_degrees.transform(*places.T), axis=1)
        np.testing.assert_allclose(shapely.get_coordinates(row["geometry"]), expected, atol=1e-9)


def test_duplicates_of_one_pass_are_marked_and_kept(tmp_path: Path) -> None:
    # Scenes draw by their names at one place, so that any two overlap.
    out = archive(tmp_path / "out", scenes("a", "b", "c", minutes_apart=8))
    write_catalogue(out, TASK.settings, MODEL)
    rows = {row["id"]: row for row in seeps(out)}
    marked = {name: row for name, row in rows.items() if row["duplicate_of"] is not None}
    assert marked
    for row in marked.values():
        original = rows[row["duplicate_of"]]
        assert original["duplicate_of"] is None
        # a and b, b and c are 8 minutes apart, a and c 16.
        assert {original["scene"], row["scene"]} in ({"a", "b"}, {"b", "c"})
        assert row["geometry"].intersection(original["geometry"]).area > 0.1 * row["geometry"].area
        assert row["geometry"].area <= original["geometry"].area


def boxes(*corners: tuple[float, float, float, float]) -> np.ndarray:
    return np.array([shapely.MultiPolygon([shapely.box(*box)]) for box in corners], object)


def test_largest_of_overlapping_seeps_is_the_original() -> None:
    group = [PassScene("a", "2023-04-01T10:00:00Z"), PassScene("b", "2023-04-01T10:01:00Z")]
    polygons = boxes((0, 0, 1, 1), (0, 0, 2, 1), (0.5, 0, 1.5, 0.5), (5, 5, 6, 6), (5.95, 5, 6.95, 6), (9, 9, 10, 10))
    owners = np.array([0, 1, 0, 0, 1, 1])
    # The fourth and the fifth share a twentieth.
    assert duplicates(polygons, owners, group).tolist() == [1, -1, 1, -1, -1, -1]
    assert duplicates(polygons, np.zeros(6, np.int64), group[:1]).tolist() == [-1] * 6
    assert duplicates(polygons[:0], owners[:0], group).tolist() == []
    # A chain: the middle one is a duplicate of the largest, so the smallest is none of it.
    chain = boxes((0, 0, 3, 1), (2, 0, 4, 1), (3.5, 0, 4.5, 1))
    assert duplicates(chain, np.array([0, 1, 0]), group).tolist() == [-1, 0, -1]


def test_equal_seeps_have_the_first_as_original() -> None:
    group = [PassScene("a", "2023-04-01T10:00:00Z"), PassScene("b", "2023-04-01T10:01:00Z")]
    same = boxes((0, 0, 1, 1), (0, 0, 1, 1))
    assert duplicates(same, np.array([0, 1]), group).tolist() == [-1, 0]


def test_passes_need_one_platform_and_times_that_are_close() -> None:
    listed = [
        PassScene("late", "2023-04-01T00:10:00Z", "x"),
        PassScene("first", "2023-04-01T00:00:00Z", "x"),
        PassScene("other", "2023-04-01T00:05:00Z", "y"),
        PassScene("next", "2023-04-01T00:20:01Z", "x"),
        PassScene("never", None, "x"),
    ]
    assert [[scene.name for scene in group] for group in passes(listed)] == [
        ["first", "late"],
        ["other"],
        ["next"],
        ["never"],
    ]


def test_geoparquet_is_the_same_table(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    out = archive(tmp_path / "out", scenes("a", "b"))
    write_catalogue(out, TASK.settings, MODEL, geoparquet=True)
    frame, rows = geopandas.read_parquet(out / "seeps.parquet"), seeps(out)
    assert frame.crs.to_authority() == ("OGC", "CRS84")
    assert len(frame) == len(rows)
    assert (frame.geometry.to_numpy() == np.array([row["geometry"] for row in rows], object)).all()
    for name in ("id", "class", "score", "area_km2", "touches_edge", "scene", "time", "contrast_db"):
        assert frame[name].tolist() == [row[name] for row in rows]
    assert frame["duplicate_of"].isna().tolist() == [row["duplicate_of"] is None for row in rows]
    assert not list(out.glob(".seeps*"))


@pytest.mark.parametrize("error", [DataError("b: cannot be read"), KeyboardInterrupt()])
def test_error_between_two_tables_is_raised_and_the_old_files_stay(tmp_path: Path, error: BaseException) -> None:
    out = archive(tmp_path / "out", scenes("a"))
    write_catalogue(out, TASK.settings, MODEL, geoparquet=True)
    before = {path.name: path.read_bytes() for path in out.glob("seeps.*")}
    table = read_seeps(out / "scenes" / "a" / "a_seeps.gpkg", "a", None)
    assert table is not None

    def tables() -> Iterator[SeepTable]:
        yield table
        raise error

    with pytest.raises(type(error)) as raised:
        write_seep_files(out / "seeps.gpkg", tables(), description="", parquet=out / "seeps.parquet")
    assert raised.value is error
    assert {path.name: path.read_bytes() for path in out.glob("*seeps.*")} == before
    assert not list(out.glob(".seeps*"))


def test_catalogue_on_a_full_disk_is_an_error_and_the_old_table_stays(tmp_path: Path) -> None:
    out = archive(tmp_path / "out", scenes("a"))
    write_catalogue(out, TASK.settings, MODEL, geoparquet=True)
    # As text, because NaN differs from itself.
    before = str(seeps(out))
    size = (out / "seeps.gpkg").stat().st_size
    # No file may be larger than the limit, as on a full disk.
    printed = printed_by(
        "import resource, signal",
        "from test_archive_catalogue import *",
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)",
        f"for limit in {[size - 4096, size // 2, 8192]}:",
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))",
        "    try:",
        f"        write_catalogue(Path({str(out)!r}), TASK.settings, MODEL, geoparquet=True)",
        "    except DataError as error:",
        "        print(error)",
    )
    assert [("Check the free disk space" in line) for line in printed.splitlines()] == [True] * 3
    assert str(seeps(out)) == before
    assert not list(out.glob(".seeps*"))


def test_scenes_that_are_not_whole_are_left_out_and_named(tmp_path: Path, caplog: Any) -> None:
    out = archive(tmp_path / "out", scenes("a", "b"))
    write_catalogue(out, TASK.settings, MODEL)
    (out / "scenes" / "b" / "b_classes.tif").unlink()
    assert write_catalogue(out, TASK.settings, MODEL)[0] == 1
    assert "1 scenes are left out, because their outputs are not whole: b" in caplog.text
    assert sorted(path.name for path in (out / "catalogue").iterdir()) == ["a", "catalog.json"]


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_scene_without_seeps_or_without_place(tmp_path: Path, caplog: Any) -> None:
    out = archive(tmp_path / "out", scenes("a"))
    write_seeps(out / "scenes" / "a" / "a", [], UTM, MODEL.class_names, scene="a", model_sha256="ab")
    table = read_seeps(out / "scenes" / "a" / "a_seeps.gpkg", "a", None)
    assert table is not None
    assert len(table) == 0
    mask = np.zeros((20, 20), np.uint8)
    mask[5:9, 5:9] = 3
    write_seeps(tmp_path / "b", seeps_of(mask), ImagePlace(), MODEL.class_names, scene="b", model_sha256="ab")
    assert read_seeps(tmp_path / "b_seeps.gpkg", "b", None) is None
    (tmp_path / "c_seeps.gpkg").write_text("no")
    with pytest.raises(DataError, match=r"c_seeps\.gpkg: expected the seeps of a scene"):
        read_seeps(tmp_path / "c_seeps.gpkg", "c", None)
    # No seep in the whole archive: the table is there, and empty.
    sizes = json.loads((out / "scenes" / "a" / "record.json").read_text())
    sizes["files"]["a_seeps.gpkg"] = (out / "scenes" / "a" / "a_seeps.gpkg").stat().st_size
    sizes["files"]["a_seeps.geojson"] = (out / "scenes" / "a" / "a_seeps.geojson").stat().st_size
    (out / "scenes" / "a" / "record.json").write_text(json.dumps(sizes))
    assert write_catalogue(out, TASK.settings, MODEL, geoparquet=False) == (1, 0)
    assert seeps(out) == []


def test_seeps_across_the_antimeridian_are_cut_there(tmp_path: Path) -> None:
    place = ImagePlace(CRS.from_epsg(4326), Affine(0.01, 0, 179.9, 0, -0.01, 10))
    mask = np.zeros((20, 40), np.uint8)
    mask[5:9, 5:20] = 3
    write_seeps(tmp_path / "a", seeps_of(mask), place, MODEL.class_names, scene="a", model_sha256="ab")
    table = read_seeps(tmp_path / "a_seeps.gpkg", "a", None)
    assert table is not None
    west, _, east, _ = table.polygons[0].bounds
    assert (west, east) == (-180, 180)
    assert table.polygons[0].area == pytest.approx(15 * 4 * 1e-4)


def class_map(path: Path, classes: np.ndarray, **georeference: Any) -> Path:
    shape = {"height": classes.shape[0], "width": classes.shape[1], "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", **shape, **georeference) as target:
        target.write(classes, 1)
    return path


def test_footprint_is_the_area_with_data(tmp_path: Path) -> None:
    classes = np.full((60, 80), 255, np.uint8)
    classes[10:50, 20:70] = 0
    classes[20:30, 30:40] = 255
    reference = {"crs": "EPSG:4326", "transform": Affine(0.01, 0, -90, 0, -0.01, 28)}
    area = valid_area(class_map(tmp_path / "a.tif", classes, **reference))
    assert area is not None
    expected = shapely.box(-89.8, 27.5, -89.3, 27.9) - shapely.box(-89.7, 27.7, -89.6, 27.8)
    assert shapely.geometry.shape(area).symmetric_difference(expected).area < 1e-9
    assert bounds(area) == pytest.approx([-89.8, 27.5, -89.3, 27.9])
    assert valid_area(class_map(tmp_path / "b.tif", np.full((9, 9), 255, np.uint8), **reference)) is None


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_footprint_without_place_is_none(tmp_path: Path) -> None:
    assert valid_area(class_map(tmp_path / "a.tif", np.zeros((9, 9), np.uint8))) is None


def test_footprint_of_a_large_scene_with_control_points(tmp_path: Path) -> None:
    shape = (3000, 4000)
    classes = np.zeros(shape, np.uint8)
    classes[:, :400] = 255
    from seep_monai.simulate.georeference import orbit_gcps

    reference = orbit_gcps(shape, (5.0, 58.0), pixel_m=40.0, heading_deg=348.0).raster_place(shape)
    area = valid_area(class_map(tmp_path / "a.tif", classes, **reference))
    assert area is not None
    place = sentinel_1(shape, pixel_m=40.0)
    edge = np.concatenate([[(400, y) for y in range(0, 3001, 100)], [(x, 3000) for x in range(400, 4001, 100)]])
    outline = shapely.geometry.shape(area).exterior
    # A cell of four pixels of 40 m is some .002 degrees.
    assert max(outline.distance(shapely.Point(xy)) for xy in place.to_lon_lat(edge.astype(float))) < 0.003


def test_areas_across_the_antimeridian_are_split() -> None:
    expected = shapely.MultiPolygon([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -178, 1)])
    beyond = split_at_180(shapely.box(179, 0, 182, 1))
    jumping = split_at_180(shapely.Polygon([(179, 0), (-178, 0), (-178, 1), (179, 1)]))
    for found in (beyond, jumping):
        assert found.symmetric_difference(expected).area < 1e-9
        assert bounds(shapely.geometry.mapping(found)) == [179, 0, -178, 1]
    inside = shapely.box(-10, 0, 10, 1)
    assert split_at_180(inside) is inside
