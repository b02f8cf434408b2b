"""The tiles of one process out of several that train or evaluate together.

A batch, or a data set, is dealt to the processes like cards: process r of n gets the tiles r, r + n, .. of it. No tile
is repeated to make the shares equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Dataset, RandomSampler, Sampler

from seep_monai import processes
from seep_monai.classes import NO_DATA_LABEL

# Stands in a batch of a process that gets no tile of it.
NO_TILE = None


class BatchShares(Sampler[list[int | None]]):
    """Batch sampler: this process's share of each batch of all processes.

    Process 0 draws the order of the tiles, so that n processes with batches of b tiles see the batches of one process
    with n * b tiles. A process without a tile of the last batch gets `NO_TILE`.

    Args:
        dataset: the tiles.
        sampler: draws their order; None: each tile once, shuffled.
        batch_size: largest number of tiles of this process in a batch.
    """

    def __init__(self, dataset: Dataset[Any], sampler: Sampler[int] | None, batch_size: int) -> None:
        self.sampler = RandomSampler(dataset) if sampler is None else sampler  # type: ignore[arg-type]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.sampler) // (self.batch_size * processes.world_size()))  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[int | None]]:
        order = processes.by_first(lambda: list(self.sampler))()
        n_tiles = self.batch_size * processes.world_size()
        for start in range(0, len(order), n_tiles):
            yield of_process(order[start : start + n_tiles]) or [NO_TILE]


class SharedTiles(Dataset[dict[str, Any]]):
    """The tiles of a data set; `NO_TILE` gives one whose label is no-data, so that it adds nothing to a pooled loss.

    A process without a tile must compute something, because the others wait for its gradients.
    """

    def __init__(self, tiles: Dataset[dict[str, Any]]) -> None:
        self.tiles = tiles

    def __len__(self) -> int:
        return len(self.tiles)  # type: ignore[arg-type]

    def __getitem__(self, index: int | None) -> dict[str, Any]:
        if index is not NO_TILE:
            return self.tiles[index]
        item = self.tiles[0]
        return {**item, "label": torch.full_like(item["label"], NO_DATA_LABEL)}


def of_process(positions: Sequence[Any]) -> list[Any]:
    """The share of this process."""
    return list(positions[processes.rank() :: processes.world_size()])
