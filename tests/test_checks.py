from __future__ import annotations

import math
from typing import Any

import pytest

from seep_monai import checks
from seep_monai.errors import ConfigError


@pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), ("true", True), ("False", False)])
def test_boolean_of_words_is_what_they_say(value: object, expected: bool) -> None:
    assert checks.boolean("amp", value) is expected


@pytest.mark.parametrize("value", [1, 0, "yes", "", None])
def test_boolean_of_anything_else_raises(value: object) -> None:
    with pytest.raises(ConfigError, match="amp: expected True or False"):
        checks.boolean("amp", value)


@pytest.mark.parametrize("value", [0, 0.3, 1])
def test_probability_from_0_to_1_is_itself(value: float) -> None:
    assert checks.probability("turn_prob", value) == value


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, True, "0.5", None])
def test_probability_of_anything_else_raises(value: object) -> None:
    with pytest.raises(ConfigError, match="turn_prob: expected a number from 0 to 1"):
        checks.probability("turn_prob", value)


def test_usable_device_cpu_is_there() -> None:
    assert checks.usable_device("cpu").type == "cpu"


@pytest.mark.parametrize("value", ["toaster", "cuda:99", 3.5])
def test_usable_device_that_is_not_there_raises(value: Any) -> None:
    with pytest.raises(ConfigError, match="device: expected cpu"):
        checks.usable_device(value)


@pytest.mark.parametrize("value", ["a", 20261123, "fold 1"])
def test_folder_name_of_one_folder_is_its_text(value: object) -> None:
    assert checks.folder_name("run_name", value) == str(value)


@pytest.mark.parametrize("value", ["", ".", "..", "../x", "a/b", "a\\b"])
def test_folder_name_that_leaves_its_parent_raises(value: str) -> None:
    with pytest.raises(ConfigError, match="run_name"):
        checks.folder_name("run_name", value)


def test_check_agreement_of_equal_lists_and_of_nothing_passes() -> None:
    checks.check_agreement("model.json", {"blocks": [1, 1], "band": 2}, {"blocks": (1, 1), "band": None})


def test_check_agreement_of_another_value_names_both() -> None:
    with pytest.raises(ConfigError, match=r"band: model\.json says 2, but got 1"):
        checks.check_agreement("model.json", {"band": 2}, {"band": 1})
