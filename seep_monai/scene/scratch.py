"""Class probabilities of the parts of a scene that hold seeps, in a file while the scene is drawn."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter

from seep_monai.classes import N_CLASSES
from seep_monai.errors import DataError
from seep_monai.instances.ring import RING_PX
from seep_monai.rectangles import cells_in, copy_overlap, shape_of

Probabilities = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


class Scratch:
    """Blocks of probabilities, written strip by strip and read in any window.

    Blocks without a pixel at the lowest level are left out: there, the probability of no seep is read as 1. All blocks
    of a scene of 25,117 x 19,497 px would be 15.7 GB.

    Args:
        path: of the file, which is created.
        block_px: rows of a strip and columns of a block.
    """

    def __init__(self, path: Path, block_px: int) -> None:
        self.path, self.block_px = path, block_px
        # (rows, columns) of the block, and its first byte.
        self._blocks: dict[tuple[int, int], tuple[tuple[int, int], int]] = {}
        self._file = path.open("w+b")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, strip_index: int, probabilities: Probabilities, mask: Mask) -> None:
        """Write the blocks of a strip that hold pixels of a film, or pixels of the ring of one.

        Args:
            strip_index: number of the strip, from 0; all but the last have `block_px` rows.
            probabilities: (8, rows, W) float32.
            mask: (rows, W) bool, pixels at the lowest level.

        Raises:
            DataError: if the disk is too full.
        """
        # The mean probability of the ring next to an object is measured, so that it is kept as well.
        near = maximum_filter(mask, 2 * RING_PX[0] + 1)
        starts = range(0, mask.shape[1], self.block_px)
        chosen = [start for start in starts if near[:, start : start + self.block_px].any()]
        n_bytes = len(chosen) * probabilities[:, :, : self.block_px].nbytes
        free = shutil.disk_usage(self.path.parent).free
        if n_bytes > free:
            raise DataError(
                f"{self.path.parent}: expected {n_bytes / 2**20:.0f} MiB of free disk for probabilities, but got "
                f"{free / 2**20:.0f}. Free space, or choose an --output_dir on another disk."
            )
        for start in chosen:
            block = np.ascontiguousarray(probabilities[:, :, start : start + self.block_px], np.float32)
            self._blocks[strip_index, start // self.block_px] = (block.shape[1:], self._file.seek(0, 2))
            self._file.write(block.tobytes())

    def read(self, rows: slice, columns: slice) -> Probabilities:
        """(8, h, w) of a window inside the scene; pixels of blocks that were left out have no seep."""
        result = np.zeros((N_CLASSES, *shape_of((rows, columns))), np.float32)
        result[0] = 1
        for cell, place in cells_in((rows, columns), (self.block_px, self.block_px)):
            if cell in self._blocks:
                shape, offset = self._blocks[cell]
                self._file.seek(offset)
                n_values = N_CLASSES * shape[0] * shape[1]
                block = np.frombuffer(self._file.read(4 * n_values), np.float32).reshape(N_CLASSES, *shape)
                copy_overlap(block, place, into=result, window=(rows, columns))
        return result
