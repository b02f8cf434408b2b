"""A training that was killed, stopped or ran out of disk goes on bit for bit, and its weights can be used meanwhile."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soak
import torch
from bundle_runs import assert_same_weights, train
from training_processes import SETTINGS, WITHIN_EPOCHS, WRITTEN, Kill, can_mount, ended, files_of, start, training_words

from seep_monai.checkpoints import read_last
from seep_monai.dataset import plan
from seep_monai.handlers.checkpoints import LastCheckpoint

pytestmark = pytest.mark.usefixtures("closed_log")

# Four epochs of three batches.
_N_ITERATIONS = 12
# Those that were not survived before come first, for the small share.
_KILLS = [
    Kill("model.pt", "after", 1),
    Kill("model.pt", "after", 2),
    Kill("last.pt", "half", 5),
    Kill("model.pt", "before", 2),
    *(Kill("model.json", moment, n) for moment in ("before", "after") for n in (1, 2)),
    *(Kill("model.next.json", moment, n) for moment in ("half", "before", "after") for n in (1, 2)),
    *(Kill("model.pt", moment, n) for moment, n in (("half", 1), ("half", 2), ("before", 1))),
    *(Kill("last.pt", moment, n) for moment in ("half", "before", "after") for n in (1, 3, 7)),
]


@dataclass(frozen=True)
class Whole:
    """A training that was not disturbed: the bytes of its files, and how long it took."""

    files: Mapping[str, bytes]
    seconds: float


@pytest.fixture(scope="module")
def whole(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    out = tmp_path_factory.mktemp("whole")
    # The first process waits until all modules are imported.
    assert ended(start(["--help"], out / "log.txt")) == 0
    started = time.monotonic()
    assert ended(start(training_words(dataset, out, **WITHIN_EPOCHS), out / "log.txt")) == 0
    seconds = time.monotonic() - started
    files = files_of(out / "models")
    assert sorted(files) == sorted(WRITTEN)
    return Whole(files, seconds)


def assert_goes_on(dataset: Path, out: Path, whole: Whole) -> int:
    """Infer with what a killed training left, resume it, and compare all bytes. Returns the iterations it had done."""
    models, log = out / "models", out / "log.txt"
    if (models / "model.pt").is_file():
        tile = dataset / "train_images_256" / "000001.000002.tif"
        words = ["infer", str(tile), "--ckpt_dir", str(models), "--output_dir", str(out / "maps"), "--device", "cpu"]
        assert ended(start(words, log)) == 0, log.read_text()[-3000:]
    has_last = (models / "last.pt").is_file()
    # Before the first checkpoint there is nothing to resume: the remedy that the messages name.
    go_on = {"resume": True} if has_last else {"overwrite": True, "output_dir": out / "again"}
    n_done = read_last(models / "last.pt")["iteration"] if has_last else 0
    if n_done < _N_ITERATIONS:
        words = training_words(dataset, out, **WITHIN_EPOCHS, **go_on)
        assert ended(start(words, log)) == 0, log.read_text()[-3000:]
    assert files_of(models) == whole.files
    return n_done


def test_training_killed_in_a_write_goes_on_bit_for_bit(dataset: Path, tmp_path: Path, whole: Whole) -> None:
    kills = _KILLS[: soak.trials(small=2, full=len(_KILLS))]
    for kill in kills:
        out = tmp_path / str(kill)
        out.mkdir()
        words = training_words(dataset, out, **WITHIN_EPOCHS)
        assert ended(start(words, out / "log.txt", kill)) == -signal.SIGKILL, kill
        assert_goes_on(dataset, out, whole)
    soak.record(
        "A training killed inside a write goes on bit for bit; its weights draw maps meanwhile",
        f"{len(kills)} of {len(kills)} kills: half written, before and after each renaming of each file",
    )


def test_training_killed_at_random_moments_goes_on_bit_for_bit(dataset: Path, tmp_path: Path, whole: Whole) -> None:
    rng = random.Random(16)
    iterations, n_second = [], 0
    for number in range(soak.trials(small=2, full=20)):
        out = tmp_path / str(number)
        words = training_words(dataset, out, **WITHIN_EPOCHS)
        out.mkdir()
        while ended(start(words, out / "log.txt", random_moment(rng, whole))) != -signal.SIGKILL:
            # It had ended before.
            shutil.rmtree(out)
            out.mkdir()
        if (out / "models" / "last.pt").is_file():
            # This kill may come too late.
            again = start([*words, "--resume", "True"], out / "log.txt", random_moment(rng, whole))
            n_second += ended(again) == -signal.SIGKILL
        iterations.append(assert_goes_on(dataset, out, whole))
    soak.record(
        "A training killed at a random moment goes on bit for bit; its weights draw maps meanwhile",
        f"{len(iterations)} of {len(iterations)} kills, {n_second} of them killed again after they had been resumed; "
        f"last checkpoints after {sorted(iterations)} of {_N_ITERATIONS} iterations",
    )


def random_moment(rng: random.Random, whole: Whole) -> Kill:
    """Up to two iterations after one of the first eleven checkpoints, or after the start."""
    delay_s = rng.uniform(0, 2) * whole.seconds / (_N_ITERATIONS + 1)
    return Kill("last.pt", "after", rng.randrange(_N_ITERATIONS - 1), delay_s=max(delay_s, 1e-3))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_training_stopped_by_a_signal_says_one_line_and_goes_on_bit_for_bit(
    dataset: Path, tmp_path: Path, whole: Whole, number: int, code: int
) -> None:
    log = tmp_path / "log.txt"
    kill = Kill("last.pt", "half", 5, number)
    assert ended(start(training_words(dataset, tmp_path, **WITHIN_EPOCHS), log, kill)) == code
    text = log.read_text()
    # Three batches an epoch: the fifth checkpoint is that of the fifth batch.
    assert text.splitlines()[-1].endswith("stopped in epoch 2; continue with --resume True")
    assert "Traceback" not in text
    assert "ERROR" not in text
    assert set(files_of(tmp_path / "models")) == set(WRITTEN)
    assert assert_goes_on(dataset, tmp_path, whole) == 4


class GlobalNoise:
    """Adds noise from the global generators of numpy and Python, as a user's own transform may do."""

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        noise = np.random.standard_normal(item["image"].shape) + random.gauss(0, 1)  # noqa: NPY002
        return {**item, "image": item["image"] + 0.1 * torch.from_numpy(noise).float()}


