"""One band of a raster, read window by window: DN, valid pixels, level and place."""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window as RasterWindow
from scipy.ndimage import minimum_filter

from seep_monai.dataset.level import LevelCounter
from seep_monai.dataset.pairs import TIFF_SUFFIXES
from seep_monai.errors import ConfigError, DataError
from seep_monai.rectangles import Window, clipped, copy_overlap, row_blocks, shape_of, with_margin, within
from seep_monai.scene.land import LandMask
from seep_monai.scene.place import UNREADABLE, Place, pixel_factor, pixel_size_m, read_place, scaled, scaled_affine
from seep_monai.tiff import finite_fault, valid_mask
from seep_monai.tiff_structure import size_fault

logger = logging.getLogger(__name__)

Mask = npt.NDArray[np.bool_]

# Choice: 13 MB of a uint16 scene with 25,000 columns.
_ROWS_AT_ONCE = 256
_WHOLE_NUMBERS = ("uint8", "uint16", "int16")
_DTYPES = (*_WHOLE_NUMBERS, "float32", "float64")


@dataclass(frozen=True)
class RasterOptions:
    """How a raster is read.

    Attributes:
        band: 1-based number of the band; None: the only one.
        factor: each pixel is the mean power of factor x factor pixels of the file, as an amplitude again.
        border_noise_px: pixels this close to no-data, or to the edge of the file, are no-data: strips of noise.
        land: vector file of areas without sea, which are no-data; None: there is none.
    """

    band: int | None = None
    factor: int = 1
    border_noise_px: int = 0
    land: str | None = None


