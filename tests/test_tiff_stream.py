"""Tests of `seep_monai.tiff_stream`; rasterio, tifffile and `read_tiff` read what it wrote."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile

from seep_monai import tiff_stream
from seep_monai.errors import TiffError
from seep_monai.geo import GeoTags
from seep_monai.tiff import DTYPES, read_tiff
from seep_monai.tiff_stream import TiffStream

UTM_TAGS: GeoTags = {
    33550: (10.0, 10.0, 0.0),
    33922: (0.0, 0.0, 0.0, 500000.0, 4000000.0, 0.0),
    34735: (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32618),
}


def pixels(dtype: str = "uint16", shape: tuple[int, int] = (600, 530)) -> np.ndarray:
    """Different values at every place, so that a transposed or shifted result is found."""
    return (np.random.default_rng(3).random(shape) * 200 + 1).astype(dtype)


def stream(path: Path, array: np.ndarray, **options) -> Path:
    with TiffStream(path, array.shape, array.dtype, **options) as out:
        for start in range(0, len(array), 256):
            out.write(array[start : start + 256])
    return path


@pytest.mark.parametrize("compression", [None, "deflate", "zlib"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_stream_each_dtype_reads_back(tmp_path, dtype, compression):
    array = pixels(dtype)
    path = stream(tmp_path / "a.tif", array, compression=compression)
    image = read_tiff(path)
    assert image.array.dtype == array.dtype
    np.testing.assert_array_equal(image.array, array)
    with rasterio.open(path) as file:
        assert file.dtypes == (dtype,)
        np.testing.assert_array_equal(file.read(1), array)


@pytest.mark.parametrize("shape", [(1, 1), (255, 3), (256, 256), (257, 256), (256, 257), (512, 1)])
def test_stream_shapes_around_a_tile_read_back(tmp_path, shape):
    array = pixels(shape=shape)
    path = stream(tmp_path / "a.tif", array)
    np.testing.assert_array_equal(read_tiff(path).array, array)
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(1), array)


def test_stream_is_tiled_in_blocks_of_256(tmp_path):
    with rasterio.open(stream(tmp_path / "a.tif", pixels(), compression="deflate")) as file:
        assert file.block_shapes == [(256, 256)]
        assert file.profile["compress"] == "deflate"
        np.testing.assert_array_equal(file.read(1, window=((250, 260), (500, 530))), pixels()[250:260, 500:530])


def test_stream_no_data_and_geo_tags_as_rasterio_reads_them(tmp_path):
    with rasterio.open(stream(tmp_path / "a.tif", pixels(), no_data=0, geo_tags=UTM_TAGS)) as file:
        assert file.nodata == 0
        assert file.crs.to_epsg() == 32618
        assert tuple(file.transform)[:6] == (10.0, 0.0, 500000.0, 0.0, -10.0, 4000000.0)


def test_stream_tags_as_read_tiff_reads_them(tmp_path):
    tags = {**UTM_TAGS, 34737: "WGS 84 / UTM zone 18N|"}
    image = read_tiff(stream(tmp_path / "a.tif", pixels("float32"), no_data=float("nan"), geo_tags=tags))
    assert np.isnan(image.no_data)
    assert image.geo_tags == tags


def test_stream_without_options_has_neither_no_data_nor_place(tmp_path):
    image = read_tiff(stream(tmp_path / "a.tif", pixels()))
    assert (image.no_data, image.geo_tags, image.description) == (None, {}, None)


def test_stream_other_byte_order_reads_back(tmp_path):
    array = pixels().astype(">u2")
    np.testing.assert_array_equal(read_tiff(stream(tmp_path / "a.tif", array)).array, array)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_stream_above_the_classic_limit_is_a_bigtiff(tmp_path, monkeypatch, compression):
    monkeypatch.setattr(tiff_stream, "_CLASSIC_LIMIT_BYTES", 2**20)
    path = stream(tmp_path / "a.tif", pixels(), no_data=0, geo_tags=UTM_TAGS, compression=compression)
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff
    image = read_tiff(path)
    np.testing.assert_array_equal(image.array, pixels())
    assert (image.no_data, image.geo_tags) == (0, UTM_TAGS)
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 32618
        np.testing.assert_array_equal(file.read(1), pixels())


@pytest.mark.parametrize(
    ("shape", "dtype", "is_big"),
    [
        ((600, 530), "uint16", False),
        # 181 x 181 tiles of 2 x 65536 bytes are 4,294,049,792 bytes, 917,504 below 4 GiB: no room for growth.
        ((46336, 46336), "uint16", True),
        ((45000, 45000), "uint16", False),
        ((70000, 70000), "uint8", True),
    ],
)
def test_stream_is_big_where_four_gibibytes_may_not_do(tmp_path, shape, dtype, is_big):
    assert TiffStream(tmp_path / "a.tif", shape, dtype).is_big is is_big


def test_two_streams_in_parallel_read_back(tmp_path):
    image, mask = pixels(), pixels("uint8")
    with (
        TiffStream(tmp_path / "image.tif", image.shape, "uint16", compression="deflate") as first,
        TiffStream(tmp_path / "mask.tif", mask.shape, "uint8") as second,
    ):
        for start in (0, 256, 512):
            first.write(image[start : start + 256])
            second.write(mask[start : start + 256])
    np.testing.assert_array_equal(read_tiff(tmp_path / "image.tif").array, image)
    np.testing.assert_array_equal(read_tiff(tmp_path / "mask.tif").array, mask)


def test_stream_memory_stays_at_a_block_row(tmp_path):
    row = pixels(shape=(256, 2048))
    tracemalloc.start()
    with TiffStream(tmp_path / "a.tif", (256 * 20, 2048), "uint16") as out:
        for _ in range(20):
            out.write(row)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < row.nbytes


def test_stream_appears_at_the_end_only(tmp_path):
    path, array = tmp_path / "a.tif", pixels(shape=(300, 40))
    with TiffStream(path, array.shape, array.dtype) as out:
        out.write(array[:256])
        out.write(array[256:])
        assert not path.exists()
    assert [child.name for child in tmp_path.iterdir()] == ["a.tif"]


def test_stream_error_inside_leaves_the_older_file_alone(tmp_path):
    path = stream(tmp_path / "a.tif", pixels())
    before = path.read_bytes()
    with pytest.raises(TiffError), TiffStream(path, (600, 530), "uint16") as out:
        out.write(pixels())
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["a.tif"]


def test_stream_with_rows_missing_raises_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(TiffError, match="expected 600 rows, but got 256"),
        TiffStream(tmp_path / "a.tif", (600, 530), "uint16") as out,
    ):
        out.write(pixels()[:256])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        pixels(shape=(255, 530)),
        pixels(shape=(256, 529)),
        pixels(shape=(600, 530)),
        pixels("uint8", (256, 530)),
        np.zeros((256, 530, 1), "uint16"),
    ],
)
def test_stream_write_of_another_shape_or_dtype_raises(tmp_path, wrong):
    with (
        pytest.raises(TiffError, match=r"expected uint16 of shape \(256, 530\) from row 0 on"),
        TiffStream(tmp_path / "a.tif", (600, 530), "uint16") as out,
    ):
        out.write(wrong)


def test_stream_write_beyond_the_last_row_raises(tmp_path):
    array = pixels(shape=(256, 40))
    with TiffStream(tmp_path / "a.tif", (256, 40), "uint16") as out:
        out.write(array)
        with pytest.raises(TiffError, match=r"shape \(0, 40\)"):
            out.write(array)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "int64"},
        {"shape": (0, 5)},
        {"no_data": 70000},
        {"compression": "lzw"},
        {"geo_tags": {270: "no geo tag"}},
    ],
)
def test_stream_what_write_tiff_refuses_is_refused(tmp_path, options):
    given = {"shape": (5, 5), "dtype": "uint16", **options}
    with pytest.raises(TiffError):
        TiffStream(tmp_path / "a.tif", given.pop("shape"), given.pop("dtype"), **given)


def test_stream_into_a_missing_folder_raises(tmp_path):
    with (
        pytest.raises(TiffError, match=r"a place to write.*No such file"),
        TiffStream(tmp_path / "none" / "a.tif", (5, 5), "uint16"),
    ):
        pass


def test_stream_on_a_full_disk_raises_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(TiffError, match="No space left"):
        stream(tmp_path / "a.tif", pixels())
    assert list(tmp_path.iterdir()) == []
