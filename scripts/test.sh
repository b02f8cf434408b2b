#!/usr/bin/env bash
# Everything that continuous integration runs: set-up, ruff, mypy, pytest. Arguments go to pytest.
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" dev

ruff check .
ruff format --check .
mypy
lint-imports
# Two threads on two busy cores take longer than one: torch's threads wait for each other.
OMP_NUM_THREADS=1 python -m pytest "$@"
