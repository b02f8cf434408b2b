"""Markdown reports of a cross-validation and of the comparison of two."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from seep_monai.classes import SEEP_LABELS
from seep_monai.markdown import markdown_table
from seep_monai.metrics.recall import GROUPINGS, recall_rows
from seep_monai.report.tables import HEADLINE_ROWS, shown, with_interval

LEAK_TEXT = "**Leaky: some scored scenes were used for training, so all scores in this report are too high.**"
_CLASS_COLUMNS = (
    ("Dice", "dice"),
    ("IoU", "iou"),
    ("found px with correct class", "named"),
    ("AP50", "AP50"),
    ("AP10-50", "AP10_50"),
)
# Digits of the weights' checksum that are shown. The JSON file has the whole checksum.
_N_DIGITS = 12


def summary_text(summary: Mapping[str, Any]) -> str:
    """The content of `cross_validation.json` as Markdown."""
    sections = [_head(summary), _figures(summary), _classes(summary), _errors(summary), _recall(summary)]
    sections += [_scenes(summary), _folds(summary)]
    settings = json.dumps(summary["settings"], indent=4)
    return "\n\n".join([*sections, f"## Settings\n\n```json\n{settings}\n```"]) + "\n"


def comparison_text(comparison: Mapping[str, Any]) -> str:
    """The content of `comparison.json` as Markdown."""
    first, second = comparison["first"], comparison["second"]
    head = (
        f"# Paired comparison\n\nFirst: {first['folder']}. Second: {second['folder']}. Both were scored on the same "
        f"{comparison['n_tiles']} tiles of {comparison['n_scenes']} scenes.\n\nDifferences are first - second. "
        "Brackets give 95 % paired bootstrap intervals over scenes: each sample draws the same scenes for both. An "
        "interval without 0 indicates a difference on unseen scenes of the same kind. The intervals do not include the "
        "variation between repeated trainings."
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
        lines.append(f"**Incomplete: of {summary['n_folds']} folds these are missing: {missing}.**")
    lines.append(
        "Brackets give 95 % bootstrap intervals over all scenes. They show the variation between scenes, but not "
        "between trainings. Mean, standard deviation and range over folds include both, with few scenes per fold."
    )
    return "\n\n".join(lines)


def _figures(summary: Mapping[str, Any]) -> str:
    pooled, over_folds = summary["pooled"], summary["over_folds"]
    rows = [[name, with_interval(pooled, key), *_spread(over_folds[key])] for name, key in HEADLINE_ROWS]
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
    for title, key in (("Outcomes of true instances", "truth"), ("Outcomes of detections", "detections")):
        outcomes = list(errors[key]["1"])
        rows = [
            [name, *(str(errors[key][str(label)][outcome]) for outcome in outcomes)]
            for label, name in zip(SEEP_LABELS, summary["class_names"], strict=True)
        ]
        rows.append(["all", *(str(sum(counts[outcome] for counts in errors[key].values())) for outcome in outcomes)])
        table = markdown_table(["class", *(outcome.replace("_", " ") for outcome in outcomes)], rows)
        parts.append(f"{title}, at mask IoU {errors['iou']}:\n\n{table}")
    named = errors["named"]
    shares = ", ".join(
        f"{name} {shown(named[str(k)])}" for k, name in zip(SEEP_LABELS, summary["class_names"], strict=True)
    )
    parts.append(f"Share of found true instances with the correct class: {shares}; mean {shown(named['mean'])}.")
    return "## Errors, pooled\n\n" + "\n\n".join(parts)


def _recall(summary: Mapping[str, Any]) -> str:
    """Recall of any seep with intervals, then the pixel recall of each class."""
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
        f"An instance is found if a detection of any class reaches mask IoU {recall['iou']}. A pixel is found if any "
        "seep class is predicted there. Contrast: mean DN divided by the mean DN of the surrounding sea. Last columns: "
        "pixel recall by class."
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
    """Three decimals with sign; no sign if it rounds to 0.

    >>> _signed(0.0123), _signed(-0.5), _signed(-0.0001), _signed(None)
    ('+0.012', '-0.500', '0.000', 'undefined')
    """
    if value is None:
        return "undefined"
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text
