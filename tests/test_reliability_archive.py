"""What an archive promises: one catalogue from any engine, and nothing lost or double if its driver is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import archive_tasks
import pyogrio
import pytest
import shapely
import soak
from archive_tasks import MODEL, DrawTask, run, scenes
from shipped_bundle import write_training

from seep_monai.archive.attempts import ListedScene, Task
from seep_monai.archive.catalogue import write_catalogue
from seep_monai.archive.engine import run_archive
from seep_monai.archive.executors import ExecutorChoice
from seep_monai.archive.inference import make_task
from seep_monai.archive.job_table import merged_rows
from seep_monai.archive.scene_list import Shard, find_scenes
from seep_monai.simulate.georeference import AffineReference
from seep_monai.simulate.scene_sample import ScenePlan, make_scenes
from seep_monai.simulate.settings import SceneSettings

N_SCENES = 8
TESTS = Path(__file__).parent


def catalogue(out: Path, task: Task) -> dict[str, Any]:
    """All that the catalogue of an archive says: the text of its items, and the rows of its table."""
    write_catalogue(out, task.settings, MODEL)
    items = {str(path.relative_to(out)): path.read_text() for path in sorted(out.glob("catalogue/**/*.json"))}
    _, fids, geometries, values = pyogrio.raw.read(out / "seeps.gpkg", layer="seeps", return_fids=True)
    shapes = shapely.to_wkt(shapely.from_wkb(geometries), rounding_precision=-1).tolist()
    rows = zip(fids.tolist(), shapes, *(column.tolist() for column in values), strict=True)
    # As text, because NaN differs from itself.
    return {**items, "seeps": [str(row) for row in rows]}


def drawn(tmp_path: Path) -> tuple[list[ListedScene], Task]:
    """Scenes that are drawn by their names, for half a second each."""
    return scenes(*(f"s{k:02d}" for k in range(N_SCENES))), DrawTask(seconds=0.5)


def inferred(tmp_path: Path) -> tuple[list[ListedScene], Task]:
    """Simulated scenes and their inference by a small untrained network, which sees seeps in the speckle."""
    settings = SceneSettings(size_px=(300, 300), seep_share=0.9)
    plan = ScenePlan(5, N_SCENES, settings, AffineReference(32616, 40.0, 500_000.0, 3_000_000.0))
    make_scenes(tmp_path / "simulated", plan, overwrite=False)
    listed = find_scenes([str(tmp_path / "simulated" / "images")])
    weights = write_training(tmp_path / "models")
    words = ["--ckpt_dir", str(weights), "--device", "cpu", "--instances#mode", "object", "--instances#low", "0.03"]
    words += ["--instances#high", "0.06"]
    return listed, make_task(words, listed[0], tmp_path / "none")[0]


@pytest.mark.parametrize("make", [drawn, inferred][: soak.trials(small=1, full=2)])
def test_every_engine_gives_the_same_catalogue(make: Any, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    listed, task = make(tmp_path)
    outs = [tmp_path / name for name in ("local", "dask", "shards")]
    run(listed, task, outs[0])
    for index in (1, 0):
        run(listed, task, outs[2], n_workers=1, shard=Shard(index, 2))

    outs[1].mkdir()
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        victim = next(iter(client.run(os.getpid).values()))
        killer = threading.Thread(target=_kill_half_way, args=(victim, outs[1]))
        killer.start()
        totals = run_archive(listed, task, outs[1], ExecutorChoice("dask", address=cluster.scheduler_address))
        killer.join()
    with pytest.raises(ProcessLookupError):
        os.kill(victim, 0)

    assert totals.n_failed == 0
    found = [catalogue(out, task) for out in outs]
    assert len(found[0]) == N_SCENES + 2
    assert len(found[0]["seeps"]) > 0
    assert found[1] == found[0]
    assert found[2] == found[0]
    n_tries = sum(row.tries for row in totals.rows)
    soak.record(
        "Local processes, Dask with a worker killed half way, and two shards give the same catalogue",
        f"{make.__name__}: {N_SCENES} scenes, {len(found[0]['seeps'])} seeps equal in 3 of 3, {n_tries} tries on Dask",
    )


def _kill_half_way(pid: int, out: Path) -> None:
    # While both workers are in a scene: each attempt has a folder.
    while len(list(out.glob("scenes/*"))) < N_SCENES // 2 or len(list(out.glob(".work/*/*/*/*"))) < 2:
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)


def test_killed_driver_loses_and_doubles_nothing(tmp_path: Path) -> None:
    rng, n_kills = random.Random(17), soak.trials(small=1, full=5)
    listed, task = scenes(*(f"s{k:02d}" for k in range(2 * N_SCENES))), DrawTask(seconds=0.3)
    run(listed, task, tmp_path / "whole")
    out = tmp_path / "killed"
    out.mkdir()
    paths = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    moments = sorted(rng.sample(range(1, 2 * N_SCENES - 1), n_kills))
    words = [sys.executable, str(TESTS / "archive_tasks.py"), str(out), str(len(listed)), "0.3"]
    before: dict[str, int] = {}
    for n_done in moments:
        driver = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.DEVNULL)
        while len(list(out.glob("scenes/*"))) < n_done:
            assert driver.poll() is None
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.4))
        driver.kill()
        driver.wait()
        _wait_for_workers(driver.pid)
        now = _whole(out)
        assert all(now[name] == made for name, made in before.items())
        before = now

    totals = run(listed, task, out)
    after = _whole(out)
    assert totals.n_before == len(before)
    assert all(after[name] == made for name, made in before.items())
    assert [row.state for row in merged_rows(out).values()] == ["done"] * len(listed)
    assert sorted(after) == sorted(scene.name for scene in listed)
    assert catalogue(out, task) == catalogue(tmp_path / "whole", task)
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["catalogue", "scenes"]
    soak.record(
        "A killed archive goes on with nothing lost and nothing double",
        f"{n_kills} kills by SIGKILL at {moments} of {len(listed)} scenes: the same catalogue, no scene made twice",
    )


def _whole(out: Path) -> dict[str, int]:
    """The time at which each scene was made."""
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("scenes/*/record.json")}


def _wait_for_workers(driver: int) -> None:
    """Until the workers of a killed driver have noticed. Each has the number of its driver on its command line."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        if not any(f"parent_pid={driver}".encode() in line for line in lines):
            return
        time.sleep(0.05)
    raise AssertionError(f"workers of {driver} live on")


def test_random_damage_of_the_state_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    rng, n_trials = random.Random(4), soak.trials(small=2, full=50)
    listed, task = scenes("good_1", "good_2", "good_3"), archive_tasks.PlainTask(str(tmp_path / "notes"))
    run(listed, task, tmp_path / "out")
    state = tmp_path / "out" / "jobs.sqlite"
    content = state.read_bytes()
    for _ in range(n_trials):
        damaged = bytearray(content)
        start = rng.randrange(len(content))
        length = rng.choice((1, 30, 3000))
        damaged[start : start + length] = rng.randbytes(length)
        state.write_bytes(damaged[: rng.choice((len(content), rng.randrange(len(content))))])
        assert run(listed, task, tmp_path / "out").n_before == 3
        assert [row.state for row in merged_rows(tmp_path / "out").values()] == ["done"] * 3
    assert len(list((tmp_path / "notes").iterdir())) == 3
    soak.record("A damaged state file is rebuilt from the outputs", f"{n_trials} random damages, no scene made again")
