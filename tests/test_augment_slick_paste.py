from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from seep_monai.augment.batch import N_SYMMETRIES, symmetry
from seep_monai.augment.slick_bank import Slick, SlickBank
from seep_monai.augment.slick_paste import SlickPaste, find_places
from seep_monai.errors import ConfigError

SIZE_PX = 32
# An L: no symmetry of the square but one leaves it as it is.
SHAPE = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0]], bool)


def bank_of(*labels: int, cut: tuple[bool, bool, bool, bool] = (False,) * 4, shape: np.ndarray = SHAPE) -> SlickBank:
    """One slick per label, all of one shape; slick i has the log ratio -.1 (i + 1)."""
    rows, cols = np.nonzero(shape)
    n = len(rows)
    slicks = [
        Slick(label=label, start=i * n, stop=(i + 1) * n, height_px=shape.shape[0], width_px=shape.shape[1], cut=cut)
        for i, label in enumerate(labels)
    ]
    return SlickBank(
        slicks=tuple(slicks),
        rows=torch.from_numpy(np.tile(rows, len(labels)).astype(np.int16)),
        cols=torch.from_numpy(np.tile(cols, len(labels)).astype(np.int16)),
        log_ratios=-0.1 * (1 + torch.arange(len(labels))).repeat_interleave(n).float(),
        left_out={},
    )


def batch(n_tiles: int = 8, shape: tuple[int, int] = (SIZE_PX, SIZE_PX)) -> tuple[torch.Tensor, torch.Tensor]:
    """A speckled sea without seeps."""
    image = 0.2 * torch.randn(n_tiles, 1, *shape, generator=torch.Generator().manual_seed(9))
    return image, torch.zeros(n_tiles, 1, *shape, dtype=torch.uint8)


