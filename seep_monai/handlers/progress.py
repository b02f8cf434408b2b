"""Progress of an engine: a bar on a terminal, otherwise a log line every half minute."""

from __future__ import annotations

import logging
import sys
import time
from datetime import timedelta

from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar

from seep_monai import processes

logger = logging.getLogger(__name__)


def progress_bar(description: str) -> ProgressBar:
    """A progress bar over the iterations of each epoch, in process 0 and when standard error is a terminal."""
    shown = processes.is_first() and sys.stderr.isatty()
    return ProgressBar(desc=description, persist=False, disable=not shown)


class ProgressLog:
    """Trainer handler that logs epoch, iteration, loss, speed and remaining time.

    Args:
        interval_s: seconds between two lines.
        enabled: whether to log; None: only when standard error is not a terminal.
    """

    def __init__(self, interval_s: float = 30.0, *, enabled: bool | None = None) -> None:
        self.interval_s = interval_s
        self.enabled = not sys.stderr.isatty() if enabled is None else enabled
        self._started = self._last = 0.0
        self._n_done = self._n_tiles = 0

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer."""
        if self.enabled:
            engine.add_event_handler(Events.STARTED, self.start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)

    def start(self, engine: Engine) -> None:
        """Reset the counts."""
        self._started = self._last = time.monotonic()
        self._n_done = self._n_tiles = 0

    def update(self, engine: Engine) -> None:
        """Count one iteration, and log if the interval has passed."""
        self._n_done += 1
        self._n_tiles += len(engine.state.output["image"]) * processes.world_size()
        now = time.monotonic()
        if now - self._last < self.interval_s:
            return
        self._last = now
        state = engine.state
        n_left = state.max_epochs * state.epoch_length - state.iteration
        # The time includes validations, so the estimate is for the whole run.
        seconds_left = round(n_left * (now - self._started) / self._n_done)
        logger.info(
            "epoch %d/%d, iteration %d/%d: loss %.4f, %.1f tiles/s, %s left",
            state.epoch,
            state.max_epochs,
            (state.iteration - 1) % state.epoch_length + 1,
            state.epoch_length,
            float(state.output["loss"].detach()),
            self._n_tiles / (now - self._started),
            timedelta(seconds=seconds_left),
        )
