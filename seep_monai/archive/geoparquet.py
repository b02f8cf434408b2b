"""The table of seeps as GeoParquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import shapely

from seep_monai.archive.seep_table import COLUMNS, SeepTable
from seep_monai.errors import ConfigError

# Source: GeoParquet 1.1.0. Without "crs" it is longitude and latitude of WGS 84 (OGC:CRS84).
_METADATA = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["MultiPolygon"]}},
}


def check_installed() -> None:
    """Raise ConfigError if pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            'geoparquet: needs the package pyarrow, which is not installed. Install it: pip install "seep-monai'
            '[geoparquet]".'
        ) from error


class GeoParquetWriter:
    """Writes `seeps.parquet`. A context manager; see `GeoPackageWriter`.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow
        import pyarrow.parquet

        kinds: dict[Any, Any] = {
            object: pyarrow.string(),
            np.int32: pyarrow.int32(),
            np.float64: pyarrow.float64(),
            bool: pyarrow.bool_(),
        }
        fields = [pyarrow.field(name, kinds[kind]) for name, kind in COLUMNS.items()]
        fields.append(pyarrow.field("geometry", pyarrow.binary()))
        self._schema = pyarrow.schema(fields, metadata={"geo": json.dumps(_METADATA)})
        self.path = path
        self._file = path.with_name(f".{path.name}.tmp")
        self._writer = pyarrow.parquet.ParquetWriter(self._file, self._schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._writer.close()
        if kind is None:
            self._file.replace(self.path)
        else:
            self._file.unlink()

    def add(self, table: SeepTable) -> None:
        """Write some more rows, as one group of rows."""
        import pyarrow

        arrays: list[Any] = [
            pyarrow.array(table.columns[field.name], field.type, from_pandas=True) for field in list(self._schema)[:-1]
        ]
        arrays.append(pyarrow.array(shapely.to_wkb(table.polygons), pyarrow.binary()))
        self._writer.write_table(pyarrow.Table.from_arrays(arrays, schema=self._schema))
