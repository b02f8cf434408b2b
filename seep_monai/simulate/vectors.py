"""Ground truth of a simulated scene as vectors: a GeoJSON file with the centre line of every ribbon.

Coordinates are those of the scene's georeference. RFC 7946 allows only longitude and latitude. Other systems are named
by the "crs" member of the GeoJSON specification of 2008, which GDAL and QGIS read. Without a georeference the
coordinates are pixels, x = col and y = row, and the member names a local system, so that they are not read as degrees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from skimage.measure import approximate_polygon

from seep_monai.classes import DEFAULT_CLASS_NAMES, checked_class_names
from seep_monai.errors import SeepError
from seep_monai.rectangles import Window
from seep_monai.simulate.georeference import WGS84, Georeference
from seep_monai.simulate.slicks import CORE_SHARE, Ribbon

# Choice: half a pixel; a simplified line stays inside the thinnest film.
THINNING_PX = 0.5
# Choice: at most 512 points (some 360 px) between vertices. With control points, straight pixel lines are curved on the
# map, but over this length by much less than the simplification.
_PIECE_POINTS = 512

PIXELS_NOTE = "no georeference: x = column and y = row in px, whole numbers at pixel centres, y downwards"
# GDAL accepts WKT as a name; it reads a null "crs" as longitude and latitude.
_PIXEL_SYSTEM = 'ENGCRS["pixels",EDATUM["raster"],CS[Cartesian,2],AXIS["x",east],AXIS["y",south],LENGTHUNIT["pixel",1]]'
DRIFT_NOTE = "drift_deg: 0 towards higher columns, 90 towards higher rows"

Line = npt.NDArray[np.float64]


class SlickTruth(Protocol):
    """The attributes of a slick that are used here.

    Attributes:
        label: class, 1..7.
        origin: (row, col) in px.
        drift_rad: direction of the drift, 0 towards higher columns, pi/2 towards higher rows.
        ribbons: its films.
    """

    @property
    def label(self) -> int: ...
    @property
    def origin(self) -> tuple[float, float]: ...
    @property
    def drift_rad(self) -> float: ...
    @property
    def ribbons(self) -> Sequence[Ribbon]: ...


class SceneTruth(Protocol):
    """The attributes and methods of a scene that are used here.

    Attributes:
        shape: (H, W) in px.
        slicks: all slicks; they may extend beyond the scene.
    """

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def slicks(self) -> Sequence[SlickTruth]: ...

    def draw(self, window: Window) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
        """Image (DN 0 = no-data) and mask (0 or 1..7) of a window."""
        ...

    def wind_at(self, row: float, col: float) -> float:
        """Wind speed in m/s."""
        ...

    def shown_at(self, rows: Line, cols: Line) -> npt.NDArray[np.floating]:
        """(n,) visible share, 0..1, of a film's damping at positions (n,) in px; 0 outside the swath."""
        ...


def feature_collection(
    scene: SceneTruth,
    name: str,
    georeference: Georeference,
    *,
    class_names: Sequence[str] = DEFAULT_CLASS_NAMES,
) -> dict[str, Any]:
    """The scene's films as a GeoJSON FeatureCollection of LineStrings.

    A ribbon gives one feature for each stretch of its centre line inside the scene; `part` numbers them from 0. The
    line includes points without a label in the mask: thin and broken parts, no-data, and films hidden by the wind. A
    feature with a `visible_share` of 0 may have no pixel in the mask. Side branches are not part of the line. For a
    film of parallel strands, the line and its width are those of the first strand. Properties of a feature:

    - `scene`, `slick` and `ribbon` (0-based indices of the scene's slicks and of the slick's ribbons), `part`;
    - `class` (1..7), `class_name`;
    - `origin_row`, `origin_col` (px), `origin_x`, `origin_y` (map), `drift_deg` and `wind_m_s` there, of the slick;
    - `length_px`, `width_px_median`, `width_px_max`, `strength_median` of the stretch, before simplification;
    - `damping_db` of the ribbon;
    - `visible_share`: share of the stretch's points that are visible, with a strength of at least `CORE_SHARE` and a
      `shown_at` above 0; exactly 0 if none is;
    - `damping_seen_db`: median of damping * strength * `shown_at` over the visible points; null if there are none.
      Other films that cross the line are ignored.

    Raises:
        SeepError: if a slick holds a class that is not 1..7, or a number that is not finite.
    """
    names = checked_class_names(class_names)
    features: list[dict[str, Any]] = []
    for index, slick in enumerate(scene.slicks):
        if slick.label not in range(1, len(names) + 1):
            raise SeepError(f"{name}, slick {index}: expected a class of 1..{len(names)}, but got {slick.label}.")
        common = {"scene": name, "slick": index, "class_name": names[slick.label - 1]}
        features.extend(_slick_features(scene, slick, georeference, common))
    return {"type": "FeatureCollection", "name": name, **_coordinate_system(georeference), "features": features}


def geojson_text(collection: dict[str, Any]) -> str:
    """A FeatureCollection as JSON text, one feature per line.

    Raises:
        SeepError: if a number is not finite, which JSON cannot hold.
    """
    head = {key: value for key, value in collection.items() if key != "features"}
    try:
        features = ",\n".join(json.dumps(feature, allow_nan=False) for feature in collection["features"])
    except ValueError as error:
        raise SeepError(
            f"{collection.get('name')}: expected finite numbers in the vectors, but got NaN or infinity. Check the "
            f"slicks of the scene and the wind at their origins."
        ) from error
    return f'{json.dumps(head)[:-1]}, "features": [\n{features}\n]}}\n'


