"""Softmax regression with L2 regularisation and optional squares of the inputs.

Choice: with some hundred objects of a rare class from a dozen scenes, neural networks and random forests on the same
measures are no better on unseen scenes; see docs/experiments.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from seep_monai.errors import DataError

Matrix = npt.NDArray[np.floating]
# Choice: inputs are clipped at four standard deviations, because larger deviations carry no more information.
_MAX_DEVIATIONS = 4.0


@dataclass(frozen=True, eq=False)
class SoftmaxRegression:
    """A fitted model: inputs -> probability of each of K outcomes.

    Attributes:
        mean: (F,) means of the inputs it was fitted to.
        scale: (F,) their standard deviations, above 0.
        weights: (K, F) for the standardised inputs, or (K, 2 F) for these and their squares.
        bias: (K,); minus infinity for outcomes without examples.
    """

    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]

    def probabilities(self, inputs: Matrix) -> npt.NDArray[np.float64]:
        """(n, F) -> (n, K), rows that sum to 1."""
        squares = self.weights.shape[1] > len(self.mean)
        x = _terms(inputs, self.mean, self.scale, squares=squares)
        result: npt.NDArray[np.float64] = softmax(x @ self.weights.T + self.bias, axis=1)
        return result

    def to_json(self) -> dict[str, Any]:
        """A dictionary of lists; the bias of an outcome without examples is None."""
        bias = [value if np.isfinite(value) else None for value in self.bias.tolist()]
        return {
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "weights": self.weights.tolist(),
            "bias": bias,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            DataError: if a key is missing or an array has another shape.
        """
        try:
            arrays = [np.array(content[key], np.float64) for key in ("mean", "scale", "weights")]
            bias = np.array([-np.inf if value is None else value for value in content["bias"]], np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"regression: expected mean, scale, weights and bias, but it cannot be read ({error!r})."
            ) from error
        mean, scale, weights = arrays
        shapes = [(bias.size, mean.size), (bias.size, 2 * mean.size)]
        if not all(np.isfinite(array).all() for array in arrays) or not (scale > 0).all() or (bias == np.inf).any():
            raise DataError("regression: expected finite mean and weights, scale above 0, but got others.")
        if mean.ndim != 1 or mean.shape != scale.shape or weights.shape not in shapes:
            raise DataError(
                f"regression: expected weights of {bias.shape} outcomes by {mean.shape} inputs, but got "
                f"{weights.shape}."
            )
        return cls(mean, scale, weights, bias)


def fit_regression(
    inputs: Matrix, outcomes: npt.NDArray[np.int64], n_outcomes: int, *, ridge: float, squares: bool = False
) -> SoftmaxRegression:
    """The model that minimises mean log loss + ridge / 2 x sum of squared weights; biases are not penalised.

    Args:
        inputs: (n, F), finite.
        outcomes: (n,) in 0..K-1, at least one.
        n_outcomes: K.
        ridge: at least 0. At 0, the minimum does not exist for separable data.
        squares: whether the squares of the standardised inputs have weights too.

    Raises:
        DataError: if there are no examples.
    """
    if len(inputs) == 0:
        raise DataError("regression: expected at least one example, but got none.")
    mean, scale = inputs.mean(axis=0, dtype=np.float64), inputs.std(axis=0, dtype=np.float64)
    scale[scale == 0] = 1.0
    x = _terms(inputs, mean, scale, squares=squares)
    seen = np.unique(outcomes)
    target = (outcomes[:, None] == seen) / len(x)

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        theta = flat.reshape(len(seen), -1)
        log_prob = log_softmax(x @ theta[:, :-1].T + theta[:, -1], axis=1)
        error = np.exp(log_prob) / len(x) - target
        gradient = np.concatenate([error.T @ x + ridge * theta[:, :-1], error.sum(axis=0)[:, None]], axis=1)
        value = -(target * log_prob).sum() + ridge / 2 * (theta[:, :-1] ** 2).sum()
        return float(value), gradient.ravel()

    start = np.zeros(len(seen) * (x.shape[1] + 1))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-10})
    theta = found.x.reshape(len(seen), -1)
    weights, bias = np.zeros((n_outcomes, x.shape[1])), np.full(n_outcomes, -np.inf)
    weights[seen], bias[seen] = theta[:, :-1], theta[:, -1]
    return SoftmaxRegression(mean, scale, weights, bias)


def _terms(
    inputs: Matrix, mean: npt.NDArray[np.float64], scale: npt.NDArray[np.float64], *, squares: bool
) -> npt.NDArray[np.float64]:
    """Standardised inputs, clipped to four standard deviations, and optionally their squares."""
    x = np.clip((inputs - mean) / scale, -_MAX_DEVIATIONS, _MAX_DEVIATIONS)
    return np.hstack([x, x**2]) if squares else x