_STEPS = [
    {"_target_": "LoadImaged", "keys": ["image", "label"], "ensure_channel_first": True},
    {"_target_": "seep_monai.dataset.transforms.NormaliseByScened", "keys": "image", "label_key": "label"},
    {"_target_": "EnsureTyped", "keys": ["image", "label"], "track_meta": False},
    {"_target_": "RandGaussianNoised", "keys": "image", "prob": 0.5},
    {"_target_": "test_reliability_resume.GlobalNoise"},
]


@pytest.mark.parametrize(
    "options",
    [
        {"train#sampling": "rarest_class"},
        {"train#preprocessing#transforms": _STEPS, "average#decay": 0.0},
        {"train#preprocessing#transforms": _STEPS, "train#dataloader#num_workers": 1},
    ],
    ids=["sampler", "transforms", "worker"],
)
def test_training_stopped_within_an_epoch_goes_on_bit_for_bit(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    common = {**SETTINGS, **options, "max_epochs": 3}
    train(dataset, tmp_path / "whole", **common)
    iterations = [5, 1, 2, 4, 7, 8][: soak.trials(small=1, full=6)]
    for iteration in iterations:
        out = tmp_path / str(iteration)

        def save_and_stop(self: LastCheckpoint, engine: Any, last: int = iteration) -> None:
            if engine.state.iteration == last:
                self.save(engine, last % 3)
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(LastCheckpoint, "save_within_epoch", save_and_stop)
            with pytest.raises(SystemExit):
                train(dataset, out, **common)
        assert read_last(out / "models" / "last.pt")["iteration"] == iteration
        train(dataset, out, **common, resume=True)
        for name in ("model.pt", "last.pt"):
            assert (out / "models" / name).read_bytes() == (tmp_path / "whole" / "models" / name).read_bytes()
    soak.record(
        "A checkpoint within an epoch goes on bit for bit", f"{list(options)}: {len(iterations)} of {len(iterations)}"
    )


def test_checkpoint_of_an_earlier_version_goes_on_bit_for_bit(dataset: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path / "whole", **SETTINGS)
    train(dataset, tmp_path / "parts", **SETTINGS, **{"train#trainer#max_epochs": 2})
    last = tmp_path / "parts" / "models" / "last.pt"
    content = torch.load(last, weights_only=True)
    old = {key: value for key, value in content.items() if key not in ("begun", "epoch_length")}
    old["rng"] = {key: content["rng"][0][key] for key in ("torch", "cuda", "augment")}
    torch.save(old, last)
    train(dataset, tmp_path / "parts", **SETTINGS, resume=True)
    assert_same_weights(tmp_path / "whole" / "models", tmp_path / "parts" / "models")


def test_training_stopped_in_its_audit_says_one_line(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stop(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "make_plan", stop)
    with pytest.raises(SystemExit) as caught:
        train(dataset, tmp_path)
    assert caught.value.code == 130
    assert [record.getMessage() for record in caplog.records if record.name.startswith("seep_monai")] == ["stopped"]


def test_command_stopped_while_it_imports_says_one_line() -> None:
    program = (
        "import os, signal, sys, types\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def stop(name, *_):\n"
        "    if name == 'torch': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, types.SimpleNamespace(find_spec=stop))\n"
        "from seep_monai.__main__ import main; main(['train'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 130
    assert (done.stdout, done.stderr) == ("", "seep-monai train: stopped\n")


@pytest.mark.parametrize(
    ("folder", "file"), [("models", "last.pt"), ("eval", "runs/one/events.out.tfevents")], ids=["models", "eval"]
)
def test_training_on_a_full_disk_names_the_file_and_the_disk(
    dataset: Path, tmp_path: Path, folder: str, file: str
) -> None:
    if not can_mount():
        pytest.skip("no disk can be mounted")
    disk, log = tmp_path / folder, tmp_path / "log.txt"
    disk.mkdir()
    words = training_words(dataset, tmp_path, **{"validate#n_pictures": 6})
    assert ended(start(words, log, tiny_disk=disk)) == 1
    text = log.read_text()
    reason = r"cannot be written \(No space left on device\)"
    assert re.search(rf"^{disk}/{file}: {reason}: the disk at {disk} has only 0\.\d MB left", text, re.MULTILINE)
    assert "Traceback" not in text
