from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.handlers import TileRecords
from seep_monai.instances.components import InstanceSettings
from seep_monai.metrics import InstanceAveragePrecision, PixelScores
from seep_monai.report.records import EvaluationRecords
from seep_monai.report.summary import place, summarised


def random_tile(rng: np.random.Generator, *, empty: bool = False) -> dict[str, torch.Tensor]:
    """Bars of two classes on 32 x 32 px, and a prediction that finds most of them."""
    truth = np.zeros((32, 32), np.uint8)
    if not empty:
        truth[rng.integers(2, 12), 3:28] = rng.integers(1, 8)
        truth[rng.integers(16, 28), 3:28] = 1
        truth[:1] = 255
    drawn = np.where(rng.random(truth.shape) < 0.1, 0, np.where(truth == 255, 0, truth))
    prob = 0.9 * np.eye(8)[drawn].transpose(2, 0, 1) + 0.1 * rng.dirichlet(np.ones(8), truth.shape).transpose(2, 0, 1)
    return {
        "label": torch.from_numpy(truth)[None],
        "pred": torch.from_numpy(prob.astype(np.float32)),
        "image": torch.zeros(1, 32, 32),
    }


@pytest.fixture(scope="module")
def tiles() -> list[tuple[dict[str, Any], dict[str, torch.Tensor]]]:
    rng = np.random.default_rng(3)
    names = [(f"{scene}.{i}", str(scene)) for scene in range(6) for i in range(3)]
    return [({"tile": t, "scene": s}, random_tile(rng, empty=i % 5 == 4)) for i, (t, s) in enumerate(names)]


@pytest.fixture(scope="module")
def records(tiles: list[tuple[dict[str, Any], dict[str, torch.Tensor]]]) -> EvaluationRecords:
    gathered = TileRecords()
    for source, tile in tiles:
        gathered.add(source, tile)
    return gathered.records


@pytest.mark.parametrize("settings", [InstanceSettings(), InstanceSettings(mode="object", high=0.6, low=0.4)])
def test_tile_records_score_as_the_metrics_do(
    tiles: list[tuple[dict[str, Any], dict[str, torch.Tensor]]], settings: InstanceSettings
) -> None:
    gathered, instances, pixels = TileRecords(settings), InstanceAveragePrecision(settings), PixelScores(settings)
    for source, tile in tiles:
        gathered.add(source, tile)
        instances(y_pred=[tile["pred"]], y=[tile["label"]])
        pixels(y_pred=[tile["pred"]], y=[tile["label"]])
    scores = gathered.records.tiles.scores()
    expected = {**instances.aggregate(), **pixels.aggregate()}
    assert {key: scores[key] for key in expected} == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_tile_records_keep_the_worst_and_the_best_tiles(records: EvaluationRecords) -> None:
    worst, best = ([dice for dice, _ in pairs] for pairs in (records.worst, records.best))
    assert worst == sorted(worst)
    assert best == sorted(best, reverse=True)
    assert len(worst) == len(best) == 4
    assert worst[0] <= best[-1]


def test_tile_records_keep_the_tiles_with_the_most_missed_pixels(
    tiles: list[tuple[dict[str, Any], dict[str, torch.Tensor]]], records: EvaluationRecords
) -> None:
    missed = {}
    for source, tile in tiles:
        truth, drawn = tile["label"][0].numpy(), tile["pred"].argmax(0).numpy()
        missed[source["tile"]] = int(np.sum((truth > 0) & (truth < 255) & (drawn == 0)))
    assert [number for number, _ in records.missed] == sorted(missed.values(), reverse=True)[:4]
    assert all(missed[picture.name] == number for number, picture in records.missed)


def test_summary_is_json_without_nan(records: EvaluationRecords) -> None:
    metrics = summarised(records.tiles, DEFAULT_CLASS_NAMES)
    assert json.loads(json.dumps(metrics, allow_nan=False))["seep"]["dice"] == metrics["seep"]["dice"]


def test_summary_intervals_hold_their_figures(records: EvaluationRecords) -> None:
    metrics = summarised(records.tiles, DEFAULT_CLASS_NAMES)
    low, high = metrics["ci95"]["seep.dice"]
    assert low < metrics["seep"]["dice"] < high
    assert {"mAP50", "seep.AP50", "classes.1.AP50", "ribbon.f1_r1", "ribbon.cldice"} <= set(metrics["ci95"])


def test_summary_of_few_scenes_has_no_intervals(
    tiles: list[tuple[dict[str, Any], dict[str, torch.Tensor]]],
) -> None:
    gathered = TileRecords()
    for source, tile in tiles[:12]:
        gathered.add(source, tile)
    intervals = summarised(gathered.records.tiles, DEFAULT_CLASS_NAMES)["ci95"]
    assert set(intervals.values()) == {None}


def test_summary_confusion_rows_add_up_to_the_true_instances(records: EvaluationRecords) -> None:
    metrics = summarised(records.tiles, DEFAULT_CLASS_NAMES)
    rows = np.array(metrics["confusion_matrix"]["counts"]).sum(axis=1)[:7]
    assert rows.tolist() == [metrics["classes"][str(k)]["n_instances"] for k in range(1, 8)]
    assert metrics["confusion_matrix"]["rows"][-1] != metrics["confusion_matrix"]["columns"][-1]


@pytest.mark.parametrize(
    ("key", "expected"),
    [("mAP", "mAP"), ("AP10_50_7", "classes.7.AP10_50"), ("seep_AP10_50", "seep.AP10_50"), ("iou_1", "classes.1.iou")],
)
def test_place_of_a_flat_key_is_its_path(key: str, expected: str) -> None:
    assert place(key) == expected
