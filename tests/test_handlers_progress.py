"""The progress bar on a terminal."""

from __future__ import annotations

import io
import sys

import pytest
from ignite.engine import Engine

from seep_monai.handlers.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_bar_has_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    engine = Engine(lambda engine, batch: batch)
    progress_bar("training").attach(engine)
    engine.run([0, 1, 2, 3])
    assert "training" in terminal.getvalue()
    # Colours begin with ESC [.
    assert "\x1b[" not in terminal.getvalue()
