"""A simulated scene as files: image and mask as GeoTIFF, the films as GeoJSON; memory stays at one block row."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.errors import SeepError
from seep_monai.simulate.georeference import Georeference
from seep_monai.simulate.slicks import Window
from seep_monai.simulate.vectors import SceneTruth, feature_collection, geojson_text
from seep_monai.tiff import TILE_PX, Compression
from seep_monai.tiff_stream import TiffStream
from seep_monai.workflow import write_text

IMAGES_DIR, MASKS_DIR, SLICKS_DIR = "images", "masks", "slicks"
NO_DATA_DN = 0


@dataclass(frozen=True)
class SceneFiles:
    """The files of one scene.

    Attributes:
        image: uint16, DN 0 = no data, as the no-data tag says.
        mask: uint8, 0 or the class 1..7; no no-data tag.
        slicks: the centre lines, see `vectors.feature_collection`.
    """

    image: Path
    mask: Path
    slicks: Path


def scene_files(folder: str | Path, name: str) -> SceneFiles:
    """Where the files of a scene lie in a folder.

    Raises:
        SeepError: if the name is no plain file name.
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
    compression: Compression | None = "deflate",
    overwrite: bool = False,
) -> SceneFiles:
    """Write `images/NAME.tif`, `masks/NAME.tif` and `slicks/NAME.geojson` to a folder; each pixel is drawn once.

    The rasters are drawn in block rows over the full width, from top to bottom. Each file appears when it is complete.

    Args:
        scene: what is drawn.
        folder: made where it is absent.
        name: name of the scene and of its files.
        georeference: where the scene lies.
        class_names: names of the classes 1..7 in the vectors.
        compression: of both rasters.
        overwrite: replace files of this name.

    Returns:
        The files that were written.

    Raises:
        SeepError: before anything is drawn, if a file is there already, or if name, class names, vectors or
            georeference do not fit; while drawing, if the scene gives wrong arrays or a file cannot be written.
    """
    files = scene_files(folder, name)
    _check_free(files, overwrite=overwrite)
    text = geojson_text(feature_collection(scene, name, georeference, class_names=class_names))
    common: dict[str, Any] = {"geo_tags": georeference.geo_tags(scene.shape), "compression": compression}
    image = TiffStream(files.image, scene.shape, np.uint16, no_data=NO_DATA_DN, **common)
    mask = TiffStream(files.mask, scene.shape, np.uint8, **common)
    try:
        for path in vars(files).values():
            path.parent.mkdir(parents=True, exist_ok=True)
        with image, mask:
            _draw_into(image, mask, scene, name)
            write_text(files.slicks, text)
    except OSError as error:
        raise SeepError(
            f"{error.filename or folder}: expected a folder to write to, but got {error.strerror or error}. Check the "
            f"path and the free space."
        ) from error
    return files


def block_rows(shape: tuple[int, int]) -> Iterator[Window]:
    """Windows over the full width, `TILE_PX` rows each but the last, from top to bottom.

    >>> list(block_rows((300, 40)))
    [(slice(0, 256, None), slice(0, 40, None)), (slice(256, 300, None), slice(0, 40, None))]
    """
    for start in range(0, shape[0], TILE_PX):
        yield slice(start, min(start + TILE_PX, shape[0])), slice(0, shape[1])


def _draw_into(image: TiffStream, mask: TiffStream, scene: SceneTruth, name: str) -> None:
    """Draw the scene block row by block row."""
    with tqdm(total=scene.shape[0], desc=name, unit="row", leave=False, disable=not sys.stderr.isatty()) as progress:
        for window in block_rows(scene.shape):
            dn, label = scene.draw(window)
            image.write(dn)
            mask.write(label)
            progress.update(window[0].stop - window[0].start)


def _check_free(files: SceneFiles, *, overwrite: bool) -> None:
    there = [str(path) for path in vars(files).values() if path.exists()]
    if there and not overwrite:
        raise SeepError(f"{', '.join(there)}: the scene is there already. Choose another name, or overwrite it.")
