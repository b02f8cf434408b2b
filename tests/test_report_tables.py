"""Tests of `seep_monai.report.tables`."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.metrics import InstanceAveragePrecision, PixelScores
from seep_monai.report.tables import comparison_table, headline, metrics_csv, nested_metrics

NAN = float("nan")
PER_CLASS = ("iou", "dice", "named", "AP", "AP50", "AP10_50", "n_instances")
SEEP = ("iou", "dice", "precision", "recall", "AP", "AP50", "AP10_50")
HEADLINE = ("mAP", "mAP50", "mAP75", "mAP10_50", "mAR1", "mAR10", "mAR100", "mean_named")


def flat_scores(**given: float) -> dict[str, float]:
    """Every value that `SeepScores` has, NaN where not given."""
    names = [*HEADLINE, "n_instances", *(f"seep_{name}" for name in SEEP)]
    names += [f"{name}_{k}" for name in PER_CLASS for k in range(1, 8)]
    return {**dict.fromkeys(names, NAN), **given}


def scored(flat: dict[str, float]) -> dict[str, Any]:
    """The content of `metrics.json`, as far as the table needs it."""
    return {"part": "test", "leaky": False, "ci95": {}, **nested_metrics(flat)}


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def leaves(content: Any) -> list[Any]:
    return [leaf for value in content.values() for leaf in leaves(value)] if isinstance(content, dict) else [content]


def test_nested_metrics_values_stand_in_their_places() -> None:
    found = nested_metrics(flat_scores(mAP50=0.25, AP10_50_3=0.5, dice_7=0.75, seep_recall=0.125, n_instances=9.0))
    assert found["mAP50"] == 0.25
    assert found["classes"]["3"]["AP10_50"] == 0.5
    assert found["classes"]["7"]["dice"] == 0.75
    assert found["seep"]["recall"] == 0.125
    assert found["n_instances"] == 9
    assert isinstance(found["n_instances"], int)


def test_nested_metrics_keys_are_those_of_the_contract() -> None:
    found = nested_metrics(flat_scores())
    assert set(found) == {*HEADLINE, "n_instances", "classes", "seep"}
    assert list(found["classes"]) == ["1", "2", "3", "4", "5", "6", "7"]
    assert all(set(scores) == set(PER_CLASS) for scores in found["classes"].values())
    assert set(found["seep"]) == set(SEEP)


def test_nested_metrics_undefined_null_and_zero_stays_zero() -> None:
    found = nested_metrics(flat_scores(AP50_2=0.0))
    values = leaves(found)
    assert len(values) == 8 + 1 + 7 * 7 + 7
    assert found["classes"]["2"]["AP50"] == 0
    assert values.count(None) == len(values) - 1
    json.dumps(found, allow_nan=False)


def test_nested_metrics_value_that_is_absent_key_error() -> None:
    flat = flat_scores()
    del flat["seep_dice"]
    with pytest.raises(KeyError, match="seep_dice"):
        nested_metrics(flat)


def test_nested_metrics_takes_all_it_needs_from_the_metrics() -> None:
    truth = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    truth[..., 2, 1:7] = 3
    probabilities = one_hot(truth[:, 0].long(), 8).movedim(-1, 1).float()
    flat: dict[str, float] = {}
    for metric in (InstanceAveragePrecision(), PixelScores()):
        metric(y_pred=probabilities, y=truth)
        flat |= metric.aggregate()
    found = nested_metrics(flat)
    assert found["classes"]["3"] == pytest.approx(dict.fromkeys(PER_CLASS, 1))
    assert found["classes"]["1"] == {**dict.fromkeys(PER_CLASS), "n_instances": 0}
    assert found["seep"] == pytest.approx(dict.fromkeys(SEEP, 1))


def test_metrics_csv_columns_and_rows() -> None:
    rows = rows_of(metrics_csv(scored(flat_scores(n_instances_2=31, AP50_2=0.5)), DEFAULT_CLASS_NAMES))
    names = [name for name in PER_CLASS if name != "n_instances"] + ["precision", "recall"]
    limits = [f"{name}_{end}" for name in names for end in ("low", "high")]
    assert list(rows[0]) == ["label", "name", "n_instances", *names, *limits, "part", "leaky"]
    assert [row["label"] for row in rows] == ["1", "2", "3", "4", "5", "6", "7", "1-7"]
    assert [row["name"] for row in rows] == [*DEFAULT_CLASS_NAMES, "seep / no seep"]
    assert (rows[1]["n_instances"], rows[1]["AP50"]) == ("31", "0.5")


def test_metrics_csv_undefined_empty_and_zero_stays_zero() -> None:
    rows = rows_of(metrics_csv(scored(flat_scores(AP50_2=0.0, seep_precision=0.5)), DEFAULT_CLASS_NAMES))
    assert rows[1]["AP50"] == "0.0"
    assert rows[0]["AP50"] == ""
    assert (rows[7]["precision"], rows[7]["recall"], rows[0]["precision"]) == ("0.5", "", "")


def test_metrics_csv_intervals_stand_in_their_columns() -> None:
    content = {**scored(flat_scores()), "ci95": {"classes.2.AP50": [0.25, 0.75], "seep.recall": [0.5, 0.625]}}
    rows = rows_of(metrics_csv(content, DEFAULT_CLASS_NAMES))
    assert (rows[1]["AP50_low"], rows[1]["AP50_high"], rows[0]["AP50_low"]) == ("0.25", "0.75", "")
    assert (rows[7]["recall_low"], rows[7]["recall_high"]) == ("0.5", "0.625")


def test_comparison_table_interval_stands_behind_its_value() -> None:
    content = {**nested_metrics(flat_scores(seep_dice=0.5)), "ci95": {"seep.dice": [0.4, 0.6]}}
    assert "0.500 [0.400, 0.600]" in comparison_table({"trained": content})


def test_metrics_csv_name_with_comma_stays_one_cell() -> None:
    names = ("oil, thin", *DEFAULT_CLASS_NAMES[1:])
    assert rows_of(metrics_csv(scored(flat_scores()), names))[0]["name"] == "oil, thin"


def test_headline_rounds_and_names_the_undefined() -> None:
    text = headline(nested_metrics(flat_scores(seep_dice=0.51249, mAP50=0.0)))
    assert "seep Dice 0.512" in text
    assert "mAP50 0.000" in text
    assert "seep IoU undefined" in text
    assert "leaky" not in text


def test_headline_leaky_split_said() -> None:
    assert headline({**nested_metrics(flat_scores()), "leaky": True}).endswith("(leaky split)")


def test_comparison_table_one_column_per_evaluation() -> None:
    trained, empty = (nested_metrics(flat_scores(seep_dice=dice, mAP=ap)) for dice, ap in ((0.5, 0.25), (0.0, NAN)))
    lines = comparison_table({"trained": trained, "a very long name of an empty map": empty}).splitlines()
    assert lines[0].split(maxsplit=1) == ["trained", lines[0].split(maxsplit=1)[1]]
    assert lines[0].endswith("a very long name of an empty map")
    cells = {line[:12].strip(): line[12:].split() for line in lines[1:]}
    assert cells["seep Dice"] == ["0.500", "0.000"]
    assert cells["mAP50-95"] == ["0.250", "undefined"]
    assert len({len(line) for line in lines}) == 1


def test_nested_metrics_numpy_values_become_plain_numbers() -> None:
    found = nested_metrics(flat_scores(mAP=np.float64(0.5)))
    assert type(found["mAP"]) is float
    assert not math.isnan(found["mAP"])
