"""Seeps that two overlapping scenes of one pass both show: marked, not dropped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

# Choice: a satellite passes a basin within minutes and comes back after some 100 minutes; a slick drifts by a few of
# its widths meanwhile.
SAME_PASS_S = 600.0
# Choice: two outlines that share less than a tenth of the smaller one are neighbours.
_SMALLEST_SHARE = 0.1


@dataclass(frozen=True)
class PassScene:
    """A scene as far as passes go.

    Attributes:
        name: of the scene.
        time: when it was taken, ISO 8601 in UTC; None: unknown.
        platform: name of the satellite; None: unknown.
    """

    name: str
    time: str | None
    platform: str | None = None

    @cached_property
    def seconds(self) -> float:
        """Its time in seconds since 1970; NaN: unknown."""
        return math.nan if self.time is None else datetime.fromisoformat(self.time).timestamp()


def passes(scenes: Sequence[PassScene]) -> list[list[PassScene]]:
    """The scenes in the order of their times, in groups: a scene is in the group of the one before if both may be of
    one pass. Scenes without time come last, each alone.

    >>> times = {"a": "2023-04-01T10:00:25Z", "b": "2023-04-01T10:00:00Z", "c": "2023-04-01T11:40:00Z"}
    >>> [[scene.name for scene in group] for group in passes([PassScene(*pair) for pair in times.items()])]
    [['b', 'a'], ['c']]
    """
    timed = sorted((s for s in scenes if s.time is not None), key=lambda s: (s.platform or "", s.seconds, s.name))
    groups: list[list[PassScene]] = []
    for scene in timed:
        if groups and _same_pass(groups[-1][-1], scene):
            groups[-1].append(scene)
        else:
            groups.append([scene])
    groups.sort(key=lambda group: (group[0].seconds, group[0].name))
    return groups + [[scene] for scene in sorted((s for s in scenes if s.time is None), key=lambda s: s.name)]


def duplicates(
    polygons: npt.NDArray[np.object_], owners: npt.NDArray[np.int64], scenes: Sequence[PassScene]
) -> npt.NDArray[np.int64]:
    """(n,) the index of the seep that each seep is a duplicate of; -1 for none.

    Of seeps that overlap in two scenes of a pass, the largest one is the whole slick, and the others are duplicates of
    it. What a seep is a duplicate of is never a duplicate itself.

    Args:
        polygons: (n,) in longitude and latitude.
        owners: (n,) index of the scene that each lies in.
        scenes: of one group of `passes`.
    """
    original = np.full(len(polygons), -1, np.int64)
    first, second = _overlapping(polygons, owners, scenes)
    if not len(first):
        return original
    areas = shapely.area(polygons)
    neighbours: dict[int, list[int]] = {}
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        neighbours.setdefault(one, []).append(other)
    # Largest first; of equal ones the first.
    rank = np.empty(len(polygons), np.int64)
    rank[np.lexsort((np.arange(len(polygons)), -areas))] = np.arange(len(polygons))
    for seep in sorted(neighbours, key=lambda index: rank[index]):
        larger = [other for other in neighbours[seep] if rank[other] < rank[seep] and original[other] < 0]
        if larger:
            original[seep] = min(larger, key=lambda index: rank[index])
    return original


def _same_pass(one: PassScene, other: PassScene) -> bool:
    # False for NaN.
    return one.platform == other.platform and abs(one.seconds - other.seconds) <= SAME_PASS_S


def _overlapping(
    polygons: npt.NDArray[np.object_], owners: npt.NDArray[np.int64], scenes: Sequence[PassScene]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Pairs of seeps of two scenes of a pass that overlap, in both orders."""
    none = np.empty(0, np.int64), np.empty(0, np.int64)
    if len(scenes) < 2 or not len(polygons):
        return none
    near = np.array([[_same_pass(one, other) for other in scenes] for one in scenes])
    np.fill_diagonal(near, False)
    one, other = shapely.STRtree(polygons).query(polygons)
    wanted = (one < other) & near[owners[one], owners[other]]
    one, other = one[wanted], other[wanted]
    left, right = shapely.make_valid(polygons[one]), shapely.make_valid(polygons[other])
    shared = shapely.area(shapely.intersection(left, right))
    smaller = np.minimum(shapely.area(left), shapely.area(right))
    kept = shared > _SMALLEST_SHARE * smaller
    return np.concatenate([one[kept], other[kept]]), np.concatenate([other[kept], one[kept]])
