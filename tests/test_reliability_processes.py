"""Several processes, started by torch.distributed.run, train and evaluate as one process does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import process_runs
import pytest
import soak
import torch
from bundle_runs import SMALL, assert_same_weights, evaluate, message_of, places, train
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_data import write_tiny_dataset

from seep_monai.workflow import stop_log

pytestmark = pytest.mark.usefixtures("closed_log")

N_PROCESSES = soak.trials(small=2, full=3)
TRAIN = ["train", "multi_gpu_train"]
EVALUATE = ["train", "evaluate", "multi_gpu_evaluate"]
NO_AUGMENTATION = {f"augment#{name}": 0 for name in ("turn_prob", "gain", "paste_prob")} | {"augment#symmetries": False}
# Three training tiles in batches of as many tiles as there are processes: in the last batch of two, one has no tile.
LEARNING = {
    **SMALL,
    **NO_AUGMENTATION,
    "initial_weights": "none",
    "run_name": "one",
    "max_epochs": soak.trials(small=20, full=60),
    "val_interval": 10,
    "learning_rate": 0.01,
}
# Rows of the grid have two tiles, so that scenes can be put together.
GRID = {"tile_columns": {f"00000{scene}.": 2 for scene in range(3)}}


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("tiles") / "data", n_scenes=3)


@pytest.fixture(scope="module")
def together(tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of several processes, and in `alone` of one."""
    out = tmp_path_factory.mktemp("together")
    common = {**LEARNING, "dataset_dir": str(tiles), "batch_size": 1}
    scoring = {"dataset_dir": str(tiles), "device": "cpu", "ckpt_dir": str(out / "models")}
    varied = {**SMALL, "dataset_dir": str(tiles), "batch_size": 1, "initial_weights": "none"}
    varied |= {"network_settings#dropout_prob": 0.2, "max_epochs": 2, "augment#paste_prob": 1.0, "run_name": "one"}
    stopped, resumed = {"train#trainer#max_epochs": 1}, {"resume": True, "run_name": "two"}
    started = process_runs.start(
        N_PROCESSES,
        [
            ("training", TRAIN, {**common, **places(out)}),
            ("evaluating", EVALUATE, {**scoring, "output_dir": str(out / "all"), "part": "all"}),
            ("evaluating", EVALUATE, {**scoring, "output_dir": str(out / "scene"), "unit": "scene", **GRID}),
            ("training", TRAIN, {**varied, **places(out / "whole")}),
            ("training", TRAIN, {**varied, **places(out / "parts"), **stopped}),
            ("training", TRAIN, {**varied, **places(out / "parts"), **resumed}),
        ],
        out / "processes",
    )
    train(tiles, out / "alone", **{**LEARNING, "batch_size": N_PROCESSES})
    stop_log()
    code, printed, errors = process_runs.ended(started)
    assert code == 0, errors
    (out / "printed.txt").write_text(printed + errors)
    evaluate(tiles, out / "alone", ckpt_dir=str(out / "models"), output_dir=str(out / "alone" / "all"), part="all")
    options = {"ckpt_dir": str(out / "models"), "output_dir": str(out / "alone" / "scene"), "unit": "scene", **GRID}
    evaluate(tiles, out / "alone", **options)
    return out


