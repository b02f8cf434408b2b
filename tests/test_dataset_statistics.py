"""Tests of `seep_monai.dataset.statistics`; expected values worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from seep_monai.dataset.audit import Tile
from seep_monai.dataset.statistics import ClassCounts, class_weights, count_classes, rarity_weights
from seep_monai.errors import ConfigError


def tile(name: str, class_pixels: tuple[int, ...], class_instances: tuple[int, ...]) -> Tile:
    return Tile(name, name.split(".")[0], Path(), Path(), (8, 8), class_pixels, class_instances)


TILES = [
    tile("a.1", (50, 10, 0, 4, 0, 0, 0, 0), (2, 0, 1, 0, 0, 0, 0)),
    tile("a.2", (60, 0, 0, 4, 0, 0, 0, 0), (0, 0, 3, 0, 0, 0, 0)),
    tile("b.1", (64, 0, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0)),
]


def counts(*instances: int, pixels: int = 1) -> ClassCounts:
    padded = (0, *instances, *(0,) * (7 - len(instances)))
    return ClassCounts(1, 1, tuple(pixels * n for n in padded), padded, padded)


def test_count_classes_three_tiles_sums_by_hand() -> None:
    found = count_classes(TILES)
    assert (found.n_tiles, found.n_scenes) == (3, 2)
    assert found.pixels == (174, 10, 0, 8, 0, 0, 0, 0)
    assert found.tiles == (3, 1, 0, 2, 0, 0, 0, 0)
    assert found.instances == (0, 2, 0, 4, 0, 0, 0, 0)


def test_count_classes_no_tiles_all_zero() -> None:
    assert count_classes([]) == ClassCounts(0, 0, (0,) * 8, (0,) * 8, (0,) * 8)


def test_to_json_counts_keyed_by_mask_value() -> None:
    found = json.loads(json.dumps(count_classes(TILES).to_json()))
    assert found["n_tiles"] == 3
    assert found["n_scenes"] == 2
    assert found["pixels"]["0"] == 174
    assert found["tiles"]["3"] == 2
    assert found["instances"] == {"0": 0, "1": 2, "2": 0, "3": 4, "4": 0, "5": 0, "6": 0, "7": 0}


def test_class_weights_none_all_one() -> None:
    assert class_weights("none", counts(5, 1)) == (1.0,) * 7


def test_class_weights_inverse_sqrt_by_hand_mean_one_over_present() -> None:
    # 1 / sqrt of 1, 4, 16 = 1, 1/2, 1/4; mean 7/12; divided by it 12/7, 6/7, 3/7.
    found = class_weights("inverse_sqrt", counts(1, 4, 16))
    np.testing.assert_allclose(found, [12 / 7, 6 / 7, 3 / 7, 0, 0, 0, 0])


def test_class_weights_effective_number_by_hand() -> None:
    # (1 - b) / (1 - b^n) = 1 / (1 + b + .. + b^(n-1)): for n = 1, 2, 3 and b = .999 1, 1/1.999, 1/2.997001.
    raw = np.array([1, 1 / 1.999, 1 / 2.997001])
    found = class_weights("effective_number", counts(1, 2, 3))
    np.testing.assert_allclose(found, [*raw / raw.mean(), 0, 0, 0, 0], rtol=1e-9)


def test_class_weights_by_unit_counts_that_unit() -> None:
    unequal = ClassCounts(1, 1, (0, 9, 1, 0, 0, 0, 0, 0), (0, 1, 1, 0, 0, 0, 0, 0), (0, 4, 1, 0, 0, 0, 0, 0))
    ratios = {by: np.divide(*class_weights("inverse_sqrt", unequal, by=by)[1::-1]) for by in ("pixels", "tiles")}
    assert ratios == pytest.approx({"pixels": 3.0, "tiles": 1.0})
    assert np.divide(*class_weights("inverse_sqrt", unequal)[1::-1]) == pytest.approx(2.0)


def test_class_weights_no_class_present_all_zero() -> None:
    assert class_weights("inverse_sqrt", counts()) == (0.0,) * 7


def test_class_weights_given_numbers_unchanged() -> None:
    assert class_weights([1, 2, 3, 4, 5, 6, 0], counts(1)) == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0)


@pytest.mark.parametrize(
    "given",
    [[1.0] * 6, [1.0] * 8, *([*[1.0] * 6, last] for last in (-1.0, float("nan"), float("inf"), "a")), 5, None],
)
def test_class_weights_given_numbers_bad_refused_with_what_came(given: object) -> None:
    with pytest.raises(ConfigError, match=r"class_weights: expected .*7 finite numbers") as caught:
        class_weights(given, counts(1))  # type: ignore[arg-type]
    assert repr(given) in str(caught.value)


@pytest.mark.parametrize(("rule", "by"), [("inverse", "pixels"), ("inverse_sqrt", "areas")])
def test_class_weights_unknown_rule_or_unit_refused(rule: str, by: str) -> None:
    with pytest.raises(ConfigError, match=f"'{rule}' by '{by}'"):
        class_weights(rule, counts(1), by=by)  # type: ignore[arg-type]


def test_rarity_weights_follow_the_rarest_class_of_each_tile() -> None:
    # Class 1 lies in one tile, class 3 in two: 1 / sqrt(1), 1 / sqrt(2); the empty tile as much as the lightest.
    np.testing.assert_allclose(rarity_weights(TILES), (1, 0.5**0.5, 0.5**0.5))


def test_rarity_weights_without_any_seep_are_equal() -> None:
    assert rarity_weights([TILES[2], TILES[2]]) == (1, 1)
