"""Windows against the sets of their pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seep_monai.rectangles import Window, cell_window, cells_in, clipped, copy_overlap, overlap, with_margin, within

Pixel = tuple[int, int]


@st.composite
def slices(draw: st.DrawFn) -> slice:
    start = draw(st.integers(-9, 9))
    return slice(start, start + draw(st.integers(1, 12)))


WINDOWS = st.tuples(slices(), slices())


def pixels(window: Window) -> set[Pixel]:
    return {(r, c) for r in range(window[0].start, window[0].stop) for c in range(window[1].start, window[1].stop)}


def numbered(window: Window) -> np.ndarray:
    """(2, h, w) whose value tells the place in the scene."""
    rows, columns = np.mgrid[window]
    return np.stack([100 * rows + columns, -100 * rows - columns])


@given(WINDOWS, WINDOWS)
def test_overlap_holds_the_pixels_of_both(one: Window, other: Window) -> None:
    assert pixels(overlap(one, other)) == pixels(one) & pixels(other)


@given(WINDOWS, st.integers(1, 9), st.integers(1, 9))
def test_clipped_window_is_what_indexing_an_image_gives(window: Window, height: int, width: int) -> None:
    inside = pixels((slice(0, height), slice(0, width)))
    assert pixels(clipped(window, (height, width))) == pixels(window) & inside


@given(WINDOWS, st.integers(1, 5), st.integers(1, 5))
def test_cells_of_a_window_are_those_of_its_pixels_row_by_row(window: Window, height: int, width: int) -> None:
    found = list(cells_in(window, (height, width)))
    assert [cell for cell, _ in found] == sorted({(r // height, c // width) for r, c in pixels(window)})
    assert all(place == cell_window(cell, (height, width)) for cell, place in found)
    assert pixels(window) <= set().union(*(pixels(place) for _, place in found))


@given(WINDOWS, st.integers(0, 4))
def test_window_lies_in_its_margin_as_far_as_the_margin_is_wide(window: Window, margin_px: int) -> None:
    wide = with_margin(window, margin_px)
    np.testing.assert_array_equal(numbered(wide)[:, *within(window, wide)], numbered(window))
    assert within(window, wide)[0].start == within(window, wide)[1].start == margin_px


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@given(part=WINDOWS, window=WINDOWS)
def test_pixels_that_are_shared_are_copied_and_no_others(
    kind: Callable[[np.ndarray], Any], part: Window, window: Window
) -> None:
    found = np.full_like(numbered(window), 7)
    copy_overlap(kind(numbered(part)), part, into=kind(found), window=window)
    shared = np.array([(r, c) in pixels(part) for r, c in sorted(pixels(window))]).reshape(found.shape[1:])
    np.testing.assert_array_equal(found, np.where(shared, numbered(window), 7))
