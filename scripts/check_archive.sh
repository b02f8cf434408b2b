#!/usr/bin/env bash
# Runs an archive of scenes by two local processes, by Dask with one worker killed half way, by two shards, and by a
# driver that is killed again and again; prints the totals, and fails unless all give the same catalogue.
# Usage: bash scripts/check_archive.sh SCENES OUT [N_KILLS] [inference options]; SCENES is a folder of rasters.
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" dev

scenes=$1 out=$2 kills=${3:-5}
shift $(($# < 3 ? $# : 3))
[ ! -e "$out" ] || { echo "$out exists: give a new folder" >&2; exit 1; }
mkdir -p "$out"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# Not a function: the process in the background must be the driver itself, so that a kill reaches it.
archive=(python -m seep_monai archive "$scenes" --output_dir)
n_done() { find "$1/scenes" -mindepth 1 -maxdepth 1 2> /dev/null | wc -l; }
n_scenes=$(python -c 'import sys; from seep_monai.archive.scene_list import find_scenes; print(len(find_scenes(sys.argv[1:])))' "$scenes")

echo "== $n_scenes scenes, two local processes"
"${archive[@]}" "$out/local" --executor local:2 "$@" | tail -n 5

echo "== Dask, one of two workers killed half way"
python -m dask scheduler --host 127.0.0.1 --port 0 --no-dashboard --scheduler-file "$out/dask.json" > "$out/scheduler.log" 2>&1 &
scheduler=$!
workers=""
for number in 1 2; do
    python -m dask worker --scheduler-file "$out/dask.json" --nthreads 1 --no-dashboard > "$out/worker$number.log" 2>&1 &
    workers="$workers $!"
done
trap 'kill $scheduler $workers 2> /dev/null || true' EXIT
while [ ! -s "$out/dask.json" ]; do sleep 0.2; done
address=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$out/dask.json")
(
    while [ "$(n_done "$out/dask")" -lt $((n_scenes / 2)) ]; do sleep 0.2; done
    python - "$address" << 'PYTHON'
import os
import signal
import sys

from distributed import Client

with Client(sys.argv[1]) as client:
    victim = next(iter(client.run(os.getpid).values()))
os.kill(victim, signal.SIGKILL)
print(f"worker {victim} killed")
PYTHON
) &
killer=$!
"${archive[@]}" "$out/dask" --executor "dask:$address" "$@" | tail -n 5
wait "$killer"

echo "== two shards at the same time"
"${archive[@]}" "$out/shards" --shard 0/2 "$@" > "$out/shard0.log" 2>&1 &
first=$!
"${archive[@]}" "$out/shards" --shard 1/2 "$@" 2>&1 | tail -n 5
wait "$first"
tail -n 5 "$out/shard0.log"

echo "== driver killed $kills times"
for kill in $(seq "$kills"); do
    "${archive[@]}" "$out/killed" --executor local:2 "$@" > "$out/killed.log" 2>&1 &
    driver=$!
    # At a random moment of the part of the scenes that this run should do.
    goal=$((n_scenes * kill / (kills + 1) - RANDOM % (n_scenes / (kills + 1) + 1)))
    while kill -0 "$driver" 2> /dev/null && [ "$(n_done "$out/killed")" -lt "$goal" ]; do sleep 0.1; done
    kill -9 "$driver" 2> /dev/null || true
    wait "$driver" 2> /dev/null || true
    echo "killed with $(n_done "$out/killed") scenes done"
done
"${archive[@]}" "$out/killed" --executor local:2 "$@" | tail -n 5

echo "== catalogues"
python - "$out" << 'PYTHON'
import sys
from pathlib import Path

import pyogrio

out = Path(sys.argv[1])


def catalogue(folder):
    items = {path.relative_to(folder): path.read_text() for path in sorted(folder.glob("catalogue/**/*.json"))}
    _, fids, geometries, values = pyogrio.raw.read(folder / "seeps.gpkg", layer="seeps", return_fids=True)
    # As text, because NaN differs from itself.
    return items, [str(row) for row in zip(fids, geometries, *values, strict=True)]


first = catalogue(out / "local")
print(f"local: {len(first[0]) - 1} scenes, {len(first[1])} seeps")
others = {name: catalogue(out / name) == first for name in ("dask", "shards", "killed")}
print(*(f"{name}: {'the same' if same else 'OTHER'}" for name, same in others.items()), sep="\n")
sys.exit(not all(others.values()))
PYTHON
