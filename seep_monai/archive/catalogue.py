"""The catalogue of an archive: `catalogue/` (STAC), `seeps.gpkg`, and `seeps.parquet` if it is asked for."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio

from seep_monai.archive.attempts import SCENES, read_record
from seep_monai.archive.duplicates import PassScene, duplicates, passes
from seep_monai.archive.inference import Model
from seep_monai.archive.seep_files import write_seep_files
from seep_monai.archive.seep_table import SeepTable, read_seeps
from seep_monai.archive.stac import CATALOG_FILE, CATALOGUE, catalog, item
from seep_monai.errors import DataError, listed
from seep_monai.files import fill_folder, write_json

logger = logging.getLogger(__name__)

SEEPS_FILE = "seeps.gpkg"
PARQUET_FILE = "seeps.parquet"
# Choice: as many seeps are written at once.
_ROWS_AT_ONCE = 20_000


def write_catalogue(out: Path, settings: str, model: Model, *, geoparquet: bool = False) -> tuple[int, int]:
    """Write the catalogue of all scenes whose outputs are whole. Each part appears whole.

    The same scenes give the same catalogue, in whatever order, by whatever engine and in however many runs they were
    inferred.

    Args:
        out: folder of the archive.
        settings: of the task, JSON.
        model: the weights.
        geoparquet: write `seeps.parquet` too.

    Returns:
        Number of scenes and of seeps.
    """
    scenes: list[PassScene] = []

    def write(folder: Path) -> None:
        for record in _records(out, settings):
            name = str(record["scene"])
            (folder / name).mkdir()
            text = json.dumps(item(record, model, out), allow_nan=False)
            (folder / name / f"{name}.json").write_text(text, encoding="utf-8")
            scenes.append(PassScene(name, record["time"], record["platform"]))
        write_json(folder / CATALOG_FILE, catalog([scene.name for scene in scenes]))

    fill_folder(out / CATALOGUE, write, record=CATALOG_FILE, overwrite=True)
    try:
        n_seeps = write_seep_files(
            out / SEEPS_FILE,
            _gathered(_marked_passes(out, scenes)),
            description=f"potential seeps, weights {model.sha256[:12]}",
            parquet=out / PARQUET_FILE if geoparquet else None,
        )
    except (OSError, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{out / SEEPS_FILE}: cannot be written ({error}). Check the free disk space.") from error
    return len(scenes), n_seeps


def _records(out: Path, settings: str) -> Iterator[dict[str, Any]]:
    """The records of all scenes whose outputs are whole, sorted by name."""
    folders = sorted((out / SCENES).iterdir()) if (out / SCENES).is_dir() else []
    broken = []
    for folder in folders:
        record = read_record(folder, settings)
        if record is None:
            broken.append(folder.name)
        else:
            yield record
    if broken:
        logger.warning("%d scenes are left out, because their outputs are not whole: %s", len(broken), listed(broken))


def _marked_passes(out: Path, scenes: Sequence[PassScene]) -> Iterator[SeepTable]:
    """The seeps of each pass, with duplicates marked; scenes without a coordinate system are left out."""
    unplaced = []
    for group in passes(scenes):
        tables, owners = [], []
        for index, scene in enumerate(group):
            path = out / SCENES / scene.name / f"{scene.name}_seeps.gpkg"
            table = read_seeps(path, scene.name, scene.time)
            if table is None:
                unplaced.append(scene.name)
            elif len(table):
                tables.append(table)
                owners.append(np.full(len(table), index, np.int64))
        if tables:
            whole = SeepTable.joined(tables)
            original = duplicates(whole.polygons, np.concatenate(owners), group)
            marked = original >= 0
            whole.columns["duplicate_of"][marked] = whole.columns["id"][original[marked]]
            yield whole
    if unplaced:
        logger.warning(
            "%d scenes have no coordinate system, and their seeps are not in %s: %s",
            len(unplaced),
            SEEPS_FILE,
            listed(unplaced),
        )


def _gathered(tables: Iterator[SeepTable]) -> Iterator[SeepTable]:
    """The tables, small ones joined, since each part that is written costs."""
    waiting: list[SeepTable] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= _ROWS_AT_ONCE:
            yield SeepTable.joined(waiting)
            waiting = []
    if waiting:
        yield SeepTable.joined(waiting)
