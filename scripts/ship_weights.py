"""Make the weights that ship of a training on simulated tiles: float16, without lists of tiles.

python scripts/ship_weights.py bundle/models/first bundle/models/simulated --record data/simulated/simulation.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from seep_monai.checkpoints import DESCRIPTION_FILE, MODEL_FILE, read_description
from seep_monai.errors import SeepError
from seep_monai.shipped_weights import ship


def main() -> None:
    """Read the command line, write the weights and print their checksum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="SRC", type=Path, help="folder of the training's weights")
    parser.add_argument("target", metavar="DST", type=Path, help="folder to write: bundle/models/simulated")
    parser.add_argument("--overwrite", action="store_true", help="replace weights in DST")
    parser.add_argument(
        "--record",
        metavar="SIMULATION_JSON",
        type=Path,
        nargs="+",
        required=True,
        help="simulation.json of every simulated data set that was trained on",
    )
    given = parser.parse_args()
    try:
        ship(given.source, given.target, given.record, overwrite=given.overwrite)
    except SeepError as error:
        raise SystemExit(str(error)) from error
    size = (given.target / MODEL_FILE).stat().st_size
    print(f"{given.target}: {MODEL_FILE} ({size / 1e6:.1f} MB) and {DESCRIPTION_FILE}")
    print(f"sha256 {read_description(given.target)['sha256']}")


if __name__ == "__main__":
    main()
