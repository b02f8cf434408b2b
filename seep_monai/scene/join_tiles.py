"""Scenes put together again from tiles on a grid."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.dataset.borders import find_columns
from seep_monai.dataset.grid import scene_columns, tile_number
from seep_monai.dataset.masks import read_mask
from seep_monai.dataset.pairs import Pair, find_pairs
from seep_monai.errors import DataError, listed
from seep_monai.files import fill_folder, read_json, write_json
from seep_monai.rectangles import cell_window
from seep_monai.scene.cut_tiles import RECORD_NAME as TILES_RECORD
from seep_monai.scene.no_data import with_no_data
from seep_monai.simulate.rasters import IMAGES_DIR, MASKS_DIR
from seep_monai.simulate.tiles import IMAGES_DIR as TILE_IMAGES_DIR
from seep_monai.simulate.tiles import MASKS_DIR as TILE_MASKS_DIR
from seep_monai.tiff import read_tiff, valid_mask, write_tiff

logger = logging.getLogger(__name__)

RECORD_NAME = "scenes.json"
Tiles = dict[int, Pair]


def join_tiles(
    dataset_dir: Path,
    out: Path,
    columns: Mapping[str, int] | None = None,
    *,
    band: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write one image and one mask per scene from tiles named SCENE.NUMBER.

    Writes `images/SCENE.tif` (dtype of the tiles; no-data and gaps are 0, NaN in floats), `masks/SCENE.tif` (uint8,
    gaps are 0) and `scenes.json`. They have no georeference.

    Args:
        dataset_dir: holds `train_images_256` and `train_masks_256`.
        out: folder to create.
        columns: number of tiles in a row, by the beginning of the name of the scene. Others are taken from `tiles.json`
            in `dataset_dir`, else found from the borders of the tiles.
        band: 1-based number of the tiles' band; None: the only one.
        overwrite: replace an older result.

    Raises:
        SeepError: if `out` cannot be used.
        DataError: if a tile has another name, two have the same place, or tiles of a scene differ in size or dtype; if
            a mask has other values than 0..7; if the columns of a scene are not known.
        TiffError: if a tile cannot be read.
    """
    pairs = find_pairs(dataset_dir / TILE_IMAGES_DIR, dataset_dir / TILE_MASKS_DIR)
    scenes = _by_scene(pairs)
    known = _known_columns(dataset_dir, scenes, columns or {}, band)
    fill_folder(out, lambda folder: _write(folder, scenes, known, band), record=RECORD_NAME, overwrite=overwrite)


def _by_scene(pairs: list[Pair]) -> dict[str, Tiles]:
    """The tiles of each scene by their numbers."""
    unnamed = [pair.name for pair in pairs if tile_number(pair.name) is None]
    if unnamed:
        raise DataError(f"tiles: expected names SCENE.NUMBER, but got {listed(unnamed)}. Rename or remove them.")
    scenes: dict[str, Tiles] = {}
    for pair in pairs:
        scene, number = tile_number(pair.name) or ("", 0)
        tiles = scenes.setdefault(scene, {})
        if number in tiles:
            raise DataError(
                f"{pair.image}: expected one tile per place, but {tiles[number].image} has the same number. Remove one."
            )
        tiles[number] = pair
    return scenes


def _known_columns(
    dataset_dir: Path, scenes: dict[str, Tiles], given: Mapping[str, int], band: int | None
) -> dict[str, int]:
    """Number of columns of each scene."""
    recorded = _recorded_columns(dataset_dir / TILES_RECORD)
    known = {scene: scene_columns(f"{scene}.", given) or recorded.get(scene) for scene in scenes}
    items = [
        {"image": pair.image, "tile": pair.name}
        for scene, tiles in scenes.items()
        if known[scene] is None
        for pair in tiles.values()
    ]
    found = find_columns(items, band=band, known=[n for n in known.values() if n]) if items else {}
    result = {scene: n or found.get(f"{scene}.") for scene, n in known.items()}
    unknown = [scene for scene, n in result.items() if n is None]
    if unknown:
        raise DataError(
            f"{dataset_dir}: expected the number of tiles in a row of each scene, but it cannot be found from the "
            f"borders of the tiles for {listed(unknown)}. Give it: --columns N, or --columns \"{{'{unknown[0]}': N}}\"."
        )
    return {scene: n for scene, n in result.items() if n is not None}


def _recorded_columns(path: Path) -> dict[str, int]:
    """What `cut_tiles` wrote; empty if there is no such file."""
    if not path.is_file():
        return {}
    try:
        return {str(scene["scene"]): int(scene["columns"]) for scene in read_json(path)["scenes"]}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: expected the file that seep-monai tiles writes, but it cannot be read ({error!r}). Remove it."
        ) from error


def _write(folder: Path, scenes: dict[str, Tiles], columns: dict[str, int], band: int | None) -> None:
    for name in (IMAGES_DIR, MASKS_DIR):
        (folder / name).mkdir()
    listing = []
    for scene, tiles in scenes.items():
        image, valid, mask = _joined(tiles, columns[scene], band)
        image, no_data = with_no_data(image, valid)
        tag = 0.0 if no_data is None else no_data
        write_tiff(folder / IMAGES_DIR / f"{scene}.tif", image, no_data=tag, compression="zlib")
        unknown = float(NO_DATA_LABEL) if NO_DATA_LABEL in mask else None
        write_tiff(folder / MASKS_DIR / f"{scene}.tif", mask, no_data=unknown, compression="zlib")
        entry = {"scene": scene, "shape": list(image.shape), "columns": columns[scene], "n_tiles": len(tiles)}
        listing.append(entry)
        logger.info("%s: %d tiles in %d columns", scene, len(tiles), columns[scene])
    write_json(folder / RECORD_NAME, {"scenes": listing})


def _joined(
    tiles: Tiles, columns: int, band: int | None
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], npt.NDArray[np.uint8]]:
    """DN, valid pixels and mask of a scene."""
    first = read_tiff(next(iter(tiles.values())).image, band=band).array
    height, width = first.shape
    shape = ((max(tiles) - 1) // columns * height + height, columns * width)
    image, valid, mask = np.zeros(shape, first.dtype), np.zeros(shape, bool), np.zeros(shape, np.uint8)
    for number, pair in tiles.items():
        place = cell_window(divmod(number - 1, columns), (height, width))
        tile, label = read_tiff(pair.image, band=band), read_mask(pair.mask)
        for array, path in ((tile.array, pair.image), (label, pair.mask)):
            if array.shape != first.shape or (array is tile.array and array.dtype != first.dtype):
                raise DataError(
                    f"{path}: expected {first.shape} px of {first.dtype}, as in the other tiles of its scene, but got "
                    f"{array.shape} of {array.dtype}. Cut them on one grid."
                )
        image[place], valid[place], mask[place] = tile.array, valid_mask(tile.array, tile.no_data), label
    return image, valid, mask
