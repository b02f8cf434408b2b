"""Grids found at the tiles' borders, of scenes that were cut into a known number of columns."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_data import SIZE_PX as SIZE
from tiny_data import sea

from seep_monai.dataset.borders import Border, Match, chosen_columns, column_matches, find_columns, image_border
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


@pytest.mark.parametrize(("columns", "rows"), [(4, 6), (7, 6)])
def test_columns_of_a_cut_scene_are_found(tmp_path: Path, columns: int, rows: int) -> None:
    assert find_columns(cut(tmp_path, "north", columns, rows=rows)) == {"north.": columns}


def test_columns_are_found_where_half_of_the_tiles_are_left_out(tmp_path: Path) -> None:
    assert find_columns(cut(tmp_path, "north", 7, rows=24, share=0.5)) == {"north.": 7}


def test_each_scene_has_columns_of_its_own(tmp_path: Path) -> None:
    items = cut(tmp_path, "1", 5) + cut(tmp_path, "12", 8, seed=1)
    assert find_columns(items) == {"1.": 5, "12.": 8}


def test_tiles_of_nowhere_have_no_grid(tmp_path: Path) -> None:
    whole = [sea(1, 1, seed) for seed in range(40)]
    items = [written(tmp_path, f"north.{number}", image, 0, 0) for number, image in enumerate(whole, start=1)]
    assert find_columns(items) == {}


@pytest.mark.parametrize("order", ["by column", "from the right", "half overlapping", "a strip"])
def test_tiles_in_another_order_have_no_grid(tmp_path: Path, order: str) -> None:
    """What looks like a grid from below and is none: neighbours would be put on the wrong side."""
    rows, columns = (24, 1) if order == "a strip" else (8, 6)
    whole = sea(rows, columns)
    step = SIZE // 2 if order == "half overlapping" else SIZE
    corners = [
        (row, column)
        for row in range(0, rows * SIZE - SIZE + 1, step)
        for column in range(0, columns * SIZE - SIZE + 1, step)
    ]
    if order == "by column":
        corners.sort(key=lambda corner: corner[::-1])
    if order == "from the right":
        corners.sort(key=lambda corner: (corner[0], -corner[1]))
    items = []
    for number, (row, column) in enumerate(corners, start=1):
        path = tmp_path / f"north.{number}.tif"
        write_tiff(path, whole[row : row + SIZE, column : column + SIZE])
        items.append({"image": str(path), "tile": path.stem})
    assert find_columns(items) == {}


def test_names_without_a_number_and_single_tiles_are_not_even_read(tmp_path: Path) -> None:
    lost = str(tmp_path / "lost.tif")
    assert find_columns([{"image": lost, "tile": tile} for tile in ("harbour", "a.b", "north.000001")]) == {}


def matches(beside: float = 9.0, likeness: float = 0.4, side: float = 0.4, **below: float) -> dict[int, Match]:
    """By number of columns, as `_19=8.0`."""
    return {int(columns[1:]): Match(value, beside, likeness, side) for columns, value in below.items()}


def test_scene_with_little_to_see_has_the_columns_of_the_others() -> None:
    clear, faint = matches(_3=1.0, _19=20.0), matches(_5=3.5, _19=3.2)
    scenes = {"clear": clear, "faint": faint, "fainter": matches(_19=2.9), "other": matches(_5=5.5)}
    assert chosen_columns(scenes) == {"clear": 19, "faint": 19}
    assert chosen_columns({"faint": faint}) == {}
    assert chosen_columns({"faint": faint}, known=[5]) == {"faint": 5}


def test_columns_of_the_others_do_not_overrule_what_a_scene_shows() -> None:
    assert chosen_columns({"scene": matches(_10=40.0, _20=33.0), "other": matches(_20=30.0)}) == {"other": 20}
    assert chosen_columns({"scene": matches(_19=2.9, _20=3.1)}, known=[19, 20]) == {}
    assert chosen_columns({"scene": matches(beside=-0.1, _19=5.0)}, known=[19]) == {}


def test_two_numbers_that_fit_alike_are_none() -> None:
    assert chosen_columns({"scene": matches(_10=8.0, _20=7.0)}) == {}
    assert chosen_columns({"scene": matches(_10=8.0, _20=6.0)}) == {"scene": 10}


def test_grid_needs_rows_and_tiles_that_do_not_overlap() -> None:
    assert chosen_columns({"scene": matches(beside=2.9, _10=8.0)}) == {}
    assert chosen_columns({"scene": matches(likeness=0.95, _10=8.0)}) == {}
    assert chosen_columns({"scene": matches(side=0.1, _10=8.0)}) == {}


def test_match_is_the_correlation_in_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    # Profiles without any correlation, so that 90 px count as 10 independent values.
    apart = iter(np.linalg.qr(rng.standard_normal((90, 16)))[0].T)
    below, beside = next(apart), next(apart)
    half = unit(below + next(apart))
    # Tile 3 begins with what tile 1 ends with, 5 with half of it; 4 goes on where 3 ends on the right.
    uppers = {1: next(apart), 3: below, 4: next(apart), 5: half}
    rights = {1: next(apart), 3: beside, 4: next(apart), 5: next(apart)}
    lowers = {1: below, 3: next(apart), 4: next(apart), 5: next(apart)}
    lefts = {1: next(apart), 3: next(apart), 4: beside, 5: next(apart)}
    borders = {number: Border(uppers[number], lowers[number], lefts[number], rights[number]) for number in uppers}
    found = column_matches(borders)
    # In rows of 2, 3 lies below 1 and 5 below 3, and 3 and 4 lie side by side, not 4 and 5.
    assert found[2] == Match(*map(pytest.approx, (np.sqrt(10) / np.sqrt(2), np.sqrt(10), 1 / 2, 1)))
    assert found[4].below == pytest.approx(np.sqrt(10) * np.sqrt(0.5))
    # In rows of 3, 4 and 5 lie side by side, not 3 and 4; in rows of 1 nothing does.
    assert found[3].beside == pytest.approx(0)
    assert found[1].beside == 0


def test_on_a_smooth_sea_chance_is_what_tiles_without_a_common_border_share() -> None:
    rng = np.random.default_rng(0)
    waves = [unit(np.sin(np.arange(90) / 15 + phase)) for phase in rng.uniform(0, 6, 40)]
    borders = {number: Border(wave, wave, wave, wave) for number, wave in enumerate(waves, start=1)}
    assert max(match.below for match in column_matches(borders).values()) < 4


def test_many_tiles_take_no_more_memory_than_their_borders() -> None:
    rng = np.random.default_rng(0)
    profiles = rng.standard_normal((3000, 64))
    profiles /= np.linalg.norm(profiles, axis=1, keepdims=True)
    tracemalloc.start()
    column_matches({number: Border(*4 * [profile]) for number, profile in enumerate(profiles, start=1)})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * profiles.nbytes


def test_numbers_that_are_no_places_cost_nothing() -> None:
    border = Border(*4 * [unit(np.arange(-45.0, 45.0))])
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
    one, other = (image_border(np.where(valid, dn, lost), valid) for lost in (0, 9999))
    np.testing.assert_array_equal(one, other)


def test_sides_are_the_borders_of_the_turned_tile() -> None:
    dn, valid = sea(1, 1).astype(float), np.ones((SIZE, SIZE), bool)
    straight, turned = image_border(dn, valid), image_border(dn.T, valid)
    np.testing.assert_allclose((turned.left, turned.right), (straight.upper, straight.lower))
