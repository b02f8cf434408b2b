"""Passes: scenes of one flight over one area, which see a place once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from seep_monai.archive.sites_input import Scenes

# Choice: half an hour; a satellite is over one half of the Earth for 49 minutes, and another one follows it after more.
_GAP = np.timedelta64(30 * 60, "s")
# Choice: frames of one flight that abut without an overlap.
_MARGIN_DEG = 0.1


def pass_numbers(scenes: Scenes) -> npt.NDArray[np.intp]:
    """The pass of each scene, (n,), numbered by the time of its first scene.

    Scenes belong to one pass if their boxes touch and they begin less than half an hour apart, or if a chain of such
    scenes joins them.
    """
    order = np.argsort(scenes.times, kind="stable")
    times, boxes = scenes.times[order], shapely.bounds(scenes.footprints[order])
    pairs: list[npt.NDArray[np.intp]] = [np.zeros((0, 2), np.intp)]
    for step in range(1, len(order)):
        first = np.flatnonzero(times[step:] - times[:-step] < _GAP)
        if not len(first):
            break
        a, b = boxes[first], boxes[first + step]
        apart = np.maximum(a[:, :2], b[:, :2]) - np.minimum(a[:, 2:], b[:, 2:])
        touching = first[(apart <= _MARGIN_DEG).all(axis=1)]
        pairs.append(np.stack([touching, touching + step], axis=1))
    ends = np.concatenate(pairs)
    graph = coo_matrix((np.ones(len(ends), bool), ends.T), shape=(len(order), len(order)))
    _, labels = connected_components(graph, directed=False)
    # Numbers by first appearance in the order of time.
    _, first_at, inverse = np.unique(labels, return_index=True, return_inverse=True)
    numbers = np.empty(len(order), np.intp)
    numbers[order] = np.argsort(np.argsort(first_at))[inverse]
    return numbers


def rows_by_pass(number: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    """The rows of each pass, ascending; `number` is the (n,) pass of each row.

    >>> [rows.tolist() for rows in rows_by_pass(np.array([4, 0, 4]))]
    [[1], [0, 2]]
    """
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
