"""Statistics of tiles, against noise with known moments and masks worked out by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from seep_monai.calibration.statistics import (
    TileMeasures,
    autocorrelation,
    blocks,
    measure_tile,
    pooled,
    range_trend,
    sample_keys,
    share_keys,
    speckle_cv,
)
from seep_monai.errors import DataError


def empty_mask(size_px: int = 128) -> npt.NDArray[np.uint8]:
    return np.zeros((size_px, size_px), np.uint8)


def flat(dn: int, size_px: int = 128) -> npt.NDArray[np.uint16]:
    return np.full((size_px, size_px), dn, np.uint16)


def sea(seed: int, size_px: int = 128) -> npt.NDArray[np.uint16]:
    rng = np.random.default_rng(seed)
    return (20000 * rng.gamma(25, 1 / 25, (size_px, size_px))).astype(np.uint16)


def measured(dn: npt.NDArray[np.uint16], mask: npt.NDArray[np.uint8]) -> TileMeasures:
    return measure_tile(dn, mask, scene="a", index=1)


def test_speckle_cv_of_gamma_noise_is_one_over_root_of_looks() -> None:
    patches = np.random.default_rng(0).gamma(25, 1 / 25, (400, 32, 32))
    assert speckle_cv(patches).mean() == pytest.approx(0.2, abs=0.001)


def test_autocorrelation_of_moving_average_is_known_along_it_and_none_across() -> None:
    noise = np.random.default_rng(1).standard_normal((400, 32, 33))
    # x[i] = e[i + 1] + e[i] / 2 has lag-1 correlation .5 / (1 + .25) = .4 and lag-2 correlation 0.
    patches = noise[:, :, 1:] + 0.5 * noise[:, :, :-1]
    assert autocorrelation(patches, lag=1, axis=2).mean() == pytest.approx(0.4, abs=0.01)
    assert autocorrelation(patches, lag=2, axis=2).mean() == pytest.approx(0, abs=0.01)
    assert autocorrelation(patches, lag=1, axis=1).mean() == pytest.approx(0, abs=0.01)


def test_autocorrelation_of_stripes_by_hand() -> None:
    # Columns -1 1 -1 1: neighbours have the product -1, second neighbours +1; variance 1.
    patches = np.tile([-1.0, 1.0], (1, 4, 2))
    assert autocorrelation(patches, lag=1, axis=2).tolist() == [-1]
    assert autocorrelation(patches, lag=2, axis=2).tolist() == [1]
    assert autocorrelation(patches, lag=1, axis=1).tolist() == [1]


def test_autocorrelation_of_constant_patch_is_left_out() -> None:
    patches = np.stack([np.full((4, 4), 7.0), np.arange(16.0).reshape(4, 4)])
    assert len(autocorrelation(patches, lag=1, axis=1)) == 1


def test_blocks_come_row_by_row_without_incomplete_ones() -> None:
    image = np.arange(30).reshape(5, 6)
    assert blocks(image, 2)[:, 0, 0].tolist() == [0, 2, 4, 12, 14, 16]


def test_tile_patches_with_seep_or_no_data_are_left_out() -> None:
    dn, mask = sea(2), empty_mask()
    assert len(measured(dn, mask).samples["sea.speckle_cv"]) == 16
    mask[0, 0], dn[127, 127] = 3, 0
    assert len(measured(dn, mask).samples["sea.speckle_cv"]) == 14


def test_tile_saturated_patch_is_kept() -> None:
    dn = sea(3)
    dn[:32, :32] = 65535
    samples = measured(dn, empty_mask()).samples
    assert samples["sea.speckle_cv"][0] == 0
    assert (len(samples["sea.speckle_cv"]), len(samples["sea.lag1_down"])) == (16, 15)


def test_tile_block_mean_cv_of_four_levels_by_hand() -> None:
    dn = np.kron([[1000, 2000], [3000, 4000]], np.ones((64, 64))).astype(np.uint16)
    # Mean 2500, deviations -1500, -500, 500, 1500: variance 1.25e6.
    assert measured(dn, empty_mask()).samples["sea.block_mean_cv"] == [pytest.approx(1.25e6**0.5 / 2500)]


def test_tile_with_no_data_has_no_block_mean_cv_but_shares() -> None:
    dn = flat(1000)
    dn[:32], dn[32:48, :64] = 0, 65535
    tile = measured(dn, empty_mask())
    assert "sea.block_mean_cv" not in tile.samples
    assert tile.samples["sea.no_data_share"] == [0.25]
    assert tile.samples["sea.saturated_share"] == [pytest.approx(16 * 64 / (96 * 128))]
    assert (tile.shares["sea.tiles_with_no_data"], tile.shares["sea.tiles_with_saturation"]) == ((1, 1), (1, 1))


def test_tile_all_no_data_has_no_sea() -> None:
    tile = measured(flat(0), empty_mask())
    assert np.isnan(tile.sea_dn)
    assert tile.samples["sea.speckle_cv"] == []
    assert "sea.saturated_share" not in tile.samples


def test_tile_label_on_no_data_is_no_seep() -> None:
    dn, mask = flat(1000), empty_mask()
    mask[10, 10:20] = 2
    dn[10, 10:20] = 0
    assert measured(dn, mask).shares["class2.tiles"] == (0, 1)


def test_tile_instances_are_eight_connected_components_of_one_class() -> None:
    mask = empty_mask()
    mask[10, 10] = mask[11, 11] = mask[40, 40:43] = 1
    mask[12, 12] = 2
    tile = measured(flat(1000), mask)
    assert tile.samples["class1.area_px"] == [2, 3]
    assert tile.samples["class1.n_per_tile"] == [2]
    assert tile.samples["class2.area_px"] == [1]


def test_tile_shares_of_classes_together_and_at_border_by_hand() -> None:
    mask = empty_mask()
    mask[0, 3:9] = mask[50, 3:9] = 1
    mask[90, 127] = 4
    shares = measured(flat(1000), mask).shares
    assert shares["class1.touches_border"] == (1, 2)
    assert shares["class4.touches_border"] == (1, 1)
    assert (shares["class1.with_class4"], shares["class4.with_class1"]) == ((1, 1), (1, 1))
    assert (shares["class1.with_class5"], shares["class5.tiles"]) == ((0, 1), (0, 1))
    assert "class5.with_class1" not in shares


def test_tile_of_other_dtype_is_refused() -> None:
    with pytest.raises(DataError, match="uint16"):
        measure_tile(flat(1).astype(np.float32), empty_mask(), scene="a")
    with pytest.raises(DataError, match="of its size"):
        measured(flat(1), empty_mask(64))


def test_pooled_has_every_key_and_leaves_undefined_ones_empty() -> None:
    statistics = pooled([measured(sea(4), empty_mask())])
    assert list(statistics.samples) == sample_keys()
    assert list(statistics.shares) == share_keys()
    assert len(statistics.samples["class7.area_px"]) == 0
    assert statistics.shares["class7.touches_border"] == {"a": (0, 0)}


def test_pooled_levels_are_counted_over_the_tiles_of_a_scene() -> None:
    first, second, third = flat(300), flat(900), flat(70)
    first[:64] = 600
    second[0, 0] = 0
    tiles = [measure_tile(dn, empty_mask(), scene=scene) for dn, scene in ((first, "a"), (second, "a"), (third, "b"))]
    samples = pooled(tiles).samples
    assert samples["sea.n_levels"].tolist() == [3, 1]
    assert samples["sea.level_step_dn"].tolist() == [300]


def test_pooled_shares_add_counts_per_scene() -> None:
    with_seep = empty_mask()
    with_seep[5, 5] = 6
    tiles = [
        measure_tile(flat(9), mask, scene=s) for mask, s in ((with_seep, "a"), (empty_mask(), "a"), (with_seep, "b"))
    ]
    assert pooled(tiles).shares["class6.tiles"] == {"a": (1, 2), "b": (1, 1)}


def test_pooled_range_trend_of_known_slope() -> None:
    # Six columns, 10 % brighter from one to the next, in two rows: 1.1^5 over the whole grid.
    tiles = [
        measure_tile(flat(round(10000 * 1.1 ** ((index - 1) % 6)), 32), empty_mask(32), scene="a", index=index)
        for index in (1, 3, 4, 8, 11)
    ]
    statistics = pooled(tiles, {"a": 6})
    assert statistics.samples["sea.range_trend"].tolist() == [pytest.approx(1.1**5, rel=1e-4)]
    assert statistics.left_out == []


def test_pooled_range_trend_without_columns_is_left_out_with_reason() -> None:
    statistics = pooled([measured(sea(5), empty_mask())])
    assert len(statistics.samples["sea.range_trend"]) == 0
    assert statistics.left_out == ["range trend of a: the tile columns are not known"]


def test_range_trend_is_at_least_one_whichever_end_is_bright() -> None:
    columns = np.arange(4)
    assert range_trend(columns, 8000 / 2.0**columns, 4) == pytest.approx(8)


@pytest.mark.parametrize("columns", [[0, 5, 0, 5], [2, 3, 4]])
def test_range_trend_of_few_or_narrow_columns_is_undefined(columns: list[int]) -> None:
    assert np.isnan(range_trend(np.array(columns), np.full(len(columns), 1000.0), 8))
