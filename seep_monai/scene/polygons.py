"""Polygons of a vector file, in the pixel coordinates of an image and on its pixels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.features import rasterize
from rasterio.transform import Affine

from seep_monai.errors import DataError, listed
from seep_monai.rectangles import shape_of
from seep_monai.scene.place import Floats, Place, transformed

Geometries = npt.NDArray[np.object_]

# Choice: more than an outline of straight pieces differs from the bent edge of an image.
_MARGIN_PX = 16
# Choice: at 10 m a straight edge of 256 px differs by .1 px between longitude and latitude and UTM at 60 degrees north.
# Images of few, large pixels need shorter pieces.
_PIECE_PX, _MIN_PIECES = 256, 64
# Choice: GDAL looks at every vertex for every row of a window, so long coasts are cut to the window first.
_MANY_VERTICES = 1000
# Not a whole number, so that no edge along pixel corners lies on the cut, and no pixel's centre is affected.
_CUT_PX = 1.25
# Choice: the Earth has places of up to 1e8 m, and geometry is exact enough far beyond.
_FAR = 1e10
# Source: shapely.GeometryType.
_POLYGON, _FIRST_COLLECTION = 3, 4


@dataclass(frozen=True, eq=False)
class VectorLayer:
    """A layer of a vector file, unread.

    Attributes:
        path: of the file.
        name: of the layer.
        crs: its coordinate system; None: it has none.
        fields: names of its fields.
    """

    path: Path
    name: str
    crs: CRS | None
    fields: tuple[str, ...]

    def read(
        self, field: str | None = None, *, bbox: tuple[float, float, float, float] | None = None
    ) -> tuple[Geometries, npt.NDArray[Any] | None]:
        """(n,) two-dimensional geometries, None where a feature has none, and (n,) values of a field.

        Args:
            field: its name; None: no field is read.
            bbox: left, lower, right and upper limit of the features to read; None: all.

        Raises:
            DataError: if the file cannot be read, or coordinates are those of no place.
        """
        try:
            _, _, wkb, values = pyogrio.raw.read(
                self.path, layer=self.name, columns=[] if field is None else [field], bbox=bbox, force_2d=True
            )
            geometries = shapely.from_wkb(wkb)
        except (RuntimeError, ValueError, shapely.errors.GEOSException) as error:
            raise _unreadable(self.path, error) from error
        # False for NaN, too.
        if not (np.abs(shapely.get_coordinates(geometries)) < _FAR).all():
            raise DataError(
                f"{self.path}: expected coordinates below {_FAR:g}, but some are not. Correct the polygons."
            )
        return np.asarray(geometries, object), None if field is None else values[0]


def open_layer(path: str | os.PathLike[str], *, layer: str | None = None) -> VectorLayer:
    """A layer of polygons.

    Args:
        path: any file that GDAL reads.
        layer: its name; None: the only one that has geometries.

    Raises:
        DataError: if the file cannot be read, it has no such layer or several and none is chosen, or the layer has no
            features, or features that are no polygons.
    """
    try:
        layers = pyogrio.list_layers(path)
        name = _chosen_layer(path, [(str(n), kind) for n, kind in layers], layer)
        info = pyogrio.read_info(path, layer=name, force_feature_count=True)
        crs = known_system(info["crs"])
    except (RuntimeError, ValueError, CRSError) as error:
        if isinstance(error, DataError):
            raise
        raise _unreadable(path, error) from error
    if not info["features"]:
        raise DataError(f"{path}: expected polygons, but its layer {name!r} is empty. Draw one or more.")
    kind = str(info["geometry_type"])
    if any(word in kind for word in ("Point", "LineString")):
        raise DataError(f"{path}: expected polygons, but its layer {name!r} holds {kind}. Give a file of areas.")
    return VectorLayer(Path(path), name, crs, tuple(info["fields"]))


def polygon_parts(geometries: Geometries) -> tuple[Geometries, npt.NDArray[np.int64]]:
    """The polygons of (n,) geometries, and the index of the geometry that each belongs to.

    >>> square = shapely.box(0, 0, 1, 1)
    >>> shapes = np.array([None, shapely.MultiPolygon([square, shapely.box(2, 2, 3, 3)]), square], object)
    >>> polygon_parts(shapes)[1].tolist()
    [1, 1, 2]
    """
    parts, owners = shapely.get_parts(geometries, return_index=True)
    while (shapely.get_type_id(parts) >= _FIRST_COLLECTION).any():
        parts, inner = shapely.get_parts(parts, return_index=True)
        owners = owners[inner]
    kept = (shapely.get_type_id(parts) == _POLYGON) & ~shapely.is_empty(parts)
    return parts[kept], owners[kept]


def check_systems(layer: VectorLayer, place: Place) -> None:
    """Raise DataError if either the polygons or the image have a coordinate system, and the other has none."""
    path, crs = layer.path, layer.crs
    if crs is None and place.crs is not None:
        raise DataError(
            f"{path}: expected a coordinate system, for the raster has one, but the polygons have none. Set it (QGIS: "
            "layer properties, source)."
        )
    if crs is not None and place.crs is None:
        raise DataError(
            f"{path}: expected polygons without a coordinate system, in px with x = column and y = -row, for the "
            f"raster has none, but got {crs.name}. Give the raster a georeference, or draw in a layer without one."
        )


def outlines(layer: VectorLayer, place: Place, shape: tuple[int, int]) -> list[tuple[float, shapely.Polygon]]:
    """The image's outline with a margin in the coordinate system of a layer: one polygon, or none if it has no place.

    In degrees the outline is given three times, for polygons whose longitudes differ by a whole turn.

    Args:
        layer: with a coordinate system.
        place: of the image, with a coordinate system.
        shape: (rows, columns) of the image.

    Returns:
        The number to add to x of what lies in an outline, and the outline.

    Raises:
        DataError: if the outline goes round a pole and the layer is in degrees.
    """
    crs = layer.crs
    if crs is None:
        return []
    height, width = shape
    box = shapely.box(-_MARGIN_PX, -_MARGIN_PX, width + _MARGIN_PX, height + _MARGIN_PX)
    ring = shapely.get_coordinates(shapely.segmentize(box, _piece_px(shape)))
    places = transformed(place.to_map(ring), place.crs, crs)
    if not np.isfinite(places).all():
        return []
    if not crs.is_geographic:
        return [(0.0, _valid_polygon(places))]
    places[:, 0] = np.unwrap(places[:, 0], period=360)
    if abs(places[-1, 0] - places[0, 0]) > 180:
        raise DataError(
            f"{layer.path}: expected a raster that does not reach round a pole, because the polygons are in degrees. "
            "Reproject them to the raster's coordinate system (ogr2ogr -t_srs)."
        )
    turn = 360 * np.round(places[:, 0].mean() / 360)
    return [(turn + more, _valid_polygon(places - (turn + more, 0))) for more in (-360.0, 0.0, 360.0)]


class PixelPolygons:
    """Polygons in the pixel coordinates of an image.

    Attributes:
        parts: (n,) polygons in (column, row), in the order of their geometries. What lies farther than a margin outside
            the image is left out or cut off; other vertices are kept.
        owners: (n,) index of the geometry that each belongs to.

    Args:
        layer: the geometries' own. Without a coordinate system they are in px, x = column and y = -row.
        geometries: of the layer; what is no polygon is left out.
        place: of the image.
        shape: (rows, columns) of the image.
        bent: whether edges are straight in the coordinate system of the polygons, so that they are curves in the image;
            otherwise they are straight in the image.

    Raises:
        DataError: see `check_systems` and `outlines`; if the control points of the image do not give a clear place to
            the polygons.
    """

    def __init__(
        self, layer: VectorLayer, geometries: Geometries, place: Place, shape: tuple[int, int], *, bent: bool
    ) -> None:
        check_systems(layer, place)
        parts, owners = polygon_parts(geometries)
        if layer.crs is None:
            pixels = shapely.transform(parts, lambda places: places * (1, -1))
        else:
            found = [_near(parts, owners, *outline, shape, bent=bent) for outline in outlines(layer, place, shape)]
            parts = np.concatenate([np.empty(0, object), *(near for near, _ in found)])
            owners = np.concatenate([np.empty(0, np.int64), *(of for _, of in found)])
            pixels = shapely.transform(parts, lambda xy: place.to_pixels(transformed(xy, layer.crs, place.crs)))
        if not np.isfinite(shapely.get_coordinates(pixels)).all():
            raise DataError(
                f"{layer.path}: expected a raster whose control points give each place of a polygon a pixel, but some "
                "have none. Warp the raster to a map grid first (gdalwarp)."
            )
        touching = shapely.intersects(shapely.box(0, 0, shape[1], shape[0]), shapely.envelope(pixels))
        order = np.flatnonzero(touching)[np.argsort(owners[touching], kind="stable")]
        self.parts, self.owners = pixels[order], owners[order]
        self._tree = shapely.STRtree(self.parts)

    def burn(self, values: npt.NDArray[np.uint8], rows: slice, columns: slice) -> npt.NDArray[np.uint8]:
        """The value of the polygon that each pixel's centre is inside, 0 outside; of several, that of the last.

        Args:
            values: (n,) of the parts.
            rows, columns: of the window.
        """
        shape = shape_of((rows, columns))
        window = (columns.start - _CUT_PX, rows.start - _CUT_PX, columns.stop + _CUT_PX, rows.stop + _CUT_PX)
        near = np.sort(self._tree.query(shapely.box(*window)))
        parts = self.parts[near]
        long = shapely.get_num_coordinates(parts) > _MANY_VERTICES
        parts[long] = shapely.clip_by_rect(parts[long], *window)
        parts, of = polygon_parts(parts)
        if not len(parts):
            return np.zeros(shape, np.uint8)
        burned: npt.NDArray[np.uint8] = rasterize(
            zip(parts, values[near][of].tolist(), strict=True),
            out_shape=shape,
            transform=Affine.translation(columns.start, rows.start),
            dtype="uint8",
        )
        return burned


def _near(
    parts: Geometries,
    owners: npt.NDArray[np.int64],
    turn: float,
    outline: shapely.Polygon,
    shape: tuple[int, int],
    *,
    bent: bool,
) -> tuple[Geometries, npt.NDArray[np.int64]]:
    """Polygons that are inside an outline, or what of them is, and their owners."""
    shapely.prepare(outline)
    touching = shapely.intersects(outline, shapely.envelope(parts))
    parts, owners = parts[touching], owners[touching]
    outside = ~shapely.covers(outline, parts)
    # Whole polygons stay as they are; only valid ones can be cut.
    cut = shapely.intersection(outline, shapely.make_valid(parts[outside]))
    cut_parts, cut_owners = polygon_parts(cut)
    parts = np.concatenate([parts[~outside], cut_parts])
    owners = np.concatenate([owners[~outside], owners[outside][cut_owners]])
    if bent:
        pixel_size = np.sqrt(outline.area / ((shape[0] + 2 * _MARGIN_PX) * (shape[1] + 2 * _MARGIN_PX)))
        parts = shapely.segmentize(parts, _piece_px(shape) * pixel_size)
    return shapely.transform(parts, lambda places: np.add(places, (turn, 0))), owners


def _piece_px(shape: tuple[int, int]) -> float:
    return min(_PIECE_PX, max(shape) / _MIN_PIECES)


def _valid_polygon(ring: Floats) -> shapely.Polygon:
    return shapely.make_valid(shapely.Polygon(ring))


def known_system(text: str | None) -> CRS | None:
    """The coordinate system, None also for GDAL's undefined ones and those without a place on Earth."""
    if text is None:
        return None
    crs = CRS.from_user_input(text)
    # Source: GeoPackage: systems -1 and 0 are undefined.
    return None if crs.name.lower().startswith("undefined") or crs.type_name == "Engineering CRS" else crs


def _chosen_layer(path: object, layers: list[tuple[str, Any]], layer: str | None) -> str:
    names = [name for name, kind in layers if kind is not None or name == layer]
    if layer is not None and layer not in names:
        raise DataError(f"{path}: expected a layer named {layer!r}, but it has {listed(names)}. Choose one of these.")
    if layer is None and len(names) != 1:
        got = f"{len(names)}: {listed(names)}" if names else "none"
        raise DataError(f"{path}: expected one layer with geometries, but got {got}. Choose one, or give another file.")
    return names[0] if layer is None else layer


def _unreadable(path: object, error: Exception) -> DataError:
    reason = " ".join(str(error).split()).rstrip(".")
    return DataError(f"{path}: expected a vector file that GDAL can open, but: {reason}. Check the file.")
