"""The data set of tiles, each seen with the edges of the tiles around it.

A slick does not end at a tile's edge. With the neighbours' edges the network sees on which side it goes on, and a
convolution at the edge sees sea and not the emptiness of padding.
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

# Tiles come row by row: with the rows above and below in memory, each is read twice at most.
_N_KEPT = 64
_STEPS: tuple[Cell, ...] = tuple((down, right) for down, right in product((-1, 0, 1), repeat=2) if down or right)
# What stands where no neighbour is known, by the item's key.
_OUTSIDE = {"image": 0, "label": NO_DATA_LABEL}


class SceneTiles(CacheDataset):
    """MONAI's `CacheDataset` of tiles, whose `image` and `label` come with a margin of their neighbours' pixels.

    Neighbours are tiles of the same data set: in that of one part, tiles of no other part are seen. Where there is
    none, the margin is no-data: 0 in the image, 255 in the label.

    Args:
        data: the tiles' items, with `tile` (name).
        transform: what loads an item: `image` and `label`, if there is one, become (1, H, W), H and W alike in all.
        context: which tiles are neighbours, and the width of the margin; without one this is a `CacheDataset`.
        arguments: of `CacheDataset`.

    Raises:
        DataError: if a tile's name does not say where it lies, or two tiles lie in one place.
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
        """All but the neighbours in memory, which cannot go to a spawned worker process."""
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
        """What MONAI's data sets give for an index."""
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
    """A tile with a margin of its neighbours' pixels.

    Args:
        centre: (C, H, W).
        around: (C, H, W) of each known neighbour, by its steps down and to the right, -1, 0 or 1.
        margin_px: width of the margin, at most H and W.
        outside: value where no neighbour is known.
        name: of the tile, for the message.

    Returns:
        (C, H + 2 margin_px, W + 2 margin_px), of the type of `centre`. A neighbour of another size is left out: where
        its pixels would lie is not known.

    Raises:
        DataError: if the margin is wider than the tile.
    """
    height, width = centre.shape[-2:]
    if margin_px > min(height, width):
        raise DataError(
            f"{name}: expected a tile of at least the margin's {margin_px} px, but got {height} x {width}. Do without "
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
    """Where a neighbour's pixels go along one axis, and which of its pixels these are."""
    if step < 0:
        return slice(0, margin_px), slice(size - margin_px, size)
    if step > 0:
        return slice(margin_px + size, None), slice(0, margin_px)
    return slice(margin_px, margin_px + size), slice(0, size)


def _cells(data: Sequence[Mapping[str, Any]], context: SceneContext) -> list[tuple[str, Cell]]:
    """Grid and cell of each item; none without neighbouring tiles.

    The grid is that of the name before the number: a scene may be a group of several (`scene_pattern`).
    """
    if not context.margin_px:
        return []
    names = [str(item["tile"]) for item in data]
    places = [context.cell(name) for name in names]
    # A tile without a place is a grid of its own.
    cells = [
        (name, (0, 0)) if place is None else (name.rpartition(".")[0], place)
        for name, place in zip(names, places, strict=True)
    ]
    if len(set(cells)) < len(cells):
        raise DataError(
            f"tile_columns: expected one tile in each place of a grid, but {len(cells)} tiles lie in "
            f"{len(set(cells))} places. Correct --tile_columns, or do without neighbouring tiles (--tile_columns {{}})."
        )
    return cells
