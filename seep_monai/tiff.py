"""Read and write single-band TIFF images with their no-data value and GeoTIFF tags.

`read_tiff`, `write_tiff` and `valid_mask` work on (row, col) arrays. `dataset.reader` has a MONAI reader on top.
"""

from __future__ import annotations

import math
import os
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile

from seep_monai import geo
from seep_monai.errors import TiffError

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")
Compression = Literal["zlib", "deflate"]
PathLike = str | os.PathLike[str]

_DESCRIPTION = 270
# Tags that affect pixels, georeference or no-data: a lost one must raise an error.
_NEEDED_TAGS = {256, 257, 258, 259, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 339, geo.NO_DATA, *geo.TAG_DTYPES}
_REDUCED_OR_MASK = 0b101
# Choice: 256 x 256 px, GDAL's default tile, so that a window of a large compressed scene can be read by itself.
TILE_PX = 256
# Part of the description of the maps that inference writes.
OUTPUT_MARK = '"software": "seep_monai"'
# The probability of a raster is a whole number of 1/250, 0 to 250; 255 is no-data.
PROBABILITY_STEPS = 250
_COPY_AGAIN = "The file is damaged or was not copied completely: copy it again."


@dataclass(frozen=True)
class TiffImage:
    """One band of a TIFF file.

    Attributes:
        array: (H, W), in the file's dtype (one of `DTYPES`) and native byte order.
        no_data: value of the GDAL no-data tag, may be NaN; None without the tag.
        geo_tags: the file's GeoTIFF tags by number, unchanged.
        description: the ImageDescription tag, None without one.
    """

    array: np.ndarray
    no_data: float | None
    geo_tags: geo.GeoTags
    description: str | None


def read_tiff(path: PathLike, *, band: int | None = None) -> TiffImage:
    """Read one band of a TIFF file as a (row, col) array in the file's dtype.

    Args:
        band: 1-based number of the band, as in GDAL, counted over all pages. Required if the file has several bands.
            Overviews and mask pages are not counted.

    Raises:
        TiffError: if the file is missing, not a TIFF, truncated, damaged, or of an unsupported dtype or compression; or
            if it has several bands and `band` does not select one.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            page, sample = _chosen_band(_image_pages(tiff, path), band, path)
            _check_dtype(page, path)
            _check_complete(page, tiff.filehandle.size, path)
            return _image(page, sample, path)
    except (TiffError, MemoryError):
        raise
    except OSError as error:
        raise _error(path, "a TIFF file", _one_line(error), "Check the path and its permissions.") from error
    except Exception as error:  # on damaged files, tifffile and the codecs raise many types
        remedy = "Run: pip install imagecodecs" if "imagecodecs" in str(error) else _COPY_AGAIN
        raise _error(path, "a readable TIFF file", _one_line(error), remedy) from error


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


def _image_pages(tiff: tifffile.TiffFile, path: PathLike) -> list[Any]:
    """The pages that hold bands: all except overviews and masks; the first page always counts."""
    pages: list[Any] = list(tiff.pages)
    file, form = tiff.filehandle, tiff.tiff
    for page in pages:
        # tifffile drops tags and pages that it cannot read and only logs it, so the tag lists are parsed here.
        file.seek(page.offset)
        n_tags = struct.unpack(form.tagnoformat, file.read(form.tagnosize))[0]
        *entries, following = struct.unpack(
            f"{form.byteorder}{f'H{form.tagsize - 2}x' * n_tags}{form.offsetformat[1:]}",
            file.read(form.tagsize * n_tags + form.offsetsize),
        )
        lost = sorted(code for code in _NEEDED_TAGS.intersection(entries) if code not in page.tags)
        if lost:
            raise _error(path, "all tags inside the file", f"tags {lost} beyond its end", _COPY_AGAIN)
    if following != 0:
        raise _error(path, "all pages inside the file", f"a page after page {len(pages)} beyond its end", _COPY_AGAIN)
    return [page for i, page in enumerate(pages) if i == 0 or not page.subfiletype & _REDUCED_OR_MASK]


def _chosen_band(pages: list[Any], band: int | None, path: PathLike) -> tuple[Any, int]:
    """The page that holds a band, and the 0-based index of the band's sample in it."""
    places = [(page, sample) for page in pages for sample in range(page.samplesperpixel)]
    if band is None and len(places) == 1:
        return places[0]
    if band is None or not 1 <= band <= len(places):
        got = f"{len(places)} bands on {len(pages)} pages and band={band}"
        raise _error(path, "one band", got, f"Choose one with band=1..{len(places)}.")
    return places[band - 1]


def _check_dtype(page: Any, path: PathLike) -> None:
    dtype = page.dtype
    if dtype is None or dtype.name not in DTYPES or page.bitspersample != 8 * dtype.itemsize or page.imagedepth != 1:
        got = f"{page.bitspersample} bits as {dtype.name if dtype else 'an unknown type'}, depth {page.imagedepth}"
        raise _error(path, f"{', '.join(DTYPES)}", got, "Convert it: gdal_translate -ot Float32 IN.tif OUT.tif")


def _check_complete(page: Any, file_size: int, path: PathLike) -> None:
    """Raise TiffError if pixels lie beyond the end of the file; tifffile may return zeros for them."""
    offsets, counts, n_segments = page.dataoffsets, page.databytecounts, math.prod(page.chunked)
    if min(len(offsets), len(counts)) < n_segments:
        raise _error(path, f"{n_segments} strips or tiles", f"{len(offsets)}", _COPY_AGAIN)
    end = max(offset + count for offset, count in zip(offsets, counts, strict=False))
    if page.is_contiguous and any(counts):
        end = max(end, offsets[0] + page.nbytes)
    if end > file_size:
        raise _error(path, f"{end} bytes or more", f"{file_size}, so it is truncated", _COPY_AGAIN)


def _image(page: Any, sample: int, path: PathLike) -> TiffImage:
    no_data = _parsed_no_data(page.tags.valueof(geo.NO_DATA), path)
    # Sparse files omit tiles. These hold no-data, or 0 if no-data is unknown or does not fit the dtype.
    page.nodata = no_data if no_data is not None and _fits(no_data, page.dtype) else 0
    stored = any(page.databytecounts)
    bands = page.asarray(squeeze=False) if stored else np.full(page.shaped, page.nodata, page.dtype)
    # (planar samples, depth, H, W, contiguous samples)
    array = bands[sample, 0, :, :, 0] if bands.shape[4] == 1 else bands[0, 0, :, :, sample]
    return TiffImage(
        array=np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")),
        no_data=no_data,
        geo_tags=geo.tags_of(page.tags.valueof),
        description=page.description if _DESCRIPTION in page.tags else None,
    )


def _parsed_no_data(text: str | None, path: PathLike) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError as error:
        remedy = "Set it: gdal_edit.py -a_nodata 0 FILE"
        raise _error(path, "a number in the no-data tag", repr(text), remedy) from error


def _fits(no_data: float, dtype: np.dtype) -> bool:
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
