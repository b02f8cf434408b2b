"""Test-time averaging over the symmetries of the square, around any of MONAI's inferers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer

from seep_monai.augment.batch import N_SYMMETRIES, inverse_symmetry, symmetry


class SymmetryInferer(Inferer):
    """Means of the class probabilities over the eight symmetries of the input, as logits.

    A radar image of the sea has no upright: what the network says of the turned and mirrored image is as good an
    answer, and the mean of the eight is a better one. Eight times the work.

    Args:
        inferer: what runs the network on one image.
    """

    def __init__(self, inferer: Inferer) -> None:
        super().__init__()
        self.inferer = inferer

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """(B, 1, H, W) -> (B, C, H, W) float32: logarithms of the means, of which a softmax gives the means again."""
        total = torch.zeros((), device=inputs.device)
        for index in range(N_SYMMETRIES):
            logits = self.inferer(symmetry(inputs, index), network, *args, **kwargs)
            total = total + inverse_symmetry(logits.float().softmax(dim=1), index)
        # A probability that underflows to 0 in all eight would have no logarithm.
        return (total / N_SYMMETRIES).clamp_min(torch.finfo(torch.float32).tiny).log()
