"""Scenes re-assembled from tiles, against arrays put together by hand."""

from __future__ import annotations

import numpy as np
import pytest

from seep_monai.dataset.assembly import Assembly, Unit, checked_unit
from seep_monai.dataset.grid import SceneContext
from seep_monai.errors import ConfigError, DataError

CONTEXT = SceneContext(1, {"a": 3}, found=True)


def tile(name: str, value: int, *, part: str = "", shape: tuple[int, int] = (2, 4)) -> Unit:
    probabilities = np.full((8, *shape), value / 100, np.float32)
    return Unit(name, name[0], part, np.full(shape, value, np.float32), np.full(shape, value, np.uint8), probabilities)


def test_tiles_are_given_back_one_by_one() -> None:
    one = tile("a.1", 1)
    assert Assembly().add(one) == [one]


def test_scene_comes_with_its_last_tile_and_gaps_are_no_data() -> None:
    # Columns 1 and 2 of rows 0 and 1 of a grid with three columns: tiles 2, 3 and 6.
    tiles = [tile("a.6", 6), tile("a.2", 2), tile("a.3", 3)]
    assembly = Assembly("scene", [{"tile": t.name, "scene": "a"} for t in tiles], CONTEXT)
    assert assembly.add(tiles[0]) == assembly.add(tiles[1]) == []
    [scene] = assembly.add(tiles[2])

    assert (scene.name, scene.scene) == ("a", "a")
    assert scene.label.tolist() == [[2] * 4 + [3] * 4] * 2 + [[255] * 4 + [6] * 4] * 2
    assert scene.image[:, [0, 4]].tolist() == [[2, 3]] * 2 + [[0, 6]] * 2
    assert scene.probabilities[0, :, 0].tolist() == pytest.approx([0.02, 0.02, 1, 1])
    assert scene.probabilities[1, :, 4].tolist() == pytest.approx([0.03, 0.03, 0.06, 0.06])
    assert scene.probabilities[1, 2:, :4].max() == 0


def test_parts_of_one_scene_and_tiles_without_a_place_are_apart() -> None:
    tiles = [tile("a.1", 1, part="training"), tile("a.2", 2, part="validation"), tile("harbour", 3)]
    items = [{"tile": t.name, "scene": t.scene, "part": t.part} for t in tiles]
    assembly = Assembly("scene", items, CONTEXT)
    found = [unit for t in tiles for unit in assembly.add(t)]

    assert [(unit.name, unit.part, unit.label.shape) for unit in found] == [
        ("a", "training", (2, 4)),
        ("a", "validation", (2, 4)),
        ("harbour", "", (2, 4)),
    ]


@pytest.mark.parametrize(("kind", "expected"), [("tile", [[0], [1], [2], [3], [4]]), ("scene", [[1], [0, 3], [2, 4]])])
def test_positions_of_units_stand_in_the_order_in_which_they_become_complete(
    kind: str, expected: list[list[int]]
) -> None:
    tiles = [tile("a.1", 1), tile("harbour", 2), tile("b.2", 3), tile("a.5", 4), tile("b.1", 5)]
    items = [{"tile": t.name, "scene": t.scene} for t in tiles]
    assembly = Assembly(kind, items, SceneContext(1, {"a": 3, "b": 3}, found=True))  # type: ignore[arg-type]
    assert assembly.positions() == expected
    added = [(position, unit) for position, t in enumerate(tiles) for unit in assembly.add(t)]
    assert [position for position, _ in added] == [unit[-1] for unit in expected]


def test_tiles_of_several_sizes_are_refused() -> None:
    tiles = [tile("a.1", 1), tile("a.2", 2, shape=(2, 3))]
    assembly = Assembly("scene", [{"tile": t.name, "scene": "a"} for t in tiles], CONTEXT)
    assembly.add(tiles[0])
    with pytest.raises(
        DataError, match=r"a\.2: expected tiles of one size in a scene, 2 x 4 px as a\.1, but got 2 x 3"
    ):
        assembly.add(tiles[1])


def test_unknown_unit_is_refused() -> None:
    assert [checked_unit(unit) for unit in ("tile", "scene")] == ["tile", "scene"]
    with pytest.raises(ConfigError, match="unit: expected one of tile, scene, but got 'image'"):
        checked_unit("image")