def pasted(
    bank: SlickBank, image: torch.Tensor, label: torch.Tensor, *, seed: int = 0, **settings: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    paste = SlickPaste(bank, **{"prob": 1, "max_slicks": 1, **settings})
    return paste(image, label, torch.Generator().manual_seed(seed))


def test_half_ratio_halves_the_sea_of_the_receiver_and_nothing_else_changes() -> None:
    truth = np.zeros((1, 64, 64), np.uint8)
    truth[0, 20:24, 10:30] = 5
    donor = {"image": torch.from_numpy(np.where(truth > 0, math.log(0.5), 0.0)), "label": torch.from_numpy(truth)}
    image, label = batch(shape=(64, 64))
    changed, marked = pasted(SlickBank.from_items([donor]), image, label)
    new = marked == 5
    assert new.flatten(1).sum(1).tolist() == [80] * 8
    torch.testing.assert_close(changed[new].exp(), 0.5 * image[new].exp())
    assert torch.equal(changed[~new], image[~new])
    assert torch.equal(marked[~new], label[~new])


def test_slicks_come_whole_in_all_eight_symmetries() -> None:
    _, marked = pasted(bank_of(1), *batch(200))
    shapes = set()
    for tile in marked[:, 0].numpy():
        rows, cols = np.nonzero(tile)
        box = tile[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
        shapes.add((box.shape, box.tobytes()))
    slick = torch.from_numpy(SHAPE.astype(np.uint8))
    turned = [symmetry(slick, index).contiguous().numpy() for index in range(N_SYMMETRIES)]
    assert shapes == {(one.shape, one.tobytes()) for one in turned}


@pytest.mark.parametrize("index", range(N_SYMMETRIES))
def test_places_turn_pixels_and_cut_edges_as_symmetry_turns_the_tile(index: int) -> None:
    # The box at the top of a 3 x 4 tile: cut above, and where it lies in the turned tile, cut there.
    slick = bank_of(1, cut=(True, False, False, False)).slicks[0]
    (place,) = find_places(slick, (20, 30), [(index + 0.5) / 8, 0.4, 0.4])
    tile = np.zeros(20 * 30, int)
    for number, (row, col) in enumerate(np.ndindex(3, 4)):
        tile[place.origin + row * place.row_step + col * place.col_step] = number + 1
    rows, cols = np.nonzero(tile.reshape(20, 30))
    found = tile.reshape(20, 30)[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
    np.testing.assert_array_equal(found, symmetry(1 + torch.arange(12).reshape(3, 4), index))
    edge = np.zeros((5, 5))
    edge[0, 1:4] = 1
    turned = symmetry(torch.from_numpy(edge), index).numpy()
    at_edge = (rows.min() == 0, cols.min() == 0, rows.max() == 19, cols.max() == 29)
    assert at_edge == (turned[0, 2] == 1, turned[2, 0] == 1, turned[4, 2] == 1, turned[2, 4] == 1)


def test_slick_that_crosses_its_tile_needs_a_tile_of_that_size() -> None:
    slick = bank_of(1, cut=(False, True, False, True)).slicks[0]
    numbers = [0.0, 0.5, 0.5]
    assert find_places(slick, (10, 5), numbers) == []
    assert find_places(slick, (10, 3), numbers) == []
    assert len(find_places(slick, (10, 4), numbers)) == 1


def test_no_data_and_truth_with_two_pixels_around_stay_untouched() -> None:
    image, label = batch(200)
    label[:, :, 12:20, 10:22] = 2
    label[:, :, :, :4] = 255
    image[label == 255] = 0
    changed, marked = pasted(bank_of(1), image, label)
    old = ndimage.binary_dilation(label[0, 0] > 0, np.ones((5, 5)))
    new = (marked != label)[:, 0]
    assert int(new.any(2).any(1).sum()) > 150
    assert not bool(new[:, torch.from_numpy(old)].any())
    # The nearest places allowed are taken by some of the 200.
    assert bool(new[:, torch.from_numpy(ndimage.binary_dilation(old))].any())
    assert torch.equal(changed[marked == label], image[marked == label])


def test_slicks_pasted_into_one_tile_keep_apart() -> None:
    _, marked = pasted(bank_of(1), *batch(100), max_slicks=4)
    counts = [ndimage.label(tile, np.ones((3, 3)))[1] for tile in marked[:, 0].numpy()]
    areas = marked.flatten(1).sum(1).tolist()
    assert areas == [int(SHAPE.sum()) * n for n in counts]
    assert set(counts) == {1, 2, 3, 4}


def test_full_tile_stays_as_it_is() -> None:
    image, label = batch(4)
    label[:, :, ::4, ::4] = 1
    changed, marked = pasted(bank_of(2), image, label, max_slicks=3)
    assert torch.equal(changed, image)
    assert torch.equal(marked, label)


def test_tile_smaller_than_the_slick_stays_as_it_is() -> None:
    image, label = batch(4, (2, 2))
    changed, _ = pasted(bank_of(2), image, label)
    assert torch.equal(changed, image)


def test_pasting_saturates_where_normalisation_does() -> None:
    image, label = batch()
    changed, _ = pasted(bank_of(1), torch.full_like(image, -1.95), label)
    assert float(changed.min()) == -2.0


def test_classes_are_drawn_by_their_weights_whatever_their_numbers() -> None:
    n = 2000
    bank = bank_of(1, 1, 1, 1, 1, 1, 4, 4, 7)
    _, marked = pasted(bank, *batch(n, (12, 12)), class_weights=(1, 9, 0, 2, 0, 0, 5))
    drawn = Counter(int(tile.max()) for tile in marked)
    # Class 2 has a weight and no slick. Four standard deviations of a binomial count.
    for label, share in ((1, 1 / 8), (4, 2 / 8), (7, 5 / 8)):
        assert abs(drawn[label] - n * share) < 4 * math.sqrt(n * share * (1 - share))
    assert set(drawn) == {1, 4, 7}


def test_slicks_of_a_class_are_drawn_equally() -> None:
    n = 2000
    image, label = batch(n, (12, 12))
    changed, _ = pasted(bank_of(6, 6, 6, 6), 0 * image, label)
    drawn = Counter(round(float(tile.min()), 1) for tile in changed)
    assert set(drawn) == {-0.1, -0.2, -0.3, -0.4}
    assert max(abs(count - n / 4) for count in drawn.values()) < 4 * math.sqrt(n * 3 / 16)


def test_share_of_tiles_with_slicks_is_the_probability() -> None:
    n = 2000
    _, marked = pasted(bank_of(1), *batch(n, (12, 12)), prob=0.3)
    assert abs(int(marked.flatten(1).any(1).sum()) - 0.3 * n) < 4 * math.sqrt(n * 0.21)


def test_same_seed_gives_the_same_batch_and_leaves_its_input_alone() -> None:
    image, label = batch()
    before = image.clone()
    one, same, other = (pasted(bank_of(1, 2), image, label, seed=seed, max_slicks=3)[0] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(image, before)
    assert not bool(label.any())


def test_draws_do_not_depend_on_what_the_tiles_hold() -> None:
    states = []
    for value in (0, 255):
        generator = torch.Generator().manual_seed(0)
        image, label = batch()
        SlickPaste(bank_of(1), prob=0.5)(image, torch.full_like(label, value), generator)
        states.append(generator.get_state())
    assert torch.equal(*states)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prob": 1.5}, "paste_prob"),
        ({"max_slicks": 0}, "paste_max_slicks"),
        ({"class_weights": (1, 2)}, "paste_class_weights: expected 7"),
        ({"class_weights": (1, 1, 1, 1, 1, 1, -1)}, "paste_class_weights: expected 7"),
        ({"class_weights": (0, 1, 1, 1, 1, 1, 1)}, "has slicks"),
    ],
)
def test_bad_settings_name_themselves(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SlickPaste(bank_of(1), **{"prob": 1, **settings})
