"""Where a simulated scene lies on the map: an affine grid, ground control points, or nowhere.

Pixel coordinates (row, col) are whole numbers at pixel centres, as ribbons have them: (0, 0) is the centre of the first
pixel. Control points and the upper left corner count from the outer corner of the first pixel, as GDAL does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from seep_monai.errors import SeepError
from seep_monai.geo import GEO_KEYS, PIXEL_SCALE, TIEPOINTS, GeoTags

Coordinates = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

WGS84 = 4326
# Source: GeoTIFF 1.1: 1024 and above are EPSG codes, 32767 is "user defined".
_EPSG_CODES = range(1024, 32767)
# Source: the EPSG register; the blocks that hold geographic systems only, among them WGS 84, NAD83 and ETRS89.
_GEOGRAPHIC_BLOCKS = (range(4001, 4056), range(4120, 4217), range(4218, 4389), range(4600, 4647), range(4657, 4766))
_GEOGRAPHIC_KEY, _PROJECTED_KEY = 2048, 3072
# Choice: coordinates are written to a thousandth of a pixel, far below the width of a film.
_PIXEL_DECIMALS = 3
# Choice: 7 decimals of a degree are a centimetre.
_DEGREE_DECIMALS = 7
# Choice: a thousandth of a pixel; the sum of corner and size is rounded, and a grid may end at the limit itself.
_LIMIT_TOLERANCE_PX = 1e-3
# Sentinel-1 products end their control points one pixel before the corner; anything more is another raster's grid.
_EDGE_TOLERANCE_PX = 1.5
_EARTH_RADIUS_M = 6371008.8  # Source: mean radius of the IUGG.


@dataclass(frozen=True)
class NoReference:
    """A scene that lies nowhere: map coordinates are x = col, y = row, in px, y downwards."""

    kind: ClassVar[str] = "none"
    epsg: ClassVar[None] = None
    decimals: ClassVar[int] = _PIXEL_DECIMALS

    def geo_tags(self, shape: tuple[int, int]) -> GeoTags:
        """No tags, whatever the shape."""
        del shape
        return {}

    def map_coordinates(self, row: npt.ArrayLike, col: npt.ArrayLike) -> Coordinates:
        """(x, y) = (col, row) as float64."""
        return np.asarray(col, dtype=float), np.asarray(row, dtype=float)


@dataclass(frozen=True)
class AffineReference:
    """A north-up grid in a coordinate system of the EPSG register.

    Whether a code exists, and what its unit is, cannot be checked without the register; a code outside the register's
    geographic blocks is tagged as a projected one (GDAL looks the code up and reads either right).

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
        if type(self.epsg) is not int or self.epsg not in _EPSG_CODES:
            raise SeepError(
                f"epsg: expected a whole number of {_EPSG_CODES.start}..{_EPSG_CODES.stop - 1}, but got {self.epsg!r}. "
                f"Give the EPSG code of a coordinate system, e.g. 32618."
            )
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
        """Decimals that give a thousandth of a pixel."""
        return max(0, _PIXEL_DECIMALS + math.ceil(-math.log10(self.pixel_size)))

    def geo_tags(self, shape: tuple[int, int]) -> GeoTags:
        """Pixel scale, one tiepoint and geo keys; the same for every shape.

        Raises:
            SeepError: in a geographic system, if a scene of this shape leaves -180..180 or -90..90 degrees.
        """
        if _is_geographic(self.epsg):
            self._check_degrees(shape)
        return {
            PIXEL_SCALE: (float(self.pixel_size), float(self.pixel_size), 0.0),
            TIEPOINTS: (0.0, 0.0, 0.0, float(self.upper_left_x), float(self.upper_left_y), 0.0),
            GEO_KEYS: _geo_keys(self.epsg),
        }

    def map_coordinates(self, row: npt.ArrayLike, col: npt.ArrayLike) -> Coordinates:
        """(x, y) of pixel coordinates, float64 of their shape.

        >>> x, y = AffineReference(32618, 10.0, 500000.0, 4000000.0).map_coordinates(0, 2)
        >>> float(x), float(y)
        (500025.0, 3999995.0)
        """
        x = self.upper_left_x + self.pixel_size * (np.asarray(col, dtype=float) + 0.5)
        return x, self.upper_left_y - self.pixel_size * (np.asarray(row, dtype=float) + 0.5)

    def _check_degrees(self, shape: tuple[int, int]) -> None:
        """Raise a SeepError if the outer corners are no longitudes and latitudes."""
        right = self.upper_left_x + self.pixel_size * shape[1]
        lower = self.upper_left_y - self.pixel_size * shape[0]
        tolerance = _LIMIT_TOLERANCE_PX * self.pixel_size
        for name, low, high, limit in (
            ("upper_left_x", self.upper_left_x, right, 180),
            ("upper_left_y", lower, self.upper_left_y, 90),
        ):
            if low < -limit - tolerance or high > limit + tolerance:
                raise SeepError(
                    f"{name}: expected a scene within -{limit}..{limit} degrees, for EPSG:{self.epsg} is geographic, "
                    f"but {shape[0]} x {shape[1]} px of {self.pixel_size} reach from {low} to {high}. Move the corner, "
                    f"give pixel_size in degrees, or take the EPSG code of a projected system."
                )


