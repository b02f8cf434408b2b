"""The frame of a map page: Leaflet, the list of marks, a legend and a slider in one file that fetches nothing."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from seep_monai.classes import CLASS_COLOURS, SEEP_LABELS

LIMITS = "Potential seeps: low wind, rain, algae and ships make dark marks as well."

# A browser refuses to fetch anything for the page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@dataclass(frozen=True)
class PageWords:
    """What a page calls things.

    Attributes:
        title: heading of the page.
        marks: what is on the map, plural: "seeps".
        number: what the slider sets the least value of, 0 to 1: "score".
        map_label: name of the map for screen readers.
        empty: sentence in place of the list if there is no mark.
        details: heading of the table of facts.
    """

    title: str
    marks: str
    number: str
    map_label: str
    empty: str
    details: str


def document(
    words: PageWords, class_names: Sequence[str], facts: Sequence[tuple[str, str]], content: Mapping[str, Any]
) -> str:
    """The page as one string.

    Args:
        words: what it calls things.
        class_names: of the classes 1..7, for the legend.
        facts: rows of a small table: name and value.
        content: what the script of the page reads as JSON. Needed: `size`, width and height of the map in px; `scale`,
            px of the map for a px of the picture; `pixel_m`, length of a px, None without a scale bar; `picture`, data
            URL, or None; `fields`, name, label and unit of each value; `shown`, names of the fields in the list;
            `marks`, each with class, number, (x, y) of its origin, its parts or None for a dot, values, and what the
            page of sites adds.
    """
    here = files("seep_monai.scene")
    licence = (here / "leaflet/LICENSE").read_text(encoding="utf-8")
    # A browser asks for a script's source map, and for the icons in a style sheet.
    leaflet = re.sub(r"//# sourceMappingURL=\S*", "", (here / "leaflet/leaflet.js").read_text(encoding="utf-8"))
    leaflet_style = re.sub(r"url\([^)]*\)", "none", (here / "leaflet/leaflet.css").read_text(encoding="utf-8"))
    style, script = ((here / f"map_page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    table = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)
    details = f"<details><summary>{words.details}</summary><table>{table}</table></details>" if facts else ""
    named = {"words": [words.marks, words.number], "classes": [[class_names[k - 1], _colour(k)] for k in SEEP_LABELS]}
    # Within a script element text ends at "</script"; JSON can write any "<" in another way.
    data = json.dumps({**named, **content}, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    width, height = content["size"]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(words.title)}: potential seeps</title>
<style>
{leaflet_style}
{style}</style>
</head>
<body>
<header><h1>{escape(words.title)}</h1><p class="note">{LIMITS}</p></header>
<div id="map" aria-label="{words.map_label}" style="--ratio:{height / width:.4f}"></div>
<aside>
<noscript><section>The map needs JavaScript.</section></noscript>
{_panel(words, class_names, content["marks"])}
{details}
</aside>
<script id="map-data" type="application/json">{data}</script>
<script>/*
{licence}*/
{leaflet}</script>
<script>{script}</script>
</body>
</html>
"""


def rounded(number: float, how: str) -> float:
    """A number with the digits of a format, whole if it is.

    >>> rounded(2.718, ".2f"), rounded(3.0001, ".3g")
    (2.72, 3)
    """
    value = float(f"{number:{how}}")
    return int(value) if value.is_integer() else value


def _panel(words: PageWords, class_names: Sequence[str], marks: Sequence[Sequence[Any]]) -> str:
    """The slider, the legend and the empty list; without marks a sentence."""
    if not marks:
        return f'<section><p class="empty">{words.empty}</p></section>'
    # Down, so that the lowest number passes.
    lowest = math.floor(min(mark[1] for mark in marks) * 100) / 100
    counts = Counter(mark[0] for mark in marks)
    boxes = "".join(_legend_entry(label, class_names[label - 1], counts[label]) for label in SEEP_LABELS)
    least = f'<span>{words.number.capitalize()} at least <b id="least"></b></span>'
    return (
        f'<section><label class="score" for="score">{least}'
        '<b id="count" aria-live="polite"></b></label>'
        f'<input id="score" type="range" min="{lowest:.2f}" max="1" step="0.01" value="{lowest:.2f}"></section>\n'
        '<section><h2><label><input id="all" type="checkbox"> Classes</label></h2>'
        f'<div class="legend">{boxes}</div></section>\n<ol id="list"></ol>'
    )


def _legend_entry(label: int, name: str, count: int) -> str:
    state = ' class="none"' if not count else ""
    box = f'<input type="checkbox" value="{label}"{" checked" if count else " disabled"}>'
    swatch = f'<span class="swatch" style="background:{_colour(label)}"></span>'
    text = f'<span class="name">{escape(name)}</span><span class="number">{count}</span>'
    return f"<label{state}>{box}{swatch}{text}</label>"


def _colour(label: int) -> str:
    return f"rgb({','.join(map(str, CLASS_COLOURS[label]))})"
