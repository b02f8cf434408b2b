"""`seep-monai archive` on simulated scenes with a small network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from bundle_runs import INFERENCE, message_of
from monai.bundle import run
from shipped_bundle import write_training

from seep_monai.__main__ import main
from seep_monai.archive import inference
from seep_monai.archive.attempts import ListedScene
from seep_monai.archive.inference import make_task, parse_options
from seep_monai.errors import ConfigError
from seep_monai.simulate.georeference import AffineReference
from seep_monai.simulate.scene_sample import ScenePlan, make_scenes
from seep_monai.simulate.settings import SceneSettings

# An untrained network that gives most pixels a seep probability of .02.
LOW = {"instances#mode": "object", "instances#low": 0.03, "instances#high": 0.06}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two scenes in `images` and small weights in `models`."""
    folder = tmp_path_factory.mktemp("archive")
    settings = SceneSettings(size_px=(300, 300), seep_share=0.9)
    plan = ScenePlan(5, 2, settings, AffineReference(32616, 40.0, 500_000.0, 3_000_000.0))
    make_scenes(folder / "simulated", plan, overwrite=False)
    (folder / "images").mkdir()
    for name, path in zip(("S1A_x_20230415T143012_x", "b"), sorted(folder.glob("simulated/images/*.tif")), strict=True):
        path.rename(folder / "images" / f"{name}.tif")
    with rasterio.open(folder / "images" / "b.tif", "r+") as image:
        image.update_tags(TIFFTAG_DATETIME="2023:04:16 01:02:03")
    write_training(folder / "models")
    return folder


def words(place: Path, out: Path, *more: str) -> list[str]:
    options = [word for name, value in LOW.items() for word in (f"--{name}", str(value))]
    return [
        *("archive", str(place / "images"), "--output_dir", str(out), "--ckpt_dir", str(place / "models")),
        *("--device", "cpu", *options, *more),
    ]


def test_archive_gives_the_files_of_an_inference(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main(words(place, out, "--geoparquet"))
    assert "2 scenes: 2 done, 0 failed, 0 set aside; 0.2 Mpx" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == [
        *("archive.json", "catalogue", "jobs.csv", "jobs.sqlite", "scenes", "seeps.gpkg", "seeps.parquet")
    ]
    alone = {"input": str(place / "images"), "output_dir": str(tmp_path / "alone"), "as": "raster", "device": "cpu"}
    run("inference", config_file=INFERENCE, logging_file=False, ckpt_dir=str(place / "models"), **alone, **LOW)
    names = sorted(path.name for path in (tmp_path / "alone").iterdir())
    assert len(names) == 10
    n_seeps = 0
    for name in names:
        scene = name.removesuffix(".html").removesuffix("_seeps.geojson").removesuffix("_seeps.gpkg")
        scene = scene.removesuffix("_classes.tif").removesuffix("_probability.tif")
        one, other = tmp_path / "alone" / name, out / "scenes" / scene / name
        if name.endswith(".gpkg"):
            found = [pyogrio.raw.read(path, layer="seeps") for path in (one, other)]
            assert found[0][2].tolist() == found[1][2].tolist()
            n_seeps += len(found[0][2])
            for first, second in zip(found[0][3], found[1][3], strict=True):
                np.testing.assert_array_equal(first, second)
        else:
            assert one.read_bytes() == other.read_bytes()
    assert n_seeps > 0
    assert pyogrio.read_info(out / "seeps.gpkg", layer="seeps")["features"] == n_seeps

    item = json.loads((out / "catalogue" / "b" / "b.json").read_text())
    assert item["properties"]["datetime"] == "2023-04-16T01:02:03Z"
    product = json.loads(next(out.glob("catalogue/S1A*/*.json")).read_text())["properties"]
    assert (product["datetime"], product["platform"]) == ("2023-04-15T14:30:12Z", "sentinel-1a")

    main(["archive", "--status", str(out)])
    assert "  done             2" in capsys.readouterr().out
    # All is done: no worker starts.
    main(words(place, out))
    assert "2 done (2 of them before)" in capsys.readouterr().out
    message = message_of(main, words(place, out, "--border_noise_px", "3"))
    assert "was begun with other options: options#border_noise_px: 0 there, 3 here" in message


def test_workflow_is_built_once_a_worker(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "_LOADED", {})
    scenes = [ListedScene(path.stem, path, "2020-01-01T00:00:00Z") for path in sorted(place.glob("images/*.tif"))]
    task, model = make_task(words(place, tmp_path)[4:], scenes[0], tmp_path)
    assert model.weights == str((place / "models" / "model.pt").resolve())
    built, original = [], inference._workflow
    monkeypatch.setattr(inference, "_workflow", lambda *given: built.append(given) or original(*given))
    for scene in scenes:
        (tmp_path / scene.name).mkdir()
        found = task(scene, tmp_path / scene.name)
        # The time in the list counts more than that of the file.
        assert found["time"] == "2020-01-01T00:00:00Z"
        assert found["pixels"] == 90_000
        assert (tmp_path / scene.name / f"{scene.name}_seeps.gpkg").is_file()
    assert len(built) == 1


def test_bad_options_are_named(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "--landd: the config files have no such id. Did you mean --land?" in message_of(
        main, words(place, out, "--landd", "x")
    )
    for own in ("--input", "--resume", "--as"):
        assert f"{own}: is set by the archive" in message_of(main, words(place, out, own, "x"))
    assert "retries: expected a whole number of at least 0" in message_of(main, words(place, out, "--retries", "-1"))
    assert "executor: expected local:N" in message_of(main, words(place, out, "--executor", "slurm"))
    assert not (out / "scenes").exists()
    with pytest.raises(ConfigError, match="expected --id value"):
        parse_options(["--land"])


def test_list_and_folder_are_required(capsys: pytest.CaptureFixture[str]) -> None:
    for given in (["archive"], ["archive", "a.tif"], ["archive", "--output_dir", "x"]):
        with pytest.raises(SystemExit):
            main(given)
    assert "expected LIST first, and --output_dir OUT" in capsys.readouterr().err
