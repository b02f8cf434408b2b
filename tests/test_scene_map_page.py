"""The map page, read as a browser reads it: by an HTML parser, and its data by JSON and shapely."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
import shapely
from PIL import Image
from pyproj import CRS, Geod
from rasterio.transform import Affine

from seep_monai.classes import CLASS_COLOURS, DEFAULT_CLASS_NAMES, SEEP_LABELS
from seep_monai.errors import DataError
from seep_monai.scene.map_page import map_page, quick_look_size
from seep_monai.scene.page_frame import LIMITS
from seep_monai.scene.place import CubicFit, Place
from seep_monai.scene.seep_objects import SeepObject, attributes, label_polygons

UTM = Place(CRS.from_epsg(32631), Affine(40.0, 0.0, 500_000.0, 0.0, -40.0, 6_600_000.0))
DEGREES = Place(CRS.from_epsg(4326), Affine(1e-3, 0.0, -90.0, 0.0, -1e-3, 27.0))
SHAPE = (60, 90)
NASTY = "</script><script>alert(1)</script><!-- \"'&amp; \u2028 é"
VOID = {"meta", "input", "br", "link", "img"}


class Page(HTMLParser):
    """Elements, text and scripts of a page.

    Attributes:
        tags: (name, attributes) of each element.
        text: outside of scripts and styles.
        scripts, styles: content of these elements.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text, self.styles, self.scripts = "", "", list[str]()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside == "script":
            self.scripts[-1] += data
        elif inside == "style":
            self.styles += data
        else:
            self.text += data

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.scripts[0], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def seep(mask: np.ndarray, label: int = 5, score: float = 0.75, contrast_db: float = -4.2) -> SeepObject:
    [polygon] = label_polygons(mask.astype(np.int32)).values()
    rows, columns = np.nonzero(mask)
    line = np.array([[columns[0], rows[0]], [columns[-1], rows[-1]]]) + 0.5
    return SeepObject(label, score, np.eye(7)[label - 1], polygon, line, contrast_db, False)


def bar(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    return mask


def page_of(seeps: Sequence[SeepObject], place: Place = UTM, **options: Any) -> Page:
    settings = {"quick_look": np.full(SHAPE, 90, np.uint8), "scale": 1.0, "class_names": DEFAULT_CLASS_NAMES}
    return Page(map_page(seeps=seeps, place=place, **{**settings, "scene": "s1", **options}))


def polygon_of(parts: list[list[list[int]]]) -> shapely.MultiPolygon:
    """By the rule of the page: a corner, then steps along columns and rows in turn."""
    rings = []
    for part in parts:
        rings.append([])
        for column, row, *steps in part:
            corners = [(column, row)]
            for i, step in enumerate(steps):
                column, row = (column, row + step) if i % 2 else (column + step, row)
                corners.append((column, row))
            rings[-1].append(corners)
    return shapely.MultiPolygon([(outer, holes) for outer, *holes in rings])


def fields_of(page: Page, i: int = 0) -> dict[str, float]:
    """The fields of a seep that its pop-up shows."""
    names = [name for name, _, _ in page.data["fields"]]
    return {name: v for name, v in zip(names, page.data["marks"][i][4], strict=True) if v is not None}


def test_page_is_well_formed_and_fetches_nothing() -> None:
    page = page_of([seep(bar(slice(5, 9), slice(5, 40)))], facts=[("weights", "ab")])
    assert page.open == []
    loading = {"src", "href", "srcset", "data", "poster", "action"}
    assert [attributes for _, attributes in page.tags if loading & set(attributes)] == []
    assert not re.search(r"url\(|@import", page.styles)
    assert not any(re.search(r"sourceMappingURL|\bimport\(|\bfetch\(", script) for script in page.scripts)
    assert page.data["picture"].startswith("data:image/jpeg;base64,")
    [policy] = [meta["content"] for meta in page.of("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_page_holds_leaflet_with_its_licence() -> None:
    script = page_of([]).scripts[1]
    assert "Leaflet 1.9.4" in script
    assert "Redistribution and use in source and binary forms" in script
    assert "AS IS" in script


def test_leaflet_is_as_its_authors_released_it() -> None:
    folder = files("seep_monai.scene") / "leaflet"
    sums = re.findall(r"^([0-9a-f]{64})  (\S+)$", (folder / "VERSION").read_text(), re.MULTILINE)
    assert {name for _, name in sums} == {"leaflet.js", "leaflet.css"}
    for expected, name in sums:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected


def test_page_has_a_dark_style_and_fits_a_phone() -> None:
    page = page_of([])
    assert "prefers-color-scheme: dark" in page.styles
    assert "max-width: 720px" in page.styles
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.of("meta")


def test_page_says_what_else_is_dark() -> None:
    assert LIMITS in page_of([]).text


@pytest.mark.parametrize("seed", range(5))
def test_data_give_the_polygons_back(seed: int) -> None:
    # Random pixels have holes, parts that touch at corners, and parts inside holes.
    mask = np.random.default_rng(seed).random(SHAPE) < 0.5
    expected = seep(mask)
    found = polygon_of(page_of([expected]).data["marks"][0][3])
    assert found.is_valid
    assert found.area == mask.sum()
    assert found.normalize() == expected.polygon.normalize()


def test_point_within_an_edge_is_no_corner() -> None:
    expected = seep(bar(slice(5, 9), slice(5, 40)))
    more = shapely.MultiPolygon([shapely.Polygon([(20, 5), (40, 5), (40, 7), (40, 9), (5, 9), (5, 6), (5, 5)])])
    given = dataclasses.replace(expected, polygon=more)
    [[ring]] = page_of([given]).data["marks"][0][3]
    assert len(ring) == 2 + 3
    assert polygon_of([[ring]]).normalize() == expected.polygon.normalize()


@pytest.mark.parametrize("corners", [[(0, 0), (4, 0), (4, 3)], [(0, 0), (4.5, 0), (4.5, 3), (0, 3)]])
def test_polygon_beside_the_pixel_edges_is_an_error(corners: list[tuple[float, float]]) -> None:
    given = seep(bar(slice(5, 9), slice(5, 40)))
    polygon = shapely.MultiPolygon([shapely.Polygon(corners)])
    with pytest.raises(DataError, match="edges of pixels"):
        page_of([dataclasses.replace(given, polygon=polygon)])


def test_picture_is_the_quick_look_as_large_as_the_scene() -> None:
    quick_look = np.tile(np.linspace(20, 220, 90).astype(np.uint8), (60, 1))
    data = page_of([], quick_look=quick_look, scale=2.5).data
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["picture"].split(",")[1]))))
    assert shown.shape == SHAPE
    assert np.abs(shown.astype(int) - quick_look).max() < 8
    assert (data["size"], data["scale"]) == ([225, 150], 2.5)


