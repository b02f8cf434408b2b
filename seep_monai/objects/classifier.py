"""The object classifier: match probability and class probabilities of a candidate, from its measures.

It is fitted after the network is trained (`objects.fitting`) and stored in `model.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from seep_monai.classes import N_SEEP_CLASSES
from seep_monai.errors import DataError
from seep_monai.objects.measures import CONTEXT, CONTRAST, MEASURE_NAMES, NAMING, OUTLINE, SHAPE
from seep_monai.objects.regression import SoftmaxRegression

# Instance mode with the object classifier, in addition to the modes of `InstanceSettings`.
CLASSIFIED = "classified"
MATCH_MEASURES = (*SHAPE, *CONTRAST, *OUTLINE, *CONTEXT)
NAMING_MEASURES = (*MATCH_MEASURES, *NAMING)


@dataclass(frozen=True, eq=False)
class ObjectClassifier:
    """Two regressions on the measures of a candidate.

    Attributes:
        levels: thresholds of the candidates.
        match: probabilities of no match and match, from `MATCH_MEASURES`.
        naming: probabilities of the classes 1..7 of a match, from `NAMING_MEASURES`.
        class_priors: (7,) share of each class among the matches it was fitted to; 0 for a class without matches.
        tta: whether it was fitted to probabilities averaged over the eight symmetries (test-time augmentation).
        unit: what it was fitted to, `tile` or `scene`: tiles cut objects, which changes their measures.
    """

    levels: tuple[float, ...]
    match: SoftmaxRegression
    naming: SoftmaxRegression
    class_priors: npt.NDArray[np.float64]
    tta: bool = False
    unit: str = "tile"

    def match_prob(self, measures: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """(n,) probability that a candidate matches a true seep at IoU .50."""
        return self.match.probabilities(measures[:, columns(MATCH_MEASURES)])[:, 1]

    def class_prob(self, measures: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """(n, 7) probability of the classes 1..7, given that the candidate is a seep."""
        return self.naming.probabilities(measures[:, columns(NAMING_MEASURES)])

    def names(self, class_prob: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """(n,) mask values 1..7: the class with the highest probability / square root of its prior.

        Without the prior, nearly all objects get the common class; with the full prior, too many get rare classes.
        Source: Menon et al. 2021, "Long-tail learning via logit adjustment", here with half the adjustment.
        """
        roots = np.sqrt(self.class_priors)
        gain = np.divide(class_prob, roots, out=np.zeros_like(class_prob), where=roots > 0)
        return np.argmax(gain, axis=1).astype(np.int64) + 1

    def to_json(self) -> dict[str, Any]:
        """A dictionary that can be written to JSON, with the names of the measures."""
        return {
            "levels": list(self.levels),
            "match_measures": list(MATCH_MEASURES),
            "match": self.match.to_json(),
            "naming_measures": list(NAMING_MEASURES),
            "naming": self.naming.to_json(),
            "class_priors": self.class_priors.tolist(),
            "tta": self.tta,
            "unit": self.unit,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            DataError: if a key is missing or invalid, or if it was fitted to other measures.
        """
        try:
            measured = tuple(content["match_measures"]), tuple(content["naming_measures"])
            regressions = [SoftmaxRegression.from_json(content[key]) for key in ("match", "naming")]
            priors = np.array(content["class_priors"], np.float64)
            levels, tta, unit = tuple(map(float, content["levels"])), bool(content["tta"]), str(content["unit"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"object classifier: cannot be read ({error!r}). Fit it again (run fitting).") from error
        shapes = [(len(regression.mean), len(regression.bias)) for regression in regressions]
        expected = [(len(MATCH_MEASURES), 2), (len(NAMING_MEASURES), N_SEEP_CLASSES)]
        if not levels or not all(0 < level < 1 for level in levels) or not (priors >= 0).all():
            raise DataError("object classifier: expected levels and priors from 0 to 1. Fit it again (run fitting).")
        if measured != (MATCH_MEASURES, NAMING_MEASURES) or priors.shape != (N_SEEP_CLASSES,) or shapes != expected:
            raise DataError(
                "object classifier: expected the measures of this version, but it was fitted to other measures. "
                "Fit it again (run fitting)."
            )
        return cls(levels, regressions[0], regressions[1], priors, tta, unit)


def columns(names: tuple[str, ...]) -> list[int]:
    """Column indices of these measures."""
    return [MEASURE_NAMES.index(name) for name in names]
