"""Distances, bands and verdict, against samples worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from seep_monai.calibration.comparison import GOAL_KEYS, compare, compare_samples, compare_shares
from seep_monai.calibration.comparison_text import markdown, verdict_text
from seep_monai.calibration.statistics import SetStatistics, measure_tile, pooled, sample_keys, share_keys


def statistics(seed: int) -> SetStatistics:
    """Three scenes of six tiles with bars of random place, length and class."""
    rng = np.random.default_rng(seed)
    tiles = []
    for scene in "abc":
        for index in range(1, 7):
            mask = np.zeros((128, 128), np.uint8)
            for _ in range(4):
                row, length = rng.integers(5, 120), rng.integers(10, 80)
                mask[row : row + rng.integers(1, 5), 20 : 20 + length] = rng.integers(1, 8)
            dn = 20000 * rng.gamma(25, 1 / 25, mask.shape) * np.where(mask > 0, 0.8, 1)
            dn[: rng.integers(0, 3)] = 0
            tiles.append(measure_tile(dn.astype(np.uint16), mask, scene=scene, index=index))
    return pooled(tiles, dict.fromkeys("abc", 6))


def test_samples_distances_by_hand() -> None:
    entry = compare_samples(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6]))
    # Below 3: two of four real values, no simulated one. All values 2 further; quartiles 1.75 and 3.25.
    assert entry["ks"] == 0.5
    assert entry["wasserstein"] == pytest.approx(2 / 1.5)
    assert (entry["scale"], entry["scale_is"]) == (1.5, "interquartile range")
    # 1.358 sqrt(8 / 16).
    assert entry["ks_by_chance"] == pytest.approx(1.358 * 0.5**0.5)


def test_samples_percentiles_by_hand() -> None:
    entry = compare_samples(np.arange(101.0), np.array([50.0]))
    assert entry["real"] == {"n": 101, "p5": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95}
    assert entry["simulated"]["p5"] == entry["simulated"]["p95"] == 50


@pytest.mark.parametrize(("median", "in_band"), [(4.9, False), (5.0, True), (95.0, True), (95.1, False)])
def test_samples_band_reaches_from_5_to_95_percent(median: float, in_band: bool) -> None:
    assert compare_samples(np.arange(101.0), np.array([0, median, 1000]))["in_band"] is in_band


@pytest.mark.parametrize(("n_real", "n_simulated"), [(0, 3), (3, 0), (0, 0)])
def test_samples_without_values_are_undefined(n_real: int, n_simulated: int) -> None:
    entry = compare_samples(np.ones(n_real), np.ones(n_simulated))
    assert [entry[key] for key in ("ks", "ks_by_chance", "wasserstein", "in_band")] == [None] * 4
    assert entry["real"]["p50"] == (1 if n_real else None)


def test_samples_with_equal_quartiles_are_scaled_by_the_standard_deviation() -> None:
    real = np.array([0.0] * 9 + [10])
    entry = compare_samples(real, np.array([0.0]))
    assert entry["scale_is"] == "standard deviation"
    # Moving a tenth by 10 costs 1; the deviation is sqrt(10 - 1).
    assert entry["wasserstein"] == pytest.approx(1 / 3)


def test_samples_of_one_value_have_no_unit_for_another() -> None:
    assert compare_samples(np.ones(4), np.ones(2))["wasserstein"] == 0
    assert compare_samples(np.ones(4), np.zeros(2))["wasserstein"] is None


def test_shares_band_of_scenes_by_hand() -> None:
    real = {"a": (0, 10), "b": (2, 10), "c": (4, 10), "small": (4, 4)}
    entry = compare_shares(real, {"x": (1, 10), "y": (2, 2)})
    assert entry["real"] == {"n": 34, "share": 10 / 34}
    assert entry["simulated"] == {"n": 12, "share": 0.25}
    # Shares 0, .2, .4 of three scenes: the 5th percentile is a tenth of the way from 0 to .2.
    assert entry["band"] == pytest.approx([0.02, 0.38])
    assert (entry["n_band_scenes"], entry["in_band"]) == (3, True)
    assert compare_shares(real, {"x": (4, 10)})["in_band"] is False


def test_shares_band_is_widened_to_the_real_share() -> None:
    real = {"large": (500, 1000), **{f"s{i}": (0, 5) for i in range(30)}}
    entry = compare_shares(real, real)
    assert entry["band"] == [0, pytest.approx(500 / 1150)]
    assert entry["in_band"] is True


def test_shares_of_too_few_scenes_have_no_band() -> None:
    entry = compare_shares({"a": (3, 10), "b": (2, 10), "c": (1, 4)}, {"a": (3, 10)})
    assert (entry["band"], entry["in_band"], entry["n_band_scenes"]) == (None, None, 2)


def test_shares_without_instances_are_null() -> None:
    real = {"a": (3, 10), "b": (2, 10), "c": (1, 10)}
    entry = compare_shares(real, {"x": (0, 0)})
    assert (entry["simulated"]["share"], entry["in_band"]) == (None, None)
    assert compare_shares({"a": (0, 0)}, real)["band"] is None


def test_compare_set_with_itself_has_no_distance_and_is_in_band() -> None:
    one = statistics(0)
    result = compare(one, one)
    defined = [entry for key, entry in result["distributions"].items() if len(one.samples[key])]
    assert len(defined) > 40
    assert {(entry["ks"], entry["wasserstein"], entry["in_band"]) for entry in defined} == {(0.0, 0.0, True)}
    assert result["verdict"]["out_of_band"] == []
    assert all(goal["met"] for goal in result["verdict"]["goals"])


def test_compare_names_a_shifted_statistic_alone() -> None:
    one, other = statistics(0), statistics(0)
    other.samples["sea.speckle_cv"] += 0.1
    verdict = compare(one, other)["verdict"]
    assert verdict["out_of_band"] == ["sea.speckle_cv"]
    assert [goal["key"] for goal in verdict["goals"] if not goal["met"]] == ["sea.speckle_cv"]


def test_compare_holds_every_key_and_is_json() -> None:
    result = compare(statistics(0), statistics(1))
    assert list(result["distributions"]) == sample_keys()
    assert list(result["shares"]) == share_keys()
    assert result["verdict"]["n_statistics"] == 58 + 81
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_goals_are_speckle_contrast_of_all_classes_and_area_of_1_5_6() -> None:
    ratios = [f"class{label}.dn_ratio" for label in range(1, 8)]
    assert list(GOAL_KEYS) == ["sea.speckle_cv", *ratios, "class1.area_px", "class5.area_px", "class6.area_px"]


def test_goal_without_instances_is_undefined_not_met() -> None:
    one, other = statistics(0), statistics(0)
    other.samples["class5.area_px"] = np.array([])
    verdict = compare(one, other)["verdict"]
    assert "class5.area_px" in verdict["undefined"]
    assert {goal["key"]: goal["met"] for goal in verdict["goals"]}["class5.area_px"] is None


def test_markdown_shows_dashes_and_what_is_out_of_band() -> None:
    one, other = statistics(0), statistics(0)
    other.samples["class5.area_px"] = np.array([])
    other.samples["class6.area_px"] = np.array([1e6])
    sides = {
        name: {"folder": name, "n_tiles": 18, "n_tiles_in_folder": 20, "tiles_per_scene": one.n_tiles, "left_out": []}
        for name in ("real", "simulated")
    }
    text = markdown({"seed": 4, **sides, **compare(one, other)})
    assert "- out of band: `class6.area_px`" in text
    lines = [line for line in text.splitlines() if line.startswith("| `class5.area_px` | ")]
    assert any(line.endswith("| 0 | - / - / - / - / - | - | - | - |") for line in lines)
    assert "| real | 18 of 20 | 3 | `real` |" in text


def test_verdict_text_counts_the_goals() -> None:
    one = statistics(0)
    assert "goals met: 11 of 11" in verdict_text(compare(one, one)["verdict"])
