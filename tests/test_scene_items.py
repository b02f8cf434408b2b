"""What an inference takes for tiles and for rasters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seep_monai.errors import ConfigError, DataError
from seep_monai.instances.components import DEFAULT_SETTINGS
from seep_monai.scene.items import Inputs, find_inputs
from seep_monai.scene.outputs import map_description
from seep_monai.tiff import write_tiff


def image(path: Path, rows: int = 8, columns: int = 8, description: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tiff(path, np.ones((rows, columns), np.uint16), description=description)
    return path


def test_images_larger_than_a_tile_are_rasters(tmp_path: Path) -> None:
    small, wide, high = image(tmp_path / "a.tif"), image(tmp_path / "b.tiff", 8, 9), image(tmp_path / "c.TIF", 9, 8)
    (tmp_path / "notes.txt").write_text("not an image")
    assert find_inputs(tmp_path, tile_size=(8, 8)) == Inputs((small,), (wide, high))
    assert find_inputs(small, tile_size=(8, 8)) == Inputs((small,), ())


def test_kind_can_be_chosen(tmp_path: Path) -> None:
    small, wide = image(tmp_path / "a.tif"), image(tmp_path / "b.tif", 8, 9)
    assert find_inputs(tmp_path, treat_as="raster", tile_size=(8, 8)) == Inputs((), (small, wide))
    assert find_inputs(small, treat_as="tile", tile_size=(8, 8)) == Inputs((small,), ())
    with pytest.raises(ConfigError, match=r"no larger than a tile of 8 x 8 px for --as tile, but b\.tif are larger"):
        find_inputs(tmp_path, treat_as="tile", tile_size=(8, 8))


def test_patterns_lists_vrt_and_safe_folders(tmp_path: Path) -> None:
    first, second = image(tmp_path / "x" / "a1.tif"), image(tmp_path / "x" / "b2.tif")
    safe, vrt = tmp_path / "x" / "S1A_IW.SAFE", tmp_path / "x" / "m.vrt"
    safe.mkdir()
    vrt.write_text("<VRTDataset/>")
    assert find_inputs(tmp_path / "x").rasters == (safe, vrt)
    assert find_inputs(str(tmp_path / "x" / "a*.tif")).tiles == (first,)
    assert find_inputs([second, first, first]).tiles == (second, first)
    assert find_inputs(safe).rasters == (safe,)


def test_maps_of_an_earlier_inference_are_left_out(tmp_path: Path) -> None:
    mine = map_description(1.0, "ab", DEFAULT_SETTINGS, classified=False)
    kept = [image(tmp_path / "a.tif"), image(tmp_path / "sea_classes.tif", description="land cover")]
    for name in ("a_classes.tif", "a_probability.tif"):
        image(tmp_path / name, description=mine)
    assert find_inputs(tmp_path).tiles == tuple(kept)


def test_unreadable_image_is_a_raster_and_reported_there(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("not a picture")
    assert find_inputs(tmp_path).rasters == (tmp_path / "a.tif",)


def test_nothing_and_equal_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: expected an image or a folder, but there is none"):
        find_inputs(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"expected images, but found none.*--input"):
        find_inputs(tmp_path)
    image(tmp_path / "a.tif")
    image(tmp_path / "a.tiff")
    with pytest.raises(DataError, match="several are named a"):
        find_inputs(tmp_path)


def test_files_that_macos_adds_are_no_images(tmp_path: Path) -> None:
    sound = image(tmp_path / "a.tif")
    (tmp_path / "._a.tif").write_bytes(b"\0\5\x16\7")
    for source in (tmp_path, str(tmp_path / "*.tif")):
        assert find_inputs(source).tiles == (sound,)
