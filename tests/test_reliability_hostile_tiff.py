"""Damaged and hostile TIFF files: refused, or read as GDAL reads them; soon, and without much memory."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
import soak
import tifffile
from hostile_tiffs import mutated, write_kinds
from hostile_trials import Trials
from rasterio.shutil import copy
from tiff_files import make_gcp_tiff, make_geo_tiff, make_tiff, pixels

from seep_monai.errors import DataError, TiffError
from seep_monai.scene.place import pixel_size_m
from seep_monai.scene.raster import Raster
from seep_monai.tiff import read_head, read_tiff
from seep_monai.tiff_structure import size_fault

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    # rasterio cannot decode some of GDAL's messages on damaged files.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(100, logger="tifffile")
    caplog.set_level(100, logger="rasterio")


def bands_of(path: Path) -> int:
    with tifffile.TiffFile(path) as tiff:
        pages = [page for i, page in enumerate(tiff.pages) if i == 0 or not page.subfiletype & 5]
        return sum(page.samplesperpixel for page in pages)


def by_gdal(path: Path, page: int, sample: int) -> np.ndarray | None:
    """The pixels as GDAL reads them, None if it refuses."""
    try:
        with rasterio.open(path if page == 0 else f"GTIFF_DIR:{page + 1}:{path}", driver="GTiff") as source:
            return source.read(sample + 1)
    except Exception:  # rasterio raises many types
        return None


def by_tifffile(path: Path, page: int, sample: int) -> np.ndarray | None:
    """The pixels as tifffile reads them, None if it refuses."""
    try:
        with tifffile.TiffFile(path) as tiff:
            bands = tiff.pages[page].asarray(squeeze=False)
    except Exception:  # tifffile raises many types
        return None
    return bands[sample, 0, :, :, 0] if bands.shape[4] == 1 else bands[0, 0, :, :, sample]


def same(one: np.ndarray | None, other: np.ndarray) -> bool:
    return one is not None and one.shape == other.shape and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def test_mutated_files_are_refused_or_read_as_by_gdal(tmp_path: Path) -> None:
    """Where GDAL refuses for a tag that pixels do not depend on, tifffile or the sound file is the truth."""
    kinds, trials = write_kinds(tmp_path), Trials(seed=16)
    n_bands = {path: bands_of(path) for path in kinds}
    sound = {(path, band): read_tiff(path, band=band).array for path in kinds for band in range(1, n_bands[path] + 1)}
    path = tmp_path / "mutated.tif"
    for i, rng in trials.rngs(soak.trials(small=250, full=10_000)):
        kind = kinds[i % len(kinds)]
        path.write_bytes(mutated(kind.read_bytes(), rng))
        band = int(rng.integers(n_bands[kind])) + 1
        image = trials.run(f"trial {i} ({kind.stem})", lambda band=band, kind=kind: read_of(path, band, n_bands[kind]))
        trials.run(f"head of trial {i}", lambda: read_head(path))
        if image is None:
            continue
        page, sample = (band - 1, 0) if kind.stem == "pages" else (0, band - 1)
        found = by_gdal(path, page, sample)
        if found is not None:
            assert same(found, image), f"seed 16, trial {i} ({kind.stem}): not as GDAL"
            trials.outcomes["as GDAL"] += 1
        else:
            unharmed = same(sound[kind, band], image) or same(by_tifffile(path, page, sample), image)
            assert unharmed, f"seed 16, trial {i} ({kind.stem}): GDAL refuses"
            trials.outcomes["GDAL refuses"] += 1
    assert trials.outcomes["as GDAL"] > 0 < trials.outcomes["refused"]
    soak.record("A damaged TIFF is refused or gives the pixels that GDAL reads", trials.figures())


def read_of(path: Path, band: int, n_bands: int) -> np.ndarray:
    return read_tiff(path, band=None if n_bands == 1 else band).array


def test_mutated_rasters_are_read_or_refused(tmp_path: Path) -> None:
    places = [make_gcp_tiff(tmp_path / "gcp.tif", pixels()), make_geo_tiff(tmp_path / "map.tif", pixels())]
    kinds, trials = [*write_kinds(tmp_path), *(places * 8)], Trials(seed=17)
    path = tmp_path / "mutated.tif"

    def use() -> float:
        with Raster(path) as raster:
            if raster.place.crs is not None:
                pixel_size_m(raster.place, raster.shape)
            return raster.level()

    for i, rng in trials.rngs(soak.trials(small=100, full=4000)):
        path.write_bytes(mutated(kinds[i % len(kinds)].read_bytes(), rng))
        trials.run(f"trial {i} ({kinds[i % len(kinds)].stem})", use)
    soak.record("A damaged raster is read or refused", trials.figures())


def tiff_of(tags: dict[int, tuple[str, int, int]], *, after: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of one page with (type, count, value) by tag, and bytes after it."""
    codes = {"H": 3, "I": 4}
    entries = [struct.pack("<HHII", tag, codes[kind], n, value) for tag, (kind, n, value) in sorted(tags.items())]
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + b"".join(entries) + struct.pack("<I", following) + after


