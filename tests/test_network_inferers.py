"""Averaging over symmetries against means worked out one by one; windows give an image back, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.inferers import SimpleInferer, SlidingWindowInferer

from seep_monai.augment.batch import N_SYMMETRIES, inverse_symmetry, symmetry
from seep_monai.network.inferers import SymmetryInferer, WindowInferer


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


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from([(32, 0), (32, 7), (64, 16)]), st.integers(1, 9))
def test_network_that_changes_nothing_gives_the_image_bit_for_bit(
    height: int, width: int, window: tuple[int, int], batch: int
) -> None:
    window_px, margin = window
    image = torch.from_numpy(np.random.default_rng(height).normal(size=(1, 1, height, width)).astype(np.float32))
    size = [max(n, window_px - 2 * margin) for n in (height, width)]
    wide = torch.zeros(1, 1, size[0] + 2 * margin, size[1] + 2 * margin)
    wide[..., margin : margin + height, margin : margin + width] = image
    found = WindowInferer(SimpleInferer(), (window_px, window_px), margin, batch)(wide, lambda x: x)

    assert torch.equal(found[..., margin : margin + height, margin : margin + width], image)


def test_pixels_come_from_the_inside_of_windows() -> None:
    # Windows of 8 px with a margin of 2 px in a row of 12 px: insides are 0-3, 4-7 and 8-11.
    position = torch.arange(8.0).expand(8, 8)
    image = torch.ones(1, 1, 8, 16)
    found = WindowInferer(SimpleInferer(), (8, 8), 2)(image, lambda x: position.expand(len(x), 1, 8, 8))

    assert found[0, 0, 2, 2:14].tolist() == [2, 3, 4, 5] * 3


def test_windows_without_data_are_not_inferred() -> None:
    seen = []

    def network(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return x + 1

    image = torch.zeros(1, 1, 8, 20)
    image[..., 18] = 5
    found = WindowInferer(SimpleInferer(), (8, 8), 2)(image, network)

    assert seen == [1]
    assert found[0, 0, 4, 2:18].tolist() == [0] * 12 + [1] * 4


def test_image_smaller_than_a_window_gets_a_frame() -> None:
    shapes = []

    def network(x: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(x.shape))
        return x * 2

    image = torch.arange(1.0, 7.0).reshape(1, 1, 2, 3)
    found = WindowInferer(SimpleInferer(), (8, 8), 2)(image, network)

    assert shapes == [(1, 1, 8, 8)]
    assert torch.equal(found, image * 2)
