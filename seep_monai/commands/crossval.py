"""Cross-validate the bundle: train a network per fold, score its test part, and pool all test parts into one set.

Each fold trains, fits the object classifier and evaluates as `python -m monai.bundle run training`, `fitting` and
`evaluating` do, in processes of their own, into OUT/fold_<f>/models and OUT/fold_<f>/eval. The same command again goes
on where it was stopped. Writes
OUT/cross_validation.json and .md: pooled scores with 95 % intervals over all scenes, their spread over folds, and every
scene.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from seep_monai.crossval.runs import score_folds, train_folds
from seep_monai.crossval.settings import DEFAULT_N_FOLDS, begin, make_settings
from seep_monai.crossval.summary import write_summary
from seep_monai.errors import SeepError
from seep_monai.files import make_folder


def main(words: Sequence[str]) -> None:
    """Read the command line, train, evaluate, pool and print."""
    parser = argparse.ArgumentParser(
        "seep-monai crossval",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Any other top-level id of bundle/configs/train.json goes to every training (--max_epochs 30), one of "
        "evaluate.json to every evaluation, one of fit_objects.json to every fitting. --instances#mode class or object "
        "does without the object classifier.",
        allow_abbrev=False,
    )
    parser.add_argument("--dataset_dir", required=True, help="folder with train_images_256 and train_masks_256")
    parser.add_argument("--output_dir", metavar="OUT", required=True, type=Path, help="folder for all folds")
    parser.add_argument(
        "--n_folds", type=int, default=DEFAULT_N_FOLDS, help="number of folds, at least 3 (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the folds and the trainings (default: %(default)s)")
    parser.add_argument(
        "--score_only",
        action="store_true",
        help="train nothing: evaluate and pool the folds whose weights are there (OUT/fold_<f>/models), whoever "
        "trained them; of the other options those count that an evaluation takes, such as --instances#mode",
    )
    arguments, overrides = parser.parse_known_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        print(cross_validate(arguments, overrides))
    except SeepError as error:
        raise SystemExit(str(error)) from error
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        raise SystemExit(130) from None


def cross_validate(arguments: argparse.Namespace, overrides: list[str]) -> str:
    """Train and evaluate what is missing, write the summary and return its text."""
    sizes = {"n_folds": arguments.n_folds, "seed": arguments.seed}
    settings = make_settings(arguments.dataset_dir, overrides, **sizes)
    if arguments.score_only:
        score_folds(settings, arguments.output_dir)
    else:
        begin(settings, make_folder(arguments.output_dir, option="--output_dir"))
        train_folds(settings, arguments.output_dir)
    return write_summary(arguments.output_dir)
