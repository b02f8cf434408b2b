"""Statistics of a tile set, real or simulated: sea, scenes, and the seep instances of each class.

`measure_tile` measures one tile, `pooled` combines the tiles of a set. Keys are `sea.NAME` and `class1.NAME` to
`class7.NAME`; `sample_keys` and `share_keys` list them. An undefined value, such as the contrast of an instance without
sea around it, is left out of its sample, not counted as 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from seep_monai.calibration.dark_areas import LARGE_PX, core_and_edge, dark_areas
from seep_monai.calibration.outlines import measure_instances
from seep_monai.classes import SEEP_LABELS
from seep_monai.errors import DataError
from seep_monai.instances.components import class_components

Floats = npt.NDArray[np.float64]
Samples = dict[str, list[float]]
# Key of a share -> (number with the property, total number).
Counts = dict[str, tuple[int, int]]

SATURATED_DN = 65535
# Choice: 32 px; small compared with swell and wind streaks, so that std / mean measures the speckle.
PATCH_PX = 32
# Choice: 64 px; 16 blocks per 256 px tile, each of thousands of looks, so that only the sea's texture varies.
BLOCK_PX = 64
# Choice: half the grid; extrapolated from fewer columns, the slope depends mainly on a single wind patch.
_MIN_SHARE_OF_COLUMNS = 0.5
# Choice: a quarter of the tile; the median of less sea depends on its position in the tile.
_MIN_SEA_SHARE = 0.25

SEA_STATISTICS: dict[str, str] = {
    "speckle_cv": "std / mean of DN in each seep-free, valid patch of 32 x 32 px",
    "lag1_across": "autocorrelation of DN one column on, in the same patches",
    "lag1_down": "one row on",
    "lag2_across": "two columns on",
    "lag2_down": "two rows on",
    "block_mean_cv": "std / mean of the means of 64 x 64 px blocks, per fully valid tile",
    "n_levels": "distinct DN above 0 per scene",
    "level_step_dn": "median distance of successive levels per scene, DN",
    "range_trend": "median DN at the bright over that at the dark end of the tile columns, per scene",
    "no_data_share": "share of DN 0 per tile",
    "saturated_share": "share of DN 65535 among a tile's valid pixels",
    "dark_sea_px": "pixels of each unlabelled dark area: 7-px mean below .7 of the tile's median, 1500 px or more",
    "dark_sea_edge_px": "width of its edge: from 20 to 80 % of the rise to the sea, carried on to all of it",
    "dark_seep_edge_px": "the same of dark areas that are labelled as seep",
    "large_core_ratio": "mean DN of the core over that of the ring, of instances of more than 1500 px",
    "large_edge_ratio": "the same of their outermost pixels",
}
CLASS_STATISTICS: dict[str, str] = {
    "area_px": "pixels of each instance",
    "major_axis_px": "major axis of the ellipse with the instance's second moments, at least 1 px",
    "aspect": "major axis / minor axis, both at least 1 px",
    "width_px": "area / number of skeleton pixels, px",
    "dn_ratio": "mean DN inside / mean DN of the valid, seep-free ring 2 to 8 px away",
    "n_per_tile": "instances in each tile that holds the class",
}
SEA_SHARES: dict[str, str] = {
    "tiles_with_no_data": "tiles that hold DN 0",
    "tiles_with_saturation": "tiles that hold DN 65535",
    "tiles_with_dark_sea": "tiles that hold a dark area of 1500 px or more without a label",
    "tiles_with_dark_seep": "tiles that hold one that is labelled as seep",
}
CLASS_SHARES: dict[str, str] = {
    "tiles": "tiles that hold the class",
    "touches_border": "instances that touch the tile's border",
    "px_above_500": "pixels that lie in instances of more than 500 px",
    "px_above_1500": "pixels that lie in instances of more than 1500 px",
    "px_above_4000": "pixels that lie in instances of more than 4000 px",
}
_PX_LIMITS = (500, 1500, 4000)


@dataclass(frozen=True, eq=False)
class TileMeasures:
    """Measures of one tile.

    Attributes:
        scene: the scene it was cut from.
        index: 1-based row-major index in the scene's grid of tiles; None if unknown.
        samples: key -> values of the tile's patches, instances or the tile itself.
        shares: key -> (number with the property, total number).
        levels: (n,) uint16, the distinct DN above 0, ascending.
        sea_dn: median DN of the valid, seep-free pixels; NaN if they are less than a quarter of the tile.
    """

    scene: str
    index: int | None
    samples: Samples
    shares: Counts
    levels: npt.NDArray[np.uint16]
    sea_dn: float


@dataclass(frozen=True, eq=False)
class SetStatistics:
    """Statistics of a set of tiles.

    Attributes:
        n_tiles: scene -> number of tiles.
        samples: key -> (n,) float64, pooled over all tiles or scenes; empty if nothing is defined.
        shares: key -> scene -> (number with the property, total number).
        left_out: reasons for missing statistics, one sentence each.
    """

    n_tiles: dict[str, int]
    samples: dict[str, Floats]
    shares: dict[str, dict[str, tuple[int, int]]]
    left_out: list[str] = field(default_factory=list)


def class_key(label: int, name: str) -> str:
    """The key of a class statistic.

    >>> class_key(1, "area_px")
    'class1.area_px'
    """
    return f"class{label}.{name}"


def together_key(label: int, other: int) -> str:
    """The key of the share of tiles with class `label` that also hold class `other`."""
    return class_key(label, f"with_class{other}")


def sample_keys() -> list[str]:
    """The keys of all samples: sea first, then each class."""
    sea = [f"sea.{name}" for name in SEA_STATISTICS]
    return sea + [class_key(label, name) for label in SEEP_LABELS for name in CLASS_STATISTICS]


def share_keys() -> list[str]:
    """The keys of all shares: sea, classes, and pairs of classes in a tile."""
    sea = [f"sea.{name}" for name in SEA_SHARES]
    classes = [class_key(label, name) for label in SEEP_LABELS for name in CLASS_SHARES]
    together = [together_key(label, other) for label in SEEP_LABELS for other in SEEP_LABELS if other != label]
    return sea + classes + together


def measure_tile(
    dn: npt.NDArray[np.uint16], mask: npt.NDArray[np.uint8], *, scene: str, index: int | None = None
) -> TileMeasures:
    """Measure one tile; labels on no-data are ignored.

    Args:
        dn: (H, W) uint16, 0 = no-data, 65535 = saturated.
        mask: (H, W) uint8, 0 = no seep, 1..7 = seep class.
        scene: the scene it was cut from.
        index: see `TileMeasures`.

    Raises:
        DataError: if a dtype, shape or label is wrong.
    """
    if dn.dtype != np.uint16 or mask.dtype != np.uint8 or dn.ndim != 2 or dn.shape != mask.shape:
        raise DataError(
            f"tile: expected a (H, W) uint16 image and a uint8 mask of its size, but got {dn.dtype} {dn.shape} and "
            f"{mask.dtype} {mask.shape}. Convert the files."
        )
    valid = dn > 0
    classes = np.where(valid, mask, np.uint8(0))
    free = valid & (classes == 0)
    samples = _sea_samples(dn, valid=valid, free=free)
    shares = {
        "sea.tiles_with_no_data": (int(not valid.all()), 1),
        "sea.tiles_with_saturation": (int((dn == SATURATED_DN).any()), 1),
    }
    _add_dark_areas(samples, shares, dn, classes)
    _add_classes(samples, shares, dn, classes)
    enough = np.count_nonzero(free) >= max(1, _MIN_SEA_SHARE * dn.size)
    return TileMeasures(
        scene, index, samples, shares, np.unique(dn[valid]), float(np.median(dn[free])) if enough else np.nan
    )


def pooled(tiles: Iterable[TileMeasures], tile_cols: Mapping[str, int] | None = None) -> SetStatistics:
    """Combine the measures of a set of tiles.

    Args:
        tiles: measures of each tile, at least one.
        tile_cols: scene -> tile columns of its grid; other scenes get no range trend.
    """
    by_scene: dict[str, list[TileMeasures]] = {}
    for tile in tiles:
        by_scene.setdefault(tile.scene, []).append(tile)
    values: Samples = {key: [] for key in sample_keys()}
    for members in by_scene.values():
        for tile in members:
            for key, found in tile.samples.items():
                values[key] += found
        for key, found in _level_samples(members).items():
            values[key] += found
    values["sea.range_trend"], left_out = _range_trends(by_scene, tile_cols or {})
    samples = {key: np.array(found, dtype=np.float64) for key, found in values.items()}
    shares = {key: {scene: _summed(key, members) for scene, members in by_scene.items()} for key in share_keys()}
    return SetStatistics({scene: len(members) for scene, members in by_scene.items()}, samples, shares, left_out)


def speckle_cv(patches: Floats) -> Floats:
    """(n,) std / mean of each patch.

    Args:
        patches: (n, h, w) float64 DN above 0.
    """
    cv: Floats = patches.std(axis=(1, 2)) / patches.mean(axis=(1, 2))
    return cv


def autocorrelation(patches: Floats, *, lag: int, axis: int) -> Floats:
    """Autocorrelation of each patch at a lag; constant patches are left out.

    Args:
        patches: (n, h, w) float64.
        lag: in px, at least 1.
        axis: 1 = down the rows, 2 = across the columns.

    Returns:
        (m,) in -1..1, m <= n.
    """
    deviations = patches - patches.mean(axis=(1, 2), keepdims=True)
    variance = (deviations**2).mean(axis=(1, 2))
    deviations, variance = deviations[variance > 0], variance[variance > 0]
    n = patches.shape[axis]
    first, second = deviations.take(range(n - lag), axis), deviations.take(range(lag, n), axis)
    correlation: Floats = (first * second).mean(axis=(1, 2)) / variance
    return correlation


def range_trend(columns: npt.NDArray[np.intp], sea_dn: Floats, n_tile_cols: int) -> float:
    """Ratio of the sea's brightness at the two ends of the tile columns, at least 1.

    A straight line is fitted to log DN over the column by least squares and evaluated at both ends of the grid.

    Args:
        columns: (n,) tile columns from 0.
        sea_dn: (n,) median DN of each tile's sea, > 0.
        n_tile_cols: tile columns of the scene.

    Returns:
        NaN if the tiles span less than half of the grid's width, or fewer than three columns.

    >>> round(range_trend(np.array([0, 1, 2]), np.array([100.0, 200.0, 400.0]), 4), 6)
    8.0
    """
    if len(set(columns.tolist())) < 3 or np.ptp(columns) + 1 < _MIN_SHARE_OF_COLUMNS * n_tile_cols:
        return float("nan")
    slope = np.polyfit(columns, np.log(sea_dn), 1)[0]
    return float(np.exp(abs(slope) * (n_tile_cols - 1)))


def blocks(image: npt.NDArray[np.generic], size_px: int) -> npt.NDArray[np.generic]:
    """(n, size_px, size_px) non-overlapping blocks, row by row; incomplete ones at right and bottom are dropped."""
    n_rows, n_cols = (length // size_px for length in image.shape)
    cut = image[: n_rows * size_px, : n_cols * size_px].reshape(n_rows, size_px, n_cols, size_px)
    return cut.swapaxes(1, 2).reshape(-1, size_px, size_px)


def _sea_samples(dn: npt.NDArray[np.uint16], *, valid: npt.NDArray[np.bool_], free: npt.NDArray[np.bool_]) -> Samples:
    patches = blocks(dn, PATCH_PX)[blocks(free, PATCH_PX).all(axis=(1, 2))].astype(np.float64)
    samples = {"sea.speckle_cv": speckle_cv(patches).tolist()}
    for lag in (1, 2):
        samples[f"sea.lag{lag}_across"] = autocorrelation(patches, lag=lag, axis=2).tolist()
        samples[f"sea.lag{lag}_down"] = autocorrelation(patches, lag=lag, axis=1).tolist()
    means = blocks(dn, BLOCK_PX).mean(axis=(1, 2))
    if valid.all() and len(means) > 1:
        samples["sea.block_mean_cv"] = [float(means.std() / means.mean())]
    n_valid = np.count_nonzero(valid)
    samples["sea.no_data_share"] = [1 - n_valid / dn.size]
    if n_valid:
        samples["sea.saturated_share"] = [np.count_nonzero(dn == SATURATED_DN) / n_valid]
    return samples


def _add_dark_areas(
    samples: Samples, shares: Counts, dn: npt.NDArray[np.uint16], classes: npt.NDArray[np.uint8]
) -> None:
    areas = dark_areas(dn, classes)
    sea, seep = ([area for area in areas if area.is_seep is is_seep] for is_seep in (False, True))
    samples["sea.dark_sea_px"] = [area.area_px for area in sea]
    for name, members in (("dark_sea", sea), ("dark_seep", seep)):
        samples[f"sea.{name}_edge_px"] = [area.edge_px for area in members if not np.isnan(area.edge_px)]
        shares[f"sea.tiles_with_{name}"] = (int(bool(members)), 1)


def _add_classes(samples: Samples, shares: Counts, dn: npt.NDArray[np.uint16], classes: npt.NDArray[np.uint8]) -> None:
    """Add the measures of the tile's instances to `samples` and `shares`."""
    components = class_components(classes)
    present = set(components.classes.tolist())
    measures = measure_instances(dn, classes, components)
    large = np.flatnonzero(components.areas_px > LARGE_PX)
    free = (dn > 0) & (classes == 0)
    ratios = [core_and_edge(dn, components.labels == row + 1, free) for row in large]
    for name, found in zip(("core", "edge"), np.array(ratios).reshape(-1, 2).T, strict=True):
        samples[f"sea.large_{name}_ratio"] = found[~np.isnan(found)].tolist()
    for label in SEEP_LABELS:
        shares[class_key(label, "tiles")] = (int(label in present), 1)
        if label not in present:
            continue
        members = components.classes == label
        n = int(np.count_nonzero(members))
        samples[class_key(label, "n_per_tile")] = [n]
        for name, values in measures.items():
            if name in CLASS_STATISTICS:
                samples[class_key(label, name)] = values[members & ~np.isnan(values)].tolist()
        shares[class_key(label, "touches_border")] = (int(measures["touches_border"][members].sum()), n)
        areas_px = components.areas_px[members]
        for limit in _PX_LIMITS:
            shares[class_key(label, f"px_above_{limit}")] = (int(areas_px[areas_px > limit].sum()), int(areas_px.sum()))
        for other in SEEP_LABELS:
            if other != label:
                shares[together_key(label, other)] = (int(other in present), 1)


