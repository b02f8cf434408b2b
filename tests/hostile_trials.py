"""Trials on hostile files: each ends with a result or a refusal, soon, and without much memory."""

from __future__ import annotations

import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from seep_monai.errors import SeepError

# Promised for each file: seconds of the processor and growth of the process.
MOST_SECONDS, MOST_MB = 1.0, 200.0
_HANGING_S = 60


class Trials:
    """Outcomes of many trials.

    Attributes:
        outcomes: how many ended how.
        slowest_s: largest time of the processor.
        growth_mb: largest growth of the process above its size before a trial.

    Args:
        seed: of all trials. Trial i has `numpy.random.default_rng([seed, i])`.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.outcomes: Counter[str] = Counter()
        self.slowest_s = self.growth_mb = 0.0

    def rngs(self, n: int) -> Iterator[tuple[int, np.random.Generator]]:
        """Number and random generator of each trial."""
        return ((i, np.random.default_rng([self.seed, i])) for i in range(n))

    def run(self, name: str, use: Callable[[], Any]) -> Any:
        """What `use` returns; None if it refuses.

        Raises:
            AssertionError: with the name of the trial, on any other error, a hang, or growth.
        """
        before, began = _largest_mb(reset=True), time.process_time()
        result = None
        try:
            with _alarm():
                result = use()
            self.outcomes["read"] += 1
        except (SeepError, SystemExit) as error:
            # Steps of the configs end with a message instead of an error.
            self.outcomes["refused" if str(error).strip() else "refused without a message"] += 1
        except BaseException as error:
            raise AssertionError(f"seed {self.seed}, {name}: {error!r}") from error
        seconds, growth = time.process_time() - began, _largest_mb() - before
        assert seconds < MOST_SECONDS, f"seed {self.seed}, {name}: {seconds:.2f} s"
        assert growth < MOST_MB, f"seed {self.seed}, {name}: {growth:.0f} MB"
        self.slowest_s, self.growth_mb = max(self.slowest_s, seconds), max(self.growth_mb, growth)
        return result

    def figures(self) -> str:
        """For the record of a soak."""
        counts = ", ".join(f"{n} {outcome}" for outcome, n in sorted(self.outcomes.items()))
        return (
            f"{self.outcomes['read'] + self.outcomes['refused']} files: {counts}; no other exception; slowest "
            f"{self.slowest_s:.2f} s, largest growth {self.growth_mb:.0f} MB; seed {self.seed}"
        )


def _largest_mb(*, reset: bool = False) -> float:
    """The largest size of the process since the last reset; where the system cannot reset it, since its start."""
    status = Path("/proc/self/status")
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def _alarm() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"still running after {_HANGING_S} s")

    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(_HANGING_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)
