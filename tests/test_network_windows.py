"""Windows cover an image once; a network that changes nothing gives the image back, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.inferers import SimpleInferer

from seep_monai.errors import ConfigError
from seep_monai.network.inferers import WindowInferer
from seep_monai.network.windows import inside_px, windows_along


@given(st.integers(1, 700), st.integers(1, 300))
def test_each_pixel_is_taken_from_one_window_that_holds_it(size: int, inside: int) -> None:
    windows = windows_along(size, inside)

    assert [pixel for w in windows for pixel in range(w.first, w.stop)] == list(range(size))
    assert all(w.start <= w.first and w.stop <= w.start + inside for w in windows)
    # Only an image smaller than a window reaches beyond its end.
    assert all(w.start >= 0 and w.start + inside <= max(size, inside) for w in windows)


def test_margins_that_leave_nothing_are_refused() -> None:
    assert inside_px(320, 32) == 256
    with pytest.raises(ConfigError, match="less than half of the window's 64 px, but got 32"):
        inside_px(64, 32)


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
