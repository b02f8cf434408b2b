"""The run of an archive: hands scenes to workers, notes how they end, and goes on where a run stopped."""

from __future__ import annotations

import fcntl
import logging
import shutil
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from seep_monai.archive.attempts import (
    MOST_DEATHS,
    SCENES,
    ListedScene,
    Outcome,
    Place,
    Task,
    attempt,
    killed,
    read_record,
)
from seep_monai.archive.executors import GO_ON, ExecutorChoice, Workers
from seep_monai.archive.job_table import (
    DONE,
    FAILED,
    SET_ASIDE,
    WAITING,
    JobRow,
    JobTable,
    begun_row,
    failures_by_reason,
    table_path,
)
from seep_monai.archive.scene_list import WHOLE, Shard
from seep_monai.errors import ConfigError, DataError, listed

logger = logging.getLogger(__name__)

_WORK = ".work"
_LOG_EVERY_S = 30.0
# Choice: so many workers that died, and none that ever ended a scene, are not the scenes' fault.
_MOST_DEATHS_AT_START = 10
# What Dask raises for a job whose workers died; its package may be missing.
_KILLED = "KilledWorker"


@dataclass(frozen=True)
class Totals:
    """What a run did.

    Attributes:
        rows: of all its scenes.
        n_before: scenes that were done before it.
        seconds: its wall time.
    """

    rows: Sequence[JobRow]
    n_before: int
    seconds: float

    @property
    def n_failed(self) -> int:
        """Number of scenes that failed or were set aside."""
        return sum(row.state in (FAILED, SET_ASIDE) for row in self.rows)

    def __str__(self) -> str:
        states = Counter(row.state for row in self.rows)
        n_pixels = sum(row.pixels for row in self.rows if row.state == DONE)
        before = f" ({self.n_before} of them before)" if self.n_before else ""
        lines = [
            f"{len(self.rows)} scenes: {states[DONE]} done{before}, {states[FAILED]} failed, {states[SET_ASIDE]} set "
            f"aside; {n_pixels / 1e6:.1f} Mpx, {sum(row.seeps for row in self.rows)} seeps; "
            f"{timedelta(seconds=round(self.seconds))}"
        ]
        lines += [f"{count} x {reason}" for reason, count in failures_by_reason(self.rows)]
        return "\n".join(lines)


@contextmanager
def job_table(out: Path, shard: Shard) -> Iterator[JobTable]:
    """The table of a shard, locked against a second run.

    Raises:
        ConfigError: if another process runs the shard.
    """
    path = table_path(out, shard)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"{out}: another process runs this archive{shard.label.replace('-', ' ')}. Wait for its end, or give "
                "another --output_dir."
            ) from error
        except OSError:
            logger.warning("%s: this disk knows no locks; do not start the same command twice", out)
        with JobTable(path) as table:
            yield table


def run_archive(
    scenes: Sequence[ListedScene],
    task: Task,
    out: Path,
    choice: ExecutorChoice,
    *,
    shard: Shard = WHOLE,
    retries: int = 2,
) -> Totals:
    """Run the task for each scene of the shard that is not done. Failures do not stop it.

    Args:
        scenes: of the whole list.
        task: what is done for each.
        out: existing folder of the archive.
        choice: the engine.
        shard: which of the scenes are this run's.
        retries: how often a scene that failed is tried again.

    Raises:
        ConfigError: if the engine is not installed, or another process runs the shard.
        DataError: if the engine cannot be reached or is lost, or workers die before any scene ends.
    """
    mine = shard.of(scenes)
    started = time.monotonic()
    with job_table(out, shard) as table:
        known, rows, moved = table.rows(), [], []
        for scene in mine:
            record = read_record(out / SCENES / scene.name, task.settings)
            rows.append(begun_row(known.get(scene.name), scene, record))
            if record is not None and record["path"] != str(scene.path):
                moved.append(scene.name)
        if moved:
            logger.warning("%d scenes were done from other paths and count as done: %s", len(moved), listed(moved))
        table.begin(rows)
        todo = [scene for scene, row in zip(mine, rows, strict=True) if row.state == WAITING]
        n_before = len(mine) - len(todo)
        logger.info("%d scenes, %d of them are done", len(mine), n_before)
        if todo:
            with _work_folder(out, shard) as run, choice.started() as workers:
                _Run(task, Place(out, run), table, retries, table.rows(), len(todo)).finish(todo, workers)
        ended = table.rows()
    return Totals([ended[scene.name] for scene in mine], n_before, time.monotonic() - started)


