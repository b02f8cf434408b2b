"""Comparison of an exported network with the PyTorch network on simulated images, in sizes and batches of all kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import nn

from seep_monai.dataset.transforms import normalise
from seep_monai.errors import DataError
from seep_monai.simulate.drawing import draw_parameters
from seep_monai.simulate.sample import scene_name, scene_rng
from seep_monai.simulate.scene import plan_scene
from seep_monai.simulate.settings import TILE_PX, SceneSettings

# Pixels whose two highest logits are closer are ties, which rounding decides.
TIE_MARGIN = 1e-4
# Choice: a hundred times the rounding that was measured, and too little to change a probability by more than .001.
MOST_DIFFERENCE = 1e-3
_N_SCENES, _SEED = 3, 0


@dataclass(frozen=True)
class Comparison:
    """Sums over all compared pixels.

    Attributes:
        n_pixels: number of pixels.
        n_ties: those whose two highest logits of PyTorch differ by no more than `TIE_MARGIN`.
        n_other_class: pixels of another class, without ties.
        largest_difference: of a logit; NaN if one is not finite.
    """

    n_pixels: int = 0
    n_ties: int = 0
    n_other_class: int = 0
    largest_difference: float = 0.0

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.n_pixels + other.n_pixels,
            self.n_ties + other.n_ties,
            self.n_other_class + other.n_other_class,
            # Unlike max, this keeps NaN.
            float(np.maximum(self.largest_difference, other.largest_difference)),
        )

    def check(self, name: str) -> None:
        """Check that the networks are the same but for rounding.

        Raises:
            DataError: if a class differs where there is no tie, or a logit by more than `MOST_DIFFERENCE`.
        """
        if self.n_other_class or not self.largest_difference <= MOST_DIFFERENCE:
            raise DataError(
                f"{name}: expected the logits of PyTorch, but {self.n_other_class} of {self.n_pixels} pixels have "
                f"another class and the largest difference of a logit is {self.largest_difference:.2g} (at most "
                f"{MOST_DIFFERENCE:g}). Nothing was kept. Use another format, or other versions of the packages."
            )

    def __str__(self) -> str:
        """For people."""
        return (
            f"largest difference of a logit {self.largest_difference:.2g}; {self.n_other_class} of {self.n_pixels:,} "
            f"pixels of another class ({self.n_ties:,} ties within {TIE_MARGIN:g} left out)"
        )


def compare_logits(expected: torch.Tensor, found: torch.Tensor) -> Comparison:
    """The comparison of two (B, C, H, W) tensors of logits."""
    highest = expected.topk(2, dim=1).values
    clear = highest[:, 0] - highest[:, 1] > TIE_MARGIN
    other = clear & (expected.argmax(dim=1) != found.argmax(dim=1))
    return Comparison(clear.numel(), int((~clear).sum()), int(other.sum()), float((expected - found).abs().max()))


def compare_networks(
    expected: nn.Module, found: Callable[[torch.Tensor], torch.Tensor], images: Iterable[torch.Tensor]
) -> Comparison:
    """The comparison of two networks on batches of images (B, 1, H, W)."""
    with torch.no_grad():
        return sum((compare_logits(expected(image), found(image)) for image in images), Comparison())


def compared_images(tile_size: Sequence[int]) -> list[torch.Tensor]:
    """Simulated images (B, 1, H, W), normalised: of each scene a tile, two beside and above each other, and a batch.

    Args:
        tile_size: rows and columns of a tile.
    """
    rows, columns = int(tile_size[0]), int(tile_size[1])
    # Scenes have a least size.
    size_px = (max(2 * rows, TILE_PX), max(2 * columns, TILE_PX))
    settings = SceneSettings(size_px=size_px, seep_share=1.0, variety="archive")
    images = []
    for index in range(_N_SCENES):
        scene = _simulated(settings, index)[..., : 2 * rows, : 2 * columns]
        above, below = scene.split(rows, dim=2)
        tiles = [tile for half in (above, below) for tile in half.split(columns, dim=3)]
        images += [tiles[0], above, scene[..., :columns], torch.cat(tiles)]
    return images


def _simulated(settings: SceneSettings, index: int) -> torch.Tensor:
    """(1, 1, H, W) float32: one normalised scene."""
    name = scene_name(_SEED, index, settings)
    scene = plan_scene(draw_parameters(name, scene_rng(_SEED, index), settings))
    dn, _ = scene.draw((slice(0, settings.size_px[0]), slice(0, settings.size_px[1])))
    valid = dn > 0
    return normalise(dn.astype(np.float32), valid, float(np.median(dn[valid])))[None, None]
