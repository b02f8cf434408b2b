from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seep_monai.augment.slick_bank import SlickBank

SIZE_PX = 48


def item(image: np.ndarray, label: np.ndarray) -> dict[str, torch.Tensor]:
    return {"image": torch.from_numpy(image[None].astype(np.float32)), "label": torch.from_numpy(label[None])}


def bar_tile(
    log_ratio: float = math.log(0.5), *, sea: float = 0.25, label: int = 3, size: int = SIZE_PX
) -> tuple[np.ndarray, np.ndarray]:
    """A flat sea with a slick in rows 20..23 and columns 10..29."""
    truth = np.zeros((size, size), np.uint8)
    truth[20:24, 10:30] = label
    return np.where(truth > 0, sea + log_ratio, sea), truth


def test_bar_in_a_flat_sea_is_kept_as_its_ratio_and_box() -> None:
    bank = SlickBank.from_items([item(*bar_tile())])
    (slick,) = bank.slicks
    assert (slick.label, slick.start, slick.stop, slick.height_px, slick.width_px) == (3, 0, 80, 4, 20)
    assert slick.cut == (False,) * 4
    assert bank.rows.tolist() == [row for row in range(4) for _ in range(20)]
    assert bank.cols.tolist() == list(range(20)) * 4
    np.testing.assert_allclose(bank.log_ratios, math.log(0.5), atol=1e-6)


def test_border_and_core_keep_their_own_ratios() -> None:
    image, truth = bar_tile(-0.1)
    # Rows 21 and 22, columns 11..28, are what is left of the bar without its border.
    image[21:23, 11:29] = 0.25 - 0.4
    bank = SlickBank.from_items([item(image, truth)])
    expected = np.full((4, 20), -0.1)
    expected[1:3, 1:19] = -0.4
    np.testing.assert_allclose(bank.log_ratios.reshape(4, 20), expected, atol=1e-6)


def test_speckle_of_the_donor_is_mostly_averaged_out() -> None:
    image, truth = bar_tile()
    truth[14:34, 8:40] = 3
    image = np.where(truth > 0, -0.5, 0.0) + np.random.default_rng(0).normal(0, 0.18, truth.shape)
    ratios = SlickBank.from_items([item(image, truth)]).log_ratios
    # 49 pixels inside give .18 / 7, the 14 of a straight border .18 / sqrt(14); the sea's mean adds less.
    assert float(ratios.std()) < 0.045
    assert float(ratios.mean()) == pytest.approx(-0.5, abs=0.02)


def test_ring_leaves_out_other_slicks_and_no_data() -> None:
    image, truth = bar_tile()
    truth[28:30, 10:30], image[28:30, 10:30] = 5, -2.0
    truth[14:16, 10:30], image[14:16, 10:30] = 255, 1.5
    bank = SlickBank.from_items([item(image, truth)])
    ratios = bank.log_ratios[bank.slicks[0].start : bank.slicks[0].stop]
    np.testing.assert_allclose(ratios, math.log(0.5), atol=1e-6)


def test_corner_contact_joins_and_classes_part() -> None:
    _, truth = bar_tile()
    truth[24:28, 30:36] = 3
    truth[24:28, 10:20] = 4
    bank = SlickBank.from_items([item(np.where(truth > 0, -0.5, 0.0), truth)])
    assert [(slick.label, slick.stop - slick.start) for slick in bank.slicks] == [(3, 104), (4, 40)]


def test_edges_that_cut_a_slick_are_noted_from_top_over_left_to_bottom_and_right() -> None:
    truth = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    truth[:5, 20:24] = 1
    truth[40:, 40:] = 2
    truth[20:24, :10] = 3
    bank = SlickBank.from_items([item(np.where(truth > 0, -0.5, 0.0), truth)])
    assert {slick.label: slick.cut for slick in bank.slicks} == {
        1: (True, False, False, False),
        2: (False, False, True, True),
        3: (False, True, False, False),
    }


def test_what_cannot_be_measured_is_left_out_by_reason() -> None:
    bright = item(*bar_tile(0.2))
    image, truth = bar_tile()
    truth[24, 12] = 255
    small = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    small[5, 5:12] = 1
    full = np.full((SIZE_PX, SIZE_PX), 2, np.uint8)
    blank = np.zeros(full.shape)
    bank = SlickBank.from_items(
        [bright, item(image, truth), item(blank, small), item(blank, full), item(blank, 0 * full)]
    )
    assert bank.slicks == ()
    assert bank.left_out == {
        "not darker than the sea": 1,
        "beside no-data": 1,
        "below 8 px": 1,
        "without sea around": 1,
    }


def test_slicks_of_several_tiles_follow_one_another() -> None:
    bank = SlickBank.from_items([item(*bar_tile(label=label)) for label in (3, 7, 3)])
    assert bank.by_class() == {1: [], 2: [], 3: [0, 2], 4: [], 5: [], 6: [], 7: [1]}
    assert [(slick.start, slick.stop) for slick in bank.slicks] == [(0, 80), (80, 160), (160, 240)]


def test_size_is_eight_bytes_a_pixel() -> None:
    assert SlickBank.from_items([item(*bar_tile())]).n_bytes == 8 * 80


def test_no_tiles_give_an_empty_bank() -> None:
    bank = SlickBank.from_items([])
    assert bank.slicks == ()
    assert bank.n_bytes == 0
