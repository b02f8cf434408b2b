"""Places where slicks begin on several passes, and whether chance explains them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import cKDTree

from seep_monai.archive.sites_chance import Chance
from seep_monai.archive.sites_drift import origin_ends, origin_offset
from seep_monai.archive.sites_input import Scenes
from seep_monai.archive.sites_peaks import density_peaks, pass_weights
from seep_monai.archive.sites_pieces import pieces
from seep_monai.archive.sites_places import Places, SiteSettings, Slicks
from seep_monai.archive.sites_views import Views, n_passes_over

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Choice: slicks are taken to begin half a radius downstream of their places until the places tell more.
_FIRST_OFFSET = 0.5
# Choice: two; without the pieces of slicks, more places stand out, and these tell more origins.
_N_SEARCHES = 2
# The density of strays is that of the slicks at no site, and the sites depend on it: three rounds are enough.
_N_ROUNDS = 3
# Choice: places that chance would show a hundred times as often as allowed are left out early.
_LIKELY = 2.0
# Choice: the slicks of a family begin within two and a half radii of each other.
_FAMILY_RADII = 2.5
# Choice: slicks crowd on the scale of basins, and 40 km hold enough strays to count them.
_NEARBY_KM = 40.0


@dataclass(frozen=True, eq=False)
class Found:
    """The places of an archive.

    Attributes:
        slicks: all slicks, each with its origin first.
        end: (n,) the stored end that is the origin, 0 or 1.
        offset_km: how far downstream of their places slicks begin to be seen; both ends of `slicks` lie as much further
            out than the stored ones.
        places: where they begin.
        evidence: (m,) minus log10 of the number of places that chance would show as good.
    """

    slicks: Slicks
    end: Indices
    offset_km: float
    places: Places
    evidence: Floats


@dataclass(frozen=True, eq=False)
class _Archive:
    """What a search for places needs beside the slicks.

    Attributes:
        scenes: all of them.
        passes: (number of scenes,) pass of each.
        chance: of its area.
        settings: what counts as a site.
    """

    scenes: Scenes
    passes: Indices
    chance: Chance
    settings: SiteSettings


def find_places(
    slicks: Slicks, scenes: Scenes, passes: Indices, area: shapely.Geometry, settings: SiteSettings
) -> Found:
    """Places, and the evidence of each.

    Which end of a slick is its origin is uncertain, so that both count at first. The places of both ends and the slicks
    around it then tell the origin, and how far from its place a slick begins to be seen, see `sites_drift`. Pieces of a
    slick begin at no place of their own, see `sites_pieces`. A slick of several films begins at several places, so that
    passes with a slick at a better place nearby do not count.

    Args:
        slicks: without duplicates.
        scenes: all scenes.
        passes: (number of scenes,) pass of each.
        area: what the scenes cover.
        settings: what counts as a site.
    """
    archive = _Archive(scenes, passes, Chance.of(scenes.footprints, area, settings.radius_km), settings)
    counted, end, rows = np.ones(len(slicks), bool), np.zeros(len(slicks), np.intp), np.arange(len(slicks))
    offset_km = _FIRST_OFFSET * settings.radius_km
    for _ in range(_N_SEARCHES):
        long = slicks.lengthened(offset_km)
        both, evidence, _ = _likely(long.at_both_ends(), np.tile(counted, 2), archive, n_ends=2)
        owner = both.owner.reshape(2, -1)
        origin = origin_ends(long.ends, slicks.number, np.append(evidence, 0.0)[owner])
        slicks, end = slicks.from_end(origin), end ^ origin
        counted = ~pieces(slicks.lengthened(offset_km))
        offset_km = origin_offset(slicks.ends, np.where(counted, owner[origin, rows], -1), evidence, settings.radius_km)
    slicks = slicks.lengthened(offset_km)
    places, _, weights = _likely(slicks, counted, archive)
    return Found(slicks, end, offset_km, places, _judged(places, slicks, weights, archive))


def _likely(points: Slicks, counted: Mask, archive: _Archive, *, n_ends: int = 1) -> tuple[Places, Floats, Floats]:
    """Places of points that chance may not explain, their evidence, and the weight of each point.

    Args:
        points: their first ends count.
        counted: (n,) the points that may begin at a place.
        archive: where they are.
        n_ends: 1, or 2 if the points are both ends of slicks.
    """
    radius_km, settings = archive.settings.radius_km, archive.settings
    weights, owner = np.zeros(len(points)), np.full(len(points), -1)
    at = points.ends[0][counted]
    weights[counted] = pass_weights(at, points.number[counted], radius_km)
    owner[counted] = _nearest_peaks(at, weights[counted], radius_km)
    places = Places.of(points, owner).frequent(points, settings.min_passes)
    n_seen = places.sightings.counts(len(places))
    n_passes = np.maximum(n_seen, n_passes_over(places.centres, archive.scenes, archive.passes))
    evidence = np.full(len(places), -np.inf)
    for _ in range(_N_ROUNDS):
        # A slick is a stray if none of its points lies at a site.
        at_site = np.append(evidence >= 0, False)[places.owner].reshape(n_ends, -1).any(axis=0)
        strays = weights[np.tile(~at_site, n_ends)]
        evidence = archive.chance.evidence(n_seen, n_passes, archive.chance.density(strays))
    # Strays make many places that are far from being sites: they would take time and memory.
    chosen = np.flatnonzero(evidence >= -math.log10(settings.most_by_chance) - _LIKELY)
    return places.only(points, chosen), evidence[chosen], weights


def _judged(places: Places, slicks: Slicks, weights: Floats, archive: _Archive) -> Floats:
    """(m,) evidence of places, by the strays around each and without the passes of better places nearby."""
    views = Views.of(places.sightings, places.centres, archive.scenes, archive.passes, (slicks.scene, places.owner))
    counts = views.counts(len(places), views.seen), views.counts(len(places))
    evidence = np.full(len(places), -np.inf)
    for _ in range(_N_ROUNDS):
        strays = np.where(np.append(evidence >= 0, False)[places.owner], 0, weights)
        nearby = _density_nearby(places, slicks, strays, counts[1])
        density = np.maximum(archive.chance.density(strays), nearby)
        order = np.argsort(-archive.chance.evidence(*counts, density), kind="stable")
        own = _own_passes(views, places.centres, order, archive.settings.radius_km)
        evidence = archive.chance.evidence(*own, density)
    return evidence


def _density_nearby(places: Places, slicks: Slicks, strays: Floats, n_passes: Counts) -> Floats:
    """(m,) strays per km2 and pass around each place, without those at the place.

    Args:
        places: at which slicks begin.
        slicks: all of them.
        strays: (n,) weight of each slick as a stray, 0 for those at a site.
        n_passes: (m,) passes over each place.
    """
    chosen = np.flatnonzero(strays)
    if not len(chosen):
        return np.zeros(len(places))
    tree = cKDTree(slicks.ends[0][chosen])
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
