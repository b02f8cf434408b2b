"""The structure of a TIFF file: its pages, their tags, and the blocks that hold the pixels.

Every number is checked against the size of the file before anything is read or allocated by it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from seep_monai import geo
from seep_monai.errors import TiffError

DESCRIPTION = 270
_SUBFILE_TYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _N_SAMPLES, _STRIP_ROWS, _STRIP_BYTES, _PLANAR, _PREDICTOR = 273, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _COLOURS, _FORMAT, _DEPTH = 322, 323, 324, 325, 320, 339, 32997
# Tags that affect pixels, georeference or no-data. One of them beyond the end of the file is an error.
_NEEDED_TAGS = {
    *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _STRIP_OFFSETS, _N_SAMPLES, _STRIP_ROWS, _STRIP_BYTES, _PLANAR, _PREDICTOR),
    *(_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _FORMAT, geo.NO_DATA, *geo.TAG_DTYPES),
}
# Others are not looked at.
_READ_TAGS = [*_NEEDED_TAGS, DESCRIPTION, _SUBFILE_TYPE, _PHOTOMETRIC, _FILL_ORDER, _COLOURS, _DEPTH]
# Source: TIFF 6.0, section 2; 13 and 16 to 18 from TIFF Technical Note 1 and BigTIFF.
_TYPES = {1: "u1", 2: "S1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 11: "f4", 12: "f8", 13: "u4"}
_TYPES |= {16: "u8", 17: "i8", 18: "u8"}
# Pixels that are read, by sample format and bits. GDAL calls those of one bit uint8, tifffile calls them bool.
READ_DTYPES = {(1, 1): "bool", (3, 32): "float32", (3, 64): "float64"}
READ_DTYPES |= {(kind, bits): f"{sign}int{bits}" for kind, sign in ((1, "u"), (2, "")) for bits in (8, 16, 32, 64)}
_GREY_OR_RGB, PALETTE = {0, 1, 2}, 3
_REDUCED_OR_MASK = 0b101
# Choice: a colour table, or the control points of 5,000 places, take less.
_MOST_TAG_BYTES = 2**20
# Choice: time series have hundreds of pages.
_MOST_PAGES = 4096
# Source: zlib: deflate makes data at most 1032 times as small.
_MOST_RATIO = 1032
# Choice: 4096 x 4096 px of float32. A file of any size may claim that much.
_ALWAYS_ALLOWED_BYTES = 2**26
CONVERT = "Convert it: gdal_translate -co COMPRESS=DEFLATE IN.tif OUT.tif"
COPY_AGAIN = "The file is damaged or was not copied completely: copy it again."


@dataclass(frozen=True)
class Source:
    """An open TIFF file.

    Attributes:
        file: open for reading.
        path: for messages.
        size: of the file in bytes.
        order: byte order, `<` or `>`.
        big: whether it is a BigTIFF, with offsets of 8 bytes.
    """

    file: BinaryIO
    path: str | os.PathLike[str]
    size: int
    order: Literal["<", ">"] = "<"
    big: bool = False

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Bytes of the file; raises TiffError if not all of them are inside."""
        if 0 <= offset <= self.size - n_bytes:
            self.file.seek(offset)
            content = self.file.read(n_bytes)
            if len(content) == n_bytes:
                return content
        raise self.error(f"{offset + n_bytes} bytes or more", f"{self.size}, so it is truncated", COPY_AGAIN)

    def number(self, offset: int, dtype: str) -> int:
        """One number of the file."""
        kind = np.dtype(self.order + dtype)
        return int(np.frombuffer(self.read(offset, kind.itemsize), kind)[0])

    def error(self, expected: str, got: str, remedy: str) -> TiffError:
        """The error to raise."""
        return TiffError(f"{os.fspath(self.path)}: expected {expected}, but got {got}. {remedy}")


@dataclass(frozen=True)
class Tag:
    """Where the values of a tag are: `count` values of a NumPy dtype from the byte `offset` on."""

    dtype: np.dtype
    count: int
    offset: int


