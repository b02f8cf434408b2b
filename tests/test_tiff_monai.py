"""TIFF files in MONAI: the reader that LoadImaged finds and the writer for SaveImaged; rasterio is the truth."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from monai.data import DataLoader, Dataset, decollate_batch, list_data_collate
from monai.transforms import Compose, Flipd, Invertd, LoadImage, LoadImaged, SaveImaged
from tiff_files import NORTH_UP, ROTATED, georeference, make_gcp_tiff, make_geo_tiff, make_tiff, pixels

from seep_monai.errors import TiffError
from seep_monai.tiff import TiffMeta, TiffReader, TiffWriter, read_tiff


def load(path: Path) -> torch.Tensor:
    return LoadImaged(keys="image", ensure_channel_first=True)({"image": str(path)})["image"]


def saver(folder: Path, **init_kwargs) -> SaveImaged:
    save = SaveImaged(
        keys="image",
        output_dir=folder,
        output_postfix="out",
        output_ext=".tif",
        output_dtype=np.uint16,
        separate_folder=False,
        print_log=False,
        writer="seep_monai.tiff.TiffWriter",
    )
    return save.set_options(init_kwargs=init_kwargs) or save


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
    assert TiffMeta.from_meta(image.meta) == TiffMeta(7.0, tuple(NORTH_UP)[:6], source.geo_tags, "uint16")


def test_load_imaged_affine_takes_row_col_to_pixel_centre(tmp_path):
    affine = load(make_geo_tiff(tmp_path / "a.tif", pixels(), ROTATED)).affine
    # Row 2, column 3: centre (2.5, 3.5) from the corner, x = 8 * 3.5 + 6 * 2.5, y = 6 * 3.5 - 8 * 2.5.
    np.testing.assert_allclose(affine.numpy() @ [2, 3, 1], [500043.0, 4000001.0, 1.0])


def test_load_imaged_affine_without_transform_is_identity(tmp_path):
    np.testing.assert_array_equal(load(make_gcp_tiff(tmp_path / "a.tif", pixels())).affine, np.eye(3))


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
        assert (meta.transform, meta.geo_tags) == (image.transform, image.geo_tags)
        assert meta.source_dtype == image.array.dtype.name


def test_data_loader_worker_processes_read_the_file(tmp_path):
    path = make_tiff(tmp_path / "a.tif", pixels())
    dataset = Dataset([{"image": str(path)}] * 2, LoadImaged(keys="image", ensure_channel_first=True))
    loader = DataLoader(dataset, batch_size=2, num_workers=1, multiprocessing_context="spawn")
    np.testing.assert_array_equal(next(iter(loader))["image"][1, 0].numpy(), pixels())


def test_reader_pickled_keeps_its_band():
    assert pickle.loads(pickle.dumps(TiffReader(band=2))).band == 2


@pytest.mark.parametrize("kind", ["plain", "north", "rotated", "gcp"])
def test_save_imaged_after_collate_keeps_georeference(tmp_path, kind):
    path = tmp_path / "scene.000001.tif"
    if kind == "plain":
        make_tiff(path, pixels())
    elif kind == "gcp":
        make_gcp_tiff(path, pixels())
    else:
        make_geo_tiff(path, pixels(), NORTH_UP if kind == "north" else ROTATED, nodata=7)
    batch = list_data_collate([{"image": load(path)}, {"image": load(path)}])
    (tmp_path / "out").mkdir()
    saver(tmp_path / "out")(decollate_batch(batch)[1])
    (saved,) = (tmp_path / "out").iterdir()
    assert georeference(saved) == georeference(path)
    with rasterio.open(saved) as file:
        assert file.dtypes[0] == "uint16"
        np.testing.assert_array_equal(file.read(1), pixels())


def test_save_imaged_options_reach_the_file(tmp_path):
    path = make_geo_tiff(tmp_path / "a.tif", pixels(), nodata=7)
    saver(tmp_path, no_data=9, description="potential slick", compression="zlib")({"image": load(path)})
    with rasterio.open(tmp_path / "a_out.tif") as file:
        assert (file.nodata, file.compression.name) == (9, "deflate")
        assert file.tags()["TIFFTAG_IMAGEDESCRIPTION"] == "potential slick"


def test_save_imaged_no_data_none_writes_no_tag(tmp_path):
    path = make_geo_tiff(tmp_path / "a.tif", pixels(), nodata=7)
    saver(tmp_path, no_data=None)({"image": load(path)})
    assert georeference(tmp_path / "a_out.tif")["nodata"] is None


def test_save_imaged_flipped_georeferenced_image_raises(tmp_path):
    flipped = Flipd("image", spatial_axis=0)({"image": load(make_geo_tiff(tmp_path / "a.tif", pixels()))})
    with pytest.raises(RuntimeError, match="Undo flips, crops and resizing with Invertd"):
        saver(tmp_path)(flipped)


def test_save_imaged_inverted_image_is_written(tmp_path):
    path = make_geo_tiff(tmp_path / "a.tif", pixels())
    transform = Compose([LoadImaged("image", ensure_channel_first=True), Flipd("image", spatial_axis=0)])
    inverted = Invertd("image", transform, orig_keys="image", nearest_interp=False)(transform({"image": path}))
    saver(tmp_path)(inverted)
    with rasterio.open(tmp_path / "a_out.tif") as file:
        np.testing.assert_array_equal(file.read(1), pixels())


def written(path: Path, array, output_dtype=None, channel_dim: int | None = 0) -> np.ndarray:
    writer = TiffWriter(output_dtype=output_dtype)
    writer.set_data_array(array, channel_dim=channel_dim)
    writer.set_metadata(None)
    writer.write(path, verbose=False)
    with rasterio.open(path) as file:
        return file.read(1)


@pytest.mark.parametrize(("axis", "channel_dim"), [(None, None), (None, 0), (0, 0), (0, None), (2, -1)])
def test_writer_any_channel_place_gives_rows_first(tmp_path, axis, channel_dim):
    array = pixels() if axis is None else np.expand_dims(pixels(), axis)
    np.testing.assert_array_equal(written(tmp_path / "a.tif", array, channel_dim=channel_dim), pixels())


@pytest.mark.parametrize(("output_dtype", "expected"), [(None, "float32"), (np.uint8, "uint8"), ("float64", "float64")])
def test_writer_output_dtype_is_the_files(tmp_path, output_dtype, expected):
    assert written(tmp_path / "a.tif", torch.ones(1, 4, 5), output_dtype).dtype == expected


def test_writer_several_channels_raises():
    with pytest.raises(TiffError, match=r"got shape \(8, 4, 5\)"):
        TiffWriter().set_data_array(np.ones((8, 4, 5)), channel_dim=0)


@pytest.mark.parametrize("value", [-1.0, 256.0, 0.5, np.nan])
def test_writer_value_beyond_output_dtype_raises(tmp_path, value):
    with pytest.raises(TiffError, match="values that uint8 can hold, but got 1 others"):
        written(tmp_path / "a.tif", np.array([[value, 1.0]]), np.uint8)


def test_writer_float_overflow_raises(tmp_path):
    with pytest.raises(TiffError, match="values that float32 can hold"):
        written(tmp_path / "a.tif", np.array([[1e300]]), np.float32)


def test_writer_scale_raises():
    with pytest.raises(TiffError, match="scale: expected None, but got 255"):
        TiffWriter(scale=255)