def _level_samples(members: list[TileMeasures]) -> Samples:
    """Number of DN levels of one scene and their step."""
    levels = np.unique(np.concatenate([tile.levels for tile in members])).astype(np.float64)
    samples = {"sea.n_levels": [float(len(levels))] if len(levels) else []}
    samples["sea.level_step_dn"] = [float(np.median(np.diff(levels)))] if len(levels) > 1 else []
    return samples


def _range_trends(
    by_scene: Mapping[str, list[TileMeasures]], tile_cols: Mapping[str, int]
) -> tuple[list[float], list[str]]:
    """The range trends of the scenes that have one, and the reasons why others have none."""
    trends: list[float] = []
    reasons: dict[str, list[str]] = {"the tile columns are not known": [], "too few tile columns hold sea": []}
    unknown, narrow = reasons.values()
    for scene, members in by_scene.items():
        points = [(tile.index, tile.sea_dn) for tile in members if tile.index is not None and tile.sea_dn > 0]
        if scene not in tile_cols or all(tile.index is None for tile in members):
            unknown.append(scene)
            continue
        # Worked: of 19 columns, tile 20 is the first of the second row: column 0.
        columns = np.array([(index - 1) % tile_cols[scene] for index, _ in points], dtype=np.intp)
        trend = range_trend(columns, np.array([sea_dn for _, sea_dn in points]), tile_cols[scene])
        if np.isnan(trend):
            narrow.append(scene)
        else:
            trends.append(trend)
    return trends, [f"range trend of {', '.join(names)}: {why}" for why, names in reasons.items() if names]


def _summed(key: str, members: list[TileMeasures]) -> tuple[int, int]:
    pairs = [tile.shares.get(key, (0, 0)) for tile in members]
    return sum(has for has, _ in pairs), sum(n for _, n in pairs)
