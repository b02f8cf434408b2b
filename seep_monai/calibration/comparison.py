"""Compare the statistics of a simulated tile set with those of a real one: distances, bands and a verdict.

A statistic with many values per set is compared by its distribution: the simulated median should lie between the 5th
and the 95th percentile of the real values. A share is one number per set: the simulated share, pooled over all scenes,
should lie between the 5th and the 95th percentile of the shares of the real scenes. An undefined value is None (JSON
null), and the verdict lists it separately.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import ks_2samp, wasserstein_distance

from seep_monai.calibration.statistics import SetStatistics, class_key, sample_keys, share_keys
from seep_monai.classes import SEEP_LABELS

PERCENTS = (5, 25, 50, 75, 95)
BAND_PERCENTS = (5, 95)
# Choice: a KS distance below 0.15; two samples of 150 from one distribution reach it in one case of fifteen.
KS_LIMIT = 0.15
# The main goals: speckle, contrast of every class, and size of the classes with the most pixels.
GOAL_KEYS = (
    "sea.speckle_cv",
    *(class_key(label, "dn_ratio") for label in SEEP_LABELS),
    *(class_key(label, "area_px") for label in (1, 5, 6)),
)
# Choice: five tiles or instances; a share of fewer has coarse steps.
MIN_PER_SCENE = 5
# Choice: three scenes; the percentiles of two are these two values.
MIN_BAND_SCENES = 3
# Critical value of D sqrt(n m / (n + m)) at 5 % for large samples. Source: Smirnov 1948, "Table for estimating the
# goodness of fit of empirical distributions".
_CHANCE_FACTOR = 1.358

Floats = npt.NDArray[np.float64]


def compare(real: SetStatistics, simulated: SetStatistics) -> dict[str, Any]:
    """All results of the comparison, ready for JSON.

    Returns:
        `distributions` (key -> see `compare_samples`), `shares` (key -> see `compare_shares`) and `verdict`: the keys
        `out_of_band`, the keys `undefined` (no band or no simulated value) and `goals`, each with `key`, `limit`, `ks`,
        `ks_by_chance` and `met` (None if the distance is undefined).
    """
    distributions = {key: compare_samples(real.samples[key], simulated.samples[key]) for key in sample_keys()}
    shares = {key: compare_shares(real.shares[key], simulated.shares[key]) for key in share_keys()}
    return {"distributions": distributions, "shares": shares, "verdict": _verdict(distributions, shares)}


def compare_samples(real: Floats, simulated: Floats) -> dict[str, Any]:
    """Percentiles of both samples, their distances, and whether the simulated median lies in the real band.

    Args:
        real: (n,) float, may be empty.
        simulated: (m,) float, may be empty.

    Returns:
        `real` and `simulated` (`n`, `p5` ... `p95`), `ks` (two-sample Kolmogorov-Smirnov distance, 0..1),
        `ks_by_chance` (exceeded by 5 % of independent sample pairs of these sizes from one distribution; patches and
        instances of one scene are correlated, so the true value is larger), `wasserstein` (in units of the real
        interquartile range, or of the standard deviation if that is 0: `scale`, `scale_is`) and `in_band`.
    """
    scale, scale_is = _scale(real)
    both = len(real) > 0 and len(simulated) > 0
    in_band = None
    if both:
        low, high = np.percentile(real, BAND_PERCENTS)
        in_band = bool(low <= np.median(simulated) <= high)
    return {
        "real": _percentiles(real),
        "simulated": _percentiles(simulated),
        "ks": float(ks_2samp(real, simulated, method="asymp").statistic) if both else None,
        "ks_by_chance": _CHANCE_FACTOR * (1 / len(real) + 1 / len(simulated)) ** 0.5 if both else None,
        "wasserstein": _in_units(float(wasserstein_distance(real, simulated)), scale) if both else None,
        "scale": scale,
        "scale_is": scale_is,
        "in_band": in_band,
    }


def compare_shares(real: Mapping[str, tuple[int, int]], simulated: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """A share of both sets, the band of the real scenes, and whether the simulated share lies in it.

    The band uses the scenes with at least five tiles or instances. If the real pooled share lies outside, the band is
    widened to it; this happens if one scene has most of the instances.

    Args:
        real: scene -> (number with the property, total number).
        simulated: the same.

    Returns:
        `real` and `simulated` (`n` = total number, `share`), `band` ([low, high] or None), `n_band_scenes`, `in_band`.
    """
    sides = {"real": _pooled_share(real), "simulated": _pooled_share(simulated)}
    of_scenes = [has / n for has, n in real.values() if n >= MIN_PER_SCENE]
    band, in_band = None, None
    if len(of_scenes) >= MIN_BAND_SCENES:
        low, high = np.percentile(of_scenes, BAND_PERCENTS).tolist()
        band = [min(low, sides["real"]["share"]), max(high, sides["real"]["share"])]
        share = sides["simulated"]["share"]
        in_band = None if share is None else bool(band[0] <= share <= band[1])
    return {**sides, "band": band, "n_band_scenes": len(of_scenes), "in_band": in_band}


def _verdict(distributions: Mapping[str, Any], shares: Mapping[str, Any]) -> dict[str, Any]:
    entries = {**distributions, **shares}
    goals = []
    for key in GOAL_KEYS:
        distances = {name: distributions[key][name] for name in ("ks", "ks_by_chance")}
        met = None if distances["ks"] is None else distances["ks"] < KS_LIMIT
        goals.append({"key": key, "limit": KS_LIMIT, **distances, "met": met})
    return {
        "n_statistics": len(entries),
        "out_of_band": [key for key, entry in entries.items() if entry["in_band"] is False],
        "undefined": [key for key, entry in entries.items() if entry["in_band"] is None],
        "goals": goals,
    }


def _percentiles(sample: Floats) -> dict[str, Any]:
    values = np.percentile(sample, PERCENTS).tolist() if len(sample) else [None] * len(PERCENTS)
    return {"n": len(sample), **{f"p{percent}": value for percent, value in zip(PERCENTS, values, strict=True)}}


def _scale(real: Floats) -> tuple[float | None, str | None]:
    """The unit of the Wasserstein distance and its name."""
    if not len(real):
        return None, None
    iqr = float(np.subtract(*np.percentile(real, (75, 25))))
    # No-data shares are 0 in most tiles: their interquartile range is 0, their standard deviation is not.
    return (iqr, "interquartile range") if iqr > 0 else (float(real.std()), "standard deviation")


def _in_units(distance: float, scale: float | None) -> float | None:
    """The distance divided by the scale; None if the real values are all equal and the simulated ones differ."""
    if distance == 0:
        return 0.0
    return distance / scale if scale else None


def _pooled_share(counts: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    has, n = (sum(numbers) for numbers in zip(*counts.values(), strict=True))
    return {"n": n, "share": has / n if n else None}
