"""Where in its scene a tile lies, as shares that the judge of objects can weigh."""

from __future__ import annotations

from collections.abc import Mapping

from seep_monai.dataset.grid import scene_columns, tile_cell

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
    remedy = (
        "Correct --tile_columns and fit again, fit without --use_place, or leave objects unjudged (--instance_mode "
        "object)."
    )
    row, column = tile_cell(tile, tile_columns, remedy=remedy)
    columns = scene_columns(tile, tile_columns) or 1
    return row / _ROWS, column / max(columns - 1, 1)
