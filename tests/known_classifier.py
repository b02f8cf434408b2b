"""A classifier whose probabilities can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from seep_monai.objects.classifier import MATCH_MEASURES, NAMING_MEASURES, ObjectClassifier
from seep_monai.objects.regression import SoftmaxRegression


def known_classifier(
    *,
    match: Mapping[str, float] | None = None,
    bias: float = 0.0,
    levels: tuple[float, ...] = (0.3, 0.6),
    priors: tuple[float, ...] = (1 / 7,) * 7,
    tta: bool = False,
) -> ObjectClassifier:
    """The log odds of a match are `bias` and the weighted `match` measures; classes have their network's shares."""
    weights = np.array([[0.0] * len(MATCH_MEASURES), [(match or {}).get(name, 0.0) for name in MATCH_MEASURES]])
    naming = np.array([[float(name == f"own_share_{k}") for name in NAMING_MEASURES] for k in range(1, 8)])
    return ObjectClassifier(
        levels,
        # Scales so large that nothing lies four standard deviations from the mean.
        _unscaled(weights, np.array([0.0, bias])),
        _unscaled(naming, np.zeros(7)),
        np.array(priors),
        tta,
    )


def _unscaled(weights: np.ndarray, bias: np.ndarray) -> SoftmaxRegression:
    n = weights.shape[1]
    return SoftmaxRegression(np.zeros(n), np.full(n, 1000.0), 1000.0 * weights, bias)