def place_after(n_tags: int) -> int:
    """Where the bytes after a page of so many tags begin."""
    return 8 + 2 + 12 * n_tags + 4


def grey(width: int, height: int, rows: int, offset: int, n_bytes: int, **more: tuple[str, int, int]) -> dict:
    tags = {256: ("I", 1, width), 257: ("I", 1, height), 258: ("H", 1, 8), 259: ("H", 1, 1), 262: ("H", 1, 1)}
    tags |= {273: ("I", 1, offset), 277: ("H", 1, 1), 278: ("I", 1, rows), 279: ("I", 1, n_bytes)}
    return {**tags, **{int(name[1:]): value for name, value in more.items()}}


def sparse_tiles(side: int) -> bytes:
    """An image of so many pixels a side whose 256 x 256 tiles are all left out, with place for their offsets."""
    n_tiles = (side // 256) ** 2
    tags = {256: ("I", 1, side), 257: ("I", 1, side), 258: ("H", 1, 8), 322: ("I", 1, 256), 323: ("I", 1, 256)}
    tags |= {324: ("I", n_tiles, place_after(7)), 325: ("I", n_tiles, place_after(7))}
    return tiff_of(tags, after=bytes(4 * n_tiles))


def deflated_bomb() -> bytes:
    """Gigabytes of zeros in a megabyte, in a file that claims 16 x 16 px."""
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(2**24)) for _ in range(64)) + packer.flush()
    return tiff_of(grey(16, 16, 16, place_after(9), len(bomb), _259=("H", 1, 8)), after=bomb)


def shared_strips() -> bytes:
    """100,000 strips of a row each that are one and the same strip of 64 kB."""
    n, at = 100_000, place_after(9)
    tags = grey(65536, n, 1, at + 65536, n, _273=("I", n, at + 65536), _279=("I", n, at + 65536 + 4 * n))
    arrays = np.concatenate([np.full(n, at, "<u4"), np.full(n, 65536, "<u4")]).tobytes()
    return tiff_of(tags, after=bytes(65536) + arrays)


def overlapping_pages() -> bytes:
    """A megabyte in which a page of 60,000 tags begins at every fourth byte."""
    raw = bytearray(2**20)
    raw[:8] = struct.pack("<2sHI", b"II", 42, 8)
    n = 60_000
    for page in range(8, 20_000, 4):
        struct.pack_into("<H", raw, page, n)
        struct.pack_into("<I", raw, page + 2 + 12 * n, page + 4)
    return bytes(raw)


