"""The run's only TensorBoard writer: opened by the first value, so that a run that never starts leaves nothing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

# A curve is looked at while it grows.
_FLUSH_S = 20


class RunWriter:
    """A SummaryWriter that makes its folder and file with the first value.

    Two writers in one folder would freeze the live curves, so that all handlers share one.

    Args:
        log_dir: the run's folder.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        self.log_dir = Path(log_dir)
        self._writer: SummaryWriter | None = None

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """One point of a curve."""
        self._opened().add_scalar(tag, value, step)

    def add_image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """A picture, (H, W, 3) uint8."""
        self._opened().add_image(tag, pixels, step, dataformats="HWC")

    def add_text(self, tag: str, text: str) -> None:
        """A note on the run, Markdown."""
        self._opened().add_text(tag, text)

    def flush(self) -> None:
        """Let a running TensorBoard see what was written."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Write everything out; a later value opens a new file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _opened(self) -> SummaryWriter:
        if self._writer is None:
            self._writer = SummaryWriter(str(self.log_dir), flush_secs=_FLUSH_S)
        return self._writer
