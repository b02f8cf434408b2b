"""Tiles with their neighbours' edges, against windows cut from the whole scene."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import Compose
from torch.nn.functional import pad

from seep_monai.dataset.grid import SceneContext, checked_columns, tile_cell
from seep_monai.dataset.scene_tiles import SceneTiles
from seep_monai.errors import ConfigError, DataError

SIZE, COLUMNS, ROWS = 6, 3, 3
COLUMNS_OF = {"0418": COLUMNS}


def scene(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 200, (ROWS * SIZE, COLUMNS * SIZE)).astype(np.float32)


def items(whole: np.ndarray, left_out: tuple[int, ...] = (), name: str = "041869") -> list[dict[str, Any]]:
    """The scene's tiles in the order of their numbers; the label is the image plus 1."""
    found = []
    for index in range(ROWS * COLUMNS):
        row, column = divmod(index, COLUMNS)
        tile = whole[row * SIZE : (row + 1) * SIZE, column * SIZE : (column + 1) * SIZE]
        image = torch.from_numpy(tile.copy())[None]
        content = {"image": image, "label": (image + 1).to(torch.uint8)}
        if index not in left_out:
            found.append({"tile": f"{name}.{index + 1:06d}", "scene": name, **content})
    return found


def dataset(data: list[dict[str, Any]], margin_px: int = 2, **arguments: Any) -> SceneTiles:
    return SceneTiles(data, Compose([]), SceneContext(margin_px, COLUMNS_OF), progress=False, **arguments)


@pytest.mark.parametrize("cache_num", [0, 100])
@pytest.mark.parametrize("margin_px", [1, 2, SIZE])
def test_every_tile_is_the_window_of_the_scene_around_it(margin_px: int, cache_num: int) -> None:
    whole = scene()
    image = np.pad(whole, margin_px)
    label = np.pad(whole + 1, margin_px, constant_values=255)
    tiles = dataset(items(whole), margin_px, cache_num=cache_num)
    for index in range(ROWS * COLUMNS):
        row, column = divmod(index, COLUMNS)
        rows = slice(row * SIZE, (row + 1) * SIZE + 2 * margin_px)
        columns = slice(column * SIZE, (column + 1) * SIZE + 2 * margin_px)
        np.testing.assert_array_equal(tiles[index]["image"][0], image[rows, columns])
        np.testing.assert_array_equal(tiles[index]["label"][0], label[rows, columns])
        assert tiles[index]["label"].dtype == torch.uint8


def test_tile_that_is_left_out_is_no_data_for_its_neighbours() -> None:
    whole = scene()
    # Number 5 is in the middle: below tile 2, the second of the list.
    wide = dataset(items(whole, left_out=(4,)))[1]
    assert (wide["label"][0, -2:, 2:-2] == 255).all()
    assert (wide["image"][0, -2:, 2:-2] == 0).all()
    np.testing.assert_array_equal(wide["image"][0, -2:, :2], whole[SIZE : SIZE + 2, SIZE - 2 : SIZE])


def test_other_scenes_are_no_neighbours() -> None:
    tiles = dataset(items(scene(), left_out=tuple(range(1, 9))) + items(scene(1), name="041870"))
    assert (tiles[0]["label"][0, :, -2:] == 255).all()
    assert (tiles[0]["label"][0, -2:] == 255).all()


def test_row_ends_at_the_last_column() -> None:
    # Tile 4 begins the second row: tile 3, one number before, is not on its left.
    assert (dataset(items(scene()))[3]["label"][0, :, :2] == 255).all()


def test_tiles_alone_are_as_they_were_and_stay_so() -> None:
    whole = scene()
    tiles = dataset(items(whole))
    before = [tile["image"].clone() for tile in tiles.tiles()]
    wide = [tile["image"].shape for tile in tiles]
    assert set(wide) == {(1, SIZE + 4, SIZE + 4)}
    for tile, image in zip(tiles.tiles(), before, strict=True):
        torch.testing.assert_close(tile["image"], image)


def test_without_columns_there_is_no_margin_and_names_may_be_any() -> None:
    data = [{**item, "tile": "any"} for item in items(scene())]
    tiles = SceneTiles(data, Compose([]), SceneContext(2, {}), progress=False)
    assert tiles.context.margin_px == 0
    assert tiles[0]["image"].shape == (1, SIZE, SIZE)


def test_where_columns_were_found_a_tile_without_any_is_seen_with_empty_margins() -> None:
    names = ["other.000001", "other.000002", "harbour"]
    others = [{**item, "tile": name} for name, item in zip(names, items(scene(1)), strict=False)]
    tiles = SceneTiles(items(scene()) + others, Compose([]), SceneContext(2, COLUMNS_OF, found=True), progress=False)
    torch.testing.assert_close(tiles[4]["image"], dataset(items(scene()))[4]["image"])
    for index, other in enumerate(others, start=ROWS * COLUMNS):
        torch.testing.assert_close(tiles[index]["label"], pad(other["label"], (2, 2, 2, 2), value=255))


def test_two_tiles_in_one_place_raise() -> None:
    with pytest.raises(DataError, match="10 tiles lie in 9 cells"):
        dataset([*items(scene()), items(scene())[0]])


def test_neighbour_of_another_size_is_no_data_and_a_margin_wider_than_the_tile_raises() -> None:
    widths = {"041869.1": SIZE, "041869.2": SIZE, "041869.3": SIZE - 1}
    tiles = [{"tile": name, "image": torch.ones(1, SIZE, width)} for name, width in widths.items()]
    wide = dataset(tiles)[1]["image"]
    assert wide[0, 2:-2].sum(0).tolist() == [SIZE] * (SIZE + 2) + [0, 0]
    with pytest.raises(DataError, match=r"041869\.1: .*--tile_columns \{\}"):
        dataset(tiles, SIZE + 1)[0]


def test_grids_of_one_group_of_scenes_do_not_mix() -> None:
    both = items(scene()) + items(scene(1), name="041870")
    grouped = dataset([{**item, "scene": "0418"} for item in both])
    for index, single in enumerate(dataset(both)):
        torch.testing.assert_close(grouped[index]["image"], single["image"])


@pytest.mark.parametrize("tile", ["045551.3", "041869.x", "041869.0", "041869"])
def test_tile_without_a_place_raises(tile: str) -> None:
    with pytest.raises(DataError, match=r"SCENE\.NUMBER.*--tile_columns auto"):
        tile_cell(tile, COLUMNS_OF)


@pytest.mark.parametrize("columns", [19, "Auto", {"0418": 0}, {"0418": "19"}, {"0418": True}, None])
def test_columns_that_are_none_raise(columns: object) -> None:
    with pytest.raises(ConfigError, match="tile_columns"):
        checked_columns(columns)


def test_columns_by_numbers_become_text() -> None:
    assert checked_columns({455: 20}) == {"455": 20}


def test_margin_below_zero_raises() -> None:
    with pytest.raises(ConfigError, match="context_px"):
        SceneContext(-1, COLUMNS_OF)


def test_context_through_json() -> None:
    for context in (SceneContext(32, COLUMNS_OF), SceneContext(32, COLUMNS_OF, found=True)):
        assert SceneContext(**context.to_json()) == context


def test_copy_for_a_spawned_worker_process_gives_the_same_tiles() -> None:
    tiles = dataset(items(scene()), cache_num=4)
    copied = pickle.loads(pickle.dumps(tiles))
    for index in range(ROWS * COLUMNS):
        torch.testing.assert_close(copied[index]["image"], tiles[index]["image"])
