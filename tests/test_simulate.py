"""Sample data of the simulator: the plan, the files, determinism and refusals."""

from __future__ import annotations

import dataclasses
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from seep_monai.errors import SeepError
from seep_monai.simulate.scene import SceneParameters, draw_parameters, simulate_scene
from seep_monai.simulate.tiles import chosen_tiles, make_sample_data, plan_sample

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_sample_data.py"


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tiles of one scene."""
    out = tmp_path_factory.mktemp("sample") / "new" / "out"
    make_sample_data(out, n_tiles=3, seed=5, n_scenes=1)
    return out


@pytest.fixture(scope="module")
def small() -> SceneParameters:
    """A scene of 2 x 3 tiles without a swath border."""
    parameters = draw_parameters("900001", np.random.default_rng(0))
    return dataclasses.replace(
        parameters, n_tile_rows=2, n_tile_cols=3, edges=(), class_tiles=(3, 1, 1, 1, 1, 1, 1), n_targets=1
    )


def test_plan_default_is_one_scene_per_40_tiles() -> None:
    assert plan_sample(400, seed=0).n_tiles_per_scene == (40,) * 10


def test_plan_default_of_few_tiles_has_five_scenes() -> None:
    assert plan_sample(12, seed=0).n_tiles_per_scene == (3, 3, 2, 2, 2)


def test_plan_of_one_tile_has_one_scene() -> None:
    assert plan_sample(1, seed=0).n_tiles_per_scene == (1,)


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ({"n_tiles": 0, "seed": 0}, "n_tiles"),
        ({"n_tiles": 4, "seed": -1}, "seed"),
        ({"n_tiles": 4, "seed": 0, "n_scenes": 5}, "n_scenes"),
        ({"n_tiles": 4, "seed": 0, "n_scenes": 0}, "n_scenes"),
        ({"n_tiles": 81, "seed": 0, "n_scenes": 2}, "n_scenes"),
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

    monkeypatch.setattr("seep_monai.simulate.tiles.simulate_scene", fail)
    with pytest.raises(OSError, match="disk full"):
        make_sample_data(tmp_path / "out", n_tiles=1, seed=0)

    assert not list(tmp_path.iterdir())


def test_sample_with_the_same_seed_is_bit_identical(pair: Path, tmp_path: Path) -> None:
    make_sample_data(tmp_path / "again", n_tiles=3, seed=5, n_scenes=1)

    assert _files(tmp_path / "again") == _files(pair)


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
    assert record["scenes"][0]["looks"] > 0


def test_simulate_scene_gives_image_and_mask_of_the_grid(small: SceneParameters) -> None:
    image, mask = simulate_scene(small)

    assert image.shape == mask.shape == (512, 768)
    assert image.dtype == np.uint16
    assert mask.dtype == np.uint8
    assert (image > 0).all()
    assert set(np.unique(mask)) == set(range(8))


def test_simulate_scene_numbers_sit_on_one_step(small: SceneParameters) -> None:
    image, _ = simulate_scene(small)
    step = 65535 // small.n_levels

    assert (image[image < 65535] % step == 0).all()


def test_simulate_scene_brightens_from_far_to_near_range(small: SceneParameters) -> None:
    image, _ = simulate_scene(dataclasses.replace(small, wind_spread=0.0, n_low_wind=0, n_rain=0))

    # CMOD5.N falls by 7.9 dB across the swath (a factor 2.5 in amplitude); the noise floor takes some of it.
    assert 1.6 < np.median(image[:, -40:]) / np.median(image[:, :40]) < 2.7


def test_simulate_scene_slicks_run_on_across_tile_borders(small: SceneParameters) -> None:
    _, mask = simulate_scene(dataclasses.replace(small, class_tiles=(6, 0, 0, 0, 0, 0, 0)))
    borders = [mask[:, 255:257], mask[:, 511:513], mask[255:257].T]

    assert sum(int((pair == 1).all(axis=1).sum()) for pair in borders) > 0


def test_chosen_tiles_takes_every_tenth_from_the_empty_ones() -> None:
    mask = np.zeros((1280, 1280), np.uint8)
    mask[::256, :] = 1
    mask[1024:, :] = 0
    image = np.ones_like(mask, np.uint16)
    chosen = chosen_tiles(image, mask, 20, np.random.default_rng(0))

    # 5 x 5 tiles, the last row (21..25) is empty: 18 with seep and 2 without.
    assert len(set(chosen)) == 20
    assert sum(index > 20 for index in chosen) == 2


def test_chosen_tiles_of_a_shorter_list_are_its_beginning() -> None:
    mask = np.zeros((1024, 1024), np.uint8)
    mask[:, :600] = 1
    image = np.ones_like(mask, np.uint16)

    assert chosen_tiles(image, mask, 12, np.random.default_rng(1))[:7] == chosen_tiles(
        image, mask, 7, np.random.default_rng(1)
    )


def test_chosen_tiles_of_a_scene_without_data_is_refused() -> None:
    empty = np.zeros((512, 512), np.uint16)

    with pytest.raises(SeepError, match="n_scenes"):
        chosen_tiles(empty, empty.astype(np.uint8), 1, np.random.default_rng(0))


def _run_script(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_script_help_names_the_arguments(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        _run_script(monkeypatch, "--help")

    text = capsys.readouterr().out
    assert all(word in text for word in ("OUT", "--n_tiles", "--seed", "--n_scenes", "--overwrite"))


def test_script_error_is_the_message_of_the_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        _run_script(monkeypatch, str(tmp_path / "out"), "--n_tiles", "0")

    assert caught.value.code == "n_tiles: expected 1 or more, but got 0."


def test_script_makes_the_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _run_script(monkeypatch, str(tmp_path / "out"), "--n_tiles", "1", "--seed", "3")

    assert len(list((tmp_path / "out").glob("train_masks_256/900001.*.tif"))) == 1


def test_tiles_are_plain_baseline_tiffs(pair: Path) -> None:
    for path in pair.glob("train_*/*.tif"):
        with tifffile.TiffFile(path) as tiff:
            assert len(tiff.pages) == 1
            assert not tiff.is_geotiff
            assert tiff.pages[0].compression == 1
