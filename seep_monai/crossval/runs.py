"""Trainings and evaluations of all folds, each in its own process with the bundle's command line.

Fold f writes to `fold_<f>/models` and `fold_<f>/eval`. Completed steps leave files in `fold_<f>`:

- `trained.json`: the training is complete; checksum of the weights.
- `fitted.json`: overrides of the fit of the object classifier. It is skipped if another instance mode is given.
- `scored.json`: overrides of the evaluation. The evaluation is complete if `eval/scored_tiles.npz` has these weights.
"""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seep_monai.checkpoints import (
    DESCRIPTION_FILE,
    LAST_FILE,
    MODEL_FILE,
    description_file,
    read_description,
    read_last,
)
from seep_monai.crossval.settings import SETTINGS_FILE, CrossValidationSettings, config_path
from seep_monai.errors import ConfigError, DataError, SeepError, TrainingError
from seep_monai.files import make_folder, read_json, write_json
from seep_monai.report.scored_tiles_file import SCORED_TILES_FILE, read_origin

logger = logging.getLogger(__name__)

TRAINED_FILE = "trained.json"
FITTED_FILE = "fitted.json"
SCORED_FILE = "scored.json"
PART = "test"

# Exit codes of a process that the user stopped: by convention of the shell, and when the signal ended it.
_INTERRUPTED = (130, -signal.SIGINT)

Runner = Callable[[Sequence[str]], int]


def run_process(words: Sequence[str]) -> int:
    """The exit code of `python -m monai.bundle run` with these words. It shares the output of this process."""
    return subprocess.run([sys.executable, "-m", "monai.bundle", "run", *words], check=False).returncode


def train_folds(settings: CrossValidationSettings, folder: Path, run: Runner = run_process) -> None:
    """Train every fold, then evaluate every fold. Completed steps are skipped, interrupted trainings are resumed.

    Args:
        settings: settings stored in the folder (`settings.begin`).
        folder: folder of the cross-validation.
        run: runs one process.

    Raises:
        TrainingError: if a process fails.
        DataError: if a fold's weights are not those that were trained here.
    """
    for fold in range(settings.n_folds):
        place = fold_dir(folder, fold)
        if _is_trained(place) and _is_scored(place, settings):
            logger.info("fold %d of %d: complete, skipped", fold, settings.n_folds)
            continue
        make_folder(place, option="--output_dir")
        if not _is_trained(place):
            _train(settings, folder, fold, run)
    # Evaluate after all trainings, so a fold whose object classifier cannot be fitted does not stop the others.
    for fold in range(settings.n_folds):
        if not _is_scored(fold_dir(folder, fold), settings):
            _evaluate(settings, fold_dir(folder, fold), run)


def score_folds(settings: CrossValidationSettings, folder: Path, run: Runner = run_process) -> None:
    """Evaluate every fold that has weights, also if they were trained by hand or evaluated before.

    Raises:
        DataError: if there are no weights.
        TrainingError: if a process fails.
    """
    folds = [fold for fold in fold_numbers(folder) if (fold_dir(folder, fold) / "models" / MODEL_FILE).is_file()]
    if not folds:
        raise DataError(
            f"{folder}: expected weights in fold_<f>/models ({MODEL_FILE}, {DESCRIPTION_FILE}), but found none. Train "
            "without --score_only, or correct --output_dir."
        )
    for fold in folds:
        if (folder / SETTINGS_FILE).is_file() and not (fold_dir(folder, fold) / TRAINED_FILE).is_file():
            logger.warning("fold %d: the training is not complete; its best weights so far are scored", fold)
        logger.info("fold %d: evaluation", fold)
        _evaluate(settings, fold_dir(folder, fold), run)


def fold_dir(folder: Path, fold: int) -> Path:
    """The folder of a fold."""
    return folder / f"fold_{fold}"


def fold_numbers(folder: Path) -> list[int]:
    """The folds that have a folder, ascending."""
    names = [path.name for path in folder.glob("fold_*") if path.is_dir()]
    return sorted(int(name.removeprefix("fold_")) for name in names if re.fullmatch(r"fold_(0|[1-9]\d*)", name))


def _train(settings: CrossValidationSettings, folder: Path, fold: int, run: Runner) -> None:
    place = fold_dir(folder, fold)
    if not _has_all_epochs(place / "models", settings):
        resumed = (place / "models" / LAST_FILE).is_file()
        logger.info("fold %d of %d: training%s", fold, settings.n_folds, " resumed" if resumed else "")
        words = ["training", "--config_file", str(config_path("train.json")), *_places(settings.dataset_dir, place)]
        words += ["--split#n_folds", str(settings.n_folds), "--split#fold", str(fold), "--seed", str(settings.seed)]
        # Weights without last.pt come from a training that was stopped in its first epoch.
        words += ["--resume" if resumed else "--overwrite", "True", *_options(settings.training_overrides)]
        _run(words, place, run)
    write_json(place / TRAINED_FILE, {"weights_sha256": read_description(place / "models")["sha256"]})


