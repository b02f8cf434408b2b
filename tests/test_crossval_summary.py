from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from scored_folds import SCENES, TILES, make_fold, scored_tiles, write_folds

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.crossval.pooling import pool_folds
from seep_monai.crossval.summary import spread, summarise_folds, write_summary
from seep_monai.crossval.text import LEAK_TEXT, summary_text
from seep_monai.report.summary import summarised


@pytest.fixture(scope="module")
def summary() -> dict[str, Any]:
    return summarise_folds(pool_folds([make_fold(number) for number in range(3)]))


def test_pooled_figures_are_those_of_one_evaluation_with_intervals_over_all_scenes(summary: dict[str, Any]) -> None:
    assert summary["pooled"] == summarised(scored_tiles(SCENES), DEFAULT_CLASS_NAMES)
    low, high = summary["pooled"]["ci95"]["seep.dice"]
    assert low < summary["pooled"]["seep"]["dice"] < high
    assert (summary["n_tiles"], summary["n_scenes"]) == (12, 6)


def test_folds_hold_their_scenes_tiles_and_scores(summary: dict[str, Any]) -> None:
    fold = summary["folds"]["1"]
    assert fold["scenes"] == {"b": TILES["b"], "e": TILES["e"]}
    assert fold["scores"]["seep.dice"] == scored_tiles("be").scores()["seep_dice"]
    assert fold["weights_sha256"] == "0" * 64


def test_spread_over_folds_is_that_of_the_folds_scores(summary: dict[str, Any]) -> None:
    values = [scored_tiles(scenes).scores()["seep_dice"] for scenes in ("ad", "be", "cf")]
    mean = sum(values) / 3
    expected = {"mean": mean, "std": math.sqrt(sum((v - mean) ** 2 for v in values) / 2), "n": 3}
    found = summary["over_folds"]["seep.dice"]
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-12)
    assert (found["min"], found["max"]) == (min(values), max(values))


def test_spread_without_two_values_has_no_deviation() -> None:
    assert spread([None, 0.5]) == {"mean": 0.5, "std": None, "min": 0.5, "max": 0.5, "n": 1}
    assert spread([None, None]) == {"mean": None, "std": None, "min": None, "max": None, "n": 0}


def test_scenes_hold_their_scores(summary: dict[str, Any]) -> None:
    scores = scored_tiles("e").scores()
    assert list(summary["scenes"]) == list(SCENES)
    assert summary["scenes"]["e"] == {
        "folds": [1],
        "n_tiles": 2,
        "n_instances": int(scores["n_instances"]),
        "scores": {"seep.dice": scores["seep_dice"], "seep.AP50": scores["seep_AP50"]},
    }


def test_text_marks_leaky_and_missing_folds(summary: dict[str, Any]) -> None:
    assert "eaky" not in summary_text(summary)
    text = summary_text(summarise_folds(pool_folds([make_fold(0, leaky=True), make_fold(2)])))
    assert LEAK_TEXT in text
    assert "of 3 folds these are missing: 1" in text


def test_text_shows_the_pooled_figure_beside_its_spread(summary: dict[str, Any]) -> None:
    low, high = summary["pooled"]["ci95"]["seep.dice"]
    over = summary["over_folds"]["seep.dice"]
    line = (
        f"| seep Dice | {summary['pooled']['seep']['dice']:.3f} [{low:.3f}, {high:.3f}] | {over['mean']:.3f} | "
        f"{over['std']:.3f} | {over['min']:.3f} .. {over['max']:.3f} |"
    )
    assert line in summary_text(summary).splitlines()


def test_write_summary_writes_both_files(tmp_path: Path, summary: dict[str, Any]) -> None:
    folder = write_folds(tmp_path)
    (folder / "settings.json").write_text('{"n_folds": 3, "overrides": {"max_epochs": "2"}}')
    text = write_summary(folder)
    content = json.loads((folder / "cross_validation.json").read_text())
    assert (folder / "cross_validation.md").read_text() == text
    assert content["pooled"]["seep"] == summary["pooled"]["seep"]
    assert content["settings"]["cross_validation"]["overrides"] == {"max_epochs": "2"}
    assert content["settings"]["split"]["n_folds"] == 3
