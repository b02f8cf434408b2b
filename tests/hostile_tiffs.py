"""TIFF files of many kinds, and seeded mutations of their bytes and tags."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import rasterio
import tifffile
from tiff_files import make_geo_tiff, make_tiff, pixels

# Values that break size arithmetic.
EDGES = (0, 1, 2, 3, 7, 8, 16, 255, 256, 257, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
# Tags that decide which pixels are read.
TAGS = (254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339, 32997, 42113)


def write_kinds(folder: Path) -> list[Path]:
    """One file of each kind: layout, compression, predictor, dtype, byte order, bands, no-data, pages."""
    strips, tiles = {"blockysize": 7}, {"tiled": True, "blockxsize": 16, "blockysize": 32}
    kinds: dict[str, tuple[str, dict]] = {
        "plain": ("uint16", {}),
        "one_strip": ("uint16", {"blockysize": 40}),
        "strips": ("uint8", strips),
        "tiles": ("uint16", tiles),
        "big_endian": ("int16", {**tiles, "endianness": "BIG"}),
        "bigtiff": ("uint16", {**strips, "BIGTIFF": "YES"}),
        "bigtiff_tiles": ("float32", {**tiles, "BIGTIFF": "YES", "endianness": "BIG", "compress": "deflate"}),
        "float64": ("float64", {**strips, "nodata": -9999}),
        "nan": ("float32", {"nodata": np.nan}),
        "int32": ("int32", tiles),
        "bits": ("uint8", {"NBITS": 1}),
    }
    for codec in ("deflate", "lzw", "packbits", "zstd"):
        kinds[f"{codec}_strips"] = ("uint16", {**strips, "compress": codec})
        kinds[f"{codec}_tiles"] = ("uint8", {**tiles, "compress": codec})
        if codec != "packbits":
            kinds[f"{codec}_differences"] = ("uint16", {**tiles, "compress": codec, "predictor": 2})
            kinds[f"{codec}_floats"] = ("float32", {**strips, "compress": codec, "predictor": 3, "endianness": "BIG"})
    paths = [make_tiff(folder / f"{name}.tif", pixels(dtype), **profile) for name, (dtype, profile) in kinds.items()]
    three = pixels(shape=(3, 40, 53))
    for interleave in ("pixel", "band"):
        for extra in ({}, {"compress": "deflate", "predictor": 2, **tiles}):
            name = f"three_{interleave}_{len(extra)}.tif"
            paths.append(make_tiff(folder / name, three, interleave=interleave, **extra))
    paths.append(make_geo_tiff(folder / "geo.tif", pixels(), nodata=7, compress="lzw"))
    for name, layout in (("sparse_strips", strips), ("sparse_tiles", tiles)):
        shape = {"count": 1, "height": 40, "width": 53, "dtype": "int16", "nodata": 300}
        with rasterio.open(folder / f"{name}.tif", "w", driver="GTiff", SPARSE_OK=True, **shape, **layout) as file:
            file.write(pixels("int16")[:14, :16], 1, window=((0, 14), (0, 16)))
        paths.append(folder / f"{name}.tif")
    with_overview = make_tiff(folder / "overview.tif", pixels(), **tiles)
    with rasterio.open(with_overview, "r+") as file:
        file.build_overviews([2])
    palette = make_tiff(folder / "palette.tif", pixels("uint8") % 8)
    with rasterio.open(palette, "r+") as file:
        file.write_colormap(1, {value: (value, 0, 0, 255) for value in range(8)})
    tifffile.imwrite(folder / "pages.tif", three, photometric="minisblack", metadata=None)
    tifffile.imwrite(folder / "bool.tif", pixels() > 99)
    return [*paths, with_overview, palette, folder / "pages.tif", folder / "bool.tif"]


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """The content of a TIFF file with one to three random faults."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        fault = rng.choice([_byte, _entry, _entry, _entry, _number, _copy, _cut])
        changed = fault(changed, rng)
    return bytes(changed)


def entries(content: bytes | bytearray) -> list[tuple[int, int, str]]:
    """(tag, place of the entry, format of an entry) of the pages of a sound file."""
    order = "<" if content[:1] == b"I" else ">"
    big = struct.unpack_from(f"{order}H", content, 2)[0] == 43
    count, offset, entry = ("Q", "Q", "HHQQ") if big else ("H", "I", "HHII")
    (page,) = struct.unpack_from(order + offset, content, 8 if big else 4)
    found = []
    while page and len(found) < 200:
        (n,) = struct.unpack_from(order + count, content, page)
        first, size = page + struct.calcsize(order + count), struct.calcsize(order + entry)
        places = range(first, first + n * size, size)
        found += [(struct.unpack_from(f"{order}H", content, place)[0], place, order + entry) for place in places]
        (page,) = struct.unpack_from(order + offset, content, first + n * size)
    return found


def _byte(content: bytearray, rng: np.random.Generator) -> bytearray:
    for _ in range(rng.integers(1, 9)):
        if content:
            content[rng.integers(len(content))] = rng.integers(256)
    return content


def _entry(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Another number, type, count or value in one tag."""
    try:
        known = entries(content)
    except (struct.error, OverflowError):
        return _byte(content, rng)
    chosen = [entry for entry in known if entry[0] in TAGS] or known
    if not chosen:
        return _byte(content, rng)
    _, place, form = chosen[rng.integers(len(chosen))]
    fields = list(struct.unpack_from(form, content, place))
    which = int(rng.choice(4, p=[0.1, 0.1, 0.2, 0.6]))
    top = 2 ** (16 if which < 2 else 64 if "Q" in form else 32)
    near = [fields[which] - 1, fields[which] + 1, fields[which] * 2, fields[which] // 2, len(content), top - 1]
    if which == 3 and form[0] == ">" and fields[1] == 3:
        near += [value << 16 for value in EDGES]
    values = [value for value in (*near, *EDGES, int(rng.integers(20))) if 0 <= value < top]
    fields[which] = values[rng.integers(len(values))]
    struct.pack_into(form, content, place, *fields)
    return content


def _number(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Another number somewhere: often one of an array of offsets or byte counts."""
    kind = str(rng.choice(["<H", "<I", ">I", "<Q"]))
    size = struct.calcsize(kind)
    if len(content) > size:
        place = int(rng.integers(len(content) - size)) // 2 * 2
        value = int(rng.choice([*EDGES, len(content)])) % 256**size
        struct.pack_into(kind, content, place, value)
    return content


def _copy(content: bytearray, rng: np.random.Generator) -> bytearray:
    """A piece of the file in the place of another."""
    length = int(rng.integers(1, 65))
    if len(content) > length:
        source, target = (int(rng.integers(len(content) - length)) for _ in range(2))
        content[target : target + length] = content[source : source + length]
    return content


def _cut(content: bytearray, rng: np.random.Generator) -> bytearray:
    return content[: rng.integers(len(content) + 1)] if rng.random() < 0.5 else content + bytes(rng.integers(99))
