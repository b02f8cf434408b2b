"""Seep polygons as files: GeoPackage in the image's coordinate system, GeoJSON in longitude and latitude."""

from __future__ import annotations

import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely

from seep_monai.classes import CLASS_COLOURS, SEEP_LABELS
from seep_monai.files import move_into_place
from seep_monai.scene.place import Place
from seep_monai.scene.seep_objects import SeepObject, attributes

LAYER = "seeps"
# Source: QGIS, "save style in database".
_STYLE_COLUMNS = (
    "id INTEGER PRIMARY KEY, f_table_catalog TEXT, f_table_schema TEXT, f_table_name TEXT, f_geometry_column TEXT, "
    "styleName TEXT, styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT, ui TEXT, "
    "update_time DATETIME DEFAULT CURRENT_TIMESTAMP"
)
FIELDS: dict[str, type] = {
    "class": np.int32,
    "class_name": object,
    "score": np.float64,
    **{f"prob_{label}": np.float64 for label in SEEP_LABELS},
    "area_km2": np.float64,
    "length_km": np.float64,
    "width_m": np.float64,
    "orientation_deg": np.float64,
    "contrast_db": np.float64,
    "lon": np.float64,
    "lat": np.float64,
    "origin_lon": np.float64,
    "origin_lat": np.float64,
    "end_lon": np.float64,
    "end_lat": np.float64,
    "target_km": np.float64,
    "touches_edge": bool,
    "scene": object,
    "time": object,
    "model_sha256": object,
}


def write_seeps(
    stem: Path,
    seeps: Sequence[SeepObject],
    place: Place,
    class_names: Sequence[str],
    *,
    scene: str,
    model_sha256: str,
    time: str | None = None,
    note: str | None = None,
) -> list[Path]:
    """Write `<stem>_seeps.geojson`, if there is a coordinate system, and then `<stem>_seeps.gpkg`; each whole or not.

    Without a coordinate system the GeoPackage has coordinates in px, x = column and y = -row, and no system. Without
    any seep the layer is empty.

    Args:
        stem: folder and beginning of the names.
        seeps: the objects.
        place: of the image.
        class_names: of the classes 1..7.
        scene: name of the scene.
        model_sha256: checksum of the weights.
        time: when the image was taken, ISO 8601; None: unknown.
        note: description of the layer; None: none.
    """
    same = {"scene": scene, "time": time, "model_sha256": model_sha256}
    records = [_record(seep, place, class_names) | same for seep in seeps]
    columns: dict[str, np.ndarray] = {
        name: np.array([record[name] for record in records], dtype) for name, dtype in FIELDS.items()
    }
    kind: dict[str, Any] = {"layer": LAYER, "geometry_type": "MultiPolygon"}
    to_map = place.to_map if place.crs is not None else _upright
    described = {} if note is None else {"DESCRIPTION": note}
    package, geojson = Path(f"{stem}_seeps.gpkg"), Path(f"{stem}_seeps.geojson")
    if place.crs is not None:
        geometries = [_oriented(seep.polygon, place.to_lon_lat) for seep in seeps]
        options = {"RFC7946": "YES", **described}
        write_layer(geojson, geometries, columns, driver="GeoJSON", crs="EPSG:4326", layer_options=options, **kind)
    geometries = [_oriented(seep.polygon, to_map) for seep in seeps]
    crs = "EPSG:4326" if place.crs is not None and place.crs.to_epsg() == 4326 else place.crs and place.crs.to_wkt()
    write_layer(package, geometries, columns, driver="GPKG", crs=crs, layer_options=described, style=add_style, **kind)
    return [package] if place.crs is None else [package, geojson]


def _record(seep: SeepObject, place: Place, names: Sequence[str]) -> dict[str, Any]:
    return {
        "class": seep.label,
        "class_name": names[seep.label - 1],
        "score": seep.score,
        **{f"prob_{label}": float(seep.class_prob[label - 1]) for label in SEEP_LABELS},
        **attributes(seep, place),
        "contrast_db": seep.contrast_db,
        "touches_edge": seep.touches_edge,
    }


