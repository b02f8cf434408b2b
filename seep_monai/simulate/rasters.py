"""Write a simulated scene: image and mask as GeoTIFF, films as GeoJSON; memory use is one block row."""

from __future__ import annotations

import math
import sys
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
import rasterio
import tifffile
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window as RasterWindow
from tqdm import tqdm

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.errors import SeepError
from seep_monai.rectangles import Window, row_blocks, shape_of
from seep_monai.simulate.georeference import Georeference
from seep_monai.simulate.vectors import SceneTruth, feature_collection, geojson_text
from seep_monai.tiff import TILE_PX

IMAGES_DIR, MASKS_DIR, SLICKS_DIR = "images", "masks", "slicks"
NO_DATA_DN = 0
# Choice: level 1; level 6 takes twice as long and saves only 1 % of the size on speckle of about 200 levels.
_DEFLATE_LEVEL = 1


@dataclass(frozen=True)
class SceneFiles:
    """The files of one scene.

    Attributes:
        image: uint16, DN 0 = no-data, set in the no-data tag.
        mask: uint8, 0 or the class 1..7; without a no-data tag.
        slicks: the centre lines, see `vectors.feature_collection`.
    """

    image: Path
    mask: Path
    slicks: Path


def scene_files(folder: str | Path, name: str) -> SceneFiles:
    """The paths of the files of a scene in a folder.

    Raises:
        SeepError: if the name is not a plain file name.
    """
    if not name or name.startswith(".") or any(sign in name for sign in "/\\\0"):
        raise SeepError(f"name: expected a file name without folder or suffix, but got {name!r}. Choose another.")
    folder = Path(folder)
    return SceneFiles(
        folder / IMAGES_DIR / f"{name}.tif", folder / MASKS_DIR / f"{name}.tif", folder / SLICKS_DIR / f"{name}.geojson"
    )


def write_scene(
    scene: SceneTruth,
    folder: str | Path,
    name: str,
    georeference: Georeference,
    *,
    class_names: Sequence[str] = DEFAULT_CLASS_NAMES,
    compression: Literal["deflate"] | None = "deflate",
    overwrite: bool = False,
) -> SceneFiles:
    """Write `images/NAME.tif`, `masks/NAME.tif` and `slicks/NAME.geojson` to a folder; each pixel is drawn once.

    The rasters are drawn in block rows, from top to bottom. The files get their names when all are complete.

    Args:
        scene: the scene to draw.
        folder: created if missing.
        name: name of the scene and of its files.
        georeference: position of the scene.
        class_names: names of the classes 1..7 in the vectors.
        compression: of both rasters.
        overwrite: replace files of this name.

    Raises:
        SeepError: before drawing, if a file exists already, or if name, class names, vectors or georeference are
            invalid; while drawing, if the scene returns wrong arrays or a file cannot be written.
    """
    files = scene_files(folder, name)
    _check_free(files, overwrite=overwrite)
    text = geojson_text(feature_collection(scene, name, georeference, class_names=class_names))
    profile = {**georeference.raster_place(scene.shape), "compress": compression, "zlevel": _DEFLATE_LEVEL}
    try:
        with _all_or_none(files) as parts:
            with (
                _new_raster(parts.image, scene.shape, "uint16", nodata=NO_DATA_DN, **profile) as image,
                _new_raster(parts.mask, scene.shape, "uint8", **profile) as mask,
            ):
                _draw_into(image, mask, scene, name)
            _check_whole(parts.image, files.image)
            _check_whole(parts.mask, files.mask)
            parts.slicks.write_text(text, encoding="utf-8")
    except OSError as error:
        # The error of GDAL is the cause of rasterio's error.
        reason = error.strerror or error.__cause__ or error
        raise SeepError(
            f"{error.filename or folder}: expected a folder to write to, but got {reason}. Check the path and the free "
            f"space."
        ) from error
    return files


@contextmanager
def _all_or_none(files: SceneFiles) -> Iterator[SceneFiles]:
    """Temporary file names; the files are renamed if the block ends without an error, otherwise removed."""
    part = f".{uuid.uuid4().hex}.part"
    parts = SceneFiles(**{key: path.with_name(f".{path.name}{part}") for key, path in vars(files).items()})
    for path in vars(parts).values():
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield parts
        for key, path in vars(parts).items():
            path.replace(getattr(files, key))
    finally:
        for path in vars(parts).values():
            path.unlink(missing_ok=True)


def _check_whole(part: Path, path: Path) -> None:
    """Raise SeepError if the file is incomplete; rasterio's `close` does not report a failed write."""
    try:
        with tifffile.TiffFile(part) as tiff:
            page: Any = tiff.pages.first
            tiles = list(zip(page.dataoffsets, page.databytecounts, strict=True))
            end = max(offset + count for offset, count in tiles)
            is_whole = len(tiles) == math.prod(page.chunked) and all(map(all, tiles)) and end <= tiff.filehandle.size
    except Exception:  # on damaged files, tifffile raises many types
        is_whole = False
    if not is_whole:
        raise SeepError(f"{path}: expected a complete file, but its end was not written. Free disk space.")


def _new_raster(part: Path, shape: tuple[int, int], dtype: str, **profile: Any) -> Any:
    """Open a GeoTIFF of one band with tiles of `TILE_PX` for writing."""
    with warnings.catch_warnings():
        # A scene may have no georeference.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(
            part,
            "w",
            driver="GTiff",
            height=shape[0],
            width=shape[1],
            count=1,
            dtype=dtype,
            tiled=True,
            blockxsize=TILE_PX,
            blockysize=TILE_PX,
            bigtiff="IF_SAFER",
            **profile,
        )


def _draw_into(image: Any, mask: Any, scene: SceneTruth, name: str) -> None:
    """Draw the scene into two open rasters, one block row at a time."""
    with tqdm(total=scene.shape[0], desc=name, unit="row", leave=False, disable=not sys.stderr.isatty()) as progress:
        for window in row_blocks(scene.shape, TILE_PX):
            dn, label = scene.draw(window)
            # GDAL does not cache tiles that are written completely.
            image.write(_checked(dn, window, "uint16", name), 1, window=RasterWindow.from_slices(*window))
            mask.write(_checked(label, window, "uint8", name), 1, window=RasterWindow.from_slices(*window))
            progress.update(len(dn))


def _checked(band: npt.NDArray[Any], window: Window, dtype: str, name: str) -> npt.NDArray[Any]:
    """The band, if it fits window and file, else SeepError; rasterio would resample and cast it."""
    shape = shape_of(window)
    if band.shape != shape or band.dtype != dtype:
        raise SeepError(
            f"{name}: expected {dtype} of shape {shape} from row {window[0].start} on, but got {band.dtype} of shape "
            f"{band.shape}. Draw image and mask in the window's size, as uint16 and uint8."
        )
    return band


def _check_free(files: SceneFiles, *, overwrite: bool) -> None:
    there = [str(path) for path in vars(files).values() if path.exists()]
    if there and not overwrite:
        raise SeepError(f"{', '.join(there)}: the scene exists already. Choose another name, or overwrite it.")
