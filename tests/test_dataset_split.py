"""Tests of `seep_monai.dataset.split`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seep_monai.dataset.audit import Tile
from seep_monai.dataset.split import SplitSettings, balanced_groups, split_tiles
from seep_monai.errors import ConfigError, DataError

PARTS = ("training", "validation", "test")


def tiles_of(n_tiles: list[int], classes: dict[int, set[int]] | None = None) -> list[Tile]:
    """Scene i has n_tiles[i] tiles; all of them hold class k if i is in classes[k]."""
    classes = classes or {}
    return [
        Tile(
            name=f"{scene:02}.{number:03}",
            scene=f"{scene:02}",
            image=Path(),
            mask=Path(),
            shape=(8, 8),
            class_pixels=(50, *(int(scene in classes.get(k, ())) for k in range(1, 8))),
            class_instances=(0,) * 7,
        )
        for scene, n in enumerate(n_tiles)
        for number in range(n)
    ]


def names_of(parts: dict[str, tuple[Tile, ...]]) -> dict[str, list[str]]:
    return {part: [tile.name for tile in tiles] for part, tiles in parts.items()}


def scenes_of(tiles: tuple[Tile, ...]) -> set[str]:
    return {tile.scene for tile in tiles}


def test_split_tiles_same_seed_same_parts() -> None:
    tiles = tiles_of([3] * 12)
    assert names_of(split_tiles(tiles, SplitSettings(seed=3))) == names_of(split_tiles(tiles, SplitSettings(seed=3)))


def test_split_tiles_other_seed_other_parts() -> None:
    tiles = tiles_of([3] * 12)
    found = {str(names_of(split_tiles(tiles, SplitSettings(seed=seed)))) for seed in range(4)}
    assert len(found) == 4


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(2, 9), min_size=5, max_size=12), st.integers(0, 4), st.integers(0, 99))
def test_split_tiles_any_scenes_each_in_one_part_and_no_tile_lost(n_tiles: list[int], fold: int, seed: int) -> None:
    tiles = tiles_of(n_tiles)
    parts = split_tiles(tiles, SplitSettings(fold=fold, seed=seed))
    assert sorted(tile.name for members in parts.values() for tile in members) == [tile.name for tile in tiles]
    assert sum(len(scenes_of(members)) for members in parts.values()) == len(n_tiles)
    assert all(parts[part] for part in PARTS)


def test_split_tiles_all_folds_test_every_scene_once() -> None:
    tiles = tiles_of([4, 2, 3, 5, 2, 2, 3, 2])
    tested = [scenes_of(split_tiles(tiles, SplitSettings(n_folds=4, fold=fold))["test"]) for fold in range(4)]
    assert sorted(scene for scenes in tested for scene in scenes) == [f"{scene:02}" for scene in range(8)]


def test_split_tiles_fold_validates_on_the_next_folds_test_part() -> None:
    tiles = tiles_of([3] * 9)
    folds = [names_of(split_tiles(tiles, SplitSettings(n_folds=4, fold=fold))) for fold in range(4)]
    assert [fold["validation"] for fold in folds] == [folds[(i + 1) % 4]["test"] for i in range(4)]


def test_split_tiles_parts_keep_the_order_of_names() -> None:
    for members in names_of(split_tiles(tiles_of([3] * 10), SplitSettings())).values():
        assert members == sorted(members)


def test_split_tiles_rare_classes_in_every_part_where_scenes_allow_it() -> None:
    # Each class is in five scenes, so that each of the five groups must get exactly one of them.
    classes = {5: {0, 1, 2, 3, 4}, 6: {4, 5, 6, 7, 8}, 7: {8, 9, 10, 11, 0}}
    for seed in range(5):
        parts = split_tiles(tiles_of([4] * 14, classes), SplitSettings(seed=seed))
        for k in (5, 6, 7):
            assert all(any(tile.class_pixels[k] for tile in parts[part]) for part in PARTS)


def test_split_tiles_one_fold_a_fifth_validates_and_none_tests() -> None:
    parts = split_tiles(tiles_of([4] * 10), SplitSettings(n_folds=1))
    assert {part: len(scenes_of(members)) for part, members in parts.items()} == {
        "training": 8,
        "validation": 2,
        "test": 0,
    }


def test_split_tiles_one_fold_two_scenes_one_each() -> None:
    parts = split_tiles(tiles_of([4, 4]), SplitSettings(n_folds=1))
    assert [len(parts[part]) for part in PARTS] == [4, 4, 0]


def test_split_tiles_by_tile_divides_within_scenes() -> None:
    parts = split_tiles(tiles_of([20]), SplitSettings(split_by="tile", allow_leak=True))
    assert [len(parts[part]) for part in PARTS] == [12, 4, 4]


def test_split_tiles_one_scene_refused_with_remedies() -> None:
    with pytest.raises(DataError, match="all 6 tiles are of scene 00") as caught:
        split_tiles(tiles_of([6]), SplitSettings())
    for remedy in ("--scene_pattern", "--split#split_file", "--split#split_by tile --split#allow_leak True"):
        assert remedy in str(caught.value)


def test_split_tiles_more_than_half_of_scenes_with_one_tile_refused() -> None:
    with pytest.raises(DataError, match=r"4 of 7 scenes have only one\. .*--scene_pattern"):
        split_tiles(tiles_of([1, 1, 1, 1, 5, 5, 5]), SplitSettings(n_folds=3))


def test_split_tiles_half_of_scenes_with_one_tile_accepted() -> None:
    assert all(split_tiles(tiles_of([1, 1, 1, 5, 5, 5]), SplitSettings(n_folds=3)).values())


def test_split_tiles_fewer_scenes_than_folds_refused() -> None:
    with pytest.raises(DataError, match="n_folds 5 needs at least 5 scenes, but the data set has 4"):
        split_tiles(tiles_of([3] * 4), SplitSettings())


def test_split_tiles_one_tile_refused_instead_of_an_empty_training_part() -> None:
    with pytest.raises(DataError, match="n_folds 1 needs at least 2 tiles, but the data set has 1"):
        split_tiles(tiles_of([1]), SplitSettings(n_folds=1, split_by="tile", allow_leak=True))


@pytest.mark.parametrize("n_folds", [2, 0, -1, 5.0, "5", True, None])
def test_split_settings_n_folds_other_than_one_or_three_up_refused(n_folds: object) -> None:
    with pytest.raises(ConfigError, match="n_folds: expected"):
        SplitSettings(n_folds=n_folds)  # type: ignore[arg-type]


@pytest.mark.parametrize("fold", [5, -1, 1.0, "1"])
def test_split_settings_fold_out_of_range_refused(fold: object) -> None:
    with pytest.raises(ConfigError, match="fold: expected"):
        SplitSettings(fold=fold)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 0.5, "a"])
def test_split_settings_bad_seed_refused(seed: object) -> None:
    with pytest.raises(ConfigError, match="seed: expected a whole number"):
        SplitSettings(seed=seed)  # type: ignore[arg-type]


def test_split_settings_by_tile_without_allow_leak_refused() -> None:
    with pytest.raises(ConfigError, match="--split#allow_leak True"):
        SplitSettings(split_by="tile")


def test_split_settings_unknown_split_by_refused() -> None:
    with pytest.raises(ConfigError, match=r"split_by: expected one of \['scene', 'tile'\], but got 'random'"):
        SplitSettings(split_by="random")  # type: ignore[arg-type]


@settings(max_examples=12, deadline=None)
@given(st.integers(3, 20), st.integers(2, 5), st.integers(0, 99))
def test_balanced_groups_any_units_group_sizes_within_one(n_units: int, n_groups: int, seed: int) -> None:
    n_groups = min(n_groups, n_units)
    counts = np.random.default_rng(seed).integers(0, 9, (n_units, 4))
    sizes = np.bincount(balanced_groups(counts, n_groups=n_groups, seed=seed), minlength=n_groups)
    assert len(sizes) == n_groups
    assert sizes.max() - sizes.min() <= 1


def test_balanced_groups_pairs_that_even_out_are_found() -> None:
    # 10 + 1, 8 + 3 and 6 + 5 are the only pairs that give three equal groups of 11.
    groups = balanced_groups(np.array([[10], [8], [6], [5], [3], [1]]), n_groups=3, seed=0)
    assert groups[0] == groups[5]
    assert groups[1] == groups[4]
    assert groups[2] == groups[3]


@pytest.mark.parametrize("n_units", [15, 220])
def test_balanced_groups_many_rare_columns_all_spread_where_a_hidden_grouping_does(n_units: int) -> None:
    rng = np.random.default_rng(8)
    for _ in range(3):
        hidden = rng.permutation(np.arange(n_units) % 5)
        counts = np.zeros((n_units, 7))
        for column in range(7):
            counts[[rng.choice(np.flatnonzero(hidden == group)) for group in range(5)], column] = 1
        groups = balanced_groups(counts, n_groups=5, seed=0)
        # Each column stands in exactly five units, so spread means one in each group.
        assert all(sorted(groups[counts[:, column] > 0]) == [0, 1, 2, 3, 4] for column in range(7))


def test_balanced_groups_column_in_fewer_units_than_groups_in_different_groups() -> None:
    counts = np.ones((12, 2))
    counts[:, 1] = 0
    counts[[3, 9, 11], 1] = 1
    assert len(set(balanced_groups(counts, n_groups=5, seed=1)[[3, 9, 11]])) == 3