def _oriented(polygon: shapely.MultiPolygon, to_map: Any) -> shapely.Geometry:
    """The polygon on the map, outer rings counter-clockwise (RFC 7946)."""
    return shapely.orient_polygons(shapely.transform(polygon, to_map), exterior_cw=False)


def _upright(pixels: np.ndarray) -> np.ndarray:
    """Map axes point up; rows count down."""
    return pixels * (1, -1)


def write_layer(
    path: Path,
    geometries: Sequence[shapely.Geometry] | np.ndarray,
    columns: Mapping[str, np.ndarray],
    *,
    layer: str,
    driver: str,
    style: Callable[[Path], None] | None = None,
    **options: Any,
) -> None:
    """Write a vector file of one layer, whole or not at all.

    Args:
        path: of the file.
        geometries: (n,).
        columns: (n,) values by the name of the field.
        layer: name of the layer.
        driver: of GDAL.
        style: called with the file before it gets its name.
        options: of `pyogrio.raw.write`, such as `geometry_type` and `crs`.
    """
    # GDAL wants the final suffix, and a GeoPackage is a database that is written in place: in a folder beside it, then
    # renamed.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        with warnings.catch_warnings():
            # Images without a georeference have polygons in pixels.
            warnings.filterwarnings("ignore", message="'crs' was not provided", category=UserWarning)
            pyogrio.raw.write(
                temporary,
                geometry=np.array(shapely.to_wkb(np.array(geometries, object)), object),
                field_data=list(columns.values()),
                fields=list(columns),
                layer=layer,
                driver=driver,
                **options,
            )
        if style is not None:
            style(temporary)
        move_into_place(temporary, path)


def add_style(path: Path) -> None:
    """Add the table from which QGIS takes its default style: polygons coloured by class.

    Raises:
        OSError: if the file cannot be written.
    """
    names = "f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, styleQML, styleSLD, "
    names += "useAsDefault, description, owner, ui"
    database = sqlite3.connect(path)
    try:
        with database:
            database.execute(f"CREATE TABLE layer_styles ({_STYLE_COLUMNS})")
            column = database.execute("SELECT column_name FROM gpkg_geometry_columns").fetchone()[0]
            row = ("", "", LAYER, column, "seeps by class", _qml(), "", True, "Seep classes", "", None)
            database.execute(f"INSERT INTO layer_styles ({names}) VALUES ({', '.join('?' * len(row))})", row)
            database.execute(
                "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES ('layer_styles', 'attributes', "
                "'layer_styles')"
            )
    except sqlite3.OperationalError as error:
        raise OSError(f"{path}: {error}") from error
    finally:
        database.close()


def _qml() -> str:
    """A categorised style: one fill colour per class."""
    categories = "".join(
        f'<category symbol="{k}" value="{k}" label="Seep class {k}" render="true"/>' for k in SEEP_LABELS
    )
    symbols = "".join(
        f'<symbol name="{k}" type="fill" alpha="0.7"><layer class="SimpleFill"><Option type="Map">'
        f'<Option name="color" type="QString" value="{",".join(map(str, CLASS_COLOURS[k]))},255"/>'
        f'<Option name="outline_color" type="QString" value="{",".join(map(str, CLASS_COLOURS[k]))},255"/>'
        "</Option></layer></symbol>"
        for k in SEEP_LABELS
    )
    return (
        '<!DOCTYPE qgis PUBLIC "http://mrcc.com/qgis.dtd" "SYSTEM"><qgis version="3.0" styleCategories="Symbology">'
        f'<renderer-v2 type="categorizedSymbol" attr="class"><categories>{categories}</categories>'
        f"<symbols>{symbols}</symbols></renderer-v2></qgis>"
    )
