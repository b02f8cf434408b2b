"""How often slicks at random places would show a site as good as one that was found, and intervals of a recurrence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import shapely
from scipy.stats import binom

from seep_monai.archive.sites_peaks import EARTH_KM

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.integer]

# Source: 97.5 % quantile of the normal distribution.
_Z95 = 1.959963984540054
_SMALLEST_TAIL = 1e-290
# Choice: two; a peak goes to where the ends of slicks are. With ends at random this is right within a factor of 1.5.
_PLACES_PER_DISC = 2.0
# Choice: .1 degrees; scenes of one frame then have one outline, and the area changes little.
_GRID_DEG = 0.1


def wilson_interval(n_seen: Counts, n_passes: Counts) -> tuple[Floats, Floats]:
    """Lower and upper end of the 95 % interval of a share, (m,) each; 0 and 1 without a pass.

    Source: Wilson 1927, without correction for continuity.

    >>> [float(end.round(4)[0]) for end in wilson_interval(np.array([5]), np.array([20]))]
    [0.1119, 0.4687]
    """
    n = np.maximum(n_passes, 1)
    share = np.where(n_passes > 0, n_seen / n, 0.5)
    z2 = np.where(n_passes > 0, _Z95**2 / n, np.inf)
    with np.errstate(invalid="ignore"):
        middle = (share + z2 / 2) / (1 + z2)
        half = np.sqrt(share * (1 - share) * z2 + z2**2 / 4) / (1 + z2)
    known = n_passes > 0
    return np.where(known, np.maximum(middle - half, 0), 0.0), np.where(known, np.minimum(middle + half, 1), 1.0)


def log_chance(
    n_seen: Counts, n_passes: Counts, *, density: float | Floats, radius_km: float, n_places: float
) -> Floats:
    """(m,) log10 of the number of places at which so many passes would show a slick by chance, over the archive.

    A slick begins within the radius of a given place on a share p = 1 - exp(-density pi r^2) of the passes, so the
    number of passes with one is binomial.

    Args:
        n_seen: passes with a slick.
        n_passes: passes that could have seen one.
        density: stray origins per km2 and pass; (m,) if it differs from place to place.
        radius_km: radius of a site.
        n_places: number of places of this radius in the archive.
    """
    share = -np.expm1(-density * math.pi * radius_km**2)
    # SciPy's tail is 0 below 1e-308. Far out it is its first term with a geometric series of the others, a bound from
    # above that is exact to a few per cent there.
    ratio = np.clip((n_passes - n_seen) / (n_seen + 1) * share / (1 - share), 0, 0.5)
    tail = binom.sf(n_seen - 1, n_passes, share)
    far = binom.logpmf(n_seen, n_passes, share) - np.log1p(-ratio)
    with np.errstate(divide="ignore"):
        log = np.where(tail > _SMALLEST_TAIL, np.log(tail), far)
    return np.asarray((log + math.log(max(n_places, 1))) / math.log(10))


@dataclass(frozen=True)
class Chance:
    """What slicks at random places would show in an archive.

    Attributes:
        radius_km: radius of a site.
        n_places: number of places of this radius.
        seen_km2: area of all scenes together, each as often as it was seen.
    """

    radius_km: float
    n_places: float
    seen_km2: float

    @classmethod
    def of(cls, footprints: npt.NDArray[np.object_], area: shapely.Geometry, radius_km: float) -> Self:
        """Chance in the area that scenes cover."""
        n_places = _PLACES_PER_DISC * float(areas_km2(np.array([area]))[0]) / (math.pi * radius_km**2)
        return cls(radius_km, n_places, float(areas_km2(footprints).sum()))

    def density(self, strays: Floats) -> float:
        """Strays per km2 and pass; (n,) weights of the strays."""
        # One stray more than there are, so that chance is never excluded.
        return (1 + float(strays.sum())) / self.seen_km2

    def evidence(self, n_seen: Counts, n_passes: Counts, density: float | Floats) -> Floats:
        """(m,) minus log10 of the number of places that chance would show as good, see `log_chance`."""
        return -log_chance(n_seen, n_passes, density=density, radius_km=self.radius_km, n_places=self.n_places)


def areas_km2(footprints: npt.NDArray[np.object_]) -> Floats:
    """(n,) area of polygons in longitude and latitude, on a sphere."""
    return np.asarray(shapely.area(shapely.transform(footprints, _equal_area)))


def covered(footprints: npt.NDArray[np.object_]) -> shapely.Geometry:
    """The area that any scene covers, to .1 degrees where outlines repeat."""
    if not len(footprints):
        return shapely.Polygon()
    first = np.unique(shapely.bounds(footprints).round(int(-math.log10(_GRID_DEG))), axis=0, return_index=True)[1]
    return shapely.union_all(footprints[first])


def _equal_area(lon_lat: Floats) -> Floats:
    """Lambert's cylindrical equal-area projection, km."""
    lon, lat = np.radians(lon_lat).T
    return EARTH_KM * np.stack([lon, np.sin(lat)], axis=1)
