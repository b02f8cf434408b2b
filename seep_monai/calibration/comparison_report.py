"""Compare two folders of tiles: read, measure, compare and write the report."""

from __future__ import annotations

import ast
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from seep_monai.calibration.comparison import compare
from seep_monai.calibration.comparison_figures import distributions_figure, shuffled_figure
from seep_monai.calibration.comparison_text import markdown
from seep_monai.calibration.statistics import SetStatistics, measure_tile, pooled
from seep_monai.dataset.grid import checked_columns, scene_columns
from seep_monai.dataset.pairs import Pair, find_pairs
from seep_monai.errors import ConfigError, DataError
from seep_monai.files import make_folder, write_bytes, write_json, write_text
from seep_monai.report.html import figure_png
from seep_monai.simulate.sample import RECORD_NAME
from seep_monai.simulate.tiles import IMAGES_DIR, MASKS_DIR
from seep_monai.tiff import read_tiff
from seep_monai.workflow import versions

logger = logging.getLogger(__name__)

# Choice: 18 tiles of each set fill a grid of 6 x 6, few enough to inspect by eye.
_N_SHOWN = 18
_TILE_INDEX = re.compile(r"\.(\d+)$")


@dataclass(frozen=True)
class ComparisonPlan:
    """The tiles to measure.

    Attributes:
        real: pairs of the real set to measure.
        simulated: pairs of the simulated set to measure.
        n_in_folders: number of pairs in each folder, real and simulated.
        tile_cols: scene -> tile columns of its grid, for each set; scenes with unknown columns are absent.
        seed: seed for the choice of tiles and for their order in the figure.
    """

    real: tuple[Pair, ...]
    simulated: tuple[Pair, ...]
    n_in_folders: tuple[int, int]
    tile_cols: tuple[dict[str, int], dict[str, int]]
    seed: int


def parse_tile_columns(text: str) -> dict[str, int]:
    """The tile columns by prefix of the scene's name.

    Raises:
        ConfigError: if the text is not a dictionary of whole numbers above 0.

    >>> parse_tile_columns("{'0418': 19, '0455': 20}")
    {'0418': 19, '0455': 20}
    """
    try:
        columns = ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError):
        columns = text
    return checked_columns(columns, expected="--real_tile_columns: expected columns")


def plan_comparison(
    real_dir: Path,
    simulated_dir: Path,
    *,
    n_tiles: int | None = None,
    seed: int = 0,
    real_tile_columns: Mapping[str, int] | None = None,
    n_tile_cols: int | None = None,
) -> ComparisonPlan:
    """Choose the tiles to measure; writes nothing.

    Args:
        real_dir: folder with `train_images_256` and `train_masks_256`.
        simulated_dir: another such folder.
        n_tiles: number of tiles drawn from each set; all if None or if the set has fewer.
        seed: >= 0.
        real_tile_columns: prefix of the name of a real scene -> its tile columns; the longest matching prefix applies.
        n_tile_cols: tile columns of simulated scenes that are not listed in a `simulation.json`; None: unknown.

    Raises:
        ConfigError: if both folders are the same, or a number is out of range.
        DataError: if a folder holds no pairs, or a `simulation.json` cannot be read.
    """
    if n_tiles is not None and n_tiles < 1:
        raise ConfigError(f"n_tiles: expected 1 or more, but got {n_tiles}. Leave it out to measure all tiles.")
    if seed < 0:
        raise ConfigError(f"seed: expected 0 or more, but got {seed}. Give another seed.")
    if n_tile_cols is not None and n_tile_cols < 1:
        raise ConfigError(f"n_tile_cols: expected 1 or more, but got {n_tile_cols}. Correct the option.")
    if real_dir.resolve() == simulated_dir.resolve():
        raise ConfigError(
            f"{simulated_dir}: expected two different folders, but both are this one. Give the real tiles first, then "
            "the simulated ones."
        )
    for folder in (real_dir, simulated_dir):
        if not folder.is_dir():
            raise DataError(
                f"{folder}: expected a folder with {IMAGES_DIR} and {MASKS_DIR}, but there is none. Check the path."
            )
    sets = [find_pairs(folder / IMAGES_DIR, folder / MASKS_DIR) for folder in (real_dir, simulated_dir)]
    real, simulated = (_drawn(pairs, n_tiles, seed) for pairs in sets)
    of_all = {} if n_tile_cols is None else {"": n_tile_cols}
    tile_cols = _tile_cols(real_dir, real, real_tile_columns or {}), _tile_cols(simulated_dir, simulated, of_all)
    return ComparisonPlan(real, simulated, (len(sets[0]), len(sets[1])), tile_cols, seed)


