"""The seeps and scenes of an archive, as arrays for the statistics over dates."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow
import pyogrio
import shapely

from seep_monai.classes import DEFAULT_CLASS_NAMES, SEEP_LABELS
from seep_monai.errors import DataError, listed

SEEPS_NAME, CATALOGUE_NAME = "seeps.gpkg", "catalogue/catalog.json"
_FIELDS = ("scene", "duplicate_of", "class", "score", "area_km2", "length_km", "origin_lon", "origin_lat")
# Missing in files from before these were written.
_MORE_FIELDS = ("end_lon", "end_lat", "target_km")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scenes:
    """The scenes of an archive.

    Attributes:
        names: (n,).
        times: (n,) datetime64[s], start in UTC.
        footprints: (n,) areas with data in longitude and latitude.
    """

    names: npt.NDArray[np.object_]
    times: npt.NDArray[np.datetime64]
    footprints: npt.NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Seeps:
    """The slicks of an archive, without duplicates.

    Attributes:
        scene: (n,) index of the scene.
        lon, lat: (2, n) both ends in degrees, the origin first; the same place twice where the other end is unknown.
        label: (n,) class, 1..7.
        score: (n,) 0 to 1.
        area_km2, length_km: (n,).
        target_km: (n,) distance from the origin to a bright target, NaN where there is none near; None: unknown.
    """

    scene: npt.NDArray[np.intp]
    lon: Floats
    lat: Floats
    label: npt.NDArray[np.int64]
    score: Floats
    area_km2: Floats
    length_km: Floats
    target_km: Floats | None

    def __len__(self) -> int:
        return len(self.scene)

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """Some of the slicks."""
        parts: dict[str, Any] = {name: None if part is None else part[..., rows] for name, part in vars(self).items()}
        return replace(self, **parts)


def read_archive(folder: str | Path) -> tuple[Seeps, Scenes]:
    """The slicks and scenes of the output folder of `seep-monai archive`.

    Raises:
        DataError: if a file is missing or unreadable, a scene has no time or no footprint, or a slick belongs to no
            scene of the catalogue.
    """
    folder = Path(folder)
    scenes = read_scenes(folder / CATALOGUE_NAME)
    return read_seeps(folder / SEEPS_NAME, scenes), scenes


def read_scenes(catalogue: Path) -> Scenes:
    """The scenes of a static STAC catalogue, by name.

    Raises:
        DataError: if a file is missing or no JSON, or scenes have no time or no footprint.
    """
    links = _read_json(catalogue).get("links", [])
    items = [_read_json(catalogue.parent / link["href"]) for link in links if link.get("rel") == "item"]
    if not items:
        raise DataError(f"{catalogue}: expected scenes, but the catalogue has none. Run seep-monai archive first.")
    items.sort(key=lambda item: str(item["id"]))
    for what, has in (
        ("a time (properties.datetime)", lambda item: item.get("properties", {}).get("datetime")),
        ("a footprint (geometry)", lambda item: item.get("geometry")),
    ):
        without = [str(item["id"]) for item in items if not has(item)]
        if without:
            raise DataError(
                f"{catalogue}: expected {what} of each scene, but {len(without)} of {len(items)} have none: "
                f"{listed(without)}. Name the images like Sentinel-1 products (..._20230415T143012_...) and run "
                "seep-monai archive again, or leave these scenes out."
            )
    footprints = shapely.from_geojson([json.dumps(item["geometry"]) for item in items])
    times = [_utc(str(item["properties"]["datetime"]), catalogue) for item in items]
    names = np.array([str(item["id"]) for item in items], object)
    return Scenes(names, np.array(times, "datetime64[s]"), shapely.make_valid(footprints))


def read_seeps(path: Path, scenes: Scenes) -> Seeps:
    """The slicks of a table that are no duplicates and have a place.

    Raises:
        DataError: if the file cannot be read, a column is missing, or a slick belongs to another scene.
    """
    try:
        known = set(pyogrio.read_info(path, layer="seeps")["fields"])
        fields = [name for name in (*_FIELDS, *_MORE_FIELDS) if name in known]
        missing = sorted(set(_FIELDS) - known)
        if missing:
            raise DataError(f"{path}: expected the columns {', '.join(_FIELDS)}, but {', '.join(missing)} are missing.")
        table = pyogrio.raw.read_arrow(path, layer="seeps", columns=fields, read_geometry=False)[1]
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(
            f"{path}: expected the seeps of an archive, but: {reason}. Run seep-monai archive first."
        ) from error
    places = {name: _numbers(table, name) for name in fields if name not in ("scene", "duplicate_of", "class")}
    kept = table["duplicate_of"].is_null().to_numpy() & np.isfinite(places["origin_lon"] + places["origin_lat"])
    places = {name: column[kept] for name, column in places.items()}
    return Seeps(
        _scene_numbers(table["scene"].filter(kept), scenes, path),
        *_ends(places),
        table["class"].to_numpy()[kept].astype(np.int64),
        places["score"],
        places["area_km2"],
        places["length_km"],
        places.get("target_km"),
    )


def read_class_names(folder: str | Path) -> tuple[str, ...]:
    """Names of the classes 1..7 in the table of an archive; those of classes without a slick are the usual ones."""
    path = Path(folder) / SEEPS_NAME
    names = list(DEFAULT_CLASS_NAMES)
    if {"class", "class_name"} <= set(pyogrio.read_info(path, layer="seeps")["fields"]):
        query = 'SELECT DISTINCT "class", "class_name" FROM seeps'
        _, _, _, (labels, found) = pyogrio.raw.read(path, sql=query, read_geometry=False)
        for label, name in zip(labels, found, strict=True):
            if label in SEEP_LABELS and name:
                names[label - 1] = str(name)
    return tuple(names)


def _ends(table: dict[str, npt.NDArray[Any]]) -> tuple[Floats, Floats]:
    """Longitudes and latitudes (2, n) of the origin and the other end."""
    origin = np.stack([table["origin_lon"], table["origin_lat"]])
    other = np.stack([table["end_lon"], table["end_lat"]]) if "end_lon" in table else origin
    other = np.where(np.isfinite(other).all(axis=0), other, origin)
    return np.stack([origin[0], other[0]]), np.stack([origin[1], other[1]])


def _scene_numbers(names: pyarrow.ChunkedArray, scenes: Scenes, path: Path) -> npt.NDArray[np.intp]:
    number_of = {name: number for number, name in enumerate(scenes.names)}
    coded = names.combine_chunks().dictionary_encode()
    known = coded.dictionary.to_pylist()
    unknown = sorted(str(name) for name in known if name not in number_of)
    if unknown or coded.null_count:
        raise DataError(
            f"{path}: expected seeps of scenes of the catalogue, but {listed(unknown or ['(no name)'])} are not in it. "
            "Run seep-monai archive again."
        )
    return np.array([number_of[name] for name in known], np.intp)[coded.indices.to_numpy()]


def _numbers(table: pyarrow.Table, name: str) -> Floats:
    """A column as float64, NaN for null."""
    return np.asarray(table[name].to_numpy(), np.float64)


def _utc(text: str, path: Path) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{path}: expected ISO 8601 times, but got {text!r}. Run seep-monai archive again.") from error
    return (time - (time.utcoffset() or time - time)).replace(tzinfo=None)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: expected a file of the catalogue, but: {error}. Run seep-monai archive first."
        ) from error
