"""The script that scores sites against true vents, on an archive worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from script_runs import run_script
from small_archives import KM_PER_DEG, joined, scenes_of, seeps_of, write_archive


def vent(east_km: float, rate: float, n_shown: int, kind: str = "vent") -> dict:
    place = {"type": "Point", "coordinates": [east_km / KM_PER_DEG, 0]}
    properties = {"kind": kind, "rate": rate, "dates_seen": ["2024-01-01"] * n_shown}
    return {"type": "Feature", "properties": properties, "geometry": place}


def test_sites_are_scored_against_the_vents(tmp_path: Path) -> None:
    # Sites of recurrence .5 at 0, 20, -20 and 40 km, half of them with a bright target at 40 km.
    seeps = joined(*(seeps_of(np.arange(0, 20, 2), [km] * 10, [0] * 10) for km in (0, 20, -20, 40)))
    target_km = np.where(np.arange(40) >= 35, 0.3, np.nan)
    write_archive(tmp_path / "out", scenes_of(20), seeps, target_km=target_km)
    # Found with its rate, found with another rate, a rare one; one that is not found; the platform.
    vents = [vent(1, 0.4, 5), vent(20, 0.95, 10), vent(-20.5, 0.1, 2), vent(-40, 0.5, 3), vent(40, 0.5, 9, "platform")]
    (tmp_path / "vents.geojson").write_text(json.dumps({"features": vents}))
    done = run_script("score_sites", tmp_path, tmp_path / "out", "--n_shuffles", 2)

    assert done.returncode == 0, done.stderr
    found, chance = done.stdout.split("}\n{", maxsplit=1)
    assert json.loads(found + "}") == {
        "vents": 3,
        "sites": 3,
        "found": 2,
        "at_rarer_vents": 1,
        "wrong": 0,
        "recall": 2 / 3,
        "precision": 1.0,
        "rate_inside_interval": 0.5,
        "found_by_passes_with_a_slick": {
            "0 to 3": "0 of 1",
            "4 to 5": "1 of 1",
            "6 to 9": "0 of 0",
            "10 or more": "1 of 1",
        },
        "left_out_at_targets": 1,
    }
    assert json.loads("{" + chance)["by chance"]["mean_found"] <= 1


def test_slicks_of_low_scores_do_not_count(tmp_path: Path) -> None:
    score = np.array([0.3] * 10 + [0.2] * 10)
    seeps = joined(*(seeps_of(np.arange(0, 20, 2), [km] * 10, [0] * 10) for km in (0, 20)))
    write_archive(tmp_path / "out", scenes_of(20), seeps, score=score)
    (tmp_path / "vents.geojson").write_text(json.dumps({"features": [vent(0, 0.5, 10), vent(20, 0.5, 10)]}))
    found = {}
    for least in (0.2, 0.3):
        done = run_script("score_sites", tmp_path, tmp_path / "out", "--least_score", least, "--n_shuffles", 1)
        found[least] = json.loads(done.stdout.split("}\n{", maxsplit=1)[0] + "}")["found"]
    assert found == {0.2: 2, 0.3: 1}


def film(east_km: float, north_km: float, length_px: float, visible: float = 1.0) -> dict:
    """A film of 4 km to the east, in Mercator's projection, whose radius is the larger one of the ellipsoid."""
    line = [[km * 1000 * 6378.137 / 6371.0088 for km in (east_km + step, north_km)] for step in (0, 4)]
    properties = {"class": 2, "origin_x": line[0][0], "origin_y": line[0][1], "length_px": length_px}
    geometry = {"type": "LineString", "coordinates": line}
    return {"type": "Feature", "properties": properties | {"visible_share": visible}, "geometry": geometry}


def test_drawn_slicks_that_can_be_seen_are_scored_instead_of_those_found(tmp_path: Path) -> None:
    # Nothing is found. On each pass a slick of two films begins at 0 and one at the platform; another cannot be seen.
    write_archive(tmp_path / "out", scenes_of(20), seeps_of([0], [30], [30]))
    (tmp_path / "slicks").mkdir()
    system = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
    for name in scenes_of(20).names:
        films = [film(0, 0, 9), film(0, 0.01, 80), film(25, 0, 9), film(-25, 0, 9, visible=0)]
        content = {"type": "FeatureCollection", "crs": system, "features": films}
        (tmp_path / "slicks" / f"{name}.geojson").write_text(json.dumps(content))
    vents = [vent(0, 0.9, 20), vent(-25, 0.9, 0), vent(25, 0.5, 20, "platform")]
    (tmp_path / "vents.geojson").write_text(json.dumps({"features": vents}))
    done = run_script("score_sites", tmp_path, tmp_path / "out", "--drawn", "--n_shuffles", 1)

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.split("}\n{", maxsplit=1)[0] + "}")
    counts = {name: figures[name] for name in ("vents", "sites", "found", "wrong", "left_out_at_targets")}
    assert counts == {"vents": 2, "sites": 1, "found": 1, "wrong": 0, "left_out_at_targets": 1}


def test_missing_truth_is_named(tmp_path: Path) -> None:
    write_archive(tmp_path / "out", scenes_of(2), seeps_of([0], [0], [0]))
    done = run_script("score_sites", tmp_path, tmp_path / "out")
    assert done.returncode == 1
    assert "vents.geojson" in done.stderr
