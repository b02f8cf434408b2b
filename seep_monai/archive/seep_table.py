"""All seeps of an archive in one table: read from the GeoPackages of the scenes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer

from seep_monai.archive.footprint import split_at_180
from seep_monai.errors import DataError
from seep_monai.scene.polygons import known_system
from seep_monai.scene.vector_files import FIELDS, LAYER

# `id` is unique in the archive and stays the same when scenes are added: scene/fid in the file of the scene.
COLUMNS: dict[str, type] = {"id": object, **FIELDS, "duplicate_of": object}
_WGS84 = CRS.from_epsg(4326)
# Source: GeoPackage 1.3, 2.1.3: bytes of the envelope in the header of a geometry, by its indicator.
_ENVELOPE_BYTES = (0, 32, 48, 48, 64)


@dataclass(frozen=True, eq=False)
class SeepTable:
    """Seeps as columns.

    Attributes:
        polygons: (n,) MultiPolygons in longitude and latitude.
        columns: (n,) each, by the names of `COLUMNS`.
    """

    polygons: npt.NDArray[np.object_]
    columns: dict[str, npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(self.polygons)

    @classmethod
    def joined(cls, tables: Iterable[SeepTable]) -> Self:
        """One table of several, at least one."""
        some = list(tables)
        polygons = np.concatenate([table.polygons for table in some])
        return cls(polygons, {name: np.concatenate([table.columns[name] for table in some]) for name in COLUMNS})


def read_seeps(path: Path, scene: str, time: str | None) -> SeepTable | None:
    """The seeps of a scene with `duplicate_of` empty; None if the scene has no coordinate system.

    SQLite reads the file, which is ten times as fast as GDAL for files of few seeps.

    Args:
        path: its GeoPackage.
        scene: its name.
        time: when it was taken.

    Raises:
        DataError: if the file cannot be read.
    """
    names = ", ".join(f'"{name}"' for name in FIELDS)
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            column, system = database.execute("SELECT column_name, srs_id FROM gpkg_geometry_columns").fetchone()
            crs = _crs(database, system)
            rows = database.execute(f'SELECT fid, "{column}", {names} FROM "{LAYER}" ORDER BY fid').fetchall()
        finally:
            database.close()
    except (sqlite3.DatabaseError, TypeError) as error:
        raise DataError(
            f"{path}: expected the seeps of a scene, but they cannot be read ({error}). Remove the folder, and give "
            "the same command again."
        ) from error
    if crs is None:
        return None
    fids, blobs, *values = zip(*rows, strict=True) if rows else ((),) * (len(FIELDS) + 2)
    n_rows = len(rows)
    columns: dict[str, npt.NDArray[Any]] = {
        name: np.array(value, kind) for (name, kind), value in zip(FIELDS.items(), values, strict=True)
    }
    columns["id"] = np.array([f"{scene}/{fid}" for fid in fids], object)
    columns["time"], columns["duplicate_of"] = np.full(n_rows, time, object), np.full(n_rows, None, object)
    return SeepTable(_on_globe(shapely.from_wkb(np.array([_wkb(blob) for blob in blobs], object)), crs), columns)


def _crs(database: sqlite3.Connection, system: int) -> CRS | None:
    """The coordinate system of a layer; None for undefined ones."""
    # Source: GeoPackage 1.3, requirement 11: systems -1 and 0 are undefined.
    if system in (-1, 0):
        return None
    found = "SELECT organization, organization_coordsys_id, definition FROM gpkg_spatial_ref_sys WHERE srs_id = ?"
    organisation, code, definition = database.execute(found, (system,)).fetchone()
    if str(organisation).upper() == "EPSG":
        return CRS.from_epsg(code)
    return known_system(definition)


def _wkb(blob: bytes) -> bytes:
    """The WKB in a geometry of a GeoPackage: behind 8 bytes of header and the envelope."""
    return blob[8 + _ENVELOPE_BYTES[blob[3] >> 1 & 7] :]


def _on_globe(polygons: npt.NDArray[np.object_], crs: CRS) -> npt.NDArray[np.object_]:
    """The polygons in longitude from -180 to 180, and latitude."""
    if crs != _WGS84:
        transformer = Transformer.from_crs(crs, _WGS84, always_xy=True)
        polygons = shapely.transform(
            polygons, lambda places: np.stack(transformer.transform(places[:, 0], places[:, 1]), axis=1)
        )
    limits = shapely.bounds(polygons)
    beyond = (limits[:, 0] < -180) | (limits[:, 2] > 180) | (limits[:, 2] - limits[:, 0] > 180)
    for index in np.flatnonzero(beyond):
        parts = shapely.get_parts(split_at_180(polygons[index]))
        polygons[index] = shapely.MultiPolygon(shapely.get_parts(parts).tolist())
    return np.asarray(polygons, object)
