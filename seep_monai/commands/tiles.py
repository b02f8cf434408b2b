"""Cut training tiles from rasters and labelled polygons, or put scenes together again from tiles.

  seep-monai tiles --rasters PATH --labels FILE --output_dir DIR
  seep-monai tiles --to_scenes --dataset_dir DIR --output_dir OUT

The first form writes DIR/train_images_256/SCENE.NUMBER.tif, DIR/train_masks_256 with the same names, and
DIR/tiles.json. All tiles with a labelled pixel are kept, and some of the others. The second form writes
OUT/images/SCENE.tif, OUT/masks/SCENE.tif and OUT/scenes.json.
"""

from __future__ import annotations

import argparse
import ast
import logging
from collections.abc import Sequence
from pathlib import Path

from seep_monai.dataset.grid import checked_columns
from seep_monai.errors import ConfigError, DataError, SeepError
from seep_monai.scene.cut_tiles import CutSettings, cut_tiles
from seep_monai.scene.items import find_inputs
from seep_monai.scene.join_tiles import join_tiles
from seep_monai.scene.labels import DEFAULT_CLASS_FIELD, read_labels

DEFAULTS = CutSettings()
_SETTINGS = ("pixel_size_m", "border_noise_px", "land", "empty_share", "tile_px", "seed")
_CUT_ONLY = ("rasters", "labels", "layer", "class_field", *_SETTINGS)
_JOIN_ONLY = ("dataset_dir", "columns")


def main(words: Sequence[str]) -> None:
    """Parse the command line and write the tiles or scenes."""
    parser = _parser()
    arguments = parser.parse_args(words)
    needed = ("dataset_dir",) if arguments.to_scenes else ("rasters", "labels")
    missing = [f"--{name}" for name in needed if getattr(arguments, name) is None]
    if missing:
        parser.error(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} required")
    unused = [
        name for name in (_CUT_ONLY if arguments.to_scenes else _JOIN_ONLY) if getattr(arguments, name) is not None
    ]
    if unused:
        parser.error(f"--{unused[0]} has no effect {'with' if arguments.to_scenes else 'without'} --to_scenes")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if arguments.to_scenes:
            _join(arguments)
        else:
            _cut(arguments)
    except SeepError as error:
        raise SystemExit(str(error)) from error


def _cut(arguments: argparse.Namespace) -> None:
    given = {name: getattr(arguments, name) for name in ("band", *_SETTINGS) if getattr(arguments, name) is not None}
    settings = CutSettings(**given)
    labels = read_labels(
        arguments.labels, class_field=arguments.class_field or DEFAULT_CLASS_FIELD, layer=arguments.layer
    )
    try:
        rasters = find_inputs(arguments.rasters, treat_as="raster").rasters
    except DataError as error:
        # The option of the inference has another name.
        raise DataError(str(error).replace("--input", "--rasters")) from error
    cut_tiles(rasters, labels, arguments.output_dir, settings, overwrite=arguments.overwrite)


def _join(arguments: argparse.Namespace) -> None:
    join_tiles(
        arguments.dataset_dir,
        arguments.output_dir,
        _columns(arguments.columns or "auto"),
        band=arguments.band,
        overwrite=arguments.overwrite,
    )


def _columns(text: str) -> dict[str, int]:
    """Columns by the beginning of the name of a scene; the empty beginning stands for all.

    Raises:
        ConfigError: if the text is neither `auto`, a number above 0, nor a dictionary of these.

    >>> _columns("auto"), _columns("19"), _columns("{'0418': 19}")
    ({}, {'': 19}, {'0418': 19})
    """
    if text == "auto":
        return {}
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise ConfigError(f"columns: expected auto, a number, or a dictionary, but got {text!r}.") from error
    return checked_columns(
        {"": value} if isinstance(value, int) else value,
        expected="columns: expected auto, a number above 0, or columns",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "seep-monai tiles", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output_dir", required=True, type=Path, help="folder to create")
    parser.add_argument("--overwrite", action="store_true", help="replace tiles or scenes in the folder")
    parser.add_argument("--band", type=int, help="band, from 1, of rasters or tiles with several")
    _add_cut_options(parser.add_argument_group("tiles from rasters and polygons"))
    group = parser.add_argument_group("scenes from tiles")
    group.add_argument("--to_scenes", action="store_true", help="put scenes together from tiles named SCENE.NUMBER")
    group.add_argument("--dataset_dir", type=Path, help="folder with train_images_256 and train_masks_256")
    group.add_argument(
        "--columns",
        help="number of tiles in a row of the grid: N, by the beginning of the name of the scene "
        "(\"{'0418': 19}\"), or auto: from tiles.json or the borders of the tiles (default)",
    )
    return parser


def _add_cut_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--rasters", metavar="PATH", help="a raster, a .SAFE folder, a folder of these, or a pattern")
    group.add_argument("--labels", metavar="FILE", help="vector file of polygons (GeoPackage, GeoJSON, Shapefile, ...)")
    group.add_argument("--layer", help="layer of the vector file, if it has several")
    group.add_argument("--class_field", help=f"field with the class 1..7 (default: {DEFAULT_CLASS_FIELD})")
    group.add_argument("--pixel_size_m", type=float, help="join pixels to about this size in m (default: as they are)")
    group.add_argument("--border_noise_px", type=int, help="pixels this close to no-data are no-data (default: 0)")
    group.add_argument("--land", metavar="FILE", help="vector file of land polygons: no-data")
    group.add_argument(
        "--empty_share", type=float, help=f"share of tiles without a label (default: {DEFAULTS.empty_share})"
    )
    group.add_argument("--tile_px", type=int, help=f"rows and columns of a tile (default: {DEFAULTS.tile_px})")
    group.add_argument("--seed", type=int, help="of the choice of tiles without a label (default: 0)")
