"""Image / mask pairs on disk: found by equal names, grouped by the scene in the name."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

from seep_monai.errors import ConfigError, DataError, listed

logger = logging.getLogger(__name__)

TIFF_SUFFIXES = (".tif", ".tiff")
# `041869.000003.tif` is tile 3 of scene 041869: the scene is the name before the first dot.
DEFAULT_SCENE_PATTERN = r"^([^.]+)"


@dataclass(frozen=True)
class Pair:
    """One tile on disk.

    Attributes:
        name: file name without suffix, unique in the set (`041869.000003`).
        scene: the scene it was cut from (`041869`).
        image: path of the image.
        mask: path of the mask.
    """

    name: str
    scene: str
    image: Path
    mask: Path


def find_pairs(
    images_dir: str | os.PathLike[str], masks_dir: str | os.PathLike[str], *, scene_pattern: str = DEFAULT_SCENE_PATTERN
) -> list[Pair]:
    """All pairs of the two folders in the order of their names.

    Args:
        images_dir: folder of image TIFFs.
        masks_dir: folder of mask TIFFs with the same names.
        scene_pattern: regular expression with one group, matched at a file's name: the group is the scene.

    Raises:
        DataError: if a folder is missing or holds no TIFF, if a name occurs twice, or if an image lacks its mask or a
            mask its image.
        ConfigError: if the pattern is no regular expression with one group or does not match a name.
    """
    images = _tiffs_by_name(Path(images_dir), what="images", option="--images_dir")
    masks = _tiffs_by_name(Path(masks_dir), what="masks", option="--masks_dir")
    _check_counterparts(sorted(images.keys() - masks.keys()), what="image", other="mask", folder=Path(masks_dir))
    _check_counterparts(sorted(masks.keys() - images.keys()), what="mask", other="image", folder=Path(images_dir))
    return [Pair(name, scene_of(name, scene_pattern), images[name], masks[name]) for name in sorted(images)]


def find_images(source: str | os.PathLike[str]) -> list[Path]:
    """The TIFF itself, or all TIFFs of the folder in the order of their names.

    Raises:
        DataError: if `source` does not exist or holds no TIFF, or a name occurs twice.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    return [file for _, file in sorted(_tiffs_by_name(path, what="images", option="--input").items())]


def scene_of(name: str, scene_pattern: str = DEFAULT_SCENE_PATTERN) -> str:
    """The scene in a tile's name.

    >>> scene_of("041869.000003")
    '041869'
    """
    try:
        pattern = re.compile(scene_pattern)
    except re.error as error:
        raise ConfigError(f"scene_pattern: {scene_pattern!r} is not a regular expression ({error}).") from error
    match = pattern.match(name)
    if pattern.groups != 1 or match is None or not match.group(1):
        raise ConfigError(
            f"scene_pattern: expected a regular expression with one group that matches every name, but "
            f"{scene_pattern!r} "
            f"({pattern.groups} groups) does not give a scene for {name!r}. Set --scene_pattern to fit your names."
        )
    return match.group(1)


def _tiffs_by_name(folder: Path, *, what: str, option: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(
            f"{folder}: expected a folder of {what} (.tif), but there is none. Give the data with --dataset_dir or "
            f"{option}, "
            "or make sample data: python scripts/make_sample_data.py data/sample"
        )
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in TIFF_SUFFIXES)
    if not files:
        raise DataError(
            f"{folder}: expected {what} named *.tif, but found none. Set {option} to the folder that holds them."
        )
    by_name: dict[str, Path] = {}
    twice = []
    for path in files:
        if path.stem in by_name:
            twice.append(f"{by_name[path.stem].name} and {path.name}")
        by_name[path.stem] = path
    if twice:
        raise DataError(f"{folder}: expected one file per name, but found {listed(twice)}. Remove one of each.")
    return by_name


def _check_counterparts(names: list[str], *, what: str, other: str, folder: Path) -> None:
    if not names:
        return
    for name in names:
        logger.error("%s without %s: %s", what, other, name)
    raise DataError(
        f"{folder}: expected one {other} per {what}, but {len(names)} {what}{'s have' if len(names) > 1 else ' has'} "
        f"no {other} there: "
        f"{listed(names)}. Add the missing files or remove the extra ones (all of them are in the log)."
    )
