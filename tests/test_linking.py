"""Components that count as one instance."""

from __future__ import annotations

import numpy as np
import pytest

from seep_monai.errors import DataError
from seep_monai.instances import Components, class_components
from seep_monai.linking import linked
from seep_monai.metrics import match_components, overlaps


def row_components(text: str, scores: list[float] | None = None) -> Components:
    """Components of a one-row map written as digits, with given scores."""
    table = class_components(np.array([[int(c) for c in text]], np.uint8))
    return Components(table.labels, table.classes, table.areas_px, table.scores if scores is None else np.array(scores))


def test_linked_areas_add_and_score_is_the_mean_over_pixels() -> None:
    instances = linked(row_components("1011101", [0.25, 0.75, 0.5]), [0, 0, 1])
    assert instances.areas_px.tolist() == [4, 1]
    assert instances.scores.tolist() == [(0.25 + 3 * 0.75) / 4, 0.5]


def test_linked_rows_are_in_raster_order_of_first_pixels() -> None:
    instances = linked(row_components("1022033010", [0.1, 0.2, 0.3, 0.4]), [9, 5, 7, 9])
    assert instances.classes.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(instances.labels, [[1, 0, 2, 2, 0, 3, 3, 0, 1, 0]])


def test_linked_each_on_its_own_changes_nothing() -> None:
    components = row_components("111011", [0.1, 0.7])
    instances = linked(components, [1, 0])
    np.testing.assert_array_equal(instances.labels, components.labels)
    assert instances.scores.tolist() == components.scores.tolist()


def test_linked_truth_has_nan_scores() -> None:
    assert np.isnan(linked(row_components("101"), [0, 0]).scores).all()


def test_linked_no_components_stay_none() -> None:
    assert len(linked(row_components("000"), [])) == 0


def test_linked_input_stays_untouched() -> None:
    components = row_components("10101", [0.5, 0.5, 0.5])
    linked(components, [0, 1, 0])
    np.testing.assert_array_equal(components.labels, [[1, 0, 2, 0, 3]])


def test_linked_two_classes_in_a_group_raise() -> None:
    with pytest.raises(DataError, match="two in group 4"):
        linked(row_components("102"), [4, 4])


@pytest.mark.parametrize("groups", [[0], [0, 1, 2], [[0, 1]]])
def test_linked_other_number_of_groups_raises(groups) -> None:
    with pytest.raises(DataError, match="expected 2 numbers"):
        linked(row_components("101"), groups)


def test_overlaps_of_linked_pieces_is_that_of_the_union() -> None:
    # 4 px in two pieces on a truth of 5 px.
    found = overlaps(row_components("11111"), linked(row_components("11011", [0.5, 0.5]), [0, 0]))
    assert found.iou.tolist() == [4 / 5]


def test_match_linked_pieces_are_one_hit() -> None:
    truth = linked(row_components("111000111"), [0, 0])
    predicted = linked(row_components("110000011", [0.5, 0.25]), [3, 3])
    matches = match_components(truth, predicted, np.array([0.5, 0.7]))
    assert matches.detection_bits.tolist() == [0b01]
