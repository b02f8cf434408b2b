from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from matplotlib.figure import Figure

from seep_monai.classes import DEFAULT_CLASS_NAMES, SEEP_LABELS
from seep_monai.report.html import Picture, Report, figure_png, report_html
from seep_monai.report.tables import HEADLINE_ROWS, headline_text


def some_metrics(**changes: Any) -> dict[str, Any]:
    """The content of a metrics.json with every score .25, but for what is changed."""
    per_class = dict.fromkeys(("iou", "dice", "AP", "AP50", "AP10_50"), 0.25)
    metrics: dict[str, Any] = {
        "part": "test",
        "n_tiles": 12,
        "n_scenes": 3,
        "n_instances": 31,
        "leaky": False,
        "instance_mode": "class",
        "weights_sha256": "a" * 64,
        "plan_fingerprint": "b" * 64,
        "classes": {str(label): {**per_class, "n_instances": label} for label in SEEP_LABELS},
        "seep": {},
        "ribbon": {},
        "ci95": {},
    }
    for _, key in HEADLINE_ROWS:
        *groups, name = key.split(".")
        content = metrics
        for group in groups:
            content = content.setdefault(group, {})
        content[name] = 0.25
    return {**metrics, **changes}


def some_report(**changes: Any) -> Report:
    counts = {str(label): 2 for label in range(8)}
    part = {"n_tiles": 5, "n_scenes": 2, "tiles": counts, "instances": counts}
    content: dict[str, Any] = {
        "metrics": some_metrics(),
        "class_names": DEFAULT_CLASS_NAMES,
        "counts": {"training": part},
        "sections": {"Curves": [Picture("A curve", b"\x89PNG", "what it shows")]},
    }
    return Report(**{**content, **changes})


class Links(HTMLParser):
    """Collects all that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_report_html_fetches_nothing_and_closes_its_tags() -> None:
    parser = Links()
    page = report_html(some_report())
    parser.feed(page)
    assert parser.open == []
    assert len(parser.links) == 1
    assert all(link.startswith("data:image/png;base64,") for link in parser.links)
    assert "@import" not in page
    assert "url(" not in page


def test_report_html_shows_every_headline_figure_and_class() -> None:
    page = report_html(some_report())
    for name, _ in HEADLINE_ROWS:
        assert f"<td>{name}</td><td>0.250</td>" in page
    for name in DEFAULT_CLASS_NAMES:
        assert name in page


def test_report_html_undefined_is_a_dash() -> None:
    page = report_html(some_report(metrics=some_metrics(mAP50=None)))
    assert "<td>mAP50</td><td>-</td><td>-</td>" in page


def test_report_html_interval_stands_beside_its_figure() -> None:
    page = report_html(some_report(metrics=some_metrics(ci95={"mAP50": [0.125, 0.5]})))
    assert "<td>mAP50</td><td>0.250</td><td>0.125 .. 0.500</td>" in page


@pytest.mark.parametrize("leaky", [True, False])
def test_report_html_warns_of_a_leak_only(leaky: bool) -> None:
    page = report_html(some_report(metrics=some_metrics(leaky=leaky)))
    assert ("Leaky: scored scenes were trained on" in page) is leaky


def test_report_html_names_are_escaped() -> None:
    names = ["<script>alert(1)</script>", *DEFAULT_CLASS_NAMES[1:]]
    page = report_html(some_report(class_names=names, settings={"a & b": {"x": "</pre><b>"}}))
    assert "<script>" not in page
    assert "</pre><b>" not in page
    assert "a &amp; b" in page


def test_report_html_has_a_dark_style_and_fits_a_phone() -> None:
    page = report_html(some_report())
    assert "prefers-color-scheme: dark" in page
    assert re.search(r'<meta name="viewport" content="width=device-width', page)


def test_figure_png_is_a_png() -> None:
    figure = Figure(figsize=(1, 1))
    figure.subplots()
    assert figure_png(figure).startswith(b"\x89PNG")


def test_headline_text_shows_intervals_and_the_undefined() -> None:
    text = headline_text(some_metrics(mAP=None, ci95={"seep.dice": [0.2, 0.3]}))
    lines = {line[:24].strip(): line[24:].split() for line in text.splitlines()}
    assert lines["seep Dice"] == ["0.250", "[0.200,", "0.300]"]
    assert lines["mAP50-95"] == ["undefined"]


def test_report_html_embeds_a_picture_byte_for_byte() -> None:
    content = bytes(range(256))
    page = report_html(some_report(sections={"S": [Picture("t", content)]}))
    assert base64.b64encode(content).decode() in page
