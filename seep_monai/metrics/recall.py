"""Recall of true instances by size and by contrast.

Most instances are small, but most pixels belong to a few large instances, which scores over all instances hide. So
instances and pixels are counted in bins of area and of contrast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.classes import N_SEEP_CLASSES, NO_DATA_LABEL, SEEP_LABELS
from seep_monai.instances.components import ClassMap, Components
from seep_monai.instances.ring import Floats, ring_ratio
from seep_monai.metrics.confusion import CONFUSION_IOU

# Choice: half of the instances of the reference tiles are below 100 px; pools above 1,500 px are easy to see.
SIZE_EDGES_PX = (100, 500, 1500)
# Bin -> title.
SIZE_BINS = {
    "below_100_px": "below 100 px",
    "100_to_500_px": "100 to 500 px",
    "500_to_1500_px": "500 to 1,500 px",
    "above_1500_px": "above 1,500 px",
}
# Mean DN / mean DN of the ring of sea. Choice: the median slick of the reference tiles has .79 to .89.
CONTRAST_EDGES = (0.7, 0.8, 0.9)
CONTRAST_BINS = {
    "ratio_below_0_7": "below .7 of the sea",
    "ratio_0_7_to_0_8": ".7 to .8 of the sea",
    "ratio_0_8_to_0_9": ".8 to .9 of the sea",
    "ratio_above_0_9": "above .9 of the sea",
    "no_ring": "no sea around",
}
GROUPINGS = {"size": SIZE_BINS, "contrast": CONTRAST_BINS}
RECALL_BINS = (*SIZE_BINS, *CONTRAST_BINS)
RECALL_COUNTS = ("n_instances", "n_found", "n_px", "n_drawn_px")
LARGE_RECALL = "recall.seep.size.above_1500_px.pixel_recall"

Counts = npt.NDArray[np.int64]


def recall_counts(true: Components, predicted: ClassMap, is_found: npt.NDArray[np.bool_], ratios: Floats) -> Counts:
    """(7, 9, 4) int64 counts of one tile, by class, bin (`RECALL_BINS`) and count (`RECALL_COUNTS`).

    A true instance is found if it matches a detection of any class at mask IoU >= .5 (`confusion_rows`). Its pixels
    count as drawn where any seep is predicted. Each instance is in one bin of size and one of contrast; a value on an
    edge belongs to the bin above.

    Args:
        true: the n true instances of the classes 1..7, 8-connected components.
        predicted: (H, W) uint8, predicted classes 0..7.
        is_found: (n,) bool.
        ratios: (n,) contrast, NaN where unknown (`ring_ratios`).
    """
    drawn_px = np.bincount(true.labels.ravel(), weights=(predicted > 0).ravel(), minlength=len(true) + 1)[1:]
    values = np.stack([np.ones(len(true)), is_found, true.areas_px, drawn_px], axis=1).astype(np.int64)
    by_contrast = np.where(np.isnan(ratios), len(CONTRAST_EDGES) + 1, np.digitize(ratios, CONTRAST_EDGES))
    counts = np.zeros((N_SEEP_CLASSES, len(RECALL_BINS), len(RECALL_COUNTS)), np.int64)
    for bins in (np.digitize(true.areas_px, SIZE_EDGES_PX), len(SIZE_BINS) + by_contrast):
        np.add.at(counts, (true.classes - 1, bins), values)
    return counts


def ring_ratios(true: Components, log_dn: Floats | None, truth: ClassMap) -> npt.NDArray[np.float64]:
    """(n,) mean DN of each true instance / mean DN of the sea around (`ring.ring_ratio`); NaN where unknown.

    Args:
        true: true components.
        log_dn: (H, W) logarithm of DN, with any offset; None: no image, all ratios are NaN.
        truth: (H, W) uint8, 0..7 and 255 = no-data.
    """
    if log_dn is None:
        return np.full(len(true), np.nan)
    sea = truth == 0
    return np.array([ring_ratio(log_dn, true.labels == row + 1, sea) for row in range(len(true))], np.float64)


def recall_summary(counts: Counts) -> dict[str, Any]:
    """Counts and recalls as in `metrics.json`; a recall without instances is None.

    Args:
        counts: (7, 9, 4), summed over tiles.

    Returns:
        `iou`; `seep.<grouping>.<bin>` and `classes.<k>.<grouping>.<bin>` for the mask values 1..7, each with
        `n_instances`, `n_px`, `instance_recall` (found / all) and `pixel_recall` (predicted as any seep / all).
    """
    by_class = {str(label): _by_bin(counts[label - 1]) for label in SEEP_LABELS}
    return {"iou": CONFUSION_IOU, "seep": _by_bin(counts.sum(axis=0)), "classes": by_class}


def recall_scores(counts: Counts) -> dict[str, float]:
    """The recalls of any seep by their keys in `metrics.json`, NaN where undefined."""
    scores = {}
    for grouping, bins in _by_bin(counts.sum(axis=0)).items():
        for name, values in bins.items():
            for key in ("instance_recall", "pixel_recall"):
                value = values[key]
                scores[f"recall.seep.{grouping}.{name}.{key}"] = np.nan if value is None else value
    return scores


def recall_rows(recall: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Title and values of each bin, from a part of `recall_summary` such as `seep`."""
    for grouping, bins in GROUPINGS.items():
        for name, title in bins.items():
            yield title, recall[grouping][name]


def missed_px(predicted: ClassMap, truth: ClassMap) -> int:
    """Number of true seep pixels that are predicted as background; `truth` is 255 on no-data."""
    return int(np.count_nonzero((truth > 0) & (truth != NO_DATA_LABEL) & (predicted == 0)))


def _by_bin(counts: Counts) -> dict[str, dict[str, Any]]:
    """Values of each bin, by grouping, from (9, 4) counts."""
    values = {
        name: {
            "n_instances": n_instances,
            "n_px": n_px,
            "instance_recall": n_found / n_instances if n_instances else None,
            "pixel_recall": n_drawn_px / n_px if n_px else None,
        }
        for name, (n_instances, n_found, n_px, n_drawn_px) in zip(RECALL_BINS, counts.tolist(), strict=True)
    }
    return {grouping: {name: values[name] for name in bins} for grouping, bins in GROUPINGS.items()}
