"""Tiles with their neighbours' edges through the bundle."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_runs import evaluate, fit, infer, message_of, train
from tiny_data import SIZE_PX, sea, write_tiny_dataset

from seep_monai.report.records import EvaluationRecords
from seep_monai.tiff import read_tiff, write_tiff
from seep_monai.workflow import stop_log

pytestmark = pytest.mark.usefixtures("closed_log")

CONTEXT = {"context#context_px": 16, "tile_columns": {"0000": 2}}


def described(models: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((models / "model.json").read_text())
    return content


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With context and a classifier."""
    out = tmp_path_factory.mktemp("trained")
    train(dataset, out, max_epochs=30, learning_rate=0.01, val_interval=30, **CONTEXT)
    stop_log()
    fit(dataset, out, tta=False)
    stop_log()
    return out


def test_context_is_kept_with_the_weights_and_scores_tiles_alone(dataset: Path, trained: Path) -> None:
    assert described(trained / "models")["context"] == {
        "margin_px": 16,
        "tile_columns": {"0000": 2},
        "found": False,
    }
    metrics = evaluate(dataset, trained)
    # Margins are seen and not scored: the true seeps are those of the files.
    truth = json.loads((trained / "eval" / "ground_truth_coco.json").read_text())
    assert {(image["height"], image["width"]) for image in truth["images"]} == {(SIZE_PX, SIZE_PX)}
    known = [
        np.count_nonzero(
            (read_tiff(dataset / entry["label"]).array > 0) & (read_tiff(dataset / entry["image"]).array > 0)
        )
        for entry in described(trained / "models")["plan"]["test"]
    ]
    assert sum(annotation["area"] for annotation in truth["annotations"]) == sum(known)
    assert metrics["seep"]["dice"] > 0.3


def test_neighbours_change_what_the_network_sees(dataset: Path, trained: Path, tmp_path: Path) -> None:
    beside = evaluate(dataset, trained, output_dir=str(tmp_path / "beside"))
    alone = evaluate(dataset, trained, output_dir=str(tmp_path / "alone"), tile_columns={})
    assert beside["seep"]["dice"] != alone["seep"]["dice"]


