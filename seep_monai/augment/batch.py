"""Augmentation of whole batches on the training device, called from the trainer's `prepare_batch`.

All random numbers come from one CPU generator, so a seed gives the same batches on any device, and a resumed run
continues the same sequence. Augmentations that are off draw no random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from seep_monai.augment.settings import AugmentSettings
from seep_monai.classes import NO_DATA_LABEL
from seep_monai.dataset.transforms import LOG_LIMIT

N_SYMMETRIES = 8
DEFAULT_SETTINGS = AugmentSettings()

# (image, label, generator) -> (image, label), see `slick_paste.SlickPaste`.
Paste = Callable[[torch.Tensor, torch.Tensor, torch.Generator], tuple[torch.Tensor, torch.Tensor]]


def symmetry(tensor: torch.Tensor, index: int) -> torch.Tensor:
    """One of the eight symmetries of the square on the last two dimensions: `index % 4` quarter turns, flipped from 4.

    >>> symmetry(torch.tensor([[1, 2], [3, 4]]), 1).tolist()
    [[2, 4], [1, 3]]
    """
    turned = torch.rot90(tensor, index % 4, dims=(-2, -1))
    return turned.flip(-1) if index >= 4 else turned


def inverse_symmetry(tensor: torch.Tensor, index: int) -> torch.Tensor:
    """The inverse of `symmetry` with this index."""
    turned = tensor.flip(-1) if index >= 4 else tensor
    return torch.rot90(turned, -(index % 4), dims=(-2, -1))


def turned_and_scaled(
    image: torch.Tensor, label: torch.Tensor, angles: torch.Tensor, scales: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Image and label rotated about the centre of the tile and scaled, with nearest-neighbour sampling.

    Interpolation would smooth the speckle, so rotated tiles would look different from others. Pixels from outside the
    tile are no-data.

    Args:
        image: (B, 1, H, W) float32, no-data 0.
        label: (B, 1, H, W) integers 0..7 and 255.
        angles: (B,) radians, counter-clockwise in the displayed image.
        scales: (B,) magnification, above 0.
    """
    height, width = image.shape[-2:]
    cos, sin = angles.cos() / scales, angles.sin() / scales
    zero = torch.zeros_like(cos)
    # Maps output to input coordinates, in units of half the width and height: x = cos X - sin Y in px.
    rows = [torch.stack([cos, -sin * height / width, zero], 1), torch.stack([sin * width / height, cos, zero], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1).to(image), list(image.shape), align_corners=False)
    # Labels are shifted by 1, so that 0 marks padding.
    both = torch.cat([image, label.to(image) + 1], dim=1)
    moved = functional.grid_sample(both, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    outside = moved[:, 1:] == 0
    return moved[:, :1], torch.where(outside, NO_DATA_LABEL, moved[:, 1:] - 1).to(label.dtype)


class BatchAugment:
    """Random symmetries, rotations, pasted slicks and gain for normalised batches, in this order.

    Args:
        settings: settings of the augmentation.
        paste: function that pastes slicks, or None.
        seed: seed of the generator.
    """

    def __init__(
        self, settings: AugmentSettings = DEFAULT_SETTINGS, *, paste: Paste | None = None, seed: int = 0
    ) -> None:
        self.settings, self.paste = settings, paste
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, image: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented copies.

        Args:
            image: (B, 1, H, W) float32, log of DN over level, in [-2, 2].
            label: (B, 1, H, W) integers 0..7 and 255. No-data stays 0 in the image.
        """
        if self.settings.symmetries:
            image, label = self._turn(image, label)
        if self.settings.turn_prob > 0:
            image, label = self._turn_freely(image, label)
        # After the rotation, because slicks are not pasted on its no-data.
        if self.paste is not None:
            image, label = self.paste(image, label, self.generator)
        if self.settings.gain > 0:
            factor = 1 + self.settings.gain * (2 * torch.rand(len(image), 1, 1, 1, generator=self.generator) - 1)
            shifted = (image + factor.log().to(image.device)).clamp(-LOG_LIMIT, LOG_LIMIT)
            image = torch.where(label == NO_DATA_LABEL, image, shifted)
        return image, label

    def _turn_freely(self, image: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        chance, angle, scale = torch.rand(3, len(image), generator=self.generator)
        picked = (chance < self.settings.turn_prob).nonzero()[:, 0]
        if not len(picked):
            return image, label
        scales = (1 + self.settings.turn_scale) ** (2 * scale[picked] - 1)
        image, label = image.clone(), label.clone()
        image[picked], label[picked] = turned_and_scaled(
            image[picked], label[picked], 2 * math.pi * angle[picked], scales
        )
        return image, label

    def _turn(self, image: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        square = image.shape[-1] == image.shape[-2]
        # Half turns and flips (0, 2, 4, 6) keep the shape of a rectangle.
        indices = torch.randint(N_SYMMETRIES if square else N_SYMMETRIES // 2, (len(image),), generator=self.generator)
        picks = (indices if square else 2 * indices).tolist()
        turned = [
            (symmetry(one, pick), symmetry(truth, pick)) for one, truth, pick in zip(image, label, picks, strict=True)
        ]
        return torch.stack([pair[0] for pair in turned]), torch.stack([pair[1] for pair in turned])


class AugmentBatch:
    """MONAI's `prepare_batch` with augmentation (None: off) after the transfer to the device."""

    def __init__(self, augment: BatchAugment | None = None) -> None:
        self.augment = augment

    def __call__(
        self,
        batchdata: dict[str, Any],
        device: torch.device | str | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(image, label) on the device."""
        image = batchdata["image"].to(device=device, non_blocking=non_blocking, **kwargs)
        label = batchdata["label"].to(device=device, non_blocking=non_blocking)
        return (image, label) if self.augment is None else self.augment(image, label)