def _coordinate_system(georeference: Georeference) -> dict[str, Any]:
    """The members that specify the coordinate system."""
    if georeference.epsg == WGS84:  # the default of GeoJSON
        return {"drift_note": DRIFT_NOTE}
    local = georeference.epsg is None
    system = _PIXEL_SYSTEM if local else f"urn:ogc:def:crs:EPSG::{georeference.epsg}"
    crs = {"crs": {"type": "name", "properties": {"name": system}}, "drift_note": DRIFT_NOTE}
    return {**crs, "coordinates_note": PIXELS_NOTE} if local else crs


def _slick_features(
    scene: SceneTruth, slick: SlickTruth, georeference: Georeference, common: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """The features of one slick."""
    row, col = map(float, slick.origin)
    x, y = _mapped(np.array([[row, col]]), georeference)[0]
    of_slick = {
        **common,
        "class": int(slick.label),
        "origin_row": round(row, 3),
        "origin_col": round(col, 3),
        "origin_x": x,
        "origin_y": y,
        "drift_deg": round(float(np.degrees(slick.drift_rad)) % 360, 3),
        "wind_m_s": round(float(scene.wind_at(row, col)), 3),
    }
    for number, ribbon in enumerate(slick.ribbons):
        for part, inside in enumerate(_stretches(ribbon, scene.shape)):
            line = np.column_stack([ribbon.rows[inside], ribbon.cols[inside]]).astype(float)
            measures = {**_ribbon_properties(ribbon, inside, line), **_seen_properties(scene, ribbon, inside, line)}
            yield {
                "type": "Feature",
                "properties": {**of_slick, "ribbon": number, "part": part, **measures},
                "geometry": {"type": "LineString", "coordinates": _mapped(thinned(line), georeference)},
            }


def _ribbon_properties(ribbon: Ribbon, inside: slice, line: Line) -> dict[str, float]:
    """Measures of one stretch of a ribbon."""
    width, strength = ribbon.width_px[inside], ribbon.strength[inside]
    measures = {
        "length_px": np.hypot(*np.diff(line, axis=0).T).sum(),
        "width_px_median": np.median(width),
        "width_px_max": width.max(),
        "strength_median": np.median(strength),
        "damping_db": ribbon.damping_db,
    }
    return {key: round(float(value), 3) for key, value in measures.items()}


def _seen_properties(scene: SceneTruth, ribbon: Ribbon, inside: slice, line: Line) -> dict[str, float | None]:
    """Visibility of one stretch of a ribbon."""
    strength = ribbon.strength[inside]
    # NaN positions are not passed to the scene; `geojson_text` raises an error for them.
    asked = (strength >= CORE_SHARE) & np.isfinite(line).all(axis=1)
    shown = np.zeros(len(line))
    shown[asked] = scene.shown_at(line[asked, 0], line[asked, 1])
    # NaN counts as visible, so that it is reported.
    showing = shown != 0
    damping_db = ribbon.damping_db * strength[showing] * shown[showing]
    return {
        # Six digits, so that a few visible points of a long line are not rounded to 0.
        "visible_share": round(float(showing.mean()), 6),
        "damping_seen_db": round(float(np.median(damping_db)), 3) if showing.any() else None,
    }


def _stretches(ribbon: Ribbon, shape: tuple[int, int]) -> list[slice]:
    """The runs of consecutive centre-line points that lie on the scene's pixels."""
    rows, cols = ribbon.rows[: ribbon.n_line], ribbon.cols[: ribbon.n_line]
    # The first pixel spans -0.5 to 0.5.
    inside = (rows >= -0.5) & (rows < shape[0] - 0.5) & (cols >= -0.5) & (cols < shape[1] - 0.5)
    # NaN counts as inside, so that it is reported.
    inside |= ~(np.isfinite(rows) & np.isfinite(cols))
    ends = np.flatnonzero(np.diff(inside.astype(int), prepend=0, append=0))
    return [slice(int(start), int(stop)) for start, stop in ends.reshape(-1, 2)]


def thinned(line: Line) -> Line:
    """Simplify a line; the result is at most `THINNING_PX` away from all given points.

    Args:
        line: (n, 2) of (row, col), n >= 1.

    Returns:
        (m, 2), m >= 2: the first and the last point, and some in between. A single point is repeated, because a
        LineString needs two positions.
    """
    if len(line) == 1:
        return np.repeat(line, 2, axis=0)
    starts = range(0, len(line) - 1, _PIECE_POINTS)
    pieces = [approximate_polygon(line[start : start + _PIECE_POINTS + 1], THINNING_PX) for start in starts]
    # The last point of each piece is the first one of the next.
    return np.concatenate([*(piece[:-1] for piece in pieces), line[-1:]])


def _mapped(line: Line, georeference: Georeference) -> list[list[float]]:
    """(x, y) of each (row, col), as GeoJSON positions."""
    x, y = georeference.map_coordinates(line[:, 0], line[:, 1])
    return np.column_stack([x, y]).round(georeference.decimals).tolist()
