"""Scenes from tiles; the arrays that the tiles were cut from are the independent truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from tiny_data import SIZE_PX, sea

from seep_monai.errors import DataError
from seep_monai.scene.join_tiles import join_tiles
from seep_monai.tiff import read_tiff

N_ROWS, N_COLUMNS = 6, 5
Write = Callable[..., Path]


def pieces(array: np.ndarray, scene: str, *, without: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """Tiles of an array by their names."""
    columns = array.shape[1] // SIZE_PX
    numbers = range(1, columns * (array.shape[0] // SIZE_PX) + 1)
    places = {number: divmod(number - 1, columns) for number in numbers if number not in without}
    return {
        f"{scene}.{number:06d}": array[row * SIZE_PX : (row + 1) * SIZE_PX, column * SIZE_PX : (column + 1) * SIZE_PX]
        for number, (row, column) in places.items()
    }


def pairs_of(image: np.ndarray, scene: str = "a", *, without: tuple[int, ...] = ()) -> dict:
    """Tiles and masks; the mask is the image modulo 8."""
    tiles = pieces(image, scene, without=without)
    return {name: (tile, (tile.astype(int) % 8).astype(np.uint8)) for name, tile in tiles.items()}


def scene(folder: Path, name: str = "a") -> tuple[np.ndarray, np.ndarray]:
    return tuple(read_tiff(folder / kind / f"{name}.tif").array for kind in ("images", "masks"))


def test_tiles_joined_are_the_scene(write_pairs: Write, tmp_path: Path) -> None:
    image = sea(N_ROWS, N_COLUMNS)
    join_tiles(write_pairs(pairs_of(image)), tmp_path / "out", {"": N_COLUMNS})
    found, mask = scene(tmp_path / "out")
    np.testing.assert_array_equal(found, image)
    np.testing.assert_array_equal(mask, image % 8)
    assert (found.dtype, mask.dtype) == (np.uint16, np.uint8)


def test_gaps_are_no_data_and_background(write_pairs: Write, tmp_path: Path) -> None:
    image = sea(2, 3)
    join_tiles(write_pairs(pairs_of(image, without=(2, 6))), tmp_path / "out", {"": 3})
    expected = image.copy()
    expected[:SIZE_PX, SIZE_PX : 2 * SIZE_PX], expected[SIZE_PX:, 2 * SIZE_PX :] = 0, 0
    found, mask = scene(tmp_path / "out")
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(mask, expected % 8)
    with rasterio.open(tmp_path / "out" / "images" / "a.tif") as file:
        assert file.nodata == 0


def test_gaps_of_floats_are_nan(write_pairs: Write, tmp_path: Path) -> None:
    image = sea(1, 2).astype(np.float32)
    join_tiles(write_pairs(pairs_of(image, without=(1,)), no_data=-1), tmp_path / "out", {"": 2})
    found = scene(tmp_path / "out")[0]
    assert np.isnan(found[:, :SIZE_PX]).all()
    np.testing.assert_array_equal(found[:, SIZE_PX:], image[:, SIZE_PX:])


def test_columns_found_from_the_borders(write_pairs: Write, tmp_path: Path) -> None:
    image = sea(N_ROWS, N_COLUMNS)
    join_tiles(write_pairs(pairs_of(image)), tmp_path / "out")
    np.testing.assert_array_equal(scene(tmp_path / "out")[0], image)
    record = json.loads((tmp_path / "out" / "scenes.json").read_text())
    size = [N_ROWS * SIZE_PX, N_COLUMNS * SIZE_PX]
    assert record == {"scenes": [{"scene": "a", "shape": size, "columns": N_COLUMNS, "n_tiles": 30}]}


def test_columns_from_the_record_of_the_tiles(write_pairs: Write, tmp_path: Path) -> None:
    image = np.full((3 * SIZE_PX, 2 * SIZE_PX), 9, np.uint16)
    folder = write_pairs(pairs_of(image))
    (folder / "tiles.json").write_text(json.dumps({"scenes": [{"scene": "a", "columns": 2}]}))
    join_tiles(folder, tmp_path / "out")
    assert scene(tmp_path / "out")[0].shape == image.shape
    (folder / "tiles.json").write_text("{}")
    with pytest.raises(DataError, match=r"tiles\.json: expected the file that seep-monai tiles writes"):
        join_tiles(folder, tmp_path / "out2")


def test_unknown_columns_are_listed_and_refused(write_pairs: Write, tmp_path: Path) -> None:
    flat = {
        name: (np.full((SIZE_PX, SIZE_PX), 9, np.uint16), np.zeros((SIZE_PX, SIZE_PX), np.uint8))
        for name in ("b.1", "b.2", "c.1", "c.2")
    }
    folder = write_pairs({**pairs_of(sea(N_ROWS, N_COLUMNS)), **flat})
    with pytest.raises(DataError, match=r"cannot be found from the borders of the tiles for b, c\..*--columns N"):
        join_tiles(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    join_tiles(folder, tmp_path / "out", {"b": 1, "c.": 2})
    assert [scene(tmp_path / "out", name)[0].shape for name in "bc"] == [(128, 64), (64, 128)]
    assert scene(tmp_path / "out")[0].shape == (N_ROWS * SIZE_PX, N_COLUMNS * SIZE_PX)


def test_wrong_tiles_are_refused(write_pairs: Write, tmp_path: Path) -> None:
    tile, mask = np.full((64, 64), 9, np.uint16), np.zeros((64, 64), np.uint8)
    small, floats = tile[:32], tile.astype(np.float32)
    cases = {
        "harbour": ({"harbour": (tile, mask)}, "expected names SCENE.NUMBER, but got harbour"),
        "twice": ({"a.1": (tile, mask), "a.01": (tile, mask)}, "expected one tile per place"),
        "size": ({"a.1": (tile, mask), "a.2": (small, mask[:32])}, r"a\.2\.tif: expected \(64, 64\) px of uint16"),
        "type": ({"a.1": (tile, mask), "a.2": (floats, mask)}, r"a\.2\.tif: expected .* but got .*float32"),
        "mask": ({"a.1": (tile, mask), "a.2": (tile, mask[:32])}, r"masks_256/a\.2\.tif: expected \(64, 64\)"),
        "label": ({"a.1": (tile, mask.astype(np.int16) + 300)}, r"a\.1\.tif: expected mask values .*found 300"),
    }
    for name, (pairs, message) in cases.items():
        with pytest.raises(DataError, match=message):
            join_tiles(write_pairs(pairs, folder=tmp_path / name), tmp_path / "out", {"": 2})
        assert not (tmp_path / "out").exists()


def test_older_scenes_are_replaced_on_demand_only(write_pairs: Write, tmp_path: Path) -> None:
    folder = write_pairs(pairs_of(sea(1, 2)), folder=tmp_path / "tiles")
    join_tiles(folder, tmp_path / "out", {"": 2})
    with pytest.raises(ValueError, match="expected a new or empty folder"):
        join_tiles(folder, tmp_path / "out", {"": 1})
    join_tiles(folder, tmp_path / "out", {"": 1}, overwrite=True)
    assert scene(tmp_path / "out")[0].shape == (2 * SIZE_PX, SIZE_PX)
