"""Where the pixels of an image lie on the map: an affine transform, ground control points, or nothing.

Pixel coordinates are (column, row) from the outer corner of the first pixel, as GDAL counts them: the centre of the
first pixel is (0.5, 0.5).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError, ProjError
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from seep_monai.errors import ConfigError, DataError

Floats = npt.NDArray[np.float64]

# Choice: Sentinel-1 products hold 210 or more control points on a bent grid. A cubic fits native scenes to 5 m, a
# quadratic to 143 m, an affine transform to kilometres.
_ORDER = 3
_N_TERMS = (_ORDER + 1) * (_ORDER + 2) // 2
# What rasterio and pyproj raise on damaged files.
UNREADABLE = (
    rasterio.errors.RasterioError,
    rasterio.errors.RasterioIOError,
    rasterio.errors.CRSError,
    CRSError,
    UnicodeDecodeError,
)
_WGS84 = CRS.from_epsg(4326)
_EARTH = Geod(ellps="WGS84")
# Choice: Newton's method squares the error with every step, and a step below this leaves far less than .01 px.
_LAST_STEP_PX = 1e-3
# Choice: the cubic of a Sentinel-1 scene takes four steps.
_MAX_STEPS = 20
# Choice: 40 m for pixels of 50 m is near enough to leave them as they are.
_SMALLEST_SHARE = 0.75


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

    def inverse(self, places: Floats) -> Floats:
        """(n, 2) columns and rows of (n, 2) x and y, by Newton's method to within .01 px.

        A point for which it does not converge is NaN. A point far from the control points is NaN, or lies outside them.
        """
        middle = np.zeros((1, 2))
        with np.errstate(all="ignore"):
            at = _solved(_slopes(middle, self.coefficients), places - _terms(middle) @ self.coefficients)
            found, going = np.zeros(len(at), bool), np.arange(len(at))
            for _ in range(_MAX_STEPS):
                step = _solved(
                    _slopes(at[going], self.coefficients), places[going] - _terms(at[going]) @ self.coefficients
                )
                at[going] += step
                near = (np.abs(step) * self.scale).max(axis=1) < _LAST_STEP_PX
                found[going[near]] = True
                going = going[~near & np.isfinite(step).all(axis=1)]
        pixels: Floats = np.where(found[:, None], at * self.scale + self.offset, np.nan)
        return pixels


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

    def to_pixels(self, places: Floats) -> Floats:
        """(n, 2) columns and rows of (n, 2) x and y: the inverse of `to_map`.

        With control points, a place far from the image is NaN or lies outside the image, and a longitude may be 360
        degrees off.
        """
        if self.cubic is not None:
            if self.crs is not None and self.crs.is_geographic:
                turns = np.round((self.cubic(self.cubic.offset[None])[0, 0] - places[:, 0]) / 360)
                places = places + np.stack([360 * turns, np.zeros(len(places))], axis=1)
            return self.cubic.inverse(places)
        if self.affine is not None:
            a, b, c, d, e, f = (~self.affine)[:6]
            return places @ np.array([[a, d], [b, e]]) + (c, f)
        return places

    def to_lon_lat(self, pixels: Floats) -> Floats:
        """(n, 2) longitude and latitude in degrees of WGS 84.

        Raises:
            DataError: if the image has no coordinate system, or one without a place on Earth.
        """
        if self.crs is None:
            raise DataError("place: expected a coordinate system, but the image has none. Give it a georeference.")
        return transformed(self.to_map(pixels), self.crs, _WGS84)


def transformed(places: Floats, source: CRS | None, target: CRS | None) -> Floats:
    """(n, 2) x and y in another coordinate system; the same where there is none.

    Raises:
        DataError: if there is no way from one to the other.
    """
    if source == target or source is None or target is None:
        return places.copy()
    try:
        transformer = Transformer.from_crs(source, target, always_xy=True)
    except ProjError as error:
        raise DataError(
            f"coordinate system: expected one that can be transformed to {target.name}, but got {source.name} "
            f"({error}). Give the image or the polygons another one."
        ) from error
    return np.stack(transformer.transform(places[:, 0], places[:, 1]), axis=1)


def pixel_size_m(place: Place, shape: tuple[int, int]) -> float:
    """Geodesic distance of neighbouring pixels at the centre, in m: the geometric mean of rows and columns.

    Args:
        place: of the image.
        shape: (rows, columns) of the image.

    Raises:
        DataError: if the image has no coordinate system.
    """
    row, column = shape[0] / 2, shape[1] / 2
    ends = [(column - 0.5, row), (column + 0.5, row), (column, row - 0.5), (column, row + 0.5)]
    lon, lat = place.to_lon_lat(np.array(ends)).T
    distances = _EARTH.inv(lon[::2], lat[::2], lon[1::2], lat[1::2])[2]
    return float(np.sqrt(distances[0] * distances[1]))


def pixel_factor(size_m: float, wanted_m: float) -> int:
    """How many pixels become one, in rows and in columns, for pixels nearest to the wanted size.

    Args:
        size_m: size of the image's pixels in m.
        wanted_m: the wanted size in m.

    Raises:
        ConfigError: if the wanted pixels are much smaller than those of the image.

    >>> pixel_factor(10.0, 40.0), pixel_factor(40.0, 35.0)
    (4, 1)
    """
    if not wanted_m >= _SMALLEST_SHARE * size_m:
        raise ConfigError(
            f"pixel_size_m: expected about the size of the image's pixels or more, {size_m:.3g} m, but got "
            f"{wanted_m:g}. Pixels can be joined, not divided: give a larger size, or leave it out."
        )
    return max(1, round(wanted_m / size_m))


def scaled(place: Place, factor: int) -> Place:
    """The place of an image whose pixels are factor x factor pixels of the given one."""
    if factor == 1:
        return place
    if place.cubic is not None:
        fit = place.cubic
        return replace(place, cubic=replace(fit, offset=fit.offset / factor, scale=fit.scale / factor))
    return replace(place, affine=None if place.affine is None else scaled_affine(place.affine, factor))


def scaled_affine(affine: Affine, factor: int) -> Affine:
    """The transform of pixels that are `factor` times as long."""
    # Affine 3 deprecates `*`, which Affine 2 needs.
    a, b, c, d, e, f = affine[:6]
    return Affine(a * factor, b * factor, c, d * factor, e * factor, f)


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
        on_grid = crs is not None and affine != Affine.identity()
        chosen = crs if on_grid else points_crs
        system = CRS.from_user_input(chosen) if chosen else None
    except UNREADABLE as error:
        raise DataError(f"{path}: expected an image that GDAL can open, but: {error}.") from error
    if on_grid:
        return Place(system, affine)
    if not points or system is None:
        return Place()
    if len(points) < _N_TERMS:
        raise DataError(
            f"{path}: expected at least {_N_TERMS} ground control points, but got {len(points)}. Warp the image to a "
            "map grid first (gdalwarp)."
        )
    if not np.isfinite([(point.col, point.row, point.x, point.y) for point in points]).all():
        raise DataError(f"{path}: expected finite ground control points, but some are not. Warp the image anew.")
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


def _slopes(scaled: Floats, coefficients: Floats) -> Floats:
    """(n, 2, 2) derivatives of x and y (rows) by scaled column and row (columns)."""
    x, y = scaled[:, 0], scaled[:, 1]
    powers = [(i, j) for i in range(_ORDER + 1) for j in range(_ORDER + 1 - i)]
    by_column = np.stack([i * x ** max(i - 1, 0) * y**j for i, j in powers], axis=1)
    by_row = np.stack([j * x**i * y ** max(j - 1, 0) for i, j in powers], axis=1)
    return np.stack([by_column @ coefficients, by_row @ coefficients], axis=2)


def _solved(slopes: Floats, off: Floats) -> Floats:
    """(n, 2) solutions of n systems of two equations; not finite where there is none."""
    (a, b), (c, d) = np.moveaxis(slopes, 0, 2)
    x, y = off.T
    return np.stack([d * x - b * y, a * y - c * x], axis=1) / (a * d - b * c)[:, None]
