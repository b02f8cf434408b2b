"""Seeps and scenes as they are read from the folder of an archive, and what is wrong with one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from small_archives import scenes_of, seeps_of, write_archive, write_item

from seep_monai.archive.sites_input import read_archive, read_class_names
from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.errors import DataError

SEEPS = seeps_of(
    [0, 2, 2], [0, 1, 2], [3, 4, 5], score=np.array([0.1, 0.2, 0.3]), target_km=np.array([0.5, np.nan, np.nan])
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "out", scenes_of(3), SEEPS)


def test_archive_is_read_as_it_was_written(archive: Path) -> None:
    seeps, scenes = read_archive(archive)

    for name, expected in vars(SEEPS).items():
        np.testing.assert_array_equal(getattr(seeps, name), expected, err_msg=name)
    assert scenes.names.tolist() == ["s0000", "s0001", "s0002"]
    assert (scenes.times == scenes_of(3).times).all()
    assert shapely.equals(scenes.footprints, scenes_of(3).footprints).all()


def test_names_of_classes_are_those_of_the_slicks_and_else_the_usual_ones(tmp_path: Path) -> None:
    label, names = np.array([5, 2, 5]), np.array(["pool", "ribbon", "pool"], object)
    folder = write_archive(tmp_path / "out", scenes_of(3), replace(SEEPS, label=label), class_name=names)
    usual = DEFAULT_CLASS_NAMES
    assert read_class_names(folder) == (usual[0], "ribbon", *usual[2:4], "pool", *usual[5:])


def test_table_without_names_of_classes_has_the_usual_ones(archive: Path) -> None:
    assert read_class_names(archive) == tuple(DEFAULT_CLASS_NAMES)


def test_duplicates_are_left_out(tmp_path: Path) -> None:
    duplicate_of = np.array([None, "s0002/1", None], object)
    seeps, _ = read_archive(write_archive(tmp_path / "out", scenes_of(3), SEEPS, duplicate_of=duplicate_of))
    assert seeps.score.tolist() == [0.1, 0.3]


def test_seep_without_a_place_is_left_out(tmp_path: Path) -> None:
    lon = np.array([0.0, np.nan, 0.0])
    seeps, _ = read_archive(write_archive(tmp_path / "out", scenes_of(3), SEEPS, origin_lon=lon))
    assert seeps.score.tolist() == [0.1, 0.3]


def test_files_without_the_newer_fields_are_read(tmp_path: Path) -> None:
    older = {"end_lon": None, "end_lat": None, "target_km": None}
    seeps, _ = read_archive(write_archive(tmp_path / "out", scenes_of(3), SEEPS, **older))
    assert seeps.target_km is None
    assert (seeps.lon[1] == seeps.lon[0]).all()


def test_times_of_other_zones_are_utc(archive: Path) -> None:
    write_item(archive, "s0001", "2024-01-13T01:00:00.500000-05:00", shapely.geometry.mapping(shapely.box(0, 0, 1, 1)))
    assert str(read_archive(archive)[1].times[1]) == "2024-01-13T06:00:00"


def test_scenes_without_a_time_are_named(archive: Path) -> None:
    for name in ("s0000", "s0002"):
        write_item(archive, name, None, shapely.geometry.mapping(shapely.box(0, 0, 1, 1)))
    with pytest.raises(DataError, match=r"time.*2 of 3.*s0000, s0002.*Sentinel-1"):
        read_archive(archive)


def test_scene_without_a_footprint_is_named(archive: Path) -> None:
    write_item(archive, "s0001", "2024-01-13T06:00:00Z", None)
    with pytest.raises(DataError, match=r"footprint.*1 of 3.*s0001"):
        read_archive(archive)


def test_time_that_is_none_is_an_error(archive: Path) -> None:
    write_item(archive, "s0001", "yesterday", shapely.geometry.mapping(shapely.box(0, 0, 1, 1)))
    with pytest.raises(DataError, match=r"ISO 8601.*'yesterday'"):
        read_archive(archive)


@pytest.mark.parametrize(("name", "message"), [("other", "other are not in it"), (None, r"\(no name\) are not in it")])
def test_seeps_of_an_unknown_scene_are_named(tmp_path: Path, name: str | None, message: str) -> None:
    scene = np.array(["s0000", name, "s0002"], object)
    with pytest.raises(DataError, match=message):
        read_archive(write_archive(tmp_path / "out", scenes_of(3), SEEPS, scene=scene))


def test_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="length_km are missing"):
        read_archive(write_archive(tmp_path / "out", scenes_of(3), SEEPS, length_km=None))


@pytest.mark.parametrize("path", ["seeps.gpkg", "catalogue/catalog.json", "catalogue/s0001/s0001.json"])
def test_missing_or_damaged_file_is_named(archive: Path, path: str) -> None:
    (archive / path).write_bytes(b"no such thing")
    with pytest.raises(DataError, match=Path(path).name):
        read_archive(archive)
    (archive / path).unlink()
    with pytest.raises(DataError, match=Path(path).name):
        read_archive(archive)


def test_empty_catalogue_is_an_error(archive: Path) -> None:
    (archive / "catalogue" / "catalog.json").write_text(json.dumps({"links": []}))
    with pytest.raises(DataError, match="has none"):
        read_archive(archive)
