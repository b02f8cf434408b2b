"""Read and write single-band TIFF images with their no-data value and GeoTIFF tags.

`read_tiff`, `write_tiff` and `valid_mask` work on (row, col) arrays. `dataset.reader` has a MONAI reader on top.
"""

from __future__ import annotations

import bisect
import math
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile

from seep_monai import geo
from seep_monai.errors import TiffError
from seep_monai.tiff_blocks import read_band
from seep_monai.tiff_structure import DESCRIPTION, Page, read_layout, read_pages

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")
Compression = Literal["zlib", "deflate"]
PathLike = str | os.PathLike[str]

# Choice: 256 x 256 px, GDAL's default tile, so that a window of a large compressed scene can be read by itself.
TILE_PX = 256
# Part of the description of the maps that inference writes.
OUTPUT_MARK = '"software": "seep_monai"'
# The probability of a raster is a whole number of 1/250, 0 to 250; 255 is no-data.
PROBABILITY_STEPS = 250


@dataclass(frozen=True)
class TiffImage:
    """One band of a TIFF file.

    Attributes:
        array: (H, W), in the file's dtype (one of `DTYPES`) and native byte order.
        no_data: value of the GDAL no-data tag, may be NaN; None without the tag.
        geo_tags: the file's GeoTIFF tags by number, unchanged.
        description: the ImageDescription tag, None without one.
        palette: whether pixels are numbers of colours in a table.
    """

    array: np.ndarray
    no_data: float | None
    geo_tags: geo.GeoTags
    description: str | None
    palette: bool = False


def read_tiff(path: PathLike, *, band: int | None = None) -> TiffImage:
    """Read one band of a TIFF file as a (row, col) array in the file's dtype.

    Args:
        band: 1-based number of the band, as in GDAL, counted over all pages. Required if the file has several bands.
            Overviews and mask pages are not counted.

    Raises:
        TiffError: if the file is missing, not a TIFF, truncated, damaged, or of an unsupported dtype or compression; or
            if it has several bands and `band` does not select one.
    """
    with _reading(path), Path(path).open("rb") as file:
        page, sample = _chosen_band(read_pages(file, path), band)
        layout = read_layout(page)
        no_data = _parsed_no_data(page.text(geo.NO_DATA), path)
        # Sparse files omit blocks. These hold no-data, or 0 if no-data is unknown.
        fill = 0 if no_data is None else no_data if _fits(no_data, layout.dtype) else None
        return TiffImage(
            array=read_band(page.source, layout, sample, fill),
            no_data=no_data,
            geo_tags=geo.tags_of(page.values),
            description=page.text(DESCRIPTION),
            palette=layout.palette,
        )


def read_head(path: PathLike) -> tuple[tuple[int, int], str]:
    """(rows, columns) of the first page of a TIFF file, and its description, empty without one.

    Raises:
        TiffError: as `read_tiff`, for what is read.
    """
    with _reading(path), Path(path).open("rb") as file:
        first = read_pages(file, path)[0]
        return first.shape, first.text(DESCRIPTION) or ""


def write_tiff(
    path: PathLike,
    array: np.ndarray,
    *,
    no_data: float | None = None,
    geo_tags: geo.GeoTags | None = None,
    description: str | None = None,
    compression: Compression | None = None,
) -> None:
    """Write one band to a TIFF file; the file gets its name only when it is complete.

    Args:
        path: an existing file is replaced; the folder must exist.
        array: (H, W) of one of `DTYPES`.
        no_data: value of the GDAL no-data tag; None writes no tag.
        geo_tags: GeoTIFF tags by number, as in `TiffImage`.
        description: text of the ImageDescription tag.
        compression: "zlib" or its synonym "deflate"; None writes uncompressed pixels.

    Raises:
        TiffError: if array, no-data value, tags or compression are not supported, or the file cannot be written.
    """
    _check_writable(path, array, no_data, compression)
    part = Path(path).with_name(f".{Path(path).name}.{uuid.uuid4().hex}.part")
    try:
        tifffile.imwrite(
            part,
            np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")),
            photometric="minisblack",
            compression=compression and "zlib",
            tile=(TILE_PX, TILE_PX) if compression and min(array.shape) > TILE_PX else None,
            description=None if description is None else description.encode(),
            metadata=None,
            software=False,
            extratags=geo.tags_to_write(geo_tags or {}, no_data),
        )
        part.replace(path)
    except OSError as error:
        raise _error(path, "a writable path", _one_line(error), "Check the folder and the free disk space.") from error
    finally:
        part.unlink(missing_ok=True)


def no_data_value(no_data: float | None, dtype: np.dtype | str) -> float | None:
    """The value of the no-data tag if there is one, otherwise 0 for integer dtypes and None for floats."""
    return 0.0 if no_data is None and np.issubdtype(dtype, np.integer) else no_data


