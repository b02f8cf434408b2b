"""A raster as strips of whole windows, for the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from seep_monai.dataset.transforms import normalise
from seep_monai.dataset.windows import AxisWindow, filled_window, inside_px, windows_along
from seep_monai.rectangles import clipped, with_margin
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
        self.windows: list[AxisWindow] = windows_along(raster.shape[0], self.inside_px[0])
        self.width = max(raster.shape[1], self.inside_px[1])

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The item of one strip."""
        start = self.windows[index].start
        inside = slice(start, start + self.inside_px[0]), slice(0, self.width)
        window = with_margin(inside, self.margin_px)
        place = clipped(window, self.raster.shape)
        dn, valid = self.raster.read(*place)
        image = normalise(dn.astype(np.float32), valid, self.level)
        raster = [({"image": image[None], "valid": torch.from_numpy(valid)[None]}, place)]
        found = filled_window(raster, window, ["image"]) | filled_window(raster, inside, ["valid"])
        return {**found, "strip": index, "margin_px": self.margin_px}
