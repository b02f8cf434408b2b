"""The pixels of an image that lie on land, from a file of land polygons."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from seep_monai.errors import DataError
from seep_monai.scene.place import Place
from seep_monai.scene.polygons import PixelPolygons, check_systems, open_layer, outlines, polygon_parts


class LandMask:
    """Land in the pixels of an image. A pixel is land if its centre is inside a polygon.

    Edges of the polygons are straight in the coordinate system of their file.

    Args:
        path: any file that GDAL reads, with one layer of polygons. It may cover more than the image, or none of it.
        place: of the image.
        shape: (rows, columns) of the image.

    Raises:
        DataError: if the file cannot be read, or has no coordinate system or no polygons; or if the image has no
            coordinate system, or its control points do not give a clear place to the polygons.
    """

    def __init__(self, path: str | os.PathLike[str], place: Place, shape: tuple[int, int]) -> None:
        if place.crs is None:
            raise DataError(
                f"{path}: expected a raster with a coordinate system, to find the land in it, but it has none. Give "
                "the raster a georeference, or leave the land out."
            )
        layer = open_layer(path)
        check_systems(layer, place)
        windows = [outline.bounds for _, outline in outlines(layer, place, shape)]
        if layer.crs is not None and layer.crs.is_geographic:
            # A file has longitudes of -180..180 or of 0..360.
            windows = [(west, *rest) for west, *rest in windows if west <= 360 and rest[1] >= -180]
        geometries = np.concatenate([np.empty(0, object), *(layer.read(bbox=window)[0] for window in windows)])
        if len(geometries) and not len(polygon_parts(geometries)[0]):
            raise DataError(f"{path}: expected polygons of land, but found none. Give a file of areas.")
        self._polygons = PixelPolygons(layer, geometries, place, shape, bent=True)
        self._values = np.ones(len(self._polygons.parts), np.uint8)

    def read(self, rows: slice, columns: slice) -> npt.NDArray[np.bool_]:
        """True where a pixel of the window is land."""
        return self._polygons.burn(self._values, rows, columns).astype(bool)
