"""Fold by fold, with a runner that only writes files."""

from __future__ import annotations

import ast
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from scored_folds import N_FOLDS, write_scores, write_weights

from seep_monai.crossval.runs import score_folds, train_folds
from seep_monai.crossval.settings import CrossValidationSettings, begin, make_settings
from seep_monai.errors import DataError, TrainingError


def options(words: Sequence[str]) -> dict[str, str]:
    """The values of `task --id value --id value ..` by their ids."""
    return {name.removeprefix("--"): value for name, value in zip(words[1::2], words[2::2], strict=True)}


def config_names(given: dict[str, str]) -> list[str]:
    return [Path(file).name for file in ast.literal_eval(given["config_file"])]


class FileWriter:
    """Stands for the processes: writes what they write, and remembers what it was asked for."""

    def __init__(self, codes: Sequence[int] = ()) -> None:
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.codes = list(codes)

    def __call__(self, words: Sequence[str]) -> int:
        given = options(words)
        self.calls.append((words[0], given))
        code = self.codes.pop(0) if self.codes else 0
        models = Path(given["ckpt_dir"])
        number = int(models.parent.name.removeprefix("fold_"))
        if words[0] == "training":
            write_weights(models, number, b"whole" if code == 0 else b"half", epoch=2 if code == 0 else 1)
        elif code == 0 and words[0] == "fitting":
            description = json.loads((models / "model.json").read_text())
            (models / "model.json").write_text(json.dumps(description | {"objects": {}, "map_threshold": 0.5}))
        elif code == 0:
            write_scores(models.parent, number, json.loads((models / "model.json").read_text())["sha256"])
        return code

    @property
    def tasks(self) -> list[tuple[str, str]]:
        return [(task, Path(given["ckpt_dir"]).parent.name) for task, given in self.calls]


@pytest.fixture
def settings() -> CrossValidationSettings:
    return make_settings("data", ["--max_epochs", "2", "--batch_size", "8"], n_folds=N_FOLDS, seed=7)


FOLDS = [f"fold_{fold}" for fold in range(N_FOLDS)]
TRAININGS = [("training", fold) for fold in FOLDS]
SCORINGS = [(task, fold) for fold in FOLDS for task in ("fitting", "evaluating")]


def test_every_fold_is_trained_and_evaluated_as_by_hand(tmp_path: Path, settings: CrossValidationSettings) -> None:
    run = FileWriter()
    train_folds(settings, tmp_path, run)
    assert run.tasks == TRAININGS + SCORINGS
    training, fitting, evaluation = (run.calls[i][1] for i in (1, 5, 6))
    data = str(Path.cwd() / "data")
    places = {"output_dir": str(tmp_path / "fold_1" / "eval"), "ckpt_dir": str(tmp_path / "fold_1" / "models")}
    shared = {"dataset_dir": data, **places, "batch_size": "8"}
    trained = {"split#n_folds": "3", "split#fold": "1", "seed": "7", "max_epochs": "2", "overwrite": "True"}
    assert training == {"config_file": training["config_file"], **shared, **trained}
    assert evaluation == {"config_file": evaluation["config_file"], **shared, "part": "test"}
    assert config_names(evaluation) == ["train.json", "evaluate.json"]
    assert fitting == {"config_file": fitting["config_file"], **shared}
    assert config_names(fitting) == ["train.json", "evaluate.json", "fit_objects.json"]


def test_complete_folds_are_skipped_and_said(
    tmp_path: Path, settings: CrossValidationSettings, caplog: pytest.LogCaptureFixture
) -> None:
    train_folds(settings, tmp_path, FileWriter())
    shutil.rmtree(tmp_path / "fold_1")
    again = FileWriter()
    with caplog.at_level(logging.INFO):
        train_folds(settings, tmp_path, again)
    assert again.tasks == [("training", "fold_1"), ("fitting", "fold_1"), ("evaluating", "fold_1")]
    assert "fold 0 of 3: complete, skipped" in caplog.messages
    assert "fold 2 of 3: complete, skipped" in caplog.messages


def test_training_that_failed_ends_all_and_is_gone_on_with(tmp_path: Path, settings: CrossValidationSettings) -> None:
    run = FileWriter([0, 1])
    with pytest.raises(TrainingError, match=r"fold_1: training ended with exit code 1.*are skipped"):
        train_folds(settings, tmp_path, run)
    assert run.tasks == TRAININGS[:2]
    again = FileWriter()
    train_folds(settings, tmp_path, again)
    assert again.tasks == TRAININGS[1:] + SCORINGS
    assert "overwrite" not in again.calls[0][1]
    assert again.calls[0][1]["resume"] == "True"


def test_fold_whose_evaluation_failed_is_evaluated_only(tmp_path: Path, settings: CrossValidationSettings) -> None:
    with pytest.raises(TrainingError, match="fold_0: evaluating ended with exit code 1"):
        train_folds(settings, tmp_path, FileWriter([0, 0, 0, 0, 1]))
    again = FileWriter()
    train_folds(settings, tmp_path, again)
    assert again.tasks == SCORINGS[1:]


