"""Slicks, and the places where they begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from seep_monai.archive.sites_input import Seeps
from seep_monai.archive.sites_peaks import directions
from seep_monai.archive.sites_views import Sightings
from seep_monai.errors import ConfigError

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class SiteSettings:
    """What counts as a site.

    Attributes:
        radius_km: slicks that begin within this distance of a site belong to it. Choice: 2 km. Oil that rises at some
            12 cm/s from 1,500 m is under way for 3.5 hours, in which currents of 5 to 25 cm/s take it .6 to 3 km.
        min_passes: least number of passes with a slick.
        most_by_chance: sites are left out if slicks at random places would show more than this number of places as
            good, over the whole archive.

    Raises:
        ConfigError: if a number is out of range.
    """

    radius_km: float = 2.0
    min_passes: int = 2
    most_by_chance: float = 1.0

    def __post_init__(self) -> None:
        if not 0.05 <= self.radius_km <= 50:
            raise ConfigError(f"radius_km: expected .05 to 50 km, but got {self.radius_km}. Change --radius_km.")
        if self.min_passes < 1:
            raise ConfigError(f"min_passes: expected 1 or more, but got {self.min_passes}. Change --min_passes.")
        if not self.most_by_chance > 0:
            raise ConfigError(
                f"most_by_chance: expected a number above 0, but got {self.most_by_chance}. Change --most_by_chance."
            )


@dataclass(frozen=True, eq=False)
class Slicks:
    """Where and when slicks are.

    Attributes:
        ends: (2, n, 3) both ends, the origin first, see `sites_peaks.directions`; (1, n, 3) for one end alone.
        scene: (n,) index of the scene.
        number: (n,) number of the pass.
    """

    ends: Floats
    scene: Indices
    number: Indices

    @classmethod
    def of(cls, seeps: Seeps, passes: Indices) -> Self:
        """The slicks of an archive; `passes` is the pass of each scene."""
        ends = [directions(lon, lat) for lon, lat in zip(seeps.lon, seeps.lat, strict=True)]
        return cls(np.stack(ends), seeps.scene, passes[seeps.scene])

    def __len__(self) -> int:
        return self.ends.shape[1]

    @property
    def ways(self) -> Floats:
        """(n, 3) unit vectors from the origin to the other end; 0 where the two are the same."""
        way = self.ends[1] - self.ends[0]
        return way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)

    def lengthened(self, km: float) -> Slicks:
        """The slicks with both ends further out; those of which one end is known stay."""
        step = km * self.ways
        return Slicks(self.ends + np.stack([-step, step]), self.scene, self.number)

    def at_both_ends(self) -> Slicks:
        """Twice as many slicks, with one end each: the origins, then the other ends."""
        ends = self.ends.reshape(1, -1, 3)
        return Slicks(ends, np.tile(self.scene, 2), np.tile(self.number, 2))

    def from_end(self, end: Indices) -> Slicks:
        """The slicks with the (n,) end 0 or 1 as their origin."""
        rows = np.arange(len(end))
        return Slicks(np.stack([self.ends[end, rows], self.ends[1 - end, rows]]), self.scene, self.number)


@dataclass(frozen=True, eq=False)
class Places:
    """Which slicks begin at which place.

    Attributes:
        owner: (n,) index of the place of each slick, -1 for none.
        sightings: one row for a place and a pass with a slick.
        centres: (m, 3) mean place of the sightings.
    """

    owner: Indices
    sightings: Sightings
    centres: Floats

    @classmethod
    def of(cls, slicks: Slicks, owner: Indices) -> Self:
        """Places of slicks; each has at least one."""
        sightings = Sightings.of(owner, slicks.number, slicks.ends[0])
        return cls(owner, sightings, sightings.centres(int(owner.max(initial=-1)) + 1))

    def __len__(self) -> int:
        return len(self.centres)

    def only(self, slicks: Slicks, chosen: Indices) -> Places:
        """The chosen places, in that order."""
        numbers = np.full(len(self) + 1, -1)
        numbers[chosen] = np.arange(len(chosen))
        # Index -1, of a slick at no place, takes the last entry.
        return Places.of(slicks, numbers[self.owner])

    def owners_within(self, slicks: Slicks, radius_km: float) -> Indices:
        """(n,) the place of each slick; for slicks of none the nearest one within a distance of the origin, or -1."""
        if not len(self):
            return self.owner
        distance, nearest = cKDTree(self.centres).query(slicks.ends[0], distance_upper_bound=radius_km)
        return np.where((self.owner < 0) & np.isfinite(distance), nearest, self.owner)

    def frequent(self, slicks: Slicks, min_passes: int) -> Places:
        """The places that enough passes show."""
        return self.only(slicks, np.flatnonzero(self.sightings.counts(len(self)) >= min_passes))
