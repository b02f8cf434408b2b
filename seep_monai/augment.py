"""Augmentation of whole batches on the training device, called from the trainer's `prepare_batch`.

Geometry comes before photometry, and labels go the same way as images. The random numbers come from one CPU generator,
so that a seed gives the same batches on any device and a resumed run goes on with the same numbers.
"""

from __future__ import annotations

from typing import Any

import torch

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.errors import ConfigError
from seep_monai.transforms import LOG_LIMIT

N_SYMMETRIES = 8


def symmetry(tensor: torch.Tensor, index: int) -> torch.Tensor:
    """One of the square's eight symmetries on the last two dimensions: `index % 4` quarter turns, from 4 on mirrored.

    >>> symmetry(torch.tensor([[1, 2], [3, 4]]), 1).tolist()
    [[2, 4], [1, 3]]
    """
    turned = torch.rot90(tensor, index % 4, dims=(-2, -1))
    return turned.flip(-1) if index >= 4 else turned


def inverse_symmetry(tensor: torch.Tensor, index: int) -> torch.Tensor:
    """What `symmetry` with this index was given."""
    turned = tensor.flip(-1) if index >= 4 else tensor
    return torch.rot90(turned, -(index % 4), dims=(-2, -1))


class BatchAugment:
    """Random symmetries and gain for normalised batches.

    Args:
        symmetries: draw one of the eight symmetries per tile (of the four that keep the shape where tiles are not
            square).
        gain: a factor drawn from [1 - gain, 1 + gain] per tile multiplies the DN: the scene's level that inference
            takes from fewer tiles than training differs by about as much. 0 is off.
        seed: seed of the generator.
    """

    def __init__(self, *, symmetries: bool = True, gain: float = 0.2, seed: int = 0) -> None:
        if not 0 <= gain < 1:
            raise ConfigError(f"gain: expected a number in [0, 1), but got {gain!r}.")
        self.symmetries = symmetries
        self.gain = gain
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, image: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented copies.

        Args:
            image: (B, 1, H, W) float32, log of DN over level, in [-2, 2].
            label: (B, 1, H, W) integers 0..7 and 255; no-data stays 0 in the image.
        """
        if self.symmetries:
            image, label = self._turn(image, label)
        if self.gain > 0:
            factor = 1 + self.gain * (2 * torch.rand(len(image), 1, 1, 1, generator=self.generator) - 1)
            shifted = (image + factor.log().to(image.device)).clamp(-LOG_LIMIT, LOG_LIMIT)
            image = torch.where(label == NO_DATA_LABEL, image, shifted)
        return image, label

    def _turn(self, image: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        square = image.shape[-1] == image.shape[-2]
        # Half turns and mirrors (0, 2, 4, 6) keep the shape of any rectangle.
        indices = torch.randint(N_SYMMETRIES if square else N_SYMMETRIES // 2, (len(image),), generator=self.generator)
        picks = (indices if square else 2 * indices).tolist()
        turned = [
            (symmetry(one, pick), symmetry(truth, pick)) for one, truth, pick in zip(image, label, picks, strict=True)
        ]
        return torch.stack([pair[0] for pair in turned]), torch.stack([pair[1] for pair in turned])


class AugmentBatch:
    """MONAI's `prepare_batch` with augmentation behind the transfer to the device.

    Args:
        augment: what to apply to (image, label), or None.
    """

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
