"""Pieces of slicks: what begins beside another slick, downstream of where that one begins, is no origin of its own.

A slick is often found in pieces, because its film is faint in places or because wind has broken it. The upstream end of
a piece is not where the oil came up. Such ends are most of the strays of an archive, and where a strong site is active
on many passes they make other sites downstream of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from seep_monai.archive.sites_passes import rows_by_pass
from seep_monai.archive.sites_places import Slicks

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Choices: how far beside the line of another slick a piece may begin, how far behind its origin, and in how different a
# direction it may drift (60 degrees).
_ASIDE_KM = 1.5
_BEHIND_KM = 1.0
_LEAST_COSINE = 0.5
# Choice: pairs that are looked at together, some 500 MB.
_PAIRS_AT_ONCE = 2**23


def pieces(slicks: Slicks) -> Mask:
    """(n,) slicks that are pieces of another one of the same pass.

    Args:
        slicks: each with its origin first.
    """
    piece = np.zeros(len(slicks), bool)
    ways = slicks.ways
    for rows in rows_by_pass(slicks.number):
        if len(rows) > 1:
            piece[rows] = _pieces_of_pass(slicks.ends[:, rows], ways[rows])
    return piece


def _pieces_of_pass(ends: Floats, ways: Floats) -> Mask:
    """(n,) the pieces among the slicks of one pass, by their ends (2, n, 3) and ways (n, 3)."""
    origins, lengths = ends[0], np.linalg.norm(ends[1] - ends[0], axis=1)
    # Points along each line, so close that no place beside it is further from them than `reach`.
    step = 2 * _ASIDE_KM
    n_points = np.ceil(lengths / step).astype(np.intp) + 1
    owner = np.repeat(np.arange(len(lengths)), n_points)
    position = np.arange(len(owner)) - np.repeat(np.cumsum(n_points) - n_points, n_points)
    points = origins[owner] + (position / np.maximum(n_points - 1, 1)[owner] * lengths[owner])[:, None] * ways[owner]
    reach = np.hypot(_ASIDE_KM, step / 2)
    tree = cKDTree(origins)
    piece = np.zeros(len(lengths), bool)
    at_once = max(1, _PAIRS_AT_ONCE // len(lengths))
    for start in range(0, len(points), at_once):
        near = cKDTree(points[start : start + at_once]).sparse_distance_matrix(tree, reach, output_type="ndarray")
        line, other = owner[start + near["i"]], near["j"]
        gap = origins[other] - origins[line]
        along = (gap * ways[line]).sum(axis=1)
        aside = np.linalg.norm(gap - np.clip(along, 0, lengths[line])[:, None] * ways[line], axis=1)
        # By the mean of both directions, so that of two slicks one alone can lie behind the other.
        behind = (along + (gap * ways[other]).sum(axis=1)) / 2
        agree = (ways[line] * ways[other]).sum(axis=1)
        piece[other[(aside <= _ASIDE_KM) & (behind > _BEHIND_KM) & (agree > _LEAST_COSINE)]] = True
    return piece
