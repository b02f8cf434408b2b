"""An archive of simulated scenes: the same sea floor on every date, other seas, and the truth of its vents."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from seep_monai.__main__ import main
from seep_monai.errors import SeepError
from seep_monai.scene.run import start_time
from seep_monai.simulate.archive_sample import ArchivePlan, make_archive
from seep_monai.simulate.georeference import AffineReference
from seep_monai.simulate.parameters import SceneParameters
from seep_monai.simulate.sea_floor import Source, plan_pass
from seep_monai.simulate.settings import SceneSettings

REFERENCE = AffineReference(32616, 40.0, 300_000.0, 3_100_000.0)
PLAN = ArchivePlan(3, 4, 2, SceneSettings(size_px=(300, 280), seep_share=0.9), REFERENCE)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames of 300 x 280 px, 256 px apart, on two dates."""
    out = tmp_path_factory.mktemp("archive") / "out"
    make_archive(out, PLAN)
    return out


def record_of(folder: Path) -> dict:
    return json.loads((folder / "simulation.json").read_text())


def read(folder: Path, name: str, kind: str = "images") -> np.ndarray:
    with rasterio.open(folder / kind / f"{name}.tif") as raster:
        return raster.read(1)


def vents(folder: Path) -> list[dict]:
    return json.loads((folder / "vents.geojson").read_text())["features"]


def test_every_frame_is_seen_on_every_date_and_its_name_holds_the_time(archive: Path) -> None:
    scenes = record_of(archive)["scenes"]

    assert [(scene["frame"], scene["date"]) for scene in scenes] == [(f, d) for d in range(2) for f in range(4)]
    assert [start_time(scene["name"]) for scene in scenes[2:6]] == [
        "2024-01-01T06:00:50Z",
        "2024-01-01T06:01:15Z",
        "2024-01-13T06:00:00Z",
        "2024-01-13T06:00:25Z",
    ]
    assert {path.stem for path in archive.glob("images/*.tif")} == {scene["name"] for scene in scenes}
    assert len(list(archive.glob("masks/*.tif"))) == len(list(archive.glob("slicks/*.geojson"))) == 8


def test_frames_lie_beside_each_other_on_the_map(archive: Path) -> None:
    corners = []
    for scene in record_of(archive)["scenes"][:4]:
        with rasterio.open(archive / "images" / f"{scene['name']}.tif") as raster:
            assert raster.crs.to_epsg() == 32616
            corners.append((raster.transform.c, raster.transform.f))

    step = 256 * 40
    assert corners == [(3e5 + step * col, 3.1e6 - step * row) for row in range(2) for col in range(2)]


def test_frames_of_one_pass_agree_where_they_overlap(archive: Path) -> None:
    left, right, below, _ = (scene["name"] for scene in record_of(archive)["scenes"][:4])

    for kind in ("images", "masks"):
        assert (read(archive, left, kind)[:, 256:] == read(archive, right, kind)[:, :24]).all()
        assert (read(archive, left, kind)[256:] == read(archive, below, kind)[:44]).all()


def test_scenes_are_drawn_again_from_the_record(archive: Path) -> None:
    record = record_of(archive)
    sources = [Source(**source) for source in record["sources"]]
    scene = record["scenes"][5]
    seen = plan_pass(SceneParameters.from_json(record["passes"][1]), sources, PLAN.settings)

    rows, cols = slice(scene["row"], scene["row"] + 300), slice(scene["col"], scene["col"] + 280)
    image, mask = seen.scene.draw((rows, cols))
    assert (read(archive, scene["name"]) == image).all()
    assert (read(archive, scene["name"], "masks") == mask).all()


def test_truth_names_place_class_rate_and_dates(archive: Path) -> None:
    to_map = Transformer.from_crs(4326, 32616, always_xy=True)
    for feature, source in zip(vents(archive), PLAN.sources(), strict=True):
        known = feature["properties"]
        x, y = to_map.transform(*feature["geometry"]["coordinates"])
        assert (x, y) == pytest.approx((3e5 + 40 * (source.col + 0.5), 3.1e6 - 40 * (source.row + 0.5)), abs=0.1)
        assert (known["kind"], known["class"]) == (source.kind, source.label)
        assert known["rate"] == pytest.approx(source.rate, abs=1e-4)
        assert set(known["dates_seen"]) <= set(known["dates_active"]) <= {"2024-01-01", "2024-01-13"}