@dataclass(frozen=True)
class Page:
    """One page (image file directory) of a file, with its tags by number."""

    source: Source
    tags: Mapping[int, Tag]

    def values(self, code: int, *, most_bytes: int = _MOST_TAG_BYTES) -> npt.NDArray | None:
        """The values of a tag, None without one."""
        tag = self.tags.get(code)
        if tag is None:
            return None
        n_bytes = tag.count * tag.dtype.itemsize
        if n_bytes > most_bytes:
            raise self.source.error(f"at most {most_bytes} bytes in tag {code}", f"{n_bytes}", COPY_AGAIN)
        return np.frombuffer(self.source.read(tag.offset, n_bytes), tag.dtype)

    def number(self, code: int, default: int | None = None) -> int:
        """The one value of a tag that holds a whole number; of several equal values one."""
        values = self.values(code)
        if values is None and default is not None:
            return default
        if values is None or not len(values) or values.dtype.kind != "u" or (values != values[0]).any():
            got = "none" if values is None else f"{values.dtype.name} {values[:4].tolist()}"
            raise self.source.error(f"one whole number in tag {code}", got, COPY_AGAIN)
        return int(values[0])

    def text(self, code: int) -> str | None:
        """The text of a tag up to its end mark, None without one."""
        values = self.values(code)
        return None if values is None else values.tobytes().split(b"\0")[0].decode("utf-8", "replace")

    @property
    def holds_bands(self) -> bool:
        """Whether the page is neither an overview nor a mask."""
        return not self.number(_SUBFILE_TYPE, 0) & _REDUCED_OR_MASK

    @property
    def n_samples(self) -> int:
        """Number of bands."""
        n_samples = self.number(_N_SAMPLES, 1)
        if not 1 <= n_samples <= 65535:
            raise self.source.error("1 to 65535 samples a pixel", f"{n_samples}", COPY_AGAIN)
        return n_samples

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.number(_HEIGHT), self.number(_WIDTH)


