"""Which end of a slick is its origin, and where that came up: what the drift of slicks tells.

The outline of a slick hardly tells its origin. But where slicks begin at one place on several passes, the origin of
each is known, and with it the drift; wind and current are smooth over some ten kilometres, so that the slicks around
it drift in about the same direction. And what a place shows in many directions of drift tells how far from it slicks
begin: oil drifts while it rises, and the young end of a slick is faint.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

# Choice: 50 km. What counts for a slick lies in its own cell and the cells around it, so within some 75 km: eddies of
# the open sea have radii of 50 to 100 km.
_CELL_KM = 50.0
# Choice: a place that chance would show on one of a thousand such archives counts in full, one that it shows on every
# archive not at all.
_FULL_EVIDENCE = 3.0
# Choice: ten slicks tell half of the offset.
_PRIOR_SLICKS = 10.0
# Choice: three; a slick that follows those around it then counts for others in turn.
_N_ROUNDS = 3
# More than the cells from one end of the Earth to the other.
_N_CELLS = 2**9


def origin_ends(ends: Floats, number: Indices, evidence: Floats) -> Indices:
    """(n,) the end that is the origin, 0 or 1; 0 where nothing tells them apart.

    Each slick leans towards the end with more evidence. The slicks nearby add to that, by the cosine of the angle
    between the two directions.

    Args:
        ends: (2, n, 3) both ends in km, see `sites_peaks.directions`.
        number: (n,) pass of each slick.
        evidence: (2, n) of the place at each end, see `sites_places.find_places`.
    """
    weights = np.clip(evidence, 0, _FULL_EVIDENCE)
    own = weights[0] - weights[1]
    way = ends[1] - ends[0]
    way = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    cell, nearby = _cells(ends.mean(axis=0), number)
    lean = own
    for _ in range(_N_ROUNDS):
        strength = np.clip(lean, -_FULL_EVIDENCE, _FULL_EVIDENCE)
        parts = np.column_stack([strength[:, None] * way, np.abs(strength), strength**2])
        # The slick itself does not count among those around it.
        around = _sums(parts, cell, nearby) - parts
        lean = own + _agreement(around) * (around[:, :3] * way).sum(axis=1)
    return (lean < 0).astype(np.intp)


def origin_offset(ends: Floats, owner: Indices, evidence: Floats, most_km: float) -> float:
    """How far downstream of their places slicks begin to be seen, km, from 0 to `most_km`.

    If each slick begins a way d along its drift w from the place c of its site, its origin is c + d w. This is the
    d of least squares, with a place c for each strong site. It is drawn towards 0, so that few slicks tell little.

    Args:
        ends: (2, n, 3) both ends in km, the origin first.
        owner: (n,) index of the place of each slick, -1 for none.
        evidence: (m,) of the places.
        most_km: upper limit.
    """
    strong = np.append(evidence >= _FULL_EVIDENCE, False)[owner]
    origins, way, place = ends[0][strong], (ends[1] - ends[0])[strong], owner[strong]
    way = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    counts = np.maximum(np.bincount(place, minlength=len(evidence)), 1)[:, None]

    def centred(values: Floats) -> Floats:
        sums = np.stack([np.bincount(place, column, minlength=len(evidence)) for column in values.T], axis=1)
        return np.asarray(values - (sums / counts)[place])

    origins, way = centred(origins), centred(way)
    return float(np.clip((origins * way).sum() / ((way**2).sum() + _PRIOR_SLICKS), 0, most_km))


def _agreement(around: Floats) -> Floats:
    """(n,) how much directions agree, 0 to 1: the squared length of their mean, without what chance adds to it.

    Args:
        around: (n, 5) sums of the weighted unit vectors, of the weights and of their squares.
    """
    weight, squares = around[:, 3], around[:, 4]
    lengths = (around[:, :3] ** 2).sum(axis=1)
    # With k equal weights: (k^2 R^2 - k) / (k^2 - k).
    return np.clip((lengths - squares) / np.maximum(weight**2 - squares, 1e-9), 0, 1)


def _sums(values: Floats, cell: Indices, nearby: Indices) -> Floats:
    """(n, k) sums of (n, k) values over the cell of each slick and those around it."""
    sums = np.stack([np.bincount(cell, column, minlength=len(nearby)) for column in values.T], axis=1)
    # The last row stands for cells without a slick.
    return np.asarray(np.append(sums, np.zeros_like(sums[:1]), axis=0)[nearby].sum(axis=1)[cell])


def _cells(places: Floats, number: Indices) -> tuple[Indices, Indices]:
    """(n,) cell of each place, and (m, 27) the cells around each cell and itself, of the same pass; m for none."""
    steps = np.array([_N_CELLS**2, _N_CELLS, 1])
    corner = np.floor(places / _CELL_KM).astype(np.intp) + _N_CELLS // 2
    keys, cell = np.unique(number * _N_CELLS**3 + corner @ steps, return_inverse=True)
    wanted = keys[:, None] + np.array(list(itertools.product((-1, 0, 1), repeat=3))) @ steps
    found = np.searchsorted(keys, wanted)
    is_there = np.append(keys, -1)[found] == wanted
    return cell.ravel(), np.where(is_there, found, len(keys))
