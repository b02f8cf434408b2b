"""Runs of an archive on processes: failures, dead workers, going on, and the state."""

from __future__ import annotations

import csv
import fcntl
import sqlite3
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from archive_tasks import MODEL, PlainTask, run, scenes

from seep_monai.archive import engine
from seep_monai.archive.agreement import agree, read_model
from seep_monai.archive.attempts import ListedScene, Place, attempt
from seep_monai.archive.executors import Workers
from seep_monai.archive.job_table import JobTable, all_shards_ended, merged_rows, write_csv
from seep_monai.archive.scene_list import Shard
from seep_monai.commands.archive import status
from seep_monai.errors import ConfigError, DataError


@pytest.fixture
def task(tmp_path: Path) -> PlainTask:
    (tmp_path / "notes").mkdir()
    return PlainTask(str(tmp_path / "notes"))


def n_attempts(tmp_path: Path, name: str) -> int:
    return len(list((tmp_path / "notes").glob(f"{name}.*")))


def test_scenes_that_fail_or_kill_do_not_stop_the_others(tmp_path: Path, task: PlainTask) -> None:
    out = tmp_path / "out"
    totals = run(scenes("bad_1", "flaky_1", "good_1", "good_2", "good_3", "kill_1", "gpu_1"), task, out)

    rows = {row.scene: row for row in totals.rows}
    assert {name: (row.state, row.tries) for name, row in rows.items()} == {
        "bad_1": ("failed", 3),
        "flaky_1": ("done", 2),
        **{f"good_{k}": ("done", 1) for k in (1, 2, 3)},
        "kill_1": ("set aside", 2),
        "gpu_1": ("set aside", 2),
    }
    assert [n_attempts(tmp_path, name) for name in ("bad_1", "kill_1", "good_1")] == [3, 2, 1]
    assert rows["bad_1"].error == "/scenes/bad_1.tif: expected rows, but row 5 is missing."
    assert "its worker died 2 times" in (rows["kill_1"].error or "")
    assert sorted(path.name for path in (out / "scenes").iterdir()) == ["flaky_1", "good_1", "good_2", "good_3"]
    assert {path.read_text() for path in out.glob("scenes/*/*_part.txt")} == {"whole"}
    assert not (out / ".work").exists()
    assert totals.n_failed == 3
    assert "7 scenes: 4 done, 1 failed, 2 set aside" in str(totals)
    assert "2 x its worker died N times" in str(totals)


def test_same_command_goes_on_where_it_stopped(tmp_path: Path, task: PlainTask) -> None:
    out, some = tmp_path / "out", scenes("bad_1", "good_1", "good_2")
    run(some, task, out)
    totals = run(some, task, out)
    assert totals.n_before == 2
    assert [n_attempts(tmp_path, scene.name) for scene in some] == [6, 1, 1]
    # An output that is not whole is made again.
    (out / "scenes" / "good_2" / "good_2_part.txt").write_text("ha")
    assert run(some, task, out).n_before == 1
    assert (out / "scenes" / "good_2" / "good_2_part.txt").read_text() == "whole"
    assert [n_attempts(tmp_path, name) for name in ("good_1", "good_2")] == [1, 2]


@pytest.mark.parametrize("damage", [b"not a database", b"", None])
def test_damaged_state_is_rebuilt_from_whole_outputs(tmp_path: Path, task: PlainTask, damage: bytes | None) -> None:
    out, some = tmp_path / "out", scenes("good_1", "good_2")
    run(some, task, out)
    before = merged_rows(out)
    content = (out / "jobs.sqlite").read_bytes()
    (out / "jobs.sqlite").write_bytes(content[:1500] + b"\x07" * 3000 if damage is None else damage)
    assert run(some, task, out).n_before == 2
    after = merged_rows(out)
    assert [(r.scene, r.state, r.tries, r.pixels, r.seeps) for r in after.values()] == [
        (r.scene, r.state, r.tries, r.pixels, r.seeps) for r in before.values()
    ]
    assert [n_attempts(tmp_path, name) for name in ("good_1", "good_2")] == [1, 1]


def test_shards_share_the_scenes(tmp_path: Path, task: PlainTask) -> None:
    out, some = tmp_path / "out", scenes(*(f"good_{k}" for k in range(5)))
    first, second = Shard(0, 2), Shard(1, 2)
    assert [row.scene for row in run(some, task, out, shard=first).rows] == ["good_0", "good_2", "good_4"]
    assert not all_shards_ended(out, first)
    run(some, task, out, shard=second)
    assert all_shards_ended(out, first)
    assert [row.state for row in merged_rows(out).values()] == ["done"] * 5
    assert sorted(path.name for path in out.glob("*.sqlite")) == ["jobs-0-of-2.sqlite", "jobs-1-of-2.sqlite"]
    # The whole list finds all done.
    assert run(some, task, out).n_before == 5


