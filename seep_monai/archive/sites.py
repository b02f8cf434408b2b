"""Sites: places where slicks begin on several passes, with what the passes tell about each."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from scipy.stats import f as f_distribution

from seep_monai.archive.sites_chance import covered, wilson_interval
from seep_monai.archive.sites_finding import find_places
from seep_monai.archive.sites_input import Scenes, Seeps
from seep_monai.archive.sites_passes import pass_numbers
from seep_monai.archive.sites_peaks import axes_at, lon_lat
from seep_monai.archive.sites_places import Places, SiteSettings, Slicks
from seep_monai.archive.sites_views import Sightings, Views
from seep_monai.classes import SEEP_LABELS

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

# A platform or ship this close is taken as the source.
TARGET_KM = 1.0
# Choice: a site of few passes is given the scatter of all sites with the weight of four passes.
_POOLED_PASSES = 4
_CONFIDENCE = 0.95
# Choice: pieces of a broken slick, and the films beside the main one, begin up to two radii from their site.
_NEAR_RADII = 2.0


@dataclass(frozen=True, eq=False)
class Sites:
    """Sites by falling evidence.

    Attributes:
        columns: (m,) each, see docs/sites.md; an unknown number is NaN.
        views: the passes over them.
        pass_times: datetime64[s] start of each pass of the archive, ascending.
        area: what the scenes cover, in longitude and latitude.
        offset_km: how far downstream of their places slicks begin to be seen.
        settings: what counted as a site.
    """

    columns: dict[str, npt.NDArray[Any]]
    views: Views
    pass_times: npt.NDArray[np.datetime64]
    area: shapely.Geometry
    offset_km: float
    settings: SiteSettings

    def __len__(self) -> int:
        return len(self.columns["rank"])


def find_sites(seeps: Seeps, scenes: Scenes, settings: SiteSettings) -> Sites:
    """The sites of an archive.

    Args:
        seeps: slicks without duplicates.
        scenes: all scenes, also those without a slick.
        settings: what counts as a site.
    """
    passes, area = pass_numbers(scenes), covered(scenes.footprints)
    pass_times = _first_times(scenes.times, passes)
    found = find_places(Slicks.of(seeps, passes), scenes, passes, area, settings)
    slicks, places, evidence = found.slicks, found.places, found.evidence
    is_site = evidence >= -math.log10(settings.most_by_chance)
    logger.info(
        "%d slicks, %d passes: slicks on %d passes or more at %d places, of which %d are sites; slicks begin %.1f km "
        "downstream of them",
        len(seeps),
        len(pass_times),
        settings.min_passes,
        len(places),
        int(is_site.sum()),
        found.offset_km,
    )
    best = np.lexsort((*places.centres.T, -evidence))
    best = best[is_site[best]]
    places = places.only(slicks, best)
    views = Views.of(places.sightings, places.centres, scenes, passes, (slicks.scene, places.owner))
    columns = {
        "rank": np.arange(1, len(best) + 1),
        "evidence": evidence[best],
        **_place_columns(places.centres, places.sightings),
        **_pass_columns(views, pass_times, len(best)),
        **_near_columns(views, places.owners_within(slicks, _NEAR_RADII * settings.radius_km), slicks, len(best)),
        **_slick_columns(places.owner, seeps, len(best)),
        "target_share": _target_share(places, slicks, found.end, seeps),
    }
    return Sites(columns, views, pass_times, area, found.offset_km, settings)


def _place_columns(centres: Floats, sightings: Sightings) -> dict[str, npt.NDArray[Any]]:
    """Place of each site and the 95 % ellipse of that place: half axes and direction of the longer one from north."""
    n_seen = sightings.counts(len(centres))
    east, north = (axis[sightings.place] for axis in axes_at(centres))
    offsets = sightings.origin - centres[sightings.place]
    plane = np.stack([(offsets * east).sum(axis=1), (offsets * north).sum(axis=1)], axis=1)
    products = (plane[:, :, None] * plane[:, None, :]).reshape(-1, 4)
    sums = np.stack([np.bincount(sightings.place, term, minlength=len(centres)) for term in products.T], axis=1)
    freedom = np.maximum(n_seen - 1, 0)
    pooled = sums.sum(axis=0) / max(int(freedom.sum()), 1)
    # Hotelling's region of a mean, as if some passes more had shown the scatter of all sites.
    freedom = freedom + _POOLED_PASSES
    covariance = ((sums + _POOLED_PASSES * pooled) / freedom[:, None]).reshape(-1, 2, 2)
    values, vectors = np.linalg.eigh(covariance)
    quantile = f_distribution.ppf(_CONFIDENCE, 2, freedom - 1)
    scale = 2 * freedom / (freedom - 1) * quantile / n_seen
    half_axes = np.sqrt(np.maximum(values, 0) * scale[:, None])
    lon, lat = lon_lat(centres)
    return {
        "lon": lon,
        "lat": lat,
        "ellipse_major_km": half_axes[:, 1],
        "ellipse_minor_km": half_axes[:, 0],
        "ellipse_deg": np.degrees(np.arctan2(vectors[:, 0, 1], vectors[:, 1, 1])) % 180,
    }


def _pass_columns(views: Views, pass_times: npt.NDArray[np.datetime64], n_sites: int) -> dict[str, npt.NDArray[Any]]:
    """Numbers of passes, recurrence, and the first and the last pass with a slick."""
    n_seen, n_passes = views.counts(n_sites, views.seen), views.counts(n_sites)
    n_films, n_films_seen = views.counts(n_sites, views.films), views.counts(n_sites, views.films & views.seen)
    times = pass_times[views.number[views.seen]]
    last = np.cumsum(n_seen) - 1
    return {
        "n_seen": n_seen,
        "n_passes": n_passes,
        "recurrence": n_seen / n_passes,
        "n_passes_films": n_films,
        "recurrence_films": np.where(n_films > 0, n_films_seen / np.maximum(n_films, 1), np.nan),
        "first_time": times[last - n_seen + 1],
        "last_time": times[last],
    }


def _near_columns(views: Views, owners: Indices, slicks: Slicks, n_sites: int) -> dict[str, npt.NDArray[Any]]:
    """Recurrence with the slicks nearby, and the interval of the recurrence.

    Which slicks are those of a site is uncertain: the interval goes from the lower end with those at the site to the
    upper end with those nearby.
    """
    n_passes = int(max(slicks.number.max(initial=0), views.number.max(initial=0))) + 1
    shown = np.isin(views.place * n_passes + views.number, (owners * n_passes + slicks.number)[owners >= 0])
    n_seen, n_near, n_views = views.counts(n_sites, views.seen), views.counts(n_sites, shown), views.counts(n_sites)
    return {
        "n_seen_near": n_near,
        "recurrence_near": n_near / n_views,
        "recurrence_low": wilson_interval(n_seen, n_views)[0],
        "recurrence_high": wilson_interval(n_near, n_views)[1],
    }


def _slick_columns(owners: Indices, seeps: Seeps, n_sites: int) -> dict[str, npt.NDArray[Any]]:
    """Sums, means and medians over the slicks of each site."""
    owned = owners >= 0
    owner, own = owners[owned], seeps.take(owned)
    counts = np.bincount(owner, minlength=n_sites)
    by_class = np.bincount(owner * (len(SEEP_LABELS) + 1) + own.label, minlength=n_sites * (len(SEEP_LABELS) + 1))
    return {
        "n_slicks": counts,
        "class": by_class.reshape(n_sites, len(SEEP_LABELS) + 1).argmax(axis=1),
        "score_mean": np.bincount(owner, own.score, minlength=n_sites) / counts,
        "area_km2_sum": np.bincount(owner, own.area_km2, minlength=n_sites),
        "area_km2_median": _medians(owner, own.area_km2, counts),
        "length_km_sum": np.bincount(owner, own.length_km, minlength=n_sites),
        "length_km_median": _medians(owner, own.length_km, counts),
    }


def _medians(owner: Indices, values: Floats, counts: npt.NDArray[np.int64]) -> Floats:
    """(m,) median of the values of each site, which has at least one."""
    ordered = values[np.lexsort((values, owner))]
    first = np.cumsum(counts) - counts
    return (ordered[first + (counts - 1) // 2] + ordered[first + counts // 2]) / 2


def _target_share(places: Places, slicks: Slicks, end: Indices, seeps: Seeps) -> Floats:
    """(m,) share of the passes with a slick on which one begins near a bright target; NaN if that is unknown."""
    if seeps.target_km is None:
        return np.full(len(places), np.nan)
    # The distance is that of the stored origin.
    near = (places.owner >= 0) & (end == 0) & (seeps.target_km <= TARGET_KM)
    pairs = np.unique(np.stack([places.owner[near], slicks.number[near]], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=len(places)) / places.sightings.counts(len(places))


def _first_times(times: npt.NDArray[np.datetime64], passes: Indices) -> npt.NDArray[np.datetime64]:
    """Start of the first scene of each pass."""
    order = np.lexsort((times, passes))
    _, first = np.unique(passes[order], return_index=True)
    return times[order][first]
