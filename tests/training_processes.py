"""The command `seep-monai` in processes of its own, which are killed in the middle of a write or have a tiny disk.

They are forked from a process that has imported everything, since that takes longer than a tiny training.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from bundle_runs import SMALL, places

from seep_monai import __main__

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["training_processes", "seep_monai.commands.bundle", "seep_monai.steps", "torch._dynamo"])
# Three batches an epoch, and all that draws random numbers: dropout, order of the tiles, augmentation.
SETTINGS = {
    **SMALL,
    "batch_size": 2,
    "max_epochs": 4,
    "run_name": "one",
    "validate#n_pictures": 0,
    "network_settings#dropout_prob": 0.2,
    "augment#paste_prob": 1.0,
}
WITHIN_EPOCHS = {"train#checkpoint_interval_s": 1e-6}
WRITTEN = ("model.pt", "model.json", "last.pt")


@dataclass(frozen=True)
class Kill:
    """A signal in the write of the n-th file of a name: when it is `half` written, `before` or `after` the renaming.

    With `delay_s` it comes so much later. `n` = 0 counts from the start of the process.
    """

    name: str
    moment: str
    n: int
    signal: int = signal.SIGKILL
    delay_s: float = 0

    def __str__(self) -> str:
        return f"{self.moment} {self.name} {self.n}"


def start(words: list[str], log: Path, kill: Kill | None = None, *, tiny_disk: Path | None = None) -> BaseProcess:
    """A process with the command `seep-monai`. What it prints is added to `log`.

    `tiny_disk`: an empty folder, which is a disk of 200 kB for the process.
    """
    process = _FORKS.Process(target=_command, args=(words, log, kill, tiny_disk))
    process.start()
    return process


def can_mount() -> bool:
    """Whether a process may mount a disk that it alone sees."""
    process = _FORKS.Process(target=_mount, args=(Path(__file__).parent,))
    process.start()
    return ended(process) == 0


def ended(process: BaseProcess) -> int:
    """The exit code, -9 after SIGKILL."""
    process.join(timeout=300)
    assert process.exitcode is not None
    return process.exitcode


def training_words(dataset: Path, out: Path, **overrides: Any) -> list[str]:
    options = {"dataset_dir": dataset, **places(out), **SETTINGS, **overrides}
    return ["train", *(word for name, value in options.items() for word in (f"--{name}", str(value)))]


def files_of(models: Path) -> Mapping[str, bytes]:
    """The bytes of every file, also hidden ones."""
    return {path.name: path.read_bytes() for path in models.iterdir()}


def _command(words: list[str], log: Path, kill: Kill | None, tiny_disk: Path | None) -> None:
    torch.set_num_threads(1)
    # Tests that run in the background of a shell inherit that SIGINT is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if tiny_disk is not None:
        _mount(tiny_disk)
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    with _killed(kill) if kill else contextlib.nullcontext():
        __main__.main(words)


def _mount(folder: Path) -> None:
    """A disk of 200 kB that this process alone sees. It is a superuser among its own users."""
    new_user, new_mounts = 0x10000000, 0x00020000
    libc, user, group = ctypes.CDLL(None, use_errno=True), os.getuid(), os.getgid()
    if libc.unshare(new_user | new_mounts):
        raise OSError(ctypes.get_errno(), "no mounts of its own")
    for name, text in (("uid_map", f"0 {user} 1"), ("setgroups", "deny"), ("gid_map", f"0 {group} 1")):
        Path(f"/proc/self/{name}").write_text(text)
    if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, b"size=200k"):
        raise OSError(ctypes.get_errno(), "no disk can be mounted")


def _killed(kill: Kill) -> Any:
    """Patches of what `seep_monai.files` writes with."""
    n_seen = 0
    timer = threading.Timer(kill.delay_s, os.kill, (os.getpid(), kill.signal))
    timer.daemon = True
    strike = timer.start if kill.delay_s else functools.partial(os.kill, os.getpid(), kill.signal)
    if kill.n == 0:
        strike()
    replace, write_bytes = Path.replace, Path.write_bytes

    def is_it(name: str) -> bool:
        nonlocal n_seen
        n_seen += name == kill.name
        return name == kill.name and n_seen == kill.n

    def killing_replace(self: Path, target: Path) -> Path:
        now = kill.moment != "half" and is_it(Path(target).name)
        if now and kill.moment == "before":
            strike()
        renamed = replace(self, target)
        if now and kill.moment == "after":
            strike()
        return renamed

    def killing_write(self: Path, content: bytes) -> int:
        if kill.moment == "half" and is_it(self.name.removeprefix(".").rsplit(".", 2)[0]):
            write_bytes(self, content[: len(content) // 2])
            strike()
        return write_bytes(self, content)

    return patch.multiple(Path, replace=killing_replace, write_bytes=killing_write)
