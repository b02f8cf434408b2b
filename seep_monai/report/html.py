"""A self-contained HTML page of an evaluation, with embedded images, for light and dark mode."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from matplotlib.figure import Figure

from seep_monai.classes import CLASS_COLOURS, SEEP_LABELS
from seep_monai.report.tables import HEADLINE_ROWS, value_at

# Choice: shows panels of 256 px tiles at full resolution, because ribbons are 3 px wide.
_DPI = 120
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fbfbfa; --line: #d9d9d4; --soft: #6a6f76; --accent:
#33597f; } @media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e3; --paper: #16181b; --line: #33373c; --soft: #9aa0a6; --accent: #8fb7dc; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem 1.2rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 1rem 0 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; color: var(--accent); }
p.note, figcaption { color: var(--soft); font-size: .88rem; margin: .3rem 0; }
.warning { border-left: 4px solid #c0392b; padding: .5rem .8rem; font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } thead th { color: var(--soft); font-weight: 600; }
figure { margin: .6rem 0; } img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em; }
.interval { color: var(--soft); font-size: .82rem; margin-left: .4em; }
details { margin: .6rem 0; } summary { cursor: pointer; } pre { overflow-x: auto; font-size: .8rem; }
"""


@dataclass(frozen=True, eq=False)
class Picture:
    """One image of the page.

    Attributes:
        title: title of the image.
        png: the encoded image.
        caption: text after the title.
    """

    title: str
    png: bytes
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """Content of the page.

    Attributes:
        metrics: the content of `metrics.json`.
        class_names: names of the labels 1..7.
        counts: part -> counts as in `datalist.json`.
        sections: heading -> pictures, in this order.
        settings: title -> value, shown as JSON at the end: config, versions, model.
        notes: sentences under the headline table.
    """

    metrics: Mapping[str, Any]
    class_names: Sequence[str]
    counts: Mapping[str, Any]
    sections: Mapping[str, Sequence[Picture]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


def figure_png(figure: Figure, *, dpi: float = _DPI) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def report_html(report: Report) -> str:
    """The page as one string; undefined values are shown as a dash."""
    metrics = report.metrics
    blocks = [
        f"<h1>Potential seeps: {escape(str(metrics['part']))} part</h1>",
        f'<p class="note">{metrics["n_tiles"]} tiles of {metrics["n_scenes"]} scenes, {metrics["n_instances"]} true '
        f"instances, instance mode {escape(str(metrics['instance_mode']))}</p>",
        _leak_warning(metrics),
        "<h2>Headline</h2>",
        _headline_table(metrics),
        *(f'<p class="note">{escape(note)}</p>' for note in report.notes),
        "<h2>Classes</h2>",
        _class_table(metrics, report.class_names),
        *(_section(heading, pictures) for heading, pictures in report.sections.items() if pictures),
        "<h2>Data</h2>",
        _count_table(report.counts, report.class_names),
        "<h2>Settings</h2>",
        f'<p class="note">weights {escape(str(metrics["weights_sha256"]))}<br>'
        f"plan {escape(str(metrics['plan_fingerprint']))}</p>",
        *(_details(name, content) for name, content in report.settings.items()),
    ]
    body = "\n".join(block for block in blocks if block)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>seep_monai report</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _leak_warning(metrics: Mapping[str, Any]) -> str:
    if not metrics["leaky"]:
        return ""
    return '<p class="warning">Leaky: scored scenes were trained on, so these scores are too high.</p>'


def _headline_table(metrics: Mapping[str, Any]) -> str:
    rows = []
    for name, key in HEADLINE_ROWS:
        interval = metrics.get("ci95", {}).get(key)
        limits = "-" if interval is None else f"{interval[0]:.3f} .. {interval[1]:.3f}"
        rows.append([escape(name), _shown(value_at(metrics, key)), limits])
    return _table(["", "value", "95 % interval"], rows)


def _class_table(metrics: Mapping[str, Any], class_names: Sequence[str]) -> str:
    columns = ("n_instances", "dice", "iou", "AP50", "AP", "AP10_50")
    intervals = metrics.get("ci95", {})
    rows = []
    for label, name in zip(SEEP_LABELS, class_names, strict=True):
        red, green, blue = CLASS_COLOURS[label]
        swatch = f'<span class="swatch" style="background:rgb({red},{green},{blue})"></span>'
        values = metrics["classes"][str(label)]
        cells = [_shown(values[column]) + _interval(intervals.get(f"classes.{label}.{column}")) for column in columns]
        rows.append([swatch + escape(name), *cells])
    return _table(["class", "instances", "Dice", "IoU", "AP50", "AP50-95", "AP10-50"], rows)


def _count_table(counts: Mapping[str, Any], class_names: Sequence[str]) -> str:
    rows = []
    for part, content in counts.items():
        per_class = [f"{content['tiles'][str(k)]} / {content['instances'][str(k)]}" for k in SEEP_LABELS]
        rows.append([escape(part), str(content["n_scenes"]), str(content["n_tiles"]), *per_class])
    note = '<p class="note">For each class: tiles with the class / instances.</p>'
    return _table(["part", "scenes", "tiles", *map(escape, class_names)], rows) + note


def _section(heading: str, pictures: Sequence[Picture]) -> str:
    return f'<h2>{escape(heading)}</h2>\n<div class="pair">{"".join(map(_picture, pictures))}</div>'


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode()
    caption = f"<b>{escape(picture.title)}</b> {escape(picture.caption)}"
    image = f'<img src="data:image/png;base64,{data}" alt="{escape(picture.title, quote=True)}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _details(name: str, content: Any) -> str:
    text = escape(json.dumps(content, indent=2, default=str))
    return f"<details><summary>{escape(name)}</summary><pre>{text}</pre></details>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _interval(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f'<span class="interval">{interval[0]:.2f}..{interval[1]:.2f}</span>'


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
