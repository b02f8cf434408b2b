"""Writing by `seep_monai.tiff` and `seep_monai.geo`; rasterio is the independent truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from tiff_files import NORTH_UP, ROTATED, georeference, make_gcp_tiff, make_geo_tiff, pixels

from seep_monai.errors import TiffError
from seep_monai.tiff import read_tiff, write_tiff


@pytest.mark.parametrize("compression", [None, "zlib", "deflate"])
@pytest.mark.parametrize("shape", [(40, 53), (300, 270), (7, 3), (1, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_write_then_rasterio_reads_equal(tmp_path, dtype, shape, compression):
    array = pixels(dtype, shape)
    write_tiff(tmp_path / "a.tif", array, compression=compression)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert (file.count, file.dtypes[0]) == (1, dtype)
        np.testing.assert_array_equal(file.read(1), array)


def test_write_without_options_adds_no_tags(tmp_path):
    write_tiff(tmp_path / "a.tif", pixels())
    with rasterio.open(tmp_path / "a.tif") as file:
        assert [tag for tag in file.tags() if "DESCRIPTION" in tag or "SOFTWARE" in tag] == []


def test_write_big_endian_transposed_array_keeps_values(tmp_path):
    array = pixels(">u2").T
    write_tiff(tmp_path / "a.tif", array)
    with rasterio.open(tmp_path / "a.tif") as file:
        np.testing.assert_array_equal(file.read(1), array)


def test_write_zlib_is_smaller(tmp_path):
    write_tiff(tmp_path / "a.tif", np.zeros((300, 300), np.uint8), compression="zlib")
    assert (tmp_path / "a.tif").stat().st_size < 3000


@pytest.mark.parametrize(("dtype", "no_data"), [("uint8", 255), ("float32", np.nan), ("float64", 0.1), ("int16", -1)])
def test_write_no_data_is_rasterios(tmp_path, dtype, no_data):
    write_tiff(tmp_path / "a.tif", pixels(dtype), no_data=no_data)
    with rasterio.open(tmp_path / "a.tif") as file:
        np.testing.assert_equal(file.nodata, no_data)


def test_write_description_beyond_ascii_is_read_back(tmp_path):
    write_tiff(tmp_path / "a.tif", pixels(), description="σ0, Föhn")
    assert read_tiff(tmp_path / "a.tif").description == "σ0, Föhn"


@pytest.mark.parametrize("transform", [NORTH_UP, ROTATED])
@pytest.mark.parametrize("meaning", ["Area", "Point"])
def test_write_geo_tags_of_affine_file_are_kept(tmp_path, transform, meaning):
    source = make_geo_tiff(tmp_path / "a.tif", pixels(), transform)
    with rasterio.open(source, "r+") as file:
        file.update_tags(AREA_OR_POINT=meaning)
    write_tiff(tmp_path / "b.tif", pixels(), geo_tags=read_tiff(source).geo_tags)
    assert georeference(tmp_path / "b.tif") == georeference(source)


def test_write_control_points_are_kept(tmp_path):
    source = make_gcp_tiff(tmp_path / "a.tif", pixels())
    write_tiff(tmp_path / "b.tif", pixels(), no_data=0, geo_tags=read_tiff(source).geo_tags)
    assert georeference(tmp_path / "b.tif") == georeference(source)


def test_write_folder_absent_raises(tmp_path):
    with pytest.raises(TiffError, match="Check the folder"):
        write_tiff(tmp_path / "none" / "a.tif", pixels())


@pytest.mark.parametrize("array", [np.ones((2, 3, 4), np.uint8), np.ones((2, 3), np.int64), np.ones((0, 3), np.uint8)])
def test_write_unfit_array_raises(tmp_path, array):
    with pytest.raises(TiffError, match=r"expected \(H, W\)"):
        write_tiff(tmp_path / "a.tif", array)


@pytest.mark.parametrize("no_data", [-1, 256, 0.5, np.nan, np.inf])
def test_write_no_data_beyond_dtype_raises(tmp_path, no_data):
    with pytest.raises(TiffError, match="no-data value that uint8 can hold"):
        write_tiff(tmp_path / "a.tif", pixels("uint8"), no_data=no_data)


def test_write_unknown_compression_raises(tmp_path):
    with pytest.raises(TiffError, match="expected compression zlib"):
        write_tiff(tmp_path / "a.tif", pixels(), compression="lzw")


def test_write_foreign_tag_raises(tmp_path):
    with pytest.raises(TiffError, match=r"but got \[256\]"):
        write_tiff(tmp_path / "a.tif", pixels(), geo_tags={256: (1,)})


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
def test_write_failing_keeps_old_file_and_leaves_no_other(tmp_path, monkeypatch, failure):
    write_tiff(tmp_path / "a.tif", pixels())
    before = (tmp_path / "a.tif").read_bytes()

    def half_written(path, *args, **kwargs):
        Path(path).write_bytes(b"II*")
        raise failure

    monkeypatch.setattr(tifffile, "imwrite", half_written)
    with pytest.raises((TiffError, KeyboardInterrupt)):
        write_tiff(tmp_path / "a.tif", pixels() + 1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
    assert (tmp_path / "a.tif").read_bytes() == before