HOSTILE: dict[str, bytes] = {
    "samples without number": tiff_of(grey(16, 16, 16, 122, 256, _277=("I", 1, 2**32 - 1)), after=bytes(8000)),
    "65535 samples": tiff_of(grey(16, 16, 16, 122, 8000, _277=("H", 1, 65535)), after=bytes(8000)),
    "sparse strip of 8 GB": tiff_of(grey(100_000, 80_000, 80_000, 0, 0)),
    "sparse tiles of 4 GB": sparse_tiles(2**16),
    "tile of 4 GB for 16 px": tiff_of(
        {**grey(16, 16, 1, 0, 0), 322: ("I", 1, 2**16), 323: ("I", 1, 2**16), 324: ("I", 1, 0), 325: ("I", 1, 0)}
    ),
    "rows without number": tiff_of(grey(16, 2**32 - 1, 1, 122, 256), after=bytes(256)),
    "columns without number": tiff_of(grey(2**32 - 1, 2**32 - 1, 2**32 - 1, 122, 256), after=bytes(256)),
    "strip beyond the end": tiff_of(grey(16, 16, 16, 2**32 - 100, 256), after=bytes(256)),
    "strip longer than the file": tiff_of(grey(16, 16, 16, 122, 2**32 - 1), after=bytes(256)),
    "shorter strip than its rows": tiff_of(grey(16, 16, 16, 122, 100), after=bytes(256)),
    "strips that share their bytes": shared_strips(),
    "offsets without number": tiff_of(grey(16, 16, 1, 122, 256, _273=("I", 2**32 - 1, 8)), after=bytes(256)),
    "page that follows itself": tiff_of(grey(16, 16, 16, 122, 256), after=bytes(256), following=8),
    "pages that overlap": overlapping_pages(),
    "tag of 4 GB": tiff_of(grey(16, 16, 16, 134, 256, _34735=("H", 2**31, 8)), after=bytes(256)),
    "gigabyte in a strip": deflated_bomb(),
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_hostile_file_is_refused_soon_and_without_memory(tmp_path: Path, fault: str) -> None:
    trials, path = Trials(seed=0), tmp_path / "a.tif"
    path.write_bytes(HOSTILE[fault])
    trials.run(fault, lambda: read_tiff(path))
    assert trials.outcomes["refused"] == 1
    trials.run(fault, lambda: read_head(path))


@pytest.mark.parametrize("fault", HOSTILE)
def test_hostile_raster_is_read_or_refused_soon_and_without_memory(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(HOSTILE[fault])

    def use() -> float:
        with Raster(path) as raster:
            return raster.level()

    Trials(seed=0).run(fault, use)


def test_sparse_raster_says_how_many_pixels_its_file_cannot_hold(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(HOSTILE["sparse strip of 8 GB"])
    assert (tmp_path / "a.tif").stat().st_size < 154
    for use in (read_tiff, Raster):
        with pytest.raises((TiffError, DataError), match=r"a\.tif: expected at most .* but got 8000000000 bytes"):
            use(tmp_path / "a.tif")


def test_sparse_file_of_plausible_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(sparse_tiles(4096))
    assert read_tiff(tmp_path / "a.tif").array.shape == (4096, 4096)


def test_image_of_one_value_deflated_is_plausible() -> None:
    n_bytes = 2**27
    assert size_fault((1, n_bytes), n_bytes, len(zlib.compress(bytes(n_bytes), 9))) is None
    assert size_fault((1, n_bytes), n_bytes, n_bytes // 1040) is not None


def test_name_of_a_tiff_opens_no_list_of_other_files(tmp_path: Path) -> None:
    other = make_tiff(tmp_path / "other.tif", pixels())
    with rasterio.open(other) as source:
        copy(source, tmp_path / "list.vrt", driver="VRT")
    (tmp_path / "list.vrt").rename(tmp_path / "list.tif")
    with pytest.raises(DataError, match=r"list\.tif: expected a raster"):
        Raster(tmp_path / "list.tif")


def test_image_without_memory_for_it_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_tiff(tmp_path / "a.tif", pixels())

    def none(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("seep_monai.tiff.read_band", none)
    with pytest.raises(TiffError, match=r"a\.tif: expected an image that fits into memory"):
        read_tiff(path)
