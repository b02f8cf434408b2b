"""The pixels of one band of a TIFF file, from the blocks that `tiff_structure` describes."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.tiff_structure import CONVERT, COPY_AGAIN, Layout, Source

# Values of the compression tag.
_NONE, _LZW, _PACKBITS, _ZSTD = 1, 5, 32773, 50000
_DEFLATE = (8, 32946)
# Compressions whose predictor tag counts. Source: libtiff ignores it elsewhere.
_PREDICTED = {_LZW, *_DEFLATE, _ZSTD}
_NO_PREDICTOR, _DIFFERENCES, _FLOAT_DIFFERENCES = 1, 2, 3
_SET_NO_DATA = "Set it: gdal_edit.py -a_nodata 0 FILE"


def read_band(source: Source, layout: Layout, sample: int, fill: float | None) -> npt.NDArray[Any]:
    """(H, W) pixels of a band in native byte order.

    Args:
        source: the file.
        layout: of the page.
        sample: index of the band in the page, from 0.
        fill: value of the pixels of blocks that a sparse file leaves out; None: there is none that fits the dtype.

    Raises:
        TiffError: if the blocks do not give exactly the pixels, or the compression is not supported.
    """
    decode = _decoder(source, layout)
    (height, width), (rows, columns) = layout.shape, layout.block
    n_across = -(-width // columns)
    n_blocks = -(-height // rows) * n_across
    plane, together = (sample, 0) if layout.n_planes > 1 else (0, sample)
    stored = layout.n_bytes[plane * n_blocks : (plane + 1) * n_blocks] > 0
    if fill is None and not stored.all():
        raise source.error("a no-data value that the pixels can hold", "none for the blocks left out", _SET_NO_DATA)
    image = np.full(layout.shape, fill or 0, layout.dtype.newbyteorder("="))
    for block in np.flatnonzero(stored).tolist():
        row, column = block // n_across * rows, block % n_across * columns
        stored_rows = rows if layout.tiled else min(rows, height - row)
        i = plane * n_blocks + block
        content = source.read(int(layout.offsets[i]), int(layout.n_bytes[i]))
        pixels = _pixels(decode(content), layout, stored_rows, source)[..., together]
        image[row : row + rows, column : column + columns] = pixels[: height - row, : width - column]
    return image


def _decoder(source: Source, layout: Layout) -> Callable[[bytes], bytes]:
    """Decompresses a block, to one byte more than a whole block at most."""
    most, compression = layout.block_bytes(layout.block[0]) + 1, layout.compression
    if compression == _NONE:
        return bytes
    if compression in _DEFLATE:
        return lambda content: _inflated(content, most, source)
    if compression not in (_LZW, _PACKBITS, _ZSTD):
        expected = "no compression, deflate, LZW, PackBits or ZSTD"
        raise source.error(expected, f"compression {compression}", CONVERT)
    codecs = _imagecodecs(source)
    names = {_LZW: "lzw_decode", _PACKBITS: "packbits_decode", _ZSTD: "zstd_decode"}
    decode = getattr(codecs, names[compression])

    def decoded(content: bytes) -> bytes:
        try:
            return bytes(decode(content, out=most))
        except Exception as error:  # each codec has its own type
            raise _damaged(source, str(error)) from error

    return decoded


def _imagecodecs(source: Source) -> ModuleType:
    try:
        import imagecodecs
    except ImportError as error:
        raise source.error("the package imagecodecs", "none", "Run: pip install imagecodecs") from error
    module: ModuleType = imagecodecs
    return module


def _inflated(content: bytes, most: int, source: Source) -> bytes:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(content, most)
    except zlib.error as error:
        raise _damaged(source, str(error)) from error
    # The end of the stream holds its checksum.
    if not stream.eof:
        raise _damaged(source, "incomplete or larger than a block")
    return data


def _pixels(data: bytes, layout: Layout, n_rows: int, source: Source) -> npt.NDArray[Any]:
    """(rows, columns, bands) of a decoded block."""
    needed, columns = layout.block_bytes(n_rows), layout.block[1]
    # Some writers fill the last strip up, and uncompressed blocks may be followed by anything.
    most = len(data) if layout.compression == _NONE else layout.block_bytes(layout.block[0])
    if not needed <= len(data) <= most:
        raise _damaged(source, f"{len(data)} bytes instead of {needed}")
    if layout.dtype.kind == "b":
        bits = np.unpackbits(np.frombuffer(data, np.uint8, needed).reshape(n_rows, -1), axis=1)
        return bits[:, :columns, None].astype(bool)
    predictor = layout.predictor if layout.compression in _PREDICTED else _NO_PREDICTOR
    shape = (n_rows, columns, layout.n_together)
    if predictor == _FLOAT_DIFFERENCES and layout.dtype.kind == "f":
        return _float_sums(np.frombuffer(data, np.uint8, needed).reshape(n_rows, -1), shape, layout.dtype)
    stored = np.frombuffer(data, layout.dtype, needed // layout.dtype.itemsize).reshape(shape)
    if predictor == _NO_PREDICTOR:
        return stored
    if predictor != _DIFFERENCES:
        raise source.error("predictor 1 or 2, or 3 with floats", f"{predictor}", CONVERT)
    # Sums of whole numbers wrap around as the differences did, those of floats too.
    whole = stored.view(f"{layout.dtype.byteorder}u{layout.dtype.itemsize}")
    sums = np.cumsum(whole, axis=1, dtype=f"u{layout.dtype.itemsize}")
    return sums.view(layout.dtype.newbyteorder("="))


def _float_sums(data: npt.NDArray[np.uint8], shape: tuple[int, int, int], dtype: np.dtype) -> npt.NDArray[Any]:
    """Floats whose bytes were sorted by significance, highest first, and then replaced by differences.

    Source: Adobe, TIFF Technical Note 3.
    """
    n_rows, _, n_bands = shape
    sums = np.cumsum(data.reshape(n_rows, -1, n_bands), axis=1, dtype=np.uint8)
    by_byte = sums.reshape(n_rows, dtype.itemsize, -1)
    return np.ascontiguousarray(by_byte.swapaxes(1, 2)).view(f">f{dtype.itemsize}").reshape(shape)


def _damaged(source: Source, got: str) -> Exception:
    return source.error("strips or tiles that hold the pixels", got, COPY_AGAIN)
