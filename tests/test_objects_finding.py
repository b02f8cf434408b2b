"""Classified objects: which are chosen, dropped and named, and what AP makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from coco_oracle import annotation, annotations, file_scores, loaded
from known_classifier import known_classifier
from pycocotools import mask as coco_mask

from seep_monai.coco.files import prediction_records
from seep_monai.instances.components import (
    ANY_SEEP,
    Instances,
    InstanceSettings,
    class_components,
    find_instances,
    seep_components,
)
from seep_monai.metrics import IOU_THRESHOLDS, instance_scores
from seep_monai.metrics.records import instance_rows
from seep_monai.objects.finding import find_seeps

LOW = InstanceSettings(mode="object", high=0.3, low=0.3)
# The larger a candidate, the less it is one seep: the parts of a merged one are chosen.
SMALL_ONES = known_classifier(match={"area": -1.0}, bias=3.0)
LARGE_ONES = known_classifier(match={"area": 1.0}, bias=-3.0)


def bridged() -> np.ndarray:
    """Probabilities of a ribbon of class 2 (a quarter class 4) and one of class 5, joined by a faint bridge."""
    seep = np.zeros((12, 30))
    seep[5:7, 2:12], seep[5:7, 12:16], seep[5:7, 16:28] = 0.9, 0.4, 0.8
    probabilities = np.zeros((8, 12, 30))
    probabilities[0] = 1 - seep
    left = np.arange(30) < 14
    probabilities[2], probabilities[4], probabilities[5] = 0.75 * seep * left, 0.25 * seep * left, seep * ~left
    return probabilities


def found(classifier: object, settings: InstanceSettings = LOW, valid: np.ndarray | None = None) -> Instances:
    p = bridged()
    known = np.ones(p.shape[1:], bool) if valid is None else valid
    return find_seeps(p, np.zeros(p.shape[1:]), settings, classifier, valid=known)  # type: ignore[arg-type]


def test_parts_are_chosen_where_each_is_worth_more() -> None:
    objects = found(SMALL_ONES)
    assert objects.seeps.areas_px.tolist() == [20, 24]
    assert (objects.seeps.classes == ANY_SEEP).all()
    assert objects.seeps.scores == pytest.approx([1 / (1 + np.exp(-3) * n) for n in (20, 24)])
    assert objects.by_class.classes.tolist() == [2, 5]


def test_whole_is_chosen_where_it_is_worth_more() -> None:
    # 52 px against 20 and 24: .722 against .499 + .545 would be the parts, so the whole must be far better.
    classifier = known_classifier(match={"area": 3.0}, bias=-12.0)
    assert found(classifier).seeps.areas_px.tolist() == [52]


def test_map_keeps_the_bridge_that_no_object_holds() -> None:
    classes = found(SMALL_ONES).classes
    assert np.count_nonzero(classes) == 52
    assert (classes[5, 2:12] == 2).all()
    assert (classes[5, 16:28] == 5).all()


def test_map_is_named_within_its_own_component() -> None:
    # A ribbon whose right half only a lower level draws, with another one close below.
    p = np.zeros((8, 5, 20))
    p[1, 1, :8], p[1, 1, 8:] = 0.9, 0.4
    p[5, 3, 6:] = 0.9
    p[0] = 1 - p.sum(axis=0)
    classifier = known_classifier(match={"prob_mean": 50.0}, bias=-40.0, levels=(0.3, 0.6))
    objects = find_seeps(p, np.zeros((5, 20)), LOW, classifier, valid=np.ones((5, 20), bool))
    assert objects.seeps.areas_px.tolist() == [8, 14]
    assert (objects.classes[1] == 1).all()
    assert (objects.classes[3, 6:] == 5).all()


def test_detections_are_every_class_that_an_object_may_have() -> None:
    objects = found(SMALL_ONES)
    table = objects.detections
    rows = {
        (int(label), int(k)): float(s)
        for label, k, s in zip(table.label_of_row, table.classes, table.scores, strict=True)
    }
    match = objects.seeps.scores
    # A share below .001 counts as .001, so that all seven sum to a little more than 1.
    assert rows[1, 2] == pytest.approx(0.75 * match[0], rel=0.01)
    assert rows[1, 4] == pytest.approx(0.25 * match[0], rel=0.01)
    assert rows[2, 5] == pytest.approx(match[1], rel=0.01)
    assert table.areas_px.tolist() == [{1: 20, 2: 24}[int(label)] for label in table.label_of_row]


def test_settings_drop_the_small_and_the_improbable_with_what_only_they_touch() -> None:
    p = bridged()
    p[:, 10, 20:24] = np.eye(8)[3][:, None]
    known = np.ones(p.shape[1:], bool)
    settings = InstanceSettings(mode="object", high=0.3, low=0.3, min_size_px=5)
    kept = find_seeps(p, np.zeros(p.shape[1:]), settings, SMALL_ONES, valid=known)
    assert kept.seeps.areas_px.tolist() == [20, 24]
    assert not kept.classes[10].any()
    assert np.count_nonzero(kept.classes) == 52
    strict = InstanceSettings(mode="object", high=0.3, low=0.3, score_threshold=0.99)
    assert len(found(SMALL_ONES, strict).detections) == 0
    assert not found(SMALL_ONES, strict).classes.any()


def test_score_threshold_applies_to_seep_or_not_whatever_the_class() -> None:
    everything = found(SMALL_ONES)
    scores = everything.seeps.scores
    cut = InstanceSettings(mode="object", high=0.3, low=0.3, score_threshold=float(scores.min()))
    # No class is sure, so that each object's score as a named one is below the threshold.
    assert (everything.by_class.scores < scores.min()).all()
    assert found(SMALL_ONES, cut).detections.scores.tolist() == everything.detections.scores.tolist()


def test_no_data_belongs_to_no_object() -> None:
    valid = np.ones((12, 30), bool)
    valid[:, 20:] = False
    objects = found(SMALL_ONES, valid=valid)
    assert not objects.classes[:, 20:].any()
    assert not objects.seeps.labels[:, 20:].any()


def test_empty_map_has_no_objects() -> None:
    p = np.zeros((8, 6, 6))
    p[0] = 1
    objects = find_seeps(p, np.zeros((6, 6)), LOW, SMALL_ONES, valid=np.ones((6, 6), bool))
    assert len(objects.by_class) == len(objects.seeps) == len(objects.detections) == 0


def test_without_a_classifier_instances_are_the_plain_ones() -> None:
    plain = find_instances(bridged(), LOW)
    objects = found(None)
    assert (objects.classes == plain.classes).all()
    assert objects.detections.scores.tolist() == plain.by_class.scores.tolist()


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Blurred noise as probabilities, and a truth that overlaps with it here and there."""
    rng = np.random.default_rng(seed)
    noise = rng.random((4, 4, 8))
    field = np.kron(noise[0], np.ones((5, 5))) * np.kron(noise[1], np.ones((5, 5)))
    seep = np.round(np.clip(field * 1.4, 0, 1) * 16) / 16
    shares = rng.dirichlet(np.ones(7), (20, 40)).transpose(2, 0, 1)
    probabilities = np.concatenate([1 - seep[None], seep * shares])
    truth = np.kron(np.where(noise[2] > 0.6, rng.integers(1, 8, (4, 8)), 0), np.ones((5, 5))).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.02] = 255
    return probabilities, truth