def _fit(settings: CrossValidationSettings, place: Path, run: Runner) -> None:
    words = ["fitting", "--config_file", _configs("train.json", "evaluate.json", "fit_objects.json")]
    words += [*_places(settings.dataset_dir, place), *_options(settings.fitting_overrides)]
    (place / FITTED_FILE).unlink(missing_ok=True)
    _run(words, place, run)
    write_json(place / FITTED_FILE, settings.fitting_overrides)


def _is_fitted(settings: CrossValidationSettings, place: Path) -> bool:
    """Whether there is an object classifier that was fitted with the given overrides."""
    if "objects" not in read_description(place / "models"):
        return False
    noted = _noted(place / FITTED_FILE)
    return settings.fitting_overrides == (noted or {})


def _evaluate(settings: CrossValidationSettings, place: Path, run: Runner) -> None:
    if settings.classified and not _is_fitted(settings, place):
        _fit(settings, place, run)
    words = ["evaluating", "--config_file", _configs("train.json", "evaluate.json")]
    words += [*_places(settings.dataset_dir, place), "--part", PART]
    # Remove old results, so that a process that fails does not leave results of an earlier one.
    (place / SCORED_FILE).unlink(missing_ok=True)
    (place / "eval" / SCORED_TILES_FILE).unlink(missing_ok=True)
    _run([*words, *_options(settings.evaluation_overrides)], place, run)
    write_json(place / SCORED_FILE, settings.evaluation_overrides)


def _run(words: Sequence[str], place: Path, run: Runner) -> None:
    code = run(words)
    if code in _INTERRUPTED:
        raise KeyboardInterrupt
    if code != 0:
        raise TrainingError(
            f"{place}: {words[0]} ended with exit code {code}; see its message above. Correct the cause and run the "
            "same command again: folds that are complete are skipped."
        )


def _configs(*names: str) -> str:
    return str([str(config_path(name)) for name in names])


def _places(dataset_dir: str, place: Path) -> list[str]:
    place = place.absolute()
    return _options({"dataset_dir": dataset_dir, "output_dir": str(place / "eval"), "ckpt_dir": str(place / "models")})


def _options(values: Mapping[str, str]) -> list[str]:
    return [word for name, value in values.items() for word in (f"--{name}", value)]


def _has_all_epochs(models: Path, settings: CrossValidationSettings) -> bool:
    """Whether the training was stopped after its last epoch, before `trained.json` was written."""
    if not (models / LAST_FILE).is_file() or not description_file(models).is_file():
        return False
    default = json.loads(config_path("train.json").read_text(encoding="utf-8"))["max_epochs"]
    try:
        n_epochs = int(settings.overrides.get("max_epochs", default))
    except ValueError as error:
        raise ConfigError(
            f"max_epochs: expected a whole number, but got {settings.overrides['max_epochs']!r}."
        ) from error
    return bool(read_last(models / LAST_FILE)["epoch"] >= n_epochs)


def _is_trained(place: Path) -> bool:
    path = place / TRAINED_FILE
    if not path.is_file():
        return False
    try:
        noted = read_json(path)["weights_sha256"]
    except (DataError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error!r}). Remove {place} to train the fold again.") from error
    found = read_description(place / "models")["sha256"]
    if noted != found:
        raise DataError(
            f"{place / 'models' / MODEL_FILE}: expected the weights that were trained here ({noted[:12]}...), but got "
            f"{found[:12]}.... Remove {place} to train the fold again, or score the existing folds with --score_only."
        )
    return True


def scored_overrides(place: Path) -> dict[str, str] | None:
    """The overrides in a fold's `scored.json`; None if it was evaluated by hand or not at all.

    Raises:
        DataError: if the file cannot be read.
    """
    return _noted(place / SCORED_FILE)


def _noted(path: Path) -> dict[str, str] | None:
    """The overrides in the file of a completed step; None if there is no file."""
    if not path.is_file():
        return None
    try:
        return dict(read_json(path))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}). Remove it, and evaluate again with --score_only."
        ) from error


def _is_scored(place: Path, settings: CrossValidationSettings) -> bool:
    """Whether the test part was scored with the current weights and overrides."""
    path = place / "eval" / SCORED_TILES_FILE
    if not path.is_file() or scored_overrides(place) != settings.evaluation_overrides:
        return False
    try:
        origin: dict[str, Any] = read_origin(path)
    except SeepError as error:
        logger.warning("%s", error)
        return False
    return origin["part"] == PART and origin["weights_sha256"] == read_description(place / "models")["sha256"]
