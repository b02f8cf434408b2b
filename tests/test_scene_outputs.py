"""Tests of `seep_monai.scene.outputs`; numpy and rasterio are the independent truth."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from monai.transforms import Compose, LoadImaged
from rasterio.transform import Affine

from seep_monai.dataset.transforms import NormaliseByScened
from seep_monai.errors import ConfigError, DataError, TiffError
from seep_monai.scene.items import inference_items
from seep_monai.scene.outputs import SaveSeepMapsd
from seep_monai.tiff import write_tiff

NORTH_UP = Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4000000.0)
SHA256 = "ab" * 32


def write_image(path: Path, image: Any, dtype: str = "uint16", no_data: float | None = None) -> Path:
    path.parent.mkdir(exist_ok=True)
    write_tiff(path, np.array(image, dtype), no_data=no_data)
    return path


def test_inference_items_file_one_item_with_its_own_median(tmp_path: Path) -> None:
    path = write_image(tmp_path / "041869.000003.tif", [[0, 10], [20, 40]])
    assert inference_items([path]) == [
        {"image": str(path), "tile": "041869.000003", "scene": "041869", "scene_level": 20.0}
    ]


def test_inference_items_relative_path_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.tif", [[5]])
    monkeypatch.chdir(tmp_path)
    assert inference_items([Path("a.tif")])[0]["image"] == str(tmp_path / "a.tif")


def test_inference_items_folder_level_is_median_over_all_tiles_of_a_scene(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    images = {name: rng.integers(0, 99, (6, 7)).astype(np.uint16) for name in ("a.2", "b.1", "a.1")}
    for name, image in images.items():
        write_tiff(tmp_path / f"{name}.tif", image)
    scene_a = np.concatenate([images["a.1"], images["a.2"]])
    levels = {"a": np.median(scene_a[scene_a > 0]), "b": np.median(images["b.1"][images["b.1"] > 0])}
    found = [(item["tile"], item["scene_level"]) for item in inference_items(sorted(tmp_path.glob("*.tif")))]
    assert found == [("a.1", levels["a"]), ("a.2", levels["a"]), ("b.1", levels["b"])]


def test_inference_items_scene_pattern_groups_the_tiles(tmp_path: Path) -> None:
    for name, value in (("x_east", 10), ("y_east", 20), ("x_west", 70)):
        write_image(tmp_path / f"{name}.tif", [[value]])
    items = inference_items(sorted(tmp_path.glob("*.tif")), scene_pattern=r"._(.*)")
    assert [(item["scene"], item["scene_level"]) for item in items] == [("east", 15.0), ("west", 70.0), ("east", 15.0)]


def test_inference_items_declared_no_data_left_out_of_the_level(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", [[np.nan, 4.0], [6.0, 9.0]], "float32", no_data=math.nan)
    assert inference_items([path])[0]["scene_level"] == 6.0


def test_inference_items_given_level_overrides_and_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.1.tif").write_text("not a picture")
    assert inference_items(sorted(tmp_path.glob("*.tif")), scene_level=123)[0]["scene_level"] == 123.0


@pytest.mark.parametrize("level", [0, -5.0, math.nan, math.inf, "300", True])
def test_inference_items_bad_given_level_refused(tmp_path: Path, level: Any) -> None:
    path = write_image(tmp_path / "a.tif", [[5]])
    with pytest.raises(ConfigError, match="scene_level: expected a finite number above 0"):
        inference_items([path], scene_level=level)


def test_inference_items_scene_without_valid_pixel_refused_by_name_with_remedy(tmp_path: Path) -> None:
    write_image(tmp_path / "a.1.tif", [[5]])
    write_image(tmp_path / "b.1.tif", [[0]])
    with pytest.raises(DataError, match=r"scene b: .*at least one valid pixel.*--scene_level"):
        inference_items(sorted(tmp_path.glob("*.tif")))


def test_inference_items_tile_without_data_beside_others_kept(tmp_path: Path) -> None:
    write_image(tmp_path / "a.1.tif", [[5]])
    write_image(tmp_path / "a.2.tif", [[0]])
    assert [item["scene_level"] for item in inference_items(sorted(tmp_path.glob("*.tif")))] == [5.0, 5.0]


def test_inference_items_undeclared_nan_refused_by_name(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", [[np.nan, 4.0, 5.0]], "float32")
    with pytest.raises(DataError, match=r"a\.tif: expected finite values, but 1 pixels"):
        inference_items([path])


def test_inference_items_unreadable_file_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("not a picture")
    with pytest.raises(TiffError, match=r"a\.tif: expected a readable TIFF"):
        inference_items(sorted(tmp_path.glob("*.tif")))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A geo-referenced 3 x 4 image of DN 100 whose first row is no-data (0)."""
    image = np.full((3, 4), 100, np.uint16)
    image[0] = 0
    path = tmp_path / "041869.7.tif"
    profile = {"driver": "GTiff", "height": 3, "width": 4, "count": 1, "dtype": "uint16"}
    with rasterio.open(path, "w", **profile, transform=NORTH_UP, crs="EPSG:32616") as target:
        target.write(image, 1)
    return path


