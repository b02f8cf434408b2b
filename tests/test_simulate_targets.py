"""Bright targets: their peak, cross and ghosts, and the same pixels whatever window asks for them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from seep_monai.simulate.targets import Target, add_targets, draw_targets

TARGET = Target(row=100.0, col=120.0, size_px=4.0, heading_deg=0.0, peak_db=20.0)


def drawn(*targets: Target, shape: tuple[int, int] = (256, 256), level: float = 1.0) -> np.ndarray:
    intensity = np.zeros(shape, np.float32)
    add_targets(intensity, np.s_[0 : shape[0], 0 : shape[1]], targets, lambda row, col: level)
    return intensity


def test_peak_stands_above_the_sea_by_its_decibels() -> None:
    image = drawn(TARGET, level=0.03)
    assert np.unravel_index(image.argmax(), image.shape) == (100, 120)
    assert image.max() == pytest.approx(0.03 * 100, rel=1e-5)


def test_body_is_as_long_as_stated() -> None:
    # Heading 0: along the columns; half the peak at 2 px on either side, narrower across.
    image = drawn(TARGET)
    assert image[100, 118] == pytest.approx(50, rel=1e-2)
    assert image[100, 122] == pytest.approx(50, rel=1e-2)
    assert image[102, 120] < 40


def test_cross_is_longer_along_azimuth_and_ends() -> None:
    image = drawn(dataclasses.replace(TARGET, size_px=2.0, peak_db=30.0))
    rows, cols = image[:, 120] > 0.05, image[100] > 0.05
    assert 40 < rows.sum() < 53
    assert 20 < cols.sum() < 33
    assert rows.sum() > cols.sum()
    assert image[112, 132] < 1e-3


def test_tilt_turns_the_cross() -> None:
    image = drawn(dataclasses.replace(TARGET, size_px=2.0, peak_db=30.0, tilt_deg=13.0))
    # 15 px up the azimuth arm the column has moved by 15 * tan(13 deg) = 3.5 px.
    assert abs(abs(int(image[85].argmax()) - 120) - 3.5) <= 0.5


def test_ghosts_lie_along_tilted_azimuth_and_are_fainter() -> None:
    # 200 px at 13 degrees: 200 * .97437 = 194.874 rows and 200 * .22495 = 44.990 columns.
    target = dataclasses.replace(TARGET, row=249.874, col=119.99, tilt_deg=13.0, ghost_offset_px=200.0, ghost_db=-20.0)
    image = drawn(target, shape=(500, 256))
    # 249.874 + 194.874 = 444.748, 119.99 - 44.99 = 75; 249.874 - 194.874 = 55, 119.99 + 44.99 = 164.98.
    assert np.unravel_index(image[400:].argmax(), (100, 256)) == (45, 75)
    assert np.unravel_index(image[:100].argmax(), (100, 256)) == (55, 165)
    assert image[55, 165] == pytest.approx(1.0, rel=1e-3)
    assert image[250, 120] == pytest.approx(100.0, rel=0.02)


def test_ghosts_lie_on_the_arm_of_the_cross() -> None:
    # The arm passes 15 px up at 120 + 15 * tan(13 deg) = 123.5; so does the line to the upper ghost.
    image = drawn(dataclasses.replace(TARGET, size_px=2.0, peak_db=30.0, tilt_deg=13.0, ghost_offset_px=60.0))
    (row, col), (arm_row, arm_col) = np.unravel_index(image[:60].argmax(), (60, 256)), (85, int(image[85].argmax()))
    assert (100 - row) / (col - 120) == pytest.approx((100 - arm_row) / (arm_col - 120), rel=0.2)
    assert (row, col) == (42, 133)


def test_ghosts_without_tilt_lie_on_the_same_column() -> None:
    image = drawn(dataclasses.replace(TARGET, row=250.0, ghost_offset_px=200.0, ghost_db=-20.0), shape=(500, 256))
    assert image[[50, 450], 120] == pytest.approx(1.0, rel=1e-4)


def test_targets_in_tiles_equal_targets_in_one_window() -> None:
    targets = draw_targets(60, (512, 512), np.random.default_rng(0), tilt_deg=10.0, at=[(256.0, 256.0)])
    whole = drawn(*targets, shape=(512, 512))
    for row in range(0, 512, 64):
        for col in range(0, 512, 64):
            tile = np.zeros((64, 64), np.float32)
            add_targets(tile, np.s_[row : row + 64, col : col + 64], targets, lambda row, col: 1.0)
            np.testing.assert_allclose(tile, whole[row : row + 64, col : col + 64], rtol=1e-6, atol=1e-6)


def test_level_is_asked_at_the_target_and_only_where_it_reaches() -> None:
    asked: list[tuple[float, float]] = []

    def level_at(row: float, col: float) -> float:
        asked.append((row, col))
        return 1.0

    add_targets(np.zeros((64, 64), np.float32), np.s_[64:128, 64:128], [TARGET], level_at)
    add_targets(np.zeros((64, 64), np.float32), np.s_[192:256, 192:256], [TARGET], level_at)
    assert asked == [(100.0, 120.0)]


def test_target_beyond_the_scene_reaches_into_it() -> None:
    image = drawn(dataclasses.replace(TARGET, row=-3.0, peak_db=30.0))
    assert image[0, 120] > 1


def test_draw_targets_gives_count_and_given_places() -> None:
    targets = draw_targets(5, (400, 600), np.random.default_rng(0), tilt_deg=10.0, at=[(1.5, 2.5), (3.0, 4.0)])
    assert len(targets) == 7
    assert [(t.row, t.col) for t in targets[5:]] == [(1.5, 2.5), (3.0, 4.0)]
    assert len({t.tilt_deg for t in targets}) == 1


def test_draw_targets_stays_in_the_stated_ranges() -> None:
    targets = draw_targets(500, (5000, 5000), np.random.default_rng(1), tilt_deg=10.0)
    assert all(1 <= t.size_px <= 10 and 10 <= t.peak_db <= 30 and -30 <= t.ghost_db <= -20 for t in targets)
    assert 0.3 < sum(t.peak_db > 23 for t in targets) / 500 < 0.5


def test_target_goes_through_json() -> None:
    target = draw_targets(1, (100, 100), np.random.default_rng(2), tilt_deg=10.0)[0]
    assert Target(**json.loads(json.dumps(dataclasses.asdict(target)))) == target
