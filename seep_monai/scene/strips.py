"""A raster as strips of whole windows, for the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from seep_monai.dataset.transforms import normalise
from seep_monai.network.windows import Window, inside_px, windows_along
from seep_monai.scene.raster import Raster


class SceneStrips(Dataset[dict[str, Any]]):
    """Rows of windows of a raster, from top to bottom; each is one image with a margin (see `WindowInferer`).

    Items have `image` (1, window rows, W + 2 margin_px) float32, the log of DN over the level, 0 where there is no data
    or no raster; `valid` (1, inside rows, W) bool; `strip`, its number; and `margin_px`. W is the width of the raster,
    or of a window if that is larger.

    Args:
        raster: the open raster.
        level: median DN.
        window_px: rows and columns of a window with its margins.
        margin_px: width of the margin.
    """

    def __init__(self, raster: Raster, level: float, window_px: tuple[int, int], margin_px: int) -> None:
        self.raster, self.level, self.margin_px = raster, level, margin_px
        self.inside_px = tuple(inside_px(size, margin_px) for size in window_px)
        self.windows: list[Window] = windows_along(raster.shape[0], self.inside_px[0])
        self.width = max(raster.shape[1], self.inside_px[1])

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The item of one strip."""
        margin, height = self.margin_px, self.inside_px[0]
        start = self.windows[index].start - margin
        rows = slice(max(start, 0), min(start + height + 2 * margin, self.raster.shape[0]))
        dn, valid = self.raster.read(rows, slice(0, self.raster.shape[1]))
        image = torch.zeros(1, height + 2 * margin, self.width + 2 * margin)
        known = np.zeros(image.shape[1:], bool)
        place = (slice(rows.start - start, rows.stop - start), slice(margin, margin + dn.shape[1]))
        image[0][place] = normalise(dn.astype(np.float32), valid, self.level)
        known[place] = valid
        inside = torch.from_numpy(known[margin : margin + height, margin : margin + self.width][None])
        return {"image": image, "valid": inside, "strip": index, "margin_px": margin}
