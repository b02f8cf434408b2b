"""Data set of tiles with a margin of pixels from neighbouring tiles.

A slick may continue in the next tile. With the margin the network sees the continuation, and a convolution at the edge
of the tile sees image pixels instead of padding.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from monai.data import CacheDataset

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.dataset.grid import Cell, SceneContext
from seep_monai.errors import DataError

# Tiles are read row by row. With the rows above and below in memory, each tile is read at most twice.
_N_KEPT = 64
_STEPS: tuple[Cell, ...] = tuple((down, right) for down, right in product((-1, 0, 1), repeat=2) if down or right)
# Fill values where no neighbour is known, by key of the item.
_OUTSIDE = {"image": 0, "label": NO_DATA_LABEL}


class SceneTiles(CacheDataset):
    """MONAI's `CacheDataset` of tiles whose `image` and `label` have a margin of pixels from neighbouring tiles.

    Neighbours are taken from `data` only, so tiles of other parts are never seen. Where there is no neighbour, the
    margin is no-data: 0 in the image, 255 in the label.

    Args:
        data: items of the tiles, with `tile` (name).
        transform: loads an item: `image` and, if present, `label` become (1, H, W) with the same H and W for all.
        context: columns of the grid and width of the margin. With width 0 this is a plain `CacheDataset`.
        arguments: arguments of `CacheDataset`.

    Raises:
        DataError: if the position of a tile is not known from its name, or two tiles have the same position.
    """

    def __init__(self, data: Sequence[Any], transform: Any, context: SceneContext, **arguments: Any) -> None:
        self.context = context
        self.cells = _cells(data, context)
        self.index_of = {cell: index for index, cell in enumerate(self.cells)}
        super().__init__(data, transform, **arguments)
        self._remember()

    def _remember(self) -> None:
        widest = max(self.context.tile_columns.values(), default=0)
        self._neighbour = functools.lru_cache(maxsize=max(_N_KEPT, 2 * widest + 4))(self.tile)

    def __getstate__(self) -> dict[str, Any]:
        """The state without the cache of neighbours, which cannot be pickled for a spawned worker process."""
        return {name: value for name, value in self.__dict__.items() if name != "_neighbour"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._remember()

    def tile(self, index: int) -> dict[str, Any]:
        """The item without a margin."""
        item: dict[str, Any] = super()._transform(index)
        return item

    def tiles(self) -> Iterator[dict[str, Any]]:
        """All items without margins."""
        return (self.tile(index) for index in range(len(self)))

    def _transform(self, index: int) -> dict[str, Any]:
        """The item at an index, called by MONAI's data sets."""
        item = dict(self.tile(index))
        if self.context.margin_px:
            around = {step: self._around(index, step) for step in _STEPS}
            for key, outside in _OUTSIDE.items():
                if key not in item:
                    continue
                known = {step: tile[key] for step, tile in around.items() if tile is not None}
                item[key] = widened(item[key], known, self.context.margin_px, outside, name=str(item["tile"]))
        return item

    def _around(self, index: int, step: Cell) -> dict[str, Any] | None:
        grid, (row, column) = self.cells[index]
        found = self.index_of.get((grid, (row + step[0], column + step[1])))
        return None if found is None else self._neighbour(found)


def widened(
    centre: torch.Tensor, around: Mapping[Cell, torch.Tensor], margin_px: int, outside: float, *, name: str = "tile"
) -> torch.Tensor:
    """A tile with a margin of pixels from its neighbours.

    Args:
        centre: (C, H, W).
        around: (C, H, W) of each known neighbour, by its steps down and to the right, -1, 0 or 1.
        margin_px: width of the margin, at most H and W.
        outside: value where no neighbour is known.
        name: name of the tile, for the message.

    Returns:
        (C, H + 2 margin_px, W + 2 margin_px), dtype of `centre`. A neighbour of another size is ignored, because the
        position of its pixels is not known.

    Raises:
        DataError: if the margin is wider than the tile.
    """
    height, width = centre.shape[-2:]
    if margin_px > min(height, width):
        raise DataError(
            f"{name}: expected a tile of at least the margin's {margin_px} px, but got {height} x {width}. Use no "
            "neighbouring tiles (--tile_columns {})."
        )
    wide = centre.new_full((*centre.shape[:-2], height + 2 * margin_px, width + 2 * margin_px), outside)
    for (down, right), tensor in ({(0, 0): centre} | dict(around)).items():
        if tensor.shape != centre.shape:
            continue
        rows, from_rows = _strip(down, height, margin_px)
        columns, from_columns = _strip(right, width, margin_px)
        wide[..., rows, columns] = tensor[..., from_rows, from_columns]
    return wide


def _strip(step: int, size: int, margin_px: int) -> tuple[slice, slice]:
    """Target slice in the widened tile and source slice in the neighbour, along one axis."""
    if step < 0:
        return slice(0, margin_px), slice(size - margin_px, size)
    if step > 0:
        return slice(margin_px + size, None), slice(0, margin_px)
    return slice(margin_px, margin_px + size), slice(0, size)


def _cells(data: Sequence[Mapping[str, Any]], context: SceneContext) -> list[tuple[str, Cell]]:
    """Grid and cell of each item; empty without a margin.

    The grid is the name before the number, because a scene may be a group of several grids (`scene_pattern`).
    """
    if not context.margin_px:
        return []
    names = [str(item["tile"]) for item in data]
    places = [context.cell(name) for name in names]
    # A tile without a known position is its own grid.
    cells = [
        (name, (0, 0)) if place is None else (name.rpartition(".")[0], place)
        for name, place in zip(names, places, strict=True)
    ]
    if len(set(cells)) < len(cells):
        raise DataError(
            f"tile_columns: expected one tile in each cell of a grid, but {len(cells)} tiles lie in "
            f"{len(set(cells))} cells. Correct --tile_columns, or use no neighbouring tiles (--tile_columns {{}})."
        )
    return cells
