"""Counts per class, class weights and tile weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from seep_monai.classes import N_CLASSES, N_SEEP_CLASSES, SEEP_LABELS
from seep_monai.dataset.audit import Tile
from seep_monai.errors import ConfigError

WeightRule = Literal["none", "inverse_sqrt", "effective_number"]
CountUnit = Literal["pixels", "tiles", "instances"]

# Source: Cui et al. 2019, "Class-balanced loss based on effective number of samples", eq. 2; 0.999 is one of their
# values.
_EFFECTIVE_NUMBER_BETA = 0.999


@dataclass(frozen=True)
class ClassCounts:
    """Counts of a set of tiles.

    Attributes:
        n_tiles: number of tiles.
        n_scenes: number of scenes.
        pixels: valid pixels of labels 0..7.
        tiles: tiles that contain labels 0..7.
        instances: 8-connected components of labels 1..7 (entry 0, the background, is 0).
    """

    n_tiles: int
    n_scenes: int
    pixels: tuple[int, ...]
    tiles: tuple[int, ...]
    instances: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """A dictionary that can be written to JSON, with one dictionary per unit, keyed by mask value."""
        per_class = {
            unit: {str(label): getattr(self, unit)[label] for label in range(N_CLASSES)} for unit in get_args(CountUnit)
        }
        return {"n_tiles": self.n_tiles, "n_scenes": self.n_scenes, **per_class}


def count_classes(tiles: Iterable[Tile]) -> ClassCounts:
    """The sums over the tiles."""
    members = list(tiles)
    pixels = np.array([tile.class_pixels for tile in members], dtype=np.int64).reshape(-1, N_CLASSES)
    instances = np.array([tile.class_instances for tile in members], dtype=np.int64).reshape(-1, N_SEEP_CLASSES)
    return ClassCounts(
        n_tiles=len(members),
        n_scenes=len({tile.scene for tile in members}),
        pixels=tuple(pixels.sum(axis=0).tolist()),
        tiles=tuple((pixels > 0).sum(axis=0).tolist()),
        instances=(0, *instances.sum(axis=0).tolist()),
    )


def class_weights(
    rule: WeightRule | Sequence[float], counts: ClassCounts, *, by: CountUnit = "instances"
) -> tuple[float, ...]:
    """Weights of the labels 1..7, with mean 1 over the classes that occur (given numbers are not changed).

    Args:
        rule: `none` (all 1), `inverse_sqrt` (1 / sqrt(n)), `effective_number` ((1 - b) / (1 - b^n)), or seven numbers.
        counts: counts of the training part.
        by: unit of n. With pixels `effective_number` is constant, because it saturates at a few thousand.

    Returns:
        Seven floats. Except for `none`, a class that does not occur gets 0.

    Raises:
        ConfigError: if the rule or unit is unknown, there are not seven numbers, or one is negative or not finite.
    """
    check_rule(rule, by)
    if not isinstance(rule, str):
        return _given_weights(rule)
    if rule == "none":
        return (1.0,) * N_SEEP_CLASSES
    n = np.array([getattr(counts, by)[label] for label in SEEP_LABELS], dtype=np.float64)
    present = n > 0
    raw = np.zeros(N_SEEP_CLASSES)
    if rule == "inverse_sqrt":
        raw[present] = 1 / np.sqrt(n[present])
    else:
        raw[present] = (1 - _EFFECTIVE_NUMBER_BETA) / (1 - _EFFECTIVE_NUMBER_BETA ** n[present])
    if present.any():
        raw /= raw[present].mean()
    return tuple(raw.tolist())


def check_rule(rule: object, by: object) -> None:
    """Raise a ConfigError for a rule or unit that `class_weights` does not know."""
    if not isinstance(rule, str):
        _given_weights(rule)  # type: ignore[arg-type]
    elif rule not in get_args(WeightRule) or by not in get_args(CountUnit):
        raise ConfigError(
            f"class_weights: expected one of {list(get_args(WeightRule))} or seven numbers, counted by one of "
            f"{list(get_args(CountUnit))}, but got {rule!r} by {by!r}."
        )


def rarity_weights(tiles: Sequence[Tile]) -> tuple[float, ...]:
    """Sampling weight of each tile: 1 / sqrt(n), where n is the number of tiles with the rarest class in the tile.

    A tile without seep gets the smallest weight of the tiles with seep. All weights are 1 if no tile has seep.
    """
    holds = np.array([tile.class_pixels for tile in tiles], dtype=np.int64).reshape(-1, N_CLASSES)[:, 1:] > 0
    n_tiles = holds.sum(axis=0)
    weights = np.where(holds, 1 / np.sqrt(np.maximum(n_tiles, 1)), 0.0).max(axis=1)
    weights[weights == 0] = weights[weights > 0].min(initial=1.0)
    return tuple(weights.tolist())


def _given_weights(numbers: Sequence[float]) -> tuple[float, ...]:
    try:
        values = tuple(float(number) for number in numbers)
    except (TypeError, ValueError):
        values = ()
    if len(values) != N_SEEP_CLASSES or not np.isfinite(values).all() or min(values) < 0:
        raise ConfigError(
            f"class_weights: expected one of {list(get_args(WeightRule))} or {N_SEEP_CLASSES} finite numbers of at "
            f"least 0, one per mask value 1..{N_SEEP_CLASSES}, but got {numbers!r}."
        )
    return values
