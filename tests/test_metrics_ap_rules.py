"""AP by other programs' rules: curves whose areas are known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scored_folds import origin, scored_tiles
from script_runs import run_script

from seep_monai.metrics import instance_scores
from seep_monai.metrics.ap_rules import coco_ap, rules_text, scores_by_rule, ultralytics_ap
from seep_monai.metrics.average_precision import GroupDetections
from seep_monai.report.scored_tiles_file import write_scored_tiles


def found(scores: list[float], right: list[int], n_truth: int) -> GroupDetections:
    """Detections at one IoU threshold."""
    matched = np.array(right, bool).reshape(-1, 1)
    return GroupDetections(np.array(scores), matched, np.arange(len(scores)), n_truth)


def test_recall_that_was_never_reached_counts_by_ultralytics_alone():
    half = found([0.9], [1], 2)
    # COCO: precision 1 at the levels 0, .01, .. .50. Ultralytics: 1 to recall .5, then the line to (1, 0).
    assert coco_ap(half) == pytest.approx([51 / 101])
    assert ultralytics_ap(half) == pytest.approx([0.5 + 0.25])


def test_a_false_alarm_lowers_both_from_its_recall_on():
    # In the order of scores: right (recall .25, precision 1), wrong, right (recall .5, precision 2/3).
    mixed = found([0.2, 0.9, 0.5], [1, 1, 0], 4)
    assert coco_ap(mixed) == pytest.approx([(26 + 25 * 2 / 3) / 101])
    # 1 to recall .25; there the false alarm drops the envelope to 2/3, which a trapezoid of .01 blurs; 2/3 to recall
    # .5; the line to (1, 0).
    assert ultralytics_ap(mixed) == pytest.approx([0.25 + 0.25 * 2 / 3 + 0.5 * 0.5 * 2 / 3], abs=0.5 * 0.01 / 3 + 1e-9)


def test_nothing_is_left_to_draw_where_everything_is_found_or_nothing():
    complete, nothing, wrong = found([0.9, 0.8], [1, 1], 2), found([], [], 2), found([0.9], [0], 2)
    assert coco_ap(complete) == pytest.approx([1.0])
    assert coco_ap(nothing) == coco_ap(wrong) == pytest.approx([0.0])
    assert ultralytics_ap(nothing) == pytest.approx([0.0])
    # At recall 1 the curve ends at 0, also where all is found: half a trapezoid of .01.
    assert ultralytics_ap(complete) == pytest.approx([0.995])
    assert ultralytics_ap(wrong) == pytest.approx([0.0])


def test_without_truth_neither_is_defined():
    assert np.isnan(coco_ap(found([0.9], [0], 0))).all()
    assert np.isnan(ultralytics_ap(found([0.9], [0], 0))).all()


def test_column_of_coco_is_what_metrics_json_has():
    rows = np.concatenate(scored_tiles(["a", "b", "c"]).instances)
    coco, scores = scores_by_rule(rows)["COCO"], instance_scores(rows)
    assert [coco[name] for name in ("seep AP50", "seep AP50-95", "mAP50", "mAP50-95")] == pytest.approx(
        [scores[key] for key in ("seep_AP50", "seep_AP", "mAP50", "mAP")]
    )
    assert [coco[f"AP50 of class {k}"] for k in range(1, 8)] == pytest.approx(
        [scores[f"AP50_{k}"] for k in range(1, 8)], nan_ok=True
    )


def test_script_takes_all_folds_as_one_set_and_refuses_a_tile_twice(tmp_path):
    paths = [tmp_path / f"{name}.npz" for name in ("first", "second")]
    parts = [scored_tiles(["a", "d"]), scored_tiles(["b"])]
    for path, tiles in zip(paths, parts, strict=True):
        write_scored_tiles(path, tiles, origin())
    printed = run_script("compare_ap_rules", *paths).stdout
    rows = np.concatenate([rows for tiles in parts for rows in tiles.instances])
    assert printed.strip() == rules_text(scores_by_rule(rows))
    refused = run_script("compare_ap_rules", paths[0], paths[0])
    assert refused.returncode == 1
    assert "expected other tiles" in refused.stderr
