"""How much the reliability tests try: a small seeded share in scripts/test.sh, the full numbers in scripts/soak.sh."""

from __future__ import annotations

import json
import os
from pathlib import Path

# Set by scripts/soak.sh: try the full numbers, and append what was measured to the file named in the second variable.
FULL = bool(os.environ.get("SEEP_SOAK"))
_RECORDS = os.environ.get("SEEP_SOAK_RECORDS")


def trials(*, small: int, full: int) -> int:
    """The number of trials: `full` in a soak, else `small`."""
    return full if FULL else small


def record(promise: str, figures: str) -> None:
    """Keep what a test measured for docs/reliability.md; nothing outside a soak.

    Args:
        promise: what is promised, as it stands in the table: "A killed training goes on bit for bit".
        figures: what was tried and came out: "20 of 20 kills".
    """
    if _RECORDS:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]
        line = json.dumps({"promise": promise, "figures": figures, "test": test})
        with Path(_RECORDS).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