def valid_mask(array: np.ndarray, no_data: float | None) -> np.ndarray:
    """True where data exist, bool of the array's shape.

    NaN and infinity are valid unless they are the no-data value; `finite_fault` reports them.

    Args:
        array: pixels in the file's own dtype, which decides the default no-data value.
        no_data: value of the no-data tag, may be NaN; None without the tag.

    >>> valid_mask(np.array([0, 7], np.uint16), None)
    array([False,  True])
    """
    value = no_data_value(no_data, array.dtype)
    if value is None:
        return np.ones(array.shape, dtype=bool)
    if math.isnan(value):
        return ~np.isnan(array)
    with np.errstate(over="ignore"):
        # NumPy rounds the tag's value to float32 for float32 pixels, so that -3.4028234663852886e+38 matches.
        return array != value


def kind_fault(dtype: np.dtype | str, path: object, *, palette: bool) -> str | None:
    """The error message if the pixels of an image are no measured values, else None.

    Args:
        dtype: of the file.
        path: the file that the message names.
        palette: whether pixels are numbers of colours.
    """
    if palette:
        remedy = "Write grey values first: gdal_translate -expand gray IN.tif OUT.tif"
        return f"{path}: expected an amplitude or intensity, but got numbers of colours (a palette). {remedy}"
    if np.dtype(dtype) == bool:
        return f"{path}: expected an amplitude or intensity, but got one bit a pixel, as in a mask. Give the image."
    return None


def finite_fault(dn: np.ndarray, valid: np.ndarray, path: object) -> str | None:
    """The error message if valid pixels are NaN or infinite, else None.

    Args:
        dn: pixels of an image.
        valid: True where data exist, the same shape.
        path: the file that the message names.
    """
    if np.issubdtype(dn.dtype, np.integer):
        return None
    n_wrong = int((valid & ~np.isfinite(dn)).sum())
    if not n_wrong:
        return None
    return (
        f"{path}: expected finite values, but {n_wrong} pixels are NaN or infinite and not declared as no-data. "
        "Set the GDAL no-data tag or repair the file."
    )


@contextmanager
def _reading(path: PathLike) -> Iterator[None]:
    """Turn what the system raises into a TiffError that names the file."""
    try:
        yield
    except OSError as error:
        raise _error(path, "a TIFF file", _one_line(error), "Check the path and its permissions.") from error
    except MemoryError as error:
        remedy = "Cut it into smaller images, or use a machine with more memory."
        raise _error(path, "an image that fits into memory", "none that does", remedy) from error


def _chosen_band(pages: list[Page], band: int | None) -> tuple[Page, int]:
    """The page that holds a band, and the 0-based index of the band's sample in it."""
    # The first page always counts.
    holding = [page for i, page in enumerate(pages) if i == 0 or page.holds_bands]
    ends = np.cumsum([page.n_samples for page in holding]).tolist()
    chosen = 1 if band is None else band
    if not 1 <= chosen <= ends[-1] or (band is None and ends[-1] > 1):
        got = f"{ends[-1]} bands on {len(holding)} pages and band={band}"
        raise pages[0].source.error(
            "one band", got, f"Choose one with band=1..{ends[-1]}; a mask needs one band of the values 0..7."
        )
    i = bisect.bisect_left(ends, chosen)
    return holding[i], chosen - 1 - (ends[i - 1] if i else 0)


def _parsed_no_data(text: str | None, path: PathLike) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError as error:
        remedy = "Set it: gdal_edit.py -a_nodata 0 FILE"
        raise _error(path, "a number in the no-data tag", repr(text), remedy) from error


def _fits(no_data: float, dtype: np.dtype) -> bool:
    if dtype.kind == "b":
        return no_data in (0, 1)
    return dtype.kind == "f" or (no_data % 1 == 0 and np.iinfo(dtype).min <= no_data <= np.iinfo(dtype).max)


def _check_writable(path: PathLike, array: np.ndarray, no_data: float | None, compression: str | None) -> None:
    """Raise TiffError unless `write_tiff` supports these values."""
    name = array.dtype.name
    if array.ndim != 2 or array.size == 0 or name not in DTYPES:
        raise _error(path, f"(H, W) of {', '.join(DTYPES)}", f"{name} of shape {array.shape}", "Convert the array.")
    if no_data is not None and not _fits(no_data, array.dtype):
        raise _error(path, f"a no-data value that {name} can hold", f"{no_data}", "Give another, or None for no tag.")
    if compression not in (None, "zlib", "deflate"):
        raise _error(path, "compression zlib, deflate or None", repr(compression), "Choose one of these.")


def _one_line(error: Exception) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())


def _error(path: PathLike, expected: str, got: str, remedy: str) -> TiffError:
    return TiffError(f"{os.fspath(path)}: expected {expected}, but got {got}. {remedy}")
