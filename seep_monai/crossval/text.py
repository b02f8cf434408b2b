"""A cross-validation, and the comparison of two, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from seep_monai.classes import SEEP_LABELS
from seep_monai.markdown import markdown_table
from seep_monai.metrics.recall import GROUPINGS, recall_rows
from seep_monai.report.tables import HEADLINE_ROWS, shown, with_interval

LEAK_TEXT = "**Leaky: scored scenes were trained on, so that all figures here are too good.**"
_CLASS_COLUMNS = (
    ("Dice", "dice"),
    ("IoU", "iou"),
    ("named right of found px", "named"),
    ("AP50", "AP50"),
    ("AP10-50", "AP10_50"),
)
# Weights are known by the first digits of their checksum; the whole one stands in the JSON file.
_N_DIGITS = 12


def summary_text(summary: Mapping[str, Any]) -> str:
    """The summary for a reader.

    Args:
        summary: in the shape of `cross_validation.json`.
    """
    sections = [_head(summary), _figures(summary), _classes(summary), _errors(summary), _recall(summary)]
    sections += [_scenes(summary), _folds(summary)]
    settings = json.dumps(summary["settings"], indent=4)
    return "\n\n".join([*sections, f"## Settings\n\n```json\n{settings}\n```"]) + "\n"


def comparison_text(comparison: Mapping[str, Any]) -> str:
    """The comparison for a reader.

    Args:
        comparison: in the shape of `comparison.json`.
    """
    first, second = comparison["first"], comparison["second"]
    head = (
        f"# Paired comparison\n\nFirst: {first['folder']}. Second: {second['folder']}. Both scored the same "
        f"{comparison['n_tiles']} tiles of {comparison['n_scenes']} scenes.\n\nDifferences are first - second, with "
        "95 % bootstrap intervals over scenes that draw the same scenes for both; an interval without 0 speaks for a "
        "difference on other scenes of this kind. It says nothing of how much either would change if trained again."
    )
    if first["leaky"] or second["leaky"]:
        head += f"\n\n{LEAK_TEXT}"
    if comparison["settings_differ"]:
        head += f"\n\nSettings that differ: {', '.join(comparison['settings_differ'])}."
    rows = [_compared(name, comparison, key) for name, key in HEADLINE_ROWS]
    for label, name in zip(SEEP_LABELS, comparison["class_names"], strict=True):
        rows += [_compared(f"{name}: {title}", comparison, f"classes.{label}.{key}") for title, key in _CLASS_COLUMNS]
    figures = markdown_table(["figure", "first", "second", "difference [95 %]"], rows)
    scenes = [
        [scene, str(entry["n_tiles"]), *(_signed(entry["differences"][key]) for key in ("seep.dice", "seep.AP50"))]
        for scene, entry in comparison["scenes"].items()
    ]
    by_scene = markdown_table(["scene", "tiles", "seep Dice", "seep AP50"], scenes)
    return f"{head}\n\n{figures}\n\n## Differences by scene\n\n{by_scene}\n"


def _head(summary: Mapping[str, Any]) -> str:
    lines = [
        "# Cross-validation",
        f"{len(summary['folds'])} folds; their test parts are {summary['n_tiles']} tiles of {summary['n_scenes']} "
        "scenes, scored as one set.",
    ]
    if summary["leaky"]:
        lines.append(LEAK_TEXT)
    if summary["folds_missing"]:
        missing = ", ".join(map(str, summary["folds_missing"]))
        lines.append(f"**Not whole: of {summary['n_folds']} folds these are missing: {missing}.**")
    lines.append(
        "In brackets: 95 % bootstrap intervals over all scenes. They say how far the figures would move with other "
        "scenes, not with other trainings; mean, standard deviation and range over folds hold both, on few scenes each."
    )
    return "\n\n".join(lines)


def _figures(summary: Mapping[str, Any]) -> str:
    rows = []
    for name, key in HEADLINE_ROWS:
        rows.append([name, with_interval(summary["pooled"], key), *_spread(summary["over_folds"][key])])
    return markdown_table(["figure", "pooled [95 %]", "mean over folds", "std", "min .. max"], rows)


def _classes(summary: Mapping[str, Any]) -> str:
    pooled, rows = summary["pooled"], []
    for label, name in zip(SEEP_LABELS, summary["class_names"], strict=True):
        cells = [with_interval(pooled, f"classes.{label}.{key}") for _, key in _CLASS_COLUMNS]
        rows.append([name, str(pooled["classes"][str(label)]["n_instances"]), *cells])
    return "## Classes, pooled\n\n" + markdown_table(
        ["class", "instances", *(title for title, _ in _CLASS_COLUMNS)], rows
    )


def _errors(summary: Mapping[str, Any]) -> str:
    errors = summary["pooled"]["errors"]
    parts = []
    for title, key in (("True instances: what became of them", "truth"), ("Detections: what they are", "detections")):
        outcomes = list(errors[key]["1"])
        rows = [
            [name, *(str(errors[key][str(label)][outcome]) for outcome in outcomes)]
            for label, name in zip(SEEP_LABELS, summary["class_names"], strict=True)
        ]
        totals = [str(sum(counts[outcome] for counts in errors[key].values())) for outcome in outcomes]
        titles = [outcome.replace("_", " ") for outcome in outcomes]
        parts.append(
            f"{title}, at mask IoU {errors['iou']}:\n\n" + markdown_table(["class", *titles], [*rows, ["all", *totals]])
        )
    named = errors["named"]
    shares = ", ".join(
        f"{name} {shown(named[str(k)])}" for k, name in zip(SEEP_LABELS, summary["class_names"], strict=True)
    )
    parts.append(f"Named right of the true instances that are found: {shares}; mean {shown(named['mean'])}.")
    return "## Errors, pooled\n\n" + "\n\n".join(parts)


def _recall(summary: Mapping[str, Any]) -> str:
    """Any seep with intervals, then the pixel recall of each class."""
    pooled = summary["pooled"]
    recall, rows = pooled["recall"], []
    by_class = [dict(recall_rows(recall["classes"][str(label)])) for label in SEEP_LABELS]
    keys = [f"recall.seep.{grouping}.{name}" for grouping, bins in GROUPINGS.items() for name in bins]
    for key, (title, values) in zip(keys, recall_rows(recall["seep"]), strict=True):
        cells = [with_interval(pooled, f"{key}.{name}") for name in ("pixel_recall", "instance_recall")]
        classes = [shown(of_class[title]["pixel_recall"]) for of_class in by_class]
        rows.append([title, str(values["n_instances"]), str(values["n_px"]), *cells, *classes])
    titles = ["true instances", "n", "px", "pixel recall", "instance recall", *summary["class_names"]]
    text = (
        f"An instance is found where a detection of any class reaches mask IoU {recall['iou']}; a pixel is found where "
        "any seep is drawn. Contrast: mean DN over that of the sea around. Last columns: pixel recall by class."
    )
    return f"## Recall by size and contrast, pooled\n\n{text}\n\n" + markdown_table(titles, rows)


def _scenes(summary: Mapping[str, Any]) -> str:
    rows = [
        [
            scene,
            ", ".join(map(str, entry["folds"])),
            str(entry["n_tiles"]),
            str(entry["n_instances"]),
            *(shown(value) for value in entry["scores"].values()),
        ]
        for scene, entry in summary["scenes"].items()
    ]
    return "## Scenes\n\n" + markdown_table(["scene", "fold", "tiles", "instances", "seep Dice", "seep AP50"], rows)


def _folds(summary: Mapping[str, Any]) -> str:
    rows = []
    for number, fold in summary["folds"].items():
        trained = fold["trained"] or {}
        best = f"{trained['key_metric']} {shown(trained['value'])} in epoch {trained['epoch']}" if trained else "-"
        scores = [shown(fold["scores"][key]) for key in ("seep.dice", "seep.AP50", "mAP50")]
        scenes = ", ".join(fold["scenes"])
        rows.append([number, str(fold["n_tiles"]), scenes, *scores, best, fold["weights_sha256"][:_N_DIGITS]])
    titles = ["fold", "tiles", "test scenes", "seep Dice", "seep AP50", "mAP50", "best validation", "weights"]
    return "## Folds\n\n" + markdown_table(titles, rows)


def _spread(values: Mapping[str, Any]) -> list[str]:
    low_to_high = "-" if values["n"] == 0 else f"{shown(values['min'])} .. {shown(values['max'])}"
    return [shown(values["mean"]), "-" if values["std"] is None else shown(values["std"]), low_to_high]


def _compared(name: str, comparison: Mapping[str, Any], key: str) -> list[str]:
    figure = comparison["figures"][key]
    interval = figure["ci95"]
    limits = "" if interval is None else f" [{_signed(interval[0])}, {_signed(interval[1])}]"
    return [name, shown(figure["first"]), shown(figure["second"]), _signed(figure["difference"]) + limits]


def _signed(value: float | None) -> str:
    """Three digits with their sign; what rounds to 0 has none.

    >>> _signed(0.0123), _signed(-0.5), _signed(-0.0001), _signed(None)
    ('+0.012', '-0.500', '0.000', 'undefined')
    """
    if value is None:
        return "undefined"
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text
