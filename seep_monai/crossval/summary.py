"""The content of `cross_validation.json`: pooled scores, their spread over folds, scores by scene, and settings.

Pooled scores are computed from the records of all folds' test tiles as one set. The mean over folds differs from them,
because AP ranks all detections together and folds have different numbers of seeps.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seep_monai.classes import SEEP_LABELS
from seep_monai.crossval.pooling import Fold, PooledFolds, read_folds, shared_origin
from seep_monai.crossval.settings import read_settings
from seep_monai.crossval.text import summary_text
from seep_monai.files import write_json, write_text
from seep_monai.metrics.scored_tiles import ScoredTiles
from seep_monai.report.summary import place, summarised
from seep_monai.report.tables import HEADLINE_ROWS

SUMMARY_FILE = "cross_validation.json"
TEXT_FILE = "cross_validation.md"
HEADLINE_KEYS = tuple(key for _, key in HEADLINE_ROWS)
CLASS_KEYS = tuple(f"classes.{k}.{name}" for k in SEEP_LABELS for name in ("dice", "iou", "named", "AP50", "AP10_50"))
# Scores of single scenes: only seep / no seep, because most scenes lack some classes.
SCENE_KEYS = ("seep.dice", "seep.AP50")


def write_summary(folder: Path) -> str:
    """Pool the folds of the folder, and write `cross_validation.json` and `cross_validation.md` there.

    Returns:
        The text of `cross_validation.md`.

    Raises:
        DataError: if the folds are missing or cannot be pooled (see `read_folds`).
    """
    summary = summarise_folds(read_folds(folder), read_settings(folder))
    text = summary_text(summary)
    write_json(folder / SUMMARY_FILE, summary)
    write_text(folder / TEXT_FILE, text)
    return text


def summarise_folds(run: PooledFolds, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The summary of a cross-validation, as a dictionary that can be written to JSON. Undefined values are None.

    Args:
        run: the pooled folds.
        settings: settings of the cross-validation; None if the folds were trained by hand.

    Returns:
        `n_folds`, `folds_missing`, `n_tiles`, `n_scenes`, `leaky`, `class_names`;
        `pooled`: scores, intervals over scenes (`ci95`) and confusion matrix in the form of `metrics.json`;
        `over_folds.<key>`: `mean`, `std` (of a sample, n - 1), `min`, `max` and `n`, the number of defined values;
        `folds.<f>`: `n_tiles`, `n_scenes`, `scores.<key>`, `scenes` (names of the tiles by scene), `leaky`,
        `weights_sha256`, `plan_fingerprint`, and `trained` (key metric, its validation value, epoch);
        `scenes.<scene>`: `folds`, `n_tiles`, `n_instances` (true instances of all classes) and `scores.<key>`;
        `settings`: see `summarise_settings`.
    """
    folds = {str(fold.number): _fold_summary(fold) for fold in run.folds}
    keys = (*HEADLINE_KEYS, *CLASS_KEYS)
    return {
        "n_folds": run.split["n_folds"],
        "folds_missing": run.missing_folds,
        "n_tiles": len(run.tiles.names),
        "n_scenes": len(set(run.tiles.scenes)),
        "leaky": run.leaky,
        "class_names": run.class_names,
        "pooled": summarised(run.tiles, run.class_names),
        "over_folds": {key: spread([fold["scores"][key] for fold in folds.values()]) for key in keys},
        "folds": folds,
        "scenes": scene_scores(run),
        "settings": summarise_settings(run, settings),
    }


def scene_scores(run: PooledFolds) -> dict[str, dict[str, Any]]:
    """Folds, counts and scores by scene, sorted by name."""
    summary = {}
    for scene in sorted(set(run.tiles.scenes)):
        tiles = run.tiles.selected(i for i, name in enumerate(run.tiles.scenes) if name == scene)
        scores = scores_at(("n_instances", *SCENE_KEYS), tiles)
        summary[scene] = {
            "folds": [fold.number for fold in run.folds if scene in fold.tiles.scenes],
            "n_tiles": len(tiles.names),
            "n_instances": int(scores.pop("n_instances") or 0),
            "scores": scores,
        }
    return summary


def spread(values: Sequence[float | None]) -> dict[str, float | int | None]:
    """Mean, sample standard deviation, minimum, maximum and number of the defined values. Undefined values are None.

    >>> spread([1.0, None, 3.0])
    {'mean': 2.0, 'std': 1.4142135623730951, 'min': 1.0, 'max': 3.0, 'n': 2}
    """
    defined = [value for value in values if value is not None]
    return {
        "mean": statistics.fmean(defined) if defined else None,
        "std": statistics.stdev(defined) if len(defined) > 1 else None,
        "min": min(defined, default=None),
        "max": max(defined, default=None),
        "n": len(defined),
    }


def scores_at(keys: Iterable[str], tiles: ScoredTiles) -> dict[str, float | None]:
    """The scores of the tiles by their keys in `metrics.json`. Undefined values are None."""
    placed = {place(name): value for name, value in tiles.scores().items()}
    return {key: None if math.isnan(placed[key]) else placed[key] for key in keys}


def summarise_settings(run: PooledFolds, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings of all folds: `cross_validation` and overrides of the `evaluation` (None: by hand), and settings that
    are equal in all `model.json`: split, network, context, instances, normalisation and band.
    """
    description = run.folds[0].description
    return {
        "cross_validation": None if settings is None else dict(settings),
        "evaluation": None if run.folds[0].overrides is None else dict(run.folds[0].overrides),
        "split": run.split,
        "network": description["network"],
        "context": description.get("context"),
        **{key: shared_origin(run.folds[0].origin)[key] for key in ("instance_mode", "instance_settings")},
        "normalisation_version": description["normalisation_version"],
        "band": description["band"],
    }


def _fold_summary(fold: Fold) -> dict[str, Any]:
    return {
        "n_tiles": len(fold.tiles.names),
        "n_scenes": len(set(fold.tiles.scenes)),
        "leaky": fold.origin["leaky"],
        "scores": scores_at((*HEADLINE_KEYS, *CLASS_KEYS), fold.tiles),
        "scenes": _tiles_by_scene(fold.tiles),
        "weights_sha256": fold.origin["weights_sha256"],
        "plan_fingerprint": fold.origin["plan_fingerprint"],
        "trained": fold.description.get("trained"),
    }


def _tiles_by_scene(tiles: ScoredTiles) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for scene, name in sorted(zip(tiles.scenes, tiles.names, strict=True)):
        names.setdefault(scene, []).append(name)
    return names
