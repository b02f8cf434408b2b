"""`seep-monai tiles`: its options, and both ways once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from scene_places import write_polygons
from tiff_files import make_tiff

from seep_monai.__main__ import main
from seep_monai.commands.tiles import _columns
from seep_monai.errors import ConfigError
from seep_monai.simulate.georeference import AffineReference
from seep_monai.tiff import read_tiff

UTM = AffineReference(32616, 40.0, 500_000.0, 3_000_000.0)


@pytest.fixture
def rasters(tmp_path: Path) -> Path:
    """A folder with two rasters of 100 x 150 px and a text."""
    folder = tmp_path / "rasters"
    folder.mkdir()
    for name, value in (("a", 9), ("b", 11)):
        make_tiff(folder / f"{name}.tif", np.full((100, 150), value, np.uint16), **UTM.raster_place((100, 150)))
    (folder / "notes.txt").write_text("no raster")
    return folder


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A square of 10 x 10 px at the corner, class 5 in the field `kind`."""
    square = shapely.box(500_000, 2_999_600, 500_400, 3_000_000)
    return write_polygons(tmp_path / "labels.gpkg", [square], "EPSG:32616", kind=[5])


def words(rasters: Path | str, labels: Path, out: Path, *more: str) -> list[str]:
    given = ["tiles", "--rasters", str(rasters), "--labels", str(labels), "--class_field", "kind"]
    return [*given, "--output_dir", str(out), "--tile_px", "64", *more]


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "train_masks_256").iterdir())


def test_tiles_of_a_folder_and_back(rasters: Path, labels: Path, tmp_path: Path) -> None:
    main(words(rasters, labels, tmp_path / "out", "--empty_share", "0.5", "--seed", "3"))
    assert len(names(tmp_path / "out")) == 4
    main(["tiles", "--to_scenes", "--dataset_dir", str(tmp_path / "out"), "--output_dir", str(tmp_path / "scenes")])
    mask = read_tiff(tmp_path / "scenes" / "masks" / "a.tif").array
    assert mask.shape[1] == 192
    assert (mask[:10, :10] == 5).all()
    assert mask.sum() == 500


def test_tiles_of_a_file_and_of_a_pattern(rasters: Path, labels: Path, tmp_path: Path) -> None:
    main(words(rasters / "a.tif", labels, tmp_path / "one", "--empty_share", "0"))
    assert names(tmp_path / "one") == ["a.000001"]
    main(words(f"{rasters}/[b]*.tif", labels, tmp_path / "two", "--empty_share", "0"))
    assert names(tmp_path / "two") == ["b.000001"]


def test_options_reach_the_tiles(rasters: Path, labels: Path, tmp_path: Path) -> None:
    more = ["--pixel_size_m", "80", "--band", "1", "--layer", "labels", "--seed", "4", "--empty_share", "0.25"]
    main(words(rasters, labels, tmp_path / "out", *more))
    record = json.loads((tmp_path / "out" / "tiles.json").read_text())
    assert [scene["factor"] for scene in record["scenes"]] == [2, 2]
    found = {key: record[key] for key in ("tile_px", "empty_share", "seed", "band", "pixel_size_m", "layer")}
    # 80 m of the map, within .1 % on the ground.
    assert list(found.values()) == [64, 0.25, 4, 1, pytest.approx(80, rel=1e-3), "labels"]


def test_an_older_folder_needs_overwrite(rasters: Path, labels: Path, tmp_path: Path) -> None:
    main(words(rasters, labels, tmp_path / "out"))
    with pytest.raises(SystemExit, match=r"holds files.*--overwrite"):
        main(words(rasters, labels, tmp_path / "out"))
    main(words(rasters / "a.tif", labels, tmp_path / "out", "--empty_share", "0", "--overwrite"))
    assert names(tmp_path / "out") == ["a.000001"]


def test_columns_of_the_scenes_are_given(rasters: Path, labels: Path, tmp_path: Path) -> None:
    main(words(rasters, labels, tmp_path / "out", "--empty_share", "0.8"))
    back = ["tiles", "--to_scenes", "--dataset_dir", str(tmp_path / "out"), "--output_dir", str(tmp_path / "scenes")]
    main([*back, "--columns", "{'a': 6}"])
    assert read_tiff(tmp_path / "scenes" / "images" / "a.tif").array.shape[1] == 6 * 64
    assert read_tiff(tmp_path / "scenes" / "images" / "b.tif").array.shape[1] == 3 * 64
    main([*back, "--columns", "2", "--overwrite"])
    assert read_tiff(tmp_path / "scenes" / "images" / "b.tif").array.shape[1] == 2 * 64


@pytest.mark.parametrize("text", ["0", "-3", "many", "{'a': 0}", "[1]", "1.5"])
def test_other_columns_raise(text: str) -> None:
    with pytest.raises(ConfigError, match="columns: expected auto"):
        _columns(text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "--rasters, --labels are required"),
        (["--to_scenes"], "--dataset_dir is required"),
        (["--to_scenes", "--dataset_dir", "DIR", "--seed", "0"], "--seed has no effect with --to_scenes"),
        (["--rasters", "A", "--labels", "B", "--columns", "3"], "--columns has no effect without --to_scenes"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["tiles", "--output_dir", "OUT", *given])
    assert message in capsys.readouterr().err


def test_errors_are_one_line(rasters: Path, labels: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"nowhere.*--rasters"):
        main(words(tmp_path / "nowhere", labels, tmp_path / "out"))
    with pytest.raises(SystemExit, match=r"the fields are kind"):
        main(["tiles", "--rasters", str(rasters), "--labels", str(labels), "--output_dir", str(tmp_path / "out")])


def test_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["tiles", "--help"])
    assert "seep-monai tiles --rasters PATH --labels FILE" in capsys.readouterr().out
