"""Fitting of the object classifier to the candidates of training and validation tiles.

Both parts are used: the network predicts training scenes better than new ones, and validation scenes are few.
Test scenes are not used.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.classes import N_CLASSES, N_SEEP_CLASSES, NO_DATA_LABEL
from seep_monai.errors import DataError
from seep_monai.instances.components import (
    ClassMap,
    Components,
    Floats,
    InstanceSettings,
    class_components,
    seep_components,
    without_no_data,
)
from seep_monai.metrics.average_precision import IOU_THRESHOLDS
from seep_monai.metrics.confusion import CONFUSION_IOU
from seep_monai.metrics.matching import MAX_DETECTIONS
from seep_monai.metrics.operating_point import operating_point
from seep_monai.metrics.records import instance_rows
from seep_monai.objects.candidates import DEFAULT_LEVELS, Candidates, find_candidates
from seep_monai.objects.classifier import MATCH_MEASURES, NAMING_MEASURES, ObjectClassifier, columns
from seep_monai.objects.finding import classified_objects
from seep_monai.objects.measures import measure_candidates
from seep_monai.objects.regression import fit_regression

logger = logging.getLogger(__name__)

MATCH_IOU = CONFUSION_IOU
# Choice: best of .0005 to .05 and .005 to .5 on the validation scenes of fold 0; neighbours differ by less
# than the random variation.
MATCH_RIDGE = 0.002
NAMING_RIDGE = 0.02
# Number of steps in the search for the threshold of the map.
_N_BINS = 100


@dataclass(frozen=True, eq=False)
class TileObjects:
    """Data of one tile for the fitting.

    Attributes:
        candidates: candidates of the tile.
        measures: (n, M) float32, measures of the candidates.
        match_iou: (n,) highest IoU with a true seep of any class.
        classes: (n,) mask value of the true instance that a candidate matches at IoU >= .5; 0 without a match.
        truth: true instances of each class, and of any seep.
        prob_counts: (2, 100) pixels without and with seep, by their seep probability in steps of .01.
        n_tiles: number of tiles, if it is a scene.
    """

    candidates: Candidates
    measures: npt.NDArray[np.float32]
    match_iou: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]
    truth: tuple[Components, Components]
    prob_counts: npt.NDArray[np.int64]
    n_tiles: int = 1


@dataclass
class FittingTiles:
    """Tiles to fit to, by part of the data set."""

    training: list[TileObjects] = field(default_factory=list)
    validation: list[TileObjects] = field(default_factory=list)


def tile_objects(probabilities: Floats, image: Floats, truth: ClassMap, *, n_tiles: int = 1) -> TileObjects:
    """Data of one tile for the fitting.

    Args:
        probabilities: (8, H, W) in [0, 1] that sum to 1 over the channels.
        image: (H, W) log of DN over the scene's level.
        truth: (H, W) uint8, 0..7 and 255 = no-data.
        n_tiles: number of tiles, if it is a scene.
    """
    valid = truth != NO_DATA_LABEL
    known = without_no_data(truth, truth=truth)
    by_class, seeps = class_components(known), seep_components(known)
    candidates = find_candidates(1 - probabilities[0], DEFAULT_LEVELS, valid=valid)
    measures = measure_candidates(candidates, image, probabilities, valid=valid)
    iou, partner = best_partners(candidates, by_class)
    of_class = np.concatenate([[0], by_class.classes])[partner]
    bins = np.minimum(((1 - probabilities[0][valid]) * _N_BINS).astype(np.int64), _N_BINS - 1)
    counts = np.bincount(bins + _N_BINS * (known[valid] > 0), minlength=2 * _N_BINS).reshape(2, _N_BINS)
    match_iou, _ = best_partners(candidates, seeps)
    return TileObjects(
        candidates, measures, match_iou, np.where(iou >= MATCH_IOU, of_class, 0), (by_class, seeps), counts, n_tiles
    )


def best_partners(candidates: Candidates, truth: Components) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """(n,) highest IoU of each candidate with a true component, and the label of that component; 0 without overlap."""
    iou, partner = np.zeros(len(candidates)), np.zeros(len(candidates), np.int64)
    flat = truth.labels.ravel()
    for i, pixels in enumerate(candidates.pixels):
        shared = np.bincount(flat[pixels], minlength=len(truth) + 1)[1:]
        if shared.any():
            ious = shared / (len(pixels) + truth.areas_px - shared)
            partner[i] = np.argmax(ious) + 1
            iou[i] = ious[partner[i] - 1]
    return iou, partner


def fit_classifier(tiles: list[TileObjects], *, tta: bool = False, unit: str = "tile") -> ObjectClassifier:
    """The object classifier fitted to `tiles`.

    Args:
        tiles: tiles to fit to.
        tta: whether their probabilities are averaged over the eight symmetries.
        unit: `tile`, or `scene` if whole scenes are given.

    Raises:
        DataError: if no candidate of any tile matches a true seep.
    """
    measures = np.concatenate([tile.measures for tile in tiles])
    matched = np.concatenate([tile.match_iou for tile in tiles]) >= MATCH_IOU
    classes = np.concatenate([tile.classes for tile in tiles])
    if not matched.any() or not classes.any():
        raise DataError(
            f"object classifier: expected candidates that match a true seep in the {len(tiles)} tiles it is fitted to, "
            f"but none of {len(matched)} does. Train the network longer; until then evaluate with --instances#mode "
            "object (seep-monai crossval: and --score_only)."
        )
    of_match = measures[:, columns(MATCH_MEASURES)], matched.astype(np.int64)
    # Squares let a measure have an optimum (neither too long nor too short). Classes have too few examples for squares.
    match = fit_regression(*of_match, 2, ridge=MATCH_RIDGE, squares=True)
    named = classes > 0
    of_naming = measures[named][:, columns(NAMING_MEASURES)], classes[named] - 1
    naming = fit_regression(*of_naming, N_SEEP_CLASSES, ridge=NAMING_RIDGE)
    counts = np.bincount(classes[named], minlength=N_CLASSES)[1:]
    logger.info("object classifier: %d of %d match, by class %s", matched.sum(), len(matched), counts.tolist())
    return ObjectClassifier(DEFAULT_LEVELS, match, naming, counts / counts.sum(), tta, unit)


def best_map_threshold(tiles: list[TileObjects]) -> float:
    """The lowest threshold of the seep probability that gives the highest pooled Dice."""
    background, seep = np.sum([tile.prob_counts for tile in tiles], axis=0)
    # Pixels at or above the threshold of bin i: those of bin i and all later bins.
    right = np.cumsum(seep[::-1])[::-1]
    drawn = right + np.cumsum(background[::-1])[::-1]
    dice = 2 * right / np.maximum(drawn + seep.sum(), 1)
    # Bin 0 is left out, because the threshold must be above 0.
    return float((1 + np.argmax(dice[1:])) / _N_BINS)


def fit_objects(tiles: FittingTiles, *, tta: bool = False, unit: str = "tile") -> dict[str, Any]:
    """The entries of `model.json`: `objects` (the object classifier), `map_threshold` and `operating_point`.

    The operating point is computed on the validation tiles with a classifier fitted to the training tiles only.

    Raises:
        DataError: see `fit_classifier`.
    """
    classifier = fit_classifier(tiles.training + tiles.validation, tta=tta, unit=unit)
    stranger = fit_classifier(tiles.training, tta=tta, unit=unit)
    rows = []
    for image_id, tile in enumerate(tiles.validation):
        _, seeps, detections = classified_objects(tile.candidates, tile.measures, stranger, InstanceSettings())
        by_class, any_seep = tile.truth
        pairs = [(by_class, detections), (any_seep, seeps)]
        rows.append(instance_rows(image_id, pairs, IOU_THRESHOLDS, MAX_DETECTIONS * tile.n_tiles))
    return {
        "objects": classifier.to_json(),
        "map_threshold": best_map_threshold(tiles.validation),
        "operating_point": operating_point(np.concatenate(rows)),
    }
