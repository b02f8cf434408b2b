#!/usr/bin/env bash
# Tries every promise of docs/reliability.md with its full numbers, and writes the page from what was measured.
# Takes hours; scripts/test.sh tries a small share of each. Usage: bash scripts/soak.sh [ARGUMENTS OF PYTEST ..]
# With SEEP_SOAK_RECORDS=FILE, figures that an earlier soak has left in FILE stay on the page until they are measured anew:
#   SEEP_SOAK_RECORDS=FILE bash scripts/soak.sh -k long_runs
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" dev

scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT
export SEEP_SOAK=1 SEEP_SOAK_RECORDS=${SEEP_SOAK_RECORDS:-$scratch} OMP_NUM_THREADS=1
set +e
python -m pytest tests/test_reliability_*.py tests/test_metrics_random_sets.py "$@"
status=$?
set -e
python scripts/write_reliability.py "$SEEP_SOAK_RECORDS" docs/reliability.md
exit "$status"
