"""Make simulated SAR tiles with potential seeps and their masks, for the quick start and for tests."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from seep_monai.errors import SeepError
from seep_monai.simulate.tiles import MAX_TILES_PER_SCENE, MIN_SCENES, make_sample_data


def main() -> None:
    """Read the command line and make the sample."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Writes OUT/train_images_256/SCENE.TILE.tif (uint16, 256 x 256, 0 = outside the swath), "
        "OUT/train_masks_256 with the same names (uint8, 0 = no seep, 1..7 = seep class) and OUT/simulation.json. "
        "The same numbers and seed give the same files.",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to make")
    parser.add_argument("--n_tiles", type=int, default=400, help="number of tiles (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all randomness (default: %(default)s)")
    parser.add_argument(
        "--n_scenes",
        type=int,
        help=f"number of scenes the tiles are spread over (default: one per {MAX_TILES_PER_SCENE} tiles, "
        f"{MIN_SCENES} at least as long as each holds two tiles)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace sample data that OUT holds already")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        make_sample_data(**vars(arguments))
    except SeepError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
