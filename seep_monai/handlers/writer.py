"""The shared TensorBoard writer of a run."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

# Choice: short, so that curves of a running training are up to date.
_FLUSH_S = 20


class RunWriter:
    """A SummaryWriter that creates its folder and file with the first value, so a run that never starts leaves none.

    All handlers share one writer, because TensorBoard does not update live curves of a folder with two.

    Args:
        log_dir: folder of the run.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        self.log_dir = Path(log_dir)
        self._writer: SummaryWriter | None = None

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Write one point of a curve."""
        self._opened().add_scalar(tag, value, step)

    def add_image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Write an image, (H, W, 3) uint8."""
        self._opened().add_image(tag, pixels, step, dataformats="HWC")

    def add_text(self, tag: str, text: str) -> None:
        """Write a Markdown text."""
        self._opened().add_text(tag, text)

    def flush(self) -> None:
        """Write buffered values to the file."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Close the file. A later value opens a new one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _opened(self) -> SummaryWriter:
        if self._writer is None:
            self._writer = SummaryWriter(str(self.log_dir), flush_secs=_FLUSH_S)
        return self._writer
