"""Programs in a Python of their own, for limits and signals that the tests must not keep."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def printed_by(*lines: str) -> str:
    """What a Python of its own prints; it may import the tests."""
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    return done.stdout
