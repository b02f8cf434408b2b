"""One attempt at a scene, in a worker: a folder of its own, whole outputs or none, and a trace if the worker dies.

An attempt works in `RUN/<scene>/<random>`. At its end that folder is renamed to `scenes/<scene>` or removed, so that
folders which are left there count the workers that the scene has killed. Nothing here imports torch: workers start
fast, and their number of threads is set before torch is imported.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from seep_monai.errors import SeepError
from seep_monai.files import write_json

logger = logging.getLogger(__name__)

SCENES = "scenes"
RECORD = "record.json"
# Choice: the first time the machine may be to blame, such as its memory.
MOST_DEATHS = 2
# A worker of Dask with several threads runs one scene at a time, so that a dead worker has one culprit.
_ONE_SCENE = threading.Lock()


@dataclass(frozen=True)
class ListedScene:
    """One scene of an archive.

    Attributes:
        name: of the scene and of its outputs.
        path: absolute, of the raster or `.SAFE` folder.
        time: when it was taken, ISO 8601 in UTC, if the list says so.
        platform: name of the satellite, as in STAC, if known.
    """

    name: str
    path: Path
    time: str | None = None
    platform: str | None = None


class Task(Protocol):
    """What is done for each scene. It is pickled and sent to the workers."""

    @property
    def settings(self) -> str:
        """What the outputs depend on, JSON; outputs with others are not whole."""
        ...

    def __call__(self, scene: ListedScene, folder: Path) -> dict[str, Any]:
        """Write the outputs to the folder and return what the record says of the scene: `pixels`, `seeps` and more."""
        ...


@dataclass(frozen=True)
class Place:
    """Where attempts work and where outputs go.

    Attributes:
        out: folder of the archive.
        run: folder for attempts of one run, on the same disk.
    """

    out: Path
    run: Path


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        state: done, failed, or set aside: the scene has killed too many workers.
        deaths: number of workers that it killed before.
        seconds: of this attempt.
        peak_mib: highest memory of the worker's process in this attempt, MiB; 0: unknown.
        pixels, seeps: how many it has.
        error: why it failed.
    """

    state: Literal["done", "failed", "set aside"]
    deaths: int = 0
    seconds: float = 0.0
    peak_mib: float = 0.0
    pixels: int = 0
    seeps: int = 0
    error: str | None = None


def attempt(task: Task, place: Place, scene: ListedScene) -> Outcome:
    """Try a scene. Errors are an outcome; only the death of the process is not."""
    with _ONE_SCENE:
        mine = place.run / scene.name
        deaths = len(list(mine.iterdir())) if mine.is_dir() else 0
        if deaths >= MOST_DEATHS:
            return Outcome("set aside", deaths, error=killed(deaths))
        folder = mine / uuid.uuid4().hex
        _forget_peak_memory()
        started = time.monotonic()
        try:
            folder.mkdir(parents=True)
            result = task(scene, folder)
            seconds, peak_mib = time.monotonic() - started, peak_memory_mib()
            _write_record(folder, scene, task.settings, {**result, "seconds": seconds, "peak_mib": peak_mib})
            _put_in_place(folder, place.out / SCENES / scene.name, task.settings)
        except (Exception, SystemExit) as error:
            # The steps of the bundle end the program with SystemExit.
            if "CUDA error" in str(error):
                # The GPU's context is lost, so that all later scenes would fail in this process.
                logger.error("%s: %s; its worker ends", scene.name, error)
                os._exit(1)
            seconds, peak_mib = time.monotonic() - started, peak_memory_mib()
            return Outcome("failed", deaths, seconds, peak_mib, error=_reason(error))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                # Not empty if another worker has died.
                mine.rmdir()
        return Outcome("done", deaths, seconds, peak_mib, int(result["pixels"]), int(result["seeps"]))


def killed(deaths: int) -> str:
    """The reason of a scene that is set aside."""
    return f"its worker died {deaths} times, most likely for want of memory; it was set aside"


def read_record(folder: Path, settings: str) -> dict[str, Any] | None:
    """The record of a scene whose outputs are whole and made with these settings; None otherwise.

    Args:
        folder: of the scene, in `scenes`.
        settings: of the task.
    """
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        whole = all((folder / name).stat().st_size == n_bytes for name, n_bytes in record["files"].items())
        return record if whole and record["settings"] == json.loads(settings) else None
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def peak_memory_mib() -> float:
    """The highest resident memory of this process so far, or since `_forget_peak_memory`, in MiB."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        # Source: getrusage counts in KiB on Linux and in bytes on macOS.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _forget_peak_memory() -> None:
    """Let the kernel count the peak from now on, where it can."""
    try:
        # Source: proc(5), clear_refs.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        logger.debug("the peak of the memory counts from the start of the worker")


def _write_record(folder: Path, scene: ListedScene, settings: str, result: Mapping[str, Any]) -> None:
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    record = {"scene": scene.name, "path": str(scene.path), **result, "files": files, "settings": json.loads(settings)}
    write_json(folder / RECORD, record)


def _put_in_place(folder: Path, target: Path, settings: str) -> None:
    """Rename the folder to its target, which appears as a whole."""
    target.parent.mkdir(exist_ok=True)
    try:
        folder.rename(target)
    except OSError:
        # Another worker was faster: a run that was killed goes on to its end on Dask.
        if read_record(target, settings) is not None:
            return
        shutil.rmtree(target)
        folder.rename(target)


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return (
        text if isinstance(error, SeepError | SystemExit) and text else f"{type(error).__name__}: {text}".rstrip(": ")
    )
