"""Places where slicks begin on several passes, and whether chance explains them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import cKDTree

from seep_monai.archive.sites_chance import areas_km2, log_chance
from seep_monai.archive.sites_drift import origin_ends
from seep_monai.archive.sites_input import Scenes, Seeps
from seep_monai.archive.sites_peaks import density_peaks, directions, pass_weights
from seep_monai.archive.sites_views import Sightings, Views, n_passes_over
from seep_monai.errors import ConfigError

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# The density of strays is that of the slicks at no site, and the sites depend on it: three rounds are enough.
_N_ROUNDS = 3
# Choice: places that chance would show a hundred times as often as allowed are left out early.
_LIKELY = 2.0
# Choice: the slicks of a family begin within two and a half radii of each other.
_FAMILY_RADII = 2.5
# Choice: slicks crowd on the scale of basins, and 40 km hold enough strays to count them.
_NEARBY_KM = 40.0
# Choice: two; a peak goes to where the ends of slicks are. With ends at random this is right within a factor of 1.5.
_PLACES_PER_DISC = 2.0


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

    def at_both_ends(self) -> Slicks:
        """Twice as many slicks, with one end each: the origins, then the other ends."""
        ends = self.ends.reshape(1, -1, 3)
        return Slicks(ends, np.tile(self.scene, 2), np.tile(self.number, 2))

    def at(self, end: Indices) -> Slicks:
        """The slicks with one end each: (n,) 0 or 1."""
        return Slicks(self.ends[end, np.arange(len(end))][None], self.scene, self.number)


@dataclass(frozen=True, eq=False)
class Places:
    """Which slicks begin at which place.

    Attributes:
        owner: (n,) index of the place of each slick, -1 for none.
        end: (n,) the end that lies there, 0 or 1.
        sightings: one row for a place and a pass with a slick.
        centres: (m, 3) mean place of the sightings.
    """

    owner: Indices
    end: Indices
    sightings: Sightings
    centres: Floats

    @classmethod
    def of(cls, slicks: Slicks, owner: Indices, end: Indices) -> Self:
        """Places of slicks; each has at least one."""
        sightings = Sightings.of(owner, slicks.number, slicks.ends[end, np.arange(len(owner))])
        return cls(owner, end, sightings, sightings.centres(int(owner.max(initial=-1)) + 1))

    def __len__(self) -> int:
        return len(self.centres)

    def only(self, slicks: Slicks, chosen: Indices) -> Places:
        """The chosen places, in that order."""
        numbers = np.full(len(self) + 1, -1)
        numbers[chosen] = np.arange(len(chosen))
        # Index -1, of a slick at no place, takes the last entry.
        return Places.of(slicks, numbers[self.owner], self.end)

    def owners_within(self, slicks: Slicks, radius_km: float) -> Indices:
        """(n,) the place of each slick; for slicks of none the nearest one within a distance of the origin, or -1."""
        if not len(self):
            return self.owner
        distance, nearest = cKDTree(self.centres).query(slicks.at(self.end).ends[0], distance_upper_bound=radius_km)
        return np.where((self.owner < 0) & np.isfinite(distance), nearest, self.owner)

    def frequent(self, slicks: Slicks, min_passes: int) -> Places:
        """The places that enough passes show."""
        return self.only(slicks, np.flatnonzero(self.sightings.counts(len(self)) >= min_passes))


def find_places(
    slicks: Slicks, scenes: Scenes, passes: Indices, area: shapely.Geometry, settings: SiteSettings
) -> tuple[Places, Floats]:
    """Places, and the evidence of each: minus log10 of the number of places as good by chance.

    Which end of a slick is its origin is uncertain, so that both count at first. The places of both ends and the slicks
    around it then tell the origin, see `sites_drift`. A slick of several films begins at several places, so that passes
    with a slick at a better place nearby do not count.

    Args:
        slicks: without duplicates.
        scenes: all scenes.
        passes: (number of scenes,) pass of each.
        area: what the scenes cover.
        settings: what counts as a site.
    """
    n, radius_km = slicks.ends.shape[1], settings.radius_km
    seen_km2 = float(areas_km2(scenes.footprints).sum())
    n_places = _PLACES_PER_DISC * float(areas_km2(np.array([area]))[0]) / (math.pi * radius_km**2)

    def mean_density(strays: Floats) -> float:
        # One stray more than there are, so that chance is never excluded.
        return (1 + float(strays.sum())) / seen_km2

    def evidence_of(n_seen: Counts, n_passes: Counts, density: float | Floats) -> Floats:
        return -log_chance(n_seen, n_passes, density=density, radius_km=radius_km, n_places=n_places)

    def likely(points: Slicks, n_ends: int) -> tuple[Places, Floats, Floats]:
        """Places of points, their evidence, and the weight of each point; `n_ends` for each slick, 1 or 2."""
        weights = pass_weights(points.ends[0], points.number, radius_km)
        owner = _nearest_peaks(points.ends[0], weights, radius_km)
        places = Places.of(points, owner, np.zeros_like(owner)).frequent(points, settings.min_passes)
        n_seen = places.sightings.counts(len(places))
        n_passes = np.maximum(n_seen, n_passes_over(places.centres, scenes, passes))
        evidence = np.full(len(places), -np.inf)
        for _ in range(_N_ROUNDS):
            # A slick is a stray if none of its points lies at a site.
            at_site = np.append(evidence >= 0, False)[places.owner].reshape(n_ends, n).any(axis=0)
            evidence = evidence_of(n_seen, n_passes, mean_density(weights[np.tile(~at_site, n_ends)]))
        # Strays make many places that are far from being sites: they would take time and memory.
        chosen = np.flatnonzero(evidence >= -math.log10(settings.most_by_chance) - _LIKELY)
        return places.only(points, chosen), evidence[chosen], weights

    both, value, _ = likely(slicks.at_both_ends(), 2)
    value = np.append(value, 0.0)[both.owner.reshape(2, n)]
    end = origin_ends(slicks.ends, slicks.number, value)
    places, _, weights = likely(slicks.at(end), 1)
    places = Places.of(slicks, places.owner, end)
    views = Views.of(places.sightings, places.centres, scenes, passes, (slicks.scene, places.owner))
    counts = views.counts(len(places), views.seen), views.counts(len(places))
    evidence = np.full(len(places), -np.inf)
    for _ in range(_N_ROUNDS):
        strays = np.where(np.append(evidence >= 0, False)[places.owner], 0, weights)
        density = np.maximum(mean_density(strays), _density_nearby(places, slicks, strays, counts[1]))
        order = np.argsort(-evidence_of(*counts, density), kind="stable")
        evidence = evidence_of(*_own_passes(views, places.centres, order, radius_km), density)
    return places, evidence


def _density_nearby(places: Places, slicks: Slicks, strays: Floats, n_passes: Counts) -> Floats:
    """(m,) strays per km2 and pass around each place, without those at the place.

    Args:
        places: with the origin of each slick.
        slicks: all of them.
        strays: (n,) weight of each slick as a stray, 0 for those at a site.
        n_passes: (m,) passes over each place.
    """
    chosen = np.flatnonzero(strays)
    if not len(chosen):
        return np.zeros(len(places))
    origins = slicks.at(places.end).ends[0]
    tree = cKDTree(origins[chosen])
    n_near = tree.query_ball_point(places.centres, _NEARBY_KM, return_length=True)
    owner = places.owner[chosen]
    n_own = np.bincount(owner[owner >= 0], minlength=len(places))
    # Their mean weight instead of the weight of each: millions of neighbours need not be listed.
    sums = (n_near - n_own) * float(strays[chosen].mean())
    return sums / (math.pi * _NEARBY_KM**2 * n_passes)


def _nearest_peaks(points: Floats, weights: Floats, radius_km: float) -> Indices:
    """(n,) the nearest peak within the radius of each point, -1 for none."""
    if not len(points):
        return np.zeros(0, np.intp)
    peaks = density_peaks(points, weights, radius_km)
    _, nearest = cKDTree(peaks).query(points, distance_upper_bound=radius_km)
    return _renumbered(np.where(nearest < len(peaks), nearest, -1))


def _renumbered(owner: Indices) -> Indices:
    """Owners without gaps in their numbers; -1 stays."""
    used, numbers = np.unique(owner, return_inverse=True)
    return numbers - int(len(used) > 0 and used[0] < 0)


def _own_passes(views: Views, centres: Floats, order: Indices, radius_km: float) -> tuple[Counts, Counts]:
    """(m,) passes with a slick, and (m,) all passes, without those that show a slick at an earlier place nearby.

    Args:
        views: of the places.
        centres: (m, 3).
        order: (m,) the places, the best first.
        radius_km: radius of a site.
    """
    n_seen, n_passes = views.counts(len(order), views.seen), views.counts(len(order))
    n_shared, n_taken = np.zeros(len(order), np.int64), np.zeros(len(order), np.int64)
    ends = np.cumsum(n_passes)
    rows = [slice(end - count, end) for end, count in zip(ends, n_passes, strict=True)]
    for place, earlier in _earlier_nearby(centres, order, radius_km).items():
        number, seen = views.number[rows[place]], views.seen[rows[place]]
        taken = np.isin(number, np.concatenate([views.number[rows[at]][views.seen[rows[at]]] for at in earlier]))
        n_shared[place], n_taken[place] = (seen & taken).sum(), taken.sum()
    return n_seen - n_shared, n_passes - n_taken


def _earlier_nearby(centres: Floats, order: Indices, radius_km: float) -> dict[int, list[int]]:
    """The places nearby that come earlier in the order, of each place that has some."""
    earlier: dict[int, list[int]] = {}
    if len(order):
        rank = np.argsort(order)
        for pair in cKDTree(centres).query_pairs(_FAMILY_RADII * radius_km, output_type="ndarray"):
            first, second = sorted(pair.tolist(), key=lambda place: rank[place])
            earlier.setdefault(second, []).append(first)
    return earlier