@pytest.fixture
def probabilities() -> torch.Tensor:
    """(8, 3, 4): in two columns class 3 wins with .6 (seep .7), in the other two background with .75 (seep .25)."""
    values = torch.zeros(8, 3, 4)
    values[0, :, :2], values[3, :, :2], values[5, :, :2] = 0.3, 0.6, 0.1
    values[0, :, 2:], values[1, :, 2:] = 0.75, 0.25
    return values


@pytest.fixture
def outputs(source: Path, probabilities: torch.Tensor, tmp_path: Path) -> Path:
    """The folder that `SaveSeepMapsd` filled for `source`."""
    folder = tmp_path / "out"
    folder.mkdir()
    load = LoadImaged("image", ensure_channel_first=True)
    prepare = Compose([load, NormaliseByScened("image", label_key=None, valid_key="valid")])
    data = prepare(inference_items([source])[0]) | {"pred": probabilities}
    passed_on = SaveSeepMapsd(output_dir=folder, weights_sha256=SHA256)(data)
    assert passed_on["pred"] is probabilities
    return folder


def test_save_seep_maps_writes_two_files_named_after_the_image(outputs: Path) -> None:
    assert sorted(path.name for path in outputs.iterdir()) == [
        "041869.7_classes.tif",
        "041869.7_probability.tif",
    ]


def test_save_seep_maps_class_map_values_dtype_and_no_data(outputs: Path) -> None:
    with rasterio.open(outputs / "041869.7_classes.tif") as file:
        assert (file.count, file.dtypes, file.nodata) == (1, ("uint8",), 255)
        assert file.read(1).tolist() == [[255, 255, 255, 255], [3, 3, 0, 0], [3, 3, 0, 0]]


def test_save_seep_maps_probability_is_the_summed_seep_probability_nan_without_data(outputs: Path) -> None:
    with rasterio.open(outputs / "041869.7_probability.tif") as file:
        assert (file.count, file.dtypes) == (1, ("float32",))
        assert math.isnan(file.nodata)
        row = [0.7, 0.7, 0.25, 0.25]
        np.testing.assert_allclose(file.read(1), [[np.nan] * 4, row, row], atol=1e-6)


@pytest.mark.parametrize("kind", ["classes", "probability"])
def test_save_seep_maps_place_is_the_sources(outputs: Path, kind: str) -> None:
    with rasterio.open(outputs / f"041869.7_{kind}.tif") as file:
        assert file.transform == NORTH_UP
        assert file.crs.to_epsg() == 32616


@pytest.mark.parametrize("kind", ["classes", "probability"])
def test_save_seep_maps_description_names_level_and_weights(outputs: Path, kind: str) -> None:
    with rasterio.open(outputs / f"041869.7_{kind}.tif") as file:
        description = json.loads(file.tags()["TIFFTAG_IMAGEDESCRIPTION"])
    assert description["scene_level"] == 100.0
    assert description["weights_sha256"] == SHA256
    assert description["normalisation_version"] == 1


def test_save_seep_maps_image_without_place_and_half_precision_written(tmp_path: Path) -> None:
    path = write_image(tmp_path / "in" / "b.1.tif", [[100, 100]])
    load = Compose(
        [LoadImaged("image", ensure_channel_first=True), NormaliseByScened(label_key=None, valid_key="valid")]
    )
    pred = torch.zeros(8, 1, 2, dtype=torch.bfloat16)
    pred[0, 0, 0], pred[7, 0, 1] = 1.0, 1.0
    SaveSeepMapsd(output_dir=tmp_path, weights_sha256=SHA256)(load(inference_items([path])[0]) | {"pred": pred})
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        file = rasterio.open(tmp_path / "b.1_classes.tif")
    with file:
        assert file.read(1).tolist() == [[0, 7]]
        assert file.crs is None
