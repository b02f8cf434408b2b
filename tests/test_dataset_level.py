"""Tests of `seep_monai.dataset.level`; numpy.median is the independent truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seep_monai.dataset.level import LevelCounter
from seep_monai.errors import DataError


def level_of(*pieces: np.ndarray) -> float:
    counter = LevelCounter()
    for piece in pieces:
        counter.add(piece)
    return counter.median()


def test_median_odd_count_middle_value() -> None:
    assert level_of(np.array([9, 1, 3, 7, 1], np.uint16)) == 3.0


def test_median_even_count_mean_of_the_two_middle_values() -> None:
    assert level_of(np.array([[1, 4], [7, 100]], np.uint16)) == 5.5


@given(st.lists(st.integers(1, 65535), min_size=1, max_size=60), st.integers(0, 60), st.booleans())
def test_median_integers_in_pieces_equals_numpy(values: list[int], cut: int, backwards: bool) -> None:
    dn = np.array(values, np.uint16)
    pieces = [dn[:cut], dn[cut:]]
    assert level_of(*(pieces[::-1] if backwards else pieces)) == np.median(dn.astype(np.float64))


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=40))
def test_median_int16_with_negatives_equals_numpy_or_is_refused(values: list[int]) -> None:
    dn = np.array(values, np.int16)
    expected = np.median(dn.astype(np.float64))
    if expected > 0:
        assert level_of(dn) == expected
    else:
        with pytest.raises(DataError, match="above 0"):
            level_of(dn)


@given(
    st.lists(st.floats(2**-20, 2.0**100, width=32), min_size=1, max_size=40),
    st.integers(0, 40),
    st.sampled_from([np.float32, np.float64]),
)
def test_median_floats_in_pieces_equals_numpy(values: list[float], cut: int, dtype: type) -> None:
    dn = np.array(values, dtype)
    assert level_of(dn[cut:], dn[:cut]) == np.median(dn.astype(np.float64))


def test_median_many_pieces_equals_numpy_of_all() -> None:
    dn = np.random.default_rng(0).integers(1, 60000, (37, 64, 64)).astype(np.uint16)
    assert level_of(*dn) == np.median(dn)


@pytest.mark.parametrize("pieces", [(), (np.array([], np.uint16),), (np.array([], np.float32),)])
def test_median_no_values_refused(pieces: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(DataError, match="at least one valid pixel"):
        level_of(*pieces)


def test_median_integers_and_floats_refused() -> None:
    with pytest.raises(DataError, match="integers or of floats"):
        level_of(np.array([5], np.uint16), np.array([5.0], np.float32))


def test_median_empty_piece_of_other_type_ignored() -> None:
    assert level_of(np.array([5], np.uint16), np.array([], np.float32)) == 5.0


@pytest.mark.parametrize("values", [[-20.0, -18.0, 3.0], [0.0, 0.0, 1.0]])
def test_median_not_above_zero_refused_with_its_value(values: list[float]) -> None:
    with pytest.raises(DataError, match=f"got {np.median(values):g}.*not decibel"):
        level_of(np.array(values, np.float32))
