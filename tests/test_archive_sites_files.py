"""The files of `seep-monai sites`, read by GDAL, csv and an HTML parser, and the command itself."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Geod
from small_archives import KM_PER_DEG, joined, scenes_of, seeps_of, write_archive, write_item
from test_scene_map_page import Page

from seep_monai.__main__ import main
from seep_monai.archive.sites import Sites, find_sites
from seep_monai.archive.sites_files import write_sites
from seep_monai.archive.sites_page import sites_page
from seep_monai.archive.sites_places import SiteSettings
from seep_monai.classes import DEFAULT_CLASS_NAMES

RNG = np.random.default_rng(0)
# A site on each second of twenty passes, and one on each fourth 30 km east of it.
SEEPS = joined(
    seeps_of(np.arange(0, 20, 2), RNG.normal(0, 0.5, 10), RNG.normal(0, 0.2, 10), label=np.full(10, 3)),
    seeps_of(np.arange(0, 20, 4), RNG.normal(30, 0.5, 5), RNG.normal(0, 0.2, 5)),
)


@pytest.fixture(scope="module")
def sites() -> Sites:
    return find_sites(SEEPS, scenes_of(20), SiteSettings())


@pytest.fixture(scope="module")
def folder(sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sites") / "new"
    write_sites(out, sites)
    return out


def page_of(sites: Sites) -> Page:
    return Page(sites_page(sites, DEFAULT_CLASS_NAMES, facts=[("scenes", "20")]))


@pytest.mark.parametrize("name", ["sites.gpkg", "sites.geojson"])
def test_vector_files_hold_a_point_and_all_columns_of_each_site(folder: Path, sites: Sites, name: str) -> None:
    meta, _, geometry, columns = pyogrio.raw.read(folder / name)
    points = shapely.get_coordinates(shapely.from_wkb(geometry))
    table = dict(zip(meta["fields"], columns, strict=True))

    assert meta["crs"] == "EPSG:4326"
    assert points == pytest.approx(np.stack([sites.columns["lon"], sites.columns["lat"]], axis=1), abs=1e-6)
    assert list(table) == list(sites.columns)
    assert table["n_seen"].tolist() == [10, 5]
    assert table["recurrence"].tolist() == [0.5, 0.25]
    if name.endswith("gpkg"):
        assert table["first_time"].tolist() == ["2024-01-01T06:00:00Z"] * 2


def test_csv_has_a_row_a_site_and_empty_fields_for_what_is_unknown(folder: Path) -> None:
    with (folder / "sites.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert [row["rank"] for row in rows] == ["1", "2"]
    assert [row["n_passes"] for row in rows] == ["20", "20"]
    assert [row["target_share"] for row in rows] == ["", ""]
    assert rows[0]["last_time"] == "2024-08-04T06:00:00Z"


def test_page_fetches_nothing_and_lists_the_sites_by_rank(sites: Sites) -> None:
    page = page_of(sites)
    marks = page.data["marks"]

    assert page.open == []
    assert not {"src", "href"} & {name for _, attributes in page.tags for name in attributes}
    assert [mark[5]["title"] for mark in marks] == ["Site 1", "Site 2"]
    assert [mark[:2] for mark in marks] == [[3, 0.5], [1, 0.25]]
    assert page.data["picture"] is None
    assert "Recurrence at least" in page.text
    passes = [name for name, _, _ in page.data["fields"]].index("passes")
    assert [mark[4][passes] for mark in marks] == ["10 of 20", "5 of 20"]


def test_time_line_has_a_bar_for_each_pass(sites: Sites) -> None:
    data = page_of(sites).data
    lines = [mark[5] for mark in data["marks"]]

    assert [line["days"] for line in lines] == [[0] + [12] * 19] * 2
    assert [line["seen"] for line in lines] == ["10" * 10, "1000" * 5]
    assert (data["days"], data["dates"]) == (228, ["2024-01-01", "2024-08-16"])


def test_places_on_the_map_are_km_from_its_corner(sites: Sites) -> None:
    data = page_of(sites).data
    (x, y), (other_x, other_y) = (mark[2] for mark in data["marks"])
    lon, lat, per_column, per_row = data["corner"]
    first = sites.columns["lon"][0], sites.columns["lat"][0]
    geod, ends = Geod(a=6371008.8, f=0), [*first, sites.columns["lon"][1], sites.columns["lat"][1]]

    assert math.hypot(other_x - x, other_y - y) == pytest.approx(geod.inv(*ends)[2] / 1000, rel=1e-3)
    assert (lon + per_column * x, lat + per_row * y) == pytest.approx(first, abs=1e-4)
    [ring] = data["area"][0]
    assert shapely.Polygon(ring).area == pytest.approx(KM_PER_DEG**2, rel=1e-3)


def test_ellipse_on_the_map_has_the_axes_of_the_table(sites: Sites) -> None:
    corners = np.array(page_of(sites).data["marks"][0][5]["ellipse"])
    reach = np.linalg.norm(corners - corners.mean(axis=0), axis=1)
    major, minor, deg = (sites.columns[f"ellipse_{part}"][0] for part in ("major_km", "minor_km", "deg"))

    assert (reach.max(), reach.min()) == pytest.approx((major, minor), abs=2e-3)
    # The scatter is 0.5 km to the east and 0.2 km to the north.
    assert 60 < deg < 120
    right, down = corners[reach.argmax()] - corners.mean(axis=0)
    assert math.degrees(math.atan2(right, -down)) % 180 == pytest.approx(deg, abs=2)


def test_archive_across_the_antimeridian_is_one_map() -> None:
    lon = np.where(SEEPS.lon > 0.1, SEEPS.lon - 180, SEEPS.lon + 179.99)
    footprint = shapely.MultiPolygon([shapely.box(179.5, -0.5, 180, 0.5), shapely.box(-180, -0.5, -179.5, 0.5)])
    scenes = scenes_of(20)
    moved = type(SEEPS)(**{**vars(SEEPS), "lon": lon})
    found = find_sites(
        moved, type(scenes)(scenes.names, scenes.times, np.array([footprint] * 20, object)), SiteSettings()
    )
    data = page_of(found).data

    assert found.columns["n_passes"].tolist() == [20, 20]
    assert data["size"][0] < 150
    assert all(0 < mark[2][0] < data["size"][0] for mark in data["marks"])


def test_page_without_a_site_says_so() -> None:
    page = page_of(find_sites(seeps_of([0], [0], [0]), scenes_of(3), SiteSettings()))
    assert "No sites were found" in page.text
    assert page.data["marks"] == []


def test_command_writes_the_sites_of_an_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = write_archive(tmp_path / "out", scenes_of(20), SEEPS)
    main(["sites", str(archive), "--output_dir", str(tmp_path / "sites"), "--min_passes", "6"])

    assert sorted(path.name for path in (tmp_path / "sites").iterdir()) == [
        "sites.csv",
        "sites.geojson",
        "sites.gpkg",
        "sites.html",
    ]
    assert "1 sites written" in capsys.readouterr().out
    features = json.loads((tmp_path / "sites" / "sites.geojson").read_text())["features"]
    assert [feature["properties"]["n_seen"] for feature in features] == [10]


def test_command_names_scenes_without_a_time(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "out", scenes_of(20), SEEPS)
    write_item(archive, "s0007", None, shapely.geometry.mapping(shapely.box(0, 0, 1, 1)))
    with pytest.raises(SystemExit, match="s0007"):
        main(["sites", str(archive), "--output_dir", str(tmp_path / "sites")])
    assert not (tmp_path / "sites").exists()


def test_command_explains_a_bad_setting(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--radius_km"):
        main(["sites", str(tmp_path), "--output_dir", str(tmp_path / "sites"), "--radius_km", "0"])
