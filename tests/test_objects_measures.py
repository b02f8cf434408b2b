"""Measures of candidates of known shape, contrast and probability."""

from __future__ import annotations

import numpy as np
import pytest

from seep_monai.objects.candidates import find_candidates
from seep_monai.objects.measures import FAR_PX, MEASURE_NAMES, measure_candidates

SIZE = 64
SEA, SLICK = 0.2, -0.1


def measured(
    mask: np.ndarray,
    *,
    image: np.ndarray | None = None,
    prob: float = 0.8,
    valid: np.ndarray | None = None,
) -> list[dict[str, float]]:
    """The measures of the one level's candidates of a map that is `prob` on the mask, three quarters of it class 2."""
    seep = np.where(mask, prob, 0.0)
    probabilities = np.zeros((8, *mask.shape), np.float32)
    probabilities[0], probabilities[2], probabilities[5] = 1 - seep, 0.75 * seep, 0.25 * seep
    known = np.ones(mask.shape, bool) if valid is None else valid
    pixels = np.where(mask, SLICK, SEA) if image is None else image
    found = find_candidates(seep, (0.5,), valid=known)
    table = measure_candidates(found, pixels, probabilities, valid=known)
    assert table.dtype == np.float32
    assert np.isfinite(table).all()
    return [dict(zip(MEASURE_NAMES, row.tolist(), strict=True)) for row in table]


def bar(rows: slice, cols: slice) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[rows, cols] = True
    return mask


def test_straight_ribbon_has_its_length_width_and_direction() -> None:
    [found] = measured(bar(slice(30, 33), slice(10, 50)))
    assert np.exp(found["area"]) == pytest.approx(120)
    # The moments of a bar of 40 x 3 px are those of a uniform line of 40 px; the skeleton is shorter by about a width.
    assert np.exp(found["length"]) == pytest.approx(40, rel=1e-3)
    assert np.exp(found["width"]) == pytest.approx(3, rel=0.1)
    assert np.exp(found["aspect"]) == pytest.approx(40 / 3, rel=1e-3)
    assert (found["fill"], found["border"], found["branches"]) == (1, 0, 0)
    assert np.expm1(found["ends"]) == pytest.approx(2)
    assert (found["cos2"], found["sin2"]) == (pytest.approx(1), pytest.approx(0, abs=1e-6))


def test_direction_turns_with_the_ribbon() -> None:
    [upright] = measured(bar(slice(10, 50), slice(30, 33)))
    [diagonal] = measured(np.eye(SIZE, dtype=bool))
    assert upright["cos2"] == pytest.approx(-1)
    assert (diagonal["cos2"], diagonal["sin2"]) == (pytest.approx(0, abs=1e-6), pytest.approx(1))
    assert diagonal["border"] == 4


def test_cross_has_a_branch_and_four_ends() -> None:
    [found] = measured(bar(slice(30, 31), slice(10, 51)) | bar(slice(10, 51), slice(30, 31)))
    assert np.expm1(found["ends"]) == pytest.approx(4)
    assert found["branches"] > 0


def test_contrast_is_that_to_the_sea_around() -> None:
    [found] = measured(bar(slice(30, 33), slice(10, 50)))
    assert found["contrast"] == pytest.approx(SLICK - SEA, abs=1e-6)
    assert (found["sd_inside"], found["sd_ring"]) == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6))
    assert found["target"] == pytest.approx(0, abs=1e-6)


def test_contrast_leaves_no_data_and_other_seeps_out() -> None:
    mask = bar(slice(30, 33), slice(10, 50))
    other = bar(slice(36, 39), slice(10, 50))
    valid = ~bar(slice(0, 29), slice(0, SIZE))
    image = np.where(mask, SLICK, SEA)
    image[other], image[~valid] = -1.0, 5.0
    found, _ = measured(mask | other, image=image, valid=valid)
    assert found["contrast"] == pytest.approx(SLICK - SEA, abs=1e-6)
    assert found["target"] == pytest.approx(0, abs=1e-6)


def test_candidate_without_sea_around_has_no_contrast() -> None:
    mask = bar(slice(30, 33), slice(10, 50))
    [found] = measured(mask, valid=mask)
    assert found["contrast"] == pytest.approx(0, abs=1e-6)


