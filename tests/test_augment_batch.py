from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from seep_monai.augment.batch import (
    N_SYMMETRIES,
    AugmentBatch,
    BatchAugment,
    Paste,
    symmetry,
    turned_and_scaled,
)
from seep_monai.augment.settings import AugmentSettings
from seep_monai.errors import ConfigError


def batch_augment(*, paste: Paste | None = None, seed: int = 0, **settings: Any) -> BatchAugment:
    return BatchAugment(AugmentSettings(**settings), paste=paste, seed=seed)


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
    moved, truth = batch_augment(gain=0, seed=1)(image, label)
    values = dict(zip(image[0].flatten().tolist(), label[0].flatten().tolist(), strict=True))
    assert [values[value] for value in moved.flatten().tolist()] == truth.flatten().tolist()


def test_symmetries_on_many_tiles_draw_all_eight() -> None:
    image, label = numbered_batch(200)
    moved, _ = batch_augment(gain=0, seed=0)(image, label)
    assert len({tile.numpy().tobytes() for tile in moved}) == N_SYMMETRIES


def test_symmetries_on_rectangular_tiles_keep_the_shape() -> None:
    image, label = numbered_batch(64, (2, 6))
    moved, truth = batch_augment(gain=0, seed=0)(image, label)
    assert moved.shape == image.shape
    assert truth.shape == label.shape
    assert len({tile.contiguous().numpy().tobytes() for tile in moved}) == 4


def test_turn_by_quarter_turns_is_the_symmetry() -> None:
    image, label = numbered_batch(4)
    angles = torch.arange(4) * torch.pi / 2
    moved, truth = turned_and_scaled(image, label, angles, torch.ones(4))
    for quarter in range(4):
        assert torch.equal(moved[quarter], symmetry(image[quarter], quarter))
        assert torch.equal(truth[quarter], symmetry(label[quarter], quarter))


def test_turn_by_nothing_changes_nothing_on_tiles_of_any_shape() -> None:
    image, label = numbered_batch(2, (6, 10))
    moved, truth = turned_and_scaled(image, label, torch.zeros(2), torch.ones(2))
    assert torch.equal(moved, image)
    assert torch.equal(truth, label)
    assert truth.dtype == label.dtype


def test_turn_of_a_rectangle_keeps_lengths() -> None:
    # A row of 9 px in a tile that is twice as wide as high becomes a column of 9 px.
    label = torch.zeros(1, 1, 21, 43, dtype=torch.uint8)
    label[..., 10, 17:26] = 3
    _, truth = turned_and_scaled(torch.zeros(1, 1, 21, 43), label, torch.tensor([torch.pi / 2]), torch.ones(1))
    rows, columns = (truth[0, 0] == 3).nonzero().T
    assert (len(rows), int(rows.max() - rows.min())) == (9, 8)
    assert columns.unique().numel() == 1


def test_magnified_area_grows_with_the_square() -> None:
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    label = (((rows - 63.5) ** 2 + (columns - 63.5) ** 2) < 20**2).to(torch.uint8)[None, None]
    _, truth = turned_and_scaled(torch.zeros(1, 1, 128, 128), label, torch.tensor([0.7]), torch.tensor([1.25]))
    assert float((truth == 1).sum()) == pytest.approx(float(label.sum()) * 1.25**2, rel=0.02)


def test_turn_fills_what_lay_outside_with_no_data() -> None:
    image, label = torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    moved, truth = turned_and_scaled(image, label, torch.tensor([torch.pi / 4]), torch.ones(1))
    outside = truth == 255
    assert outside[0, 0, 0, 0]
    assert not outside[0, 0, 32, 32]
    # Four corners, of which the turned square leaves 1 - 2 (sqrt 2 - 1) free.
    assert float(outside.float().mean()) == pytest.approx(1 - 2 * (2**0.5 - 1), abs=0.02)
    assert torch.equal(moved == 0, outside)


def test_turn_takes_values_from_the_tile_alone() -> None:
    image, label = numbered_batch(8, (16, 16))
    moved, truth = batch_augment(symmetries=False, gain=0, turn_prob=1, turn_scale=0.3, seed=3)(image, label)
    values = dict(zip(image[0].flatten().tolist(), label[0].flatten().tolist(), strict=True))
    known = truth != 255
    assert 0.6 < float(known.float().mean()) < 1
    assert [values[value] for value in moved[known].tolist()] == truth[known].tolist()
    assert len({tile.numpy().tobytes() for tile in moved}) == 8


