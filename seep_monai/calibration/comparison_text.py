"""The comparison of a simulated with a real tile set as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seep_monai.calibration.comparison import KS_LIMIT, MIN_PER_SCENE, PERCENTS
from seep_monai.calibration.statistics import (
    CLASS_SHARES,
    CLASS_STATISTICS,
    SEA_SHARES,
    SEA_STATISTICS,
    class_key,
    together_key,
)
from seep_monai.classes import SEEP_LABELS
from seep_monai.markdown import markdown_table

_MARKS = {True: "yes", False: "**no**", None: "-"}


def markdown(report: Mapping[str, Any]) -> str:
    """The report as Markdown.

    Args:
        report: content of `calibration.json`.
    """
    sections = [_head(report), _verdict(report["verdict"]), _goals(report["verdict"]["goals"])]
    sections.append(_distributions("Sea", [f"sea.{name}" for name in SEA_STATISTICS], report["distributions"]))
    for label in SEEP_LABELS:
        keys = [class_key(label, name) for name in CLASS_STATISTICS]
        sections.append(_distributions(f"Class {label}", keys, report["distributions"]))
    sections += [_shares(report["shares"]), _together(report["shares"]), _left_out(report), _meaning()]
    return "\n\n".join(sections) + "\n"


def verdict_text(verdict: Mapping[str, Any]) -> str:
    """The verdict as text for a terminal: number of statistics in band, keys out of band, and goals.

    Args:
        verdict: from `comparison.compare`.
    """
    goals = verdict["goals"]
    lines = [
        _in_band_text(verdict),
        f"out of band: {', '.join(verdict['out_of_band']) or 'none'}",
        f"goals met: {sum(goal['met'] is True for goal in goals)} of {len(goals)}",
    ]
    return "\n".join([*lines, *(f"  {goal['key']:20s} KS {number_text(goal['ks'])}" for goal in goals)])


def number_text(value: float | None) -> str:
    """The value with three significant digits; a dash for None.

    >>> [number_text(value) for value in (0.17834, 1204.4, 0.0, None)]
    ['0.178', '1204', '0', '-']
    """
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _head(report: Mapping[str, Any]) -> str:
    rows = []
    for side in ("real", "simulated"):
        numbers = report[side]
        part = f"{numbers['n_tiles']} of {numbers['n_tiles_in_folder']}"
        rows.append([side, part, str(len(numbers["tiles_per_scene"])), f"`{numbers['folder']}`"])
    table = markdown_table(["set", "tiles measured", "scenes", "folder"], rows)
    return f"# Simulated against real tiles\n\nSeed {report['seed']}.\n\n{table}"


def _verdict(verdict: Mapping[str, Any]) -> str:
    out, undefined = _listed(verdict["out_of_band"]), _listed(verdict["undefined"])
    return f"## Verdict\n\n{_in_band_text(verdict)}\n\n- out of band: {out}\n- undefined: {undefined}"


def _in_band_text(verdict: Mapping[str, Any]) -> str:
    n_out, n_undefined = len(verdict["out_of_band"]), len(verdict["undefined"])
    n_in = verdict["n_statistics"] - n_out - n_undefined
    return (
        f"{n_in} of {verdict['n_statistics']} statistics lie in the real 5-95 % band, {n_out} outside; "
        f"{n_undefined} have no band or no value."
    )


def _goals(goals: Sequence[Mapping[str, Any]]) -> str:
    n_met = sum(goal["met"] is True for goal in goals)
    rows = [
        [f"`{goal['key']}`", number_text(goal["ks"]), number_text(goal["ks_by_chance"]), _MARKS[goal["met"]]]
        for goal in goals
    ]
    title = f"## Goals: KS distance below {KS_LIMIT} ({n_met} of {len(goals)} met)"
    return f"{title}\n\n{markdown_table(['statistic', 'KS', 'KS by chance', 'met'], rows)}"


def _distributions(title: str, keys: Sequence[str], entries: Mapping[str, Any]) -> str:
    spread = "/".join(str(percent) for percent in PERCENTS)
    rows = []
    for key in keys:
        entry = entries[key]
        sides: list[str] = []
        for side in (entry["real"], entry["simulated"]):
            sides += [str(side["n"]), " / ".join(number_text(side[f"p{percent}"]) for percent in PERCENTS)]
        distances = [number_text(entry["ks"]), number_text(entry["wasserstein"]), _MARKS[entry["in_band"]]]
        rows.append([f"`{key}`", *sides, *distances])
    heads = ["statistic", "n real", f"real p{spread}", "n sim.", f"simulated p{spread}", "KS", "W", "in band"]
    return f"## {title}\n\n" + markdown_table(heads, rows)


def _shares(entries: Mapping[str, Any]) -> str:
    keys = [f"sea.{name}" for name in SEA_SHARES]
    keys += [class_key(label, name) for label in SEEP_LABELS for name in CLASS_SHARES]
    rows = []
    for key in keys:
        entry = entries[key]
        sides = [text for side in ("real", "simulated") for text in _share_texts(entry[side])]
        band = "-" if entry["band"] is None else " to ".join(map(number_text, entry["band"]))
        rows.append([f"`{key}`", *sides, band, _MARKS[entry["in_band"]]])
    return "## Shares\n\n" + markdown_table(["share", "n real", "real", "n sim.", "simulated", "band", "in band"], rows)


def _together(entries: Mapping[str, Any]) -> str:
    """Matrix of class pairs with cells `real / simulated` in %, bold if out of band."""
    rows = []
    for label in SEEP_LABELS:
        cells = []
        for other in SEEP_LABELS:
            if other == label:
                cells.append("")
                continue
            entry = entries[together_key(label, other)]
            text = f"{_percent(entry['real']['share'])} / {_percent(entry['simulated']['share'])}"
            cells.append(f"**{text}**" if entry["in_band"] is False else text)
        rows.append([f"class {label}", *cells])
    return (
        "## Classes together\n\nShare of the tiles with the row's class that hold the column's class as well, in %: "
        "real / simulated; bold is out of band.\n\n"
        + markdown_table(["", *(f"class {label}" for label in SEEP_LABELS)], rows)
    )


def _left_out(report: Mapping[str, Any]) -> str:
    lines = [f"- {side}: {reason}" for side in ("real", "simulated") for reason in report[side]["left_out"]]
    return "## Left out\n\n" + ("\n".join(lines) or "Nothing.")


def _meaning() -> str:
    statistics = [f"- `sea.{name}`: {text}" for name, text in SEA_STATISTICS.items()]
    statistics += [f"- `classK.{name}`: {text}" for name, text in CLASS_STATISTICS.items()]
    shares = [f"- `sea.{name}`: share of {text}" for name, text in SEA_SHARES.items()]
    shares += [f"- `classK.{name}`: share of {text}" for name, text in CLASS_SHARES.items()]
    return "\n".join(
        [
            "## What the figures are",
            "",
            *statistics,
            *shares,
            "",
            "KS is the two-sample Kolmogorov-Smirnov distance; by chance, independent samples of these sizes from one "
            "distribution exceed the given one once in twenty times. W is the Wasserstein distance in units of the "
            "real interquartile range (of the standard deviation where that is 0). A statistic is in band where the "
            "simulated median lies between the 5th and 95th percentile of the real values; a share, where it lies "
            f"between those of the real scenes with at least {MIN_PER_SCENE} tiles or instances, or up to the real "
            "share. A dash stands where nothing is defined.",
        ]
    )


def _share_texts(side: Mapping[str, Any]) -> list[str]:
    return [str(side["n"]), number_text(side["share"])]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}"


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys) or "none"
