"""The progress bar of an engine: shown on a terminal, silent in a log."""

from __future__ import annotations

import sys

from ignite.handlers import ProgressBar


def progress_bar(description: str) -> ProgressBar:
    """A bar over the iterations of each epoch, off when standard error is not a terminal.

    Args:
        description: the word in front of it.
    """
    return ProgressBar(desc=description, persist=False, disable=not sys.stderr.isatty())
