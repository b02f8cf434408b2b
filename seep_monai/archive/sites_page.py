"""A self-contained HTML page with the sites of an archive on a map, each with its time line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from seep_monai.archive.sites import Sites
from seep_monai.archive.sites_peaks import EARTH_KM
from seep_monai.scene.page_frame import PageWords, document, rounded

Floats = npt.NDArray[np.float64]

WORDS = PageWords(
    title="Seep sites",
    marks="sites",
    number="recurrence",
    map_label="Map of the sites",
    empty="No sites were found: no place shows slicks on more passes than chance would.",
    details="Archive",
)
# Column -> label, unit, and how it is rounded. Neighbours with one label share a row of the pop-up.
_FIELDS = {
    "passes": ("passes with a slick", "", ""),
    "recurrence_low": ("95 % interval", "", ".2f"),
    "recurrence_high": ("95 % interval", "", ".2f"),
    "recurrence_near": ("with slicks within two radii", "", ".2f"),
    "recurrence_films": ("of passes with films nearby", "", ".2f"),
    "evidence": ("evidence", "", ".1f"),
    "score_mean": ("mean score of slicks", "", ".2f"),
    "area_km2_median": ("median area", "km²", ".3g"),
    "length_km_median": ("median length", "km", ".3g"),
    "target_share": ("passes with a bright target", "", ".2f"),
    "lon": ("lon, lat", "°", ".4f"),
    "lat": ("lon, lat", "°", ".4f"),
    "ellipse_major_km": ("95 % ellipse of the place", "km", ".2g"),
    "ellipse_minor_km": ("95 % ellipse of the place", "km", ".2g"),
}
_KM_PER_DEG = math.radians(1) * EARTH_KM
# Space around the sites, and around one that is looked at, km.
_MARGIN_KM, _NEAR_KM = 10.0, 15.0
_N_CORNERS = 48
# Choice: a few px of a screen; the area is a background.
_SIMPLIFIED_SHARE = 0.003


def sites_page(sites: Sites, class_names: Sequence[str], *, facts: Sequence[tuple[str, str]] = ()) -> str:
    """The page as one string: sites on the area that the scenes cover, listed by rank, with time lines.

    The map is a plain one in km: right in north-south direction, and at the middle latitude in east-west direction.

    Args:
        sites: to show.
        class_names: of the classes 1..7; a site has the most frequent class of its slicks.
        facts: rows of a small table: name and value.
    """
    frame = _Frame.of(sites)
    content = {
        "size": [round(frame.width_km, 3), round(frame.height_km, 3)],
        "scale": 1,
        "pixel_m": 1000,
        "picture": None,
        "corner": [frame.west, frame.north, 1 / (_KM_PER_DEG * frame.shrink), -1 / _KM_PER_DEG],
        "area": _rings(shapely.transform(sites.area, frame.km), frame.width_km * _SIMPLIFIED_SHARE),
        **_times(sites),
        "fields": [[name, *labels[:2]] for name, labels in _FIELDS.items()],
        "shown": ["passes"],
        "marks": _marks(sites, frame),
    }
    return document(WORDS, class_names, facts, content)


class _Frame:
    """From degrees to km east and south of the upper left corner of the map.

    Attributes:
        west, north: the corner in degrees; west may be beyond -180.
        width_km, height_km: size of the map.
        shrink: cosine of the middle latitude.
    """

    def __init__(self, bounds: tuple[float, float, float, float], middle_lon: float) -> None:
        west, south, east, north = bounds
        self.middle_lon = middle_lon
        self.shrink = max(math.cos(math.radians((south + north) / 2)), 0.01)
        self.west = west - _MARGIN_KM / (_KM_PER_DEG * self.shrink)
        self.north = north + _MARGIN_KM / _KM_PER_DEG
        self.width_km = (east - west) * _KM_PER_DEG * self.shrink + 2 * _MARGIN_KM
        self.height_km = (north - south) * _KM_PER_DEG + 2 * _MARGIN_KM

    @classmethod
    def of(cls, sites: Sites) -> _Frame:
        """The frame of the area and the sites."""
        corners = shapely.get_coordinates(sites.area)
        places = np.concatenate([corners, np.stack([sites.columns["lon"], sites.columns["lat"]], axis=1)])
        if not len(places):
            return cls((0.0, 0.0, 0.0, 0.0), 0.0)
        # Archives across the antimeridian have continuous longitudes about their mean direction.
        turns = np.exp(1j * np.radians(places[:, 0]))
        middle = float(np.degrees(np.angle(turns.mean())))
        lon = _about(places[:, 0], middle)
        return cls((lon.min(), places[:, 1].min(), lon.max(), places[:, 1].max()), middle)

    def km(self, lon_lat: Floats) -> Floats:
        """(n, 2) km east and south of the corner."""
        lon = _about(lon_lat[:, 0], self.middle_lon)
        return np.stack(
            [(lon - self.west) * _KM_PER_DEG * self.shrink, (self.north - lon_lat[:, 1]) * _KM_PER_DEG], axis=1
        )


def _about(lon: Floats, middle: float) -> Floats:
    """Longitudes within half a turn of a middle one."""
    return middle + (lon - middle + 180) % 360 - 180


def _marks(sites: Sites, frame: _Frame) -> list[list[Any]]:
    """Class, recurrence, place, None, values and time line of each site, by rank."""
    columns = sites.columns
    places = frame.km(np.stack([columns["lon"], columns["lat"]], axis=1))
    shown = {name: column for name, column in columns.items() if name in _FIELDS}
    lines = _time_lines(sites)
    marks = []
    for i, place in enumerate(places):
        values = [
            f"{columns['n_seen'][i]} of {columns['n_passes'][i]}"
            if name == "passes"
            else None
            if math.isnan(shown[name][i])
            else rounded(float(shown[name][i]), how)
            for name, (_, _, how) in _FIELDS.items()
        ]
        site = {
            "title": f"Site {columns['rank'][i]}",
            "ellipse": _ellipse(place, *(columns[f"ellipse_{part}"][i] for part in ("major_km", "minor_km", "deg"))),
            "near": (place + np.array([(-_NEAR_KM, -_NEAR_KM), (_NEAR_KM, _NEAR_KM)])).round(2).tolist(),
            **lines[i],
        }
        number = round(float(columns["recurrence"][i]), 4)
        marks.append([int(columns["class"][i]), number, place.round(3).tolist(), None, values, site])
    return marks


def _time_lines(sites: Sites) -> list[dict[str, Any]]:
    """Days from pass to pass, the first from the first one of the archive, and "1" for each that shows a slick."""
    views = sites.views
    days = (sites.pass_times[views.number] - sites.pass_times[:1]).astype("timedelta64[D]").astype(int)
    ends = np.cumsum(views.counts(len(sites)))[:-1]
    return [
        {"days": np.diff(day, prepend=0).tolist(), "seen": "".join(map(str, seen.astype(int)))}
        for day, seen in zip(np.split(days, ends), np.split(views.seen, ends), strict=True)
    ][: len(sites)]


def _times(sites: Sites) -> dict[str, Any]:
    """Days from the first to the last pass of the archive, and both dates."""
    times = sites.pass_times.astype("datetime64[D]")
    if not len(times):
        return {"days": 0, "dates": []}
    return {"days": int((times[-1] - times[0]).astype(int)), "dates": [str(times[0]), str(times[-1])]}


def _ellipse(place: Floats, major_km: float, minor_km: float, deg: float) -> list[list[float]]:
    """Corners of an ellipse whose longer axis has this direction, clockwise from north."""
    turn = np.linspace(0, 2 * math.pi, _N_CORNERS, endpoint=False)
    along, across = major_km * np.cos(turn), minor_km * np.sin(turn)
    sin, cos = math.sin(math.radians(deg)), math.cos(math.radians(deg))
    corners = np.stack([place[0] + along * sin + across * cos, place[1] - along * cos + across * sin], axis=1)
    return [[float(x), float(y)] for x, y in corners.round(3)]


def _rings(area: shapely.Geometry, tolerance_km: float) -> list[list[list[list[float]]]]:
    """The rings of each polygon of an area, simplified."""
    parts = shapely.get_parts(shapely.simplify(area, tolerance_km))
    rings = [[part.exterior, *part.interiors] for part in parts if isinstance(part, shapely.Polygon)]
    return [
        [shapely.get_coordinates(ring).round(2).tolist() for ring in some] for some in rings if not some[0].is_empty
    ]
