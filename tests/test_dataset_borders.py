"""Grids found at the tiles' borders, of scenes that were cut into a known number of columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_data import SIZE_PX as SIZE
from tiny_data import sea

from seep_monai.dataset.borders import (
    chosen_columns,
    column_matches,
    find_columns,
    image_border,
    tile_number,
)
from seep_monai.tiff import write_tiff


def cut(folder: Path, scene: str, columns: int, *, rows: int = 6, share: float = 1.0, seed: int = 0) -> list[dict]:
    """Tiles of a scene in files, a share of them drawn at random."""
    whole, rng = sea(rows, columns, seed), np.random.default_rng(seed)
    numbers = np.sort(rng.permutation(rows * columns)[: round(share * rows * columns)])
    return [written(folder, f"{scene}.{number + 1:06d}", whole, *divmod(int(number), columns)) for number in numbers]


def written(folder: Path, tile: str, whole: np.ndarray, row: int, column: int) -> dict[str, Any]:
    path = folder / f"{tile}.tif"
    write_tiff(path, whole[row * SIZE : (row + 1) * SIZE, column * SIZE : (column + 1) * SIZE])
    return {"image": str(path), "tile": tile}


def unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values)


@pytest.mark.parametrize(("columns", "rows"), [(1, 24), (4, 6), (7, 6)])
def test_columns_of_a_cut_scene_are_found(tmp_path: Path, columns: int, rows: int) -> None:
    assert find_columns(cut(tmp_path, "north", columns, rows=rows)) == {"north.": columns}


def test_columns_are_found_where_half_of_the_tiles_are_left_out(tmp_path: Path) -> None:
    assert find_columns(cut(tmp_path, "north", 7, rows=12, share=0.5)) == {"north.": 7}


def test_each_scene_has_columns_of_its_own(tmp_path: Path) -> None:
    items = cut(tmp_path, "1", 5) + cut(tmp_path, "12", 8, seed=1)
    assert find_columns(items) == {"1.": 5, "12.": 8}


def test_tiles_of_nowhere_have_no_grid(tmp_path: Path) -> None:
    whole = [sea(1, 1, seed) for seed in range(40)]
    items = [written(tmp_path, f"north.{number}", image, 0, 0) for number, image in enumerate(whole, start=1)]
    assert find_columns(items) == {}


def test_names_without_a_number_and_single_tiles_are_not_even_read(tmp_path: Path) -> None:
    lost = str(tmp_path / "lost.tif")
    assert find_columns([{"image": lost, "tile": tile} for tile in ("harbour", "a.b", "north.000001")]) == {}


def test_scene_with_little_to_see_has_the_columns_of_the_others() -> None:
    matches = {"clear": {3: 1.0, 19: 20.0}, "faint": {5: 3.5, 19: 3.2}, "fainter": {19: 2.9}, "other": {5: 5.5}}
    assert chosen_columns(matches) == {"clear": 19, "faint": 19}
    assert chosen_columns({"faint": matches["faint"]}) == {}
    assert chosen_columns({"faint": matches["faint"]}, known=[5]) == {"faint": 5}


def test_two_numbers_that_fit_alike_are_none() -> None:
    assert chosen_columns({"scene": {10: 8.0, 20: 7.0}}) == {}
    assert chosen_columns({"scene": {10: 8.0, 20: 6.0}}) == {"scene": 10}


def test_match_is_the_correlation_in_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    one, other = unit(rng.standard_normal(90)), unit(rng.standard_normal(90))
    other = unit(other - (other @ one) * one)
    # Tile 3 lies below tile 1, half of what tile 7 shows lies below tile 3; 90 px are 10 independent values.
    borders = {1: (other, one), 3: (one, other), 7: (unit(one + other), one)}
    matches = column_matches(borders)
    assert matches.keys() == {2, 4, 6}
    assert matches[2] == pytest.approx(np.sqrt(10))
    assert matches[4] == pytest.approx(np.sqrt(10) * np.sqrt(0.5))
    assert matches[6] == pytest.approx(np.sqrt(10) * np.sqrt(0.5))


def test_pairs_of_one_number_of_columns_are_pooled() -> None:
    flat, wave = unit(np.array([1.0, -1.0] * 9)), unit(np.array([1.0, 1.0, -1.0, -1.0] * 4 + [1.0, -1.0]))
    borders = {number: (wave, wave if number == 1 else flat) for number in (1, 3, 5)}
    pairs = [wave @ wave, flat @ wave]
    assert column_matches(borders)[2] == pytest.approx(sum(pairs) / np.sqrt(2) * np.sqrt(18 / 9))


def test_numbers_that_are_no_places_cost_nothing() -> None:
    border = (unit(np.arange(1.0, 91.0)), unit(np.arange(1.0, 91.0)))
    assert column_matches({20250101: border, 20260101: border, 10**15: border}) == {}


def test_border_without_data_or_without_anything_on_it_is_none() -> None:
    dn, valid = sea(1, 1).astype(float), np.ones((SIZE, SIZE), bool)
    assert image_border(dn, valid) is not None
    half = valid.copy()
    half[:8, : SIZE // 2 + 1] = False
    assert image_border(dn, half) is None
    assert image_border(np.full_like(dn, 7), valid) is None


def test_no_data_does_not_show_in_a_border() -> None:
    dn, valid = sea(1, 1).astype(float), np.ones((SIZE, SIZE), bool)
    valid[:4, 10:20] = False
    lost = np.where(valid, dn, 0)
    for one, other in zip(image_border(lost, valid), image_border(np.where(valid, dn, 9999), valid), strict=True):
        np.testing.assert_array_equal(one, other)


def test_number_counts_from_one() -> None:
    assert [tile_number(tile) for tile in ("a.1", "a.b.2", "a.0", "a.-1", "a", ".5")] == [
        ("a", 1),
        ("a.b", 2),
        None,
        None,
        None,
        ("", 5),
    ]