def test_bright_target_at_its_start_is_seen_and_a_far_one_is_not() -> None:
    mask, image = bar(slice(30, 33), slice(10, 50)), np.full((SIZE, SIZE), SEA)
    image[31, 5:7] = 2.0
    [near] = measured(mask, image=image)
    image[31, 5:7], image[60, 20] = SEA, 2.0
    [far] = measured(mask, image=image)
    assert near["target"] == pytest.approx(2.0 - SEA)
    assert np.expm1(near["target_share"]) == pytest.approx(2)
    assert far["target"] == pytest.approx(0, abs=1e-6)


def test_outline_and_naming_come_from_the_probabilities() -> None:
    [found] = measured(bar(slice(30, 33), slice(10, 50)))
    assert [found[name] for name in ("level", "prob_mean", "prob_max", "prob_edge")] == pytest.approx(
        [0.5, 0.8, 0.8, 0.8]
    )
    assert (found["prob_sd"], found["prob_ring"]) == (pytest.approx(0, abs=1e-6), 0)
    assert np.exp([found["own_share_2"], found["own_share_5"]]) == pytest.approx([0.75, 0.25], rel=1e-5)
    assert np.exp(found["own_share_1"]) == pytest.approx(1e-3)


def test_company_is_what_the_window_of_256_px_holds() -> None:
    first, second = measured(bar(slice(30, 33), slice(10, 50)) | bar(slice(50, 53), slice(10, 50)))
    for found in (first, second):
        assert np.exp([found["around_share_2"], found["around_share_5"]]) == pytest.approx([0.75, 0.25], rel=1e-5)
    mask, valid = bar(slice(30, 33), slice(10, 50)), np.ones((SIZE, SIZE), bool)
    probabilities = np.zeros((8, SIZE, SIZE))
    probabilities[0], probabilities[3] = 1 - 0.3 * mask, 0.3 * mask
    faint = measure_candidates(find_candidates(0.3 * mask, (0.2,)), np.zeros(mask.shape), probabilities, valid=valid)
    shares = [float(faint[0, MEASURE_NAMES.index(f"around_share_{k}")]) for k in range(1, 8)]
    assert np.exp(shares) == pytest.approx([1 / 7] * 7, rel=1e-5)


def test_neighbour_counts_from_beyond_the_soft_edge_on() -> None:
    mask, other = bar(slice(30, 33), slice(10, 50)), bar(slice(38, 41), slice(10, 30))
    [alone] = measured(mask)
    first, second = measured(mask | other)
    assert np.exp(alone["other_distance"]) == pytest.approx(FAR_PX)
    assert np.expm1(alone["other_area"]) == pytest.approx(0)
    # Rows 32 and 38 are six apart.
    assert np.exp([first["other_distance"], second["other_distance"]]) == pytest.approx([6, 6])
    # 60 and 120 of 64 x 64 px would be 16 times as many of 256 x 256.
    assert np.expm1([first["other_area"], second["other_area"]]) == pytest.approx([16 * 60, 16 * 120], rel=1e-5)


def test_surroundings_end_128_px_from_the_middle() -> None:
    # The middle of columns 100 to 299 is 200: the window is 72 to 327. Its upper half lies outside the image, with 130
    # of 256 rows inside.
    def other_area(column: int) -> float:
        mask = np.zeros((600, 600), bool)
        mask[1:3, 100:300] = True
        mask[40:50, column : column + 10] = True
        return float(np.expm1(measured(mask)[0]["other_area"]))

    assert other_area(318) == pytest.approx(100 * 256 / 130, rel=1e-5)
    assert other_area(323) == pytest.approx(50 * 256 / 130, rel=1e-5)
    assert other_area(328) == pytest.approx(0, abs=1e-6)


def test_neighbour_beyond_twelve_pixels_is_far() -> None:
    mask = bar(slice(10, 14), slice(5, 15))
    near, far = mask | bar(slice(25, 29), slice(5, 15)), mask | bar(slice(26, 30), slice(5, 15))
    # Rows 13 and 25 are twelve apart.
    assert np.exp(measured(near)[0]["other_distance"]) == pytest.approx(12)
    assert np.exp(measured(far)[0]["other_distance"]) == pytest.approx(FAR_PX)


def test_no_candidates_give_an_empty_table() -> None:
    assert measured(np.zeros((SIZE, SIZE), bool)) == []
