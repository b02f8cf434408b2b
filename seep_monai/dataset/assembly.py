"""Scenes that are re-assembled from their tiles, so that slicks are not cut at the borders of tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seep_monai.classes import N_CLASSES, NO_DATA_LABEL
from seep_monai.dataset.grid import SceneContext
from seep_monai.errors import ConfigError, DataError
from seep_monai.rectangles import Cell, cell_window

UnitKind = Literal["tile", "scene"]
UNITS: tuple[UnitKind, ...] = ("tile", "scene")


@dataclass(frozen=True, eq=False)
class Unit:
    """A tile or a scene with its prediction.

    Attributes:
        name: name of the tile, or of the scene's grid.
        scene: name of the scene.
        part: part of the data set; empty if it is not known.
        image: (H, W) float32, log of DN over the level, no-data 0.
        label: (H, W) uint8, 0..7 and 255 = no-data.
        probabilities: (8, H, W) float32.
        n_tiles: number of its tiles.
    """

    name: str
    scene: str
    part: str
    image: npt.NDArray[np.float32]
    label: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]
    n_tiles: int = 1


@dataclass
class Assembly:
    """Collects tiles and gives them back, one by one or as whole scenes.

    A scene is complete with the last of its tiles. Gaps between tiles are no-data. A tile without a known position is a
    scene of its own.

    Args:
        kind: `tile` or `scene`.
        items: all tiles that will be added, with `tile` and `scene`, and `part` if parts are kept apart.
        context: positions of the tiles.
    """

    kind: UnitKind = "tile"
    items: Sequence[Mapping[str, Any]] = ()
    context: SceneContext = field(default_factory=SceneContext)

    def __post_init__(self) -> None:
        self._expected: dict[tuple[str, str], int] = {}
        self._cells: dict[tuple[str, str], dict[Cell, Unit]] = {}
        if self.kind == "scene":
            for item in self.items:
                grid = self._place(str(item["tile"]))[0], str(item.get("part", ""))
                self._expected[grid] = self._expected.get(grid, 0) + 1

    def add(self, tile: Unit) -> list[Unit]:
        """The units that are complete with this tile: the tile itself, its scene, or none.

        Raises:
            DataError: if tiles of one scene differ in size.
        """
        if self.kind == "tile":
            return [tile]
        name, cell = self._place(tile.name)
        grid = name, tile.part
        cells = self._cells.setdefault(grid, {})
        cells[cell] = tile
        if len(cells) < self._expected[grid]:
            return []
        return [_joined(name, self._cells.pop(grid))]

    def positions(self) -> list[list[int]]:
        """Positions in `items` of the tiles of each unit. Units stand in the order in which they become complete."""
        units: dict[tuple[str, str], list[int]] = {}
        for position, item in enumerate(self.items):
            name = str(item["tile"])
            grid = name if self.kind == "tile" else self._place(name)[0]
            units.setdefault((grid, str(item.get("part", ""))), []).append(position)
        return sorted(units.values(), key=lambda tiles: tiles[-1])

    def _place(self, tile: str) -> tuple[str, Cell]:
        """See `SceneContext.place`; a tile without a known position is a grid of its own, too."""
        return self.context.place(tile) if self.context.has_place(tile) else (tile, (0, 0))


def checked_unit(value: object) -> UnitKind:
    """What is scored, or what the object classifier is fitted to.

    Raises:
        ConfigError: if it is none of `UNITS`.
    """
    for unit in UNITS:
        if value == unit:
            return unit
    raise ConfigError(f"unit: expected one of {', '.join(UNITS)}, but got {value!r}.")


def _joined(name: str, cells: Mapping[Cell, Unit]) -> Unit:
    """The part of a grid that its tiles cover."""
    tiles = list(cells.values())
    height, width = tiles[0].label.shape
    for tile in tiles:
        if tile.label.shape != (height, width):
            raise DataError(
                f"{tile.name}: expected tiles of one size in a scene, {height} x {width} px as {tiles[0].name}, but "
                f"got {tile.label.shape[0]} x {tile.label.shape[1]}. Score by tiles (--unit tile)."
            )
    rows, columns = zip(*cells, strict=True)
    top, left = min(rows), min(columns)
    shape = ((max(rows) - top + 1) * height, (max(columns) - left + 1) * width)
    image, label = np.zeros(shape, np.float32), np.full(shape, NO_DATA_LABEL, np.uint8)
    probabilities = np.zeros((N_CLASSES, *shape), np.float32)
    probabilities[0] = 1
    for (row, column), tile in cells.items():
        place = cell_window((row - top, column - left), (height, width))
        image[place], label[place], probabilities[:, *place] = tile.image, tile.label, tile.probabilities
    return Unit(name, tiles[0].scene, tiles[0].part, image, label, probabilities, len(tiles))
