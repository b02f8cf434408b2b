"""TIFF images of any size, written block row by block row: memory stays at one block row.

`write_tiff` takes a whole array; `TiffStream` takes rows of tiles as they come, so that two rasters (image and mask)
can be written in one pass over a scene. The directory of tags stands behind the pixels, where all sizes are known.
"""

from __future__ import annotations

import os
import struct
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from seep_monai import geo
from seep_monai.errors import TiffError
from seep_monai.tiff import TILE_PX, Compression, PathLike, check_writable

# Offsets of classic TIFF have 32 bits; a file that could grow larger becomes a BigTIFF.
_CLASSIC_LIMIT_BYTES = 2**32
# Choice: 1 % and 1 MiB above the raw size, for tags and for tiles that deflate cannot make smaller.
_GROWTH, _TAG_BYTES = 1.01, 2**20
# Choice: level 1; level 6 takes twice as long and makes speckle of some 200 levels smaller by a hundredth only.
_DEFLATE_LEVEL = 1
# Numbers of the TIFF standard.
_NO_COMPRESSION, _ADOBE_DEFLATE = 1, 8
_TYPE_CODES = {"s": 2, "H": 3, "I": 4, "d": 12, "Q": 16}
_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}

Tag = tuple[int, str, Any]


class TiffStream:
    """Writes one band from top to bottom; a context manager.

    The file appears under its name when the `with` block ends after the last row; after an error there is none, and one
    that was there before stays as it was.

    Args:
        path: target; an existing file is replaced, its folder must exist.
        shape: (H, W) of the whole band.
        dtype: one of `tiff.DTYPES`.
        no_data: value of the GDAL no-data tag, None for no tag.
        geo_tags: GeoTIFF tags by number.
        compression: "zlib" and "deflate" name the same one; None for none.

    Raises:
        TiffError: if shape, dtype, no-data value, tags or compression do not fit, or the file cannot be written.
    """

    def __init__(
        self,
        path: PathLike,
        shape: tuple[int, int],
        dtype: npt.DTypeLike,
        *,
        no_data: float | None = None,
        geo_tags: geo.GeoTags | None = None,
        compression: Compression | None = None,
    ) -> None:
        # An array of this shape that takes no memory.
        check_writable(path, np.broadcast_to(np.zeros((), dtype), shape), no_data, compression)
        self.path, self.shape, self.dtype = Path(path), shape, np.dtype(dtype).newbyteorder("<")
        self.n_rows_written = 0
        self._compressed = compression is not None
        self._tags: list[Tag] = [
            (code, letter, value) for code, letter, _, value, _ in geo.tags_to_write(geo_tags or {}, no_data)
        ]
        n_tiles = int(np.prod([-(-size // TILE_PX) for size in shape]))
        raw_bytes = n_tiles * TILE_PX**2 * self.dtype.itemsize
        self.is_big = raw_bytes * _GROWTH + _TAG_BYTES >= _CLASSIC_LIMIT_BYTES
        self._offset_letter = "Q" if self.is_big else "I"
        self._offsets: list[int] = []
        self._counts: list[int] = []
        self._part = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}.part")
        self._file: BinaryIO

    def __enter__(self) -> TiffStream:
        try:
            self._file = self._part.open("wb")
            # Byte order, version, (size of offsets, 0,) and the place of the offset that `_finish` fills in.
            self._file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if self.is_big else b"II*\0\0\0\0\0")
        except OSError as error:
            self._part.unlink(missing_ok=True)
            raise self._unwritable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            with self._file:
                if kind is None:
                    self._finish()
            if kind is None:
                self._part.replace(self.path)
        except OSError as caught:
            raise self._unwritable(caught) from caught
        finally:
            self._part.unlink(missing_ok=True)

    def write(self, block_row: npt.NDArray[Any]) -> None:
        """Append the next rows.

        Args:
            block_row: (`TILE_PX`, W) in the stream's dtype, fewer rows only where the band ends.

        Raises:
            TiffError: for another shape or dtype, or if the file cannot be written.
        """
        height = min(TILE_PX, self.shape[0] - self.n_rows_written)
        if block_row.shape != (height, self.shape[1]) or block_row.dtype.name != self.dtype.name:
            raise TiffError(
                f"{self.path}: expected {self.dtype.name} of shape {(height, self.shape[1])} from row "
                f"{self.n_rows_written} on, but got {block_row.dtype.name} of shape {block_row.shape}. Give rows in "
                f"order, {TILE_PX} at a time."
            )
        try:
            for tile in self._tiles(block_row):
                self._offsets.append(self._file.tell())
                self._counts.append(self._file.write(tile))
        except OSError as error:
            raise self._unwritable(error) from error
        self.n_rows_written += height

    def _tiles(self, block_row: npt.NDArray[Any]) -> Iterator[bytes]:
        """The bytes of the tiles of a block row, from left to right; outside the band they hold 0."""
        for start in range(0, self.shape[1], TILE_PX):
            tile = np.zeros((TILE_PX, TILE_PX), self.dtype)
            piece = block_row[:, start : start + TILE_PX]
            tile[: piece.shape[0], : piece.shape[1]] = piece
            yield zlib.compress(tile.data, _DEFLATE_LEVEL) if self._compressed else tile.tobytes()

    def _finish(self) -> None:
        """Write the directory behind the pixels and its place into the header."""
        if self.n_rows_written != self.shape[0]:
            raise TiffError(
                f"{self.path}: expected {self.shape[0]} rows, but got {self.n_rows_written}. Write all rows before the "
                f"file is closed."
            )
        tags = sorted([*self._base_tags(), *self._tags], key=lambda tag: tag[0])
        entries = b"".join(self._entry(tag) for tag in tags)
        self._to_even()
        place = self._file.tell()
        count_letter, offset_place = ("Q", 8) if self.is_big else ("H", 4)
        self._file.write(struct.pack(f"<{count_letter}", len(tags)) + entries + self._offset(0))
        self._file.seek(offset_place)
        self._file.write(self._offset(place))

    def _base_tags(self) -> list[Tag]:
        """Size, sample type and tiles."""
        return [
            (256, "I", (self.shape[1],)),
            (257, "I", (self.shape[0],)),
            (258, "H", (8 * self.dtype.itemsize,)),
            (259, "H", (_ADOBE_DEFLATE if self._compressed else _NO_COMPRESSION,)),
            (262, "H", (1,)),  # 0 is black
            (277, "H", (1,)),  # samples per pixel
            (284, "H", (1,)),  # samples of a pixel stand together
            (322, "H", (TILE_PX,)),
            (323, "H", (TILE_PX,)),
            (324, self._offset_letter, self._offsets),
            (325, self._offset_letter, self._counts),
            (339, "H", (_SAMPLE_FORMATS[self.dtype.kind],)),
        ]

    def _entry(self, tag: Tag) -> bytes:
        """The directory entry of a tag; a value too long for it is written to the file."""
        code, letter, value = tag
        if letter == "s":
            content = value + b"\0"
            count = len(content)
        else:
            count = len(value)
            content = struct.pack(f"<{count}{letter}", *(float(v) if letter == "d" else int(v) for v in value))
        size = struct.calcsize(f"<{self._offset_letter}")
        if len(content) > size:
            self._to_even()
            place = self._file.tell()
            self._file.write(content)
            content = self._offset(place)
        return struct.pack(f"<HH{self._offset_letter}", code, _TYPE_CODES[letter], count) + content.ljust(size, b"\0")

    def _offset(self, place: int) -> bytes:
        return struct.pack(f"<{self._offset_letter}", place)

    def _to_even(self) -> None:
        # The standard wants values and directories to begin at an even byte.
        self._file.write(b"\0" * (self._file.tell() % 2))

    def _unwritable(self, error: OSError) -> TiffError:
        reason = error.strerror or error
        where = os.fspath(self.path)
        return TiffError(f"{where}: expected a place to write, but got {reason}. Check the folder and the free space.")
