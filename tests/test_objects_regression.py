"""Softmax regression against its closed forms."""

from __future__ import annotations

import json

import numpy as np
import pytest

from seep_monai.errors import DataError
from seep_monai.objects.regression import SoftmaxRegression, fit_regression


def test_two_groups_without_ridge_give_the_shares_of_each() -> None:
    # Of the group 0, 3 in 10 succeed; of the group 1, 8 in 10: a saturated model says just that.
    inputs = np.repeat([[0.0], [1.0]], 10, axis=0)
    outcomes = np.array([1] * 3 + [0] * 7 + [1] * 8 + [0] * 2)
    found = fit_regression(inputs, outcomes, 2, ridge=0)
    assert found.probabilities(np.array([[0.0], [1.0]]))[:, 1] == pytest.approx([0.3, 0.8], abs=1e-3)


def test_strong_ridge_leaves_the_shares_of_all() -> None:
    inputs = np.random.default_rng(0).normal(size=(20, 3))
    found = fit_regression(inputs, np.array([0] * 10 + [1] * 6 + [2] * 4), 3, ridge=1e6)
    assert found.probabilities(inputs)[7] == pytest.approx([0.5, 0.3, 0.2], abs=1e-3)


def test_gradient_vanishes_at_the_fit() -> None:
    rng = np.random.default_rng(2)
    inputs, outcomes, ridge = rng.normal(size=(200, 4)), rng.integers(0, 3, 200), 0.05
    found = fit_regression(inputs, outcomes, 3, ridge=ridge)
    x = np.clip((inputs - found.mean) / found.scale, -4, 4)
    error = found.probabilities(inputs) - np.eye(3)[outcomes]
    assert error.T @ x / 200 + ridge * found.weights == pytest.approx(0, abs=1e-4)
    assert error.mean(axis=0) == pytest.approx(0, abs=1e-4)


def test_squares_find_what_lies_in_the_middle() -> None:
    inputs = np.linspace(-2, 2, 101)[:, None]
    outcomes = (np.abs(inputs[:, 0]) < 1).astype(np.int64)
    plain, squared = (fit_regression(inputs, outcomes, 2, ridge=1e-3, squares=squares) for squares in (False, True))
    assert ((plain.probabilities(inputs)[:, 1] > 0.5) == outcomes).mean() < 0.6
    assert ((squared.probabilities(inputs)[:, 1] > 0.5) == outcomes).mean() > 0.95
    again = SoftmaxRegression.from_json(json.loads(json.dumps(squared.to_json())))
    assert (again.probabilities(inputs) == squared.probabilities(inputs)).all()


def test_outcome_that_was_never_seen_has_probability_0() -> None:
    found = fit_regression(np.array([[0.0], [1.0]]), np.array([0, 2]), 3, ridge=1.0)
    assert found.probabilities(np.array([[5.0]]))[0, 1] == 0
    again = SoftmaxRegression.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert (again.probabilities(np.array([[0.3]])) == found.probabilities(np.array([[0.3]]))).all()


def test_input_that_never_varies_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    inputs, outcomes = rng.normal(size=(40, 1)), rng.integers(0, 2, 40)
    plain = fit_regression(inputs, outcomes, 2, ridge=0.01).probabilities(inputs)
    constant = np.hstack([inputs, np.full((40, 1), 7.0)])
    assert fit_regression(constant, outcomes, 2, ridge=0.01).probabilities(constant) == pytest.approx(plain, abs=1e-5)


def test_nothing_to_fit_to_raises() -> None:
    with pytest.raises(DataError, match="at least one example"):
        fit_regression(np.zeros((0, 2)), np.zeros(0, np.int64), 2, ridge=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": None}, "cannot be read"),
        ({"weights": [[1.0]]}, "expected weights of"),
        ({"bias": "x"}, "cannot be read"),
        ({"mean": [0.0, None]}, "expected finite mean"),
        ({"scale": [1.0, 0.0]}, "scale above 0"),
        ({"mean": [[0.0, 0.0]], "scale": [[1.0, 1.0]]}, "expected weights of"),
    ],
)
def test_content_of_another_shape_raises(changes: dict, message: str) -> None:
    content = {"mean": [0.0, 0.0], "scale": [1.0, 1.0], "weights": [[1.0, 2.0]], "bias": [0.0]}
    with pytest.raises(DataError, match=message):
        SoftmaxRegression.from_json({key: value for key, value in (content | changes).items() if value is not None})
