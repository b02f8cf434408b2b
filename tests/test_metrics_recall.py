from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.instances.components import class_components, seep_components
from seep_monai.metrics.recall import (
    GROUPINGS,
    RECALL_BINS,
    missed_px,
    recall_counts,
    recall_rows,
    recall_scores,
    recall_summary,
    ring_ratios,
)
from seep_monai.metrics.scored_tiles import ScoredTiles
from seep_monai.report.summary import summarised

EIGHT = np.ones((3, 3), int)


def counted(truth: np.ndarray, predicted: np.ndarray, found: list[bool], ratios: list[float]) -> dict[str, Any]:
    counts = recall_counts(class_components(truth), predicted, np.array(found), np.array(ratios))
    return recall_summary(counts)


def independent_recall(
    tiles: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> dict[tuple[int, str], list[float]]:
    """Sums of [instances, found, px, drawn px] by class and bin, with scipy's labels and masks instead of tables.

    For a truth to be found at IoU .5, one component of the prediction must reach it; above one half no two can.
    """
    sums: dict[tuple[int, str], list[float]] = {}
    for truth, predicted, log_dn in tiles:
        drawn = [
            labels == number
            for label in range(1, 8)
            for labels, n in [ndimage.label(predicted == label, EIGHT)]
            for number in range(1, n + 1)
        ]
        for label in range(1, 8):
            labels, n = ndimage.label(truth == label, EIGHT)
            for number in range(1, n + 1):
                own = labels == number
                ious = [np.sum(own & other) / np.sum(own | other) for other in drawn]
                distance = ndimage.distance_transform_edt(~own)
                ring = (distance >= 2) & (distance <= 8) & (truth == 0)
                ratio = np.exp(log_dn[own].mean() - log_dn[ring].mean()) if ring.sum() >= 16 else np.nan
                size = sum(own.sum() >= edge for edge in (100, 500, 1500))
                contrast = 4 if np.isnan(ratio) else sum(ratio >= edge for edge in (0.7, 0.8, 0.9))
                row = [1, max(ious, default=0) >= 0.5, own.sum(), np.sum(own & (predicted > 0))]
                for name in (RECALL_BINS[size], RECALL_BINS[4 + contrast]):
                    sums[label, name] = [a + b for a, b in zip(sums.get((label, name), [0] * 4), row, strict=True)]
    return sums


def random_tile(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rectangles of all sizes, a prediction that keeps some of them, and an image in which they are dark."""
    rng = np.random.default_rng(seed)
    truth, predicted = np.zeros((96, 96), np.uint8), np.zeros((96, 96), np.uint8)
    log_dn = rng.normal(0, 0.1, truth.shape)
    for _ in range(6):
        row, col, height, width = (int(n) for n in rng.integers((0, 0, 2, 2), (80, 80, 60, 40)))
        label, own = int(rng.integers(1, 8)), (slice(row, row + height), slice(col, col + width))
        truth[own] = label
        log_dn[own] = np.log(rng.uniform(0.5, 1.0)) + rng.normal(0, 0.1, log_dn[own].shape)
        predicted[own] = 0
        if rng.random() < 0.7:
            predicted[row : row + height, col : col + int(width * rng.uniform(0.3, 1))] = rng.integers(1, 8)
    truth[:5, :5] = 255
    predicted[:5, :5] = 0
    return truth, predicted, log_dn


def test_recall_by_hand() -> None:
    truth = np.zeros((50, 60), np.uint8)
    truth[0:10, 0:10] = 1  # 100 px: the lower edge of the second bin
    truth[20:50, 0:60] = 5  # 1800 px
    truth[12, 20:23] = 1
    predicted = np.zeros_like(truth)
    predicted[0:10, 0:5] = 2
    predicted[20:40, 0:60] = 5
    found = counted(truth, predicted, [True, False, True], [0.7, np.nan, 0.62])
    seep, ones = found["seep"], found["classes"]["1"]
    assert seep["size"]["above_1500_px"] == {
        "n_instances": 1,
        "n_px": 1800,
        "instance_recall": 1.0,
        "pixel_recall": pytest.approx(1200 / 1800),
    }
    assert ones["size"]["100_to_500_px"]["pixel_recall"] == 0.5
    assert ones["size"]["below_100_px"] == {
        "n_instances": 1,
        "n_px": 3,
        "instance_recall": 0.0,
        "pixel_recall": 0.0,
    }
    assert ones["contrast"]["ratio_0_7_to_0_8"]["n_px"] == 100
    assert seep["contrast"]["ratio_below_0_7"]["n_px"] == 1800
    assert seep["contrast"]["no_ring"]["n_instances"] == 1
    assert seep["size"]["500_to_1500_px"]["pixel_recall"] is None


def test_recall_of_random_tiles_equals_an_independent_count() -> None:
    tiles = [random_tile(seed) for seed in range(12)]
    records = ScoredTiles()
    for number, (truth, predicted, log_dn) in enumerate(tiles):
        known = np.where(truth == 255, 0, truth).astype(np.uint8)
        true, drawn = class_components(known), class_components(predicted, np.full((8, 96, 96), 0.125))
        seeps = seep_components(known), seep_components(predicted, np.full((8, 96, 96), 0.125))
        pair = true, drawn
        records.add(
            (str(number), f"s{number}"), truth, predicted, by_class=pair, detections=pair, seeps=seeps, log_dn=log_dn
        )
    recall = summarised(records, DEFAULT_CLASS_NAMES)["recall"]
    expected = independent_recall(tiles)
    n_seen = 0
    for label in range(1, 8):
        for grouping, bins in GROUPINGS.items():
            for name in bins:
                n, n_found, n_px, n_drawn = expected.get((label, name), [0] * 4)
                values = recall["classes"][str(label)][grouping][name]
                assert (values["n_instances"], values["n_px"]) == (n, n_px)
                assert values["instance_recall"] == (pytest.approx(n_found / n) if n else None)
                assert values["pixel_recall"] == (pytest.approx(n_drawn / n_px) if n else None)
                n_seen += bool(n)
    assert n_seen > 30


def test_recall_scores_stand_at_their_places_in_the_summary() -> None:
    truth, predicted, log_dn = random_tile(3)
    true = class_components(np.where(truth == 255, 0, truth).astype(np.uint8))
    counts = recall_counts(true, predicted, np.ones(len(true), bool), ring_ratios(true, log_dn, truth))
    content: dict[str, Any] = {"recall": recall_summary(counts)}
    for key, value in recall_scores(counts).items():
        found: Any = content
        for part in key.split("."):
            found = found[part]
        assert np.isnan(value) if found is None else found == value


def test_recall_rows_have_a_title_for_every_bin() -> None:
    rows = list(recall_rows(recall_summary(np.zeros((7, 9, 4), np.int64))["seep"]))
    assert len({title for title, _ in rows}) == 9


def test_ring_ratios_without_an_image_are_unknown() -> None:
    truth, _, _ = random_tile(0)
    true = class_components(np.where(truth == 255, 0, truth).astype(np.uint8))
    assert np.isnan(ring_ratios(true, None, truth)).all()


def test_missed_px_leaves_no_data_out() -> None:
    truth = np.array([[0, 1, 2, 255]], np.uint8)
    assert missed_px(np.array([[1, 0, 2, 0]], np.uint8), truth) == 1
