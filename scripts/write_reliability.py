"""Write docs/reliability.md from the figures that a soak has recorded (scripts/soak.sh)."""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from seep_monai.errors import DataError, SeepError
from seep_monai.files import write_text
from seep_monai.markdown import markdown_table

ROOT = Path(__file__).resolve().parent.parent
PATTERN = "test_reliability_*.py"
_BEFORE = """# Reliability

What a user can rely on when a run is long, is stopped, or reads files that others have made. Each promise has a
test that tries to break it. `bash scripts/test.sh` tries a small share of each. `bash scripts/soak.sh` tries the full
numbers: it takes hours, and writes this page from what it measured. One file alone, with the full numbers:

```bash
SEEP_SOAK=1 python -m pytest -rs tests/{example}
```
"""
_AFTER = """A promise whose test fails leaves no figures, so it is missing above. The figures are those of one machine
with a local disk. Other systems, network disks and several nodes were not tried.
"""


@dataclass(frozen=True)
class Record:
    """What one test has measured.

    Attributes:
        promise: what is promised.
        figures: what was tried and came out.
        test: file of the test below `tests`.
    """

    promise: str
    figures: str
    test: str


def read_records(path: Path) -> list[Record]:
    """The records of a soak, in their order. Figures that were measured again replace the older ones.

    Raises:
        DataError: if a line is not a record.
    """
    found: dict[tuple[str, str], Record] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            content = json.loads(line)
            # The test of pytest is tests/FILE::NAME; another NAME of the same file is another figure of the promise.
            found[content["promise"], content["test"]] = Record(
                content["promise"], content["figures"], Path(content["test"].split("::")[0]).name
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path}: expected promise, figures and test in line {number}, but got {line[:80]!r} ({error}). Remove "
                "the line."
            ) from error
    return list(found.values())


def reliability_page(records: Sequence[Record], tests: Path, measured: str) -> str:
    """The text of the page.

    Args:
        records: what was measured.
        tests: folder of the tests; the first line of a test file says how its promises are tested.
        measured: where and when.
    """
    figures: dict[tuple[str, str], list[str]] = {}
    for record in records:
        figures.setdefault((record.promise, record.test), []).append(record.figures)
    rows = [
        (promise, f"{_first_line(tests / test)} ([{test}](../tests/{test}))", "; ".join(dict.fromkeys(some)))
        for (promise, test), some in sorted(figures.items(), key=lambda item: item[0][1])
    ]
    files = sorted(path.name for path in tests.glob(PATTERN))
    without = [name for name in files if name not in {record.test for record in records}]
    missing = f"No figures yet: {', '.join(without)}.\n" if without else ""
    table = markdown_table(("promise", "how it is tested", "last figures"), rows)
    before = _BEFORE.format(example=files[0] if files else PATTERN)
    return "\n".join([before, table, "", f"{measured}\n", *([missing] if missing else []), _AFTER])


def _first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n")[0].removesuffix(".")


def _measured() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "monai", "numpy"))
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {platform.system()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {packages}, one thread."
    )


def main() -> None:
    """Read the command line and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", metavar="RECORDS", type=Path, help="file of SEEP_SOAK_RECORDS")
    parser.add_argument("page", metavar="PAGE", type=Path, help="the page to write")
    arguments = parser.parse_args()
    try:
        write_text(arguments.page, reliability_page(read_records(arguments.records), ROOT / "tests", _measured()))
    except (SeepError, OSError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
