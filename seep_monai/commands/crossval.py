"""Cross-validate the bundle: train one network per fold, score it on the fold's test part, and pool all test parts.

Each fold runs `training`, `fitting` and `evaluating` of the bundle in separate processes, and writes to
OUT/fold_<f>/models and OUT/fold_<f>/eval. The same command resumes a run that was stopped. Writes
OUT/cross_validation.json and .md: pooled scores with 95 % intervals over all scenes, their spread over folds, and the
scores of every scene.
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
    """Parse the command line, run the cross-validation and print the summary."""
    parser = argparse.ArgumentParser(
        "seep-monai crossval",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Any other top-level id of bundle/configs/train.json is passed to every training (--max_epochs 30), one "
        "of evaluate.json to every evaluation, one of fit_objects.json to every fitting. With --instances#mode class "
        "or object, the object classifier is not used.",
        allow_abbrev=False,
    )
    parser.add_argument("--dataset_dir", required=True, help="folder with train_images_256 and train_masks_256")
    parser.add_argument("--output_dir", metavar="OUT", required=True, type=Path, help="folder for all folds")
    parser.add_argument(
        "--n_folds", type=int, default=DEFAULT_N_FOLDS, help="number of folds, at least 3 (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of folds and trainings (default: %(default)s)")
    parser.add_argument(
        "--score_only",
        action="store_true",
        help="do not train: evaluate and pool the folds that have weights in OUT/fold_<f>/models; only options of the "
        "evaluation, such as --instances#mode, have an effect",
    )
    arguments, overrides = parser.parse_known_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        print(cross_validate(arguments, overrides))
    except SeepError as error:
        raise SystemExit(str(error)) from error
    except KeyboardInterrupt:
        print("stopped; run the same command again to resume", file=sys.stderr)
        raise SystemExit(130) from None


def cross_validate(arguments: argparse.Namespace, overrides: list[str]) -> str:
    """Train and evaluate the folds that are missing, write the summary and return its text."""
    sizes = {"n_folds": arguments.n_folds, "seed": arguments.seed}
    settings = make_settings(arguments.dataset_dir, overrides, **sizes)
    if arguments.score_only:
        score_folds(settings, arguments.output_dir)
    else:
        begin(settings, make_folder(arguments.output_dir, option="--output_dir"))
        train_folds(settings, arguments.output_dir)
    return write_summary(arguments.output_dir)