def test_seen_dates_are_those_on_which_the_mask_holds_the_slick(archive: Path) -> None:
    sources, dates = PLAN.sources(), ["2024-01-01", "2024-01-13"]
    n_seen = 0
    for date, seen in zip(dates, PLAN.passes(), strict=True):
        for number, slick in zip(seen.active, seen.slicks, strict=True):
            alone = replace(seen.scene, slicks=(slick,))
            shown = any(alone.draw(window)[1].any() for window in PLAN.windows)
            assert (date in vents(archive)[number]["properties"]["dates_seen"]) == shown, sources[number]
            n_seen += shown
    assert n_seen >= 2


def test_platforms_shine_on_every_pass_and_nothing_else_repeats() -> None:
    wide = replace(PLAN, n_dates=3, settings=SceneSettings(size_px=(768, 768), seep_share=0.9))
    platforms = {source.place for source in wide.sources() if source.kind == "platform"}
    passes = list(wide.passes())
    targets = [{(target.row, target.col) for target in seen.scene.targets} for seen in passes]
    patterns = [{(pattern.row, pattern.col) for pattern in seen.scene.lookalikes} for seen in passes]

    assert platforms
    assert set.intersection(*targets) == platforms
    assert patterns[0]
    assert not set.intersection(*patterns)
    assert len({seen.scene.parameters.wind_m_s for seen in passes}) == 3


def test_slicks_begin_where_one_current_takes_the_oil() -> None:
    sources = [Source("vent", 400.0, 400.0, 1, 1.0, depth) for depth in (500.0, 2000.0)]
    sources.append(Source("platform", 300.0, 300.0, 4, 1.0, 0.0))
    seen = next(iter(PLAN.passes()))
    shallow, deep, platform = plan_pass(seen.scene.parameters, sources, PLAN.settings).slicks
    offsets = np.array([shallow.origin, deep.origin]) - 400

    assert offsets[1] == pytest.approx(4 * offsets[0])
    drift = math.radians(seen.scene.parameters.drift_deg)
    assert offsets[1] / np.linalg.norm(offsets[1]) == pytest.approx((math.sin(drift), math.cos(drift)))
    assert platform.origin == (300.0, 300.0)


def test_vents_are_active_at_their_rate() -> None:
    source = Source("vent", 100.0, 100.0, 7, 0.3, 500.0)
    parameters = next(iter(PLAN.passes())).scene.parameters
    clear = replace(parameters, n_targets=0, n_wakes=0, lookalikes={})
    seen = [plan_pass(replace(clear, seed=seed), [source], PLAN.settings).active for seed in range(150)]

    # Four standard deviations of a binomial of 150.
    assert abs(sum(map(len, seen)) - 45) <= 4 * math.sqrt(150 * 0.3 * 0.7)


def test_vents_are_five_km_apart_where_there_is_room() -> None:
    wide = replace(PLAN, n_frames=9, settings=SceneSettings(size_px=(1024, 1024)))
    places = np.array([source.place for source in wide.sources()])
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)

    assert len(places) > 20
    assert distances[~np.eye(len(places), dtype=bool)].min() >= 125


def test_frame_beyond_the_swath_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object, **__: object) -> tuple:
        return (("right", 290.0, 0.0),)

    monkeypatch.setattr("seep_monai.simulate.drawing.draw_edges", cut)
    make_archive(tmp_path / "out", replace(PLAN, n_dates=1))

    assert [scene["frame"] for scene in record_of(tmp_path / "out")["scenes"]] == [0, 2]


def test_command_makes_an_archive_and_repeats_it(tmp_path: Path) -> None:
    words = ["--scenes", "2", "--dates", "1", "--size", "256", "256", "--epsg", "32616", "--pixel_size", "40"]
    for name in ("a", "b"):
        main(["simulate", str(tmp_path / name), *words, "--upper_left", "300000", "3100000"])

    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 2 * 3 + 2
    assert all((tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes() for path in files)


GRID = ["--epsg", "32616", "--pixel_size", "40", "--upper_left", "0", "0"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dates", "3"], "--dates: requires --scenes"),
        (["--scenes", "2", "--dates", "3"], "--epsg"),
        (["--scenes", "2", "--dates", "3", "--gcp_centre", "-90", "27"], "--epsg"),
        (
            ["--scenes", "2", "--dates", "0", "--epsg", "32616", "--pixel_size", "40", "--upper_left", "0", "0"],
            "n_dates",
        ),
    ],
)
def test_command_without_a_map_grid_or_dates_is_refused(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        main(["simulate", str(tmp_path / "out"), *words])


def test_frames_that_leave_the_coordinate_system_are_refused() -> None:
    with pytest.raises(SeepError, match="degrees"):
        replace(PLAN, reference=AffineReference(4326, 0.1, 170.0, 10.0))
