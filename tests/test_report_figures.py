"""Tests of `seep_monai.report.figures`: what is on the figures, read back from their pixels and texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from seep_monai.classes import CLASS_COLOURS, DEFAULT_CLASS_NAMES, NO_DATA_COLOUR
from seep_monai.report.figures import class_figure, tile_figure
from seep_monai.report.html import figure_png
from seep_monai.report.panels import TilePicture, panel

TITLE = "LEAKY: scored scenes were trained on. " + "test part, 118 tiles of 3 scenes, " * 4


def picture(name: str, label: int = 1) -> TilePicture:
    truth = np.zeros((64, 64), np.uint8)
    truth[20:40], truth[:, 50:] = label, 255
    return TilePicture(name, np.zeros((64, 64), np.float32), truth, np.where(truth == 255, 0, truth).astype(np.uint8))


def metrics(**changed: float | None) -> dict[str, Any]:
    """Every score is 0.5, but for the changed ones of class 3."""
    scores: dict[str, Any] = {"dice": 0.5, "iou": 0.5, "AP50": 0.5, "n_instances": 12}
    classes = {str(k): scores | (changed if k == 3 else {}) for k in range(1, 8)}
    return {"classes": classes, "seep": {"dice": 0.75, "iou": 0.5, "AP50": 0.25}}


def saved_pixels(figure: Figure, folder: Path) -> np.ndarray:
    (folder / "figure.png").write_bytes(figure_png(figure))
    return np.round(imread(folder / "figure.png")[..., :3] * 255).astype(int)


def share_of(pixels: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float((np.abs(pixels - colour).max(axis=2) <= 2).mean())


def bar_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(("n_pictures", "n_axes"), [(1, 1), (2, 2), (3, 4)])
def test_tile_figure_any_number_of_tiles_each_drawn_with_its_name(n_pictures: int, n_axes: int) -> None:
    pictures = [picture(f"041869.{i}") for i in range(n_pictures)]
    figure = tile_figure(pictures, DEFAULT_CLASS_NAMES, TITLE)
    assert len(figure.axes) == n_axes
    for axis, tile in zip(figure.axes, pictures, strict=False):
        np.testing.assert_array_equal(axis.images[0].get_array(), panel(tile))
        assert axis.get_title().startswith(tile.name)


def test_tile_figure_png_shows_classes_and_no_data(tmp_path: Path) -> None:
    pixels = saved_pixels(tile_figure([picture("a.1"), picture("a.2", 4)], DEFAULT_CLASS_NAMES, TITLE), tmp_path)
    for label in (1, 4):
        drawn = tuple(round(0.85 * c + 0.15 * 127) for c in CLASS_COLOURS[label])
        assert share_of(pixels, drawn) > 0.02
    assert share_of(pixels, NO_DATA_COLOUR) > 0.05


def test_tile_figure_png_draws_a_256_px_tile_at_full_size(tmp_path: Path) -> None:
    lines = np.zeros((256, 256), np.uint8)
    lines[::2] = 1
    tile = TilePicture("a.1", np.zeros((256, 256), np.float32), lines, lines)
    pixels = saved_pixels(tile_figure([tile, tile], DEFAULT_CLASS_NAMES, "title"), tmp_path)
    drawn = tuple(round(0.85 * c + 0.15 * 127) for c in CLASS_COLOURS[1])
    is_line = (np.abs(pixels - drawn).max(axis=2) <= 2)[:, pixels.shape[1] // 4]
    # A row that is dropped in drawing would join its neighbours: 128 separate lines must be left.
    assert np.count_nonzero(np.diff(is_line.astype(int)) == 1) == 128


def test_tile_figure_legend_names_all_classes_and_no_data() -> None:
    figure = tile_figure([picture("a.1")], DEFAULT_CLASS_NAMES, "title")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*DEFAULT_CLASS_NAMES, "no data"]


def test_class_figure_undefined_said_and_zero_shown_as_number() -> None:
    texts = bar_texts(class_figure(metrics(dice=None, iou=0.0), DEFAULT_CLASS_NAMES, "title"))
    assert len(texts) == 3 * 8
    assert texts.count("undefined") == 1
    assert texts.count("0.00") == 1


def test_class_figure_bars_as_high_as_the_scores() -> None:
    figure = class_figure(metrics(dice=0.9, AP50=None), DEFAULT_CLASS_NAMES, "title")
    heights = [[bar.get_height() for bar in bars] for bars in figure.axes[0].containers]
    assert heights[0] == [0.5, 0.5, 0.9, 0.5, 0.5, 0.5, 0.5, 0.75]
    assert heights[2] == [0.5, 0.5, 0.0, 0.5, 0.5, 0.5, 0.5, 0.25]


def test_class_figure_ticks_name_class_and_its_instances() -> None:
    figure = class_figure(metrics(n_instances=31), DEFAULT_CLASS_NAMES, "title")
    ticks = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert ticks[2] == "Seep cls3\nn = 31"
    assert ticks[7] == "seep / no seep\nall classes"


def test_class_figure_perfect_scores_and_long_title_no_text_overlaps_or_leaves_the_figure() -> None:
    names = tuple(f"a rather long class name {k}" for k in range(7))
    figure = class_figure(metrics(dice=1.0, iou=1.0, AP50=1.0), names, TITLE)
    figure.draw_without_rendering()
    axis = figure.axes[0]
    texts = [*axis.texts, *axis.get_xticklabels(), axis.xaxis.label, *figure.legends[0].get_texts(), *figure.texts]
    assert len(texts) == 3 * 8 + 8 + 1 + 3 + 1
    boxes = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[i + 1 :])
    assert all(figure.bbox.contains(*corner) for box in boxes for corner in box.corners())
