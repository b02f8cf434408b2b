"""Fitting the object classifier: candidates of known tiles, which of them match a true seep, and of which class it is.

The network knows the training scenes better than it will know any other, the validation scenes are few: both together
serve best. Test scenes have no part in it.
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
from seep_monai.metrics.operating_point import operating_point
from seep_monai.metrics.records import instance_rows
from seep_monai.objects.candidates import DEFAULT_LEVELS, Candidates, find_candidates
from seep_monai.objects.classifier import MATCH_MEASURES, NAMING_MEASURES, ObjectClassifier, columns
from seep_monai.objects.finding import classified_objects
from seep_monai.objects.measures import measure_candidates
from seep_monai.objects.regression import fit_regression

logger = logging.getLogger(__name__)

MATCH_IOU = CONFUSION_IOU
# Choice: of .0005 to .05 and .005 to .5, on the validation scenes of fold 0; neighbours differ by less than chance.
MATCH_RIDGE = 0.002
NAMING_RIDGE = 0.02
# Thresholds of the map are tried on this grid.
_N_BINS = 100


@dataclass(frozen=True, eq=False)
class TileObjects:
    """What fitting keeps of one tile.

    Attributes:
        candidates: of the tile.
        measures: (n, M) float32.
        match_iou: (n,) highest IoU with a true seep, whatever its class.
        classes: (n,) mask value of the true instance with which a candidate has an IoU of at least .5; 0 without.
        truth: true instances of each class, and of any seep.
        prob_counts: (2, 100) pixels without and with seep, by their seep probability in steps of .01.
    """

    candidates: Candidates
    measures: npt.NDArray[np.float32]
    match_iou: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]
    truth: tuple[Components, Components]
    prob_counts: npt.NDArray[np.int64]


@dataclass
class FittingTiles:
    """Tiles to fit to, by part."""

    training: list[TileObjects] = field(default_factory=list)
    validation: list[TileObjects] = field(default_factory=list)


def tile_objects(probabilities: Floats, image: Floats, truth: ClassMap) -> TileObjects:
    """What fitting needs of one tile.

    Args:
        probabilities: (8, H, W) in [0, 1] that sum to 1 over the channels.
        image: (H, W) log of DN over the scene's level.
        truth: (H, W) uint8, 0..7 and 255 = no-data.
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
        candidates, measures, match_iou, np.where(iou >= MATCH_IOU, of_class, 0), (by_class, seeps), counts
    )


def best_partners(candidates: Candidates, truth: Components) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """(n,) highest IoU of each candidate with a true component, and that component's label; 0 and 0 without overlap."""
    iou, partner = np.zeros(len(candidates)), np.zeros(len(candidates), np.int64)
    flat = truth.labels.ravel()
    for i, pixels in enumerate(candidates.pixels):
        shared = np.bincount(flat[pixels], minlength=len(truth) + 1)[1:]
        if shared.any():
            ious = shared / (len(pixels) + truth.areas_px - shared)
            partner[i] = np.argmax(ious) + 1
            iou[i] = ious[partner[i] - 1]
    return iou, partner


def fit_classifier(tiles: list[TileObjects], *, tta: bool = False) -> ObjectClassifier:
    """The object classifier of these tiles.

    Args:
        tiles: to fit to.
        tta: whether their probabilities are means over the eight symmetries.

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
    # A slick may be too long or too short to be one; for the few examples of a class, squares are too much.
    match = fit_regression(*of_match, 2, ridge=MATCH_RIDGE, squares=True)
    named = classes > 0
    of_naming = measures[named][:, columns(NAMING_MEASURES)], classes[named] - 1
    naming = fit_regression(*of_naming, N_SEEP_CLASSES, ridge=NAMING_RIDGE)
    counts = np.bincount(classes[named], minlength=N_CLASSES)[1:]
    logger.info("classifier: %d of %d candidates match, by class %s", matched.sum(), len(matched), counts.tolist())
    return ObjectClassifier(DEFAULT_LEVELS, match, naming, counts / counts.sum(), tta)


def best_map_threshold(tiles: list[TileObjects]) -> float:
    """The seep probability from which on a pixel is drawn, with the highest pooled Dice; of equal ones the lowest."""
    background, seep = np.sum([tile.prob_counts for tile in tiles], axis=0)
    # Drawn from bin i on: all later bins are drawn as well.
    right = np.cumsum(seep[::-1])[::-1]
    drawn = right + np.cumsum(background[::-1])[::-1]
    dice = 2 * right / np.maximum(drawn + seep.sum(), 1)
    # From 0 on, everything would be drawn, and no threshold is 0.
    return float((1 + np.argmax(dice[1:])) / _N_BINS)


def fit_objects(tiles: FittingTiles, *, tta: bool = False) -> dict[str, Any]:
    """What `model.json` keeps: `objects` (the object classifier), `map_threshold` and `operating_point`.

    The operating point is that of the validation tiles by a classifier that was not fitted to them.

    Raises:
        DataError: see `fit_classifier`.
    """
    classifier = fit_classifier(tiles.training + tiles.validation, tta=tta)
    stranger = fit_classifier(tiles.training, tta=tta)
    rows = []
    for image_id, tile in enumerate(tiles.validation):
        _, seeps, detections = classified_objects(tile.candidates, tile.measures, stranger, InstanceSettings())
        by_class, any_seep = tile.truth
        rows.append(instance_rows(image_id, [(by_class, detections), (any_seep, seeps)], IOU_THRESHOLDS))
    return {
        "objects": classifier.to_json(),
        "map_threshold": best_map_threshold(tiles.validation),
        "operating_point": operating_point(np.concatenate(rows)),
    }
