"""The swath: borders worked by hand, windows against the whole, border noise, and how often borders cut tiles."""

from __future__ import annotations

import numpy as np
import pytest

from seep_monai.simulate.swath import Swath, draw_edges


def test_valid_of_a_straight_border_by_hand() -> None:
    swath = Swath((4, 6), (("left", 2.0, 0.0), ("bottom", 1.0, 0.0)))
    valid = swath.valid(np.s_[0:4, 0:6])
    assert valid is not None
    expected = np.zeros((4, 6), bool)
    expected[:3, 2:] = True
    np.testing.assert_array_equal(valid, expected)


def test_valid_of_a_slanted_border_by_hand() -> None:
    # depth >= 2 + .5 * (col - 4): 0, .5, 1, 1.5, 2, 2.5, 3, 3.5 rows are cut, rounded up.
    valid = Swath((8, 8), (("top", 2.0, 0.5),)).valid(np.s_[0:8, 0:8])
    assert valid is not None
    np.testing.assert_array_equal((~valid).sum(axis=0), [0, 1, 1, 2, 2, 3, 3, 4])


@pytest.mark.parametrize("side", ["top", "bottom", "left", "right"])
def test_valid_in_tiles_equals_valid_in_one_window(side: str) -> None:
    swath = Swath((256, 320), ((side, 20.0, 0.23), ("left", -5.0, -0.2)))
    whole = swath.valid(np.s_[0:256, 0:320])
    assert whole is not None
    for row in range(0, 256, 64):
        for col in range(0, 320, 64):
            window = np.s_[row : row + 64, col : col + 64]
            part = swath.valid(window)
            assert (part is None) == whole[window].all()
            if part is not None:
                np.testing.assert_array_equal(part, whole[window])


def test_blank_without_noise_zeroes_the_outside_alone() -> None:
    swath, image = Swath((50, 60), (("right", 10.0, 0.2),)), np.full((50, 60), 9000, np.uint16)
    swath.blank(image, np.s_[0:50, 0:60], border_noise_px=0, step_dn=300, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(image, np.where(swath.valid(np.s_[0:50, 0:60]), 9000, 0))


def test_blank_puts_a_strip_of_low_levels_beside_a_range_border() -> None:
    swath, image = Swath((400, 20), (("left", 4.5, 0.0),)), np.full((400, 20), 30000, np.uint16)
    swath.blank(image, np.s_[0:400, 0:20], border_noise_px=2, step_dn=300, rng=np.random.default_rng(0))
    # Columns 5 and 6 lie .5 and 1.5 px inside, column 7 is half sea: 15000 and half a noise level.
    assert not image[:, :5].any()
    assert set(np.unique(image[:, 5:7])) == {300 * level for level in range(1, 8)}
    assert ((image[:, 7] >= 15000) & (image[:, 7] <= 16200)).all()
    assert (image[:, 8:] == 30000).all()
    assert not (image % 300).any()


def test_blank_leaves_azimuth_borders_clean() -> None:
    swath, image = Swath((20, 20), (("top", 4.0, 0.0),)), np.full((20, 20), 30000, np.uint16)
    swath.blank(image, np.s_[0:20, 0:20], border_noise_px=2, step_dn=300, rng=np.random.default_rng(0))
    assert set(np.unique(image)) == {0, 30000}


def test_draw_edges_turn_the_swath_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    edges = next(
        edges for edges in (draw_edges((8192, 8192), rng, tilt_deg=13.0) for _ in range(50)) if len(edges) == 4
    )
    slopes = {side: slope for side, _, slope in edges}
    assert slopes["top"] == slopes["right"] == -slopes["bottom"] == -slopes["left"]


@pytest.mark.parametrize("shape", [(1280, 1280), (2048, 2560)])
def test_draw_edges_cuts_about_an_eighth_of_the_tiles(shape: tuple[int, int]) -> None:
    rng, shares = np.random.default_rng(0), []
    for _ in range(150):
        swath = Swath(shape, draw_edges(shape, rng, tilt_deg=float(rng.choice((-13, 13)))))
        for row in range(0, shape[0], 256):
            for col in range(0, shape[1], 256):
                valid = swath.valid(np.s_[row : row + 256, col : col + 256])
                shares.append(0.0 if valid is None else 1 - valid[::8, ::8].mean())
    with_data = np.array(shares)[np.array(shares) < 1]
    assert 0.09 < (with_data > 0).mean() < 0.17
    assert 0.02 < with_data.mean() < 0.08
