"""Comparison of logits, by hand, and the images that are compared."""

from __future__ import annotations

import math

import pytest
import torch

from seep_monai.errors import DataError
from seep_monai.export.comparison import MOST_DIFFERENCE, Comparison, compare_logits, compare_networks, compared_images


def logits(*pixels: tuple[float, float]) -> torch.Tensor:
    """(1, 2, 1, N) of two classes."""
    return torch.tensor(pixels).T[None, :, None]


def test_pixels_ties_and_differences_are_counted() -> None:
    # Clear and kept; clear and changed; a tie that changes.
    expected = logits((1.0, 0.0), (0.0, 2e-4), (0.5, 0.50005))
    found = logits((1.0, 0.25), (2e-4, 0.0), (0.50005, 0.5))
    comparison = compare_logits(expected, found)
    assert (comparison.n_pixels, comparison.n_ties, comparison.n_other_class) == (3, 1, 1)
    assert comparison.largest_difference == 0.25
    with pytest.raises(DataError, match="1 of 3 pixels have another class"):
        comparison.check("seeps.onnx")


def test_large_difference_without_another_class_is_an_error() -> None:
    Comparison(10, 0, 0, MOST_DIFFERENCE).check("seeps.onnx")
    with pytest.raises(DataError, match=r"largest difference of a logit is 0\.0011"):
        Comparison(10, 0, 0, 1.1 * MOST_DIFFERENCE).check("seeps.onnx")


def test_logits_that_are_not_finite_are_an_error_in_any_order() -> None:
    broken = compare_logits(logits((1.0, 0.0)), logits((math.nan, 0.0)))
    for comparison in (broken + Comparison(1), Comparison(1) + broken):
        with pytest.raises(DataError, match="largest difference of a logit is nan"):
            comparison.check("seeps.onnx")


def test_networks_are_compared_over_all_images() -> None:
    images = [torch.zeros(1, 2, 1, 3), torch.ones(2, 2, 4, 4)]
    comparison = compare_networks(torch.nn.Identity(), lambda image: image + 0.5 * image, images)
    assert (comparison.n_pixels, comparison.n_ties, comparison.largest_difference) == (3 + 32, 35, 0.5)


def test_compared_images_have_sizes_and_batches_of_all_kinds() -> None:
    images = compared_images((64, 96))
    assert [tuple(image.shape) for image in images[:4]] == [
        (1, 1, 64, 96),
        (1, 1, 64, 192),
        (1, 1, 128, 96),
        (4, 1, 64, 96),
    ]
    assert torch.equal(images[0], images[3][:1])
    assert torch.equal(images[1], torch.cat([images[3][0], images[3][1]], dim=2)[None])
    everything = torch.cat([image.flatten() for image in images])
    # Normalised sea: the median is near the level, and dark seeps and bright ships are there.
    assert -0.2 < float(everything.median()) < 0.2
    assert -2 <= float(everything.min()) < -0.4
    assert 0.4 < float(everything.max()) <= 2
