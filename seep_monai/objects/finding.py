"""Objects and class map from class probabilities, with the object classifier."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, find_objects

from seep_monai.classes import SEEP_LABELS
from seep_monai.instances.components import (
    ANY_SEEP,
    ClassMap,
    Components,
    Floats,
    Instances,
    InstanceSettings,
    Mask,
    find_instances,
    object_map,
    painted_map,
    seep_components,
)
from seep_monai.objects.candidates import Candidates, choose, find_candidates
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.objects.measures import measure_candidates

# Choice: detections with lower scores hardly change AP and only make files larger.
MIN_DETECTION_SCORE = 1e-3


def find_seeps(
    probabilities: Floats,
    image: Floats,
    settings: InstanceSettings,
    classifier: ObjectClassifier | None,
    *,
    valid: Mask,
    within: Mask | None = None,
) -> Instances:
    """The instances of a tile: by the object classifier if there is one, else by `find_instances`.

    With a classifier, `seeps` are the chosen candidates, scored by match probability. `by_class` has the same objects
    with the assigned class, `detections` with every possible class; their score is match probability times class
    probability. The class map has the pixels of `object` mode, because merged ribbons rarely match one true seep but
    their pixels are seep. Objects below `min_size_px` or with a match probability below `score_threshold` are dropped,
    whatever their class probability, and also components of the map that overlap no remaining object.

    Args:
        probabilities: (8, H, W) in [0, 1] that sum to 1 over the channels, without NaN.
        image: (H, W) log of DN over the scene's level, no-data 0.
        settings: how instances are found; with a classifier, `high` and `low` are the thresholds of the class map.
        classifier: the object classifier; None: there is none.
        valid: (H, W) bool, False = no-data.
        within: (H, W) bool, pixels that instances may have; the others are still their surroundings. None: all.
    """
    own = valid if within is None else valid & within
    if classifier is None:
        return find_instances(probabilities, settings, valid=own)
    candidates = find_candidates(1 - probabilities[0], classifier.levels, valid=own)
    measures = measure_candidates(candidates, image, probabilities, valid=valid)
    by_class, seeps, detections = classified_objects(candidates, measures, classifier, settings)
    drawn = object_map(probabilities, high=settings.high, low=settings.low, valid=own)
    if settings.min_size_px > 1 or settings.score_threshold > 0:
        drawn = _touching(drawn, seeps.labels)
    return Instances(_named(drawn, by_class), by_class, seeps, detections)


def drawn_map(
    probabilities: Floats,
    image: Floats,
    settings: InstanceSettings,
    classifier: ObjectClassifier | None,
    *,
    valid: Mask,
) -> ClassMap:
    """The class map of `find_seeps`; without labelling if no classifier is given and no instance can be dropped."""
    if classifier is None:
        return painted_map(probabilities, settings, valid=valid)
    return find_seeps(probabilities, image, settings, classifier, valid=valid).classes


def classified_objects(
    candidates: Candidates, measures: npt.NDArray[np.floating], classifier: ObjectClassifier, settings: InstanceSettings
) -> tuple[Components, Components, Components]:
    """`by_class`, `seeps` and `detections` of `find_seeps`, from the candidates of a tile and their measures."""
    match_prob = classifier.match_prob(measures)
    chosen = choose(candidates, match_prob)
    chosen = chosen[np.argsort([candidates.pixels[i][0] for i in chosen], kind="stable")]
    scores, class_prob = match_prob[chosen], classifier.class_prob(measures[chosen])
    sizes = np.array([len(candidates.pixels[i]) for i in chosen], np.int64)
    keep = (sizes >= settings.min_size_px) & (scores >= settings.score_threshold)
    chosen, scores, class_prob, sizes = chosen[keep], scores[keep], class_prob[keep], sizes[keep]
    labels = np.zeros(candidates.shape, np.int32)
    for number, i in enumerate(chosen, start=1):
        labels.ravel()[candidates.pixels[i]] = number
    names = classifier.names(class_prob)
    joint = scores[:, None] * class_prob
    by_class = Components(labels, names, sizes, joint[np.arange(len(names)), names - 1])
    seeps = Components(labels, np.full(len(chosen), ANY_SEEP, np.int64), sizes, scores)
    # One row per object and class with a sufficient score, object by object.
    rows, classes = np.nonzero(joint >= MIN_DETECTION_SCORE)
    labels_of_rows = rows.astype(np.int64) + 1
    detections = Components(
        labels, np.array(SEEP_LABELS)[classes], sizes[rows], joint[rows, classes], label_of_row=labels_of_rows
    )
    return by_class, seeps, detections


def _named(drawn: ClassMap, by_class: Components) -> ClassMap:
    """The map with the class of the nearest object in the same component; without an object, the class is kept."""
    names = np.concatenate([[0], by_class.classes]).astype(np.uint8)[by_class.labels]
    components = seep_components(drawn).labels
    result = drawn.copy()
    for number, window in enumerate(find_objects(components), start=1):
        own = components[window] == number
        named = own & (names[window] > 0)
        if named.any():
            rows, columns = distance_transform_edt(~named, return_distances=False, return_indices=True)
            result[window][own] = names[window][rows, columns][own]
    return result


def _touching(drawn: ClassMap, labels: npt.NDArray[np.int32]) -> ClassMap:
    """The map with only the components that share a pixel with an object."""
    components = seep_components(drawn)
    kept = np.zeros(len(components) + 1, bool)
    kept[components.labels[labels > 0]] = True
    return np.where(kept[components.labels], drawn, np.uint8(0))