def test_seeps_are_listed_by_falling_score_with_their_class() -> None:
    masks = [bar(slice(k * 5, k * 5 + 2), slice(5, 40)) for k in range(3)]
    scores = (0.2, 0.9, 0.55)
    seeps = [seep(mask, k, score) for k, mask, score in zip((1, 7, 3), masks, scores, strict=True)]
    page = page_of(seeps)
    assert [row[:2] for row in page.data["marks"]] == [[7, 0.9], [3, 0.55], [1, 0.2]]
    assert [fields_of(page, i)["fid"] for i in range(3)] == [2, 3, 1]
    assert [polygon_of(row[3]).area for row in page.data["marks"]] == [70, 70, 70]
    assert page.data["marks"][0][2] == [5.5, 5.5]


def test_slider_starts_where_every_seep_passes() -> None:
    masks = [bar(slice(k * 5, k * 5 + 2), slice(5, 40)) for k in range(2)]
    page = page_of([seep(masks[0], score=0.8), seep(masks[1], score=0.2999)])
    [slider] = [box for box in page.of("input") if box["type"] == "range"]
    assert (slider["min"], slider["value"], slider["max"]) == ("0.29", "0.29", "1")


def test_legend_counts_the_seeps_of_each_class_in_its_colour() -> None:
    masks = [bar(slice(k * 5, k * 5 + 2), slice(5, 40)) for k in range(3)]
    page = page_of([seep(mask, k) for k, mask in zip((2, 2, 6), masks, strict=True)])
    boxes = {box["value"]: box for box in page.of("input") if box["type"] == "checkbox" and "value" in box}
    assert list(boxes) == [str(k) for k in SEEP_LABELS]
    assert [k for k, box in boxes.items() if "checked" in box] == ["2", "6"]
    assert [k for k, box in boxes.items() if "disabled" in box] == ["1", "3", "4", "5", "7"]
    assert "Seep cls22" in page.text
    assert "Seep cls61" in page.text
    colours = [f"rgb({r},{g},{b})" for r, g, b in CLASS_COLOURS[1:]]
    swatches = [span["style"] for span in page.of("span") if span.get("class") == "swatch"]
    assert swatches == [f"background:{colour}" for colour in colours]
    assert page.data["classes"] == [list(pair) for pair in zip(DEFAULT_CLASS_NAMES, colours, strict=True)]


def test_fields_are_the_attributes_of_the_polygon_files() -> None:
    given = seep(bar(slice(20, 24), slice(10, 60)))
    page = page_of([given])
    found, expected = fields_of(page), attributes(given, UTM)
    for name, tolerance in {"area_km2": 5e-3, "length_km": 5e-3, "width_m": 5e-3}.items():
        assert found[name] == pytest.approx(expected[name], rel=tolerance)
    for name in ("lon", "lat", "origin_lon", "origin_lat"):
        assert found[name] == pytest.approx(expected[name], abs=1e-5)
    assert found["orientation_deg"] == pytest.approx(expected["orientation_deg"], abs=0.5)
    assert found["contrast_db"] == -4.2
    assert ["width_m", "mean width", "m"] in page.data["fields"]
    assert not any(name.endswith("_px") for name in found)


