"""A self-contained HTML page with the seeps of a scene on its picture; it fetches nothing."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image
from pyproj import Geod

from seep_monai.errors import DataError
from seep_monai.scene.page_frame import PageWords, document, rounded
from seep_monai.scene.place import Place
from seep_monai.scene.seep_objects import SeepObject, attributes

# Choice: the picture of speckle is then about 3 MB, and a screen shows less.
MOST_PX = 2048
_EARTH = Geod(ellps="WGS84")
_JPEG_QUALITY = 85
# Name of a field -> its label, its unit, and how it is rounded. The names are those of the polygon files.
# Neighbours with one label share a row of the pop-up.
_FIELDS = {
    "area_km2": ("area", "km²", ".3g"),
    "length_km": ("length", "km", ".3g"),
    "width_m": ("mean width", "m", ".3g"),
    "area_px": ("area", "px", ".0f"),
    "length_px": ("length", "px", ".1f"),
    "width_px": ("mean width", "px", ".1f"),
    "orientation_deg": ("direction", "° from north", ".0f"),
    "contrast_db": ("contrast", "dB", ".1f"),
    "lon": ("lon, lat", "°", ".5f"),
    "lat": ("lon, lat", "°", ".5f"),
    "origin_lon": ("origin", "°", ".5f"),
    "origin_lat": ("origin", "°", ".5f"),
    "origin_column": ("origin", "column", ".0f"),
    "origin_row": ("origin", "row", ".0f"),
    "fid": ("fid", "", ".0f"),
}


def quick_look_size(shape: tuple[int, int], most_px: int = MOST_PX) -> float:
    """How many scene px one px of the quick-look covers, at least 1, so that no side is longer than `most_px`.

    >>> quick_look_size((4096, 1000)), quick_look_size((300, 200))
    (2.0, 1.0)
    """
    return max(1.0, max(shape) / most_px)


def map_page(
    quick_look: npt.NDArray[np.uint8],
    scale: float,
    seeps: Sequence[SeepObject],
    place: Place,
    class_names: Sequence[str],
    *,
    scene: str,
    facts: Sequence[tuple[str, str]] = (),
) -> str:
    """The page as one string: a map, a list of the seeps by falling score, a legend and a slider for the score.

    Polygons lie on the picture in pixels of the scene. Their fields are those of the polygon files; undefined ones are
    left out. Without a coordinate system sizes are in px, and there is no scale bar.

    Args:
        quick_look: (h, w) uint8, the grey picture of the scene, at most 2048 px a side.
        scale: scene px per quick-look px, at least 1.
        seeps: the objects of the scene, in the order of the polygon files.
        place: of the scene.
        class_names: of the classes 1..7.
        scene: name of the scene, shown as the title.
        facts: rows of a small table: name and value.

    Raises:
        DataError: if the quick-look is not a grey uint8 picture of that size, the scale is below 1, or a polygon has
            corners that are no pixel corners.
    """
    if (
        quick_look.ndim != 2
        or quick_look.dtype != np.uint8
        or not all(1 <= size <= MOST_PX for size in quick_look.shape)
    ):
        raise DataError(
            f"quick-look: expected (h, w) uint8 of at most {MOST_PX} px a side, but got {quick_look.shape} "
            f"{quick_look.dtype}."
        )
    if not 1 <= scale < math.inf:
        raise DataError(f"scale: expected a number of at least 1, but got {scale}.")
    height, width = (size * scale for size in quick_look.shape)
    along_columns, along_rows = _pixel_m(place, (width / 2, height / 2))
    listed = _listed(seeps, place)
    size_name = "area_px" if place.crs is None else "area_km2"
    content = {
        "size": [width, height],
        "scale": scale,
        "pixel_m": along_columns,
        **listed,
        "shown": [name for name, *_ in listed["fields"] if name == size_name],
        "picture": _data_url(quick_look),
    }
    rows = list(facts)
    if along_columns and along_rows:
        rows.append(("pixel at the centre", f"{along_columns:.4g} m x {along_rows:.4g} m"))
    return document(_words(scene), class_names, rows, content)


def _words(scene: str) -> PageWords:
    return PageWords(
        title=scene,
        marks="seeps",
        number="score",
        map_label="Map of the scene",
        empty="No seeps were found in this scene.",
        details="Scene and model",
    )


def _listed(seeps: Sequence[SeepObject], place: Place) -> dict[str, Any]:
    """`fields` that any seep has: name, label, unit; `marks` by falling score: class, score, origin, parts, values.

    An undefined value is null.
    """
    known = [_values(seep, number, place) for number, seep in enumerate(seeps, start=1)]
    names = [name for name in _FIELDS if any(name in values for values in known)]
    rows = [
        [
            int(seep.label),
            round(float(seep.score), 4),
            seep.centre_line[0].round(1).tolist(),
            [[_ring_steps(ring) for ring in (part.exterior, *part.interiors)] for part in seep.polygon.geoms],
            [values.get(name) for name in names],
        ]
        for seep, values in zip(seeps, known, strict=True)
    ]
    rows.sort(key=lambda row: -row[1])
    return {"fields": [[name, *_FIELDS[name][:2]] for name in names], "marks": rows}


def _values(seep: SeepObject, number: int, place: Place) -> dict[str, float]:
    """The rounded fields that are defined."""
    if place.crs is not None:
        values = attributes(seep, place)
    else:
        # As `attributes` does: a pixel's own length comes on top of the distance between the outer centres.
        length = 1 + float(np.hypot(*np.diff(seep.centre_line, axis=0).T).sum())
        area = float(seep.polygon.area)
        column, row = np.floor(seep.centre_line[0])
        values = {"area_px": area, "length_px": length, "width_px": area / length}
        values |= {"origin_column": float(column), "origin_row": float(row)}
    values |= {"contrast_db": seep.contrast_db, "fid": number}
    return {
        name: rounded(values[name], _FIELDS[name][2]) for name in _FIELDS if math.isfinite(values.get(name, math.nan))
    }


def _ring_steps(ring: shapely.LinearRing) -> list[int]:
    """Column and row of a corner, then the signed px along columns and rows in turn; the last step is left out.

    The ring runs along pixel edges, so this is half as long as pairs of coordinates.
    """
    corners = shapely.get_coordinates(ring)[:-1]
    steps = np.roll(corners, -1, axis=0) - corners
    if ((steps != 0).sum(axis=1) != 1).any() or (corners != np.rint(corners)).any():
        raise DataError("seeps: expected polygons along the edges of pixels, but got other corners.")
    along_columns = steps[:, 0] != 0
    # Points within an edge are no corners.
    corners = corners[along_columns != np.roll(along_columns, 1)]
    if corners[0, 0] == corners[1, 0]:
        corners = np.roll(corners, -1, axis=0)
    return [*corners[0].astype(int).tolist(), *np.diff(corners, axis=0).sum(axis=1).astype(int).tolist()]


def _pixel_m(place: Place, centre: tuple[float, float]) -> tuple[float | None, float | None]:
    """Geodesic distance of two neighbouring columns, and of two neighbouring rows; None where it is unknown."""
    if place.crs is None:
        return None, None
    column, row = centre
    around = np.array([(column - 0.5, row), (column + 0.5, row), (column, row - 0.5), (column, row + 0.5)])
    left, right, above, below = place.to_lon_lat(around)
    metres = float(_EARTH.inv(*left, *right)[2]), float(_EARTH.inv(*above, *below)[2])
    return metres if all(math.isfinite(size) and size > 0 for size in metres) else (None, None)


def _data_url(quick_look: npt.NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(quick_look).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
