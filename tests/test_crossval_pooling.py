from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scored_folds import SCENES, description, make_fold, scored_tiles, write_folds, write_scores, write_weights

from seep_monai.crossval.pooling import Fold, pool_folds, read_folds
from seep_monai.errors import DataError


def same(scores: dict[str, float]) -> Any:
    """Equal to the last digit, undefined where these are."""
    return pytest.approx(scores, rel=0, abs=0, nan_ok=True)


@pytest.fixture(scope="module")
def folds() -> list[Fold]:
    return [make_fold(number) for number in range(3)]


def test_pooled_folds_score_as_one_evaluation_of_all_tiles(folds: list[Fold]) -> None:
    whole = scored_tiles(SCENES)
    pooled = pool_folds(folds).tiles
    assert pooled.names == whole.names
    assert pooled.scores() == same(whole.scores())
    assert sum(map(len, pooled.confusion)) == sum(map(len, whole.confusion))


def test_pooled_scores_are_not_the_mean_of_the_folds(folds: list[Fold]) -> None:
    means = np.mean([fold.tiles.scores()["seep_AP50"] for fold in folds])
    assert abs(pool_folds(folds).tiles.scores()["seep_AP50"] - means) > 1e-3


def test_pooled_folds_do_not_depend_on_the_order_of_the_folds(folds: list[Fold]) -> None:
    assert pool_folds(folds[::-1]).tiles.scores() == same(pool_folds(folds).tiles.scores())


def test_pooled_tiles_have_image_ids_of_their_own(folds: list[Fold]) -> None:
    tiles = pool_folds(folds).tiles
    for records in (tiles.instances, tiles.confusion):
        assert [set(rows["image_id"].tolist()) for rows in records] == [{i} for i in range(len(tiles.names))]
    # The folds' own records keep theirs.
    assert folds[1].tiles.instances[0]["image_id"][0] == 0


def test_pooled_folds_name_those_that_are_missing(folds: list[Fold]) -> None:
    assert pool_folds(folds[1:]).missing_folds == [0]


def test_classified_folds_have_thresholds_of_their_own_and_nothing_else() -> None:
    settings = [{"mode": "object", "high": h, "low": h, "min_size_px": 0} for h in (0.2, 0.3, 0.25)]
    classified = [make_fold(n, instance_mode="classified", instance_settings=settings[n]) for n in range(3)]
    assert len(pool_folds(classified).folds) == 3
    plain = [make_fold(n, instance_mode="object", instance_settings=settings[n]) for n in range(3)]
    with pytest.raises(DataError, match="expected the instance_settings of fold 0"):
        pool_folds(plain)
    classified[1] = make_fold(1, instance_mode="classified", instance_settings={**settings[1], "min_size_px": 9})
    with pytest.raises(DataError, match="fold 1: expected the instance_settings of fold 0"):
        pool_folds(classified)
    with pytest.raises(DataError, match="expected the instance_mode of fold 0"):
        pool_folds([*classified[::2], plain[1]])


def test_one_leaky_fold_marks_the_pool(folds: list[Fold]) -> None:
    assert not pool_folds(folds).leaky
    assert pool_folds([*folds[:2], make_fold(2, leaky=True)]).leaky


def test_scene_in_two_folds_raises(folds: list[Fold]) -> None:
    tiles = scored_tiles("b")
    tiles.names[0] = "b.9"
    other = replace(folds[0], tiles=tiles.selected([0]))
    with pytest.raises(DataError, match="every scene in one fold's test part, but found in several: b"):
        pool_folds([other, *folds[1:]])


def test_tile_in_two_folds_raises_even_where_leaky() -> None:
    first = make_fold(0, leaky=True)
    with pytest.raises(DataError, match=r"every tile in one fold's test part, but found in several: a\.0"):
        pool_folds([first, replace(first, number=1, description=description(1))])


def test_scene_in_two_leaky_folds_is_pooled() -> None:
    whole = scored_tiles("ff")
    halves = [whole.selected([0]), whole.selected([1, 2])]
    first, second = (replace(make_fold(i, leaky=True), tiles=tiles) for i, tiles in enumerate(halves))
    pooled = pool_folds([second, first])
    assert pooled.leaky
    assert pooled.tiles.scores() == same(scored_tiles("f").scores())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": list("abcdefg")}, "fold 2: expected the class_names of fold 0"),
        ({"instance_settings": {"mode": "object"}}, "fold 2: expected the instance_settings of fold 0"),
    ],
)
def test_folds_scored_otherwise_raise(folds: list[Fold], changes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        pool_folds([*folds[:2], make_fold(2, **changes)])


def test_folds_evaluated_with_other_overrides_raise(folds: list[Fold]) -> None:
    with pytest.raises(DataError, match=r"fold 1: expected the evaluation's overrides of fold 0 \(scored\.json\)"):
        pool_folds([folds[0], replace(folds[1], overrides={"tta": "True"})])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": {"init_filters": 16}}, "expected the network of fold 0"),
        ({"context": {"margin_px": 16, "tile_columns": {"0": 9}}}, "expected the context of fold 0"),
        ({"plan": description(1, seed=5)["plan"]}, "expected the seed of fold 0"),
        ({"plan": description(2)["plan"]}, "fold_1: expected weights trained with --split#fold 1"),
        ({"plan": {**description(1)["plan"], "scene_levels": {"a": 7.0}}}, "was trained on other tiles than fold 0"),
        ({"plan": {**description(1)["plan"], "test": [{"image": "new.tif"}]}}, "other tiles than fold 0"),
    ],
)
def test_folds_trained_otherwise_raise(folds: list[Fold], change: dict, message: str) -> None:
    other = replace(folds[1], description={**folds[1].description, **change})
    with pytest.raises(DataError, match=message):
        pool_folds([folds[0], other])


def test_read_folds_takes_the_files_of_all_folds(tmp_path: Path, folds: list[Fold]) -> None:
    pooled = read_folds(write_folds(tmp_path))
    assert [fold.number for fold in pooled.folds] == [0, 1, 2]
    assert pooled.tiles.scores() == same(pool_folds(folds).tiles.scores())


def test_read_folds_without_any_raises(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected the folds of a cross-validation"):
        read_folds(tmp_path)


def test_read_folds_scored_by_other_weights_raises(tmp_path: Path) -> None:
    write_scores(tmp_path / "fold_0", 0, write_weights(tmp_path / "fold_0" / "models", 0))
    write_weights(tmp_path / "fold_0" / "models", 0, b"others")
    with pytest.raises(DataError, match=r"expected the test part scored by weights .* --score_only"):
        read_folds(tmp_path)
