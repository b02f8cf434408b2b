"""The comparison of real and simulated tiles on disk: `domains.json`, `domains.md` and pictures of the surest tiles."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from matplotlib.figure import Figure

from seep_monai.dataset.pairs import DEFAULT_SCENE_PATTERN
from seep_monai.errors import ConfigError
from seep_monai.realism.domain_statistics import STATISTICS, StatisticRow, compare_statistics, joint_statistics
from seep_monai.realism.domain_tiles import DomainTiles, View, control_domain, load_domain, viewed
from seep_monai.realism.domains import SplitResult, compare_domains
from seep_monai.report.html import figure_png
from seep_monai.report.panels import grey
from seep_monai.workflow import make_folder, versions, write_bytes, write_json, write_text

JSON_NAME, TEXT_NAME, FIGURE_NAME = "domains.json", "domains.md", "domains.png"
# Source: definition of the control; a classifier that misses it cannot judge a simulator.
CONTROL_AUC = 0.99
N_JOINT_SPLITS = 10
_N_PICTURES = 8


@dataclass(frozen=True)
class ComparisonSettings:
    """What is run.

    Attributes:
        seed: of the first split; the next ones count on.
        n_epochs: passes over the training tiles; 20 by definition.
        n_splits: splits by scene, each trained anew.
        views: what is trained on, `full` first in the report.
        control: whether the classifier must also tell real tiles from plain speckle, on the first split.
        scene_pattern: regular expression with one group, the scene in a tile's name.
    """

    seed: int = 0
    n_epochs: int = 20
    n_splits: int = 3
    views: tuple[View, ...] = ("full",)
    control: bool = False
    scene_pattern: str = DEFAULT_SCENE_PATTERN

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("n_epochs", 1), ("n_splits", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}: expected {least} or more, but got {getattr(self, name)}.")
        if "full" not in self.views or len(set(self.views)) < len(self.views) or set(self.views) - set(get_args(View)):
            raise ConfigError(
                f"views: expected full, and low or high once each where wanted, but got {','.join(self.views)!r}."
            )


def classify_domains(
    real_dir: str | os.PathLike[str],
    simulated_dir: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    settings: ComparisonSettings,
) -> str:
    """Compare two folders of tiles, write the three files of the comparison, and return the text of `domains.md`.

    Args:
        real_dir, simulated_dir: see `load_domain`.
        output_dir: folder for the files; made only when all figures are there.
        settings: what is run.

    Raises:
        SeepError: before anything is written, if tiles or settings are bad.
    """
    if Path(real_dir).resolve() == Path(simulated_dir).resolve():
        raise ConfigError(f"{real_dir}: expected two folders, but got one twice. Give real tiles and simulated ones.")
    if Path(output_dir).exists() and not Path(output_dir).is_dir():
        raise ConfigError(f"{output_dir}: expected a folder to make, but a file has this name. Give another path.")
    real = load_domain(real_dir, scene_pattern=settings.scene_pattern)
    simulated = load_domain(simulated_dir, scene_pattern=settings.scene_pattern)
    results, control = _trained(real, simulated, settings)
    record = comparison_record(real, simulated, results, compare_statistics(real, simulated), control)
    # Ten splits whatever is trained: a fit takes a second, and few scenes make a single one a matter of luck.
    joint = joint_statistics(real, simulated, range(settings.seed, settings.seed + N_JOINT_SPLITS))
    record["joint_statistics"] = asdict(joint)
    record["settings"] = asdict(settings) | {"real_dir": str(real_dir), "simulated_dir": str(simulated_dir)}
    text = comparison_text(record)
    folder = make_folder(output_dir, option="--output_dir")
    write_bytes(folder / FIGURE_NAME, figure_png(surest_figure(real, simulated, results["full"][0])))
    write_text(folder / TEXT_NAME, text)
    write_json(folder / JSON_NAME, record)
    return text


def _trained(
    real: DomainTiles, simulated: DomainTiles, settings: ComparisonSettings
) -> tuple[dict[View, list[SplitResult]], list[SplitResult] | None]:
    """The results of each view, and of the control where it is wanted."""
    seeds = range(settings.seed, settings.seed + settings.n_splits)
    results = {
        view: compare_domains(
            viewed(real, view), viewed(simulated, view), seeds=seeds, n_epochs=settings.n_epochs, what=view
        )
        for view in settings.views
    }
    if not settings.control:
        return results, None
    speckle = control_domain(real, np.random.default_rng(settings.seed))
    return results, compare_domains(real, speckle, seeds=seeds[:1], n_epochs=settings.n_epochs, what="control")


def comparison_record(
    real: DomainTiles,
    simulated: DomainTiles,
    results: Mapping[View, Sequence[SplitResult]],
    statistics: Sequence[StatisticRow],
    control: Sequence[SplitResult] | None,
) -> dict[str, Any]:
    """The content of `domains.json`, but for the settings; AUCs are above .5 where real tiles score higher."""
    return {
        "versions": versions(),
        "real": _tiles_record(real),
        "simulated": _tiles_record(simulated),
        "views": {view: _view_record(splits) for view, splits in results.items()},
        "control": None if control is None else _view_record(control) | {"auc_wanted": CONTROL_AUC},
        "statistics": [asdict(row) | {"what": STATISTICS[row.name]} for row in statistics],
    }


def comparison_text(record: Mapping[str, Any]) -> str:
    """The content of `domains.md` from that of `domains.json`."""
    real, simulated = record["real"], record["simulated"]
    lines = [
        "# Real against simulated tiles",
        "",
        f"{real['n_tiles']} real tiles of {real['n_scenes']} scenes, {simulated['n_tiles']} simulated ones of "
        f"{simulated['n_scenes']}; {real['n_left_out']} and {simulated['n_left_out']} left out as mostly no-data. "
        "AUC of a fixed classifier on scenes that it was not trained on: .5 = cannot tell them, 1 = tells all.",
        "",
        *_auc_table(record),
        "",
        "## All statistics together",
        "",
        _joint_text(record["joint_statistics"]),
        "",
        "## One statistic alone",
        "",
        "All tiles, nothing trained. AUC above .5: real tiles have the higher values. Medians (10 % to 90 % of tiles).",
        "",
        "| statistic | AUC alone | real | simulated | what it is |",
        "|---|---|---|---|---|",
        *(_statistic_row(row) for row in record["statistics"]),
        "",
        f"`{FIGURE_NAME}` shows the test tiles of the first split about which the classifier is surest.",
    ]
    return "\n".join(lines) + "\n"


def surest_figure(real: DomainTiles, simulated: DomainTiles, result: SplitResult) -> Figure:
    """Test tiles with the highest and the lowest probability of being real, a row each for either domain and end.

    Args:
        real, simulated: the full tiles.
        result: of the full view; its scores name the test tiles.
    """
    figure = Figure(figsize=(1.7 * _N_PICTURES, 8.2), layout="constrained")
    axes = figure.subplots(4, _N_PICTURES)
    sources = (("real", real, result.real_scores), ("simulated", simulated, result.simulated_scores))
    rows = [(what, tiles, scores, end) for what, tiles, scores in sources for end in ("real", "simulated")]
    for line, (what, tiles, scores, end) in zip(axes, rows, strict=True):
        place = {name: k for k, name in enumerate(tiles.names)}
        names = sorted(scores, key=scores.__getitem__, reverse=end == "real")
        for axis, name in zip(line, names, strict=False):
            axis.imshow(grey(tiles.images[place[name]].astype(np.float32)))
            axis.set_title(f"{name}\np(real) {1 / (1 + np.exp(-scores[name])):.3f}", fontsize=6)
        for axis in line:
            axis.set_axis_off()
        line[0].text(-0.06, 0.5, f"{what}, surest {end}", rotation=90, va="center", ha="right", fontsize=8,
                     transform=line[0].transAxes)  # fmt: skip
    return figure


def _tiles_record(tiles: DomainTiles) -> dict[str, Any]:
    return {
        "n_tiles": len(tiles),
        "n_scenes": len(set(tiles.scenes)),
        "n_left_out": tiles.n_left_out,
        "tile_px": int(tiles.images.shape[-1]),
    }


def _view_record(splits: Sequence[SplitResult]) -> dict[str, Any]:
    aucs = [split.auc for split in splits]
    return {"auc": float(np.mean(aucs)), "auc_range": [min(aucs), max(aucs)], "splits": [asdict(s) for s in splits]}


def _auc_table(record: Mapping[str, Any]) -> list[str]:
    lines = [
        "| tiles | AUC, mean of splits | range | each split with 95 % interval over scenes | on training tiles |",
        "|---|---|---|---|---|",
        *(_auc_row(f"{view} view", content) for view, content in record["views"].items()),
    ]
    control = record["control"]
    if control is None:
        return lines
    reached = "reached" if control["auc"] >= control["auc_wanted"] else "NOT reached: the other figures mean nothing"
    lines.append(_auc_row("control: plain speckle", control))
    return [*lines, "", f"The control must reach {control['auc_wanted']}: {reached}."]


def _auc_row(what: str, content: Mapping[str, Any]) -> str:
    low, high = content["auc_range"]
    splits = ", ".join(f"{split['auc']:.3f} {_interval(split['auc_ci95'])}" for split in content["splits"])
    trained = ", ".join(f"{split['train_auc']:.3f}" for split in content["splits"])
    return f"| {what} | {content['auc']:.3f} | {low:.3f} to {high:.3f} | {splits} | {trained} |"


def _interval(interval: Sequence[float] | None) -> str:
    return "(-)" if interval is None else f"({interval[0]:.3f} to {interval[1]:.3f})"


def _joint_text(joint: Mapping[str, Any]) -> str:
    aucs, weights = joint["aucs"], joint["weights"]
    largest = ", ".join(f"{name} {weights[name]:+.2f}" for name in list(weights)[:6])
    return (
        f"A logistic regression on the statistics below: AUC {joint['auc']:.3f} ({min(aucs):.3f} to {max(aucs):.3f} in "
        f"{len(aucs)} splits by scene). Largest weights, + speaks for real: {largest}."
    )


def _statistic_row(row: Mapping[str, Any]) -> str:
    cells = [
        "-" if (spread := row[f"{which}_range"]) is None
        else f"{row[f'{which}_median']:.4f} ({spread[0]:.4f} to {spread[1]:.4f})"
        for which in ("real", "simulated")
    ]  # fmt: skip
    value = "-" if row["auc"] is None else f"{row['auc']:.3f}"
    return f"| {row['name']} | {value} | {cells[0]} | {cells[1]} | {row['what']} |"
