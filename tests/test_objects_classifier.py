"""The object classifier's probabilities, names and JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from known_classifier import known_classifier

from seep_monai.errors import DataError
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.objects.measures import MEASURE_NAMES


def measures(**given: float) -> np.ndarray:
    return np.array([[given.get(name, 0.0) for name in MEASURE_NAMES]], np.float32)


def test_match_is_the_logistic_function_of_its_measures() -> None:
    classifier = known_classifier(match={"prob_mean": 2.0}, bias=-1.0)
    assert classifier.match_prob(measures(prob_mean=0.5)) == pytest.approx([0.5])
    assert classifier.match_prob(measures(prob_mean=1.0)) == pytest.approx([1 / (1 + np.exp(-1))])


def test_classes_follow_the_naming_measures() -> None:
    shares = {
        "own_share_2": np.log(0.75),
        "own_share_5": np.log(0.25),
        **{f"own_share_{k}": -50.0 for k in (1, 3, 4, 6, 7)},
    }
    assert known_classifier().class_prob(measures(**shares))[0] == pytest.approx([0, 0.75, 0, 0, 0.25, 0, 0])


def test_named_is_the_class_that_gains_most_over_the_root_of_its_prior() -> None:
    # Roots .8, .5, .3: .6 / .8 = .75 against .3 / .3 = 1; and .8 / .8 = 1 against .15 / .3 = .5.
    classifier = known_classifier(priors=(0.64, 0.25, 0.09, 0.02, 0, 0, 0))
    assert classifier.names(np.array([[0.6, 0.1, 0.3, 0, 0, 0, 0], [0.8, 0.05, 0.15, 0, 0, 0, 0]])).tolist() == [3, 1]


def test_class_that_was_never_seen_is_never_named() -> None:
    classifier = known_classifier(priors=(1, 0, 0, 0, 0, 0, 0))
    assert classifier.names(np.array([[0.1, 0.9, 0, 0, 0, 0, 0]])).tolist() == [1]


def test_classifier_through_json_classifies_alike() -> None:
    classifier = known_classifier(match={"area": 0.3, "contrast": -2.0}, bias=0.1, tta=True)
    again = ObjectClassifier.from_json(json.loads(json.dumps(classifier.to_json(), allow_nan=False)))
    table = np.random.default_rng(0).normal(size=(5, len(MEASURE_NAMES)))
    assert (again.match_prob(table) == classifier.match_prob(table)).all()
    assert (again.class_prob(table) == classifier.class_prob(table)).all()
    assert (again.levels, again.tta) == (classifier.levels, True)


def test_classifier_of_other_measures_raises() -> None:
    content = known_classifier().to_json()
    content["match_measures"][0] = "colour"
    with pytest.raises(DataError, match="other measures"):
        ObjectClassifier.from_json(content)


def test_classifier_that_lacks_a_part_raises() -> None:
    content = known_classifier().to_json()
    del content["levels"]
    with pytest.raises(DataError, match="Fit it again"):
        ObjectClassifier.from_json(content)


@pytest.mark.parametrize(
    "changes",
    [
        {"levels": []},
        {"levels": [0.5, 1e9]},
        {"levels": ["a"]},
        {"class_priors": [-1.0] * 7},
        {"class_priors": [[0.1] * 7]},
        {"match": {"mean": [0.0], "scale": [1.0], "weights": [[1.0], [1.0]], "bias": [0.0, 0.0]}},
    ],
)
def test_classifier_with_other_numbers_raises(changes: dict) -> None:
    with pytest.raises(DataError, match="Fit it again"):
        ObjectClassifier.from_json(known_classifier().to_json() | changes)