def curves(out: Path) -> dict[str, list[float]]:
    events = EventAccumulator(str(out / "eval" / "runs" / "one"))
    events.Reload()
    found = {tag: [event.value for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    return {tag: values for tag, values in found.items() if tag != "train/tiles_per_second"}


def largest_difference(one: Any, other: Any) -> float:
    """Of the numbers at the same places; everything else must be equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert list(one) == list(other)
        return max((largest_difference(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, list) and isinstance(other, list):
        return max((largest_difference(*pair) for pair in zip(one, other, strict=True)), default=0.0)
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other)
    assert one == other
    return 0.0


def test_training_by_processes_has_the_losses_of_one_process(together: Path) -> None:
    found, expected = curves(together), curves(together / "alone")
    first = largest_difference({t: v[:2] for t, v in found.items()}, {t: v[:2] for t, v in expected.items()})
    whole = largest_difference(found, expected)
    soak.record(
        f"{N_PROCESSES} processes train as one: losses and validation scores",
        f"largest difference {first:.1e} in 2 epochs, {whole:.1e} in {LEARNING['max_epochs']}",
    )
    assert len(found["train/loss"]) == LEARNING["max_epochs"]
    assert found["train/loss"][-1] < 0.5 * found["train/loss"][0]
    assert first < 2e-6
    assert whole < 1e-3


def test_weights_trained_by_processes_have_the_names_and_values_of_one_process(together: Path) -> None:
    found, expected = (torch.load(o / "models" / "model.pt", weights_only=True) for o in (together, together / "alone"))
    assert list(found) == list(expected)
    differences = [float((found[name] - expected[name]).abs().max()) for name in found]
    soak.record(f"{N_PROCESSES} processes train as one: best weights", f"largest difference {max(differences):.1e}")
    assert max(differences) < 1e-3


@pytest.mark.parametrize("name", ["all", "scene"])
def test_evaluation_by_processes_gives_the_metrics_of_one_process(together: Path, name: str) -> None:
    # Nine tiles are shared; of the one scene of the test part, all but one process get nothing.
    found, expected = (json.loads((out / name / "metrics.json").read_text()) for out in (together, together / "alone"))
    difference = largest_difference(found, expected)
    soak.record(
        f"{N_PROCESSES} processes evaluate as one: metrics.json, {expected['unit']}s",
        f"largest difference {difference:.1e}",
    )
    assert expected["seep"]["dice"] > 0.9
    assert difference < 1e-5


@pytest.mark.parametrize("name", ["metrics.csv", "ground_truth_coco.json", "report.html", "scored_tiles.npz"])
def test_evaluation_by_processes_writes_every_file_once(together: Path, name: str) -> None:
    names = {path.name for path in (together / "all").rglob("*")}
    assert names == {path.name for path in (together / "alone" / "all").rglob("*")}
    assert not [one for one in names if one.endswith(".tmp")]
    truth = "ground_truth_coco.json"
    assert (together / "all" / truth).read_bytes() == (together / "alone" / "all" / truth).read_bytes()


def test_only_the_first_process_audits_writes_and_logs(together: Path) -> None:
    counts = [json.loads((together / "processes" / f"counts{rank}.json").read_text()) for rank in range(N_PROCESSES)]
    # One audit of each of the four trainings and two evaluations.
    assert counts[0]["audits"] == 6
    assert counts[0]["figures"] > 0
    assert counts[1:] == [{}] * (N_PROCESSES - 1)
    run = together / "eval" / "runs" / "one"
    assert sorted(path.name.split(".")[0] for path in run.iterdir()) == ["config", "events", "run", "versions"]
    assert (run / "run.log").read_text().count("training: 3 tiles") == 1
    assert (together / "printed.txt").read_text().count("training: 3 tiles") == 4


def test_training_resumed_by_processes_goes_on_as_if_it_had_not_stopped(together: Path) -> None:
    folders = [together / name / "models" for name in ("whole", "parts")]
    if N_PROCESSES == 2:
        assert_same_weights(*folders)
    # A sum of three numbers depends on their order, which a resumed run may change.
    whole, parts = (torch.load(folder / "last.pt", weights_only=True) for folder in folders)
    for name, tensor in whole["network"].items():
        torch.testing.assert_close(parts["network"][name], tensor, rtol=1e-4, atol=1e-4)
    states = whole["rng"]
    assert len({bytes(state["augment"].numpy()) for state in states}) == N_PROCESSES


def test_training_by_processes_is_resumed_by_one_which_says_so(
    tiles: Path, together: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(together / "models", tmp_path / "models")
    epochs = LEARNING["max_epochs"] + 1
    train(tiles, tmp_path, **{**LEARNING, "max_epochs": epochs, "val_interval": epochs, "resume": True})
    assert f"written by {N_PROCESSES} processes, but this run has 1" in caplog.text
    assert torch.load(tmp_path / "models" / "last.pt", weights_only=True)["epoch"] == epochs


def test_process_that_dies_ends_all_with_its_reason(tiles: Path, tmp_path: Path) -> None:
    settings = {**SMALL, **places(tmp_path), "dataset_dir": str(tiles), "max_epochs": 100000, "batch_size": 1}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    process = process_runs.started(2, ["-m", "seep_monai", "train", "--multi_gpu", *words])
    try:
        wait_for(tmp_path / "models" / "last.pt")
        victim = child_of(process.pid, rank=1)
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        code, _, errors = process_runs.ended(process, within_s=60)
        seconds = time.monotonic() - killed
    finally:
        process_runs.stop(process)
    soak.record("A process that dies ends all with its reason", f"after {seconds:.0f} s, on a loaded machine")
    assert code != 0
    assert "Signal 9 (SIGKILL) received by PID" in errors
    assert torch.load(tmp_path / "models" / "last.pt", weights_only=True)["epoch"] > 0


def test_several_processes_without_the_overlay_are_refused(
    tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "multi_gpu_train.json" in message_of(train, tiles, tmp_path)


def wait_for(path: Path) -> None:
    until = time.monotonic() + 300
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not appear"
        time.sleep(0.1)


def child_of(parent: int, *, rank: int) -> int:
    """The process id of a rank, from Linux' /proc."""
    wanted = f"LOCAL_RANK={rank}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            is_child = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == parent
            if is_child and wanted in (entry / "environ").read_bytes().split(b"\0"):
                return int(entry.name)
        except OSError:
            continue
    raise AssertionError(f"no process of rank {rank}")