@dataclass
class _Run:
    """One run of the scenes of a shard that are not done."""

    task: Task
    place: Place
    table: JobTable
    retries: int
    rows: dict[str, JobRow]
    n_scenes: int
    deaths: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    n_ended: int = 0
    n_pixels: int = 0
    started: float = field(default_factory=time.monotonic)
    logged: float = field(default_factory=time.monotonic)

    def finish(self, scenes: Sequence[ListedScene], workers: Workers) -> None:
        """Run all scenes."""
        waiting = deque(scenes)
        running: dict[Future[Outcome], ListedScene] = {}
        rows: list[JobRow] = []
        while waiting or running:
            # No more than one job a worker: what runs is known, and no scene waits behind a long one.
            while waiting and len(running) < workers.count():
                scene = waiting.popleft()
                running[workers.executor.submit(attempt, self.task, self.place, scene)] = scene
            # After the new jobs, so that no worker waits for the disk.
            self.table.put(rows)
            ended = wait(running, timeout=_LOG_EVERY_S, return_when=FIRST_COMPLETED).done
            outcomes = [(scene, self._outcome(future, scene)) for future in ended if (scene := running.pop(future))]
            rows = [self._row(scene, outcome) for scene, outcome in outcomes]
            waiting.extend(scene for (scene, _), row in zip(outcomes, rows, strict=True) if row.state == WAITING)
            self.rows |= {row.scene: row for row in rows}
            self._log(len(running))
        self.table.put(rows)

    def _outcome(self, future: Future[Outcome], scene: ListedScene) -> Outcome | None:
        """The outcome of an attempt; None if its worker died."""
        try:
            return future.result()
        except CancelledError as error:
            raise DataError(f"executor: the connection to the workers was lost. {GO_ON}") from error
        except Exception as error:
            if not isinstance(error, BrokenExecutor) and type(error).__name__ != _KILLED:
                # Errors of the scene are outcomes.
                raise DataError(
                    f"executor: a worker cannot run scenes ({type(error).__name__}: {error}). Install this version of "
                    "seep_monai, and what the task needs, on every worker."
                ) from error
            self.deaths[scene.name] += 1
            if not self.n_ended and self.deaths.total() >= _MOST_DEATHS_AT_START:
                raise DataError(
                    f"{self.deaths.total()} workers died and no scene was ended. Check the memory of the machine, or "
                    "try one scene with seep-monai infer."
                ) from error
            return None

    def _row(self, scene: ListedScene, outcome: Outcome | None) -> JobRow:
        row = self.rows[scene.name]
        if outcome is None:
            row = replace(row, tries=row.tries + 1)
            if self.deaths[scene.name] < MOST_DEATHS:
                logger.warning("%s: its worker died; it is tried again", scene.name)
                return row
            outcome = Outcome("set aside", self.deaths[scene.name], error=killed(self.deaths[scene.name]))
        else:
            # Dask tries a scene again by itself if its worker dies.
            n_unseen = outcome.deaths - self.deaths[scene.name]
            self.deaths[scene.name] = outcome.deaths
            row = replace(row, tries=row.tries + n_unseen + (outcome.state != SET_ASIDE))
        ended: dict[str, Any] = {
            "seconds": round(outcome.seconds, 3),
            "peak_mib": round(outcome.peak_mib, 1),
            "error": outcome.error,
        }
        if outcome.state == DONE:
            self.n_ended += 1
            self.n_pixels += outcome.pixels
            return replace(row, state=DONE, pixels=outcome.pixels, seeps=outcome.seeps, **ended)
        self.failures[scene.name] += 1
        again = outcome.state == FAILED and self.failures[scene.name] <= self.retries
        logger.warning("%s: %s%s", scene.name, outcome.error, "; it is tried again" if again else "")
        if not again:
            self.n_ended += 1
        return replace(row, state=WAITING if again else outcome.state, **ended)

    def _log(self, n_running: int) -> None:
        now = time.monotonic()
        if now - self.logged < _LOG_EVERY_S or not self.n_ended:
            return
        self.logged, spent = now, now - self.started
        left = timedelta(seconds=round(spent / self.n_ended * (self.n_scenes - self.n_ended)))
        logger.info(
            "%d of %d scenes, %d running, %.3g Mpx/s, %s left",
            self.n_ended,
            self.n_scenes,
            n_running,
            self.n_pixels / spent / 1e6,
            left,
        )


@contextmanager
def _work_folder(out: Path, shard: Shard) -> Iterator[Path]:
    """A new folder for the attempts of this run; those that killed runs of the shard have left are removed."""
    mine = out / _WORK / (shard.label.removeprefix("-") or "all")
    shutil.rmtree(mine, ignore_errors=True)
    run = mine / uuid.uuid4().hex
    run.mkdir(parents=True)
    try:
        yield run
    finally:
        shutil.rmtree(mine, ignore_errors=True)
        with suppress(OSError):
            # Not empty while other shards work.
            mine.parent.rmdir()
