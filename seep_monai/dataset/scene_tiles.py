"""Data set of tiles with a margin of pixels from neighbouring tiles.

A slick may continue in the next tile. With the margin the network sees the continuation, and a convolution at the edge
of the tile sees image pixels instead of padding.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from monai.data import CacheDataset

from seep_monai.dataset.grid import SceneContext
from seep_monai.dataset.windows import filled_window
from seep_monai.errors import DataError
from seep_monai.rectangles import Cell, cell_window, cells_in, with_margin

# Tiles are read row by row. With the rows above and below in memory, each tile is read at most twice.
_N_KEPT = 64


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
        return item | self._widened(index, item) if self.context.margin_px else item

    def _widened(self, index: int, item: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """`image` and `label` with a margin.

        A neighbour of another size is ignored, because the position of its pixels is not known.
        """
        margin_px, size = self.context.margin_px, tuple(item["image"].shape[-2:])
        if margin_px > min(size):
            raise DataError(
                f"{item['tile']}: expected a tile of at least the margin's {margin_px} px, but got {size[0]} x "
                f"{size[1]}. Use no neighbouring tiles (--tile_columns {{}})."
            )
        grid, cell = self.cells[index]
        place = cell_window(cell, size)
        window = with_margin(place, margin_px)
        around = [
            (self._neighbour(self.index_of[grid, other]), its_place)
            for other, its_place in cells_in(window, size)
            if other != cell and (grid, other) in self.index_of
        ]
        same_size = [part for part in around if part[0]["image"].shape == item["image"].shape]
        return filled_window([(item, place), *same_size], window, ("image", "label"))


def _cells(data: Sequence[Mapping[str, Any]], context: SceneContext) -> list[tuple[str, Cell]]:
    """Grid and cell of each item; empty without a margin."""
    if not context.margin_px:
        return []
    cells = [context.place(str(item["tile"])) for item in data]
    if len(set(cells)) < len(cells):
        raise DataError(
            f"tile_columns: expected one tile in each cell of a grid, but {len(cells)} tiles lie in "
            f"{len(set(cells))} cells. Correct --tile_columns, or use no neighbouring tiles (--tile_columns {{}})."
        )
    return cells
