"""Reading the folds of a cross-validation and pooling their test parts into one set of scored tiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seep_monai.checkpoints import MODEL_FILE, read_description
from seep_monai.crossval.runs import PART, fold_dir, fold_numbers, scored_overrides
from seep_monai.errors import DataError, listed
from seep_monai.metrics.scored_tiles import ScoredTiles
from seep_monai.report.scored_tiles_file import SCORED_TILES_FILE, read_origin, read_scored_tiles

# Keys that must be equal in all folds. An exception are the thresholds of the class map in mode `classified`, because
# each fold has its own object classifier and thresholds.
_SHARED_ORIGIN = ("class_names", "unit", "instance_mode", "instance_settings")
_FITTED = {"classified": ("high", "low")}
_SHARED_DESCRIPTION = ("network", "normalisation_version", "band")


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold's test part.

    Attributes:
        number: number of the fold, from 0.
        tiles: the records of its tiles.
        origin: origin of the records, see `report.scored_tiles_file`.
        description: the content of its `model.json`.
        overrides: overrides of its evaluation; None if it was run by hand.
    """

    number: int
    tiles: ScoredTiles
    origin: Mapping[str, Any]
    description: Mapping[str, Any]
    overrides: Mapping[str, str] | None = None


@dataclass(frozen=True, eq=False)
class PooledFolds:
    """The test parts of all folds as one set.

    Attributes:
        folds: the scored folds, ascending.
        tiles: all their tiles, sorted by scene and name, with image ids 0, 1, ..
    """

    folds: tuple[Fold, ...]
    tiles: ScoredTiles

    @property
    def leaky(self) -> bool:
        """Whether any fold was scored on scenes that it was trained on."""
        return any(fold.origin["leaky"] for fold in self.folds)

    @property
    def class_names(self) -> list[str]:
        """Names of the labels 1..7."""
        return list(self.folds[0].origin["class_names"])

    @property
    def split(self) -> dict[str, Any]:
        """The `SplitSettings` of all folds, without the fold number."""
        return {key: value for key, value in _split(self.folds[0]).items() if key != "fold"}

    @property
    def missing_folds(self) -> list[int]:
        """Folds that were not scored. Empty with split files, because then the number of folds is unknown."""
        if self.split["split_file"] is not None:
            return []
        return sorted(set(range(self.split["n_folds"])) - {fold.number for fold in self.folds})


def read_folds(folder: Path) -> PooledFolds:
    """All folds of the folder that have weights, pooled.

    Raises:
        DataError: if there are none, one was not scored with its weights, or they cannot be pooled (see `pool_folds`).
    """
    numbers = [n for n in fold_numbers(folder) if (fold_dir(folder, n) / "models" / MODEL_FILE).is_file()]
    if not numbers:
        raise DataError(
            f"{folder}: expected the folds of a cross-validation (fold_0/models, fold_0/eval, ..), but found none. "
            "Correct the path, or run seep-monai crossval first."
        )
    return pool_folds([_read_fold(fold_dir(folder, number), number) for number in numbers])


def pool_folds(folds: Sequence[Fold]) -> PooledFolds:
    """The folds as one set.

    Args:
        folds: at least one fold, all of the same split of one data set.

    Raises:
        DataError: if data set, split, class names, instance settings, networks or overrides differ, or if a tile (or,
            without leak, a scene) is in two test parts.
    """
    for fold in folds:
        _check_same(folds[0], fold)
        _check_division(folds[0], fold)
    _check_disjoint(folds)
    joined = ScoredTiles()
    for fold in folds:
        joined.extend(fold.tiles)
    order = sorted(range(len(joined.names)), key=lambda i: (joined.scenes[i], joined.names[i]))
    return PooledFolds(tuple(folds), joined.selected(order))


def _read_fold(place: Path, number: int) -> Fold:
    description = read_description(place / "models")
    path = place / "eval" / SCORED_TILES_FILE
    origin = read_origin(path)
    if origin["weights_sha256"] != description["sha256"] or origin["part"] != PART:
        raise DataError(
            f"{path}: expected the {PART} part scored by weights {description['sha256'][:12]}..., but got the "
            f"{origin['part']} part by {str(origin['weights_sha256'])[:12]}.... Evaluate again with --score_only."
        )
    return Fold(number, read_scored_tiles(path), origin, description, scored_overrides(place))


def shared_origin(origin: Mapping[str, Any]) -> dict[str, Any]:
    """The origin of a fold without the settings that differ between folds."""
    own = _FITTED.get(origin["instance_mode"], ())
    kept = {key: value for key, value in origin["instance_settings"].items() if key not in own}
    return {**origin, "instance_settings": kept}


def _shared_settings(fold: Fold) -> dict[tuple[str, str], Any]:
    """What must be equal in all folds, by its name and the file that holds it."""
    origin, description = shared_origin(fold.origin), fold.description
    # Settings of the fit of the object classifier; None if it was not used.
    objects = description.get("objects") if origin["instance_mode"] == "classified" else None
    return {
        **{(key, "origin"): origin[key] for key in _SHARED_ORIGIN},
        **{(key, "model.json"): description[key] for key in _SHARED_DESCRIPTION},
        ("context", "model.json"): description.get("context"),
        ("classifier", "model.json"): {"tta": objects.get("tta")} if objects else None,
        ("evaluation's overrides", "scored.json"): fold.overrides,
        **{(key, "plan settings in model.json"): value for key, value in _split(fold).items() if key != "fold"},
    }


def _check_same(first: Fold, fold: Fold) -> None:
    expected, found = _shared_settings(first), _shared_settings(fold)
    for (key, source), one in expected.items():
        if one != found[key, source]:
            raise DataError(
                f"fold {fold.number}: expected the {key} of fold {first.number} ({source}), {one!r}, but got "
                f"{found[key, source]!r}. Train and score all folds with the same settings."
            )


def _check_division(first: Fold, fold: Fold) -> None:
    """Raise a DataError unless a fold has the number of its folder, and the data of the first fold."""
    split = _split(fold)
    if split["split_file"] is None and split["fold"] != fold.number:
        raise DataError(
            f"fold_{fold.number}: expected weights trained with --split#fold {fold.number}, but model.json says "
            f"fold {split['fold']}. Put each fold into its own folder."
        )
    plans = first.description["plan"], fold.description["plan"]
    if plans[0]["scene_levels"] != plans[1]["scene_levels"] or _images(plans[0]) != _images(plans[1]):
        raise DataError(
            f"fold {fold.number}: was trained on other tiles than fold {first.number}. Train all folds on one data set."
        )


def _check_disjoint(folds: Sequence[Fold]) -> None:
    tiles = Counter(name for fold in folds for name in fold.tiles.names)
    scenes = Counter(scene for fold in folds for scene in set(fold.tiles.scenes))
    twice = sorted(name for name, n in tiles.items() if n > 1)
    if twice:
        raise DataError(f"expected every tile in one fold's test part, but found in several: {listed(twice)}.")
    shared = sorted(scene for scene, n in scenes.items() if n > 1)
    # With a leaky split by tile every scene is in all folds. Its scores are marked as leaky.
    if shared and not all(fold.origin["leaky"] for fold in folds):
        raise DataError(
            f"expected every scene in one fold's test part, but found in several: {listed(shared)}. Train all folds "
            "with the same data, seed and number of folds."
        )


def _split(fold: Fold) -> dict[str, Any]:
    return dict(fold.description["plan"]["settings"])


def _images(plan: Mapping[str, Any]) -> list[str]:
    return sorted(entry["image"] for part in ("training", "validation", "test") for entry in plan[part])