@pytest.mark.parametrize("classifier", [SMALL_ONES, LARGE_ONES])
def test_scores_of_classified_objects_equal_pycocotools(classifier: object) -> None:
    rows, truths, detections = [], [], []
    for i in range(6):
        probabilities, truth = random_case(i)
        known = truth != 255
        objects = find_seeps(probabilities, np.zeros(truth.shape), LOW, classifier, valid=known)  # type: ignore[arg-type]
        true = truth * known
        pairs = [(class_components(true), objects.detections), (seep_components(true), objects.seeps)]
        rows.append(instance_rows(i, pairs, IOU_THRESHOLDS))
        truths += annotations(i, true, None)
        table = objects.detections
        for label, k, score in zip(table.label_of_row, table.classes, table.scores, strict=True):
            detections.append(annotation(i, int(k), table.labels == label, float(score)))
        for n, score in enumerate(objects.seeps.scores, start=1):
            detections.append(annotation(i, ANY_SEEP, objects.seeps.labels == n, float(score)))
    assert len(detections) > 100
    ours, theirs = instance_scores(np.concatenate(rows)), file_scores(loaded(truths, detections, [(20, 40)] * 6))
    assert {key: ours[key] for key in theirs} == pytest.approx(theirs, abs=1e-9, nan_ok=True)
    assert theirs["seep_AP50"] > 0


def test_coco_records_show_an_object_once_per_class() -> None:
    objects = found(SMALL_ONES)
    records = prediction_records(1, objects.detections)
    assert len(records) == len(objects.detections)
    for record, label in zip(records, objects.detections.label_of_row, strict=True):
        mask = coco_mask.decode({**record["segmentation"], "counts": record["segmentation"]["counts"].encode()})
        assert (mask == (objects.seeps.labels == label)).all()
