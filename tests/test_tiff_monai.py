"""TIFF files in MONAI: the reader that LoadImaged finds; rasterio writes the files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from monai.data import DataLoader, Dataset, decollate_batch, list_data_collate
from monai.transforms import LoadImage, LoadImaged
from tiff_files import ROTATED, make_gcp_tiff, make_geo_tiff, make_tiff, pixels

from seep_monai.dataset.masks import read_mask
from seep_monai.dataset.reader import TiffMeta, TiffReader
from seep_monai.dataset.transforms import NormaliseByScened
from seep_monai.errors import DataError, TiffError
from seep_monai.tiff import read_tiff


def load(path: Path) -> torch.Tensor:
    return LoadImaged(keys="image", ensure_channel_first=True)({"image": str(path)})["image"]


@pytest.mark.parametrize("name", ["scene.000001.tif", "scene.TIFF"])
def test_load_imaged_without_reader_gives_channel_then_rows(tmp_path, name):
    array = pixels()
    path = make_tiff(tmp_path / "a.tif", array).rename(tmp_path / name)
    image = load(path)
    assert image.shape == (1, 40, 53)
    np.testing.assert_array_equal(image[0].numpy(), array)


@pytest.mark.parametrize("name", ["a.png", "a.tif.gz", "tif"])
def test_reader_other_suffix_is_refused(name):
    assert not TiffReader().verify_suffix(("a.tif", name))


def test_load_imaged_band_option_reaches_the_reader(tmp_path):
    array = pixels(shape=(3, 40, 53))
    path = make_tiff(tmp_path / "a.tif", array)
    loaded = LoadImaged(keys="image", ensure_channel_first=True, band=2)({"image": path})["image"]
    np.testing.assert_array_equal(loaded[0].numpy(), array[1])


def test_load_image_truncated_file_raises_our_error(tmp_path):
    path = make_tiff(tmp_path / "a.tif", pixels())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TiffError, match="truncated"):
        LoadImage()(path)


def test_reader_several_files_raises(tmp_path):
    path = make_tiff(tmp_path / "a.tif", pixels())
    with pytest.raises(TiffError, match="one file per image"):
        LoadImage()([path, path])


def test_load_image_big_endian_without_dtype_keeps_values(tmp_path):
    image = LoadImage(dtype=None)(make_tiff(tmp_path / "a.tif", pixels("uint16"), endianness="BIG"))
    np.testing.assert_array_equal(image.numpy(), pixels("uint16"))


@pytest.mark.parametrize("simple_keys", [False, True])
def test_load_imaged_metadata_holds_the_files(tmp_path, simple_keys):
    path = make_geo_tiff(tmp_path / "a.tif", pixels(), nodata=7)
    image = LoadImaged(keys="image", simple_keys=simple_keys)({"image": path})["image"]
    source = read_tiff(path)
    assert TiffMeta.from_meta(image.meta) == TiffMeta(7.0, source.geo_tags, "uint16")


def test_load_imaged_affine_is_the_identity(tmp_path):
    np.testing.assert_array_equal(load(make_geo_tiff(tmp_path / "a.tif", pixels(), ROTATED)).affine, np.eye(4))


def test_meta_of_other_readers_gives_defaults():
    assert TiffMeta.from_meta({"affine": np.eye(4)}) == TiffMeta()


def test_collate_mixed_files_keeps_each_ones_metadata(tmp_path):
    paths = [
        make_tiff(tmp_path / "plain.tif", pixels()),
        make_geo_tiff(tmp_path / "north.tif", pixels(), nodata=7),
        make_geo_tiff(tmp_path / "rotated.tif", pixels("float32"), ROTATED, nodata=np.nan),
        make_gcp_tiff(tmp_path / "gcp.tif", pixels()),
    ]
    batch = list_data_collate([{"image": load(path)} for path in paths])
    for path, item in zip(paths, decollate_batch(batch), strict=True):
        image, meta = read_tiff(path), TiffMeta.from_meta(item["image"].meta)
        np.testing.assert_equal(meta.no_data, image.no_data)
        assert meta.geo_tags == image.geo_tags
        assert meta.source_dtype == image.array.dtype.name


def test_data_loader_worker_processes_read_the_file(tmp_path):
    path = make_tiff(tmp_path / "a.tif", pixels())
    dataset = Dataset([{"image": str(path)}] * 2, LoadImaged(keys="image", ensure_channel_first=True))
    loader = DataLoader(dataset, batch_size=2, num_workers=1, multiprocessing_context="spawn")
    np.testing.assert_array_equal(next(iter(loader))["image"][1, 0].numpy(), pixels())


def test_reader_pickled_keeps_its_band():
    assert pickle.loads(pickle.dumps(TiffReader(band=2))).band == 2


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8"])
def test_label_of_any_dtype_reaches_the_network_as_read_by_the_audit(tmp_path, dtype):
    labels = (np.arange(64).reshape(8, 8) % 2).astype(dtype)
    tifffile.imwrite(tmp_path / "mask.tif", labels, photometric="minisblack")
    tifffile.imwrite(tmp_path / "image.tif", np.full((8, 8), 90, np.uint16), photometric="minisblack")
    item = {"image": tmp_path / "image.tif", "label": tmp_path / "mask.tif", "scene_level": 90.0}
    loaded = NormaliseByScened("image")(LoadImaged(["image", "label"], ensure_channel_first=True)(item))
    np.testing.assert_array_equal(loaded["label"][0], read_mask(tmp_path / "mask.tif"))


def test_palette_as_image_is_refused(tmp_path):
    colours = np.zeros((3, 256), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", np.ones((8, 8), np.uint8), photometric="palette", colormap=colours)
    loaded = LoadImaged("image", ensure_channel_first=True)({"image": tmp_path / "a.tif", "scene_level": 1.0})
    with pytest.raises(DataError, match=r"a\.tif: expected an amplitude .*gdal_translate -expand gray"):
        NormaliseByScened("image", label_key=None)(loaded)
