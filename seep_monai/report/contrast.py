"""Contrast of true seeps and detections to the sea around, by outcome (found, missed, false alarm and others).

Missed seeps that are as faint as speckle cannot be found by any network. False alarms that are as dark and as large as
true seeps may be gaps in the truth. AP shows neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seep_monai.coco.results import MaskTable, beside_truth
from seep_monai.instances.components import ANY_SEEP, ClassMap, Floats, Mask, class_components
from seep_monai.instances.ring import MIN_RING_PX, ring_window
from seep_monai.markdown import markdown_table
from seep_monai.metrics.errors import FOUND_IOU, TOUCHED_IOU
from seep_monai.metrics.matching import pairs_of_any_class
from seep_monai.metrics.overlap import overlaps

# Outcome -> title.
OUTCOMES = {
    "found": "true seeps, found",
    "outline": "true seeps, poor outline",
    "missed": "true seeps, missed",
    "right": "detections, right",
    "poor_outline": "detections, poor outline",
    "false_alarm": "detections, false alarms",
}
# Standard deviations up to this are rounding errors of a constant.
_MIN_SD = 1e-6
_QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Contrast:
    """Contrast of one true instance or detection.

    Attributes:
        outcome: one of `OUTCOMES`.
        area_px: number of pixels.
        darker: 1 - geometric mean DN inside / geometric mean DN of the sea around; NaN without sea around.
        visibility: difference of the mean logarithms in standard errors of the mean inside, from the speckle of the
            sea; NaN without speckle or without sea around.
    """

    outcome: str
    area_px: int
    darker: float
    visibility: float


def seep_detections(predicted: MaskTable) -> MaskTable:
    """The detections of any seep: masks that occur under several classes are merged, with the sum of their scores."""
    first: dict[bytes, int] = {}
    pixels = predicted.runs.pixels()
    owners = np.array([first.setdefault(own.tobytes(), mask) for mask, own in enumerate(pixels)], np.intp)
    scores = np.zeros(len(predicted))
    np.add.at(scores, owners, predicted.scores)
    merged = replace(predicted, classes=np.full(len(predicted), ANY_SEEP, np.int64), scores=scores)
    return merged.selected(np.unique(owners))


def above(predicted: MaskTable, threshold: float) -> MaskTable:
    """The masks with a score of at least `threshold`."""
    return predicted.selected(np.flatnonzero(predicted.scores >= threshold))


def tile_contrasts(dn: Floats, valid: Mask, truth: ClassMap, predicted: MaskTable) -> list[Contrast]:
    """The contrast of each true instance and each detection of a tile.

    Matches are those of `metrics.errors`: mask IoU >= .5, highest score first, any class. Unmatched instances with IoU
    >= .1 have a poor outline.

    Args:
        dn: (H, W) DN, linear, above 0 where valid.
        valid: (H, W) bool, False = no-data in the image or in the mask.
        truth: (H, W) uint8, 0..7 where valid.
        predicted: detections of any seep (`seep_detections`).
    """
    true = class_components(np.where(valid, truth, 0).astype(np.uint8))
    tables = beside_truth(true.of_any_class(), predicted)
    touching = overlaps(*tables)
    touching = touching.subset(np.flatnonzero(touching.iou >= TOUCHED_IOU))
    pairs = pairs_of_any_class(*tables, FOUND_IOU)
    of_truth, of_detection = np.full(len(true), "missed", object), np.full(len(predicted), "false_alarm", object)
    of_truth[touching.truth], of_detection[touching.predicted] = "outline", "poor_outline"
    of_truth[pairs.truth], of_detection[pairs.predicted] = "found", "right"
    masks = [true.labels == number for number in range(1, len(true) + 1)] + _masks(predicted)
    sea = valid & ~np.any([np.zeros(valid.shape, bool), *masks], axis=0)
    log_dn = np.log(np.where(valid, np.maximum(dn, 1e-6), 1))
    return [
        Contrast(str(outcome), int(np.count_nonzero(mask)), *_contrast(log_dn, mask & valid, sea))
        for mask, outcome in zip(masks, [*of_truth, *of_detection], strict=True)
    ]


def contrast_summary(contrasts: Iterable[Contrast]) -> dict[str, Any]:
    """By outcome: `n`, and the quartiles of `area_px`, `darker` and `visibility`; None without values."""
    by_outcome: dict[str, list[Contrast]] = {outcome: [] for outcome in OUTCOMES}
    for contrast in contrasts:
        by_outcome[contrast.outcome].append(contrast)
    return {
        outcome: {
            "n": len(members),
            **{name: _quartiles([getattr(m, name) for m in members]) for name in ("area_px", "darker", "visibility")},
        }
        for outcome, members in by_outcome.items()
    }


def contrast_text(summary: Mapping[str, Any]) -> str:
    """A Markdown table of the medians and quartiles."""
    rows = []
    for outcome, title in OUTCOMES.items():
        row = summary[outcome]
        cells = [_span(row["area_px"], 1, 0), _span(row["darker"], 100, 1), _span(row["visibility"], 1, 1)]
        rows.append([title, str(row["n"]), *cells])
    return markdown_table(["", "n", "area, px", "darker than the sea, %", "visibility, sd"], rows)


def _contrast(log_dn: Floats, mask: Mask, sea: Mask) -> tuple[float, float]:
    if not mask.any():
        return float("nan"), float("nan")
    window, is_ring = ring_window(mask, sea)
    ring = log_dn[window][is_ring]
    if ring.size < MIN_RING_PX:
        return float("nan"), float("nan")
    difference = float(ring.mean() - log_dn[mask].mean())
    sd = float(ring.std())
    # Visibility is undefined without speckle (clipped images).
    visibility = difference / sd * float(np.sqrt(np.count_nonzero(mask))) if sd > _MIN_SD else float("nan")
    return 1 - float(np.exp(-difference)), visibility


def _masks(predicted: MaskTable) -> list[Mask]:
    height, width = predicted.runs.shape
    masks = np.zeros((len(predicted), width * height), bool)
    for mask, pixels in zip(masks, predicted.runs.pixels(), strict=True):
        mask[pixels] = True
    # Runs are column-major.
    return [mask.reshape(width, height).T for mask in masks]


def _quartiles(values: Sequence[float]) -> list[float] | None:
    known = np.array(values, np.float64)
    known = known[np.isfinite(known)]
    return [float(value) for value in np.quantile(known, _QUARTILES)] if len(known) else None


def _span(quartiles: Sequence[float] | None, factor: float, n_digits: int) -> str:
    if quartiles is None:
        return "-"
    low, middle, high = (f"{factor * value:.{n_digits}f}" for value in quartiles)
    return f"**{middle}** ({low} .. {high})"
