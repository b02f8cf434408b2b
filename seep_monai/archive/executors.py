"""Engines of `concurrent.futures` that run scenes: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from seep_monai.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

GO_ON = "Give the same command again: it goes on with the scenes that are not done."
# Choice: an address that nobody answers is reported within ten seconds.
_CONNECT_S = 8
# Choice: a cluster grows and shrinks within minutes.
_COUNT_EVERY_S = 10.0


@dataclass(frozen=True)
class ExecutorChoice:
    """An engine, not started.

    Attributes:
        kind: `local` processes or `dask`.
        n_workers: number of local processes.
        address: of the scheduler of Dask.
        resources: what a scene takes of a worker of Dask, such as {"GPU": 1}.
    """

    kind: Literal["local", "dask"]
    n_workers: int = 1
    address: str = ""
    resources: dict[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, resources: str | None = None) -> ExecutorChoice:
        """The engine of `local:N` or `dask:ADDRESS`, with resources such as `GPU=1`.

        Raises:
            ConfigError: for another form, or resources without Dask.

        >>> ExecutorChoice.parse("dask:tcp://head:8786", "GPU=1").resources
        {'GPU': 1.0}
        """
        kind, _, rest = text.partition(":")
        if kind == "dask" and rest:
            return cls("dask", address=rest, resources=_parse_resources(resources))
        if kind == "local" and rest.isdecimal() and int(rest) > 0:
            if resources is not None:
                raise ConfigError("resources: applies to workers of Dask. Remove it, or give --executor dask:ADDRESS.")
            return cls("local", int(rest))
        raise ConfigError(
            f"executor: expected local:N with N processes, or dask:ADDRESS of a scheduler, but got {text!r}."
        )

    def started(self) -> AbstractContextManager[Workers]:
        """The workers, until the end of the block. If it ends by an error, work in progress is given up.

        Raises:
            ConfigError: if Dask is not installed.
            DataError: if no scheduler answers.
        """
        return _local(self.n_workers) if self.kind == "local" else _dask(self.address, self.resources)


@dataclass(frozen=True)
class Workers:
    """A started engine.

    Attributes:
        executor: runs functions in the workers.
        count: the number of workers now, each of which runs one scene at a time.
    """

    executor: Executor
    count: Callable[[], int]


class LocalWorkers(Executor):
    """Processes that run one job at a time each.

    They are process pools of one worker each. A worker that dies breaks its whole pool and the pool does not say in
    which job; with one worker it can only be that job, and the other workers go on. A broken pool is replaced.

    Args:
        n_workers: number of processes. They start when they are needed.
    """

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        self._strangers = set(multiprocessing.active_children())
        self._pools = [self._new_pool() for _ in range(n_workers)]
        self._jobs: list[Future[Any] | None] = [None] * n_workers

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function in a free worker; if there is none, in the first one, after its job."""
        free = (i for i, job in enumerate(self._jobs) if job is None or job.done())
        index = next(free, 0)
        try:
            future = self._pools[index].submit(fn, *args, **kwargs)
        except BrokenProcessPool:
            self._pools[index].shutdown(wait=False)
            self._pools[index] = self._new_pool()
            future = self._pools[index].submit(fn, *args, **kwargs)
        self._jobs[index] = future
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers after their jobs."""
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=cancel_futures)
        if wait:
            for pool in self._pools:
                pool.shutdown(wait=True)

    def kill(self) -> None:
        """End the workers at once."""
        for process in set(multiprocessing.active_children()) - self._strangers:
            process.kill()
        self.shutdown(cancel_futures=True)

    def _new_pool(self) -> ProcessPoolExecutor:
        # Choice: spawn, because CUDA and threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, initializer=begin_worker, initargs=(self._n_workers,))


def begin_worker(n_workers: int) -> None:
    """First thing that a local worker does.

    It shares the cores with the others, leaves Ctrl-C to its parent, and ends if its parent is killed: a worker that
    went on would write beside those of the next run.

    Args:
        n_workers: number of workers on this machine.
    """
    n_threads = max(1, len(os.sched_getaffinity(0)) // n_workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(n_threads))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _local(n_workers: int) -> Iterator[Workers]:
    executor = LocalWorkers(n_workers)
    try:
        yield Workers(executor, lambda: n_workers)
    except BaseException:
        executor.kill()
        raise
    executor.shutdown()


@contextmanager
def _dask(address: str, resources: dict[str, float]) -> Iterator[Workers]:
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError(
            f"executor: dask:{address} needs the package distributed, which is not installed. Install it: pip install "
            '"seep-monai[dask]".'
        ) from error
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"executor: no scheduler of Dask answers at {address} ({type(error).__name__}: {error}). Start one (dask "
            "scheduler), or correct the address."
        ) from error
    options = {"resources": resources} if resources else {}
    with client:
        # `pure=False`: a second attempt is another job than the first.
        yield Workers(client.get_executor(pure=False, **options), _Counter(client))


@dataclass
class _Counter:
    """The number of workers of a cluster, asked now and then; 1 while there is none, so that a scene waits for it."""

    client: Any
    asked: float = -_COUNT_EVERY_S
    number: int = 1

    def __call__(self) -> int:
        now = time.monotonic()
        if now - self.asked >= _COUNT_EVERY_S:
            try:
                n_found = len(self.client.nthreads())
            except (OSError, RuntimeError) as error:
                raise DataError(f"executor: the scheduler of Dask is gone ({error}). {GO_ON}") from error
            if not n_found:
                logger.warning("the scheduler has no workers; waiting for one (dask worker ADDRESS)")
            self.asked, self.number = now, max(1, n_found)
        return self.number


def _parse_resources(text: str | None) -> dict[str, float]:
    found = {} if text is None else dict(pair.partition("=")[::2] for pair in text.split(","))
    if not all(name and re.fullmatch(r"\d+(\.\d+)?", amount) for name, amount in found.items()):
        raise ConfigError(f"resources: expected NAME=AMOUNT, such as GPU=1, but got {text!r}.")
    return {name: float(amount) for name, amount in found.items()}