@dataclass(frozen=True, eq=False)
class Layout:
    """How the pixels of a page are stored: row by row in blocks of one size, which are strips or tiles.

    Attributes:
        shape: (rows, columns) of the image.
        block: (rows, columns) of a block. The last strip may hold fewer rows; tiles are always full.
        n_planes: number of bands that have blocks of their own; 1 if a block holds all bands.
        n_together: number of bands in a block.
        dtype: of a pixel in the byte order of the file; bool: eight pixels in a byte.
        compression, predictor: values of the tags.
        tiled: whether blocks are tiles.
        palette: whether pixels are numbers of colours.
        offsets, n_bytes: (planes * blocks,) place of each block in the file.
    """

    shape: tuple[int, int]
    block: tuple[int, int]
    n_planes: int
    n_together: int
    dtype: np.dtype
    compression: int
    predictor: int
    tiled: bool
    palette: bool
    offsets: npt.NDArray[np.int64]
    n_bytes: npt.NDArray[np.int64]

    def block_bytes(self, rows: int) -> int:
        """Bytes of the first rows of a block, decoded."""
        bits = 1 if self.dtype.kind == "b" else 8 * self.dtype.itemsize
        return rows * (-(-self.block[1] * self.n_together * bits // 8))


def read_pages(file: BinaryIO, path: str | os.PathLike[str]) -> list[Page]:
    """All pages of a TIFF or BigTIFF file.

    Raises:
        TiffError: if it is neither, or a page or a needed tag is not inside the file.
    """
    source = _opened(file, path)
    pages: list[Page] = []
    seen, n_tags = set(), 0
    offset = source.number(8 if source.big else 4, "u8" if source.big else "u4")
    while offset:
        if offset in seen or len(pages) == _MOST_PAGES:
            raise source.error(f"at most {_MOST_PAGES} different pages", "more, or a circle of pages", COPY_AGAIN)
        seen.add(offset)
        page, n_entries, offset = _read_page(source, offset, n_page=len(pages))
        pages.append(page)
        n_tags += n_entries
        # Pages that share their bytes would make a small file endless.
        if 12 * n_tags > source.size:
            raise source.error("pages with bytes of their own", "pages that overlap", COPY_AGAIN)
    if not pages:
        raise source.error("a readable TIFF file", "one without pages", COPY_AGAIN)
    return pages


def size_fault(shape: tuple[int, int], claimed_bytes: int, file_bytes: int) -> str | None:
    """What is wrong if a file claims more pixels than one of its size can hold, else None.

    Args:
        shape: (rows, columns) of the image.
        claimed_bytes: of the decoded pixels.
        file_bytes: size of the file, or of all files that hold the pixels.
    """
    most = max(_ALWAYS_ALLOWED_BYTES, _MOST_RATIO * file_bytes)
    if claimed_bytes <= most:
        return None
    return (
        f"expected at most {most} bytes of pixels in {file_bytes} bytes of file, but got {claimed_bytes} bytes, "
        f"{shape[0]} x {shape[1]} px. The file is damaged, or nearly empty: write it uncompressed or deflated."
    )


def read_layout(page: Page) -> Layout:
    """How the pixels of a page are stored.

    Raises:
        TiffError: if a tag contradicts another or the size of the file, or the pixels are of an unsupported kind.
    """
    source, (height, width), n_samples = page.source, page.shape, page.n_samples
    photometric = page.number(_PHOTOMETRIC, 1)
    if photometric not in {*_GREY_OR_RGB, PALETTE} or page.number(_FILL_ORDER, 1) != 1:
        got = f"photometric interpretation {photometric}, fill order {page.number(_FILL_ORDER, 1)}"
        raise source.error("grey values, colours or a palette, bits in the usual order", got, CONVERT)
    if photometric == PALETTE and _COLOURS not in page.tags:
        raise source.error("a table of colours", "none", COPY_AGAIN)
    dtype, planar = _dtype_of(page), page.number(_PLANAR, 1)
    if planar not in (1, 2) or (dtype.kind == "b" and n_samples > 1 and planar == 1):
        raise source.error("bands side by side or in planes", f"planar configuration {planar}", CONVERT)
    tiled = _TILE_WIDTH in page.tags
    rows = page.number(_TILE_HEIGHT) if tiled else min(page.number(_STRIP_ROWS, 2**32 - 1), height)
    columns = page.number(_TILE_WIDTH) if tiled else width
    if min(height, width, rows, columns) < 1:
        raise source.error("rows and columns above 0", f"{height} x {width} px in {rows} x {columns}", COPY_AGAIN)
    n_planes, n_together = (n_samples, 1) if planar == 2 else (1, n_samples)
    n_blocks = n_planes * math.ceil(height / rows) * math.ceil(width / columns)
    codes = (_TILE_OFFSETS, _TILE_BYTES) if tiled else (_STRIP_OFFSETS, _STRIP_BYTES)
    offsets, n_bytes = (_places(page, code, n_blocks) for code in codes)
    layout = Layout(
        (height, width),
        (rows, columns),
        n_planes,
        n_together,
        dtype,
        page.number(_COMPRESSION, 1),
        page.number(_PREDICTOR, 1),
        tiled,
        photometric == PALETTE,
        offsets,
        n_bytes,
    )
    _check_places(source, layout, n_blocks)
    return layout


def _opened(file: BinaryIO, path: str | os.PathLike[str]) -> Source:
    source = Source(file, path, os.fstat(file.fileno()).st_size)
    start = source.read(0, min(16, source.size))
    if start[:2] not in (b"II", b"MM") or len(start) < 8:
        raise source.error("a readable TIFF file", f"one that begins with {start[:4]!r}", COPY_AGAIN)
    source = replace(source, order="<" if start[:2] == b"II" else ">")
    version = source.number(2, "u2")
    big = version == 43 and (source.number(4, "u2"), source.number(6, "u2")) == (8, 0)
    if version != 42 and not big:
        raise source.error("a readable TIFF file", f"version {version}", COPY_AGAIN)
    return replace(source, big=big)


def _read_page(source: Source, offset: int, *, n_page: int) -> tuple[Page, int, int]:
    """The page at an offset, the number of its tags, and the offset of the next one, 0 after the last."""
    count_type, offset_type, entry_bytes = ("u8", "u8", 20) if source.big else ("u2", "u4", 12)
    first = offset + np.dtype(count_type).itemsize
    try:
        n_tags = source.number(offset, count_type)
        content = source.read(first, n_tags * entry_bytes)
        following = source.number(first + n_tags * entry_bytes, offset_type)
    except TiffError:
        got = f"page {n_page + 1} beyond its end"
        raise source.error("all pages inside the file", got, COPY_AGAIN) from None
    fields = [("code", "u2"), ("type", "u2"), ("count", offset_type), ("value", offset_type)]
    entries = np.frombuffer(content, np.dtype([(name, source.order + kind) for name, kind in fields]))
    tags, lost = {}, []
    read = np.flatnonzero(np.isin(entries["code"], _READ_TAGS))
    for i, (code, kind, count, value) in zip(read.tolist(), entries[read].tolist(), strict=True):
        if kind not in _TYPES:
            if code in _NEEDED_TAGS:
                raise source.error(f"numbers or text in tag {code}", f"type {kind}", COPY_AGAIN)
            continue
        dtype = np.dtype(source.order + _TYPES[kind])
        inside = count * dtype.itemsize <= np.dtype(offset_type).itemsize
        place = first + (i + 1) * entry_bytes - np.dtype(offset_type).itemsize if inside else value
        if code in tags:
            raise source.error(f"tag {code} once in a page", "several", COPY_AGAIN)
        if place + count * dtype.itemsize <= source.size:
            tags[code] = Tag(dtype, count, place)
        elif code in _NEEDED_TAGS:
            lost.append(code)
    if lost:
        raise source.error("all tags inside the file", f"tags {sorted(lost)} beyond its end", COPY_AGAIN)
    return Page(source, tags), n_tags, following


def _dtype_of(page: Page) -> np.dtype:
    """The dtype of pixels in the byte order of the file."""
    bits, kind, depth = page.number(_BITS, 1), page.number(_FORMAT, 1), page.number(_DEPTH, 1)
    name = READ_DTYPES.get((kind, bits))
    if name is None or depth != 1:
        got = f"{bits} bits of sample format {kind}, depth {depth}"
        remedy = "Convert it: gdal_translate -ot Float32 IN.tif OUT.tif"
        raise page.source.error(f"one of {', '.join(READ_DTYPES.values())}", got, remedy)
    return np.dtype(name).newbyteorder(page.source.order)


def _places(page: Page, code: int, n_blocks: int) -> npt.NDArray[np.int64]:
    """One offset or number of bytes for each block."""
    values = page.values(code, most_bytes=page.source.size)
    n_given = 0 if values is None or values.dtype.kind != "u" else len(values)
    if values is None or n_given < n_blocks:
        raise page.source.error(f"{n_blocks} strips or tiles", f"{n_given}", COPY_AGAIN)
    # Cut off where the sum of two could wrap around. It is beyond the end of any file.
    return np.minimum(values[:n_blocks].astype(np.uint64), np.uint64(2**61)).astype(np.int64)


def _check_places(source: Source, layout: Layout, n_blocks: int) -> None:
    """Raise TiffError if the blocks reach beyond the file, or could not hold as many pixels as are claimed."""
    fault = size_fault(layout.shape, n_blocks * layout.block_bytes(layout.block[0]), source.size)
    if fault:
        raise TiffError(f"{os.fspath(source.path)}: {fault}")
    offsets, n_bytes = layout.offsets, layout.n_bytes
    end = int((offsets + n_bytes).max())
    if end > source.size:
        raise source.error(f"{end} bytes or more", f"{source.size}, so it is truncated", COPY_AGAIN)
    if ((offsets == 0) != (n_bytes == 0)).any() or n_bytes.sum() > source.size:
        raise source.error("strips or tiles with bytes of their own", "some without bytes or shared ones", COPY_AGAIN)
