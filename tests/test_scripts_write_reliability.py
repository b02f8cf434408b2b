"""The page of what a soak has measured."""

from __future__ import annotations

import json
from pathlib import Path

from script_runs import run_script

LONG = "tests/test_reliability_long_runs.py"


def write(folder: Path, *records: object) -> Path:
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (folder / "records").write_text("".join(f"{line}\n" for line in lines))
    return folder / "records"


def record(promise: str, figures: str, test: str) -> dict[str, str]:
    return {"promise": promise, "figures": figures, "test": test}


def test_page_has_a_row_for_each_promise_with_its_last_figures(tmp_path: Path) -> None:
    records = write(
        tmp_path,
        record("it does not grow", "old", f"{LONG}::test_a"),
        record("it does not grow", "200 epochs", f"{LONG}::test_a"),
        record("it does not grow", "500 scenes", f"{LONG}::test_b"),
        record("equal", "1e-15", "tests/test_metrics_random_sets.py::test_c[0]"),
    )
    done = run_script("write_reliability", records, tmp_path / "page.md")
    assert done.returncode == 0, done.stderr
    rows = [line for line in (tmp_path / "page.md").read_text().splitlines() if line.startswith("| ")]
    assert rows[0] == "| promise | how it is tested | last figures |"
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| equal", "| it does not grow"]
    assert rows[3].endswith(" | 200 epochs; 500 scenes |")
    assert "do not grow ([test_reliability_long_runs.py](../tests/test_reliability_long_runs.py))" in rows[3]


def test_page_names_the_test_files_without_figures(tmp_path: Path) -> None:
    done = run_script("write_reliability", write(tmp_path), tmp_path / "page.md")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("No figures yet: "))
    assert "test_reliability_long_runs.py" in line


def test_line_that_is_no_record_is_an_error_that_names_it(tmp_path: Path) -> None:
    records = write(tmp_path, record("a", "b", f"{LONG}::test_a"), '{"promise": "a"}')
    done = run_script("write_reliability", records, tmp_path / "page.md")
    assert done.returncode == 1
    assert "in line 2" in done.stderr
    assert not (tmp_path / "page.md").exists()
