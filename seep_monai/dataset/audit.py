"""Audit of a data set before training: read every pair, report all faults together, count the classes."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from seep_monai.classes import N_CLASSES, NO_DATA_LABEL
from seep_monai.dataset.level import LevelCounter
from seep_monai.dataset.masks import read_mask
from seep_monai.dataset.pairs import Pair
from seep_monai.errors import DataError, SeepError, listed
from seep_monai.instances.components import class_components
from seep_monai.tiff import finite_fault, kind_fault, read_tiff, valid_mask

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tile:
    """One audited tile.

    Attributes:
        name: unique name, `SCENE.TILE`.
        scene: name of its scene.
        image: path of the image.
        mask: path of the mask.
        shape: (rows, columns) in px.
        class_pixels: valid pixels of each label 0..7. Pixels of an unknown class (255) are in none.
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
        tiles: the tiles, sorted by name.
        scene_levels: median valid DN of each scene's tiles.
        left_out: names of the tiles without valid pixels.
    """

    tiles: tuple[Tile, ...]
    scene_levels: dict[str, float]
    left_out: tuple[str, ...]


def audit_pairs(pairs: Sequence[Pair], *, size_multiple: int, band: int | None = None) -> Audit:
    """Read and check every pair, count its labels and compute the level of each scene.

    Args:
        pairs: the pairs of one data set, at least one.
        size_multiple: rows and columns must be multiples of this number of px (a requirement of the network).
        band: band of the images, from 1, if they have several.

    Raises:
        DataError: if any pair is invalid. The message lists up to ten faults, the log lists all.
    """
    found = _Findings()
    by_scene = sorted(pairs, key=lambda pair: pair.scene)
    progress = tqdm(by_scene, desc="audit", unit="tile", leave=False, disable=not sys.stderr.isatty())
    # Scene by scene, so that the float tiles of only one scene are in memory.
    for scene, members in groupby(progress, key=lambda pair: pair.scene):
        _audit_scene(scene, members, found, size_multiple=size_multiple, band=band)
    _raise_problems([*found.problems, *_shape_problems(found.tiles)], n_pairs=len(pairs))
    if not found.tiles:
        raise DataError(f"{pairs[0].image.parent}: expected tiles with data, but all {len(pairs)} are all no-data.")
    if found.left_out:
        names = listed(sorted(found.left_out))
        logger.warning("%d of %d tiles are all no-data and are left out: %s", len(found.left_out), len(pairs), names)
    tiles = sorted(found.tiles, key=lambda tile: tile.name)
    return Audit(tuple(tiles), found.scene_levels, tuple(sorted(found.left_out)))


def audit_pair(pair: Pair, *, size_multiple: int, band: int | None = None) -> tuple[Tile, np.ndarray]:
    """The audited tile and its valid DN as a flat array.

    Raises:
        DataError: if the sizes differ or do not fit the network, the mask has values other than 0..7, or the image has
            NaN or infinite values. The message lists all faults of the pair.
        TiffError: if a file cannot be read.
    """
    image = read_tiff(pair.image, band=band)
    dn, valid = image.array, valid_mask(image.array, image.no_data)
    mask, mask_fault = _mask_or_fault(pair.mask)
    faults = [
        _size_fault(dn.shape, dn.shape if mask is None else mask.shape, pair, size_multiple=size_multiple),
        mask_fault,
        kind_fault(dn.dtype, pair.image, palette=image.palette) or finite_fault(dn, valid, pair.image),
    ]
    if mask is None or any(faults):
        raise DataError(" ".join(fault for fault in faults if fault))
    known = valid & (mask != NO_DATA_LABEL)
    labels = np.where(known, mask, 0)
    tile = Tile(
        name=pair.name,
        scene=pair.scene,
        image=pair.image,
        mask=pair.mask,
        shape=(dn.shape[0], dn.shape[1]),
        class_pixels=tuple(np.bincount(labels[known], minlength=N_CLASSES).tolist()),
        class_instances=tuple(np.bincount(class_components(labels).classes, minlength=N_CLASSES)[1:].tolist()),
    )
    return tile, dn[valid]


@dataclass
class _Findings:
    """Results of the audit so far."""

    tiles: list[Tile] = field(default_factory=list)
    scene_levels: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def _audit_scene(scene: str, pairs: Iterable[Pair], found: _Findings, *, size_multiple: int, band: int | None) -> None:
    counter, n_before = LevelCounter(), len(found.tiles)
    for pair in pairs:
        try:
            tile, valid_dn = audit_pair(pair, size_multiple=size_multiple, band=band)
        except SeepError as error:
            found.problems.append(str(error))
            continue
        if valid_dn.size == 0:
            found.left_out.append(pair.name)
            continue
        found.tiles.append(tile)
        counter.add(valid_dn)
    if len(found.tiles) == n_before:
        return
    try:
        found.scene_levels[scene] = counter.median()
    except DataError as error:
        found.problems.append(f"{found.tiles[-1].image.parent}: scene {scene}: {error}")


def _size_fault(image: tuple[int, ...], mask: tuple[int, ...], pair: Pair, *, size_multiple: int) -> str | None:
    if image != mask:
        return f"{pair.mask}: expected the image's size {image}, but got {mask}. Cut both on the same grid."
    if any(size % size_multiple for size in image):
        return (
            f"{pair.image}: expected rows and columns that are multiples of {size_multiple} px (the network halves "
            f"them), but got {image}. Cut or pad the tiles."
        )
    return None


def _mask_or_fault(path: Path) -> tuple[npt.NDArray[np.uint8] | None, str | None]:
    """The mask, or what is wrong with its values."""
    try:
        return read_mask(path), None
    except DataError as error:
        return None, str(error)


def _shape_problems(tiles: Sequence[Tile]) -> list[str]:
    """One line per tile whose size differs from the most frequent one. All tiles of a batch need the same size."""
    counts = Counter(tile.shape for tile in tiles)
    if len(counts) <= 1:
        return []
    common = max(sorted(counts), key=counts.__getitem__)
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
    first = " | ".join(problems[:10])
    raise DataError(f"{len(problems)} faults in {n_pairs} pairs; the first (the log has all): {first}")
