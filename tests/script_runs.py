"""Scripts run in the process of the tests: a process of their own takes seconds to import torch."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
from pathlib import Path
from subprocess import CompletedProcess

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


def run_script(name: str, *words: object) -> CompletedProcess[str]:
    """What `python scripts/<name>.py WORDS` would print and return."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    given, sys.argv = sys.argv, [f"{name}.py", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    except SystemExit as stop:
        if isinstance(stop.code, str):
            err.write(f"{stop.code}\n")
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.argv = given
    return CompletedProcess(sys.argv, code, out.getvalue(), err.getvalue())