def test_undefined_fields_are_left_out() -> None:
    defined, undefined = seep(bar(slice(20, 24), slice(10, 60))), seep(bar(slice(2, 3), slice(2, 3)), 1, 0.1, math.nan)
    assert math.isnan(attributes(undefined, UTM)["orientation_deg"])
    page = page_of([defined, undefined])
    assert {"contrast_db", "orientation_deg"} <= set(fields_of(page, 0))
    assert set(fields_of(page, 0)) - set(fields_of(page, 1)) == {"contrast_db", "orientation_deg"}
    alone = page_of([undefined])
    assert not {"contrast_db", "orientation_deg"} & {name for name, _, _ in alone.data["fields"]}


def test_without_coordinate_system_sizes_are_in_px() -> None:
    page = page_of([seep(bar(slice(20, 24), slice(10, 60)))], Place())
    found = fields_of(page)
    length = 1 + math.hypot(49, 3)
    assert found["area_px"] == 200
    assert found["length_px"] == pytest.approx(length, abs=0.05)
    assert found["width_px"] == pytest.approx(200 / length, abs=0.05)
    assert (found["origin_column"], found["origin_row"]) == (10, 20)
    assert set(found) == {"area_px", "length_px", "width_px", "contrast_db", "origin_column", "origin_row", "fid"}
    assert page.data["pixel_m"] is None
    assert "pixel at the centre" not in page.text


def cubic_degrees() -> Place:
    """Control points every 10 px of `DEGREES`."""
    rows, columns = np.mgrid[0:121:10, 0:181:10]
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(float)
    return Place(DEGREES.crs, cubic=CubicFit.of_points(pixels, DEGREES.to_map(pixels)))


@pytest.mark.parametrize("place", [lambda: DEGREES, cubic_degrees])
def test_scale_bar_measures_neighbouring_columns_at_the_centre(place: Callable[[], Place]) -> None:
    page = page_of([], place(), scale=2.0)
    middle_lat = 27 - 60e-3
    assert page.data["pixel_m"] == pytest.approx(Geod(ellps="WGS84").inv(0, middle_lat, 1e-3, middle_lat)[2], rel=1e-6)
    # A degree of longitude is shorter by the cosine of the latitude, so these pixels are no squares.
    assert "99.31 m x 110.8 m" in page.text


def test_scale_bar_knows_the_scale_of_the_projection() -> None:
    assert page_of([]).data["pixel_m"] == pytest.approx(40 / 0.9996, rel=1e-5)


def test_no_name_becomes_markup() -> None:
    names = [NASTY, *DEFAULT_CLASS_NAMES[1:]]
    seeps = [seep(bar(slice(5, 9), slice(5, 40)), label=1)]
    page = page_of(seeps, class_names=names, scene=NASTY, facts=[(NASTY, NASTY)])
    plain = page_of(seeps, facts=[("a", "b")])
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert page.open == []
    # Title, heading, legend, and both cells.
    assert page.text.count(NASTY) == 5
    assert page.data["classes"][0][0] == NASTY
    assert page.scripts[1:] == plain.scripts[1:]


def test_without_seeps_the_scene_is_shown_with_a_sentence() -> None:
    page = page_of([], facts=[("level", "81 DN")])
    assert "No seeps were found in this scene." in page.text
    assert page.of("input") == []
    assert (page.data["marks"], page.data["fields"]) == ([], [])
    assert page.data["picture"].startswith("data:image/jpeg")
    assert "level81 DN" in page.text


def test_ten_thousand_seeps_take_less_than_15_mb() -> None:
    # A slick of 200 corners, and speckle, which JPEG cannot make small.
    steps = np.repeat(np.arange(50), 2)
    mask = np.zeros((60, 100), bool)
    for column, row in enumerate(steps):
        mask[row : row + 4, column] = True
    first = seep(mask)
    assert len(shapely.get_coordinates(first.polygon)) > 190
    offsets = np.random.default_rng(0).integers(10_000, 20_000, (100, 2))
    polygons = [shapely.transform(first.polygon, lambda corners, by=by: corners + by) for by in offsets]
    seeps = [dataclasses.replace(first, polygon=polygon) for polygon in polygons] * 100
    speckle = np.random.default_rng(0).gamma(4.4, 25, (2048, 2048)).clip(0, 255).astype(np.uint8)
    page = map_page(speckle, 10.0, seeps, Place(), DEFAULT_CLASS_NAMES, scene="s1")
    assert len(page.encode()) < 15e6


@pytest.mark.parametrize(
    "changes",
    [
        {"quick_look": np.zeros((3, 20, 30), np.uint8)},
        {"quick_look": np.zeros((20, 30), np.float32)},
        {"quick_look": np.zeros((20, 2049), np.uint8)},
        {"quick_look": np.zeros((0, 30), np.uint8)},
        {"scale": 0.5},
        {"scale": math.nan},
    ],
)
def test_bad_picture_or_scale_is_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"quick-look|scale"):
        page_of([], **changes)


def test_quick_look_is_as_large_as_allowed() -> None:
    for shape in ((16_700, 25_900), (2049, 10), (300, 200)):
        scale = quick_look_size(shape)
        assert scale == 1 or round(max(shape) / scale) == 2048
        assert round(max(shape) / scale) <= 2048
    assert quick_look_size((500, 1000), most_px=100) == 10
