"""Split of a data set into training, validation and test: balanced groups of scenes, rotated over the folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from seep_monai.classes import N_CLASSES
from seep_monai.dataset.audit import Tile
from seep_monai.dataset.pairs import DEFAULT_SCENE_PATTERN
from seep_monai.errors import ConfigError, DataError

SplitBy = Literal["scene", "tile"]

# Choice: one fifth for validation if there is no test part, as is common.
_N_GROUPS_WITHOUT_FOLDS = 5
# Choice: with 14 scenes, the best of 2,000 random groupings is within a few per cent of the best of 100,000.
_N_TRIALS = 2000
# Choice: from this number on 1/20 of the trials, because a random grouping of so many units is nearly even.
_MANY_UNITS = 200


@dataclass(frozen=True)
class SplitSettings:
    """Settings of the split.

    Attributes:
        split_by: `scene` keeps each scene in one part; `tile` leaks between neighbours and needs `allow_leak`.
        n_folds: 1 for training and validation only. From 3 on, fold f tests on group f and validates on the next one.
        fold: the fold to use, 0 .. n_folds - 1.
        seed: seed of the grouping.
        allow_leak: whether a scene may be in several parts.
        scene_pattern: see `find_pairs`.
        split_file: path of a decathlon list to use instead, or None.
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
        for name in ("n_folds", "fold", "seed"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ConfigError(f"{name}: expected a whole number of at least 0, but got {value!r}.")
        if self.n_folds != 1 and self.n_folds < 3:
            raise ConfigError(
                f"n_folds: expected 1 (training and validation) or at least 3 (with a test part), but got "
                f"{self.n_folds}."
            )
        if self.fold >= self.n_folds:
            raise ConfigError(f"fold: expected 0..{self.n_folds - 1} for n_folds {self.n_folds}, but got {self.fold}.")
        if self.split_by == "tile" and not self.allow_leak:
            raise ConfigError(
                "split_by: tile puts neighbouring tiles of a scene into training and validation, so scores are too "
                "high. Use --split#split_by scene, or accept the leak with --split#allow_leak True."
            )


def split_tiles(tiles: Sequence[Tile], settings: SplitSettings) -> dict[str, tuple[Tile, ...]]:
    """The tiles of `training`, `validation` and `test` (empty without folds), each sorted by name.

    Raises:
        DataError: if there are too few scenes, or the scenes seem not to be in the names.
    """
    units = [tile.scene if settings.split_by == "scene" else tile.name for tile in tiles]
    if settings.split_by == "scene":
        _check_scenes(units)
    names = sorted(set(units))
    n_groups = settings.n_folds if settings.n_folds > 1 else max(2, min(_N_GROUPS_WITHOUT_FOLDS, len(names)))
    if len(names) < n_groups:
        raise DataError(
            f"n_folds {settings.n_folds} needs at least {n_groups} {settings.split_by}s, but the data set has "
            f"{len(names)}. Use fewer folds (--split#n_folds 1 has no test part) or give more data."
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
        counts: (n_units, n_columns), content of each unit. Every column is spread evenly over the groups.
        n_groups: number of groups, at most n_units.
        seed: seed of the trials.

    Returns:
        (n_units,) int, the group of each unit. Group sizes differ by at most one unit.
    """
    rng = np.random.default_rng(seed)
    even = np.arange(len(counts)) % n_groups
    n_trials = _N_TRIALS if len(counts) < _MANY_UNITS else _N_TRIALS // 20
    trials = (rng.permutation(even) for _ in range(n_trials))
    best = min(trials, key=lambda groups: _cost(groups, counts, n_groups))
    if _cost(best, counts, n_groups)[0] == 0:
        return best
    # Random grouping seldom spreads several classes that occur in hardly more units than there are groups.
    starts = [best, *(rng.permutation(even) for _ in range(n_trials // 100))]
    return min(
        (_with_absent_filled(groups, counts, n_groups) for groups in starts),
        key=lambda groups: _cost(groups, counts, n_groups),
    )


def _cost(groups: np.ndarray, counts: np.ndarray, n_groups: int) -> tuple[int, float]:
    """Number of avoidable absences of a column from a group, then mean squared deviation from even shares."""
    sums = np.eye(n_groups)[groups].T @ counts
    possible = np.minimum((counts > 0).sum(axis=0), n_groups)
    totals = np.maximum(counts.sum(axis=0), 1)
    n_absent = int((possible - np.count_nonzero(sums, axis=0)).sum())
    return n_absent, float(np.square(sums / totals * n_groups - 1).mean())


def _with_absent_filled(groups: np.ndarray, counts: np.ndarray, n_groups: int) -> np.ndarray:
    """The groups after greedy swaps of two units, each of which brings an absent column into a group."""
    cost = _cost(groups, counts, n_groups)
    while cost[0] > 0:
        sums = np.eye(n_groups)[groups].T @ counts
        swaps = {
            (int(giver), int(taker))
            for group, column in np.argwhere(sums == 0)
            for giver in np.flatnonzero(counts[:, column])
            for taker in np.flatnonzero(groups == group)
        }
        candidates = [_swapped(groups, *swap) for swap in sorted(swaps)]
        costs = [_cost(candidate, counts, n_groups) for candidate in candidates]
        if not costs or min(costs) >= cost:
            break
        cost = min(costs)
        groups = candidates[costs.index(cost)]
    return groups


def _swapped(groups: np.ndarray, first: int, second: int) -> np.ndarray:
    result = groups.copy()
    result[[first, second]] = groups[[second, first]]
    return result


def _part_of(group: int, *, n_groups: int, settings: SplitSettings) -> str:
    """The part of a group: fold 1 of 4 tests on group 1, validates on 2, trains on 3 and 0. One fold validates on 0."""
    if settings.n_folds == 1:
        return "validation" if group == 0 else "training"
    if group == settings.fold:
        return "test"
    return "validation" if group == (settings.fold + 1) % n_groups else "training"


def _tiles_per_class(tiles: Sequence[Tile], units: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """(n_names, 8): number of tiles of each unit, then of its tiles with each class 1..7."""
    row_of = {name: row for row, name in enumerate(names)}
    counts = np.zeros((len(names), N_CLASSES))
    for tile, unit in zip(tiles, units, strict=True):
        counts[row_of[unit], 0] += 1
        counts[row_of[unit], 1:] += np.array(tile.class_pixels[1:]) > 0
    return counts


def _check_scenes(scenes: Sequence[str]) -> None:
    names, n_tiles = np.unique(np.array(scenes), return_counts=True)
    remedy = (
        "Check --scene_pattern, give a --split#split_file, or accept a leak: --split#split_by tile "
        "--split#allow_leak True."
    )
    if len(names) == 1:
        raise DataError(
            f"split_by scene needs at least two scenes, but all {len(scenes)} tiles are of scene {names[0]}. {remedy}"
        )
    n_single = int((n_tiles == 1).sum())
    if 2 * n_single > len(names):
        raise DataError(
            f"split_by scene needs scenes with several tiles, but {n_single} of {len(names)} scenes have only one. "
            f"The file names may not begin with the scene. {remedy}"
        )
