"""Hand-made statistics of tiles, each with the AUC by which it alone tells real tiles from simulated ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import fft, optimize, special

from seep_monai.realism.domain_tiles import BLOCK_PX, DomainTiles, block_means
from seep_monai.realism.domains import auc, split_scenes

FloatArray = npt.NDArray[np.floating]

# What each statistic is; all are of the log of DN over the scene's level at known pixels, if not said otherwise.
STATISTICS: Mapping[str, str] = {
    "mean": "mean",
    "std": "standard deviation",
    "skewness": "third standardised moment",
    "kurtosis": "fourth standardised moment less 3",
    "p001": "0.1 % quantile less the median, in standard deviations",
    "p999": "99.9 % quantile less the median, in standard deviations",
    "lag1_across": "correlation of neighbours in a row",
    "lag1_down": "correlation of neighbours in a column",
    "lag2_across": "correlation at two px in a row",
    "lag2_down": "correlation at two px in a column",
    "block8_cv": "coefficient of variation of the means of 8 x 8 px blocks, linear",
    "block8_lag1": "correlation of neighbouring 8 x 8 px block means in a row or a column",
    "quarter_cv": "coefficient of variation of the means of the 4 x 4 parts of the tile, linear",
    "std_spread": "coefficient of variation of the standard deviations in the 4 x 4 parts of the tile",
    "saturated_share": "share of valid pixels at the highest DN or clipped",
    "no_data_share": "share of no-data pixels",
    "power_low": "share of power below 1/32 cycles per px",
    "power_mid": "share of power from 1/32 to 1/8 cycles per px",
    "power_swell": "share of power from 1/8 to 1/4 cycles per px",
    "power_high": "share of power above 1/4 cycles per px",
    "trend_across": "least-squares slope of column means over the tile's width",
    "trend_down": "least-squares slope of row means over the tile's height, without sign",
    "anisotropy": "log of the ratio of the standard deviations of column means and row means",
    "rows_roughness": "standard deviation of steps between row means, 1 for white noise, more for stripes",
    "columns_roughness": "the same for column means",
    "n_values": "number of different normalised values",
}
# Choice: 32, 8 and 4 px; wind streaks and cells, patches and slicks, swell, and speckle alone.
_BAND_LIMITS = (1 / 32, 1 / 8, 1 / 4)
# Choice: .01 and four standard deviations; tiles with ships or land must not rule the weights of 26 statistics.
_RIDGE, _CLIP = 0.01, 4.0


@dataclass(frozen=True)
class StatisticRow:
    """One statistic in both domains.

    Attributes:
        name: key of `STATISTICS`.
        auc: over all tiles, above .5 where real tiles have the higher values; None if undefined everywhere.
        real_median, simulated_median: medians over the tiles where it is defined, None without any.
        real_range, simulated_range: 10 % and 90 % quantiles over the same tiles.
    """

    name: str
    auc: float | None
    real_median: float | None
    simulated_median: float | None
    real_range: tuple[float, float] | None
    simulated_range: tuple[float, float] | None


@dataclass(frozen=True)
class JointResult:
    """A logistic regression on all statistics at once: what they tell together, on scenes it was not fitted to.

    Attributes:
        auc: on the test scenes, mean over the splits.
        aucs: of each split.
        weights: mean weight of each statistic in standard deviations, the largest first; above 0 speaks for real.
    """

    auc: float
    aucs: tuple[float, ...]
    weights: dict[str, float]


def compare_statistics(real: DomainTiles, simulated: DomainTiles) -> list[StatisticRow]:
    """One row per statistic, the one that tells most first; undefined ones last."""
    tables = [tile_statistics(tiles) for tiles in (real, simulated)]
    rows = [_row(name, *(table[name][np.isfinite(table[name])] for table in tables)) for name in STATISTICS]
    return sorted(rows, key=lambda row: -1.0 if row.auc is None else abs(row.auc - 0.5), reverse=True)


def joint_statistics(real: DomainTiles, simulated: DomainTiles, seeds: Sequence[int]) -> JointResult:
    """Fit a regularised logistic regression on the training scenes of each split, and test it on the others.

    Args:
        real, simulated: full tiles.
        seeds: one per split, those of the classifier give its splits.

    Raises:
        DataError: if a domain has fewer than two scenes.
    """
    first, second = (_matrix(tiles) for tiles in (real, simulated))
    aucs, weights = [], []
    for seed in seeds:
        split = split_scenes(real.scenes, simulated.scenes, seed)
        train_real, train_simulated = (
            np.isin(real.scenes, split.train_real),
            np.isin(simulated.scenes, split.train_simulated),
        )
        a, b = _standardised(first, second, np.concatenate([first[train_real], second[train_simulated]]))
        weight = logistic_weights(a[train_real], b[train_simulated])
        aucs.append(auc(a[~train_real] @ weight, b[~train_simulated] @ weight))
        weights.append(weight)
    named = dict(zip(STATISTICS, np.mean(weights, axis=0).tolist(), strict=True))
    ordered = dict(sorted(named.items(), key=lambda item: -abs(item[1])))
    return JointResult(float(np.mean(aucs)), tuple(aucs), ordered)


def logistic_weights(real: FloatArray, simulated: FloatArray) -> FloatArray:
    """(k,) weights, without the constant, that tell rows of `real` (n, k) from `simulated` (m, k); equal domains."""
    table = np.concatenate([real, simulated])
    table = np.column_stack([table, np.ones(len(table))])
    sign = np.r_[np.ones(len(real)), -np.ones(len(simulated))]
    share = np.r_[np.full(len(real), 0.5 / len(real)), np.full(len(simulated), 0.5 / len(simulated))]
    ridge = np.r_[np.full(real.shape[1], _RIDGE), 0]

    def cost(weight: FloatArray) -> tuple[float, FloatArray]:
        margin = sign * (table @ weight)
        slope = -share * sign * special.expit(-margin)
        value = (share * np.logaddexp(0, -margin)).sum() + ridge @ weight**2 / 2
        return float(value), table.T @ slope + ridge * weight

    return np.asarray(optimize.minimize(cost, np.zeros(table.shape[1]), jac=True).x[:-1])


def _matrix(tiles: DomainTiles) -> FloatArray:
    """(n, k) of all statistics; not finite where one is undefined."""
    return np.column_stack(list(tile_statistics(tiles).values()))


def _standardised(first: FloatArray, second: FloatArray, fitted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both tables (n, k), (m, k) in standard deviations of `fitted`, the training rows of both domains together.

    What is undefined takes the median of all training tiles: the median of its own domain would tell the domain.
    """
    defined = (column[np.isfinite(column)] for column in fitted.T)
    medians = np.array([np.median(column) if column.size else 0.0 for column in defined])
    filled = [np.where(np.isfinite(table), table, medians) for table in (fitted, first, second)]
    mean, std = filled[0].mean(axis=0), filled[0].std(axis=0) + 1e-9
    a, b = (np.clip((table - mean) / std, -_CLIP, _CLIP) for table in filled[1:])
    return a, b


