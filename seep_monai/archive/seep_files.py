"""The table of all seeps of an archive as GeoPackage and GeoParquet."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pyogrio
import shapely

from seep_monai.archive.seep_table import COLUMNS, SeepTable
from seep_monai.scene.vector_files import LAYER, add_style

_GEOMETRY = "geometry"
# Source: GeoParquet 1.1.0. Without "crs" it is longitude and latitude of WGS 84 (OGC:CRS84).
_GEOPARQUET = {
    "version": "1.1.0",
    "primary_column": _GEOMETRY,
    "columns": {_GEOMETRY: {"encoding": "WKB", "geometry_types": ["MultiPolygon"]}},
}


def write_seep_files(
    geopackage: Path, tables: Iterable[SeepTable], *, description: str, parquet: Path | None = None
) -> int:
    """Write the rows of all tables, in their order. Files that exist are replaced when the new ones are complete.

    GDAL reads the rows as one stream, so that it sorts the boxes of all seeps once for the spatial index, which a layer
    that grows table by table does not allow.

    Args:
        geopackage: file with the layer `seeps` in longitude and latitude.
        tables: some rows each.
        description: of the layer.
        parquet: the same as GeoParquet; None: not written.

    Returns:
        Number of rows.
    """
    failed: list[BaseException] = []
    n_rows = 0

    def batches(writer: pyarrow.parquet.ParquetWriter | None) -> Iterator[pyarrow.RecordBatch]:
        nonlocal n_rows
        try:
            for table in tables:
                batch = _batch(table)
                if writer is not None:
                    writer.write_batch(batch)
                n_rows += len(table)
                yield batch
        except BaseException as error:
            failed.append(error)
            raise

    with tempfile.TemporaryDirectory(prefix=f".{geopackage.name}.", dir=geopackage.parent) as folder:
        new = {path: Path(folder) / path.name for path in (geopackage, parquet) if path is not None}
        with ExitStack() as files:
            writer = None
            if parquet is not None:
                schema = _schema().with_metadata({"geo": json.dumps(_GEOPARQUET)})
                writer = files.enter_context(pyarrow.parquet.ParquetWriter(new[parquet], schema, compression="zstd"))
            try:
                pyogrio.raw.write_arrow(
                    pyarrow.RecordBatchReader.from_batches(_schema(), batches(writer)),
                    new[geopackage],
                    layer=LAYER,
                    driver="GPKG",
                    geometry_name=_GEOMETRY,
                    geometry_type="MultiPolygon",
                    crs="EPSG:4326",
                    layer_options={"DESCRIPTION": description},
                )
            except Exception:
                # GDAL knows the error of a table as a text only.
                if failed:
                    raise failed[0] from None
                raise
        add_style(new[geopackage])
        for path, complete in new.items():
            complete.replace(path)
    return n_rows


def _schema() -> pyarrow.Schema:
    # NumPy's type of objects stands for text.
    fields = [
        pyarrow.field(name, pyarrow.string() if kind is object else pyarrow.from_numpy_dtype(kind))
        for name, kind in COLUMNS.items()
    ]
    # Source: GeoArrow 0.2, extension types.
    return pyarrow.schema(
        [*fields, pyarrow.field(_GEOMETRY, pyarrow.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})]
    )


def _batch(table: SeepTable) -> pyarrow.RecordBatch:
    schema = _schema()
    # NaN becomes null, as in other GeoPackages.
    columns = [pyarrow.array(table.columns[name], schema.field(name).type, from_pandas=True) for name in COLUMNS]
    return pyarrow.RecordBatch.from_arrays([*columns, pyarrow.array(shapely.to_wkb(table.polygons))], schema=schema)