def test_fold_whose_fitting_failed_is_fitted_again(tmp_path: Path, settings: CrossValidationSettings) -> None:
    with pytest.raises(TrainingError, match="fold_1: fitting ended with exit code 1"):
        train_folds(settings, tmp_path, FileWriter([0, 0, 0, 0, 0, 1]))
    again = FileWriter()
    train_folds(settings, tmp_path, again)
    assert again.tasks == SCORINGS[2:]


def test_training_stopped_after_its_last_epoch_is_not_repeated(
    tmp_path: Path, settings: CrossValidationSettings
) -> None:
    write_weights(tmp_path / "fold_0" / "models", 0, epoch=2)
    run = FileWriter()
    train_folds(settings, tmp_path, run)
    assert run.tasks == TRAININGS[1:] + SCORINGS


def test_folds_scored_otherwise_in_between_are_evaluated_again(
    tmp_path: Path, settings: CrossValidationSettings
) -> None:
    train_folds(settings, tmp_path, FileWriter())
    score_folds(make_settings("data", ["--instances#mode", "object"]), tmp_path, FileWriter())
    again = FileWriter()
    train_folds(settings, tmp_path, again)
    assert again.tasks == SCORINGS[1::2]
    assert "instance_mode" not in again.calls[0][1]


def test_options_of_the_evaluation_alone_go_to_no_training(tmp_path: Path) -> None:
    run = FileWriter()
    train_folds(make_settings("data", ["--tta", "True"], n_folds=N_FOLDS), tmp_path, run)
    assert "tta" not in run.calls[0][1]
    assert [given["tta"] for _, given in run.calls[3:5]] == ["True", "True"]


def test_columns_of_the_grid_go_to_every_step(tmp_path: Path) -> None:
    run = FileWriter()
    train_folds(make_settings("data", ["--tile_columns", "{'0': 9}"], n_folds=N_FOLDS), tmp_path, run)
    assert {given["tile_columns"] for _, given in run.calls} == {"{'0': 9}"}
    assert len(run.calls) == 3 * N_FOLDS


def test_classifier_that_was_fitted_otherwise_is_fitted_again_and_scored(
    tmp_path: Path, settings: CrossValidationSettings
) -> None:
    train_folds(settings, tmp_path, FileWriter())
    plain, again, back = FileWriter(), FileWriter(), FileWriter()
    without_tta = make_settings("data", ["--tta", "False"], n_folds=N_FOLDS)
    score_folds(without_tta, tmp_path, plain)
    score_folds(without_tta, tmp_path, again)
    train_folds(settings, tmp_path, back)
    assert plain.tasks == back.tasks == SCORINGS
    assert again.tasks == SCORINGS[1::2]


def test_other_instance_modes_fit_no_classifier(tmp_path: Path) -> None:
    run = FileWriter()
    train_folds(make_settings("data", ["--instances#mode", "object"], n_folds=N_FOLDS), tmp_path, run)
    assert run.tasks == TRAININGS + SCORINGS[1::2]


def test_classified_mode_goes_to_no_training(tmp_path: Path) -> None:
    run = FileWriter()
    train_folds(make_settings("data", ["--instances#mode", "classified"], n_folds=N_FOLDS), tmp_path, run)
    assert [given.get("instances#mode") for _, given in run.calls[2:5]] == [None, None, "classified"]


def test_weights_that_were_exchanged_raise(tmp_path: Path, settings: CrossValidationSettings) -> None:
    train_folds(settings, tmp_path, FileWriter())
    write_weights(tmp_path / "fold_0" / "models", 0, b"others")
    with pytest.raises(DataError, match=r"expected the weights that were trained here .* Remove .*fold_0"):
        train_folds(settings, tmp_path, FileWriter())


@pytest.mark.parametrize("code", [130, -2])
def test_process_that_the_user_stopped_stops_all(tmp_path: Path, settings: CrossValidationSettings, code: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_folds(settings, tmp_path, FileWriter([code]))


def test_score_only_evaluates_the_folds_that_have_weights(tmp_path: Path) -> None:
    for fold in (0, 2):
        write_weights(tmp_path / f"fold_{fold}" / "models", fold)
    (tmp_path / "fold_1" / "models").mkdir(parents=True)
    for _ in range(2):
        run = FileWriter()
        score_folds(make_settings("data", ["--instances#mode", "object", "--max_epochs", "2"]), tmp_path, run)
        assert run.tasks == [("evaluating", "fold_0"), ("evaluating", "fold_2")]
        assert run.calls[0][1]["instances#mode"] == "object"
        assert "max_epochs" not in run.calls[0][1]


def test_score_only_says_of_a_training_that_was_stopped(
    tmp_path: Path, settings: CrossValidationSettings, caplog: pytest.LogCaptureFixture
) -> None:
    begin(settings, tmp_path)
    with pytest.raises(TrainingError):
        train_folds(settings, tmp_path, FileWriter([1]))
    score_folds(settings, tmp_path, FileWriter())
    assert "fold 0: the training is not complete; its best weights so far are scored" in caplog.messages


def test_score_only_without_weights_raises(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected weights in fold_<f>/models"):
        score_folds(settings, tmp_path, FileWriter())
