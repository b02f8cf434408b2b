"""Scores for narrow ribbons: tolerance buffers, centre lines, panoptic quality (PQ) and false alarms per tile.

A ribbon three pixels wide, shifted by one pixel, has IoU .5 with itself, so strict AP mostly measures the noise of
outlines. Each tile gives one row of counts, which are summed over tiles before any ratio is taken. A ratio 0 / 0 is NaN
and means leave it out. A harmonic mean is NaN if both truth and prediction are empty, and 0 if one of them is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from skimage.morphology import skeletonize

from seep_monai.classes import N_CLASSES, NO_DATA_LABEL, SEEP_LABELS
from seep_monai.errors import DataError
from seep_monai.instances.components import (
    ANY_SEEP,
    ClassMap,
    Components,
    class_components,
    seep_components,
    without_no_data,
)
from seep_monai.metrics.overlap import overlaps
from seep_monai.metrics.pixels import ratio

# Choice: up to the width of a typical slick.
TOLERANCES_PX = (1, 2, 3)
# A predicted instance farther than the largest tolerance from any true seep is a false alarm.
ALARM_TOLERANCE_PX = TOLERANCES_PX[-1]
# Choice: an instance is found if at least half of its pixels are near the other map, so that contact is not enough but
# a slick predicted too short still counts.
MIN_NEAR_SHARE = 0.5
# A match has more than this IoU, which makes it unique. Source: Kirillov et al. 2019, Panoptic Segmentation, theorem 1.
PQ_IOU = 0.5

_GROUPS = {**{k: str(k) for k in SEEP_LABELS}, ANY_SEEP: "seep"}
_SIDES = ("predicted", "true")

# Per tile; `<side>` is predicted or true, `<r>` a tolerance, `<g>` a class 1..7 or "seep".
#   n_tiles: 1, or 0 where all is no-data; n_empty_tiles: 1 where such a tile has no true seep.
#   n_false_alarms, n_false_alarms_empty: predicted seeps without a true one near, in any tile and in an empty one.
#   <side>_px, <side>_near_px_r<r>: seep pixels, and those within r px of a seep pixel of the other side.
#   <side>_skeleton_px, <side>_skeleton_hit_px: centre-line pixels, and those inside the other side's seeps.
#   n_<side>_<g>, n_<side>_near_r<r>_<g>: instances, and those near the other side's pixels of the same group.
#   n_matched_<g>, iou_sum_<g>: pairs with IoU > .5, and the sum of their IoU.
RIBBON_COLUMNS = (
    *("n_tiles", "n_empty_tiles", "n_false_alarms", "n_false_alarms_empty"),
    *(f"{side}_{what}" for side in _SIDES for what in ("px", "skeleton_px", "skeleton_hit_px")),
    *(f"{side}_near_px_r{r}" for side in _SIDES for r in TOLERANCES_PX),
    *(f"n_{side}_{g}" for side in _SIDES for g in _GROUPS.values()),
    *(f"n_{side}_near_r{r}_{g}" for side in _SIDES for r in TOLERANCES_PX for g in _GROUPS.values()),
    *(f"{what}_{g}" for what in ("n_matched", "iou_sum") for g in _GROUPS.values()),
)

Counts = dict[str, float]
Offset = tuple[int, int]
# (3, H, W): per tolerance, bit k - 1 is set where a pixel of class k is near.
NearMaps = npt.NDArray[np.uint8]

# Class k is bit k - 1, so that one pass over the map serves all classes: 0, 1, 2, 4, .. 64.
_CLASS_BITS = np.array([0, *(1 << (k - 1) for k in SEEP_LABELS)], np.uint8)


def _ring(radius_px: int) -> tuple[Offset, ...]:
    """The offsets in a disk of `radius_px` that are not in the next smaller disk; the centre is in none."""
    steps = range(-radius_px, radius_px + 1)
    inner, outer = (radius_px - 1) ** 2, radius_px**2
    return tuple((i, j) for i in steps for j in steps if inner < i * i + j * j <= outer)


_RINGS = tuple(_ring(r) for r in TOLERANCES_PX)


@dataclass(frozen=True, eq=False)
class _Map:
    """Class map of one side, its seep pixels (flat indices), components and near maps."""

    classes: ClassMap
    pixels: npt.NDArray[np.intp]
    by_class: Components
    by_seep: Components
    near: NearMaps


def ribbon_row(predicted_classes: ClassMap, truth: ClassMap) -> npt.NDArray[np.float64]:
    """The counts of one tile, (W,) float64 in the order of `RIBBON_COLUMNS`; they add up over tiles.

    Args:
        predicted_classes: (H, W) uint8, 0 = background, 1..7 = seep classes.
        truth: (H, W) uint8, 0..7 and 255 = no-data; truth and prediction are background there. If all is
            no-data, all counts are 0, also `n_tiles`.

    Raises:
        DataError: if the shapes differ, or on other values.
    """
    if predicted_classes.shape != truth.shape:
        raise DataError(f"tile: expected maps of one shape, but got {predicted_classes.shape} and {truth.shape}.")
    counts = dict.fromkeys(RIBBON_COLUMNS, 0.0)
    if np.any(truth != NO_DATA_LABEL):
        predicted_map = without_no_data(predicted_classes, truth=truth)
        true_map = without_no_data(truth, truth=truth)
        counts |= {"n_tiles": 1.0, "n_empty_tiles": float(not true_map.any())}
        if predicted_map.any() or true_map.any():
            counts |= _foreground_counts(_measured(predicted_map), _measured(true_map))
    return np.array(list(counts.values()))


def ribbon_scores(rows: npt.NDArray[np.float64]) -> dict[str, float]:
    """Scores from pooled counts, as Python floats; NaN for 0 / 0.

    Args:
        rows: (n, W) rows of tiles, or their sum (W,).

    Returns:
        For r = 1, 2, 3 px, any seep class against background:
        `precision_r<r>`, `recall_r<r>`, `f1_r<r>`: predicted seep pixels within Euclidean distance r of a true one /
        predicted pixels; true pixels within r of a predicted one / true pixels; their harmonic mean.
        Source: Wiedemann et al. 1998, Empirical evaluation of automatically extracted road axes.
        `instance_precision_r<r>`, `instance_recall_r<r>`, `instance_f1_r<r>`: the same for instances; one is right, or
        found, if at least half of its pixels are within r of the other side's seep pixels.
        `instance_f1_r<r>_<k>`: for the instances of class k = 1..7, near pixels of class k.
        `cldice`: harmonic mean of the share of the predicted centre line inside true seeps and of the true one inside
        predicted seeps. Source: Shit et al. 2021, clDice, pooled over tiles.
        `pq_seep` = `sq_seep` x `rq_seep`: mean IoU of the matches x TP / (TP + FP / 2 + FN / 2), where a match has
        IoU > .5; `pq_<k>` of class k, and `pq`, their mean over the classes with truth or prediction.
        Source: Kirillov et al. 2019, Panoptic Segmentation.
        `false_alarms_per_tile`: predicted seeps without a true seep pixel within 3 px; `false_alarms_per_empty_tile`:
        on the `n_empty_tiles` without true seeps only. `n_tiles`: tiles with known pixels.
    """
    counts = dict(zip(RIBBON_COLUMNS, np.atleast_2d(rows).sum(axis=0).tolist(), strict=True))
    return _pixel_scores(counts) | _instance_scores(counts) | _panoptic_scores(counts) | _alarm_scores(counts)


def near_maps(classes: ClassMap) -> NearMaps:
    """(3, H, W) uint8: where a pixel of class k lies within 1, 2 and 3 px (Euclidean), bit k - 1 is set.

    Args:
        classes: (H, W) uint8, 0..7.

    >>> near_maps(np.array([[0, 0, 0, 2, 0]], np.uint8))[:, 0].tolist()
    [[0, 0, 2, 2, 2], [0, 2, 2, 2, 2], [2, 2, 2, 2, 2]]
    """
    bits = _CLASS_BITS[classes]
    near, maps = bits.copy(), []
    for ring in _RINGS:
        for down, right in ring:
            target = _moved(classes.shape[0], down), _moved(classes.shape[1], right)
            source = _moved(classes.shape[0], -down), _moved(classes.shape[1], -right)
            near[target] |= bits[source]
        maps.append(near.copy())
    return np.stack(maps)


def _moved(size: int, step: int) -> slice:
    """Target slice of a shift by `step`: of 10 pixels, 3..9 for step 3 and 0..6 for step -3."""
    return slice(max(step, 0), max(size + min(step, 0), 0))


def _measured(classes: ClassMap) -> _Map:
    by_class, by_seep = class_components(classes), seep_components(classes)
    return _Map(classes, np.flatnonzero(classes), by_class, by_seep, near_maps(classes))


def _foreground_counts(predicted: _Map, true: _Map) -> Counts:
    counts = _matched_counts(predicted, true) | _skeleton_counts(predicted.classes, true.classes)
    counts |= _near_counts("predicted", predicted, true.near) | _near_counts("true", true, predicted.near)
    near = true.near.reshape(len(TOLERANCES_PX), -1)[:, predicted.pixels] > 0
    near_px = _near_px(predicted.by_seep, predicted.pixels, near)[TOLERANCES_PX.index(ALARM_TOLERANCE_PX)]
    n_alarms = float(np.count_nonzero(near_px == 0))
    return counts | {"n_false_alarms": n_alarms, "n_false_alarms_empty": 0.0 if len(true.pixels) else n_alarms}


def _near_counts(side: Literal["predicted", "true"], mine: _Map, other_near: NearMaps) -> Counts:
    """Pixels and instances of one side, and how many of them are near the other side's."""
    bits = other_near.reshape(len(TOLERANCES_PX), -1)[:, mine.pixels]
    near_seep, near_class = bits > 0, bits & _CLASS_BITS[mine.classes.ravel()[mine.pixels]] > 0
    counts = {f"{side}_px": float(len(mine.pixels))}
    counts |= {f"{side}_near_px_r{r}": float(near.sum()) for r, near in zip(TOLERANCES_PX, near_seep, strict=True)}
    for table, near, labels in ((mine.by_class, near_class, SEEP_LABELS), (mine.by_seep, near_seep, (ANY_SEEP,))):
        counts |= _group_counts(f"n_{side}", table.classes, labels)
        is_near = _near_px(table, mine.pixels, near) >= MIN_NEAR_SHARE * table.areas_px
        for r, chosen in zip(TOLERANCES_PX, is_near, strict=True):
            counts |= _group_counts(f"n_{side}_near_r{r}", table.classes[chosen], labels)
    return counts


