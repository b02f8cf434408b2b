"""Figures of one evaluation: tiles, scores of each class, errors and recall."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from seep_monai.classes import CLASS_COLOURS, NO_DATA_COLOUR, SEEP_LABELS
from seep_monai.metrics.recall import recall_rows
from seep_monai.report.panels import TilePicture, panel

_CLASS_SCORES = (
    ("dice", "Dice (pixels)", "#33597f"),
    ("iou", "IoU (pixels)", "#7aa6c2"),
    ("AP50", "AP50 (instances)", "#d08c3f"),
)
_ERROR_PARTS = {"truth": "true instances", "detections": "detections"}
_OUTCOMES = {
    "found": "#3f7f5f",
    "right": "#3f7f5f",
    "wrong_class": "#d8b13f",
    "broken": "#7aa6c2",
    "merged": "#33597f",
    "outline": "#d08c3f",
    "missed": "#8c8c8c",
    "false_alarm": "#8c8c8c",
}
_PANEL_INCHES = (7.0, 2.5)
_NAME_WIDTH = 14


def tile_figure(pictures: Sequence[TilePicture], class_names: Sequence[str], title: str) -> Figure:
    """Panels of image | truth | prediction, two tiles per row, with a legend of the classes.

    Args:
        pictures: at least one.
        class_names: names of the labels 1..7.
    """
    n_columns = min(2, len(pictures))
    n_rows = -(-len(pictures) // n_columns)
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(n_columns * width, 1.2 + n_rows * height), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, picture in zip(axes, pictures, strict=False):
        axis.imshow(panel(picture), interpolation="nearest")
        axis.set_title(f"{picture.name}: image | truth | prediction", fontsize=9)
    handles = [
        Patch(color=[level / 255 for level in colour], label=textwrap.fill(name, _NAME_WIDTH))
        for colour, name in zip([*CLASS_COLOURS[1:], NO_DATA_COLOUR], [*class_names, "no data"], strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4 * n_columns, fontsize=9, frameon=False)
    figure.suptitle(textwrap.fill(title, 80 * n_columns), fontsize=11)
    return figure


def class_figure(metrics: Mapping[str, Any], class_names: Sequence[str], title: str) -> Figure:
    """Bars of Dice, IoU and AP50 per class and for seep / no seep; undefined scores are labelled "undefined".

    Args:
        metrics: in the structure of `metrics.json`.
        class_names: names of the labels 1..7.
    """
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    axis = figure.subplots()
    groups = [metrics["classes"][str(label)] for label in SEEP_LABELS] + [metrics["seep"]]
    for i, (key, name, colour) in enumerate(_CLASS_SCORES):
        centres = [group + 0.27 * (i - 1) for group in range(len(groups))]
        bars = axis.bar(centres, [group[key] or 0 for group in groups], width=0.25, label=name, color=colour)
        texts = ["undefined" if group[key] is None else f"{group[key]:.2f}" for group in groups]
        axis.bar_label(bars, texts, padding=2, fontsize=7, rotation=90)
    names = [textwrap.fill(name, _NAME_WIDTH) for name in [*class_names, "seep / no seep"]]
    counts = [f"n = {group['n_instances']}" for group in groups[:-1]] + ["all classes"]
    ticks = [f"{name}\n{count}" for name, count in zip(names, counts, strict=True)]
    axis.set_xticks(range(len(groups)), ticks, fontsize=8)
    axis.set_xlabel("n = true instances", fontsize=8)
    # The space above 1 is for the numbers on the bars.
    axis.set(ylim=(0, 1.1), yticks=[0, 0.2, 0.4, 0.6, 0.8, 1.0], ylabel="score")
    return _with_legend(figure, axis, title)


def error_figure(errors: Mapping[str, Any], class_names: Sequence[str], title: str) -> Figure:
    """Two rows of stacked bars: outcomes of true instances and of detections, by class.

    Args:
        errors: in the structure of `metrics.errors.error_summary`.
        class_names: names of the labels 1..7.
    """
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    ticks = [textwrap.fill(name, _NAME_WIDTH) for name in class_names]
    for axis, (key, label) in zip(figure.subplots(2, 1), _ERROR_PARTS.items(), strict=True):
        groups = [errors[key][str(k)] for k in SEEP_LABELS]
        n_instances = [sum(group.values()) for group in groups]
        below = [0.0] * len(groups)
        for outcome in groups[0]:
            shares = [group[outcome] / n if n else 0.0 for group, n in zip(groups, n_instances, strict=True)]
            axis.bar(range(len(groups)), shares, 0.7, below, label=outcome.replace("_", " "), color=_OUTCOMES[outcome])
            below = [low + share for low, share in zip(below, shares, strict=True)]
        names = [f"{name}\nn = {n}" for name, n in zip(ticks, n_instances, strict=True)]
        axis.set_xticks(range(len(groups)), names, fontsize=8)
        axis.set(ylim=(0, 1), ylabel=f"share of {label}")
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(textwrap.fill(title, 110), fontsize=11)
    return figure


def recall_figure(recall: Mapping[str, Any], title: str) -> Figure:
    """Bars of pixel and instance recall of any seep, by size and by contrast of true instances.

    Args:
        recall: in the structure of `metrics.recall.recall_summary`.
    """
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    axis = figure.subplots()
    rows = [(name, values) for name, values in recall_rows(recall["seep"]) if values["n_instances"]]
    for i, (name, colour) in enumerate((("pixel recall", "#33597f"), ("instance recall", "#d08c3f"))):
        heights = [values[name.replace(" ", "_")] for _, values in rows]
        centres = [place + 0.38 * i - 0.19 for place in range(len(rows))]
        bars = axis.bar(centres, heights, 0.36, color=colour, label=name)
        axis.bar_label(bars, [f"{height:.2f}" for height in heights], padding=2, fontsize=7)
    names = [f"{textwrap.fill(name, _NAME_WIDTH)}\nn = {v['n_instances']}\n{v['n_px']} px" for name, v in rows]
    axis.set_xticks(range(len(rows)), names, fontsize=8)
    axis.set(ylim=(0, 1.05), ylabel="recall")
    return _with_legend(figure, axis, title)


def _with_legend(figure: Figure, axis: Axes, title: str) -> Figure:
    """The bar chart with grid, legend and title."""
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(axis.containers), frameon=False, fontsize=9)
    figure.suptitle(textwrap.fill(title, 110), fontsize=11)
    return figure