@dataclass(frozen=True)
class GcpReference:
    """A regular grid of ground control points in longitude and latitude (EPSG:4326), as Sentinel-1 GRD products have.

    Attributes:
        rows: (R,) ascending, from the first pixel's outer corner; they reach over the whole scene.
        cols: (C,) likewise.
        lon: R rows of C longitudes in degrees, -180 to 180; no scene lies across the date line.
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
                    f"{name}: expected two or more ascending numbers, but got {axis!r}. Give the points' places in px."
                )
        for name, limit in (("lon", 180), ("lat", 90)):
            grid = getattr(self, name)
            if not _has_shape(grid, len(self.rows), len(self.cols)):
                raise SeepError(
                    f"{name}: expected {len(self.rows)} rows of {len(self.cols)} numbers, as rows and cols have them, "
                    f"but got {grid!r:.80}. Give one number per point, each row in brackets of its own."
                )
            wrong = [value for line in grid for value in line if not _is_number(value) or abs(value) > limit]
            if wrong:
                raise SeepError(
                    f"{name}: expected degrees of -{limit}..{limit}, but got {wrong[0]!r} and {len(wrong) - 1} more "
                    f"like it. Move the scene off the date line and the poles."
                )

    def geo_tags(self, shape: tuple[int, int]) -> GeoTags:
        """The tiepoints, row by row from the upper left, and geo keys.

        Raises:
            SeepError: if the points do not reach from edge to edge of a scene of this shape.
        """
        for name, axis, size in (("rows", self.rows, shape[0]), ("cols", self.cols, shape[1])):
            if abs(axis[0]) > _EDGE_TOLERANCE_PX or abs(axis[-1] - size) > _EDGE_TOLERANCE_PX:
                raise SeepError(
                    f"{name}: expected control points from 0 to {size}, the scene's size, but got {axis[0]} to "
                    f"{axis[-1]}. Make the points for this scene's shape."
                )
        points = (
            (float(col), float(row), 0.0, float(self.lon[i][j]), float(self.lat[i][j]), 0.0)
            for i, row in enumerate(self.rows)
            for j, col in enumerate(self.cols)
        )
        return {TIEPOINTS: tuple(number for point in points for number in point), GEO_KEYS: _geo_keys(WGS84)}

    def map_coordinates(self, row: npt.ArrayLike, col: npt.ArrayLike) -> Coordinates:
        """(lon, lat) of pixel coordinates, float64 of their shape: bilinear between the points, linear on outside."""
        i, down = _cell(self.rows, np.asarray(row, dtype=float) + 0.5)
        j, right = _cell(self.cols, np.asarray(col, dtype=float) + 0.5)
        lon, lat = (
            (1 - down) * ((1 - right) * grid[i, j] + right * grid[i, j + 1])
            + down * ((1 - right) * grid[i + 1, j] + right * grid[i + 1, j + 1])
            for grid in (np.array(self.lon), np.array(self.lat))
        )
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
        heading_deg: direction of flight, clockwise from north; Sentinel-1 flies at about 348 (ascending) and 192.
        n_points: points down and across. Source: 11 x 21 in a Sentinel-1 IW GRD product.

    Raises:
        SeepError: if a number is out of range, the scene touches a pole or the date line, or its longitudes span more
            than 180 degrees.
    """
    if min(shape) < 1 or min(n_points) < 2:
        raise SeepError(f"expected a shape of 1 px and n_points of 2 or more, but got {shape} and {n_points}.")
    if not (all(map(_is_number, (*centre, pixel_m, heading_deg))) and pixel_m > 0 and abs(centre[1]) <= 90):
        raise SeepError(
            f"expected finite numbers, pixel_m > 0 and a latitude of -90..90, but got centre {centre}, pixel_m "
            f"{pixel_m!r} and heading_deg {heading_deg!r}."
        )
    _refuse_poles(shape, centre, pixel_m, math.radians(heading_deg))
    rows, cols = (np.linspace(0, size, n) for size, n in zip(shape, n_points, strict=True))
    along, across = np.meshgrid((rows - shape[0] / 2) * pixel_m, (cols - shape[1] / 2) * pixel_m, indexing="ij")
    lon, lat = _destination(centre, np.hypot(along, across), math.radians(heading_deg) + np.arctan2(across, along))
    if np.ptp(lon) > 180:
        raise SeepError(
            f"centre: expected longitudes that span 180 degrees or less, but {shape[0]} x {shape[1]} px of {pixel_m} m "
            f"around {centre} span {np.ptp(lon):.1f}. Move the scene off the pole, or give fewer pixels."
        )
    return GcpReference(tuple(rows.tolist()), tuple(cols.tolist()), _nested(lon), _nested(lat))


