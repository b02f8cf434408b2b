"""Charts of one evaluation: precision-recall, F1 against score, confusion of instances, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seep_monai.classes import CLASS_COLOURS
from seep_monai.metrics.confusion import normalised

# Seep / no seep is black, the classes have their own colours.
_COLOURS = ("#111111", *(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in CLASS_COLOURS[1:]))

Curve = tuple[np.ndarray, np.ndarray]


def line_figure(curves: Mapping[str, Curve], *, x_label: str, y_label: str, title: str) -> Figure:
    """Line chart on [0, 1] x [0, 1]; the first curve (seep / no seep) is black, the classes have their colours.

    Args:
        curves: name -> (x, y), both in [0, 1]; at most eight. Curves without a defined value are left out.
    """
    figure = Figure(figsize=(6, 4.4), layout="constrained")
    axis = figure.subplots()
    for (name, (x, y)), colour in zip(curves.items(), _COLOURS, strict=False):
        if len(x) and not np.isnan(y).all():
            axis.plot(x, y, color=colour, label=name, linewidth=2 if colour == _COLOURS[0] else 1.3)
    axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x_label, ylabel=y_label, title=title)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    if axis.lines:
        axis.legend(fontsize=8, frameon=False)
    return figure


def confusion_figure(counts: np.ndarray, class_names: Sequence[str], *, title: str) -> Figure:
    """Confusion matrix of instances, as counts and as shares of each row; rows = truth, columns = prediction.

    Args:
        counts: (8, 8) integers; rows are the true classes 1..7, then false alarms; columns the predicted classes 1..7,
            then missed.
        class_names: names of the labels 1..7.
    """
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    shares = normalised(counts)
    _matrix(left, counts.astype(float), [[f"{n:d}" for n in row] for row in counts], class_names, "instances")
    texts = [["" if np.isnan(share) else f"{share:.2f}" for share in row] for row in shares]
    _matrix(right, shares, texts, class_names, "share of each row")
    figure.suptitle(title, fontsize=11)
    return figure


def training_figure(scalars: Mapping[str, Curve], groups: Sequence[Sequence[str]]) -> Figure:
    """One chart per group of curves, against the epoch.

    Args:
        scalars: TensorBoard tag -> (epochs, values).
        groups: tags that share a chart; tags without data are left out.
    """
    figure = Figure(figsize=(4.2 * len(groups), 3.2), layout="constrained")
    for axis, tags in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups, strict=True):
        for tag in tags:
            if tag in scalars:
                axis.plot(*scalars[tag], label=tag, linewidth=1.4)
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.lines:
            axis.legend(fontsize=7, frameon=False)
    return figure


def _matrix(axis: Axes, values: np.ndarray, texts: list[list[str]], names: Sequence[str], what: str) -> None:
    """A heat map with its values. The cell of false alarm and missed has no meaning and stays empty."""
    shown = values.copy()
    shown[-1, -1] = np.nan
    axis.imshow(shown, cmap="Blues", vmin=0, vmax=max(float(np.nanmax(shown, initial=0)), 1e-9))
    middle = 0.5 * float(np.nanmax(shown, initial=0))
    for row, column in np.argwhere(~np.isnan(shown)):
        colour = "white" if shown[row, column] > middle else "black"
        axis.text(column, row, texts[row][column], ha="center", va="center", color=colour, fontsize=8)
    ticks = range(len(names) + 1)
    axis.set_xticks(ticks, [*names, "missed"], rotation=45, ha="right", fontsize=8)
    axis.set_yticks(ticks, [*names, "false alarm"], fontsize=8)
    axis.set(xlabel="predicted class", ylabel="true class", title=what)
