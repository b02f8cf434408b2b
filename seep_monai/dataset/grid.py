"""Position of tiles in the grid of their scene, from their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seep_monai.checks import boolean, whole_number
from seep_monai.errors import ConfigError, DataError
from seep_monai.rectangles import Cell

_REMEDY = (
    "Correct --tile_columns, estimate it from the tiles' borders (--tile_columns auto), or use no neighbouring tiles "
    "(--tile_columns {})."
)


@dataclass(frozen=True)
class SceneContext:
    """The margin of neighbouring tiles' pixels that the network sees around a tile.

    Attributes:
        margin_px: width of the margin on each side; 0: no neighbouring tiles.
        tile_columns: number of tiles in a row of the grid, by prefix of the scene name.
        found: whether the columns were estimated from the tiles' borders (`borders`). Then a tile without columns has
            no known neighbours. If the columns were given, it is an error.
    """

    margin_px: int = 0
    tile_columns: Mapping[str, int] = field(default_factory=dict)
    found: bool = False

    def __post_init__(self) -> None:
        whole_number("context_px", self.margin_px, at_least=0)
        boolean("found", self.found)
        object.__setattr__(self, "tile_columns", checked_columns(self.tile_columns))
        # Without neighbours a margin only costs time.
        if not self.tile_columns:
            object.__setattr__(self, "margin_px", 0)

    def __str__(self) -> str:
        """For the log."""
        if not self.margin_px:
            return "without neighbouring tiles"
        columns = ", ".join(f"{start}: {n}" for start, n in self.tile_columns.items())
        return f"tiles have a margin of {self.margin_px} px of neighbouring tiles; tile columns by scene: {columns}"

    def cell(self, tile: str) -> Cell | None:
        """See `tile_cell`; None for a tile without known neighbours."""
        if self.found and not self.has_place(tile):
            return None
        return tile_cell(tile, self.tile_columns)

    def place(self, tile: str) -> tuple[str, Cell]:
        """Name of the grid, and cell in it. A tile without known neighbours is a grid of its own.

        The grid is the name before the number, because a scene may be a group of several grids (`scene_pattern`).
        """
        cell = self.cell(tile)
        return (tile, (0, 0)) if cell is None else (tile.rpartition(".")[0], cell)

    def has_place(self, tile: str) -> bool:
        """Whether the position of the tile is known from its name."""
        try:
            tile_cell(tile, self.tile_columns)
        except DataError:
            return False
        return True

    def to_json(self) -> dict[str, Any]:
        """A dictionary that can be written to JSON."""
        return {"margin_px": self.margin_px, "tile_columns": dict(self.tile_columns), "found": self.found}


def tile_cell(tile: str, tile_columns: Mapping[str, int]) -> Cell:
    """Row and column of a tile in its scene's grid, from 0.

    Args:
        tile: `SCENE.NUMBER`; the number counts from 1, row by row.
        tile_columns: number of columns by prefix of the scene name.

    Raises:
        DataError: if the name has no number, or no columns are given for its scene.

    >>> tile_cell("041869.21", {"0418": 19})
    (1, 1)
    """
    named, columns = tile_number(tile), scene_columns(tile, tile_columns)
    if named is None or columns is None:
        raise DataError(
            f"{tile}: expected a name SCENE.NUMBER and a number of columns for its scene, but tile_columns is "
            f"{dict(tile_columns)}. {_REMEDY}"
        )
    return divmod(named[1] - 1, columns)


def tile_number(tile: str) -> tuple[str, int] | None:
    """Scene and number (from 1) of a tile named `SCENE.NUMBER`; None for other names.

    >>> tile_number("041869.000021"), tile_number("harbour"), tile_number("041869.0")
    (('041869', 21), None, None)
    """
    scene, dot, number = tile.rpartition(".")
    return (scene, int(number)) if dot and number.isdecimal() and int(number) > 0 else None


def scene_columns(tile: str, tile_columns: Mapping[str, int]) -> int | None:
    """The number of columns for the longest matching prefix of the tile's name; None without one.

    >>> scene_columns("041869.000004", {"04": 12, "0418": 19}), scene_columns("041869.000004", {"0418.": 19})
    (19, None)
    """
    fitting = [start for start in tile_columns if tile.startswith(start)]
    return tile_columns[max(fitting, key=len)] if fitting else None


def checked_columns(
    tile_columns: object, *, expected: str = "tile_columns: expected auto, or columns"
) -> dict[str, int]:
    """The numbers of columns by prefix of the scene name, checked.

    Args:
        tile_columns: the given value.
        expected: start of the error message: the option and its other values.

    Raises:
        ConfigError: if it is not a dictionary of whole numbers above 0.
    """
    if isinstance(tile_columns, Mapping):
        counts = [n for n in tile_columns.values() if isinstance(n, int) and not isinstance(n, bool) and n > 0]
        if len(counts) == len(tile_columns):
            return {str(beginning): n for beginning, n in tile_columns.items()}
    raise ConfigError(f"{expected} by prefix of the scene name, such as {{'0418': 19}}, but got {tile_columns!r}.")
