"""Data small enough to train on within a second: dark bars of known classes on a speckled sea, and a sea with waves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from seep_monai.tiff import write_tiff

SIZE_PX = 64


def write_tiny_dataset(folder: Path, *, n_scenes: int = 6, n_tiles: int = 3, seed: int = 0) -> Path:
    """`folder` with `train_images_256` and `train_masks_256`; tile t of scene s shows classes (s + t) % 7 + 1 and 1.

    The first rows of each scene's first tile are no-data (DN 0), with a seep in the mask below them, as at a swath's
    edge.
    """
    rng = np.random.default_rng(seed)
    images, masks = folder / "train_images_256", folder / "train_masks_256"
    images.mkdir(parents=True)
    masks.mkdir()
    for scene in range(n_scenes):
        for tile in range(n_tiles):
            mask = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
            mask[20:24, 5:60] = (scene + tile) % 7 + 1
            mask[40:43, 5:60] = 1
            sea = 20000 * (1 + 0.05 * scene) * rng.gamma(30, 1 / 30, mask.shape)
            image = np.where(mask > 0, 0.5 * sea, sea).clip(1, 65535).astype(np.uint16)
            if tile == 0:
                image[:8] = 0
                mask[4, 10:20] = 1
            name = f"{scene:06d}.{tile + 1:06d}.tif"
            write_tiff(images / name, image)
            write_tiff(masks / name, mask)
    return folder


def sea(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """(rows * SIZE_PX, columns * SIZE_PX) uint16: waves some pixels long under speckle of four looks."""
    rng = np.random.default_rng(seed)
    shape = (rows * SIZE_PX, columns * SIZE_PX)
    waves = gaussian_filter(rng.standard_normal(shape), 6)
    speckle = rng.gamma(4, 1 / 4, shape)
    return (200 * np.exp(0.5 * waves / waves.std()) * np.sqrt(speckle) + 1).astype(np.uint16)