def write_comparison(plan: ComparisonPlan, output_dir: Path) -> dict[str, Any]:
    """Measure and compare both sets, and write the report; every file is written completely or not at all.

    Writes `calibration.json`, `calibration.md`, `distributions.png`, `tiles_shuffled.png` and its key
    `tiles_shuffled.json`.

    Returns:
        The content of `calibration.json`.

    Raises:
        ConfigError: if the output folder cannot be used.
        DataError: if a tile has a wrong dtype, shape or label; names the files.
    """
    if output_dir.exists() and not output_dir.is_dir():
        raise ConfigError(f"{output_dir}: expected a folder, but a file has this name. Choose another --output_dir.")
    real = measured(plan.real, plan.tile_cols[0], what="real")
    simulated = measured(plan.simulated, plan.tile_cols[1], what="simulated")
    report = {
        "versions": versions(),
        "seed": plan.seed,
        "real": _set_summary(plan.real, real, plan.n_in_folders[0]),
        "simulated": _set_summary(plan.simulated, simulated, plan.n_in_folders[1]),
        **compare(real, simulated),
    }
    tiles, key = shuffled_tiles(plan)
    pictures = {
        "distributions.png": distributions_figure(real, simulated, report["distributions"]),
        "tiles_shuffled.png": shuffled_figure(tiles),
    }
    encoded = {name: figure_png(figure, dpi=figure.dpi) for name, figure in pictures.items()}
    folder = make_folder(output_dir, option="--output_dir")
    for name, content in encoded.items():
        write_bytes(folder / name, content)
    write_json(folder / "tiles_shuffled.json", key)
    write_text(folder / "calibration.md", markdown(report))
    write_json(folder / "calibration.json", report)
    logger.info("report written to %s", folder)
    return report


def measured(pairs: Sequence[Pair], tile_cols: Mapping[str, int], *, what: str) -> SetStatistics:
    """The statistics of the pairs.

    Args:
        pairs: at least one.
        tile_cols: scene -> tile columns of its grid.
        what: label of the progress bar.

    Raises:
        DataError: if a tile is not uint16 with a uint8 mask of its size and labels 0..7; names the files.
    """
    tiles = []
    for pair in tqdm(pairs, desc=f"measure {what}", unit="tile", disable=not sys.stderr.isatty()):
        dn, mask = read_tiff(pair.image).array, read_tiff(pair.mask).array
        try:
            tiles.append(measure_tile(dn, mask, scene=pair.scene, index=tile_index(pair.name)))
        except DataError as error:
            raise DataError(f"{pair.image} and {pair.mask}: {error}") from error
    return pooled(tiles, tile_cols)


def shuffled_tiles(plan: ComparisonPlan) -> tuple[list[npt.NDArray[np.uint16]], dict[str, dict[str, str]]]:
    """Up to 18 images of each set, the same number of both, in random order, and the set of each image.

    Returns:
        The images, and `{"1": {"set": "real", "name": "041869.000003"}, ...}` in the order of the images.
    """
    # A separate random stream, so that this choice is independent of the choice of measured tiles.
    rng = np.random.default_rng([plan.seed, 1])
    n = min(_N_SHOWN, len(plan.real), len(plan.simulated))
    named = [("real", pair) for pair in _picked(plan.real, n, rng)]
    named += [("simulated", pair) for pair in _picked(plan.simulated, n, rng)]
    order = [named[place] for place in rng.permutation(len(named))]
    key = {str(number): {"set": what, "name": pair.name} for number, (what, pair) in enumerate(order, start=1)}
    return [read_tiff(pair.image).array for _, pair in order], key


def tile_index(name: str) -> int | None:
    """The 1-based index of a tile in its scene, from its name; None if the name does not end in a positive number.

    >>> tile_index("041869.000003"), tile_index("harbour")
    (3, None)
    """
    found = _TILE_INDEX.search(name)
    return int(found.group(1)) if found and int(found.group(1)) > 0 else None


def _drawn(pairs: Sequence[Pair], n_tiles: int | None, seed: int) -> tuple[Pair, ...]:
    """All pairs, or a random subset in the order of their names."""
    if n_tiles is None or n_tiles >= len(pairs):
        return tuple(pairs)
    return tuple(_picked(pairs, n_tiles, np.random.default_rng([seed, 0])))


def _picked(pairs: Sequence[Pair], n: int, rng: np.random.Generator) -> list[Pair]:
    return [pairs[place] for place in sorted(rng.choice(len(pairs), n, replace=False))]


def _tile_cols(folder: Path, pairs: Sequence[Pair], by_beginning: Mapping[str, int]) -> dict[str, int]:
    """Scene -> tile columns: from the folder's `simulation.json`, otherwise by the prefix of the scene's name."""
    recorded = _recorded_tile_cols(folder / RECORD_NAME)
    found = {pair.scene: recorded.get(pair.scene, scene_columns(pair.name, by_beginning)) for pair in pairs}
    return {scene: columns for scene, columns in found.items() if columns is not None}


def _recorded_tile_cols(path: Path) -> dict[str, int]:
    """Scene -> `n_tile_cols` of a `simulation.json`; empty if there is no file, or an old one without them."""
    if not path.is_file():
        return {}
    try:
        scenes = json.loads(path.read_text(encoding="utf-8"))["scenes"]
        return {str(scene["name"]): int(scene["n_tile_cols"]) for scene in scenes if "n_tile_cols" in scene}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: expected the record of simulated tiles with a list of scenes, but got {error!r}. Simulate "
            "the tiles again or remove the file."
        ) from error


def _set_summary(pairs: Sequence[Pair], statistics: SetStatistics, n_in_folder: int) -> dict[str, Any]:
    return {
        "folder": str(pairs[0].image.parent.parent),
        "n_tiles_in_folder": n_in_folder,
        "n_tiles": len(pairs),
        "tiles_per_scene": statistics.n_tiles,
        "left_out": statistics.left_out,
    }
