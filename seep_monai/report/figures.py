"""Figures of one evaluation, as PNG: tiles side by side, and the scores of each class."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from seep_monai.classes import CLASS_COLOURS, NO_DATA_COLOUR, SEEP_LABELS
from seep_monai.report.panels import TilePicture, panel

_CLASS_SCORES = (("dice", "Dice (pixels)"), ("iou", "IoU (pixels)"), ("AP50", "AP50 (instances)"))
_DPI = 110


def tile_figure(pictures: Sequence[TilePicture], class_names: Sequence[str], title: str) -> Figure:
    """One row of image | truth | prediction per tile, two tiles side by side, with a legend of the classes."""
    n_rows = (len(pictures) + 1) // 2
    figure = Figure(figsize=(14, 0.9 + 2.5 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, 2, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture in zip(axes.flat, pictures, strict=False):
        axis.imshow(panel(picture), interpolation="nearest")
        axis.set_title(f"{picture.name}: image | truth | prediction", fontsize=9)
    colours = [*CLASS_COLOURS[1:], NO_DATA_COLOUR]
    handles = [
        Patch(color=_unit(colour), label=name) for colour, name in zip(colours, [*class_names, "no data"], strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=8, fontsize=9, frameon=False)
    figure.suptitle(title, fontsize=11)
    return figure


def class_figure(metrics: Mapping[str, Any], class_names: Sequence[str], title: str) -> Figure:
    """Bars of Dice, IoU and AP50 per class and for seep / no seep; an undefined score is marked, not drawn as 0."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axis = figure.subplots()
    groups = [metrics["classes"][str(label)] for label in SEEP_LABELS] + [metrics["seep"]]
    counts = [f"n = {group['n_instances']}" for group in groups[:-1]] + ["all classes"]
    shades = ("#33597f", "#7aa6c2", "#d08c3f")
    for offset, ((key, name), shade) in enumerate(zip(_CLASS_SCORES, shades, strict=True)):
        centres = [x + (offset - 1) * 0.27 for x in range(len(groups))]
        axis.bar(centres, [group[key] or 0 for group in groups], width=0.25, label=name, color=shade)
        for x, group in zip(centres, groups, strict=True):
            text = "undefined" if group[key] is None else f"{group[key]:.2f}"
            axis.text(x, (group[key] or 0) + 0.01, text, ha="center", va="bottom", fontsize=7, rotation=90)
    ticks = [f"{name}\n{count}" for name, count in zip([*class_names, "seep / no seep"], counts, strict=True)]
    axis.set_xticks(range(len(groups)), ticks, fontsize=8)
    axis.set_ylim(0, 1)
    axis.set_ylabel("score")
    axis.grid(axis="y", alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="upper left", ncols=3, frameon=False, fontsize=9)
    axis.set_title(title, fontsize=11)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(temporary, format="png", dpi=_DPI)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _unit(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
