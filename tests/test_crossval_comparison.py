from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scored_folds import SCENES, make_fold, scored_tiles, write_folds

from seep_monai.crossval.comparison import compare_folds, write_comparison
from seep_monai.crossval.pooling import PooledFolds, pool_folds
from seep_monai.errors import DataError
from seep_monai.metrics.intervals import scene_draws


def pooled(seed: int = 0, **changes: Any) -> PooledFolds:
    return pool_folds([make_fold(number, seed=seed, **changes) for number in range(3)])


def spoilt(run: PooledFolds, **lists: Any) -> PooledFolds:
    """The run with other lists in its records."""
    return replace(run, tiles=replace(run.tiles, **lists))


@pytest.fixture(scope="module")
def first() -> PooledFolds:
    return pooled(0)


@pytest.fixture(scope="module")
def second() -> PooledFolds:
    return pooled(1)


@pytest.fixture(scope="module")
def comparison(first: PooledFolds, second: PooledFolds) -> dict[str, Any]:
    return compare_folds(first, second)


def test_run_compared_with_itself_has_no_difference(first: PooledFolds) -> None:
    result = compare_folds(first, first)
    figures = {key: figure for key, figure in result["figures"].items() if figure["first"] is not None}
    assert {"seep.dice", "seep.AP50", "mAP50", "ribbon.f1_r1"} <= figures.keys()
    assert {figure["difference"] for figure in figures.values()} == {0}
    assert {figure["ci95"] for figure in figures.values()} <= {(0, 0), None}
    assert figures["seep.AP50"]["ci95"] == (0, 0)
    assert all(set(scene["differences"].values()) == {0} for scene in result["scenes"].values())


def test_difference_is_that_of_the_pooled_scores(comparison: dict[str, Any]) -> None:
    one, other = (scored_tiles(SCENES, seed=seed).scores()["seep_AP50"] for seed in (0, 1))
    assert comparison["figures"]["seep.AP50"]["difference"] == one - other


def test_interval_of_a_difference_draws_the_same_scenes_for_both(comparison: dict[str, Any]) -> None:
    sums = [{s: sum(scored_tiles(s, seed=seed).pixels) for s in SCENES} for seed in (0, 1)]
    differences = []
    for draw in scene_draws(6, 1000, seed=0):
        dice = []
        for by_scene in sums:
            counts = sum(by_scene[SCENES[i]] for i in draw)
            right = counts[1:, 1:].sum()
            dice.append(2 * right / (counts[1:].sum() + counts[:, 1:].sum()))
        differences.append(dice[0] - dice[1])
    expected = (np.percentile(differences, 2.5), np.percentile(differences, 97.5))
    assert comparison["figures"]["seep.dice"]["ci95"] == pytest.approx(expected, abs=1e-12)


def test_scenes_hold_their_differences(comparison: dict[str, Any]) -> None:
    one, other = (scored_tiles("c", seed=seed).scores()["seep_dice"] for seed in (0, 1))
    assert comparison["scenes"]["c"]["differences"]["seep.dice"] == one - other
    assert comparison["scenes"]["c"]["first"]["seep.dice"] == one


def test_other_tiles_raise(first: PooledFolds) -> None:
    fewer = pool_folds([make_fold(0), make_fold(1)])
    with pytest.raises(DataError, match=r"two runs on the same tiles, but 6 are in one only: c\.0"):
        compare_folds(first, fewer)


def test_other_scenes_of_a_tile_raise(first: PooledFolds) -> None:
    scenes = ["z" if name == "b.1" else name[0] for name in first.tiles.names]
    with pytest.raises(DataError, match=r"the same scene of each tile.*: b\.1"):
        compare_folds(first, spoilt(first, scenes=scenes))


def test_other_true_pixels_raise(first: PooledFolds) -> None:
    pixels = [counts.copy() for counts in first.tiles.pixels]
    pixels[2][3, 0] += 1
    with pytest.raises(DataError, match=f"the same truth in both runs.*1 tiles: {first.tiles.names[2]}"):
        compare_folds(first, spoilt(first, pixels=pixels))


def test_other_true_instances_of_as_many_pixels_raise(first: PooledFolds) -> None:
    instances = [rows.copy() for rows in first.tiles.instances]
    truths = np.flatnonzero(instances[0]["kind"] == 1)
    instances[0]["area_px"][truths[0]] += 1
    with pytest.raises(DataError, match=r"the same truth in both runs.*: a\.0"):
        compare_folds(first, spoilt(first, instances=instances))


def test_other_class_names_raise(first: PooledFolds) -> None:
    with pytest.raises(DataError, match="the same class names"):
        compare_folds(first, pooled(class_names=list("abcdefg")))


def test_write_comparison_writes_both_files_and_says_which_settings_differ(tmp_path: Path) -> None:
    folders = [write_folds(tmp_path / name, seed=seed) for seed, name in enumerate(("one", "two"))]
    for epochs, folder in zip("23", folders, strict=True):
        (folder / "settings.json").write_text(json.dumps({"overrides": {"max_epochs": epochs}}))
    text = write_comparison(*folders, tmp_path)
    content = json.loads((tmp_path / "comparison.json").read_text())
    assert (tmp_path / "comparison.md").read_text() == text
    assert content["settings_differ"] == ["cross_validation.overrides.max_epochs"]
    assert content["first"]["weights_sha256"].keys() == {"0", "1", "2"}
    assert "Settings that differ: cross_validation.overrides.max_epochs." in text
    assert "| seep Dice | " in text
