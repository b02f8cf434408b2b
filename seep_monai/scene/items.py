"""The images of an inference, each with its scene and the level of the scene."""

from __future__ import annotations

import math
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from seep_monai.dataset.level import LevelCounter
from seep_monai.dataset.pairs import DEFAULT_SCENE_PATTERN, find_images, scenes_of
from seep_monai.errors import ConfigError, DataError
from seep_monai.tiff import finite_fault, read_tiff, valid_mask


def inference_items(
    source: str | os.PathLike[str],
    *,
    scene_level: float | None = None,
    scene_pattern: str = DEFAULT_SCENE_PATTERN,
    band: int | None = None,
) -> list[dict[str, Any]]:
    """One dictionary per TIFF with `image` (path), `tile`, `scene` and `scene_level`.

    Args:
        source: a TIFF or a folder of them.
        scene_level: level in DN for all images; None: the median of the valid DN of all given tiles of a scene.
        scene_pattern: see `find_pairs`.
        band: band of the images, from 1, if they have several.

    Raises:
        DataError: if there are no images, or a scene has no level: no valid pixel, pixels that are not finite, a median
            that is not above 0, or both integer and float tiles.
        TiffError: if a file cannot be read.
        ConfigError: if `scene_level` is not a finite number above 0, or the pattern does not match the names.
    """
    paths = find_images(source)
    scenes = scenes_of([path.stem for path in paths], scene_pattern)
    if scene_level is None:
        levels = _scene_levels(paths, scenes, band)
    elif isinstance(scene_level, int | float) and not isinstance(scene_level, bool) and 0 < scene_level < math.inf:
        levels = dict.fromkeys(scenes, float(scene_level))
    else:
        raise ConfigError(
            f"scene_level: expected a finite number above 0 (DN), but got {scene_level!r}. Leave it out for the median "
            "of the scene's valid DN."
        )
    return [
        {"image": str(path.absolute()), "tile": path.stem, "scene": scene, "scene_level": levels[scene]}
        for path, scene in zip(paths, scenes, strict=True)
    ]


def _scene_levels(paths: list[Path], scenes: list[str], band: int | None) -> dict[str, float]:
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
        fault = finite_fault(image.array, valid, path)
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
