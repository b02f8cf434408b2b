#!/usr/bin/env bash
# Compares our metrics with pycocotools on many random sets of tiles and prints the largest difference.
# Usage: bash scripts/soak.sh [N_SETS], 10000 by default. Takes minutes; scripts/test.sh draws a few hundred.
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" dev

n_sets=${1:-10000}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
set +e
SEEP_SOAK_SETS=$n_sets OMP_NUM_THREADS=1 \
    python -m pytest tests/test_metrics_random_sets.py -o log_cli=true -o log_cli_level=INFO 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
set -e
# "g" sorts 1e-16 below 0.1 and "inf" last.
worst=$(grep -o 'largest difference [^ ]*' "$log" | awk '{print $3}' | sort -g | tail -n 1)
echo "largest difference to pycocotools over $n_sets random sets: ${worst:-none}"
exit "$status"
