"""Progress of an engine: a bar on a terminal, a line every half minute in a log."""

from __future__ import annotations

import logging
import sys
import time
from datetime import timedelta

from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar

logger = logging.getLogger(__name__)


def progress_bar(description: str) -> ProgressBar:
    """A bar over the iterations of each epoch, off when standard error is not a terminal.

    Args:
        description: the word in front of it.
    """
    return ProgressBar(desc=description, persist=False, disable=not sys.stderr.isatty())


class ProgressLog:
    """Trainer handler: logs epoch, iteration, loss, speed and the time left, where there is no bar.

    Args:
        interval_s: seconds between two lines.
        enabled: None: where standard error is not a terminal.
    """

    def __init__(self, interval_s: float = 30.0, *, enabled: bool | None = None) -> None:
        self.interval_s = interval_s
        self.enabled = not sys.stderr.isatty() if enabled is None else enabled
        self._started = self._last = 0.0
        self._n_done = self._n_tiles = 0

    def attach(self, engine: Engine) -> None:
        """Follow the trainer."""
        if self.enabled:
            engine.add_event_handler(Events.STARTED, self.start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)

    def start(self, engine: Engine) -> None:
        """Begin to count."""
        self._started = self._last = time.monotonic()
        self._n_done = self._n_tiles = 0

    def update(self, engine: Engine) -> None:
        """Count one iteration, and log where it is time."""
        self._n_done += 1
        self._n_tiles += len(engine.state.output["image"])
        now = time.monotonic()
        if now - self._last < self.interval_s:
            return
        self._last = now
        state = engine.state
        n_left = state.max_epochs * state.epoch_length - state.iteration
        # Validations are part of the time, so that the estimate holds for the whole run.
        seconds_left = round(n_left * (now - self._started) / self._n_done)
        logger.info(
            "epoch %d/%d, iteration %d/%d: loss %.4f, %.1f tiles/s, %s left",
            state.epoch,
            state.max_epochs,
            (state.iteration - 1) % state.epoch_length + 1,
            state.epoch_length,
            float(state.output["loss"]),
            self._n_tiles / (now - self._started),
            timedelta(seconds=seconds_left),
        )
