"""Engines of an archive."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import pytest

from seep_monai.archive import executors
from seep_monai.archive.executors import ExecutorChoice, LocalWorkers
from seep_monai.errors import ConfigError, DataError


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def slept(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def n_threads() -> str:
    return os.environ["OMP_NUM_THREADS"]


@pytest.mark.parametrize("text", ["local", "local:0", "local:two", "dask:", "slurm:4", "dask"])
def test_unknown_executors_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected local:N .* dask:ADDRESS"):
        ExecutorChoice.parse(text)


def test_resources_are_of_dask() -> None:
    assert ExecutorChoice.parse("dask:tcp://a:1", "GPU=1,MEMORY=0.5").resources == {"GPU": 1.0, "MEMORY": 0.5}
    with pytest.raises(ConfigError, match="resources: applies to workers of Dask"):
        ExecutorChoice.parse("local:2", "GPU=1")
    with pytest.raises(ConfigError, match="expected NAME=AMOUNT"):
        ExecutorChoice.parse("dask:tcp://a:1", "GPU")


def test_dead_worker_breaks_its_own_job_alone() -> None:
    with LocalWorkers(2) as workers:
        good, bad = workers.submit(slept, 0.5), workers.submit(killed)
        with pytest.raises(BrokenProcessPool):
            bad.result()
        again = workers.submit(slept, 0)
        assert good.result() != again.result()


def test_jobs_go_to_free_workers() -> None:
    with LocalWorkers(2) as workers:
        long = workers.submit(slept, 1.5)
        short = [workers.submit(slept, 0).result() for _ in range(3)]
        assert not long.done()
        assert len(set(short)) == 1


def test_error_in_the_block_ends_local_workers_at_once() -> None:
    with suppress(KeyError), ExecutorChoice("local", 1).started() as workers:
        future = workers.executor.submit(slept, 60)
        raise KeyError
    assert wait([future], timeout=10).done


def test_local_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with LocalWorkers(2) as workers:
        assert int(workers.submit(n_threads).result()) == max(1, len(os.sched_getaffinity(0)) // 2)


def test_missing_dask_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ConfigError, match=r'not installed\. Install it: pip install "seep-monai\[dask\]"'),
        ExecutorChoice("dask", address="tcp://127.0.0.1:1").started(),
    ):
        pass


def test_address_that_nobody_answers_is_named_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    assert executors._CONNECT_S < 10
    monkeypatch.setattr(executors, "_CONNECT_S", 1)
    # A port that is bound and does not listen.
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{port.getsockname()[1]}"
        with (
            pytest.raises(DataError, match=f"no scheduler of Dask answers at {address}"),
            ExecutorChoice("dask", address=address).started(),
        ):
            pass
    with (
        pytest.raises(DataError, match="no scheduler of Dask answers at nonsense://x"),
        ExecutorChoice("dask", address="nonsense://x").started(),
    ):
        pass


def test_workers_end_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from concurrent.futures import wait\n"
        "from seep_monai.archive.executors import LocalWorkers; from test_archive_executors import slept\n"
        "if __name__ == '__main__':\n"
        "    workers = LocalWorkers(1)\n"
        "    Path(sys.argv[1]).write_text(str(workers.submit(slept, 0).result()))\n"
        "    workers.submit(slept, 60).result()\n"
    )
    (tmp_path / "driver.py").write_text(script)
    note = tmp_path / "pid"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}
    driver = os.spawnve(
        os.P_NOWAIT, sys.executable, [sys.executable, str(tmp_path / "driver.py"), str(note)], environment
    )
    while not note.exists() or not note.read_text():
        time.sleep(0.05)
    os.kill(driver, signal.SIGKILL)
    os.waitpid(driver, 0)
    worker = Path("/proc") / note.read_text()
    deadline = time.monotonic() + 20
    while worker.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not worker.exists()