def test_resuming_with_another_context_is_refused(dataset: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    options = {"max_epochs": 60, "val_interval": 30, "resume": True}
    assert "--tile_columns" in message_of(train, dataset, tmp_path, **options)


def test_margin_wider_than_a_tile_is_refused_before_training(dataset: Path, tmp_path: Path) -> None:
    message = message_of(train, dataset, tmp_path, context__context_px=66, tile_columns={"0000": 2})
    assert "context_px: expected at most a tile's 64 px" in message


def test_unplaced_image_among_tiles_is_said(
    dataset: Path, trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("000001.000001.tif", "other.tif"):
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(dataset / "train_images_256" / "000001.000001.tif", tmp_path / "in" / name)
    infer(tmp_path / "in", trained, tmp_path / "out")
    assert [text for text in caplog.messages if "1 of 2 images have no place in a grid (other)" in text]


def test_foreign_tiles_without_places_are_scored_alone_by_the_remedy_that_is_named(
    trained: Path, tmp_path: Path
) -> None:
    foreign = write_tiny_dataset(tmp_path / "foreign", n_scenes=1)
    for path in sorted(foreign.glob("*/*.tif")):
        path.rename(path.with_name(path.name.replace("000000.", "north.")))
    arguments: dict[str, Any] = {"part": "all", "output_dir": str(tmp_path / "eval")}
    assert "--tile_columns {}" in message_of(evaluate, foreign, trained, **arguments)
    assert evaluate(foreign, trained, tile_columns={}, **arguments)["n_tiles"] == 3


def test_context_that_contradicts_the_weights_is_refused(dataset: Path, trained: Path) -> None:
    assert "context_px" in message_of(evaluate, dataset, trained, context__context_px=8)


def test_names_without_places_are_refused_before_training(dataset: Path, tmp_path: Path) -> None:
    assert "SCENE.NUMBER" in message_of(train, dataset, tmp_path, context__context_px=16, tile_columns={"9": 2})


def test_margin_that_the_network_cannot_halve_is_refused(dataset: Path, tmp_path: Path) -> None:
    message = message_of(train, dataset, tmp_path, context__context_px=15, tile_columns={"0000": 2})
    assert "context_px: expected a multiple of 2" in message


def test_inference_sees_the_neighbours_that_evaluation_sees(dataset: Path, trained: Path, tmp_path: Path) -> None:
    scored = evaluate(dataset, trained, output_dir=str(tmp_path / "eval"))
    infer(dataset / "train_images_256", trained, tmp_path / "beside", instances__score_threshold=0)
    counts = np.zeros((2, 2), int)
    for entry in described(trained / "models")["plan"]["test"]:
        truth = read_tiff(dataset / entry["label"]).array
        labels = read_tiff(tmp_path / "beside" / f"{Path(entry['image']).stem}_classes.tif").array
        pair = [(tile[labels != 255] > 0).astype(int) for tile in (truth, labels)]
        np.add.at(counts, tuple(pair), 1)
    dice = 2 * counts[1, 1] / (2 * counts[1, 1] + counts[0, 1] + counts[1, 0])
    assert dice == pytest.approx(scored["seep"]["dice"], abs=1e-3)


def test_inference_of_tiles_alone_differs_at_their_edges(dataset: Path, trained: Path, tmp_path: Path) -> None:
    for name, columns in (("beside", None), ("alone", {})):
        infer(dataset / "train_images_256", trained, tmp_path / name, tile_columns=columns)
    # The scene's first tile has its second one on the right and its third one below.
    one, other = (read_tiff(tmp_path / name / "000001.000001_probability.tif").array for name in ("beside", "alone"))
    assert np.abs(one - other)[8:, -8:].max() > 1e-3


def test_inference_of_weights_with_context_keeps_the_size(dataset: Path, trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tif"
    shutil.copy(dataset / "train_images_256" / "000001.000002.tif", other)
    infer(other, trained, tmp_path / "out")
    assert read_tiff(tmp_path / "out" / "other_classes.tif").array.shape == (SIZE_PX, SIZE_PX)


def test_inference_with_columns_that_do_not_fit_is_refused(dataset: Path, trained: Path, tmp_path: Path) -> None:
    message = message_of(infer, dataset / "train_images_256", trained, tmp_path / "out", tile_columns={"9": 2})
    assert "SCENE.NUMBER" in message


def write_cut_scenes(folder: Path, columns_of: dict[str, int], *, rows: int = 6) -> Path:
    """Tiles cut from scenes of waves that go on from tile to tile, as from any scene; a dark bar in each is a seep."""
    for kind in ("images", "masks"):
        (folder / f"train_{kind}_256").mkdir(parents=True)
    for seed, (scene, columns) in enumerate(columns_of.items()):
        whole = sea(rows, columns, seed)
        for row, column in product(range(rows), range(columns)):
            tile = whole[row * SIZE_PX : (row + 1) * SIZE_PX, column * SIZE_PX : (column + 1) * SIZE_PX].copy()
            mask = np.zeros(tile.shape, np.uint8)
            mask[30:34, 10:50] = 1
            tile[mask > 0] //= 2
            name = f"{scene}.{row * columns + column + 1}.tif"
            write_tiff(folder / "train_images_256" / name, tile)
            write_tiff(folder / "train_masks_256" / name, mask)
    return folder


def test_grids_are_found_at_the_borders_in_training_and_for_scenes_that_it_did_not_know(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = write_cut_scenes(tmp_path / "known", {"a": 4, "b": 5, "c": 4})
    train(known, tmp_path, context__context_px=16, max_epochs=1)
    columns = {"a.": 4, "b.": 5, "c.": 4}
    assert described(tmp_path / "models")["context"] == {"margin_px": 16, "tile_columns": columns, "found": True}
    caplog.set_level("INFO", logger="seep_monai")
    caplog.clear()
    evaluate(known, tmp_path)
    assert not [text for text in caplog.messages if "found at the borders" in text]

    foreign = write_cut_scenes(tmp_path / "foreign", {"d": 5})
    given: dict[str, Any] = {"part": "all", "instances#mode": "object", "instances#high": 0.02, "instances#low": 0.02}
    found = evaluate(foreign, tmp_path, output_dir=str(tmp_path / "found"), **given)
    assert [text for text in caplog.messages if "borders of tiles: d: 5; without neighbouring tiles: no scene" in text]
    same = evaluate(foreign, tmp_path, output_dir=str(tmp_path / "same"), tile_columns={"d": 5}, **given)
    alone = evaluate(foreign, tmp_path, output_dir=str(tmp_path / "alone"), tile_columns={}, **given)
    assert found["seep"] == same["seep"] != alone["seep"]


def test_inference_finds_the_grid_of_new_tiles(tmp_path: Path) -> None:
    known = write_cut_scenes(tmp_path / "known", {"a": 4, "b": 5, "c": 4})
    train(known, tmp_path, context__context_px=16, max_epochs=1)
    foreign = write_cut_scenes(tmp_path / "foreign", {"d": 5}) / "train_images_256"
    for name, columns in (("found", None), ("given", {"d": 5}), ("alone", {})):
        infer(foreign, tmp_path, tmp_path / name, tile_columns=columns)
    found, given, alone = (
        read_tiff(tmp_path / name / "d.7_probability.tif").array for name in ("found", "given", "alone")
    )
    np.testing.assert_array_equal(found, given)
    assert np.abs(found - alone).max() > 0


def test_scenes_as_units_have_the_pixels_of_their_tiles(dataset: Path, trained: Path, tmp_path: Path) -> None:
    by_tile = evaluate(dataset, trained, output_dir=str(tmp_path / "tile"), pixel_size_m=40)
    by_scene = evaluate(dataset, trained, output_dir=str(tmp_path / "scene"), unit="scene", pixel_size_m=40)

    assert (by_tile["unit"], by_scene["unit"]) == ("tile", "scene")
    assert by_scene["n_tiles"] == by_tile["n_tiles"]
    for key in ("dice", "iou", "precision", "recall"):
        assert by_scene["seep"][key] == by_tile["seep"][key]
    # Each of two scenes of three tiles is one image of the COCO files: 2 x 2 tiles with a gap.
    truth = json.loads((tmp_path / "scene" / "ground_truth_coco.json").read_text())
    assert [(image["width"], image["height"]) for image in truth["images"]] == [(128, 128)] * 2
    # Known are all tiles of 64 x 64 px but for 8 rows of no-data in each scene, with pixels of 40 m.
    alarms = by_tile["ribbon"]["false_alarms_per_tile"] * 6
    assert by_tile["false_alarms_per_1000_km2"] == pytest.approx(alarms / (2 * (3 * 64 - 8) * 64 * 0.0016) * 1000)


def test_classifier_fitted_to_scenes_says_so(
    dataset: Path, trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    fit(dataset, tmp_path, tta=False, unit="scene")
    assert json.loads((tmp_path / "models" / "model.json").read_text())["objects"]["unit"] == "scene"
    evaluate(dataset, tmp_path, unit="scene")
    assert "fit it again" not in caplog.text
    evaluate(dataset, tmp_path)
    assert "the object classifier was fitted with --unit scene, but this is --unit tile" in caplog.text


def test_scenes_need_tiles_with_a_place(dataset: Path, trained: Path, tmp_path: Path) -> None:
    message = message_of(evaluate, dataset, trained, output_dir=str(tmp_path), unit="scene", tile_columns={})
    assert "unit: expected tiles whose position in their scene is known" in message


def test_more_detections_of_a_scene_count() -> None:
    # 150 of 150 slicks of one pixel are found. In a tile 100 count, as in COCO's evaluation; a scene of two tiles has
    # room for all.
    truth = np.zeros((40, 60), np.uint8)
    truth[::4, ::4] = 1
    probabilities = np.zeros((8, *truth.shape), np.float32)
    probabilities[1], probabilities[0] = 0.9 * truth, 1 - 0.9 * truth
    found = {}
    for n_tiles in (1, 2):
        records = EvaluationRecords()
        records.add(("a", "a"), np.zeros(truth.shape), truth, probabilities, n_tiles=n_tiles)
        found[n_tiles] = records.tiles.scores()["AP50_1"]
    assert found == {1: pytest.approx(67 / 101), 2: pytest.approx(1)}
