"""Archives as arrays and as files: scenes of one degree, and slicks at given places."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely

from seep_monai.archive.sites_input import Scenes, Seeps

KM_PER_DEG = 6371.0088 * np.pi / 180
FIRST = np.datetime64("2024-01-01T06:00:00")


def scenes_of(n_passes: int, *, box: tuple[float, float, float, float] = (-0.5, -0.5, 0.5, 0.5)) -> Scenes:
    """One scene a pass, twelve days apart."""
    times = FIRST + np.arange(n_passes) * np.timedelta64(12 * 86400, "s")
    names = np.array([f"s{number:04d}" for number in range(n_passes)], object)
    return Scenes(names, times, np.array([shapely.box(*box)] * n_passes, object))


def seeps_of(
    scene: Sequence[int] | np.ndarray,
    east_km: Sequence[float] | np.ndarray,
    north_km: Sequence[float] | np.ndarray,
    **changes: Any,
) -> Seeps:
    """Slicks at places near 0 degrees, of which both ends are there; other values by keyword."""
    n = len(scene)
    lon, lat = (np.array(part, float) / KM_PER_DEG for part in (east_km, north_km))
    values = {"lon": np.stack([lon, lon]), "lat": np.stack([lat, lat]), "label": np.ones(n, int)}
    values |= {name: np.ones(n) for name in ("score", "area_km2", "length_km")}
    return Seeps(**{"scene": np.array(scene, np.intp), **values, "target_km": None, **changes})


def joined(*some: Seeps) -> Seeps:
    """The slicks of several, none of which knows targets."""
    parts = {
        name: np.concatenate([getattr(one, name) for one in some], axis=-1)
        for name in vars(some[0])
        if name != "target_km"
    }
    return Seeps(**parts, target_km=None)


def write_archive(folder: Path, scenes: Scenes, seeps: Seeps, **changes: Any) -> Path:
    """`seeps.gpkg` and the catalogue as `seep-monai archive` writes them; `changes` replace columns, None drops one."""
    (folder / "catalogue").mkdir(parents=True)
    for name, time, footprint in zip(scenes.names, scenes.times, scenes.footprints, strict=True):
        write_item(folder, name, f"{time}Z", shapely.geometry.mapping(footprint))
    links = [{"rel": "item", "href": f"./{name}/{name}.json"} for name in scenes.names]
    catalogue = {"type": "Catalog", "links": [{"rel": "root", "href": "./catalog.json"}, *links]}
    (folder / "catalogue" / "catalog.json").write_text(json.dumps(catalogue))
    columns = {
        "scene": scenes.names[seeps.scene],
        "class": seeps.label.astype(np.int32),
        "score": seeps.score,
        "area_km2": seeps.area_km2,
        "length_km": seeps.length_km,
        "origin_lon": seeps.lon[0],
        "origin_lat": seeps.lat[0],
        "end_lon": seeps.lon[1],
        "end_lat": seeps.lat[1],
        "target_km": np.full(len(seeps), np.nan) if seeps.target_km is None else seeps.target_km,
        "duplicate_of": np.full(len(seeps), None, object),
        **changes,
    }
    columns = {name: column for name, column in columns.items() if column is not None}
    pyogrio.raw.write(
        folder / "seeps.gpkg",
        geometry=np.array(shapely.to_wkb(shapely.points(seeps.lon[0], seeps.lat[0])), object),
        field_data=list(columns.values()),
        fields=list(columns),
        layer="seeps",
        driver="GPKG",
        geometry_type="Point",
        crs="EPSG:4326",
    )
    return folder


def write_item(folder: Path, name: str, time: str | None, geometry: Any) -> None:
    """One item of the catalogue."""
    item = {"type": "Feature", "id": name, "geometry": geometry, "properties": {"datetime": time}}
    (folder / "catalogue" / name).mkdir(exist_ok=True)
    (folder / "catalogue" / name / f"{name}.json").write_text(json.dumps(item))