class Raster:
    """An open raster. Use it as a context manager.

    Attributes:
        path: of the file.
        shape: (rows, columns) after resampling.
        place: where its pixels lie, after resampling.

    Raises:
        DataError: if GDAL cannot open the file; if it has several bands and none is chosen, complex pixels, or another
            dtype than 8- or 16-bit integers and floats.
    """

    def __init__(self, path: str | os.PathLike[str], options: RasterOptions | None = None) -> None:
        self.path, self.options = Path(path), options or RasterOptions()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                # A name of a TIFF opens nothing else, such as a list of addresses.
                driver = "GTiff" if self.path.suffix.lower() in TIFF_SUFFIXES else None
                self._source = rasterio.open(measurement_of(self.path), driver=driver)
        except UNREADABLE as error:
            reason = str(error).rstrip(".")
            raise DataError(f"{path}: expected a raster that GDAL can open, but: {reason}. Check the file.") from error
        self._band = self._checked_band()
        self._check_size()
        factor = self.options.factor
        self.shape = (self._source.height // factor, self._source.width // factor)
        if min(self.shape) < 1:
            raise DataError(f"{path}: expected at least {factor} rows and columns. Give a smaller pixel size.")
        self.place: Place = scaled(read_place(self._source.name), factor)
        self._land = None if self.options.land is None else LandMask(self.options.land, self.place, self.shape)

    def georeference(self) -> dict[str, Any]:
        """Arguments of `rasterio.open` that give a file with these pixels the same place, control points included."""
        points, crs = self._source.gcps
        factor = self.options.factor
        if points and crs:
            moved = [GroundControlPoint(p.row / factor, p.col / factor, p.x, p.y, p.z, p.id, p.info) for p in points]
            return {"gcps": moved, "crs": crs}
        if self._source.crs is None:
            return {}
        return {"crs": self._source.crs, "transform": scaled_affine(self._source.transform, factor)}

    def tag(self, name: str) -> str | None:
        """A text in the metadata of the file, such as `TIFFTAG_DATETIME`; None: there is none."""
        text = self._source.tags().get(name)
        return None if text is None else str(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def read(self, rows: slice, columns: slice) -> tuple[npt.NDArray[Any], Mask]:
        """DN (float32, or the dtype of the file) and valid pixels of a window inside the raster.

        Raises:
            DataError: if pixels cannot be read, are negative, or are not finite and not declared as no-data.
        """
        factor, noise = self.options.factor, self.options.border_noise_px
        window = slice(rows.start * factor, rows.stop * factor), slice(columns.start * factor, columns.stop * factor)
        dn, valid = self._read_without_noise(window) if noise else self._read_file(window)
        if factor > 1:
            dn, valid = block_mean(dn, valid, factor)
        if self._land is not None:
            valid = valid & ~self._land.read(rows, columns)
        return dn, valid

    def level(self) -> float:
        """The median of the valid DN of the whole raster.

        Raises:
            DataError: as `read`; if no pixel is valid, or the median is not above 0.
        """
        counter = LevelCounter()
        for window in row_blocks(self.shape, _ROWS_AT_ONCE):
            dn, valid = self.read(*window)
            counter.add(dn[valid])
        try:
            return counter.median()
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from error

    def _check_size(self) -> None:
        """Raise DataError if the files of the raster could not hold its pixels."""
        files = [Path(file) for file in self._source.files]
        if not all(file.is_file() for file in files):
            # Read from elsewhere, by a VRT.
            return
        pixel_bytes = np.dtype(self._source.dtypes[self._band - 1]).itemsize
        block = self._source.block_shapes[self._band - 1]
        # GDAL reads whole blocks.
        rows, columns = (-(-size // part) * part for size, part in zip(self._source.shape, block, strict=True))
        n_bytes = sum(file.stat().st_size for file in files)
        fault = size_fault(self._source.shape, rows * columns * pixel_bytes, n_bytes)
        if fault:
            raise DataError(f"{self.path}: {fault}")

    def _checked_band(self) -> int:
        band, count = self.options.band, self._source.count
        if not 1 <= (band or 1) <= count or (band is None and count > 1):
            got = "none is chosen" if band is None else f"band {band} is chosen"
            raise DataError(f"{self.path}: expected one band, but it has {count} and {got}. Give --band 1..{count}.")
        chosen = band or 1
        dtype = self._source.dtypes[chosen - 1]
        if dtype.startswith("complex"):
            raise DataError(
                f"{self.path}: expected detected images (amplitude), but got {dtype}: a complex product (SLC). Use the "
                "GRD product, or write the amplitude first."
            )
        if dtype not in _DTYPES:
            known = ", ".join(_DTYPES)
            raise DataError(f"{self.path}: expected {known}, but got {dtype}. Convert it: gdal_translate -ot Float32")
        return chosen

    def _read_file(self, window: Window) -> tuple[npt.NDArray[Any], Mask]:
        in_file = RasterWindow.from_slices(*window)
        try:
            dn = self._source.read(self._band, window=in_file)
            flags = self._source.mask_flag_enums[self._band - 1]
            masked = MaskFlags.per_dataset in flags or MaskFlags.alpha in flags
            mask = self._source.read_masks(self._band, window=in_file) > 0 if masked else True
        except MemoryError as error:
            rows, columns = shape_of(window)
            raise DataError(
                f"{self.path}: expected memory for {rows} x {columns} px at once, but there is not enough. Cut the "
                "raster, or use a machine with more memory."
            ) from error
        except UNREADABLE as error:
            raise DataError(
                f"{self.path}: rows {window[0].start} to {window[0].stop} cannot be read ({error}). The file is "
                "damaged or was not copied completely: copy it again."
            ) from error
        valid = valid_mask(dn, self._source.nodatavals[self._band - 1]) & mask
        fault = finite_fault(dn, valid, self.path)
        if fault:
            raise DataError(fault)
        if dn.dtype.kind != "u" and (dn[valid] < 0).any():
            raise DataError(
                f"{self.path}: expected DN in linear units (amplitude or intensity), but got negative values. Convert "
                "decibels first: 10 ** (dB / 20)."
            )
        return dn, valid

    def _read_without_noise(self, window: Window) -> tuple[npt.NDArray[Any], Mask]:
        """As `_read_file`; valid are only pixels whose square of 2 n + 1 px holds no no-data."""
        n = self.options.border_noise_px
        around = with_margin(window, n)
        in_file = clipped(around, self._source.shape)
        dn, valid = self._read_file(in_file)
        # Outside of the file there is no data, so that the edge of the file is cut as well.
        known = np.zeros(shape_of(around), bool)
        copy_overlap(valid, in_file, into=known, window=around)
        inner = minimum_filter(known, 2 * n + 1)[n:-n, n:-n]
        return dn[within(window, in_file)], inner


def with_pixel_size(
    path: Path, options: RasterOptions, wanted_m: float | None, *, required: bool = True
) -> RasterOptions:
    """The options with the factor that gives pixels nearest to the wanted size; None: pixels as they are.

    Args:
        path: of the raster.
        options: how it is read.
        wanted_m: the wanted size in m.
        required: False: where the size cannot be had, pixels stay as they are, and a warning says so.

    Raises:
        DataError: as `Raster`; if the raster has no coordinate system, so that the size of its pixels is unknown.
        ConfigError: if the wanted pixels are much smaller than those of the raster.
    """
    if wanted_m is None:
        return options
    with Raster(path, replace(options, land=None)) as raster:
        try:
            if raster.place.crs is None:
                raise DataError(
                    "expected a coordinate system for --pixel_size_m, but the raster has none. Give it a "
                    "georeference, or leave the option out."
                )
            size_m = pixel_size_m(raster.place, raster.shape)
            factor = pixel_factor(size_m, wanted_m)
        except (ConfigError, DataError) as error:
            if required:
                raise type(error)(f"{path}: {error}") from error
            reason = "has no coordinate system" if raster.place.crs is None else f"has pixels of {size_m:.3g} m"
            logger.warning(
                "%s %s, so its pixels are taken as they are; the weights were trained on pixels of %.3g m",
                path.name,
                reason,
                wanted_m,
            )
            return options
    logger.info("%s: pixels of %.1f m, joined to %.1f m", path.name, size_m, size_m * factor)
    return replace(options, factor=factor)


def measurement_of(path: Path) -> str:
    """The image of a path: the VV measurement of a `.SAFE` folder, else the path itself.

    Raises:
        DataError: if the folder holds no or several VV measurements.
    """
    if not (path.is_dir() and path.suffix.upper() == ".SAFE"):
        return str(path)
    found = [file for file in sorted((path / "measurement").glob("*.tif*")) if "-vv-" in file.name.lower()]
    if len(found) != 1:
        raise DataError(
            f"{path}: expected one VV measurement (measurement/*-vv-*.tiff), but found {len(found)}. Use a GRD product "
            "with VV, unpacked completely."
        )
    return str(found[0])


def block_mean(dn: npt.NDArray[Any], valid: Mask, factor: int) -> tuple[npt.NDArray[np.float32], Mask]:
    """Amplitude of the mean power over blocks of factor x factor pixels; a block with any no-data is no-data.

    >>> dn, valid = block_mean(np.array([[3, 3], [4, 4]]), np.ones((2, 2), bool), 2)
    >>> round(float(dn[0, 0]) ** 2, 3), valid.tolist()
    (12.5, [[True]])
    """
    rows, columns = dn.shape[0] // factor, dn.shape[1] // factor
    power = np.where(valid, dn, 0).astype(np.float64) ** 2
    mean: npt.NDArray[np.float64] = power.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    whole = np.asarray(valid.reshape(rows, factor, columns, factor).all(axis=(1, 3)))
    return np.sqrt(mean).astype(np.float32), whole
