"""Counts of the script that scores maps of simulated scenes, on a scene worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.errors import NotGeoreferencedWarning
from script_runs import run_script


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """One scene of 100 x 100 px: a dark seep that is drawn, a faint one that is not, a false alarm, 10 rows unknown."""
    dn, truth = np.full((100, 100), 100, np.uint16), np.zeros((100, 100), np.uint8)
    truth[20:30, 20:30], dn[20:30, 20:30] = 1, 60
    truth[60:70, 20:30], dn[60:70, 20:30] = 5, 95
    classes = np.zeros((100, 100), np.uint8)
    classes[20:30, 20:40] = 2  # IoU .5
    classes[60:70, 60:70] = 1
    classes[90:], dn[90:] = 255, 0
    scenes, maps = tmp_path / "scenes", tmp_path / "maps"
    for path, image in (
        (scenes / "images" / "a.tif", dn),
        (scenes / "masks" / "a.tif", truth),
        (maps / "a_classes.tif", classes),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {"driver": "GTiff", "height": 100, "width": 100, "count": 1, "dtype": image.dtype}
        with pytest.warns(NotGeoreferencedWarning), rasterio.open(path, "w", **profile) as raster:
            raster.write(image, 1)
    # Polygons of a scene without a coordinate system: x = column, y = -row.
    drawn = [shapely.box(20, -30, 40, -20), shapely.box(60, -70, 70, -60)]
    wkb = np.array([shapely.to_wkb(polygon) for polygon in drawn], object)
    pyogrio.raw.write(
        maps / "a_seeps.gpkg", geometry=wkb, field_data=[], fields=[], layer="seeps", geometry_type="Polygon"
    )
    return scenes, maps


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_counts_of_one_scene(folders: tuple[Path, Path]) -> None:
    scenes, maps = folders
    done = run_script("score_simulated_scenes", scenes, maps, "--pixel_size_m", 100)

    assert done.returncode == 0, done.stderr
    figures = json.loads((maps / "scores.json").read_text())
    assert (figures["seeps"], figures["found"], figures["dark_seeps"], figures["dark_found"]) == (2, 1, 1, 1)
    assert [figures[f"dark_seeps_{name}"] for name in ("30_to_100_px", "100_to_500_px")] == [0, 1]
    assert (figures["dark_found_100_to_500_px"], figures["dark_recall_30_to_100_px"]) == (1, None)
    assert (figures["objects"], figures["false_alarms"], figures["area_km2"]) == (2, 1, 90.0)
    assert figures["false_alarms_per_1000_km2"] == pytest.approx(1000 / 90)
    assert figures["dark_recall"] == 1


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_plain_threshold_finds_the_large_and_dark(folders: tuple[Path, Path]) -> None:
    scenes, _ = folders
    with rasterio.open(scenes / "images" / "a.tif", "r+") as raster:
        dn = raster.read(1)
        dn[15:35, 15:35], dn[60:65, 70:75] = 50, 10  # 400 px at half of the median; 25 px, too small
        raster.write(dn, 1)
    done = run_script("score_simulated_scenes", scenes)

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["objects"], figures["found"], figures["false_alarms"]) == (1, 1, 0)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_missing_map_is_named(folders: tuple[Path, Path]) -> None:
    scenes, maps = folders
    (maps / "a_classes.tif").unlink()
    done = run_script("score_simulated_scenes", scenes, maps)

    assert done.returncode == 1
    assert "a_classes.tif: expected the result" in done.stderr
