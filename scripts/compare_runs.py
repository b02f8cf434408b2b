"""Compare two cross-validations of the same tiles in pairs.

Prints and writes for each figure the difference FIRST - SECOND with its 95 % bootstrap interval over scenes, in which
every resample draws the same scenes for both, and the differences of each scene.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from seep_monai.crossval.comparison import write_comparison
from seep_monai.errors import SeepError
from seep_monai.files import make_folder


def main() -> None:
    """Read the command line, compare, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first_dir", metavar="FIRST", type=Path, help="--output_dir of one seep-monai crossval")
    parser.add_argument("second_dir", metavar="SECOND", type=Path, help="--output_dir of another one")
    parser.add_argument(
        "--output_dir", metavar="DIR", required=True, type=Path, help="folder for comparison.json and comparison.md"
    )
    arguments = parser.parse_args()
    try:
        folder = make_folder(arguments.output_dir, option="--output_dir")
        print(write_comparison(arguments.first_dir, arguments.second_dir, folder))
    except SeepError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
