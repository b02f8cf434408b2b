"""Which scene goes to which part: balanced groups of scenes, rotated into folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from seep_monai.dataset.audit import Tile
from seep_monai.dataset.pairs import DEFAULT_SCENE_PATTERN
from seep_monai.errors import ConfigError, DataError

SplitBy = Literal["scene", "tile"]

# Choice: one fifth for validation where there is no test part, as most of the field does.
_N_GROUPS_WITHOUT_FOLDS = 5
# Choice: with 14 scenes the best of 2,000 random groupings is within a few per cent of the best of 100,000.
_N_TRIALS = 2000
# A part without a class that it could hold costs more than any imbalance of the shares.
_ABSENT_COST = 10.0


@dataclass(frozen=True)
class SplitSettings:
    """How tiles are divided.

    Attributes:
        split_by: `scene` keeps a scene in one part; `tile` leaks between neighbours and needs `allow_leak`.
        n_folds: 1 for training and validation alone; from 3 on, fold f tests on group f and validates on the next one.
        fold: the fold to use, 0 .. n_folds - 1.
        seed: seed of the grouping.
        allow_leak: whether scenes may stand in several parts.
        scene_pattern: see `find_pairs`.
        split_file: a decathlon list to use instead, or None.
    """

    split_by: SplitBy = "scene"
    n_folds: int = 5
    fold: int = 0
    seed: int = 0
    allow_leak: bool = False
    scene_pattern: str = DEFAULT_SCENE_PATTERN
    split_file: str | None = None

    def __post_init__(self) -> None:
        if self.split_by not in get_args(SplitBy):
            raise ConfigError(f"split_by: expected one of {list(get_args(SplitBy))}, but got {self.split_by!r}.")
        if self.n_folds != 1 and self.n_folds < 3:
            raise ConfigError(
                f"n_folds: expected 1 (training and validation) or at least 3 (a test part in turn), but got "
                f"{self.n_folds}."
            )
        if not 0 <= self.fold < self.n_folds:
            raise ConfigError(f"fold: expected 0..{self.n_folds - 1} for n_folds {self.n_folds}, but got {self.fold}.")
        if self.split_by == "tile" and not self.allow_leak:
            raise ConfigError(
                "split_by tile puts neighbouring tiles of one scene into training and validation, so its figures are "
                "too good. "
                "Use --split_by scene, or accept and mark it with --allow_leak True."
            )


def split_tiles(tiles: Sequence[Tile], settings: SplitSettings) -> dict[str, tuple[Tile, ...]]:
    """The tiles of `training`, `validation` and `test` (empty without folds), each in the order of names.

    Raises:
        DataError: if the scenes cannot be divided as asked.
    """
    units = [tile.scene if settings.split_by == "scene" else tile.name for tile in tiles]
    if settings.split_by == "scene":
        _check_scenes(units)
    names = sorted(set(units))
    n_groups = settings.n_folds if settings.n_folds > 1 else min(_N_GROUPS_WITHOUT_FOLDS, len(names))
    if len(names) < n_groups:
        raise DataError(
            f"n_folds {n_groups} needs at least {n_groups} {settings.split_by}s, but the data set has {len(names)}. "
            "Use fewer folds (--n_folds 1 has no test part)."
        )
    groups = balanced_groups(_tiles_per_class(tiles, units, names), n_groups=n_groups, seed=settings.seed)
    group_of = dict(zip(names, groups.tolist(), strict=True))
    parts: dict[str, list[Tile]] = {"training": [], "validation": [], "test": []}
    for tile, unit in zip(tiles, units, strict=True):
        parts[_part_of(group_of[unit], n_groups=n_groups, settings=settings)].append(tile)
    return {part: tuple(members) for part, members in parts.items()}


def balanced_groups(counts: np.ndarray, *, n_groups: int, seed: int) -> np.ndarray:
    """Groups of about equal content: the best of many random groupings.

    Args:
        counts: (n_units, n_columns), what each unit holds; every column is spread evenly over the groups.
        n_groups: number of groups, at most n_units.
        seed: seed of the trials; one seed gives one result.

    Returns:
        (n_units,) int, the group of each unit.
    """
    rng = np.random.default_rng(seed)
    n_units = len(counts)
    even = np.arange(n_units) % n_groups
    present = counts > 0
    possible = np.minimum(present.sum(axis=0), n_groups)
    totals = np.maximum(counts.sum(axis=0), 1)
    best, best_cost = even, np.inf
    for _ in range(_N_TRIALS if n_units < 200 else _N_TRIALS // 20):
        groups = rng.permutation(even)
        membership = np.eye(n_groups)[groups]
        sums = membership.T @ counts
        imbalance = float(np.square(sums / totals * n_groups - 1).mean())
        absent = float((possible - np.count_nonzero(sums, axis=0)).sum())
        cost = imbalance + _ABSENT_COST * absent
        if cost < best_cost:
            best, best_cost = groups, cost
    return best


def _part_of(group: int, *, n_groups: int, settings: SplitSettings) -> str:
    """Fold 1 of 4 tests on group 1, validates on group 2 and trains on 3 and 0; without folds group 0 validates."""
    if settings.n_folds == 1:
        return "validation" if group == 0 else "training"
    if group == settings.fold:
        return "test"
    return "validation" if group == (settings.fold + 1) % n_groups else "training"


def _tiles_per_class(tiles: Sequence[Tile], units: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """(n_names, 8): tiles of each unit, then its tiles with class 1..7."""
    row_of = {name: row for row, name in enumerate(names)}
    counts = np.zeros((len(names), 8))
    for tile, unit in zip(tiles, units, strict=True):
        counts[row_of[unit], 0] += 1
        counts[row_of[unit], 1:] += np.array(tile.class_pixels[1:]) > 0
    return counts


def _check_scenes(scenes: Sequence[str]) -> None:
    names, n_tiles = np.unique(np.array(scenes), return_counts=True)
    remedy = "Check --scene_pattern, give a --split_file, or accept a leak: --split_by tile --allow_leak True."
    if len(names) == 1:
        raise DataError(
            f"A split by scene needs at least two scenes, but all {len(scenes)} tiles are of scene {names[0]}. {remedy}"
        )
    n_single = int((n_tiles == 1).sum())
    if 2 * n_single > len(names):
        raise DataError(
            f"A split by scene needs scenes with several tiles, but {n_single} of {len(names)} scenes hold one tile "
            f"only: "
            f"the names may not begin with the scene. {remedy}"
        )
