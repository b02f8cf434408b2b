"""Tests of `seep_monai.tiff` and `seep_monai.geo`; rasterio and tifffile are the independent truth."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
import torch
from monai.data import DataLoader, Dataset, decollate_batch, list_data_collate
from monai.transforms import Compose, Flipd, Invertd, LoadImage, LoadImaged, SaveImaged
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine

from seep_monai.errors import TiffError
from seep_monai.tiff import TiffMeta, TiffReader, TiffWriter, no_data_value, read_tiff, valid_mask, write_tiff

NORTH_UP = Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4000000.0)
ROTATED = Affine(8.0, 6.0, 500000.0, 6.0, -8.0, 4000000.0)


def pixels(dtype: str = "uint16", shape: tuple[int, ...] = (40, 53)) -> np.ndarray:
    """Different values at every place, so that a transposed or shifted result is found."""
    return (np.random.default_rng(3).random(shape) * 200 + 1).astype(dtype)


def make_tiff(path: Path, array: np.ndarray, **profile) -> Path:
    """A file that rasterio writes: (H, W), or (bands, H, W)."""
    bands = array if array.ndim == 3 else array[None]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands.shape[0],
        height=bands.shape[1],
        width=bands.shape[2],
        dtype=array.dtype,
        **profile,
    ) as file:
        file.write(bands)
    return path


def make_geo_tiff(path: Path, array: np.ndarray, transform: Affine = NORTH_UP, **profile) -> Path:
    return make_tiff(path, array, crs="EPSG:32618", transform=transform, **profile)


def make_gcp_tiff(path: Path, array: np.ndarray) -> Path:
    """A file with a grid of ground control points, as Sentinel-1 GRD products have."""
    gcps = [
        GroundControlPoint(row=row, col=col, x=-74 + col / 700 + row / 9000, y=36 - row / 800, z=1.5)
        for row in range(0, 41, 10)
        for col in range(0, 51, 10)
    ]
    return make_tiff(path, array, crs="EPSG:4326", gcps=gcps, nodata=0)


def georeference(path: Path) -> dict:
    with rasterio.open(path) as file:
        points, gcp_crs = file.gcps
        return {
            "transform": file.transform,
            "crs": file.crs,
            "nodata": file.nodata,
            "gcp_crs": gcp_crs,
            "gcps": [(point.row, point.col, point.x, point.y, point.z) for point in points],
        }


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


# --- reading pixels


@pytest.mark.parametrize("endianness", ["LITTLE", "BIG"])
@pytest.mark.parametrize("compress", ["none", "deflate", "lzw"])
@pytest.mark.parametrize("layout", [{"blockysize": 7}, {"tiled": True, "blockxsize": 16, "blockysize": 32}])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
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
    assert len(tifffile.TiffFile(path).pages) == 2
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
    assert (image.no_data, image.transform, image.geo_tags, image.description) == (None, None, {}, None)


def test_read_unreadable_no_data_tag_raises(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels(), extratags=[(42113, "s", 0, "none", True)])
    with pytest.raises(TiffError, match="expected a number in the no-data tag, but got 'none'"):
        read_tiff(tmp_path / "a.tif")


def test_read_description_is_its_text(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels(), description="calibrated", metadata=None)
    assert read_tiff(tmp_path / "a.tif").description == "calibrated"


@pytest.mark.parametrize("transform", [NORTH_UP, ROTATED])
@pytest.mark.parametrize("meaning", ["Area", "Point"])
def test_read_transform_equals_rasterio(tmp_path, transform, meaning):
    path = make_geo_tiff(tmp_path / "a.tif", pixels(), transform)
    with rasterio.open(path, "r+") as file:
        file.update_tags(AREA_OR_POINT=meaning)
    with rasterio.open(path) as file:
        np.testing.assert_allclose(read_tiff(path).transform, tuple(file.transform)[:6], rtol=0, atol=1e-9)


def test_read_tiepoint_off_the_corner_and_negative_scale_equals_rasterio(tmp_path):
    tags = {33550: (10.0, -20.0, 0.0), 33922: (3.0, 4.0, 0.0, 700.0, 900.0, 0.0), 34735: (1, 1, 0, 1, 1024, 0, 1, 1)}
    write_tiff(tmp_path / "a.tif", pixels(), geo_tags=tags)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert read_tiff(tmp_path / "a.tif").transform == tuple(file.transform)[:6]


def test_read_ground_control_points_are_no_transform(tmp_path):
    image = read_tiff(make_gcp_tiff(tmp_path / "a.tif", pixels()))
    assert image.transform is None
    # 5 x 6 points of (col, row, 0, x, y, z)
    assert len(image.geo_tags[33922]) == 180


def test_read_geo_tags_are_json_able(tmp_path):
    tags = read_tiff(make_geo_tiff(tmp_path / "a.tif", pixels())).geo_tags
    assert {int(code): value for code, value in json.loads(json.dumps(tags)).items()} == {
        code: value if isinstance(value, str) else list(value) for code, value in tags.items()
    }


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


@pytest.mark.parametrize("dtype", ["complex64", "int8", "uint32", "bool", "float16"])
def test_read_unsupported_dtype_raises(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 4), dtype))
    with pytest.raises(TiffError, match=r"expected uint8, uint16, int16, float32, float64, but got .*gdal_translate"):
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


# --- writing


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
def test_write_geo_tags_of_affine_file_are_kept(tmp_path, transform):
    source = make_geo_tiff(tmp_path / "a.tif", pixels(), transform)
    write_tiff(tmp_path / "b.tif", pixels(), geo_tags=read_tiff(source).geo_tags)
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


# --- MONAI


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
