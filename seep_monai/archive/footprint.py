"""The area of a scene that holds data, as GeoJSON in longitude and latitude."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from rasterio.enums import Resampling
from rasterio.features import shapes
from rasterio.transform import Affine

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.scene.place import read_place
from seep_monai.scene.polygons import polygon_parts

# Choice: cells of 240 m for a Sentinel-1 scene of 250 km.
_MOST_CELLS = 1024
# Choice: as many pieces of an edge show the bend of a scene in longitude and latitude to a few metres.
_N_PIECES = 16
# Choice: a centimetre or two.
_DIGITS = 7


def valid_area(path: Path) -> dict[str, Any] | None:
    """The polygon of pixels with data, at most 1,024 cells a side; None without a coordinate system or data.

    Args:
        path: of a class map, 255 = no data.
    """
    place = read_place(path)
    if place.crs is None:
        return None
    with rasterio.open(path) as source:
        cell_px = max(1, -(-max(source.shape) // _MOST_CELLS))
        cells = tuple(-(-n // cell_px) for n in source.shape)
        valid = source.read(1, out_shape=cells, resampling=Resampling.nearest) != NO_DATA_LABEL
        to_pixels = Affine.scale(source.width / cells[1], source.height / cells[0])
    parts = [shapely.geometry.shape(part) for part, _ in shapes(valid.astype(np.uint8), valid, 4, to_pixels)]
    # A staircase along a slanted edge has steps of one cell.
    area = shapely.simplify(shapely.unary_union(parts), cell_px)
    area = shapely.segmentize(area, max(valid.shape) * cell_px / _N_PIECES)
    on_globe = split_at_180(shapely.make_valid(shapely.transform(area, place.to_lon_lat)))
    polygons = polygon_parts(np.array([on_globe], object))[0]
    if not len(polygons):
        return None
    whole = polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons.tolist())
    rounded = shapely.transform(whole, lambda places: np.round(places, _DIGITS))
    return dict(shapely.geometry.mapping(shapely.orient_polygons(rounded, exterior_cw=False)))


def split_at_180(area: shapely.Geometry) -> shapely.Geometry:
    """The polygons with longitudes from -180 to 180; those across the antimeridian are cut there (RFC 7946).

    Args:
        area: with continuous longitudes, which may go beyond 180, or with a jump of 360 degrees in a ring.
    """
    west, _, east, _ = shapely.bounds(area)
    if east - west > 180:
        # A ring that jumps: the shape is the one with its western part moved east by a whole turn.
        area = shapely.transform(area, lambda places: np.stack([places[:, 0] % 360, places[:, 1]], axis=1))
        west, _, east, _ = shapely.bounds(area)
    if west >= -180 and east <= 180:
        return area
    parts = []
    for turn in (-360.0, 0.0, 360.0):
        inside = shapely.intersection(area, shapely.box(turn - 180, -90, turn + 180, 90))
        parts.append(_moved(inside, -turn))
    return shapely.unary_union([part for part in parts if not part.is_empty])


def bounds(area: Mapping[str, Any]) -> list[float]:
    """West, south, east and north of a footprint; across the antimeridian west is the larger one (RFC 7946)."""
    whole = shapely.geometry.shape(area)
    west, south, east, north = shapely.bounds(whole)
    if west == -180 and east == 180:
        of_parts = shapely.bounds(shapely.get_parts(whole))
        west, east = of_parts[of_parts[:, 2] == 180, 0].min(), of_parts[of_parts[:, 0] == -180, 2].max()
    return [float(value) for value in (west, south, east, north)]


def _moved(area: shapely.Geometry, turn: float) -> shapely.Geometry:
    return shapely.transform(area, lambda places: np.add(places, (turn, 0.0)))
