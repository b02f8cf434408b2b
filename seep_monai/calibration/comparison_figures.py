"""Figures of the comparison: the distributions of all statistics, and tiles of both sets in random order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from seep_monai.calibration.statistics import CLASS_STATISTICS, SEA_STATISTICS, SetStatistics, class_key
from seep_monai.classes import SEEP_LABELS

# Choice: dark blue and orange, distinguishable for colour-blind readers and in greyscale.
_COLOURS = {"real": "#1f4e79", "simulated": "#e07b00"}
_DPI = 100
_LOGARITHMIC = ("area_px", "major_axis_px", "aspect", "width_px")
_N_POINTS = 400
# Choice: 99 % of the values; a single outlier would compress all others.
_SHOWN_PERCENTS = (0.5, 99.5)
_GAP_PX = 18
# Choice: the 1st and 99th percentile, so that bright targets do not darken the sea.
_STRETCH_PERCENTS = (1, 99)


def distributions_figure(real: SetStatistics, simulated: SetStatistics, distributions: Mapping[str, Any]) -> Figure:
    """Cumulative distributions of each statistic, real and simulated, at 100 dpi.

    Args:
        real: samples of the real set.
        simulated: samples of the simulated set.
        distributions: key -> entry with `ks` and `in_band`, from `comparison.compare`.
    """
    sea = [f"sea.{name}" for name in SEA_STATISTICS]
    n_columns = len(CLASS_STATISTICS)
    # Pad the sea statistics to whole rows, so that each class has its own row.
    sea += [""] * (-len(sea) % n_columns)
    keys = sea + [class_key(label, name) for label in SEEP_LABELS for name in CLASS_STATISTICS]
    n_rows = len(keys) // n_columns
    figure = Figure(figsize=(15, 2.2 * n_rows), dpi=_DPI)
    # Fixed margins, because a constrained layout of so many axes takes seconds.
    figure.subplots_adjust(left=0.03, right=0.985, top=0.965, bottom=0.04, hspace=0.34, wspace=0.2)
    for axis, key in zip(figure.subplots(n_rows, n_columns).ravel(), keys, strict=True):
        if not key:
            axis.axis("off")
            continue
        _draw(axis, {"real": real.samples[key], "simulated": simulated.samples[key]}, key.endswith(_LOGARITHMIC))
        entry = distributions[key]
        ks = "undefined" if entry["ks"] is None else f"KS {entry['ks']:.2f}"
        out = entry["in_band"] is False
        axis.set_title(f"{key}: {ks}", fontsize=9, color="#b00020" if out else "black")
    figure.legend(handles=list(figure.axes[0].lines), loc="upper center", ncols=2, frameon=False)
    figure.supxlabel(
        "share of values up to x; a red title: the simulated median lies outside the real 5-95 % band", y=0.008
    )
    return figure


def shuffled_figure(tiles: Sequence[npt.NDArray[np.uint16]]) -> Figure:
    """Numbered tiles in a square grid at full resolution, in one grey scale and without any mark of their set.

    Args:
        tiles: (H, W) uint16 each, 0 = no-data (black), at least one; smaller tiles are padded with black.
    """
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    n_columns = int(np.ceil(np.sqrt(len(tiles))))
    n_rows = -(-len(tiles) // n_columns)
    low, high = _stretch(tiles)
    canvas = np.ones((n_rows * (height + _GAP_PX), n_columns * (width + _GAP_PX)))
    # A hundredth of a pixel more, because older versions of matplotlib cut off what is left of 115.99.
    rows, columns = canvas.shape
    figure = Figure(figsize=((columns + 0.01) / _DPI, (rows + 0.01) / _DPI), dpi=_DPI)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.axis("off")
    for number, tile in enumerate(tiles):
        # Worked: of 6 columns, number 7 (the eighth tile) is in row 1, column 1.
        row, column = divmod(number, n_columns)
        top, left = row * (height + _GAP_PX) + _GAP_PX, column * (width + _GAP_PX) + _GAP_PX // 2
        canvas[top : top + height, left : left + width] = 0
        grey = np.clip((tile - low) / (high - low), 0, 1)
        canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = np.where(tile > 0, grey, 0)
        axis.text(left, top - 3, str(number + 1), fontsize=8, va="bottom")
    axis.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    return figure


def _stretch(tiles: Sequence[npt.NDArray[np.uint16]]) -> tuple[float, float]:
    """The DN shown as black and as white, over all tiles; arbitrary if these have fewer than two DN."""
    valid = np.concatenate([tile[tile > 0] for tile in tiles])
    if not valid.size:
        return 0.0, 1.0
    low, high = np.percentile(valid, _STRETCH_PERCENTS).tolist()
    return (low, high) if high > low else (low - 1, low + 1)


def _draw(axis: Axes, samples: Mapping[str, npt.NDArray[np.float64]], logarithmic: bool) -> None:
    levels = np.linspace(0, 1, _N_POINTS)
    for name, sample in samples.items():
        # An empty sample is drawn too, so that the legend lists it.
        x = np.quantile(sample, levels, method="inverted_cdf") if len(sample) else np.array([])
        axis.step(x, levels[: len(x)], where="post", color=_COLOURS[name], linewidth=1.4, label=name)
    every = np.concatenate(list(samples.values()))
    if len(every):
        low, high = np.percentile(every, _SHOWN_PERCENTS)
        if low < high:
            axis.set_xlim(low, high)
        if logarithmic:
            _scale_by_powers(axis)
    axis.set_ylim(0, 1)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)


def _scale_by_powers(axis: Axes) -> None:
    """Set a logarithmic x axis with the tick labels 1, 3, 10, 30 ..., which do not overlap."""
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
