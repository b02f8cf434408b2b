"""Confidence intervals from the stored records of tiles: a percentile bootstrap over scenes.

Scenes are resampled, not tiles, because tiles of one scene share sea state, weather and often a slick. The draws depend
only on the number of scenes and the seed, and scenes are sorted by name, so all scores use the same draws. Two models
on the same scenes are compared by the difference of their scores in each resample, which cancels the variation between
scenes that both share.
Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile intervals); Davison and
Hinkley 1997, Bootstrap Methods and their Application, section 3.8 (resampling of clusters).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.errors import ConfigError, DataError, listed

# Source: design, `ci95`. Fewer scenes have too few distinct resamples for an interval.
MIN_SCENES = 5
# Choice: if most resamples are undefined, the others are not representative.
MAX_UNDEFINED_SHARE = 0.5
N_RESAMPLES = 1000

ScoreFunction = Callable[[npt.NDArray[Any]], Mapping[str, float]]
Intervals = dict[str, tuple[float, float] | None]
# Each score in each resample, NaN where undefined; None with too few scenes.
Resamples = dict[str, npt.NDArray[np.float64] | None]


def scene_draws(n_scenes: int, n_resamples: int, seed: int) -> npt.NDArray[np.int64]:
    """(n_resamples, n_scenes) int64: the scenes of each resample, drawn with replacement, in ascending order.

    >>> scene_draws(3, 2, seed=0).shape
    (2, 3)
    """
    return np.sort(np.random.default_rng(seed).integers(0, n_scenes, (n_resamples, n_scenes)), axis=1)


def bootstrap_intervals(
    score_function: ScoreFunction,
    rows_by_scene: Mapping[str, npt.NDArray[Any]],
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Intervals:
    """Percentile interval (low, high) of each score, from records such as the rows of instances.

    Args:
        score_function: computes a flat dictionary of scores, always with the same keys, from the concatenated records
            of the drawn scenes. A scene drawn twice occurs twice with the same image ids, so the function must not drop
            repeated tiles. Call `unique_tiles` before `bootstrap_intervals`.
        rows_by_scene: the records of each scene, (n, ...) of one dtype, whole tiles in image-id order; n may be 0.
            Scenes are concatenated in the order of their names, which fixes the rank of equal scores.
        n_resamples: number of resamples.
        seed: seed of the draws.
        level: share of the resamples inside the interval, in (0, 1).

    Returns:
        (low, high) for each key. None with fewer than 5 scenes, or if more than half of the resamples are undefined
        (NaN); otherwise undefined resamples are left out.

    Raises:
        DataError: without any scene.
        ConfigError: if `n_resamples` or `level` are out of range.
    """
    _check(rows_by_scene, n_resamples=n_resamples, level=level)
    return _percentiles(_scores_of_rows(score_function, rows_by_scene, n_resamples=n_resamples, seed=seed), level)


def bootstrap_sums(
    score_function: ScoreFunction,
    sums_by_scene: Mapping[str, npt.NDArray[Any]],
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Intervals:
    """As `bootstrap_intervals`, for counts that add up; faster, because only one sum per scene is drawn.

    Args:
        score_function: computes a flat dictionary of scores from the sum over the drawn scenes.
        sums_by_scene: the counts of each scene, summed over its tiles: arrays of one shape and dtype, such as the
            (8, 8) pixel confusion or a row of `RIBBON_COLUMNS`.
        n_resamples, seed, level: as for `bootstrap_intervals`.

    Raises:
        DataError: without any scene.
        ConfigError: if `n_resamples` or `level` are out of range.
    """
    _check(sums_by_scene, n_resamples=n_resamples, level=level)
    return _percentiles(_scores_of_sums(score_function, sums_by_scene, n_resamples=n_resamples, seed=seed), level)


def paired_intervals(
    score_function: ScoreFunction,
    first: Mapping[str, npt.NDArray[Any]],
    second: Mapping[str, npt.NDArray[Any]],
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Intervals:
    """As `bootstrap_intervals`, for the differences first - second between two models on the same scenes.

    Args:
        score_function, n_resamples, seed, level: as for `bootstrap_intervals`. Both models get the same draws.
        first: the first model's records of each scene.
        second: the second model's records of the same scenes.

    Returns:
        As `bootstrap_intervals`; a resample is undefined if either score is.

    Raises:
        DataError: without any scene, or if the scenes differ.
        ConfigError: if `n_resamples` or `level` are out of range.
    """
    _check_pair(first, second, n_resamples=n_resamples, level=level)
    scores = [_scores_of_rows(score_function, rows, n_resamples=n_resamples, seed=seed) for rows in (first, second)]
    return _percentiles(_differences(*scores), level)


def paired_sums(
    score_function: ScoreFunction,
    first: Mapping[str, npt.NDArray[Any]],
    second: Mapping[str, npt.NDArray[Any]],
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Intervals:
    """As `paired_intervals`, for counts that add up (see `bootstrap_sums`); raises the same errors."""
    _check_pair(first, second, n_resamples=n_resamples, level=level)
    scores = [_scores_of_sums(score_function, sums, n_resamples=n_resamples, seed=seed) for sums in (first, second)]
    return _percentiles(_differences(*scores), level)


def _scores_of_rows(
    score_function: ScoreFunction, rows_by_scene: Mapping[str, npt.NDArray[Any]], *, n_resamples: int, seed: int
) -> Resamples:
    scenes = [rows_by_scene[name] for name in sorted(rows_by_scene)]
    if len(scenes) < MIN_SCENES:
        return dict.fromkeys(score_function(np.concatenate(scenes)))
    draws = scene_draws(len(scenes), n_resamples, seed)
    return _columns(score_function(np.concatenate([scenes[i] for i in draw])) for draw in draws.tolist())


def _scores_of_sums(
    score_function: ScoreFunction, sums_by_scene: Mapping[str, npt.NDArray[Any]], *, n_resamples: int, seed: int
) -> Resamples:
    sums = np.stack([sums_by_scene[name] for name in sorted(sums_by_scene)])
    if len(sums) < MIN_SCENES:
        return dict.fromkeys(score_function(sums.sum(axis=0)))
    draws = scene_draws(len(sums), n_resamples, seed)
    times_drawn = np.array([np.bincount(draw, minlength=len(sums)) for draw in draws])
    return _columns(map(score_function, np.tensordot(times_drawn, sums, axes=1)))


def _columns(resamples: Iterable[Mapping[str, float]]) -> Resamples:
    scores = list(resamples)
    return {key: np.array([score[key] for score in scores], float) for key in scores[0]}


def _differences(first: Resamples, second: Resamples) -> Resamples:
    pairs = {key: (values, second[key]) for key, values in first.items()}
    return {key: None if one is None or other is None else one - other for key, (one, other) in pairs.items()}


def _percentiles(resamples: Resamples, level: float) -> Intervals:
    return {key: _percentile(values, level) for key, values in resamples.items()}


def _percentile(values: npt.NDArray[np.float64] | None, level: float) -> tuple[float, float] | None:
    if values is None:
        return None
    undefined = np.isnan(values)
    if undefined.mean() > MAX_UNDEFINED_SHARE:
        return None
    low, high = np.quantile(values[~undefined], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check(by_scene: Mapping[str, npt.NDArray[Any]], *, n_resamples: int, level: float) -> None:
    if not by_scene:
        raise DataError("bootstrap: expected the records of at least one scene, but got none.")
    if n_resamples < 1 or not 0 < level < 1:
        raise ConfigError(
            f"bootstrap: expected one resample or more and a level in (0, 1), but got {n_resamples} and {level}."
        )


def _check_pair(
    first: Mapping[str, npt.NDArray[Any]], second: Mapping[str, npt.NDArray[Any]], *, n_resamples: int, level: float
) -> None:
    _check(first, n_resamples=n_resamples, level=level)
    single = sorted(first.keys() ^ second.keys())
    if single:
        raise DataError(
            f"bootstrap: expected the same scenes for both models, but only one model has {listed(single)}."
        )
