"""Print the AP of one evaluation, or of all folds of a cross-validation, by COCO's rule and by Ultralytics 8.0 to 8.3.

COCO's is the rule of this project. Figures of YOLO networks that were published with those versions stand by the other,
which is higher for the same detections: compare them with its column alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seep_monai.errors import DataError, SeepError, listed
from seep_monai.metrics.ap_rules import rules_text, scores_by_rule
from seep_monai.report.scored_tiles_file import read_scored_tiles


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="scored_tiles.npz of an evaluation")
    try:
        print(compare(parser.parse_args().files))
    except SeepError as error:
        raise SystemExit(str(error)) from error


def compare(files: Sequence[Path]) -> str:
    """The table of all tiles of the files as one set."""
    rows, names = [], set[str]()
    for path in files:
        tiles = read_scored_tiles(path)
        twice = sorted(names & set(tiles.names))
        if twice:
            raise DataError(f"{path}: expected other tiles than in the files before, but got {listed(twice)} again.")
        names |= set(tiles.names)
        rows += tiles.instances
    return rules_text(scores_by_rule(np.concatenate(rows)))


if __name__ == "__main__":
    main()