def to_json(georeference: Georeference) -> dict[str, Any]:
    """The kind and all attributes, ready for JSON."""
    return {"kind": georeference.kind, **asdict(georeference)}


def from_json(content: Mapping[str, Any]) -> Georeference:
    """What `to_json` was given.

    Raises:
        SeepError: for an unknown kind, missing or unknown attributes, or values that are out of range.
    """
    kinds: dict[str, type[Georeference]] = {kind.kind: kind for kind in (NoReference, AffineReference, GcpReference)}
    values = {key: _tuples(value) for key, value in content.items() if key != "kind"}
    kind = kinds.get(content.get("kind", ""))
    if kind is None:
        raise SeepError(f"kind: expected one of {sorted(kinds)}, but got {content.get('kind')!r}. Take one of them.")
    names = [field.name for field in fields(kind)]
    if sorted(values) != sorted(names):
        raise SeepError(f"{kind.kind}: expected the attributes {names}, but got {sorted(values)}. Give these.")
    return kind(**values)


def _geo_keys(epsg: int) -> tuple[float, ...]:
    """GeoKeyDirectory: a header, then (key, location, count, value) of each key; location 0 is the value itself."""
    geographic = _is_geographic(epsg)
    keys = {
        1024: 2 if geographic else 1,  # the model: projected 1, geographic 2
        1025: 1,  # pixel is area
        _GEOGRAPHIC_KEY if geographic else _PROJECTED_KEY: epsg,
    }
    return (1, 1, 0, len(keys), *(number for key, value in keys.items() for number in (key, 0, 1, value)))


def _is_geographic(epsg: int) -> bool:
    return any(epsg in block for block in _GEOGRAPHIC_BLOCKS)


def _refuse_poles(shape: tuple[int, int], centre: tuple[float, float], pixel_m: float, heading_rad: float) -> None:
    """Raise a SeepError if a pole lies in the scene or within a pixel of it, where longitudes mean nothing."""
    for pole, bearing in ((90, 0.0), (-90, math.pi)):
        distance_px = math.radians(abs(pole - centre[1])) * _EARTH_RADIUS_M / pixel_m
        down, right = distance_px * math.cos(bearing - heading_rad), distance_px * math.sin(bearing - heading_rad)
        if abs(down) <= shape[0] / 2 + 1 and abs(right) <= shape[1] / 2 + 1:
            raise SeepError(
                f"centre: expected a scene that touches no pole, but {shape[0]} x {shape[1]} px of {pixel_m} m around "
                f"{centre} reach latitude {pole}. Move the scene off the pole, or give fewer pixels."
            )


def _destination(
    start: tuple[float, float], distance_m: npt.NDArray[np.float64], bearing_rad: npt.NDArray[np.float64]
) -> Coordinates:
    """(lon, lat) in degrees at distances and bearings (clockwise from north) from `start`, on a sphere."""
    angle, lat = distance_m / _EARTH_RADIUS_M, math.radians(start[1])
    sin_end = math.sin(lat) * np.cos(angle) + math.cos(lat) * np.sin(angle) * np.cos(bearing_rad)
    turn = np.arctan2(np.sin(bearing_rad) * np.sin(angle) * math.cos(lat), np.cos(angle) - math.sin(lat) * sin_end)
    return start[0] + np.degrees(turn), np.degrees(np.arcsin(sin_end))


def _cell(axis: tuple[float, ...], at: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Index of the grid cell of each place, and the share of the cell before it (< 0 or > 1 outside the grid)."""
    points = np.array(axis)
    index = np.clip(np.searchsorted(points, at, side="right") - 1, 0, len(points) - 2)
    return index, (at - points[index]) / (points[index + 1] - points[index])


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
    """Lists of JSON as the tuples they were."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
