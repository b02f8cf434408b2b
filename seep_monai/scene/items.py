"""The images of an inference: tiles, each with its scene and the level of the scene, and rasters."""

from __future__ import annotations

import math
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from seep_monai.dataset.level import LevelCounter
from seep_monai.dataset.pairs import DEFAULT_SCENE_PATTERN, TIFF_SUFFIXES, is_tiff, scenes_of
from seep_monai.errors import ConfigError, DataError, TiffError, listed
from seep_monai.tiff import OUTPUT_MARK, finite_fault, kind_fault, read_head, read_tiff, valid_mask

# The folder of a Sentinel-1 product.
SAFE_SUFFIX = ".SAFE"


@dataclass(frozen=True)
class Inputs:
    """The images to infer.

    Attributes:
        tiles: images that get the outputs of tiles.
        rasters: images, and `.SAFE` folders, that get those of rasters.
    """

    tiles: tuple[Path, ...]
    rasters: tuple[Path, ...]


def find_inputs(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    treat_as: str = "auto",
    tile_size: tuple[int, int] = (256, 256),
) -> Inputs:
    """The images of a path, sorted by name; outputs of an earlier inference are left out.

    Args:
        source: a file, a folder, a pattern such as `DIR/*.tif`, or a list of these. A folder gives its TIFF and VRT
            files and `.SAFE` folders.
        treat_as: `tile`, `raster`, or `auto`: TIFFs no larger than `tile_size` are tiles.
        tile_size: rows and columns of the tiles that the weights were trained on.

    Raises:
        DataError: if there is nothing to infer, or two images have the same name.
        ConfigError: if a larger image should be treated as a tile.
    """
    given = [source] if isinstance(source, str | os.PathLike) else list(source)
    found = [path for one in given for path in _images_of(Path(one))]
    paths = [path for path in dict.fromkeys(found) if not _is_output(path)]
    if not paths:
        remedy = "Set --input to a TIFF, a .SAFE folder or a folder of these."
        raise DataError(f"{given[0]}: expected images, but found none. {remedy}")
    twice = sorted(name for name, count in Counter(path.stem for path in paths).items() if count > 1)
    if twice:
        raise DataError(f"{given[0]}: expected one image per name, but several are named {listed(twice)}. Rename them.")
    if treat_as == "raster":
        # Without a look into each of what may be a hundred thousand files.
        return Inputs((), tuple(paths))
    fits = {path: _fits_tile(path, tile_size) for path in paths}
    larger = [path.name for path in paths if not fits[path]]
    if treat_as == "tile" and larger:
        raise ConfigError(
            f"as: expected images no larger than a tile of {tile_size[0]} x {tile_size[1]} px for --as tile, but "
            f"{listed(larger)} are larger or no TIFFs. Use --as auto or --as raster."
        )
    return Inputs(tuple(path for path in paths if fits[path]), tuple(path for path in paths if not fits[path]))


def inference_items(
    paths: Sequence[Path],
    *,
    scene_level: float | None = None,
    scene_pattern: str = DEFAULT_SCENE_PATTERN,
    band: int | None = None,
) -> list[dict[str, Any]]:
    """One dictionary per tile with `image` (path), `tile`, `scene` and `scene_level`.

    Args:
        paths: of the tiles.
        scene_level: level in DN for all images; None: the median of the valid DN of all given tiles of a scene.
        scene_pattern: see `find_pairs`.
        band: band of the images, from 1, if they have several.

    Raises:
        DataError: if a scene has no level: no valid pixel, pixels that are not finite, a median that is not above 0, or
            both integer and float tiles.
        TiffError: if a file cannot be read.
        ConfigError: if `scene_level` is not a finite number above 0, or the pattern does not match the names.
    """
    scenes = scenes_of([path.stem for path in paths], scene_pattern)
    given = checked_level(scene_level)
    levels = _scene_levels(paths, scenes, band) if given is None else dict.fromkeys(scenes, given)
    return [
        {"image": str(path.absolute()), "tile": path.stem, "scene": scene, "scene_level": levels[scene]}
        for path, scene in zip(paths, scenes, strict=True)
    ]


def checked_level(level: object) -> float | None:
    """The level given by the user; None: none is given.

    Raises:
        ConfigError: if it is not a finite number above 0.
    """
    if level is None:
        return None
    if isinstance(level, int | float) and not isinstance(level, bool) and 0 < level < math.inf:
        return float(level)
    raise ConfigError(
        f"scene_level: expected a finite number above 0 (DN), but got {level!r}. Leave it out for the median of the "
        "scene's valid DN."
    )


def _images_of(path: Path) -> list[Path]:
    """The images of one given path."""
    if path.is_dir() and path.suffix.upper() != SAFE_SUFFIX:
        return sorted(filter(_is_image, path.iterdir()))
    if path.exists():
        return [path]
    if any(sign in path.name for sign in "*?["):
        return sorted(found for found in path.parent.glob(path.name) if not found.name.startswith("._"))
    raise DataError(f"{path}: expected an image or a folder, but there is none. Set --input to a path that exists.")


def _is_image(path: Path) -> bool:
    return is_tiff(path) or path.suffix.lower() == ".vrt" or path.suffix.upper() == SAFE_SUFFIX


def _is_output(path: Path) -> bool:
    """Whether an inference has written the file."""
    if not path.stem.endswith(("_classes", "_probability")) or path.suffix.lower() not in TIFF_SUFFIXES:
        return False
    try:
        return OUTPUT_MARK in read_head(path)[1]
    except TiffError:  # reported when it is read
        return False


def _fits_tile(path: Path, tile_size: tuple[int, int]) -> bool:
    """Whether the image is a TIFF no larger than a tile; what cannot be read is a raster, which reports it."""
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return False
    try:
        height, width = read_head(path)[0]
    except TiffError:
        return False
    return height <= tile_size[0] and width <= tile_size[1]


def _scene_levels(paths: Sequence[Path], scenes: list[str], band: int | None) -> dict[str, float]:
    paths_of: dict[str, list[Path]] = defaultdict(list)
    for path, scene in zip(paths, scenes, strict=True):
        paths_of[scene].append(path)
    progress = tqdm(total=len(paths), desc="levels", unit="tile", leave=False, disable=not sys.stderr.isatty())
    with progress:
        return {scene: _scene_level(scene, members, band, progress) for scene, members in paths_of.items()}


def _scene_level(scene: str, paths: list[Path], band: int | None, progress: tqdm) -> float:
    counter = LevelCounter()
    for path in paths:
        image = read_tiff(path, band=band)
        valid = valid_mask(image.array, image.no_data)
        fault = kind_fault(image.array.dtype, path, palette=image.palette) or finite_fault(image.array, valid, path)
        if fault:
            raise DataError(fault)
        counter.add(image.array[valid])
        progress.update()
    try:
        return counter.median()
    except DataError as error:
        raise DataError(
            f"{paths[0].parent}: scene {scene}: {error} Or give the level of all images with --scene_level."
        ) from error
