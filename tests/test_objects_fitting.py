"""Fitting the object classifier: partners, the map's threshold, and a classifier that learns what it can."""

from __future__ import annotations

import numpy as np
import pytest

from seep_monai.errors import DataError
from seep_monai.instances.components import class_components
from seep_monai.objects.candidates import find_candidates
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.objects.fitting import (
    FittingTiles,
    TileObjects,
    best_map_threshold,
    best_partners,
    fit_classifier,
    fit_objects,
    tile_objects,
)


def test_best_partner_is_the_truth_with_the_highest_iou() -> None:
    candidates = find_candidates(np.array([[0.9, 0.9, 0.9, 0.9, 0, 0.9]]), (0.5,), min_px=1)
    truth = class_components(np.array([[3, 0, 5, 5, 5, 0]], np.uint8))
    iou, partner = best_partners(candidates, truth)
    # Of 4 px, 1 in a truth of 1 (IoU 1/4) and 2 in one of 3 (2/5); the other candidate meets none.
    assert iou == pytest.approx([0.4, 0.0])
    assert partner.tolist() == [2, 0]


def test_best_partner_without_truth_is_none() -> None:
    candidates = find_candidates(np.array([[0.9, 0.9]]), (0.5,), min_px=1)
    iou, partner = best_partners(candidates, class_components(np.zeros((1, 2), np.uint8)))
    assert (iou.tolist(), partner.tolist()) == ([0.0], [0])


def one_row(seep: list[float], truth: list[int]) -> TileObjects:
    p = np.zeros((8, 1, len(seep)))
    p[0], p[3] = 1 - np.array(seep), seep
    return tile_objects(p, np.zeros((1, len(seep))), np.array([truth], np.uint8))


def test_map_threshold_is_the_one_with_the_highest_dice() -> None:
    # From .25 on: 3 of 3 right, Dice 1. No-data does not count.
    tile = one_row([0.055, 0.105, 0.255, 0.505, 0.905, 0.155], [0, 0, 3, 3, 3, 255])
    assert 0.105 < best_map_threshold([tile]) <= 0.255


def test_map_threshold_counts_all_tiles_together() -> None:
    # Alone, the first tile would be drawn from .31 on; the second one has five more seep pixels at .2.
    first, second = one_row([0.205, 0.305, 0.905], [0, 0, 3]), one_row([0.205] * 5, [3] * 5)
    assert best_map_threshold([first]) > 0.305
    assert best_map_threshold([first, second]) <= 0.205


def random_tile(seed: int, *, contrast: float = -0.4) -> TileObjects:
    """Six blobs; the dark ones are seeps of the class that the probabilities say, the others false alarms."""
    rng = np.random.default_rng(seed)
    truth, seep = np.zeros((48, 72), np.uint8), np.zeros((48, 72))
    image, shares = 0.05 * rng.normal(size=seep.shape), np.zeros((7, 48, 72))
    for n in range(6):
        rows = slice(4 + 22 * (n // 3), 12 + 22 * (n // 3))
        columns = slice(4 + 22 * (n % 3), 20 + 22 * (n % 3))
        seep[rows, columns] = 0.85
        k = 1 + int(rng.integers(0, 3))
        shares[:, rows, columns] = 0.05
        shares[k - 1, rows, columns] = 0.7
        if rng.random() < 0.5:
            truth[rows, columns] = k
            image[rows, columns] += contrast
    return tile_objects(np.concatenate([1 - seep[None], seep * shares]), image, truth)


def test_classifier_learns_contrast_and_class() -> None:
    classifier = fit_classifier([random_tile(seed) for seed in range(12)])
    fresh = [random_tile(seed) for seed in range(100, 106)]
    measures = np.concatenate([tile.measures for tile in fresh])
    matched = np.concatenate([tile.match_iou for tile in fresh]) >= 0.5
    classes = np.concatenate([tile.classes for tile in fresh])
    prob = classifier.match_prob(measures)
    assert prob[matched].min() > 0.9
    assert prob[~matched].max() < 0.1
    assert (classifier.names(classifier.class_prob(measures))[matched] == classes[matched]).all()
    assert classifier.class_priors[3:].tolist() == [0, 0, 0, 0]


def test_fitted_objects_hold_all_that_evaluation_needs() -> None:
    tiles = FittingTiles([random_tile(seed) for seed in range(8)], [random_tile(seed) for seed in range(50, 54)])
    fitted = fit_objects(tiles, tta=True)
    classifier = ObjectClassifier.from_json(fitted["objects"])
    assert classifier.tta
    # Blobs are drawn at .85 and nothing else above 0.
    assert 0 < fitted["map_threshold"] <= 0.85
    assert fitted["operating_point"]["seep"]["f1"] == pytest.approx(1.0)


def test_tiles_without_a_match_raise() -> None:
    with pytest.raises(DataError, match=r"none of 1 does.*--instances#mode object"):
        fit_classifier([one_row([0.9] * 6, [0] * 6)])


def test_candidates_that_all_match_are_all_believed() -> None:
    tile = one_row([0.9] * 6, [3] * 6)
    classifier = fit_classifier([tile])
    assert classifier.match_prob(tile.measures).tolist() == [1.0]
    assert classifier.names(classifier.class_prob(tile.measures)).tolist() == [3]