def test_turn_takes_its_share_of_the_tiles() -> None:
    image, label = numbered_batch(200)
    moved, _ = batch_augment(symmetries=False, gain=0, turn_prob=0.25, seed=0)(image, label)
    # Alone in its batch, a tile is turned or left as it is.
    augment = batch_augment(symmetries=False, gain=0, turn_prob=0.25, seed=1)
    turned = [not torch.equal(augment(image[:1], label[:1])[0], image[:1]) for _ in range(40)]
    assert 0 < sum(turned) < 20
    assert 0.15 < float((moved != image).flatten(1).any(1).float().mean()) < 0.35


def test_gain_adds_one_logarithm_per_tile_within_its_range() -> None:
    image, label = numbered_batch(100)
    changed, _ = batch_augment(symmetries=False, gain=0.2, seed=0)(image, label)
    factors = (changed - image).exp()
    per_tile = factors.flatten(1)
    assert float((per_tile.amax(1) - per_tile.amin(1)).max()) < 1e-5
    assert 0.8 <= float(factors.min()) < 0.85
    assert 1.15 < float(factors.max()) <= 1.2


def test_gain_leaves_no_data_at_the_level() -> None:
    image, label = numbered_batch()
    image[:, :, 0] = 0
    label[:, :, 0] = 255
    changed, truth = batch_augment(symmetries=False, gain=0.2, seed=0)(image, label)
    assert float(changed[:, :, 0].abs().max()) == 0
    assert bool((truth == label).all())


def test_gain_saturates_where_normalisation_does() -> None:
    image, label = torch.full((50, 1, 2, 2), 2.0), torch.ones(50, 1, 2, 2, dtype=torch.uint8)
    changed, _ = batch_augment(gain=0.2, seed=0)(image, label)
    assert float(changed.max()) == 2.0


def test_same_seed_gives_the_same_batches_and_another_seed_others() -> None:
    batch = numbered_batch()
    one, same, other = (batch_augment(seed=seed)(*batch)[0] for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_augment_leaves_its_input_alone() -> None:
    image, label = numbered_batch()
    before = image.clone(), label.clone()
    batch_augment(seed=0)(image, label)
    assert torch.equal(image, before[0])
    assert torch.equal(label, before[1])


def test_everything_switched_off_gives_the_batch_itself() -> None:
    image, label = numbered_batch()
    changed, truth = batch_augment(symmetries=False, gain=0)(image, label)
    assert torch.equal(changed, image)
    assert torch.equal(truth, label)


@pytest.mark.parametrize("gain", [-0.1, 1.0])
def test_gain_out_of_range_raises(gain: float) -> None:
    with pytest.raises(ConfigError, match="gain"):
        batch_augment(gain=gain)


def test_augment_batch_without_augmentation_passes_image_and_label() -> None:
    image, label = numbered_batch()
    got = AugmentBatch()({"image": image, "label": label, "tile": ["a"]}, "cpu", True)
    assert torch.equal(got[0], image)
    assert torch.equal(got[1], label)


def flat_batch(n_tiles: int = 100, shape: tuple[int, int] = (32, 32)) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full((n_tiles, 1, *shape), 0.5), torch.ones(n_tiles, 1, *shape, dtype=torch.uint8)


def test_paste_comes_after_the_turns_with_the_same_generator() -> None:
    seen = []

    def paste(
        image: torch.Tensor, label: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append((int((label == 255).sum()), generator))
        return image, label

    augment = batch_augment(turn_prob=1, paste=paste, seed=0)
    augment(*flat_batch())
    assert seen[0][0] > 0
    assert seen[0][1] is augment.generator


def test_generator_set_back_goes_on_with_the_same_batches() -> None:
    batch = flat_batch(8)
    augment = batch_augment(turn_prob=0.5, seed=0)
    augment(*batch)
    state = augment.generator.get_state()
    expected = augment(*batch)
    resumed = batch_augment(turn_prob=0.5, seed=1)
    resumed.generator.set_state(state)
    assert all(torch.equal(one, same) for one, same in zip(resumed(*batch), expected, strict=True))


def test_effects_that_are_off_draw_nothing() -> None:
    augment = batch_augment(symmetries=False, gain=0, seed=0)
    before = augment.generator.get_state()
    augment(*flat_batch(2))
    assert torch.equal(augment.generator.get_state(), before)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("turn_prob", 2),
        ("turn_scale", -1),
    ],
)
def test_effect_out_of_range_names_itself(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        batch_augment(**{name: value})
