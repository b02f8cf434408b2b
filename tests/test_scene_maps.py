"""Maps of scenes as Cloud-Optimised GeoTIFFs, checked by rio-cogeo and read by rasterio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rio_cogeo.cogeo import cog_validate

from seep_monai.classes import CLASS_COLOURS
from seep_monai.scene.maps import SceneMaps

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

SHAPE = (600, 700)
AFFINE = {"crs": "EPSG:32616", "transform": rasterio.Affine(40.0, 0.0, 500_000.0, 0.0, -40.0, 4_000_000.0)}
POINTS = [
    GroundControlPoint(r, c, -90 + c / 1000, 27 - r / 1000) for r in range(0, 601, 200) for c in range(0, 701, 100)
]


def written(tmp_path: Path, georeference: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, list[Path]]:
    """Probability and class map as given, and the two files."""
    rng = np.random.default_rng(0)
    seep, valid = rng.random(SHAPE), rng.random(SHAPE) > 0.1
    folder = tmp_path / "temporary"
    folder.mkdir()
    maps = SceneMaps(folder, SHAPE, georeference, {"TIFFTAG_IMAGEDESCRIPTION": "made by a test"})
    for top in range(0, SHAPE[0], 256):
        rows = slice(top, top + 256)
        maps.write(top, seep[rows], valid[rows])
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[100:300, 200:210] = 7
    maps.paint(slice(90, 310), slice(190, 220), drawn[90:310, 190:220])
    maps.paint(slice(0, 9), slice(0, 9), drawn[:9, :9])
    paths = maps.finish(tmp_path / "coast")
    assert list(folder.iterdir()) == []
    classes = np.where(drawn > 0, drawn, np.where(valid, 0, 255))
    return np.where(valid, seep, np.nan), classes, paths


@pytest.mark.parametrize(
    "georeference", [AFFINE, {"gcps": POINTS, "crs": "EPSG:4326"}, {}], ids=["affine", "gcps", "none"]
)
def test_files_are_valid_cogs_with_the_place_of_the_input(tmp_path: Path, georeference: dict[str, Any]) -> None:
    _, _, paths = written(tmp_path, georeference)
    assert [path.name for path in paths] == ["coast_probability.tif", "coast_classes.tif"]
    for path in paths:
        is_valid, errors, _ = cog_validate(path, quiet=True)
        assert (is_valid, errors) == (True, [])
        with rasterio.open(path) as file:
            assert file.overviews(1) == [2, 4]
            if "transform" in georeference:
                assert (file.transform, file.crs.to_epsg()) == (AFFINE["transform"], 32616)
            points = [(p.row, p.col, p.x, p.y) for p in file.gcps[0]]
            assert points == [(p.row, p.col, p.x, p.y) for p in georeference.get("gcps", [])]
            assert file.tags()["TIFFTAG_IMAGEDESCRIPTION"] == "made by a test"


def test_values_scale_no_data_and_colours(tmp_path: Path) -> None:
    seep, classes, paths = written(tmp_path, AFFINE)
    with rasterio.open(paths[0]) as file:
        assert (file.dtypes, file.nodata, file.scales) == (("uint8",), 255, (1 / 250,))
        found = np.where(file.read(1) == 255, np.nan, file.read(1) * file.scales[0])
    assert (np.isnan(found) == np.isnan(seep)).all()
    assert np.nanmax(np.abs(found - seep)) <= 1 / 500 + 1e-12
    with rasterio.open(paths[1]) as file:
        assert (file.dtypes, file.nodata) == (("uint8",), 255)
        assert (file.read(1) == classes).all()
        colours = file.colormap(1)
    assert [colours[k][:3] for k in range(8)] == list(CLASS_COLOURS)
