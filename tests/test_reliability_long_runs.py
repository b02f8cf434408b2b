"""Long runs: a training of many epochs and a batch of many scenes do not grow."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soak
from bundle_runs import infer, train

from seep_monai.handlers.curves import TrainingCurves
from seep_monai.scene.run import SceneRun
from seep_monai.tiff import write_tiff

pytestmark = [
    pytest.mark.usefixtures("closed_log"),
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts files and threads in /proc"),
]

N_EPOCHS = soak.trials(small=9, full=200)
N_SCENES = soak.trials(small=9, full=500)
# Collecting all objects takes longer than a scene.
EVERY = soak.trials(small=1, full=5)
# The allocator keeps pages for later: what it holds goes up and down by some MB.
MAX_GROWTH_MB = 16.0
# Objects that Python's collector knows. The last validation's detections are kept until the next one, and the standard
# library keeps the last 128 addresses that it has parsed. One object left behind a step is 67 or more at full counts.
MAX_OBJECTS = 60


@dataclass
class Growth:
    """What the process holds after each step of a run."""

    memory_mb: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    objects: list[int] = field(default_factory=list)
    n_steps: int = 0

    def measure(self) -> None:
        """Add the figures of this moment, at every few steps."""
        self.n_steps += 1
        if self.n_steps % EVERY:
            return
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.memory_mb.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        self.files.append(_n_entries("/proc/self/fd"))
        self.threads.append(_n_entries("/proc/self/task"))
        self.objects.append(len(gc.get_objects()))

    def check(self, promise: str, steps: str) -> None:
        """Check that nothing has grown from the middle of the run to its end."""
        memory_mb, files, threads, objects = map(_growth, (self.memory_mb, self.files, self.threads, self.objects))
        assert files <= 0
        assert threads <= 0
        assert objects <= MAX_OBJECTS
        assert memory_mb <= MAX_GROWTH_MB
        soak.record(
            promise,
            f"{self.n_steps} {steps}: from the middle third to the last {memory_mb:+.1f} MB, {files:+g} open files, "
            f"{threads:+g} threads, {objects:+g} Python objects",
        )


def _growth(values: Sequence[float]) -> float:
    """The median of the last third less that of the middle third; the first third is the start of the run."""
    third = len(values) // 3
    return float(np.median(values[-third:]) - np.median(values[third : 2 * third]))


def _n_entries(folder: str) -> int:
    return len(list(Path(folder).iterdir()))


def measured(function: Callable[..., Any], growth: Growth) -> Callable[..., Any]:
    """The function, with a measurement after each call."""

    def call(*args: Any) -> None:
        function(*args)
        growth.measure()

    return call


def test_training_of_many_epochs_does_not_grow(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    growth = Growth()
    monkeypatch.setattr(TrainingCurves, "write", measured(TrainingCurves.write, growth))
    train(dataset, tmp_path, max_epochs=N_EPOCHS)
    growth.check("A training of many epochs does not grow", "epochs")


def test_inference_of_many_scenes_does_not_grow(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = tmp_path / "in"
    scenes.mkdir()
    pixels = np.random.default_rng(0).integers(100, 200, (80, 200)).astype(np.uint16)
    write_tiff(scenes / "scene_0.tif", pixels)
    for i in range(1, N_SCENES):
        shutil.copy(scenes / "scene_0.tif", scenes / f"scene_{i}.tif")
    growth = Growth()
    monkeypatch.setattr(SceneRun, "infer", measured(SceneRun.infer, growth))
    infer(scenes, trained, tmp_path / "out")
    growth.check("An inference of many scenes does not grow", "scenes")
