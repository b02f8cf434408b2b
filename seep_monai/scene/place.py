"""Where the pixels of an image lie on the map: an affine transform, ground control points, or nothing.

Pixel coordinates are (column, row) from the outer corner of the first pixel, as GDAL counts them: the centre of the
first pixel is (0.5, 0.5).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS, Transformer
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from seep_monai.errors import DataError

Floats = npt.NDArray[np.float64]

# Choice: Sentinel-1 products hold 210 or more control points on a bent grid. A cubic fits native scenes to 5 m, a
# quadratic to 143 m, an affine transform to kilometres.
_ORDER = 3
_N_TERMS = (_ORDER + 1) * (_ORDER + 2) // 2
_WGS84 = CRS.from_epsg(4326)


@dataclass(frozen=True, eq=False)
class CubicFit:
    """A polynomial of order 3 from pixel to map coordinates, fitted to control points by least squares.

    Attributes:
        offset, scale: (2,) column and row are shifted and divided by these, so that they lie in [-1, 1].
        coefficients: (10, 2) of x and y.
    """

    offset: Floats
    scale: Floats
    coefficients: Floats

    @classmethod
    def of_points(cls, pixels: Floats, places: Floats) -> Self:
        """The fit.

        Args:
            pixels: (n, 2) columns and rows, at least ten points that do not lie on a line.
            places: (n, 2) x and y.
        """
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        offset = np.asarray((low + high) / 2, np.float64)
        scale: Floats = np.maximum((high - low) / 2, 1e-9)
        coefficients: Any = np.linalg.lstsq(_terms((pixels - offset) / scale), places, rcond=None)[0]
        return cls(offset, scale, coefficients)

    def __call__(self, pixels: Floats) -> Floats:
        """(n, 2) x and y of (n, 2) columns and rows."""
        return _terms((pixels - self.offset) / self.scale) @ self.coefficients


@dataclass(frozen=True, eq=False)
class Place:
    """How pixel coordinates become map coordinates.

    Attributes:
        crs: coordinate system of the map; None: x and y are column and row.
        affine: the affine transform, or None.
        cubic: the fit to control points, or None.
    """

    crs: CRS | None = None
    affine: Affine | None = None
    cubic: CubicFit | None = None

    def to_map(self, pixels: Floats) -> Floats:
        """(n, 2) x and y of (n, 2) columns and rows."""
        if self.cubic is not None:
            return self.cubic(pixels)
        if self.affine is not None:
            a, b, c, d, e, f = self.affine[:6]
            return pixels @ np.array([[a, d], [b, e]]) + (c, f)
        return pixels

    def to_lon_lat(self, pixels: Floats) -> Floats:
        """(n, 2) longitude and latitude in degrees of WGS 84.

        Raises:
            DataError: if the image has no coordinate system.
        """
        if self.crs is None:
            raise DataError("place: expected a coordinate system, but the image has none. Give it a georeference.")
        places = self.to_map(pixels)
        if self.crs == _WGS84:
            return places
        transformer = Transformer.from_crs(self.crs, _WGS84, always_xy=True)
        return np.stack(transformer.transform(places[:, 0], places[:, 1]), axis=1)


def read_place(path: str | os.PathLike[str]) -> Place:
    """The place of an image file; a `Place` without coordinate system if the file, or its control points, have none.

    Raises:
        DataError: if the file cannot be opened, or it has fewer control points than the fit needs.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as source:
                crs, affine = source.crs, source.transform
                points, points_crs = source.gcps
    except rasterio.errors.RasterioIOError as error:
        raise DataError(f"{path}: expected an image that GDAL can open, but: {error}.") from error
    if crs is not None and affine != Affine.identity():
        return Place(CRS.from_user_input(crs), affine)
    if not points or not points_crs:
        return Place()
    if len(points) < _N_TERMS:
        raise DataError(
            f"{path}: expected at least {_N_TERMS} ground control points, but got {len(points)}. Warp the image to a "
            "map grid first (gdalwarp)."
        )
    system = CRS.from_user_input(points_crs)
    return Place(system, cubic=_fit(points, degrees=system.is_geographic))


def _fit(points: Sequence[Any], *, degrees: bool) -> CubicFit:
    pixels = np.array([(point.col, point.row) for point in points], np.float64)
    places = np.array([(point.x, point.y) for point in points], np.float64)
    if degrees:
        # A scene across the antimeridian has longitudes near -180 and near 180: continuous ones can be fitted.
        places[:, 0] = np.unwrap(places[:, 0], period=360)
    return CubicFit.of_points(pixels, places)


def _terms(scaled: Floats) -> Floats:
    """(n, 10) products of the powers of column and row."""
    x, y = scaled[:, 0], scaled[:, 1]
    return np.stack([x**i * y**j for i in range(_ORDER + 1) for j in range(_ORDER + 1 - i)], axis=1)
