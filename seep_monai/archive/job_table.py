"""The state of each scene of an archive, in SQLite; written by the process that drives, one file a shard."""

from __future__ import annotations

import csv
import io
import logging
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from seep_monai.archive.attempts import ListedScene
from seep_monai.archive.scene_list import Shard
from seep_monai.errors import DataError
from seep_monai.files import write_text

logger = logging.getLogger(__name__)

WAITING, DONE, FAILED, SET_ASIDE = "waiting", "done", "failed", "set aside"
_FILES = re.compile(r"jobs(?:-(\d+)-of-(\d+))?\.sqlite")
_CREATE = (
    "CREATE TABLE IF NOT EXISTS jobs (scene TEXT PRIMARY KEY, path TEXT, state TEXT, tries INTEGER, seconds REAL, "
    "peak_mib REAL, pixels INTEGER, seeps INTEGER, error TEXT)"
)


@dataclass(frozen=True)
class JobRow:
    """The state of one scene.

    Attributes:
        scene: its name.
        path: of its raster.
        state: waiting, done, failed or set aside.
        tries: number of attempts so far.
        seconds, peak_mib: of the last attempt.
        pixels, seeps: how many it has, once it is done.
        error: why the last attempt failed.
    """

    scene: str
    path: str
    state: str = WAITING
    tries: int = 0
    seconds: float = 0.0
    peak_mib: float = 0.0
    pixels: int = 0
    seeps: int = 0
    error: str | None = None


class JobTable:
    """The rows of one shard. A context manager.

    Args:
        path: of the file, which is created if it is missing. A damaged one is begun again; whoever uses the table
            enters what the outputs say.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._database = self._opened()
        except sqlite3.OperationalError as error:
            raise DataError(f"{path}: cannot be used ({error}). Check the folder, or give another OUT.") from error
        except sqlite3.DatabaseError as error:
            logger.warning("%s: is damaged (%s); it is rebuilt from the outputs that are whole", path, error)
            for name in (path.name, f"{path.name}-journal"):
                path.with_name(name).unlink(missing_ok=True)
            self._database = self._opened()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def rows(self) -> dict[str, JobRow]:
        """The rows by the name of the scene."""
        names = ", ".join(field.name for field in fields(JobRow))
        return {row[0]: JobRow(*row) for row in self._database.execute(f"SELECT {names} FROM jobs ORDER BY scene")}

    def begin(self, rows: Iterable[JobRow]) -> None:
        """Enter the rows of a run. Of other scenes only those that are done stay."""
        with self._database:
            self._database.execute("DELETE FROM jobs WHERE state != ?", (DONE,))
            self._insert(rows)

    def put(self, rows: Iterable[JobRow]) -> None:
        """Add or replace rows: all, or none if the process is killed meanwhile.

        Raises:
            DataError: if the disk is full.
        """
        try:
            with self._database:
                self._insert(rows)
        except sqlite3.OperationalError as error:
            raise DataError(f"{self.path}: cannot be written ({error}). Check the free disk space.") from error

    def _insert(self, rows: Iterable[JobRow]) -> None:
        marks = ", ".join("?" * len(fields(JobRow)))
        self._database.executemany(f"INSERT OR REPLACE INTO jobs VALUES ({marks})", [astuple(row) for row in rows])

    def _opened(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path)
        try:
            # A kill of the process loses nothing; after a power cut the table is rebuilt from the outputs.
            database.execute("PRAGMA synchronous = OFF")
            with database:
                database.execute(_CREATE)
            faults = [row[0] for row in database.execute("PRAGMA quick_check")]
            if faults != ["ok"]:
                raise sqlite3.DatabaseError(faults[0])
            found = [row[1] for row in database.execute("PRAGMA table_info(jobs)")]
            if found != [field.name for field in fields(JobRow)]:
                raise sqlite3.DatabaseError(f"its columns are {', '.join(found)}")
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database


def table_path(out: Path, shard: Shard) -> Path:
    """The file of a shard."""
    return out / f"jobs{shard.label}.sqlite"


def begun_row(known: JobRow | None, scene: ListedScene, record: Mapping[str, Any] | None) -> JobRow:
    """The row of a scene at the start of a run: done if its outputs are whole, otherwise waiting.

    Args:
        known: its row of an earlier run.
        scene: the scene.
        record: of its outputs, if they are whole.
    """
    row = replace(known or JobRow(scene.name, str(scene.path)), path=str(scene.path))
    if record is None:
        return replace(row, state=WAITING)
    if row.state == DONE:
        return row
    found = {name: record[name] for name in ("seconds", "peak_mib", "pixels", "seeps")}
    return replace(row, state=DONE, tries=max(1, row.tries), error=None, **found)


def merged_rows(out: Path) -> dict[str, JobRow]:
    """The rows of all shards by scene. Of a scene in several files, that which is done counts, else the last file's.

    Raises:
        DataError: if there is no file, or one cannot be read.
    """
    paths = sorted(path for path in out.glob("jobs*.sqlite") if _FILES.fullmatch(path.name))
    if not paths:
        raise DataError(f"{out}: expected jobs.sqlite of an archive, but there is none. Correct the folder.")
    merged: dict[str, JobRow] = {}
    for path in paths:
        for name, row in _read(path).items():
            if name not in merged or merged[name].state != DONE:
                merged[name] = row
    return dict(sorted(merged.items()))


def all_shards_ended(out: Path, shard: Shard) -> bool:
    """Whether no scene waits in any of the files of the shards that run beside this one."""
    for index in range(shard.n):
        path = table_path(out, Shard(index, shard.n))
        try:
            if not path.is_file() or any(row.state == WAITING for row in _read(path).values()):
                return False
        except DataError:
            # A shard is just beginning it.
            return False
    return True


def write_csv(path: Path, rows: Iterable[JobRow]) -> None:
    """Write the rows as a table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(JobRow))
    writer.writerows(astuple(row) for row in rows)
    write_text(path, text.getvalue())


def failures_by_reason(rows: Iterable[JobRow]) -> list[tuple[str, int]]:
    """The reasons of scenes that failed or were set aside, most frequent first; names of scenes are left out."""
    reasons: Counter[str] = Counter()
    for row in rows:
        if row.state in (FAILED, SET_ASIDE):
            text = (row.error or "unknown").replace(row.path, "SCENE").replace(row.scene, "SCENE")
            reasons[re.sub(r"\d+", "N", text)] += 1
    return sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))


def _read(path: Path) -> dict[str, JobRow]:
    names = ", ".join(field.name for field in fields(JobRow))
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
        try:
            return {row[0]: JobRow(*row) for row in database.execute(f"SELECT {names} FROM jobs")}
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        raise DataError(
            f"{path}: expected the state of an archive, but it cannot be read ({error}). Give the same "
            "seep-monai archive command again: it rebuilds the file."
        ) from error