def test_second_run_of_a_shard_is_refused(tmp_path: Path, task: PlainTask) -> None:
    with (tmp_path / ".jobs.sqlite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another process runs this archive"):
            run(scenes("good_1"), task, tmp_path)


def test_workers_that_cannot_start_end_the_run(
    tmp_path: Path, task: PlainTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_MOST_DEATHS_AT_START", 3)
    with pytest.raises(DataError, match="3 workers died and no scene was ended"):
        run(scenes("kill_1", "kill_2"), task, tmp_path)


class FailingExecutor(Executor):
    """An engine whose jobs all end with one error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if isinstance(self.error, CancelledError):
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_exception(self.error)
        return future

    @contextmanager
    def started(self) -> Iterator[Workers]:
        yield Workers(self, lambda: 1)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("No module named 'seep_monai'"), r"a worker cannot run scenes \(ImportError: No module named"),
        (CancelledError(), "the connection to the workers was lost. Give the same command again"),
    ],
)
def test_engine_that_is_lost_or_unfit_is_named(
    tmp_path: Path, task: PlainTask, error: BaseException, message: str
) -> None:
    choice: Any = FailingExecutor(error)
    with pytest.raises(DataError, match=message):
        engine.run_archive(scenes("good_1"), task, tmp_path, choice)
    assert [row.state for row in merged_rows(tmp_path).values()] == ["waiting"]


def test_scene_that_has_killed_twice_is_not_tried(tmp_path: Path, task: PlainTask) -> None:
    scene = ListedScene("good_1", Path("/scenes/good_1.tif"))
    place = Place(tmp_path / "out", tmp_path / "run")
    (tmp_path / "out").mkdir()
    for left in ("first", "second"):
        (tmp_path / "run" / "good_1" / left).mkdir(parents=True)
    assert attempt(task, place, scene).state == "set aside"
    assert n_attempts(tmp_path, "good_1") == 0


def test_outputs_of_a_faster_worker_stay_and_broken_ones_are_replaced(tmp_path: Path, task: PlainTask) -> None:
    scene = ListedScene("good_1", Path("/scenes/good_1.tif"))
    place = Place(tmp_path, tmp_path / "run")
    assert attempt(task, place, scene).state == "done"
    record = (tmp_path / "scenes" / "good_1" / "record.json").stat()
    assert attempt(task, place, scene).state == "done"
    assert (tmp_path / "scenes" / "good_1" / "record.json").stat().st_ino == record.st_ino
    (tmp_path / "scenes" / "good_1" / "good_1_part.txt").unlink()
    assert attempt(task, place, scene).state == "done"
    assert (tmp_path / "scenes" / "good_1" / "good_1_part.txt").read_text() == "whole"


def test_other_options_are_refused_and_named(tmp_path: Path) -> None:
    agree(tmp_path, '{"weights": "ab", "instances": {"low": 0.5, "mode": "class"}}', MODEL)
    agree(tmp_path, '{"instances": {"mode": "class", "low": 0.5}, "weights": "ab"}', MODEL)
    assert read_model(tmp_path) == MODEL
    with pytest.raises(ConfigError, match=r'other options: instances#low: 0\.5 there, 0\.3 here; weights: "ab" there'):
        agree(tmp_path, '{"weights": "cd", "instances": {"low": 0.3, "mode": "class"}}', MODEL)
    (tmp_path / "archive.json").write_text("{}")
    with pytest.raises(DataError, match=r"archive\.json: expected the settings of an archive"):
        agree(tmp_path, "{}", MODEL)


def test_status_and_table_hold_the_reasons(tmp_path: Path, task: PlainTask) -> None:
    run(scenes("bad_1", "bad_22", "good_1"), task, tmp_path / "out")
    text = status(tmp_path / "out")
    assert "3 scenes" in text
    assert "2 x SCENE: expected rows, but row N is missing." in text
    write_csv(tmp_path / "jobs.csv", merged_rows(tmp_path / "out").values())
    with (tmp_path / "jobs.csv").open() as file:
        found = list(csv.DictReader(file))
    assert [(row["scene"], row["state"], row["pixels"]) for row in found] == [
        ("bad_1", "failed", "0"),
        ("bad_22", "failed", "0"),
        ("good_1", "done", "100"),
    ]
    with pytest.raises(DataError, match=r"expected jobs\.sqlite of an archive"):
        status(tmp_path)


def test_table_of_another_program_is_begun_again(tmp_path: Path, caplog: Any) -> None:
    with sqlite3.connect(tmp_path / "jobs.sqlite") as database:
        database.execute("CREATE TABLE jobs (a TEXT)")
    database.close()
    with JobTable(tmp_path / "jobs.sqlite") as table:
        assert table.rows() == {}
    assert "its columns are a" in caplog.text
