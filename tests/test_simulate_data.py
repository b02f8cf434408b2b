"""Sample data of the simulator: the plans, the files, determinism and refusals, for tiles and for whole scenes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile

from seep_monai.__main__ import main
from seep_monai.errors import SeepError
from seep_monai.simulate.drawing import draw_parameters
from seep_monai.simulate.georeference import AffineReference, NoReference
from seep_monai.simulate.parameters import SceneParameters
from seep_monai.simulate.placement import tiles_of
from seep_monai.simulate.sample import make_sample_data, plan_tiles, scene_name
from seep_monai.simulate.scene import Scene, plan_scene
from seep_monai.simulate.scene_sample import ScenePlan, make_scenes
from seep_monai.simulate.settings import SceneSettings
from seep_monai.simulate.tiles import max_tiles_per_scene, tile_window


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tiles of one scene."""
    out = tmp_path_factory.mktemp("sample") / "new" / "out"
    make_sample_data(out, n_tiles=3, seed=5, n_scenes=1)
    return out


def test_tiles_of_a_scene_are_bounded_by_what_it_has_of_each_kind() -> None:
    # 13 x 20 tiles, .19 of them with seep, of which .72 are sure: 35.6 are nine tenths of 39.5.
    assert max_tiles_per_scene(SceneSettings(), 0.1) == 39
    # .81 without, of which .6 are sure: 126.4.
    assert max_tiles_per_scene(SceneSettings(), 1.0) == 126
    assert max_tiles_per_scene(SceneSettings(seep_share=1.0), 0.0) == 187


def test_plan_default_is_as_few_scenes_as_give_the_tiles() -> None:
    assert plan_tiles(390, seed=0).n_tiles_per_scene == (39,) * 10


def test_plan_default_of_few_tiles_has_five_scenes() -> None:
    assert plan_tiles(12, seed=0).n_tiles_per_scene == (3, 3, 2, 2, 2)


def test_plan_of_one_tile_has_one_scene() -> None:
    assert plan_tiles(1, seed=0).n_tiles_per_scene == (1,)


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ({"n_tiles": 0, "seed": 0}, "n_tiles"),
        ({"n_tiles": 4, "seed": -1}, "seed"),
        ({"n_tiles": 4, "seed": 0, "n_scenes": 5}, "n_scenes"),
        ({"n_tiles": 4, "seed": 0, "n_scenes": 0}, "n_scenes"),
        ({"n_tiles": 81, "seed": 0, "n_scenes": 2}, "n_scenes"),
        ({"n_tiles": 4, "seed": 0, "empty_share": 1.5}, "empty_share"),
        ({"n_tiles": 4, "seed": 0, "settings": SceneSettings(seep_share=0.0)}, "seep_share"),
    ],
)
def test_make_sample_data_with_bad_numbers_writes_nothing(tmp_path: Path, numbers: dict[str, int], name: str) -> None:
    with pytest.raises(SeepError, match=name):
        make_sample_data(tmp_path / "deep" / "out", **numbers)  # type: ignore[arg-type]

    assert not list(tmp_path.iterdir())


