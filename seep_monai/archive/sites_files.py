"""Sites as files: GeoPackage, GeoJSON, CSV, and the map page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from seep_monai.archive.sites import Sites
from seep_monai.archive.sites_page import sites_page
from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.files import make_folder, write_text
from seep_monai.scene.vector_files import write_layer

LAYER = "sites"
# Decimals of floating numbers in text files: some 1 m in degrees, and below the error of everything else.
_DECIMALS = 5


def write_sites(
    output_dir: Path,
    sites: Sites,
    *,
    facts: Sequence[tuple[str, str]] = (),
    class_names: Sequence[str] = DEFAULT_CLASS_NAMES,
) -> list[Path]:
    """Write `sites.gpkg`, `sites.geojson`, `sites.csv` and `sites.html`, each whole or not at all.

    Args:
        output_dir: created if missing.
        sites: to write.
        facts: rows of the table on the map page.
        class_names: of the classes 1..7.

    Raises:
        ConfigError: if the folder cannot be written.
    """
    stem = make_folder(output_dir, option="--output_dir") / LAYER
    columns = _columns(sites)
    points = shapely.points(sites.columns["lon"], sites.columns["lat"])
    options: dict[str, Any] = {"layer": LAYER, "geometry_type": "Point", "crs": "EPSG:4326"}
    paths = [stem.with_suffix(suffix) for suffix in (".gpkg", ".geojson", ".csv", ".html")]
    write_layer(paths[0], points, columns, driver="GPKG", **options)
    write_layer(paths[1], points, columns, driver="GeoJSON", layer_options={"RFC7946": "YES"}, **options)
    write_text(paths[2], _csv(columns))
    write_text(paths[3], sites_page(sites, class_names, facts=facts))
    return paths


def _columns(sites: Sites) -> dict[str, npt.NDArray[Any]]:
    """The columns as files hold them: times as ISO 8601 text in UTC."""
    columns = dict(sites.columns)
    for name, column in columns.items():
        if column.dtype.kind == "M":
            columns[name] = np.array([f"{time}Z" for time in column.astype("datetime64[s]")], object)
        elif column.dtype.kind == "f":
            columns[name] = column.round(_DECIMALS)
    return columns


def _csv(columns: dict[str, npt.NDArray[Any]]) -> str:
    """A row a site; unknown numbers are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    writer.writerows(["" if value != value else value for value in row] for row in rows)
    return text.getvalue()
