"""Films that are joined strip by strip, against scipy's labels of the whole scene."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import find_objects, label

from seep_monai.scene.films import Film, FilmTracker, grouped


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 30), st.sampled_from([0.1, 0.3, 0.45, 0.6]))
def test_films_are_the_components_of_the_whole_scene(seed: int, height: int, width: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < share
    tracker, done = FilmTracker(), 0
    while done < height:
        step = int(rng.integers(1, 9))
        tracker.add(mask[done : done + step])
        done += step

    labels, _ = label(mask, np.ones((3, 3)))
    truth = []
    for number, (rows, columns) in enumerate(find_objects(labels), start=1):
        first = np.argwhere(labels == number)[0]
        box = (rows.start, rows.stop, columns.start, columns.stop)
        truth.append(Film((int(first[0]), int(first[1])), *box))
    assert tracker.films() == sorted(truth)


def test_spiral_is_one_film() -> None:
    mask = np.array([[1, 1, 1, 1], [0, 0, 0, 1], [1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]], bool)
    tracker = FilmTracker()
    for row in mask:
        tracker.add(row[None])

    assert tracker.films() == [Film((0, 0), 0, 5, 0, 4)]


def test_films_of_one_cell_are_one_group_and_a_wide_one_is_alone() -> None:
    near, other, wide = Film((1, 1), 1, 3, 1, 4), Film((5, 2), 5, 6, 2, 3), Film((2, 0), 2, 3, 0, 50)
    far = Film((25, 1), 25, 26, 1, 2)

    assert list(grouped([near, wide, other, far], 20)) == [[wide], [near, other], [far]]
