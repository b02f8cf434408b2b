"""Image and mask pairs on disk: matched by file name, grouped by the scene in the name."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
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
        scene: name of the scene (`041869`).
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
    """All pairs of the two folders, sorted by name.

    Args:
        images_dir: folder of image TIFFs.
        masks_dir: folder of mask TIFFs with the same names.
        scene_pattern: regular expression with one group, matched against the start of a file name. The group is the
            scene.

    Raises:
        DataError: if a folder is missing or holds no TIFF, a name occurs twice, or an image or mask has no counterpart.
        ConfigError: if the pattern is not a regular expression with one group, or does not match every name.
    """
    images = _tiffs_by_name(Path(images_dir), what="images", option="--images_dir")
    masks = _tiffs_by_name(Path(masks_dir), what="masks", option="--masks_dir")
    _check_counterparts(images, masks, images_dir=Path(images_dir), masks_dir=Path(masks_dir))
    names = sorted(images)
    scenes = scenes_of(names, scene_pattern)
    return [Pair(name, scene, images[name], masks[name]) for name, scene in zip(names, scenes, strict=True)]


def scenes_of(names: Sequence[str], scene_pattern: str = DEFAULT_SCENE_PATTERN) -> list[str]:
    """The scene in each name.

    Args:
        names: file names without suffix.
        scene_pattern: see `find_pairs`.

    Raises:
        ConfigError: see `find_pairs`. The message lists up to ten names that do not match.

    >>> scenes_of(["041869.000003", "045551.000001"])
    ['041869', '045551']
    """
    try:
        pattern = re.compile(scene_pattern)
    except (re.error, TypeError) as error:
        got = f"{scene_pattern!r} ({error})"
        raise ConfigError(
            f"scene_pattern: expected a regular expression, but got {got}. Correct --scene_pattern."
        ) from error
    if pattern.groups != 1:
        raise ConfigError(
            f"scene_pattern: expected one group in round brackets (the scene), but got {pattern.groups} in "
            f"{scene_pattern!r}. Write further groups as (?:...)."
        )
    matches = [pattern.match(name) for name in names]
    without = [name for name, match in zip(names, matches, strict=True) if match is None or not match.group(1)]
    if without:
        raise ConfigError(
            f"scene_pattern: expected a scene in every name, but {scene_pattern!r} finds none in {len(without)} of "
            f"{len(names)}: {listed(without)}. Change --scene_pattern to match your names."
        )
    return [match.group(1) for match in matches if match is not None]


def is_tiff(path: Path) -> bool:
    """Whether the name is that of a TIFF. On foreign disks macOS adds `._NAME` to each file, which is no image.

    >>> is_tiff(Path("a.TIF")), is_tiff(Path("._a.tif")), is_tiff(Path("a.png"))
    (True, False, False)
    """
    return path.suffix.lower() in TIFF_SUFFIXES and not path.name.startswith("._")


def _tiffs_by_name(folder: Path, *, what: str, option: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(
            f"{folder}: expected a folder of {what} (.tif), but there is none. Give the data with --dataset_dir or "
            f"{option}, or create sample data: seep-monai simulate data/sample"
        )
    files = sorted(filter(is_tiff, folder.iterdir()))
    if not files:
        raise DataError(f"{folder}: expected {what} named *.tif, but found none. Set {option} to the right folder.")
    by_name: dict[str, Path] = {}
    twice = []
    for path in files:
        if path.stem in by_name:
            twice.append(f"{by_name[path.stem].name} and {path.name}")
        by_name[path.stem] = path
    if twice:
        raise DataError(f"{folder}: expected one file per name, but found {listed(twice)}. Remove one of each.")
    return by_name


def _check_counterparts(images: dict[str, Path], masks: dict[str, Path], *, images_dir: Path, masks_dir: Path) -> None:
    faults = [
        *_without(sorted(images.keys() - masks.keys()), what="image", other="mask", folder=masks_dir),
        *_without(sorted(masks.keys() - images.keys()), what="mask", other="image", folder=images_dir),
    ]
    if faults:
        remedy = "Add the missing files or remove the extra ones. The log lists all."
        raise DataError(" ".join([*faults, remedy]))


def _without(names: list[str], *, what: str, other: str, folder: Path) -> list[str]:
    """At most one line, on the names that have no counterpart in the folder."""
    for name in names:
        logger.error("%s without %s: %s", what, other, name)
    if not names:
        return []
    return [f"{folder}: expected one {other} per {what}, but found none for {len(names)}: {listed(names)}."]
