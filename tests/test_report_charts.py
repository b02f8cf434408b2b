from __future__ import annotations

import numpy as np

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.report.charts import confusion_figure, line_figure, training_figure


def test_line_figure_draws_defined_curves_alone() -> None:
    x = np.array([0.0, 1.0])
    curves = {"seep": (x, x), "a": (x, np.full(2, np.nan)), "b": (x, 1 - x), "c": (np.array([]), np.array([]))}
    axis = line_figure(curves, x_label="recall", y_label="precision", title="IoU .5").axes[0]
    assert [line.get_label() for line in axis.lines] == ["seep", "b"]
    assert (axis.get_xlabel(), axis.get_ylabel(), axis.get_title()) == ("recall", "precision", "IoU .5")


def test_confusion_figure_shows_counts_and_row_shares() -> None:
    counts = np.zeros((8, 8), int)
    counts[0, :2] = [3, 1]
    counts[7, 2] = 5
    left, right = confusion_figure(counts, DEFAULT_CLASS_NAMES, title="t").axes
    numbers = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in left.texts}
    shares = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in right.texts}
    assert (numbers[0, 0], numbers[0, 1], numbers[7, 2]) == ("3", "1", "5")
    assert (shares[0, 0], shares[0, 1], shares[7, 2]) == ("0.75", "0.25", "1.00")
    # A class without any instance has no shares, and the last corner has no meaning.
    assert (1, 0) not in shares
    assert (7, 7) not in numbers


def test_confusion_figure_axes_say_what_they_are() -> None:
    left = confusion_figure(np.zeros((8, 8), int), DEFAULT_CLASS_NAMES, title="t").axes[0]
    assert (left.get_xlabel(), left.get_ylabel()) == ("predicted class", "true class")
    assert left.get_xticklabels()[-1].get_text() == "missed"
    assert left.get_yticklabels()[-1].get_text() == "false alarm"


def test_training_figure_leaves_out_what_was_not_logged() -> None:
    scalars = {"train/loss": (np.array([1, 2]), np.array([3.0, 2.0]))}
    first, second = training_figure(scalars, [("train/loss", "train/none"), ("other",)]).axes
    assert [line.get_label() for line in first.lines] == ["train/loss"]
    assert list(second.lines) == []
