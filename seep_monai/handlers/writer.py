"""The shared TensorBoard writer of a run."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary

from seep_monai import processes
from seep_monai.files import naming_failed_writes


class RunWriter:
    """Writes an event file that it creates with the first value, so a run that never starts leaves none.

    All handlers share one writer, because TensorBoard does not update live curves of a folder with two. Of several
    processes the first one writes. A value is in the file at once. (torch's SummaryWriter writes in a thread, where a
    full disk ends in a traceback without a name.)

    Args:
        log_dir: folder of the run.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        self.log_dir = Path(log_dir)
        self._records: RecordWriter | None = None

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Write one point of a curve."""
        self._add(summary=summary.scalar(tag, value), step=step)

    def add_image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Write an image, (H, W, 3) uint8."""
        self._add(summary=summary.image(tag, pixels, dataformats="HWC"), step=step)

    def add_text(self, tag: str, text: str) -> None:
        """Write a Markdown text."""
        self._add(summary=summary.text(tag, text))

    def close(self) -> None:
        """Close the file. A later value opens a new one."""
        if self._records is not None:
            # What could not be written was raised when it was added.
            with contextlib.suppress(OSError):
                self._records.close()
            self._records = None

    def _add(self, **content: Any) -> None:
        """Write one event.

        Raises:
            DataError: if it cannot be written.
        """
        if not processes.is_first():
            return
        with naming_failed_writes(self.log_dir / "events.out.tfevents"):
            if self._records is None:
                self._records = self._opened()
            self._records.write(Event(wall_time=time.time(), **content).SerializeToString())
            self._records.flush()

    def _opened(self) -> RecordWriter:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names, and finds them by the first three words.
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        records = RecordWriter((self.log_dir / name).open("wb"))
        records.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        return records
