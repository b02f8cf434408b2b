"""Where in its scene a tile lies, from its number in the scene's grid."""

from __future__ import annotations

from collections.abc import Mapping

from seep_monai.errors import ConfigError, DataError

Place = tuple[float, float]
# Of a tile whose place is not known, or not asked for.
MIDDLE: Place = (0.5, 0.5)
# Choice: the grids of the real tiles have up to 20 rows; only differences between rows count.
_ROWS = 20


def tile_place(tile: str, tile_columns: Mapping[str, int]) -> Place:
    """Row and column of a tile in its scene's grid, as shares of 20 rows and of the columns.

    Args:
        tile: `SCENE.NUMBER`, the number counting from 1 row by row.
        tile_columns: number of columns by the beginning of the scene's name.

    Raises:
        DataError: if the name has no number, or no columns are given for its scene.

    >>> tile_place("041869.21", {"0418": 19})
    (0.05, 0.05555555555555555)
    """
    columns = [n for beginning, n in tile_columns.items() if tile.startswith(str(beginning))]
    _, dot, number = tile.rpartition(".")
    if not dot or len(columns) != 1 or not number.isdigit() or int(number) < 1:
        raise DataError(
            f"{tile}: expected a name SCENE.NUMBER and one number of columns for its scene, but tile_columns is "
            f"{dict(tile_columns)}. Correct --tile_columns and fit again, fit without --use_place, or leave objects "
            "unjudged (--instance_mode object)."
        )
    row, column = divmod(int(number) - 1, columns[0])
    return row / _ROWS, column / max(columns[0] - 1, 1)


def checked_columns(tile_columns: object) -> dict[str, int]:
    """The numbers of columns by the beginnings of scene names.

    Raises:
        ConfigError: for anything but a dictionary of whole numbers above 0.
    """
    if isinstance(tile_columns, Mapping) and all(isinstance(n, int) and n > 0 for n in tile_columns.values()):
        return {str(beginning): n for beginning, n in tile_columns.items()}
    raise ConfigError(
        f"tile_columns: expected columns by the beginning of scene names, such as {{'0418': 19}}, but got "
        f"{tile_columns!r}."
    )
