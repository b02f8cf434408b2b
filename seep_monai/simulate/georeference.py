"""Georeference of a simulated scene: an affine grid, ground control points, or none.

Pixel coordinates (row, col) are whole numbers at pixel centres: (0, 0) is the centre of the first pixel. Control points
and the upper left corner count from the outer corner of the first pixel, as in GDAL.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Geod
from pyproj.exceptions import CRSError
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine
from scipy.interpolate import RegularGridInterpolator

from seep_monai.errors import SeepError

Coordinates = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

WGS84 = 4326
# Source: GeoTIFF 1.1. PROJ also accepts larger numbers, such as 900913, that are not EPSG codes.
_MAX_EPSG = 32766
# Choice: coordinates are written to 0.001 px, far below the width of a film.
_PIXEL_DECIMALS = 3
# Choice: 7 decimals of a degree, about 1 cm.
_DEGREE_DECIMALS = 7
# Choice: 0.001 px; the sum of corner and size is rounded, and a grid may end exactly at the limit.
_LIMIT_TOLERANCE_PX = 1e-3
# The control points of Sentinel-1 products end one pixel before the corner; a larger gap means another raster.
_EDGE_TOLERANCE_PX = 1.5
_EARTH = Geod(a=6371008.8, f=0)  # Source: a sphere of the IUGG's mean radius in m.


@dataclass(frozen=True)
class NoReference:
    """No georeference: map coordinates are x = col, y = row, in px, y downwards."""

    kind: ClassVar[str] = "none"
    epsg: ClassVar[None] = None
    decimals: ClassVar[int] = _PIXEL_DECIMALS

    def raster_place(self, shape: tuple[int, int]) -> dict[str, Any]:
        """An empty dictionary."""
        del shape
        return {}

    def map_coordinates(self, row: npt.ArrayLike, col: npt.ArrayLike) -> Coordinates:
        """(x, y) = (col, row) as float64."""
        return np.asarray(col, dtype=float), np.asarray(row, dtype=float)


@dataclass(frozen=True)
class AffineReference:
    """A north-up grid in a coordinate system of the EPSG register.

    Attributes:
        epsg: EPSG code of a projected or geographic coordinate system.
        pixel_size: side of a pixel in units of the system (m, degrees, ...), > 0.
        upper_left_x, upper_left_y: outer corner of the first pixel.
    """

    epsg: int
    pixel_size: float
    upper_left_x: float
    upper_left_y: float

    kind: ClassVar[str] = "affine"

    def __post_init__(self) -> None:
        _check_epsg(self.epsg)
        if not _is_number(self.pixel_size) or self.pixel_size <= 0:
            raise SeepError(
                f"pixel_size: expected a number > 0, but got {self.pixel_size!r}. Give the side of a pixel in units of "
                f"EPSG:{self.epsg}."
            )
        for name in ("upper_left_x", "upper_left_y"):
            if not _is_number(getattr(self, name)):
                raise SeepError(f"{name}: expected a finite number, but got {getattr(self, name)!r}.")

    @property
    def decimals(self) -> int:
        """Number of decimals for a resolution of 0.001 px."""
        return max(0, _PIXEL_DECIMALS + math.ceil(-math.log10(self.pixel_size)))

    def raster_place(self, shape: tuple[int, int]) -> dict[str, Any]:
        """`crs` and `transform` for `rasterio.open`.

        Raises:
            SeepError: if the system is geographic and a scene of this shape leaves -180..180 or -90..90 degrees.
        """
        crs = CRS.from_epsg(self.epsg)
        if crs.is_geographic:
            self._check_degrees(shape)
        transform = Affine(self.pixel_size, 0, self.upper_left_x, 0, -self.pixel_size, self.upper_left_y)
        return {"crs": crs, "transform": transform}

    def map_coordinates(self, row: npt.ArrayLike, col: npt.ArrayLike) -> Coordinates:
        """(x, y) of pixel coordinates, float64 of their shape.

        >>> x, y = AffineReference(32618, 10.0, 500000.0, 4000000.0).map_coordinates(0, 2)
        >>> float(x), float(y)
        (500025.0, 3999995.0)
        """
        x = self.upper_left_x + self.pixel_size * (np.asarray(col, dtype=float) + 0.5)
        return x, self.upper_left_y - self.pixel_size * (np.asarray(row, dtype=float) + 0.5)

    def _check_degrees(self, shape: tuple[int, int]) -> None:
        """Raise SeepError if an outer corner is not a valid longitude and latitude."""
        right = self.upper_left_x + self.pixel_size * shape[1]
        lower = self.upper_left_y - self.pixel_size * shape[0]
        tolerance = _LIMIT_TOLERANCE_PX * self.pixel_size
        for name, low, high, limit in (
            ("upper_left_x", self.upper_left_x, right, 180),
            ("upper_left_y", lower, self.upper_left_y, 90),
        ):
            if low < -limit - tolerance or high > limit + tolerance:
                raise SeepError(
                    f"{name}: expected a scene within -{limit}..{limit} degrees, as EPSG:{self.epsg} is geographic, "
                    f"but {shape[0]} x {shape[1]} px of {self.pixel_size} reach from {low} to {high}. Move the corner, "
                    f"give pixel_size in degrees, or use the EPSG code of a projected system."
                )


@dataclass(frozen=True)
class GcpReference:
    """A regular grid of ground control points in longitude and latitude (EPSG:4326), as in Sentinel-1 GRD products.

    Attributes:
        rows: (R,) ascending, from the first pixel's outer corner, over the whole scene.
        cols: (C,) likewise.
        lon: R rows of C longitudes in degrees, -180 to 180; a scene must not cross the date line.
        lat: R rows of C latitudes in degrees, -90 to 90.
    """

    rows: tuple[float, ...]
    cols: tuple[float, ...]
    lon: tuple[tuple[float, ...], ...]
    lat: tuple[tuple[float, ...], ...]

    kind: ClassVar[str] = "gcps"
    epsg: ClassVar[int] = WGS84
    decimals: ClassVar[int] = _DEGREE_DECIMALS

    def __post_init__(self) -> None:
        for name in ("rows", "cols"):
            axis = getattr(self, name)
            is_row = isinstance(axis, tuple) and len(axis) >= 2 and all(map(_is_number, axis))
            if not is_row or np.any(np.diff(axis) <= 0):
                raise SeepError(
                    f"{name}: expected two or more ascending numbers, but got {axis!r}. Give positions in px."
                )
        for name, limit in (("lon", 180), ("lat", 90)):
            grid = getattr(self, name)
            if not _has_shape(grid, len(self.rows), len(self.cols)):
                raise SeepError(
                    f"{name}: expected {len(self.rows)} rows of {len(self.cols)} numbers, to match rows and cols, "
                    f"but got {grid!r:.80}. Give one number per point, as one tuple per row."
                )
            wrong = [value for line in grid for value in line if not _is_number(value) or abs(value) > limit]
            if wrong:
                raise SeepError(
                    f"{name}: expected degrees of -{limit}..{limit}, but got {wrong[0]!r} and {len(wrong) - 1} more "
                    f"out of range. Move the scene away from the date line and the poles."
                )

    def raster_place(self, shape: tuple[int, int]) -> dict[str, Any]:
        """`crs` and `gcps` for `rasterio.open`; the points row by row from the upper left.

        Raises:
            SeepError: if the points do not extend from edge to edge of a scene of this shape.
        """
        for name, axis, size in (("rows", self.rows, shape[0]), ("cols", self.cols, shape[1])):
            if abs(axis[0]) > _EDGE_TOLERANCE_PX or abs(axis[-1] - size) > _EDGE_TOLERANCE_PX:
                raise SeepError(
                    f"{name}: expected control points from 0 to {size}, the scene's size, but got {axis[0]} to "
                    f"{axis[-1]}. Make the points for this scene's shape."
                )
        gcps = [
            GroundControlPoint(row=row, col=col, x=self.lon[i][j], y=self.lat[i][j], z=0)
            for i, row in enumerate(self.rows)
            for j, col in enumerate(self.cols)
        ]
        return {"crs": CRS.from_epsg(WGS84), "gcps": gcps}

    def map_coordinates(self, row: npt.ArrayLike, col: npt.ArrayLike) -> Coordinates:
        """(lon, lat) of pixel coordinates, float64: bilinear between the points, linearly extrapolated outside."""
        places = np.stack(np.broadcast_arrays(row, col), axis=-1).astype(float) + 0.5
        grid = np.stack([self.lon, self.lat], axis=-1)
        interpolated = RegularGridInterpolator((self.rows, self.cols), grid, bounds_error=False, fill_value=None)
        lon, lat = np.moveaxis(interpolated(places).reshape(places.shape), -1, 0)
        return lon, lat


Georeference = NoReference | AffineReference | GcpReference


def orbit_gcps(
    shape: tuple[int, int],
    centre: tuple[float, float],
    *,
    pixel_m: float,
    heading_deg: float,
    n_points: tuple[int, int] = (11, 21),
) -> GcpReference:
    """Control points of a scene along an orbit: rows follow the flight, columns look to its right.

    Args:
        shape: (H, W) of the scene in px.
        centre: (lon, lat) of the scene's centre in degrees.
        pixel_m: side of a pixel in m, > 0.
        heading_deg: flight direction, clockwise from north; about 348 (ascending) and 192 (descending) for Sentinel-1.
        n_points: points down and across. Source: 11 x 21 in a Sentinel-1 IW GRD product.

    Raises:
        SeepError: if a number is out of range, the scene touches a pole or the date line, or its longitudes span more
            than 180 degrees.
    """
    if min(shape) < 1 or min(n_points) < 2:
        raise SeepError(f"shape, n_points: expected at least 1 px and 2 points, but got {shape} and {n_points}.")
    if not (all(map(_is_number, (*centre, pixel_m, heading_deg))) and pixel_m > 0 and abs(centre[1]) <= 90):
        raise SeepError(
            f"orbit: expected finite numbers, pixel_m > 0 and a latitude of -90..90, but got centre {centre}, pixel_m "
            f"{pixel_m!r} and heading_deg {heading_deg!r}."
        )
    _refuse_poles(shape, centre, pixel_m, heading_deg)
    rows, cols = (np.linspace(0, size, n) for size, n in zip(shape, n_points, strict=True))
    along, across = np.meshgrid((rows - shape[0] / 2) * pixel_m, (cols - shape[1] / 2) * pixel_m, indexing="ij")
    azimuth = heading_deg + np.degrees(np.arctan2(across, along))
    # Computed around longitude 0, so that longitudes beyond the date line are detected and not wrapped.
    lon, lat, _ = _EARTH.fwd(np.zeros_like(along), np.full_like(along, centre[1]), azimuth, np.hypot(along, across))
    lon += centre[0]
    if np.ptp(lon) > 180:
        raise SeepError(
            f"centre: expected longitudes that span 180 degrees or less, but {shape[0]} x {shape[1]} px of {pixel_m} m "
            f"around {centre} span {np.ptp(lon):.1f}. Move the scene away from the pole, or give fewer pixels."
        )
    return GcpReference(tuple(rows.tolist()), tuple(cols.tolist()), _nested(lon), _nested(lat))


def to_json(georeference: Georeference) -> dict[str, Any]:
    """The kind and all attributes, ready for JSON."""
    return {"kind": georeference.kind, **asdict(georeference)}


def from_json(content: Mapping[str, Any]) -> Georeference:
    """The inverse of `to_json`.

    Raises:
        SeepError: for an unknown kind, missing or unknown attributes, or values out of range.
    """
    kinds: dict[str, type[Georeference]] = {kind.kind: kind for kind in (NoReference, AffineReference, GcpReference)}
    values = {key: _tuples(value) for key, value in content.items() if key != "kind"}
    kind = kinds.get(content.get("kind", ""))
    if kind is None:
        raise SeepError(f"kind: expected one of {sorted(kinds)}, but got {content.get('kind')!r}. Choose one of these.")
    names = [field.name for field in fields(kind)]
    if sorted(values) != sorted(names):
        raise SeepError(f"{kind.kind}: expected the attributes {names}, but got {sorted(values)}. Give exactly these.")
    return kind(**values)


def _check_epsg(epsg: Any) -> None:
    """Raise SeepError unless this is the code of a projected or geographic system with two axes."""
    try:
        crs = CRS.from_epsg(epsg) if type(epsg) is int and epsg <= _MAX_EPSG else None
    except CRSError:
        crs = None
    if crs is None or not (crs.is_projected or crs.is_geographic) or len(crs.axis_info) != 2:
        found = "" if crs is None else f" ({crs.name}, {crs.type_name})"
        raise SeepError(
            f"epsg: expected the EPSG code of a projected or a 2D geographic system, but got {epsg!r}{found}. "
            f"Look up the code at epsg.org, e.g. 32618 for UTM zone 18N."
        )


def _refuse_poles(shape: tuple[int, int], centre: tuple[float, float], pixel_m: float, heading_deg: float) -> None:
    """Raise SeepError if a pole lies in the scene or within 1 px of it, where longitudes are undefined."""
    for pole in (90, -90):
        azimuth, _, distance_m = _EARTH.inv(*centre, centre[0], pole)
        angle = math.radians(azimuth - heading_deg)
        down, right = (distance_m / pixel_m * side for side in (math.cos(angle), math.sin(angle)))
        if abs(down) <= shape[0] / 2 + 1 and abs(right) <= shape[1] / 2 + 1:
            raise SeepError(
                f"centre: expected a scene that touches no pole, but {shape[0]} x {shape[1]} px of {pixel_m} m around "
                f"{centre} reach latitude {pole}. Move the scene away from the pole, or give fewer pixels."
            )


def _has_shape(grid: Any, n_rows: int, n_cols: int) -> bool:
    """True for a tuple of `n_rows` tuples of `n_cols` each."""
    return (
        isinstance(grid, tuple)
        and len(grid) == n_rows
        and all(isinstance(line, tuple) and len(line) == n_cols for line in grid)
    )


def _nested(grid: npt.NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(line) for line in grid.tolist())


def _tuples(value: Any) -> Any:
    """Convert the lists of JSON to tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