def _row(name: str, real: FloatArray, simulated: FloatArray) -> StatisticRow:
    """One row from the defined values of both domains."""
    value = auc(real, simulated) if real.size and simulated.size else None
    quantiles = [np.quantile(v, [0.1, 0.5, 0.9]).tolist() if v.size else None for v in (real, simulated)]
    medians = [None if q is None else q[1] for q in quantiles]
    ranges = [None if q is None else (q[0], q[2]) for q in quantiles]
    return StatisticRow(name, value, medians[0], medians[1], ranges[0], ranges[1])


def tile_statistics(tiles: DomainTiles) -> dict[str, FloatArray]:
    """(n,) float64 for each of `STATISTICS`; NaN where a tile has too few known pixels or no variation."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = [
            _statistics_of(image.astype(np.float64), known)
            for image, known in zip(tiles.images, tiles.known, strict=True)
        ]
    columns = {name: np.array([row.get(name, np.nan) for row in rows]) for name in STATISTICS}
    return columns | {"saturated_share": tiles.saturated_share, "no_data_share": tiles.no_data_share}


def lag_correlation(image: FloatArray, known: npt.NDArray[np.bool_], *, rows: int, columns: int) -> float:
    """Pearson correlation of pixels `rows` down and `columns` across from each other, both known; NaN without spread.

    Args:
        image: (H, W).
        known: (H, W).
        rows, columns: the lag, >= 0.
    """
    here = np.s_[: image.shape[0] - rows, : image.shape[1] - columns]
    there = np.s_[rows:, columns:]
    both = known[here] & known[there]
    first, second = image[here][both], image[there][both]
    if first.size < 2:
        return float("nan")
    first, second = first - first.mean(), second - second.mean()
    spread = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / spread) if spread else float("nan")


def band_shares(image: FloatArray) -> FloatArray:
    """(4,) shares of the power below 1/32, 1/8, 1/4 cycles per px and above, less the mean and under a Hann window.

    White noise has about 1/325 (an area of pi / 32^2), .046, .147 and .804.
    """
    window = np.hanning(image.shape[0])[:, None] * np.hanning(image.shape[1])
    power = np.abs(fft.fft2((image - image.mean()) * window)) ** 2
    sums = np.bincount(_band_numbers(*image.shape), power.ravel(), minlength=4)
    return np.asarray(sums / sums.sum(), np.float64)


@cache
def _band_numbers(n_rows: int, n_columns: int) -> npt.NDArray[np.int64]:
    """The band, 0 to 3, of each coefficient of a Fourier transform, flat."""
    frequency = np.hypot(np.fft.fftfreq(n_rows)[:, None], np.fft.fftfreq(n_columns))
    return np.digitize(frequency.ravel(), _BAND_LIMITS)


def _statistics_of(image: FloatArray, known: npt.NDArray[np.bool_]) -> dict[str, float]:
    values = image[known]
    # Fewer pixels than one row say nothing.
    if values.size < image.shape[1]:
        return {}
    filled = np.where(known, image, values.mean())
    return _moments(values) | _correlations(image, known) | _blocks(image, known) | _bands(filled) | _profiles(filled)


def _moments(values: FloatArray) -> dict[str, float]:
    mean, std = values.mean(), values.std()
    standard = (values - mean) / std
    # Products, for powers of arrays take ten times as long.
    square = standard * standard
    low, median, high = np.quantile(values, [0.001, 0.5, 0.999])
    return {
        "mean": mean,
        "std": std,
        "skewness": (square * standard).mean(),
        "kurtosis": (square * square).mean() - 3,
        "p001": (low - median) / std,
        "p999": (high - median) / std,
        "n_values": float(np.unique(values).size),
    }


def _correlations(image: FloatArray, known: npt.NDArray[np.bool_]) -> dict[str, float]:
    return {
        f"lag{lag}_{way}": lag_correlation(image, known, rows=lag * (way == "down"), columns=lag * (way == "across"))
        for lag in (1, 2)
        for way in ("across", "down")
    }


def _blocks(image: FloatArray, known: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Statistics of blocks that are known by half or more."""
    quarter = image.shape[0] // 4
    means = {size: block_means(np.exp(image), known, size) for size in (BLOCK_PX, quarter)}
    enough = {size: block_means(known.astype(float), np.ones_like(known), size) >= 0.5 for size in means}
    square = block_means(image**2, known, quarter) - block_means(image, known, quarter) ** 2
    stds = np.sqrt(np.maximum(square, 0))[enough[quarter]]
    small, sure = means[BLOCK_PX], enough[BLOCK_PX]
    lags = [lag_correlation(small, sure, rows=1 - k, columns=k) for k in (0, 1)]
    return {
        "block8_cv": _cv(small[sure]),
        "block8_lag1": float(np.mean(lags)),
        "quarter_cv": _cv(means[quarter][enough[quarter]]),
        "std_spread": _cv(stds),
    }


