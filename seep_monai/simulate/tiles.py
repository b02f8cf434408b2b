"""Tiles of a simulated scene: their choice, and their files with the names and formats of the real tile set."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seep_monai.errors import SeepError
from seep_monai.rectangles import Window, cell_window
from seep_monai.simulate.scene import Scene
from seep_monai.simulate.settings import TILE_PX, SceneSettings
from seep_monai.tiff import write_tiff

logger = logging.getLogger(__name__)

IMAGES_DIR, MASKS_DIR = "train_images_256", "train_masks_256"
# Choice: a quarter; a tile with almost only no-data is useless for training.
MIN_VALID_SHARE = 0.25
# Choice: shares of the expected tiles with and without seep that a scene can be relied on to have, because their actual
# number varies.
_SEEP_SURE, _EMPTY_SURE = 0.72, 0.6


def max_tiles_per_scene(settings: SceneSettings, empty_share: float) -> int:
    """Number of tiles that a scene can provide, likely with the wanted share of tiles without seep; at least one.

    >>> max_tiles_per_scene(SceneSettings(), 0.1)
    39
    """
    n_rows, n_cols = grid(settings.size_px)
    n_seep, n_empty = (n_rows * n_cols * share for share in (settings.seep_share, 1 - settings.seep_share))
    by_seep = _SEEP_SURE * n_seep / (1 - empty_share) if empty_share < 1 else math.inf
    by_empty = _EMPTY_SURE * n_empty / empty_share if empty_share > 0 else math.inf
    return max(1, int(min(by_seep, by_empty)))


def grid(size_px: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of whole tiles in a scene."""
    return size_px[0] // TILE_PX, size_px[1] // TILE_PX


def tile_window(index: int, size_px: tuple[int, int]) -> Window:
    """The window of a tile of the non-overlapping grid; `index` is 1-based and row-major."""
    # Worked: 20 columns, index 21 -> row 1, column 0.
    return cell_window(divmod(index - 1, grid(size_px)[1]), (TILE_PX, TILE_PX))


def write_tiles(
    scene: Scene, folder: Path, n_wanted: int, rng: np.random.Generator, *, empty_share: float
) -> list[int]:
    """Choose tiles of a scene, draw and write them, and return their 1-based indices in ascending order.

    Args:
        folder: holds `IMAGES_DIR` and `MASKS_DIR`.
        n_wanted: number of tiles.
        rng: source of randomness of the choice.
        empty_share: share of tiles without seep.

    Raises:
        SeepError: if the scene has fewer than `n_wanted` tiles with data.
    """
    chosen = sorted(chosen_tiles(scene, n_wanted, rng, empty_share=empty_share))
    for index in chosen:
        name = f"{scene.parameters.name}.{index:06d}.tif"
        image, mask = scene.draw(tile_window(index, scene.shape))
        write_tiff(folder / IMAGES_DIR / name, image)
        write_tiff(folder / MASKS_DIR / name, mask)
    return chosen


def chosen_tiles(scene: Scene, n_wanted: int, rng: np.random.Generator, *, empty_share: float) -> list[int]:
    """1-based indices of the tiles to keep, in random order, with empty tiles spread evenly among those with seep.

    A larger `n_wanted` only appends tiles to the list. If one kind runs out, the other kind replaces it.

    Raises:
        SeepError: if the scene has fewer than `n_wanted` tiles with data.
    """
    with_seep, empty = _tiles_by_kind(scene)
    if len(with_seep) + len(empty) < n_wanted:
        raise SeepError(
            f"n_tiles: scene {scene.parameters.name} has {len(with_seep) + len(empty)} tiles with data, but {n_wanted} "
            f"are requested. Increase n_scenes."
        )
    queues = {False: rng.permutation(with_seep).tolist(), True: rng.permutation(empty).tolist()}
    chosen, n_swapped = [], 0
    for want_empty in _kinds(n_wanted, empty_share, start=float(rng.random())):
        n_swapped += not queues[want_empty]
        chosen.append(int((queues[want_empty] or queues[not want_empty]).pop()))
    if n_swapped:
        logger.warning(
            "scene %s: %d tiles are of the other kind, with or without seep", scene.parameters.name, n_swapped
        )
    return chosen


def _kinds(n: int, empty_share: float, *, start: float) -> Iterator[bool]:
    """Whether each of `n` tiles is an empty one; empty ones are spread evenly.

    Worked: start .95, share .1 -> .95, 1.05 | 1.15 ...: the first tile crosses a whole number, then every tenth.
    """
    for position in range(n):
        yield int(start + empty_share * (position + 1)) > int(start + empty_share * position)


def _tiles_by_kind(scene: Scene) -> tuple[list[int], list[int]]:
    """Indices of the tiles with seep, and of those without seep that hold enough data."""
    n_rows, n_cols = grid(scene.shape)
    with_seep, empty = [], []
    for index in range(1, n_rows * n_cols + 1):
        window = tile_window(index, scene.shape)
        if scene.mask(window).any():
            with_seep.append(index)
        elif (valid := scene.swath.valid(window)) is None or valid.mean() >= MIN_VALID_SHARE:
            empty.append(index)
    return with_seep, empty
