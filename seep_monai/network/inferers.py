"""Test-time augmentation over the symmetries of the square, for any MONAI inferer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer

from seep_monai.augment.batch import N_SYMMETRIES, inverse_symmetry, symmetry


class SymmetryInferer(Inferer):
    """Mean class probabilities over the eight symmetries of the input, as logits.

    A radar image of the sea has no preferred orientation, so predictions of rotated and flipped images are equally
    valid and can be averaged. It takes eight times as long.

    Args:
        inferer: inferer that runs the network on one image.
    """

    def __init__(self, inferer: Inferer) -> None:
        super().__init__()
        self.inferer = inferer

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """(B, 1, H, W) -> (B, C, H, W) float32: logarithms of the mean probabilities, which a softmax inverts."""
        total = torch.zeros((), device=inputs.device)
        for index in range(N_SYMMETRIES):
            logits = self.inferer(symmetry(inputs, index), network, *args, **kwargs)
            total = total + inverse_symmetry(logits.float().softmax(dim=1), index)
        # Avoids log(0) where a probability underflows to 0 in all eight.
        return (total / N_SYMMETRIES).clamp_min(torch.finfo(torch.float32).tiny).log()