def _bands(filled: FloatArray) -> dict[str, float]:
    names = ("power_low", "power_mid", "power_swell", "power_high")
    return dict(zip(names, band_shares(filled).tolist(), strict=True))


def _profiles(filled: FloatArray) -> dict[str, float]:
    """Statistics of row and column means; what is not known was filled with the tile's mean."""
    columns, rows = filled.mean(axis=0), filled.mean(axis=1)
    return {
        "trend_across": _trend(columns),
        "trend_down": abs(_trend(rows)),
        "anisotropy": float(np.log(columns.std() / rows.std())),
        "rows_roughness": _roughness(rows, filled.std() / np.sqrt(filled.shape[1])),
        "columns_roughness": _roughness(columns, filled.std() / np.sqrt(filled.shape[0])),
    }


def _trend(profile: FloatArray) -> float:
    """Rise of the least-squares line from the first to the last value: 0 1 2 3 -> 3."""
    return float(np.polyfit(np.linspace(-0.5, 0.5, profile.size), profile, 1)[0])


def _roughness(profile: FloatArray, white_std: float) -> float:
    return float(np.diff(profile).std() / (np.sqrt(2) * white_std))


def _cv(values: FloatArray) -> float:
    return float(values.std() / values.mean()) if values.size > 1 else float("nan")
