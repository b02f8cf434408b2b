"""Compare simulated tiles with real ones: sea, speckle, scenes, and size, shape and contrast of the slicks."""

from __future__ import annotations

import argparse
from pathlib import Path

from seep_monai.calibration.comparison import KS_LIMIT
from seep_monai.calibration.comparison_report import (
    parse_tile_columns,
    plan_comparison,
    write_comparison,
)
from seep_monai.calibration.comparison_text import verdict_text
from seep_monai.errors import SeepError


def main() -> None:
    """Read the command line, compare and write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Both folders hold train_images_256 and train_masks_256 with SCENE.TILE.tif. Writes "
        "OUT/calibration.json (all figures), calibration.md (tables), distributions.png, tiles_shuffled.png (tiles of "
        "both sets in random order) and tiles_shuffled.json (which is which), and prints the verdict.",
    )
    parser.add_argument("real_dir", metavar="REAL_DIR", type=Path, help="folder of real tiles")
    parser.add_argument("sim_dir", metavar="SIM_DIR", type=Path, help="folder of simulated tiles")
    parser.add_argument("--output_dir", metavar="OUT", type=Path, required=True, help="folder for the report")
    parser.add_argument("--n_tiles", type=int, help="tiles drawn at random of each folder (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the tiles drawn and shown (default: %(default)s)")
    parser.add_argument(
        "--real_tile_columns",
        metavar="COLUMNS",
        default="{}",
        help="tile columns of real scenes by the beginning of their names, such as \"{'0418': 19, '0455': 20}\"; "
        "without, their range trend is left out",
    )
    parser.add_argument(
        "--n_tile_cols",
        type=int,
        help="tile columns of simulated scenes whose simulation.json does not tell them (n_tile_cols)",
    )
    arguments = parser.parse_args()
    try:
        print(compare_folders(arguments))
    except SeepError as error:
        raise SystemExit(str(error)) from error


def compare_folders(arguments: argparse.Namespace) -> str:
    """Compare, write the report and return the verdict."""
    plan = plan_comparison(
        arguments.real_dir,
        arguments.sim_dir,
        n_tiles=arguments.n_tiles,
        seed=arguments.seed,
        real_tile_columns=parse_tile_columns(arguments.real_tile_columns),
        n_tile_cols=arguments.n_tile_cols,
    )
    report = write_comparison(plan, arguments.output_dir)
    return f"{verdict_text(report['verdict'])}\nGoals are KS distances below {KS_LIMIT}. Report: {arguments.output_dir}"


if __name__ == "__main__":
    main()
