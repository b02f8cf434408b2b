"""Every pair read once before training: what is wrong is reported together, what is right is counted."""

from __future__ import annotations

import logging
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from seep_monai.classes import N_CLASSES, N_SEEP_CLASSES
from seep_monai.dataset.level import LevelCounter
from seep_monai.dataset.pairs import Pair
from seep_monai.errors import DataError, SeepError, listed
from seep_monai.instances import class_components
from seep_monai.tiff import read_tiff, valid_mask

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tile:
    """What the audit knows of one tile.

    Attributes:
        name: unique name, `SCENE.TILE`.
        scene: the scene it belongs to.
        image: path of the image.
        mask: path of the mask.
        shape: (rows, columns) in px.
        class_pixels: valid pixels of each label 0..7.
        class_instances: 8-connected components of each label 1..7 among the valid pixels.
    """

    name: str
    scene: str
    image: Path
    mask: Path
    shape: tuple[int, int]
    class_pixels: tuple[int, ...]
    class_instances: tuple[int, ...]


@dataclass(frozen=True)
class Audit:
    """The usable tiles of a data set.

    Attributes:
        tiles: the tiles in the order of their names.
        scene_levels: median valid DN of each scene's tiles.
        left_out: names of tiles that are all no-data.
    """

    tiles: tuple[Tile, ...]
    scene_levels: dict[str, float]
    left_out: tuple[str, ...]


def audit_pairs(pairs: Sequence[Pair], *, size_multiple: int) -> Audit:
    """Read and check every pair, count its labels and take each scene's level.

    Args:
        pairs: the pairs of one data set.
        size_multiple: rows and columns must be multiples of this number of px (what the network can take).

    Raises:
        DataError: if any file breaks the contract; names up to ten of them with their faults, the log has all.
    """
    tiles: list[Tile] = []
    left_out: list[str] = []
    problems: list[str] = []
    levels: dict[str, LevelCounter] = defaultdict(LevelCounter)
    for pair in tqdm(pairs, desc="audit", unit="tile", leave=False, disable=not sys.stderr.isatty()):
        try:
            tile, valid_dn = audit_pair(pair, size_multiple=size_multiple)
        except SeepError as error:
            problems.append(str(error))
            continue
        if valid_dn.size == 0:
            left_out.append(pair.name)
            continue
        tiles.append(tile)
        levels[pair.scene].add(valid_dn)
    problems += _shape_problems(tiles)
    _raise_problems(problems, n_pairs=len(pairs))
    if left_out:
        logger.warning("%d tiles are all no-data and are left out: %s", len(left_out), listed(left_out))
    if not tiles:
        raise DataError(f"{pairs[0].image.parent}: expected tiles with data, but all {len(pairs)} are all no-data.")
    return Audit(tuple(tiles), {scene: levels[scene].median() for scene in sorted(levels)}, tuple(left_out))


def audit_pair(pair: Pair, *, size_multiple: int) -> tuple[Tile, np.ndarray]:
    """The tile's record and its valid DN, flat.

    Raises:
        DataError: if sizes differ or do not fit the network, a mask holds other values than 0..7, or an image NaN or
            infinity.
        TiffError: if a file cannot be read.
    """
    image = read_tiff(pair.image)
    mask = read_tiff(pair.mask).array
    dn = image.array
    if dn.shape != mask.shape:
        raise DataError(
            f"{pair.mask}: expected the image's size {dn.shape}, but got {mask.shape}. Cut both on one grid."
        )
    if any(size % size_multiple for size in dn.shape):
        raise DataError(
            f"{pair.image}: expected rows and columns that are multiples of {size_multiple} px (the network halves "
            f"them), "
            f"but got {dn.shape}. Cut or pad the tiles."
        )
    check_labels(mask, pair.mask)
    valid = valid_mask(dn, image.no_data)
    valid_dn = dn[valid]
    if not np.isfinite(valid_dn).all():
        raise DataError(
            f"{pair.image}: expected finite values, but {int((~np.isfinite(valid_dn)).sum())} pixels are NaN or "
            f"infinite and not "
            "the declared no-data. Declare them in the GDAL no-data tag or repair the file."
        )
    labels = np.where(valid, mask, 0).astype(np.uint8)
    class_pixels = np.bincount(labels[valid], minlength=N_CLASSES)
    class_instances = np.bincount(class_components(labels).classes, minlength=N_CLASSES)[1:]
    tile = Tile(
        pair.name,
        pair.scene,
        pair.image,
        pair.mask,
        (int(dn.shape[0]), int(dn.shape[1])),
        tuple(int(n) for n in class_pixels),
        tuple(int(n) for n in class_instances),
    )
    return tile, valid_dn


def check_labels(mask: np.ndarray, path: Path) -> None:
    """Raise a DataError unless the mask holds integers 0..7."""
    values = np.unique(mask)
    wrong = [value for value in values.tolist() if value not in range(N_CLASSES)]
    if wrong:
        raise DataError(
            f"{path}: expected mask values 0 (no seep) and 1..{N_SEEP_CLASSES}, but found "
            f"{listed([str(v) for v in wrong])}. "
            "Map the values before training."
        )


def _shape_problems(tiles: Sequence[Tile]) -> list[str]:
    """One line per tile whose size differs from the most frequent one: a batch needs one size."""
    shapes = [tile.shape for tile in tiles]
    if len(set(shapes)) <= 1:
        return []
    common = max(sorted(set(shapes)), key=shapes.count)
    return [
        f"{tile.image}: expected the size {common} of most tiles, but got {tile.shape}. Cut all tiles to one size."
        for tile in tiles
        if tile.shape != common
    ]


def _raise_problems(problems: list[str], *, n_pairs: int) -> None:
    if not problems:
        return
    for problem in problems:
        logger.error("%s", problem)
    if len(problems) == 1:
        raise DataError(problems[0])
    first = "\n".join(problems[:10])
    raise DataError(f"{len(problems)} of {n_pairs} pairs cannot be used; the first (the log has all):\n{first}")
