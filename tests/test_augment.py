from __future__ import annotations

import numpy as np
import pytest
import torch

from seep_monai.augment import N_SYMMETRIES, AugmentBatch, BatchAugment, symmetry
from seep_monai.errors import ConfigError


def numbered_batch(n_tiles: int = 16, shape: tuple[int, int] = (4, 4)) -> tuple[torch.Tensor, torch.Tensor]:
    """Every pixel has its own small value in the image and 1..7 in the label, so that a move shows."""
    n = shape[0] * shape[1]
    image = torch.linspace(-0.5, 0.5, n).reshape(1, 1, *shape).repeat(n_tiles, 1, 1, 1)
    label = (1 + torch.arange(n) % 7).reshape(1, 1, *shape).repeat(n_tiles, 1, 1, 1).to(torch.uint8)
    return image, label


def test_symmetry_over_all_indices_gives_the_eight_of_the_square() -> None:
    tile = torch.arange(9).reshape(3, 3)
    square = tile.numpy()
    expected = {np.rot90(m, k).tobytes() for m in (square, square.T) for k in range(4)}
    assert {symmetry(tile, index).contiguous().numpy().tobytes() for index in range(N_SYMMETRIES)} == expected


def test_symmetries_move_image_and_label_alike() -> None:
    image, label = numbered_batch()
    moved, truth = BatchAugment(gain=0, seed=1)(image, label)
    values = dict(zip(image[0].flatten().tolist(), label[0].flatten().tolist(), strict=True))
    assert [values[value] for value in moved.flatten().tolist()] == truth.flatten().tolist()


def test_symmetries_on_many_tiles_draw_all_eight() -> None:
    image, label = numbered_batch(200)
    moved, _ = BatchAugment(gain=0, seed=0)(image, label)
    assert len({tile.numpy().tobytes() for tile in moved}) == N_SYMMETRIES


def test_symmetries_on_rectangular_tiles_keep_the_shape() -> None:
    image, label = numbered_batch(64, (2, 6))
    moved, truth = BatchAugment(gain=0, seed=0)(image, label)
    assert moved.shape == image.shape
    assert truth.shape == label.shape
    assert len({tile.contiguous().numpy().tobytes() for tile in moved}) == 4


def test_gain_adds_one_logarithm_per_tile_within_its_range() -> None:
    image, label = numbered_batch(100)
    changed, _ = BatchAugment(symmetries=False, gain=0.2, seed=0)(image, label)
    factors = (changed - image).exp()
    per_tile = factors.flatten(1)
    assert float((per_tile.amax(1) - per_tile.amin(1)).max()) < 1e-5
    assert 0.8 <= float(factors.min()) < 0.85
    assert 1.15 < float(factors.max()) <= 1.2


def test_gain_leaves_no_data_at_the_level() -> None:
    image, label = numbered_batch()
    image[:, :, 0] = 0
    label[:, :, 0] = 255
    changed, truth = BatchAugment(symmetries=False, gain=0.2, seed=0)(image, label)
    assert float(changed[:, :, 0].abs().max()) == 0
    assert bool((truth == label).all())


def test_gain_saturates_where_normalisation_does() -> None:
    image, label = torch.full((50, 1, 2, 2), 2.0), torch.ones(50, 1, 2, 2, dtype=torch.uint8)
    changed, _ = BatchAugment(gain=0.2, seed=0)(image, label)
    assert float(changed.max()) == 2.0


def test_same_seed_gives_the_same_batches_and_another_seed_others() -> None:
    batch = numbered_batch()
    one, same, other = (BatchAugment(seed=seed)(*batch)[0] for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_augment_leaves_its_input_alone() -> None:
    image, label = numbered_batch()
    before = image.clone(), label.clone()
    BatchAugment(seed=0)(image, label)
    assert torch.equal(image, before[0])
    assert torch.equal(label, before[1])


def test_everything_switched_off_gives_the_batch_itself() -> None:
    image, label = numbered_batch()
    changed, truth = BatchAugment(symmetries=False, gain=0)(image, label)
    assert torch.equal(changed, image)
    assert torch.equal(truth, label)


@pytest.mark.parametrize("gain", [-0.1, 1.0])
def test_gain_out_of_range_raises(gain: float) -> None:
    with pytest.raises(ConfigError, match="gain"):
        BatchAugment(gain=gain)


def test_augment_batch_without_augmentation_passes_image_and_label() -> None:
    image, label = numbered_batch()
    got = AugmentBatch()({"image": image, "label": label, "tile": ["a"]}, "cpu", True)
    assert torch.equal(got[0], image)
    assert torch.equal(got[1], label)