def _near_px(table: Components, pixels: npt.NDArray[np.intp], near: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(3, n) number of near pixels of each component, per tolerance; `near` is (3, number of pixels)."""
    component = table.labels.ravel()[pixels] - 1
    return np.array([np.bincount(component[chosen], minlength=len(table)) for chosen in near], np.int64)


def _matched_counts(predicted: _Map, true: _Map) -> Counts:
    counts: Counts = {}
    pairs = (true.by_class, predicted.by_class, SEEP_LABELS), (true.by_seep, predicted.by_seep, (ANY_SEEP,))
    for true_table, predicted_table, labels in pairs:
        found = overlaps(true_table, predicted_table)
        matched = found.iou > PQ_IOU
        classes = true_table.classes[found.truth[matched]]
        counts |= _group_counts("n_matched", classes, labels)
        counts |= _group_counts("iou_sum", classes, labels, weights=found.iou[matched])
    return counts


def _skeleton_counts(predicted: ClassMap, true: ClassMap) -> Counts:
    counts: Counts = {}
    for side, mine, other in (("predicted", predicted, true), ("true", true, predicted)):
        line = skeletonize(mine > 0)
        counts[f"{side}_skeleton_px"] = float(np.count_nonzero(line))
        counts[f"{side}_skeleton_hit_px"] = float(np.count_nonzero(line & (other > 0)))
    return counts


def _group_counts(
    name: str, classes: npt.NDArray[np.int64], labels: tuple[int, ...], weights: npt.NDArray[np.float64] | None = None
) -> Counts:
    """`<name>_<g>` for each of `labels`: how often it occurs in `classes`, or the sum of its weights."""
    totals = np.bincount(classes, weights=weights, minlength=N_CLASSES + 1)
    return {f"{name}_{_GROUPS[k]}": float(totals[k]) for k in labels}


def _pixel_scores(counts: Counts) -> dict[str, float]:
    scores: dict[str, float] = {}
    for r in TOLERANCES_PX:
        precision = ratio(counts[f"predicted_near_px_r{r}"], counts["predicted_px"])
        recall = ratio(counts[f"true_near_px_r{r}"], counts["true_px"])
        scores |= {f"precision_r{r}": precision, f"recall_r{r}": recall, f"f1_r{r}": _harmonic_mean(precision, recall)}
    precision, recall = (ratio(counts[f"{side}_skeleton_hit_px"], counts[f"{side}_skeleton_px"]) for side in _SIDES)
    return scores | {"cldice": _harmonic_mean(precision, recall)}


def _instance_scores(counts: Counts) -> dict[str, float]:
    scores: dict[str, float] = {}
    for r in TOLERANCES_PX:
        for k, g in _GROUPS.items():
            precision, recall = (ratio(counts[f"n_{side}_near_r{r}_{g}"], counts[f"n_{side}_{g}"]) for side in _SIDES)
            f1 = _harmonic_mean(precision, recall)
            if k == ANY_SEEP:
                scores |= {f"instance_precision_r{r}": precision, f"instance_recall_r{r}": recall}
            scores[f"instance_f1_r{r}" if k == ANY_SEEP else f"instance_f1_r{r}_{g}"] = f1
    return scores


def _panoptic_scores(counts: Counts) -> dict[str, float]:
    # TP + FP / 2 + FN / 2 is half of all true and predicted instances.
    halves = {g: (counts[f"n_true_{g}"] + counts[f"n_predicted_{g}"]) / 2 for g in _GROUPS.values()}
    scores = {f"pq_{g}": ratio(counts[f"iou_sum_{g}"], half) for g, half in halves.items()}
    defined = [scores[f"pq_{k}"] for k in SEEP_LABELS if halves[str(k)]]
    scores["sq_seep"] = ratio(counts["iou_sum_seep"], counts["n_matched_seep"])
    scores["rq_seep"] = ratio(counts["n_matched_seep"], halves["seep"])
    return scores | {"pq": ratio(sum(defined), len(defined))}


def _alarm_scores(counts: Counts) -> dict[str, float]:
    return {
        "false_alarms_per_tile": ratio(counts["n_false_alarms"], counts["n_tiles"]),
        "false_alarms_per_empty_tile": ratio(counts["n_false_alarms_empty"], counts["n_empty_tiles"]),
        "n_tiles": counts["n_tiles"],
        "n_empty_tiles": counts["n_empty_tiles"],
    }


def _harmonic_mean(precision: float, recall: float) -> float:
    """NaN if both are undefined; 0 if one is, because then only one side is empty and nothing matches."""
    if np.isnan(precision) and np.isnan(recall):
        return float("nan")
    return 2 * precision * recall / (precision + recall) if precision > 0 and recall > 0 else 0.0
