"""Reading by `seep_monai.tiff` and `seep_monai.geo`; rasterio and tifffile are the independent truth."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import numpy as np
import pytest
import rasterio
import tifffile
from tiff_files import make_gcp_tiff, make_geo_tiff, make_tiff, pixels

from seep_monai.errors import TiffError
from seep_monai.tiff import no_data_value, read_tiff, valid_mask

# --- reading pixels


@pytest.mark.parametrize("endianness", ["LITTLE", "BIG"])
@pytest.mark.parametrize("compress", ["none", "deflate", "lzw"])
@pytest.mark.parametrize("layout", [{"blockysize": 7}, {"tiled": True, "blockxsize": 16, "blockysize": 32}])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "int64", "float32", "float64"])
def test_read_any_layout_equals_rasterio(tmp_path, dtype, layout, compress, endianness):
    path = make_tiff(tmp_path / "a.tif", pixels(dtype), compress=compress, endianness=endianness, **layout)
    image = read_tiff(path)
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(image.array, file.read(1))
    assert image.array.dtype == np.dtype(dtype)
    assert image.array.dtype.isnative


@pytest.mark.parametrize("endianness", ["LITTLE", "BIG"])
@pytest.mark.parametrize(("dtype", "predictor"), [("uint8", 2), ("uint16", 2), ("int16", 2), ("float32", 3)])
def test_read_predictor_equals_rasterio(tmp_path, dtype, predictor, endianness):
    array = pixels(dtype)
    path = make_tiff(tmp_path / "a.tif", array, compress="deflate", predictor=predictor, endianness=endianness)
    np.testing.assert_array_equal(read_tiff(path).array, array)


def test_read_bigtiff_equals_rasterio(tmp_path):
    array = pixels()
    np.testing.assert_array_equal(read_tiff(make_tiff(tmp_path / "a.tif", array, BIGTIFF="YES")).array, array)


def test_read_negative_and_non_finite_values_keeps_them(tmp_path):
    array = np.array([[-np.inf, np.nan], [-1.5, 3e38]], np.float32)
    np.testing.assert_array_equal(read_tiff(make_tiff(tmp_path / "a.tif", array)).array, array)


@pytest.mark.parametrize("blocks", [{"blockysize": 40}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
@pytest.mark.parametrize(("dtype", "nodata", "expected"), [("int16", 300, 300), ("uint16", None, 0)])
def test_read_sparse_file_fills_with_no_data(tmp_path, dtype, nodata, expected, blocks):
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 40, "width": 53, "dtype": dtype, "nodata": nodata}
    with rasterio.open(path, "w", SPARSE_OK=True, **profile, **blocks):
        pass
    np.testing.assert_array_equal(read_tiff(path).array, np.full((40, 53), expected, dtype))


# --- bands


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("band", [1, 2, 3])
def test_read_chosen_band_equals_rasterio(tmp_path, interleave, band):
    array = pixels(shape=(3, 40, 53))
    path = make_tiff(tmp_path / "a.tif", array, interleave=interleave)
    np.testing.assert_array_equal(read_tiff(path, band=band).array, array[band - 1])


def test_read_chosen_page_counts_pages_as_bands(tmp_path):
    array = pixels(shape=(3, 40, 53))
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", metadata=None)
    np.testing.assert_array_equal(read_tiff(tmp_path / "a.tif", band=3).array, array[2])


def test_read_several_bands_without_choice_names_option(tmp_path):
    path = make_tiff(tmp_path / "a.tif", pixels(shape=(3, 40, 53)))
    with pytest.raises(TiffError, match=r"a\.tif: expected one band, but got 3 bands on 1 pages .*band=1\.\.3"):
        read_tiff(path)


def test_read_several_pages_without_choice_names_their_number(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels(shape=(2, 40, 53)), photometric="minisblack", metadata=None)
    with pytest.raises(TiffError, match="2 bands on 2 pages"):
        read_tiff(tmp_path / "a.tif")


@pytest.mark.parametrize("band", [0, 2, -1])
def test_read_band_out_of_range_raises(tmp_path, band):
    path = make_tiff(tmp_path / "a.tif", pixels())
    with pytest.raises(TiffError, match=f"band={band}"):
        read_tiff(path, band=band)


def test_read_overviews_are_no_bands(tmp_path):
    array = pixels()
    path = make_tiff(tmp_path / "a.tif", array)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])
    np.testing.assert_array_equal(read_tiff(path).array, array)


def test_read_mask_page_is_no_band(tmp_path):
    array = pixels()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = make_tiff(tmp_path / "a.tif", array)
        with rasterio.open(path, "r+") as file:
            file.write_mask(array > 100)
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 2
    np.testing.assert_array_equal(read_tiff(path).array, array)


# --- tags


@pytest.mark.parametrize(("dtype", "nodata"), [("uint16", 0), ("int16", -9999), ("float32", -3.4028234663852886e38)])
def test_read_no_data_equals_rasterio(tmp_path, dtype, nodata):
    assert read_tiff(make_tiff(tmp_path / "a.tif", pixels(dtype), nodata=nodata)).no_data == nodata


def test_read_no_data_nan_is_nan(tmp_path):
    assert np.isnan(read_tiff(make_tiff(tmp_path / "a.tif", pixels("float32"), nodata=np.nan)).no_data)


def test_read_plain_file_has_no_metadata(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels(), metadata=None)
    image = read_tiff(tmp_path / "a.tif")
    assert (image.no_data, image.geo_tags, image.description) == (None, {}, None)


def test_read_unreadable_no_data_tag_raises(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels(), extratags=[(42113, "s", 0, "none", True)])
    with pytest.raises(TiffError, match="expected a number in the no-data tag, but got 'none'"):
        read_tiff(tmp_path / "a.tif")


def test_read_description_is_its_text(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels(), description="calibrated", metadata=None)
    assert read_tiff(tmp_path / "a.tif").description == "calibrated"


def test_read_ground_control_points_are_among_the_tags(tmp_path):
    image = read_tiff(make_gcp_tiff(tmp_path / "a.tif", pixels()))
    # 5 x 6 points of (col, row, 0, x, y, z)
    assert len(image.geo_tags[33922]) == 180


def test_read_geo_tags_are_json_able(tmp_path):
    tags = read_tiff(make_geo_tiff(tmp_path / "a.tif", pixels())).geo_tags
    assert {int(code): value for code, value in json.loads(json.dumps(tags)).items()} == {
        code: value if isinstance(value, str) else list(value) for code, value in tags.items()
    }


# --- no-data


@pytest.mark.parametrize(
    ("array", "no_data", "expected"),
    [
        (np.array([0, 5, 9], np.uint16), None, [False, True, True]),
        (np.array([0, 5, 9], np.uint16), 5.0, [True, False, True]),
        (np.array([0, 5, 9], np.uint8), -9999.0, [True, True, True]),
        (np.array([0, np.nan, np.inf], np.float32), None, [True, True, True]),
        (np.array([0, np.nan, np.inf], np.float32), np.nan, [True, False, True]),
        (np.array([0, np.nan, 1], np.float32), 0.0, [False, True, True]),
        (np.array([0, -3.4028234663852886e38], np.float32), -3.4028234663852886e38, [True, False]),
        (np.array([0.1, 0.2], np.float32), 0.1, [False, True]),
        (np.array([0, 1], np.float32), -1.7976931348623157e308, [True, True]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_valid_mask_of_image_follows_tag_or_zero_for_integers(array, no_data, expected):
    assert valid_mask(array, no_data).tolist() == expected


@pytest.mark.parametrize(
    ("no_data", "dtype", "expected"), [(None, "uint16", 0.0), (None, "float32", None), (7.0, "uint16", 7.0)]
)
def test_no_data_value_without_tag_is_zero_for_integers_only(no_data, dtype, expected):
    assert no_data_value(no_data, dtype) == expected


# --- files that cannot be read


def test_read_missing_file_raises(tmp_path):
    with pytest.raises(TiffError, match=r"none\.tif: .*no such file"):
        read_tiff(tmp_path / "none.tif")


def test_read_directory_raises(tmp_path):
    with pytest.raises(TiffError, match="directory"):
        read_tiff(tmp_path)


@pytest.mark.parametrize("content", [b"", b"II*\0", b"\x89PNG\r\n\x1a\n" * 20])
def test_read_other_content_raises(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(TiffError, match=r"a\.tif: expected a readable TIFF file"):
        read_tiff(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", ["complex64", "float16"])
def test_read_unsupported_dtype_raises(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 4), dtype))
    with pytest.raises(TiffError, match=r"expected one of bool, float32, .* but got .*gdal_translate"):
        read_tiff(tmp_path / "a.tif")


def test_read_packed_bits_raises(tmp_path):
    path = make_tiff(tmp_path / "a.tif", pixels("uint16"), NBITS=12)
    with pytest.raises(TiffError, match="12 bits"):
        read_tiff(path)


@pytest.mark.parametrize("compress", ["none", "deflate", "lzw"])
@pytest.mark.parametrize("layout", [{"blockysize": 7}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
@pytest.mark.filterwarnings("ignore")
def test_read_truncated_anywhere_raises(tmp_path, compress, layout, caplog):
    caplog.set_level(logging.CRITICAL, logger="tifffile")
    path = make_geo_tiff(tmp_path / "a.tif", pixels(), compress=compress, nodata=7, **layout)
    content = path.read_bytes()
    for length in [*range(0, len(content), 29), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(TiffError) as caught:
            read_tiff(path)
        assert "\n" not in str(caught.value)
        assert str(caught.value).count("expected") == 1


@pytest.mark.parametrize("n_bytes", [0, 20])
def test_read_later_page_cut_off_raises(tmp_path, caplog, n_bytes):
    caplog.set_level(logging.CRITICAL, logger="tifffile")
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for page in pixels(shape=(2, 40, 53)):
            file.write(page, metadata=None)
    with tifffile.TiffFile(path) as tiff:
        second = tiff.pages[1].offset
    path.write_bytes(path.read_bytes()[: second + n_bytes])
    with pytest.raises(TiffError, match="copy it again"):
        read_tiff(path, band=1)


def test_read_tag_beyond_the_end_raises(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL, logger="tifffile")
    path = make_geo_tiff(tmp_path / "a.tif", pixels())
    with tifffile.TiffFile(path) as tiff:
        # An entry is number, type and count in 8 bytes, then the offset of the value.
        place = tiff.pages[0].tags[33550].offset + 8
    content = path.read_bytes()
    path.write_bytes(content[:place] + len(content).to_bytes(4, "little") + content[place + 4 :])
    with pytest.raises(TiffError, match=r"tags \[33550\] beyond its end"):
        read_tiff(path)


def test_read_truncated_with_wrong_byte_count_raises(tmp_path):
    path = make_tiff(tmp_path / "a.tif", pixels(), blockysize=40)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags[279].overwrite(10)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TiffError, match="truncated"):
        read_tiff(path)


def test_read_too_few_strips_raises(tmp_path):
    path = make_tiff(tmp_path / "a.tif", pixels(), blockysize=40)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags[278].overwrite(20)
    with pytest.raises(TiffError, match="expected 2 strips or tiles, but got 1"):
        read_tiff(path)


def test_read_volume_raises(tmp_path):
    volume = np.ones((4, 16, 16), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", volume, volumetric=True, tile=(4, 16, 16), photometric="minisblack")
    with pytest.raises(TiffError, match="depth 4"):
        read_tiff(tmp_path / "a.tif")


def test_read_damaged_compressed_strip_raises(tmp_path):
    path = make_tiff(tmp_path / "a.tif", pixels(), compress="deflate")
    with tifffile.TiffFile(path) as tiff:
        start = tiff.pages[0].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[start : start + 200] = b"\xff" * 200
    path.write_bytes(content)
    with pytest.raises(TiffError, match="copy it again"):
        read_tiff(path)


WITHOUT_IMAGECODECS = """
import sys
sys.modules["imagecodecs"] = None
from seep_monai.tiff import read_tiff, write_tiff
try:
    read_tiff(sys.argv[1])
except Exception as error:
    print(type(error).__name__, error)
write_tiff(sys.argv[3], read_tiff(sys.argv[2]).array, compression="zlib")
"""


@pytest.fixture(scope="module")
def without_imagecodecs(tmp_path_factory):
    """What a Python without imagecodecs prints and writes for an LZW and a deflate file with a predictor."""
    folder = tmp_path_factory.mktemp("plain")
    lzw = make_tiff(folder / "lzw.tif", pixels(), compress="lzw")
    deflate = make_tiff(folder / "deflate.tif", pixels(), compress="deflate", predictor=2)
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT_IMAGECODECS, lzw, deflate, folder / "out.tif"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return result.stdout, folder / "out.tif"


def test_read_lzw_without_imagecodecs_names_the_package(without_imagecodecs):
    assert without_imagecodecs[0].startswith("TiffError")
    assert without_imagecodecs[0].strip().endswith("pip install imagecodecs")


def test_zlib_without_imagecodecs_is_read_and_written(without_imagecodecs):
    with rasterio.open(without_imagecodecs[1]) as file:
        np.testing.assert_array_equal(file.read(1), pixels())
