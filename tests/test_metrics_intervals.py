"""Bootstrap over scenes against naive loops and the closed form of a mean's variance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from seep_monai.errors import ConfigError, DataError
from seep_monai.metrics import confusion_counts, instance_scores, pixel_scores, unique_tiles
from seep_monai.metrics.average_precision import IOU_THRESHOLDS
from seep_monai.metrics.intervals import bootstrap_intervals, scene_draws
from seep_monai.metrics.records import ROW_DTYPE, RowKind


def mean_score(rows: np.ndarray) -> dict[str, float]:
    return {"mean": float(rows.mean())}


def ratio_score(total: np.ndarray) -> dict[str, float]:
    """Of a pair of sums."""
    return {"ratio": float(total[0] / total[1])}


def ragged_scenes(n_scenes: int = 7) -> dict[str, np.ndarray]:
    """Pairs of numbers, one scene without any record."""
    rng = np.random.default_rng(0)
    return {f"s{i}": rng.random((i, 2)) for i in range(n_scenes)}


def instance_row(image_id: int, kind: RowKind, group: int, *, score: float = np.nan, matches: int = 0) -> np.ndarray:
    row = np.zeros(1, ROW_DTYPE)
    row["image_id"], row["kind"], row["group"], row["score"], row["matches"] = image_id, kind, group, score, matches
    return row


def random_instances(*, n_scenes: int) -> dict[str, np.ndarray]:
    """Rows of matched tiles; few different scores, so that many are equal."""
    rng = np.random.default_rng(1)
    scenes = {}
    for scene in range(n_scenes):
        rows = []
        for image_id in range(10 * scene, 10 * scene + rng.integers(1, 6)):
            rows.append(instance_row(image_id, RowKind.TILE, 0))
            for group in rng.integers(1, 9, rng.integers(0, 5)):
                matches = (1 << int(rng.integers(0, len(IOU_THRESHOLDS) + 1))) - 1
                score = rng.integers(1, 4) / 4
                rows.append(instance_row(image_id, RowKind.TRUTH, group, matches=matches))
                rows.append(instance_row(image_id, RowKind.DETECTION, group, score=score, matches=matches))
        scenes[f"scene{scene}"] = np.concatenate(rows)
    return scenes


def with_new_ids(blocks: list[np.ndarray]) -> np.ndarray:
    """The joined rows, where a scene that stands there twice has other image ids the second time."""
    copies = [block.copy() for block in blocks]
    for i, block in enumerate(copies):
        block["image_id"] += 1000 * i
    return np.concatenate(copies)


# ----------------------------------------------------------------------------------------------------- the tests
def test_scene_draws_same_seed_gives_the_same_draws() -> None:
    np.testing.assert_array_equal(scene_draws(9, 20, seed=4), scene_draws(9, 20, seed=4))
    assert (scene_draws(9, 20, seed=4) != scene_draws(9, 20, seed=5)).any()


def test_scene_draws_keep_scenes_in_order() -> None:
    assert (np.diff(scene_draws(9, 20, seed=4), axis=1) >= 0).all()


def test_scene_draws_hold_each_scene_equally_often() -> None:
    times = np.bincount(scene_draws(10, 10_000, seed=0).ravel())
    # Binomial: 10,000 expected, standard deviation 95.
    assert len(times) == 10
    np.testing.assert_allclose(times, 10_000, atol=5 * 95)


def test_intervals_of_rows_equal_a_naive_loop() -> None:
    scenes = ragged_scenes()
    means = []
    for draw in scene_draws(7, 200, seed=3):
        values = [float(x) for i in draw for x in scenes[f"s{i}"].ravel()]
        means.append(sum(values) / len(values))
    low, high = bootstrap_intervals(mean_score, scenes, n_resamples=200, seed=3)["mean"] or (0, 0)
    assert (low, high) == pytest.approx((np.percentile(means, 2.5), np.percentile(means, 97.5)), abs=1e-12)


def test_intervals_of_sums_equal_those_of_rows() -> None:
    scenes = ragged_scenes()
    sums = {name: rows.sum(axis=0) for name, rows in scenes.items()}
    by_rows = bootstrap_intervals(lambda rows: ratio_score(rows.sum(axis=0)), scenes, seed=8)["ratio"]
    by_sums = bootstrap_intervals(ratio_score, sums, summed=True, seed=8)["ratio"]
    assert by_sums == pytest.approx(by_rows, abs=1e-12)


def test_intervals_of_pixel_scores_hold_the_score() -> None:
    rng = np.random.default_rng(2)
    maps = rng.integers(0, 3, (8, 2, 20, 20)).astype(np.uint8)
    sums = {f"s{i}": confusion_counts(truth=truth, predicted=predicted) for i, (truth, predicted) in enumerate(maps)}
    interval = bootstrap_intervals(pixel_scores, sums, summed=True)["seep_iou"]
    assert interval is not None
    assert interval[0] < pixel_scores(sum(sums.values()))["seep_iou"] < interval[1]


def test_intervals_of_instance_scores_equal_copied_tiles_with_new_ids() -> None:
    scenes = random_instances(n_scenes=6)
    blocks = [scenes[f"scene{i}"] for i in range(6)]
    naive = [
        instance_scores(unique_tiles(with_new_ids([blocks[i] for i in draw]))) for draw in scene_draws(6, 60, seed=0)
    ]
    intervals = bootstrap_intervals(instance_scores, scenes, n_resamples=60)
    assert intervals.keys() == naive[0].keys()
    for key, interval in intervals.items():
        values = np.array([scores[key] for scores in naive])
        if interval is None:
            assert np.isnan(values).mean() > 0.5
        else:
            assert interval == pytest.approx(np.nanpercentile(values, [2.5, 97.5]), abs=1e-12), key


def test_intervals_scene_drawn_twice_counts_twice() -> None:
    # One true instance per scene: every resample of 6 scenes has 6, but only about 4 different ones.
    tile = [instance_row(0, RowKind.TILE, 0), instance_row(0, RowKind.TRUTH, 1)]
    scenes = {f"s{i}": np.concatenate(tile) for i in range(6)}
    assert bootstrap_intervals(instance_scores, scenes, n_resamples=50)["n_instances"] == (6, 6)


def test_intervals_variance_of_a_mean_is_the_plug_in_variance_over_n() -> None:
    values = np.random.default_rng(5).exponential(size=40)
    means: list[float] = []

    def recorded(total: np.ndarray) -> Mapping[str, float]:
        means.append(float(total) / 40)
        return {"mean": means[-1]}

    sums = {f"{i:02d}": np.array(value) for i, value in enumerate(values)}
    bootstrap_intervals(recorded, sums, summed=True, n_resamples=4000)
    # Standard error of a variance from 4,000 draws: sqrt(2 / 4000) = 2.2 %.
    assert np.var(means) == pytest.approx(values.var() / 40, rel=4 * 0.022)
    assert np.mean(means) == pytest.approx(values.mean(), abs=4 * values.std() / np.sqrt(40 * 4000))


def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(6)
    hits = 0
    for seed in range(200):
        sums = {f"{i:02d}": np.array([x, 1.0]) for i, x in enumerate(rng.normal(size=30))}
        low, high = bootstrap_intervals(ratio_score, sums, summed=True, n_resamples=300, seed=seed)["ratio"] or (1, 0)
        hits += low <= 0 <= high
    # A percentile interval of 30 values covers about 93 %; 200 trials spread by 1.8 %.
    assert 0.87 <= hits / 200 <= 0.99


def test_intervals_higher_level_is_wider() -> None:
    (low_90, high_90), (low_99, high_99) = (
        bootstrap_intervals(mean_score, ragged_scenes(), level=level)["mean"] or (0, 0) for level in (0.9, 0.99)
    )
    assert low_99 < low_90 < high_90 < high_99


@pytest.mark.parametrize("n_scenes", [1, 4])
def test_intervals_fewer_than_five_scenes_are_none(n_scenes: int) -> None:
    scenes = {f"s{i}": np.ones((2, 2)) for i in range(n_scenes)}
    assert bootstrap_intervals(mean_score, scenes) == {"mean": None}
    assert bootstrap_intervals(mean_score, scenes, summed=True) == {"mean": None}


def test_intervals_five_equal_scenes_are_a_point() -> None:
    assert bootstrap_intervals(mean_score, {f"s{i}": np.ones(3) for i in range(5)}) == {"mean": (1, 1)}


def test_intervals_do_not_depend_on_the_order_of_the_scenes() -> None:
    scenes = ragged_scenes()
    for summed in (False, True):
        sized = {name: rows.sum(axis=0) if summed else rows for name, rows in scenes.items()}
        one, other = (
            bootstrap_intervals(mean_score, records, summed=summed, seed=1)
            for records in (sized, dict(reversed(sized.items())))
        )
        assert one == other


def test_intervals_mostly_undefined_scores_are_none() -> None:
    # Defined only with the one scene that has a 1: in 1 - (4 / 5)^5 = 67 % of the resamples; with a 2 twice: 26 %.
    scenes = {f"s{i}": np.array([i == 0], float) for i in range(5)}

    def scores(total: np.ndarray) -> dict[str, float]:
        return {
            "often": 7.0 if total[0] >= 1 else float("nan"),
            "seldom": 7.0 if total[0] >= 2 else float("nan"),
        }

    assert bootstrap_intervals(scores, scenes, summed=True) == {"often": (7.0, 7.0), "seldom": None}


def test_intervals_without_scenes_raise() -> None:
    with pytest.raises(DataError, match="at least one scene"):
        bootstrap_intervals(mean_score, {}, summed=True)


@pytest.mark.parametrize("settings", [{"level": 1.0}, {"level": 0.0}, {"n_resamples": 0}])
def test_intervals_settings_out_of_range_raise(settings: dict) -> None:
    with pytest.raises(ConfigError, match="bootstrap"):
        bootstrap_intervals(mean_score, ragged_scenes(), **settings)


# ------------------------------------------------------------------------------------------------------------- pairs
def test_paired_intervals_of_one_model_with_itself_are_zero() -> None:
    scenes = random_instances(n_scenes=6)
    defined = {
        key: interval
        for key, interval in bootstrap_intervals(instance_scores, scenes, minus=scenes).items()
        if interval
    }
    assert defined["seep_AP50"] == defined["mAP50"] == (0, 0)
    assert set(defined.values()) == {(0, 0)}


def test_paired_intervals_of_a_constant_shift_are_its_size() -> None:
    # Each mean is uncertain, their difference is not.
    first = ragged_scenes()
    second = {name: rows + 0.25 for name, rows in first.items()}
    low, high = bootstrap_intervals(mean_score, first)["mean"] or (0, 0)
    assert high - low > 0.05
    assert bootstrap_intervals(mean_score, first, minus=second)["mean"] == pytest.approx((-0.25, -0.25), abs=1e-12)


def test_paired_sums_of_a_linear_score_are_the_interval_of_the_differences() -> None:
    rng = np.random.default_rng(9)
    first, second = ({f"s{i}": np.array(x) for i, x in enumerate(rng.normal(size=9))} for _ in range(2))
    differences = {name: first[name] - second[name] for name in first}
    expected = bootstrap_intervals(mean_score, differences, summed=True, seed=2)["mean"]
    assert bootstrap_intervals(mean_score, first, minus=second, summed=True, seed=2)["mean"] == pytest.approx(
        expected, abs=1e-12
    )


def test_paired_intervals_of_a_ratio_equal_a_naive_loop_with_the_same_draws() -> None:
    first = ragged_scenes()
    second = {name: rows[:, ::-1] ** 2 for name, rows in first.items()}
    differences = []
    for draw in scene_draws(7, 200, seed=3):
        one, other = (np.concatenate([scenes[f"s{i}"] for i in draw]) for scenes in (first, second))
        differences.append(one.sum() / len(one) - other.sum() / len(other))
    interval = bootstrap_intervals(
        lambda rows: {"sum": float(rows.sum() / len(rows))}, first, minus=second, n_resamples=200, seed=3
    )["sum"]
    assert interval == pytest.approx((np.percentile(differences, 2.5), np.percentile(differences, 97.5)), abs=1e-12)


def test_paired_sums_count_resamples_that_are_defined_on_both_sides() -> None:
    # The first is undefined without the scene s0, in (4 / 5)^5 = 33 % of the resamples.
    def score(total: np.ndarray) -> dict[str, float]:
        return {"value": float(total[1]) if total[0] > 0 else float("nan")}

    first = {f"s{i}": np.array([i == 0, 3.0]) for i in range(5)}
    second = {f"s{i}": np.array([1.0, 1.0]) for i in range(5)}
    assert bootstrap_intervals(score, first, minus=second, summed=True) == {"value": (10.0, 10.0)}


def test_paired_intervals_of_few_scenes_are_none() -> None:
    scenes = {f"s{i}": np.ones((2, 2)) for i in range(4)}
    for summed in (False, True):
        assert bootstrap_intervals(mean_score, scenes, minus=scenes, summed=summed) == {"mean": None}


@pytest.mark.parametrize("summed", [False, True])
def test_paired_intervals_of_other_scenes_raise(summed: bool) -> None:
    first, second = ({f"s{i}": np.ones(1) for i in numbers} for numbers in (range(6), range(1, 7)))
    with pytest.raises(DataError, match="only one model has s0, s6"):
        bootstrap_intervals(mean_score, first, minus=second, summed=summed)
