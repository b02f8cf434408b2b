"""Average precision and recall of random sets of tiles, beside those of pycocotools."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import soak
from random_sets import coco_scores, random_set

from seep_monai.metrics import IOU_THRESHOLDS, instance_scores, tile_rows
from seep_monai.metrics.average_precision import group_detections

N_SETS = soak.trials(small=200, full=10_000)
CHUNK = 100


def our_scores(tiles: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """The keys of `coco_scores`."""
    rows = np.concatenate([tile_rows(i, p, t, IOU_THRESHOLDS) for i, (p, t) in enumerate(tiles)])
    scores = instance_scores(rows)
    for k in range(1, 8):
        precision, recall = group_detections(rows, k).precision_recall()
        scores |= {f"all_AP_{k}": float(precision.mean()), f"all_AR_{k}": float(recall.mean())}
    return scores


def difference(seed: int) -> float:
    """The largest difference of one set; infinite where only one of the two is undefined."""
    tiles = random_set(seed)
    ours, theirs = our_scores(tiles), coco_scores(tiles)
    pairs = np.array([[ours[key], theirs[key]] for key in theirs])
    undefined = np.isnan(pairs)
    if (undefined[:, 0] != undefined[:, 1]).any():
        return float("inf")
    return float(np.abs(pairs[:, 0] - pairs[:, 1])[~undefined[:, 0]].max(initial=0))


def test_recall_on_a_level_above_the_fraction_equals_pycocotools() -> None:
    # COCO's level 70 is 0.7000000000000001: 7 of 10 do not reach it, though they would reach 70 / 100.
    truth, predicted = np.zeros((1, 20), np.uint8), np.zeros((1, 20), np.uint8)
    truth[0, ::2], predicted[0, :14:2] = 1, 1
    tiles = [(np.eye(8)[predicted].transpose(2, 0, 1), truth)]
    expected = coco_scores(tiles)["AP_1"]
    assert expected == pytest.approx(70 / 101)
    assert our_scores(tiles)["AP_1"] == pytest.approx(expected, abs=1e-9)


@pytest.fixture(scope="module")
def differences() -> Iterator[list[float]]:
    """The differences of the sets that are done, recorded behind the last one."""
    found: list[float] = []
    yield found
    soak.record(
        "Average precision and recall are those of pycocotools",
        f"{len(found):,} random sets: largest difference {max(found, default=0):.2g}",
    )


@pytest.mark.parametrize("first", range(0, N_SETS, CHUNK))
def test_random_sets_equal_pycocotools(first: int, differences: list[float]) -> None:
    found = {seed: difference(seed) for seed in range(first, min(first + CHUNK, N_SETS))}
    worst = max(found, key=found.__getitem__)
    assert found[worst] <= 1e-9, f"set {worst}"
    differences.extend(found.values())
