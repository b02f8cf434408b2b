"""What each pass saw of each place: a table with one row for a place and a pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import shapely

from seep_monai.archive.sites_input import Scenes
from seep_monai.archive.sites_peaks import lon_lat

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

# Choice: bytes of a table of places by passes.
_AT_ONCE = 2**21


@dataclass(frozen=True, eq=False)
class Sightings:
    """The passes that show a slick, ordered by place and pass.

    Attributes:
        place: (k,) index of the place.
        number: (k,) number of the pass.
        origin: (k, 3) mean origin of its slicks there, see `sites_peaks.directions`.
    """

    place: Indices
    number: Indices
    origin: Floats

    @classmethod
    def of(cls, owners: Indices, passes: Indices, origins: Floats) -> Self:
        """The sightings.

        Args:
            owners: (n,) place that each slick belongs to, -1 for none.
            passes: (n,) pass of each slick.
            origins: (n, 3).
        """
        owned = owners >= 0
        n_passes = int(passes.max(initial=-1)) + 1
        keys, inverse, counts = np.unique(
            owners[owned] * n_passes + passes[owned], return_inverse=True, return_counts=True
        )
        sums = [np.bincount(inverse, axis, minlength=len(keys)) for axis in origins[owned].T]
        return cls(keys // max(n_passes, 1), keys % max(n_passes, 1), np.stack(sums, axis=1) / counts[:, None])

    def counts(self, n_places: int) -> npt.NDArray[np.int64]:
        """(m,) number of passes that show a slick at each place."""
        return np.bincount(self.place, minlength=n_places)

    def centres(self, n_places: int) -> Floats:
        """(m, 3) mean origin of each place, every pass with the same weight."""
        sums = np.stack([np.bincount(self.place, axis, minlength=n_places) for axis in self.origin.T], axis=1)
        return sums / self.counts(n_places)[:, None]


@dataclass(frozen=True, eq=False)
class Views:
    """The passes that could see a slick, ordered by place and pass.

    A pass could see a slick at a place if one of its scenes has data there, or if it shows one.

    Attributes:
        place: (k,) index of the place.
        number: (k,) number of the pass.
        seen: (k,) whether the pass shows a slick there.
        films: (k,) whether a scene of the pass with data there shows a slick elsewhere: its wind then lets films show.
    """

    place: Indices
    number: Indices
    seen: Mask
    films: Mask

    @classmethod
    def of(
        cls,
        sightings: Sightings,
        centres: Floats,
        scenes: Scenes,
        passes: Indices,
        slicks: tuple[Indices, Indices],
    ) -> Self:
        """The views.

        Args:
            sightings: at the places.
            centres: (m, 3) places.
            scenes: all scenes.
            passes: (number of scenes,) pass of each scene.
            slicks: (n,) scene of each slick, and (n,) place that it belongs to, -1 for none.
        """
        tree = shapely.STRtree(shapely.points(*lon_lat(centres)))
        scene, place = tree.query(scenes.footprints, predicate="intersects")
        n_passes = int(passes.max(initial=-1)) + 1
        covered, inverse = np.unique(place * n_passes + passes[scene], return_inverse=True)
        others = _slicks_elsewhere(scene, place, slicks, len(scenes.names)) > 0
        shown = sightings.place * n_passes + sightings.number
        keys = _distinct(np.concatenate([covered, shown]))
        films = np.zeros(len(keys), bool)
        films[np.searchsorted(keys, covered)] = np.bincount(inverse.ravel(), others, minlength=len(covered)) > 0
        return cls(keys // n_passes, keys % n_passes, np.isin(keys, shown), films)

    def counts(self, n_places: int, chosen: Mask | None = None) -> npt.NDArray[np.int64]:
        """(m,) number of passes over each place, all or those of a mask (k,)."""
        return np.bincount(self.place if chosen is None else self.place[chosen], minlength=n_places)


def n_passes_over(centres: Floats, scenes: Scenes, passes: Indices) -> npt.NDArray[np.int64]:
    """(m,) number of passes with data at each place; some thousand places at a time."""
    n_passes = int(passes.max(initial=-1)) + 1
    step = max(1, _AT_ONCE // max(1, n_passes))
    counts = [np.zeros(0, np.int64)]
    for start in range(0, len(centres), step):
        some = centres[start : start + step]
        scene, place = shapely.STRtree(shapely.points(*lon_lat(some))).query(scenes.footprints, predicate="intersects")
        covered = np.zeros((len(some), n_passes), bool)
        covered[place, passes[scene]] = True
        counts.append(covered.sum(axis=1))
    return np.concatenate(counts)


def _distinct(values: Indices) -> Indices:
    """The values in ascending order, each once."""
    # `np.unique` takes a hash table for this, which is several times slower.
    ordered = np.sort(values)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _slicks_elsewhere(
    scene: Indices, place: Indices, slicks: tuple[Indices, Indices], n_scenes: int
) -> npt.NDArray[np.int64]:
    """(k,) number of slicks of a scene that do not belong to a place."""
    of_scene, owner = slicks
    own = np.sort((owner * n_scenes + of_scene)[owner >= 0])
    keys = place * n_scenes + scene
    n_own = np.searchsorted(own, keys, side="right") - np.searchsorted(own, keys)
    return np.bincount(of_scene, minlength=n_scenes)[scene] - n_own
