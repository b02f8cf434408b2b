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

Records = Mapping[str, npt.NDArray[Any]]
ScoreFunction = Callable[[npt.NDArray[Any]], Mapping[str, float]]
Interval = tuple[float, float] | None


def scene_draws(n_scenes: int, n_resamples: int, seed: int) -> npt.NDArray[np.int64]:
    """(n_resamples, n_scenes) int64: the scenes of each resample, drawn with replacement, in ascending order.

    >>> scene_draws(3, 2, seed=0).shape
    (2, 3)
    """
    return np.sort(np.random.default_rng(seed).integers(0, n_scenes, (n_resamples, n_scenes)), axis=1)


def bootstrap_intervals(
    score_function: ScoreFunction,
    by_scene: Records,
    *,
    minus: Records | None = None,
    summed: bool = False,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile interval (low, high) of each score, from the records of each scene.

    Args:
        score_function: computes a flat dictionary of scores, always with the same keys, from the concatenated records
            of the drawn scenes. A scene drawn twice occurs twice with the same image ids, so the function must not drop
            repeated tiles. Call `unique_tiles` before `bootstrap_intervals`. With `summed`, it gets the sum over the
            drawn scenes.
        by_scene: the records of each scene, (n, ...) of one dtype, whole tiles in image-id order; n may be 0.
            Scenes are concatenated in the order of their names, which fixes the rank of equal scores.
            With `summed`: the counts of each scene, summed over its tiles; arrays of one shape and dtype, such as the
            (8, 8) pixel confusion or a row of `RIBBON_COLUMNS`.
        minus: records of a second model on the same scenes; the intervals are those of the differences between the
            scores of the first and this one, with the same draws. None: one model.
        summed: whether the records are counts that add up. Faster, because only one sum per scene is drawn.
        n_resamples: number of resamples.
        seed: seed of the draws.
        level: share of the resamples inside the interval, in (0, 1).

    Returns:
        (low, high) for each key. None with fewer than 5 scenes, or if more than half of the resamples are undefined
        (NaN, in either model); otherwise undefined resamples are left out.

    Raises:
        DataError: without any scene, or if the two models have different scenes.
        ConfigError: if `n_resamples` or `level` are out of range.
    """
    if not by_scene:
        raise DataError("bootstrap: expected the records of at least one scene, but got none.")
    if n_resamples < 1 or not 0 < level < 1:
        raise ConfigError(
            f"bootstrap: expected one resample or more and a level in (0, 1), but got {n_resamples} and {level}."
        )
    if minus is not None and (single := sorted(by_scene.keys() ^ minus.keys())):
        raise DataError(
            f"bootstrap: expected the same scenes for both models, but only one model has {listed(single)}."
        )
    if len(by_scene) < MIN_SCENES:
        return dict.fromkeys(_resampled(score_function, by_scene, np.arange(len(by_scene))[None], summed=summed))
    draws = scene_draws(len(by_scene), n_resamples, seed)
    values = _resampled(score_function, by_scene, draws, summed=summed)
    if minus is not None:
        subtracted = _resampled(score_function, minus, draws, summed=summed)
        values = {key: first - subtracted[key] for key, first in values.items()}
    return {key: _percentiles(found, level) for key, found in values.items()}


def _resampled(
    score_function: ScoreFunction, by_scene: Records, draws: npt.NDArray[np.int64], *, summed: bool
) -> dict[str, npt.NDArray[np.float64]]:
    """(len(draws),) values of each score, NaN where undefined."""
    records = [by_scene[name] for name in sorted(by_scene)]
    samples: Iterable[npt.NDArray[Any]] = (np.concatenate([records[i] for i in draw]) for draw in draws.tolist())
    if summed:
        times_drawn = np.array([np.bincount(draw, minlength=len(records)) for draw in draws])
        samples = np.tensordot(times_drawn, np.stack(records), axes=1)
    scores = [score_function(sample) for sample in samples]
    return {key: np.array([score[key] for score in scores], float) for key in scores[0]}


def _percentiles(values: npt.NDArray[np.float64], level: float) -> Interval:
    undefined = np.isnan(values)
    if undefined.mean() > MAX_UNDEFINED_SHARE:
        return None
    low, high = np.quantile(values[~undefined], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
