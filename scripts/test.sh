#!/usr/bin/env bash
# Everything that continuous integration runs: set-up, ruff, mypy, pytest. Arguments go to pytest.
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" dev

ruff check .
ruff format --check .
mypy
lint-imports
# Two processes of one thread: torch's threads on two busy cores wait for each other. A file's tests share its fixtures.
OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile "$@"