def test_make_sample_data_into_a_used_folder_is_refused_and_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(SeepError, match="--overwrite"):
        make_sample_data(tmp_path, n_tiles=1, seed=0)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_make_sample_data_overwrite_of_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(SeepError, match=r"simulation\.json"):
        make_sample_data(tmp_path, n_tiles=1, seed=0, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_make_sample_data_onto_a_file_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "file"
    out.write_text("mine")

    with pytest.raises(SeepError, match="folder"):
        make_sample_data(out, n_tiles=1, seed=0, overwrite=True)


def test_make_sample_data_overwrite_replaces_a_sample(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "simulation.json").write_text("{}")
    (out / "old.tif").write_text("old")
    make_sample_data(out, n_tiles=1, seed=0, overwrite=True)

    assert not (out / "old.tif").exists()
    assert len(list(out.glob("train_images_256/*.tif"))) == 1
    assert list(tmp_path.iterdir()) == [out]


def test_make_sample_data_leaves_nothing_beside_its_folder(pair: Path) -> None:
    assert list(pair.parent.iterdir()) == [pair]
    assert sorted(path.name for path in pair.iterdir()) == ["simulation.json", "train_images_256", "train_masks_256"]


def test_make_sample_data_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(parameters: SceneParameters) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("seep_monai.simulate.sample.plan_scene", fail)
    with pytest.raises(SeepError, match="disk full"):
        make_sample_data(tmp_path / "out", n_tiles=1, seed=0)

    assert not list(tmp_path.iterdir())


def test_sample_with_the_same_seed_is_bit_identical(pair: Path, tmp_path: Path) -> None:
    make_sample_data(tmp_path / "again", n_tiles=3, seed=5, n_scenes=1)

    assert _files(tmp_path / "again") == _files(pair)


def test_sample_of_two_processes_is_that_of_one(tmp_path: Path) -> None:
    for n_workers in (1, 2):
        make_sample_data(tmp_path / str(n_workers), n_tiles=3, seed=5, n_scenes=2, n_workers=n_workers)

    assert _files(tmp_path / "2") == _files(tmp_path / "1")


def test_sample_of_no_process_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeepError, match="workers: expected 1 or more"):
        make_sample_data(tmp_path / "out", n_tiles=1, seed=0, n_workers=0)


def test_sample_scene_is_the_same_whatever_other_scenes_there_are(pair: Path, tmp_path: Path) -> None:
    make_sample_data(tmp_path / "two", n_tiles=6, seed=5, n_scenes=2)
    more = _files(tmp_path / "two")
    first_scene = {name: data for name, data in _files(pair).items() if name.endswith(".tif")}

    assert len(first_scene) == 6
    assert all(more[name] == data for name, data in first_scene.items())


def test_sample_record_lists_parameters_and_tiles(pair: Path) -> None:
    record = json.loads((pair / "simulation.json").read_text())
    names = {f"{scene['name']}.{tile:06d}.tif" for scene in record["scenes"] for tile in scene["tiles"]}

    assert record["seed"] == 5
    assert record["n_tiles"] == 3
    assert names == {path.name for path in pair.glob("train_images_256/*.tif")}
    assert record["scenes"][0]["parameters"]["looks"] > 0


def test_sample_scene_of_the_record_draws_its_tiles_again(pair: Path) -> None:
    record = json.loads((pair / "simulation.json").read_text())["scenes"][0]
    parameters = SceneParameters.from_json(record["parameters"])
    image, mask = plan_scene(parameters).draw(tile_window(record["tiles"][0], parameters.size_px))
    name = f"{parameters.name}.{record['tiles'][0]:06d}.tif"

    np.testing.assert_array_equal(image, tifffile.imread(pair / "train_images_256" / name))
    np.testing.assert_array_equal(mask, tifffile.imread(pair / "train_masks_256" / name))


def test_sample_takes_every_so_many_tiles_from_the_empty_ones(tmp_path: Path) -> None:
    make_sample_data(tmp_path / "out", n_tiles=10, seed=1, n_scenes=1, empty_share=0.3)
    masks = [tifffile.imread(path) for path in (tmp_path / "out").glob("train_masks_256/*.tif")]

    assert sum(not mask.any() for mask in masks) == 3


def test_sample_of_few_tiles_is_part_of_the_larger_one(tmp_path: Path) -> None:
    for name, n_tiles in (("few", 2), ("more", 5)):
        make_sample_data(tmp_path / name, n_tiles=n_tiles, seed=1, n_scenes=1)
    few, more = (_files(tmp_path / name) for name in ("few", "more"))

    assert all(more[name] == data for name, data in few.items() if name.endswith(".tif"))


