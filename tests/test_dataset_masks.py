"""Masks of any dtype, and what 255 means in them; tifffile and rasterio write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from tiff_files import make_tiff

from seep_monai.dataset.masks import read_mask
from seep_monai.errors import DataError, TiffError

LABELS = (np.arange(40 * 53) % 8).reshape(40, 53)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32"])
def test_labels_of_any_dtype_are_read(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", LABELS.astype(dtype), photometric="minisblack")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), LABELS)
    assert read_mask(tmp_path / "a.tif").dtype == np.uint8


@pytest.mark.parametrize("bits", [None, 1])
def test_true_is_class_1(tmp_path: Path, bits: int | None) -> None:
    drawn = LABELS > 5
    if bits:
        make_tiff(tmp_path / "a.tif", drawn.astype(np.uint8), NBITS=bits)
    else:
        tifffile.imwrite(tmp_path / "a.tif", drawn)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), drawn)


def test_numbers_of_a_palette_are_labels(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", LABELS.astype(np.uint8))
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {value: (value, 0, 0, 255) for value in range(8)})
    np.testing.assert_array_equal(read_mask(path), LABELS)


def test_255_is_no_data_where_the_file_says_so(tmp_path: Path) -> None:
    labels = np.where(LABELS == 3, 255, LABELS).astype(np.uint8)
    np.testing.assert_array_equal(read_mask(make_tiff(tmp_path / "a.tif", labels, nodata=255)), labels)


def test_255_without_a_word_is_refused_with_both_remedies(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", np.where(LABELS == 3, 255, 0).astype(np.uint8))
    with pytest.raises(DataError, match=r"found 255\. .*gdal_edit\.py -a_nodata 255 FILE.*give each seep its class"):
        read_mask(path)
    assert set(np.unique(read_mask(path, with_no_data=True))) == {0, 255}


@pytest.mark.parametrize(("value", "dtype"), [(8, "uint8"), (-1, "int8"), (256, "int64"), (0.5, "float32")])
def test_other_values_are_refused(tmp_path: Path, value: float, dtype: str) -> None:
    labels = LABELS.astype(dtype)
    labels[0, 0] = value
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="minisblack")
    with pytest.raises(DataError, match=f"expected mask values 0 .*but found {value:g}. Map the values"):
        read_mask(tmp_path / "a.tif")


def test_colours_are_refused_with_what_a_mask_needs(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    with pytest.raises(TiffError, match=r"expected one band, but got 3 .*a mask needs one band of the values 0\.\.7"):
        read_mask(tmp_path / "a.tif")
