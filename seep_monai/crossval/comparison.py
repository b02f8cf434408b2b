"""Paired comparison of two cross-validations on the same scenes.

Scores vary more between scenes than between two models on one scene. The intervals of two runs may therefore overlap
although one run is better on nearly every scene. For this reason each bootstrap sample draws the same scenes for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seep_monai.crossval.pooling import PooledFolds, read_folds
from seep_monai.crossval.settings import read_settings
from seep_monai.crossval.summary import (
    CLASS_KEYS,
    HEADLINE_KEYS,
    SCENE_KEYS,
    scene_scores,
    scores_at,
    summarise_settings,
)
from seep_monai.crossval.text import comparison_text
from seep_monai.errors import DataError, listed
from seep_monai.files import write_json, write_text
from seep_monai.metrics.records import RowKind
from seep_monai.metrics.scored_tiles import ScoredTiles
from seep_monai.report.summary import place, scene_intervals

COMPARISON_FILE = "comparison.json"
COMPARISON_TEXT_FILE = "comparison.md"


def write_comparison(first_dir: Path, second_dir: Path, output_dir: Path) -> str:
    """Compare two cross-validations, and write `comparison.json` and `comparison.md` to an existing folder.

    Returns:
        The text of `comparison.md`.

    Raises:
        DataError: if folds are missing or cannot be pooled, or the two cannot be compared.
    """
    runs = [read_folds(folder) for folder in (first_dir, second_dir)]
    comparison = compare_folds(*runs)
    for name, folder, run in zip(("first", "second"), (first_dir, second_dir), runs, strict=True):
        comparison[name] = {
            "folder": str(folder),
            "leaky": run.leaky,
            "weights_sha256": {str(fold.number): fold.origin["weights_sha256"] for fold in run.folds},
            "settings": summarise_settings(run, read_settings(folder)),
        }
    comparison["settings_differ"] = different_keys(comparison["first"]["settings"], comparison["second"]["settings"])
    text = comparison_text(comparison)
    write_json(output_dir / COMPARISON_FILE, comparison)
    write_text(output_dir / COMPARISON_TEXT_FILE, text)
    return text


def compare_folds(first: PooledFolds, second: PooledFolds) -> dict[str, Any]:
    """The differences first - second, as a dictionary that can be written to JSON. Undefined values are None.

    Returns:
        `n_tiles`, `n_scenes`, `class_names`; `figures.<key>` with `first`, `second`, `difference` and its `ci95` over
        scenes, for the headline scores and those of each class; `scenes.<scene>` with `n_tiles`, and `first`, `second`
        and `differences`, each by key.

    Raises:
        DataError: if class names, tiles, their scenes or the ground truth differ.
    """
    if first.class_names != second.class_names:
        raise DataError(
            f"comparison: expected the same class names, but got {first.class_names} and {second.class_names}."
        )
    check_same_truth(first.tiles, second.tiles)
    keys = (*HEADLINE_KEYS, *CLASS_KEYS)
    values = scores_at(keys, first.tiles), scores_at(keys, second.tiles)
    intervals = {place(key): value for key, value in scene_intervals(first.tiles, minus=second.tiles).items()}
    one, other = scene_scores(first), scene_scores(second)
    return {
        "n_tiles": len(first.tiles.names),
        "n_scenes": len(one),
        "class_names": first.class_names,
        "figures": {key: _pair(values[0][key], values[1][key]) | {"ci95": intervals[key]} for key in keys},
        "scenes": {scene: _scene_pair(entry, other[scene]) for scene, entry in one.items()},
    }


def check_same_truth(first: ScoredTiles, second: ScoredTiles) -> None:
    """Raise a DataError unless both have the same tiles, scenes and ground truth. Both are sorted by scene and name."""
    scenes = [dict(zip(tiles.names, tiles.scenes, strict=True)) for tiles in (first, second)]
    single = sorted(scenes[0].keys() ^ scenes[1].keys())
    if single:
        raise DataError(
            f"comparison: expected two runs on the same tiles, but {len(single)} are in one only: {listed(single)}. "
            "Compare complete runs on one data set."
        )
    moved = [name for name, scene in scenes[0].items() if scenes[1][name] != scene]
    if moved:
        raise DataError(
            f"comparison: expected the same scene of each tile, but it differs in {len(moved)} tiles: {listed(moved)}. "
            "Score both runs with the same --scene_pattern."
        )
    changed = [name for i, name in enumerate(first.names) if not _same_truth(first, second, i)]
    if changed:
        raise DataError(
            f"comparison: expected the same truth in both runs, but it differs in {len(changed)} tiles: "
            f"{listed(changed)}. Score both runs on the same masks (--score_only)."
        )


def different_keys(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Dotted keys at which two dictionaries differ, sorted.

    >>> different_keys({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 4, "d": 3}})
    ['b.c']
    """
    places = []
    for key in sorted(first.keys() | second.keys()):
        one, other = first.get(key), second.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            places += [f"{key}.{inner}" for inner in different_keys(one, other)]
        elif one != other:
            places.append(key)
    return places


def _same_truth(first: ScoredTiles, second: ScoredTiles, position: int) -> bool:
    """Compares the true pixels of each class, and class and area of each true instance."""
    pixels = [tiles.pixels[position].sum(axis=1) for tiles in (first, second)]
    rows = [tiles.instances[position] for tiles in (first, second)]
    truths = [side[side["kind"] == RowKind.TRUTH][["group", "area_px"]].tolist() for side in rows]
    return np.array_equal(*pixels) and truths[0] == truths[1]


def _pair(one: float | None, other: float | None) -> dict[str, float | None]:
    difference = None if one is None or other is None else one - other
    return {"first": one, "second": other, "difference": difference}


def _scene_pair(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    pairs = {key: _pair(one["scores"][key], other["scores"][key]) for key in SCENE_KEYS}
    return {
        "n_tiles": one["n_tiles"],
        "first": one["scores"],
        "second": other["scores"],
        "differences": {key: pair["difference"] for key, pair in pairs.items()},
    }