def test_sample_of_more_tiles_than_the_scene_has_seep_fills_up_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # A storm hides all films, so that tiles with seep are not to be had.
    settings = SceneSettings(size_px=(1024, 1024), wind_m_s=(14.0, 14.0))
    make_sample_data(tmp_path / "out", n_tiles=2, seed=3, n_scenes=1, empty_share=0.0, settings=settings)

    assert "of the other kind" in caplog.text


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whole scene of 300 x 520 px with a georeference."""
    out = tmp_path_factory.mktemp("scenes") / "out"
    reference = AffineReference(32616, 40.0, 500000.0, 3000000.0)
    make_scenes(out, ScenePlan(4, 1, SceneSettings(size_px=(300, 520), seep_share=0.5), reference))
    return out


def recorded_scene(folder: Path) -> Scene:
    """The first scene of the record."""
    record = json.loads((folder / "simulation.json").read_text())
    return plan_scene(SceneParameters.from_json(record["scenes"][0]["parameters"]))


def test_scene_files_are_image_mask_and_vectors(whole: Path) -> None:
    files = sorted(str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file())

    name = recorded_scene(whole).parameters.name
    assert files == [f"images/{name}.tif", f"masks/{name}.tif", "simulation.json", f"slicks/{name}.geojson"]


def test_scene_files_hold_what_the_record_draws(whole: Path) -> None:
    scene = recorded_scene(whole)
    image, mask = scene.draw((slice(0, 300), slice(0, 520)))

    with rasterio.open(whole / "images" / f"{scene.parameters.name}.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), image)
        assert raster.crs.to_epsg() == 32616
        assert raster.transform.a == 40.0
    with rasterio.open(whole / "masks" / f"{scene.parameters.name}.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), mask)


def test_scene_vectors_name_every_slick(whole: Path) -> None:
    scene = recorded_scene(whole)
    features = json.loads((whole / "slicks" / f"{scene.parameters.name}.geojson").read_text())["features"]
    inside = {n for n, slick in enumerate(scene.slicks) if tiles_of(slick, scene.shape)}

    assert inside
    assert inside <= {feature["properties"]["slick"] for feature in features}
    assert all(feature["properties"]["wind_m_s"] > 0 for feature in features)


@pytest.mark.parametrize(("seed", "n_scenes", "name"), [(-1, 1, "seed"), (0, 0, "n_scenes")])
def test_scene_plan_with_bad_numbers_is_refused(seed: int, n_scenes: int, name: str) -> None:
    with pytest.raises(SeepError, match=name):
        ScenePlan(seed, n_scenes, SceneSettings(), NoReference())


def _run_command(*arguments: str) -> None:
    main(["simulate", *arguments])


def test_command_help_names_the_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        _run_command("--help")

    text = capsys.readouterr().out
    assert all(
        word in text for word in ("OUT", "--n_tiles", "--seed", "--n_scenes", "--overwrite", "--scenes", "--epsg")
    )


def test_command_error_is_the_message_of_the_library(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        _run_command(str(tmp_path / "out"), "--n_tiles", "0")

    assert caught.value.code == "n_tiles: expected 1 or more, but got 0. Ask for at least one tile."


def test_command_makes_the_sample(tmp_path: Path) -> None:
    _run_command(str(tmp_path / "out"), "--n_tiles", "1", "--seed", "3")

    assert len(list((tmp_path / "out").glob("train_masks_256/*.tif"))) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wind", "-1", "5"], "wind_m_s"),
        (["--looks", "0.2", "5"], "looks"),
        (["--size", "100", "100"], "size_px"),
        (["--class_frequencies", "1", "1", "0", "0", "0", "0", "0"], "sum to 2"),
        (["--empty_share", "2"], "empty_share"),
        (["--film_scale", "0"], "film_scale"),
        (["--film_scale", "20", "--size", "300", "300"], "wider than the scene"),
        (["--epsg", "32616"], "--scenes"),
        (["--scenes", "1", "--epsg", "3", "--pixel_size", "40", "--upper_left", "0", "0"], "epsg"),
        (["--scenes", "1", "--epsg", "32616"], "--upper_left"),
        (["--scenes", "1", "--pixel_size", "40"], "--pixel_size"),
        (["--scenes", "1", "--n_tiles", "40"], "--n_tiles"),
        (["--scenes", "1", "--epsg", "4326", "--pixel_size", "1", "--upper_left", "0", "0"], "4326|degrees|-90"),
        (["--scenes", "1", "--gcp_centre", "0", "0", "--epsg", "32616"], "--gcp_centre"),
    ],
)
def test_command_with_impossible_numbers_writes_nothing(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        _run_command(str(tmp_path / "out"), *arguments)

    assert not list(tmp_path.iterdir())


def test_scenes_of_other_seeds_and_settings_have_other_names(tmp_path: Path) -> None:
    wide = SceneSettings(film_scale=2.0)
    names = {scene_name(seed, 0, settings) for seed in (0, 1) for settings in (SceneSettings(), wide)}
    make_sample_data(tmp_path / "out", n_tiles=2, seed=1, n_scenes=2)

    assert len(names) == 4
    written = {path.name.split(".")[0] for path in (tmp_path / "out").glob("train_images_256/*.tif")}
    assert written == {scene_name(1, index, SceneSettings()) for index in (0, 1)}


def test_archive_varies_more_than_the_reference() -> None:
    settings = SceneSettings(orbit="any", variety="archive")
    drawn = [draw_parameters("1", np.random.default_rng(seed), settings) for seed in range(200)]

    assert {p.tilt_deg == 0 for p in drawn} == {True, False}
    scales = [p.film_scale for p in drawn]
    assert 0.6 <= min(scales) < 0.7
    assert 1.5 < max(scales) <= 1.6
    assert min(p.nesz_db for p in drawn) < -31
    assert max(p.nesz_db for p in drawn) > -23
    assert min(p.n_levels for p in drawn) < 100
    assert max(p.n_levels for p in drawn) > 20000
    # A texture of another kind in one scene of five: 200 scenes, 40 expected, within four standard deviations.
    same = replace(settings, variety="reference")
    usual = [draw_parameters("1", np.random.default_rng(seed), same) for seed in range(200)]
    n_other = sum(a.background != b.background for a, b in zip(drawn, usual, strict=True))
    assert 17 <= n_other <= 63
    n_calms = [p.lookalikes["low_wind"] for p in drawn], [p.lookalikes["low_wind"] for p in usual]
    assert 2 < np.mean(n_calms[0]) / np.mean(n_calms[1]) < 4


def test_command_offers_the_archive(tmp_path: Path) -> None:
    _run_command(str(tmp_path / "out"), "--n_tiles", "1", "--variety", "archive")

    settings = json.loads((tmp_path / "out" / "simulation.json").read_text())["settings"]
    assert settings["variety"] == "archive"
    assert settings["orbit"] == "any"
    assert settings["looks"] == [4.0, 30.0]


def test_sample_under_a_file_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SeepError, match="file"):
        make_sample_data(tmp_path / "file" / "out", n_tiles=1, seed=0)


def test_sample_of_clean_sea_alone_has_no_seep(tmp_path: Path) -> None:
    settings = SceneSettings(size_px=(1024, 1024), seep_share=0.0)
    make_sample_data(tmp_path / "out", n_tiles=3, seed=2, n_scenes=1, empty_share=1.0, settings=settings)

    assert not any(tifffile.imread(path).any() for path in (tmp_path / "out").glob("train_masks_256/*.tif"))


def test_command_writes_a_scene_with_control_points(tmp_path: Path) -> None:
    size = ["--size", "300", "400", "--scenes", "1", "--gcp_centre", "-90", "27", "--pixel_size", "50"]
    _run_command(str(tmp_path / "out"), *size)

    with rasterio.open(*(tmp_path / "out" / "images").glob("*.tif")) as raster:
        points, crs = raster.gcps
        assert raster.shape == (300, 400)
    assert crs.to_epsg() == 4326
    assert len(points) == 11 * 21
    assert np.mean([point.x for point in points]) == pytest.approx(-90, abs=0.01)


def test_tiles_are_plain_baseline_tiffs(pair: Path) -> None:
    for path in pair.glob("train_*/*.tif"):
        with tifffile.TiffFile(path) as tiff:
            assert len(tiff.pages) == 1
            assert not tiff.is_geotiff
            assert tiff.pages[0].compression == 1
