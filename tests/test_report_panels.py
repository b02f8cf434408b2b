"""Tests of `seep_monai.report.panels`; colours by hand."""

from __future__ import annotations

import numpy as np

from seep_monai.classes import CLASS_COLOURS, NO_DATA_COLOUR
from seep_monai.report.panels import TilePicture, grey, painted, panel

SEA = np.zeros((2, 3), np.float32)


def test_grey_level_is_middle_and_limits_are_black_and_white() -> None:
    found = grey(np.array([[0.0, -0.9, 0.9, -5.0, 5.0]], np.float32))
    assert found.shape == (1, 5, 3)
    assert found.dtype == np.uint8
    assert found[0, :, 0].tolist() == [127, 0, 255, 0, 255]
    assert (found == found[..., :1]).all()


def test_painted_background_is_the_grey_image() -> None:
    image = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(painted(image, np.zeros((2, 3), np.uint8)), grey(image))


def test_painted_class_is_mostly_its_colour() -> None:
    labels = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    # 0.85 of the colour and 0.15 of the grey 127.
    expected = [[[0.85 * c + 0.15 * 127 for c in CLASS_COLOURS[k]] for k in row] for row in labels.tolist()]
    np.testing.assert_allclose(painted(SEA, labels), expected, atol=0.5)


def test_painted_no_data_is_its_colour_whatever_the_image_holds() -> None:
    image = np.array([[0.9, -0.9, 0.3]], np.float32)
    assert painted(image, np.full((1, 3), 255, np.uint8)).tolist() == [[list(NO_DATA_COLOUR)] * 3]


def test_painted_all_labels_different_colours() -> None:
    labels = np.array([[0, 1, 2, 3, 4, 5, 6, 7, 255]], np.uint8)
    colours = painted(np.zeros((1, 9), np.float32), labels)[0]
    assert len({tuple(colour) for colour in colours.tolist()}) == 9


def test_panel_image_truth_and_prediction_side_by_side() -> None:
    truth, prediction = np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.uint8)
    truth[0, 0], prediction[1, 2] = 1, 4
    found = panel(TilePicture("a.1", SEA, truth, prediction))
    # Three strips of 3 px with two white gaps of 4 px: columns 0-2, 7-9 and 14-16.
    assert found.shape == (2, 17, 3)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[:, 0:3], grey(SEA))
    np.testing.assert_array_equal(found[:, 7:10], painted(SEA, truth))
    np.testing.assert_array_equal(found[:, 14:17], painted(SEA, prediction))
    assert (found[:, [3, 4, 5, 6, 10, 11, 12, 13]] == 255).all()


def test_panel_no_data_of_the_truth_shown_in_all_three() -> None:
    truth = np.array([[255, 0, 0]], np.uint8)
    found = panel(TilePicture("a.1", SEA[:1], truth, np.array([[2, 0, 0]], np.uint8)))
    assert found[0, [0, 7, 14]].tolist() == [list(NO_DATA_COLOUR)] * 3
    assert found[0, [1, 8, 15], 0].tolist() == [127] * 3
