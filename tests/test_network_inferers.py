"""Averaging over symmetries against means worked out one by one."""

from __future__ import annotations

import pytest
import torch
from monai.inferers import SimpleInferer, SlidingWindowInferer

from seep_monai.augment.batch import N_SYMMETRIES, inverse_symmetry, symmetry
from seep_monai.network.inferers import SymmetryInferer


def column_minded(image: torch.Tensor) -> torch.Tensor:
    """Two logits that depend on the column, so that every symmetry gives another answer."""
    ramp = torch.linspace(-1, 1, image.shape[-1])
    return torch.cat([image * ramp, image], dim=1)


@pytest.mark.parametrize("index", range(N_SYMMETRIES))
def test_inverse_symmetry_undoes_the_symmetry(index: int) -> None:
    image = torch.arange(12.0).reshape(1, 1, 3, 4)

    assert torch.equal(inverse_symmetry(symmetry(image, index), index), image)


def test_mean_of_a_square_of_four_pixels_by_hand() -> None:
    # Only the last pixel's value differs from 0: it stands in the left column (ramp -1) in four symmetries and in the
    # right one (ramp 1) in the others.
    image = torch.tensor([[[[0.0, 0.0], [0.0, 2.0]]]])
    prob = SymmetryInferer(SimpleInferer())(image, column_minded).softmax(1)
    left, right = torch.tensor([-2.0, 2.0]).softmax(0), torch.tensor([2.0, 2.0]).softmax(0)

    torch.testing.assert_close(prob[0, :, 1, 1], (left + right) / 2)
    torch.testing.assert_close(prob[0, :, 0, 0], torch.tensor([0.5, 0.5]))


def test_network_without_a_preferred_direction_gives_the_same_as_without() -> None:
    network = torch.nn.Conv2d(1, 8, 1)
    image = torch.randn(2, 1, 16, 24)

    torch.testing.assert_close(
        SymmetryInferer(SimpleInferer())(image, network).softmax(1), network(image).softmax(1), atol=1e-6, rtol=1e-5
    )


def test_sliding_windows_inside_give_the_same_shape() -> None:
    inner = SlidingWindowInferer(roi_size=(16, 16), sw_batch_size=2, overlap=0.25)

    assert SymmetryInferer(inner)(torch.randn(1, 1, 24, 40), torch.nn.Conv2d(1, 8, 1)).shape == (1, 8, 24, 40)


def test_certain_network_gives_finite_logits() -> None:
    logits = SymmetryInferer(SimpleInferer())(torch.zeros(1, 1, 4, 4), lambda x: torch.cat([x + 500, x - 500], dim=1))

    assert logits.isfinite().all()
