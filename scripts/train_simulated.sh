#!/usr/bin/env bash
# The weights that ship, from nothing: simulates, trains, fits the object classifier, scores, and writes bundle/models/simulated.
# Usage: bash scripts/train_simulated.sh [WORK]. What is finished in WORK (default: data/train_simulated) is not done again.
# SMALL=1: a form of some minutes, to show that two runs give the same bytes. SHIP: folder of the result.
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" ""

work=${1:-$root/data/train_simulated}
ship=${SHIP:-$root/bundle/models/simulated}
if [ -n "${SMALL:-}" ]; then
    n_tiles=(96 48) n_scenes=(6 3) epochs=(16 4) rates=(0.006 0.003) n_whole=1 size=512
    network=(--network_settings#init_filters 8 --network_settings#blocks_down "[1,1,1,1]")
else
    n_tiles=(1600 960) n_scenes=(80 48) epochs=(8 6) rates=(0.0015 0.001) n_whole=10 size=4000 network=()
fi
# Nothing below depends on the number of threads but the last bits of the weights.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
mkdir -p "$work"
log=$work/times.txt
seep() { python -W ignore -m seep_monai "$@"; }

# Runs a step once: its stamp says that it is finished.
step() {
    local name=$1 start=$SECONDS
    shift
    [ -f "$work/$name.done" ] && return
    echo "$name ..."
    "$@" > "$work/$name.log" 2>&1 || { tail -n 20 "$work/$name.log" >&2; exit 1; }
    echo "$name: $((SECONDS - start)) s" | tee -a "$log"
    touch "$work/$name.done"
}

# First scenes that vary as archives do, half of the tiles without a seep; then scenes like the reference, which are clearer.
# Pools are as frequent as low-wind patches: a network has to see many to fill them.
pools=(--class_frequencies 0.30 0.14 0.07 0.06 0.26 0.13 0.04 --pool_share 0.7)
step simulate_archive seep simulate "$work/archive" --n_tiles ${n_tiles[0]} --n_scenes ${n_scenes[0]} --seed 1000 \
    --variety archive --empty_share 0.5 --overwrite "${pools[@]}"
step simulate_reference seep simulate "$work/reference" --n_tiles ${n_tiles[1]} --n_scenes ${n_scenes[1]} --seed 1100 \
    --empty_share 0.3 --overwrite "${pools[@]}"

# train STAGE TILES INITIAL_WEIGHTS CKPT_DIR
train() {
    local go_on=()
    [ -f "$4/last.pt" ] && go_on=(--resume True)
    seep train --dataset_dir "$2" --initial_weights "$3" --ckpt_dir "$4" --output_dir "$work/eval" --split#n_folds 1 \
        --max_epochs ${epochs[$1]} --val_interval 2 --learning_rate ${rates[$1]} --augment#turn_prob 0 --augment#paste_prob 0 \
        --average#decay 0 --tile_columns "{}" "${network[@]}" "${go_on[@]}"
}
step train_archive train 0 "$work/archive" none "$work/first"
step train_reference train 1 "$work/reference" "$work/first" "$work/models"

reference=(--dataset_dir "$work/reference" --ckpt_dir "$work/models" --output_dir "$work/eval")
step fit seep fit "${reference[@]}" --tta False
step evaluate seep evaluate "${reference[@]}" --part validation
step ship python scripts/ship_weights.py "$work/models" "$ship" --overwrite \
    --record "$work/archive/simulation.json" "$work/reference/simulation.json"

# Unseen scenes: clean ones, where every object is a false alarm, and such with seeps. Seeds differ from those of the training.
sea=(--scenes $n_whole --size $size $size --variety archive --epsg 32616 --pixel_size 40 --upper_left 300000 3100000)
step simulate_clean seep simulate "$work/clean" "${sea[@]}" --seed 2000 --seep_share 0 --overwrite
step simulate_seeps seep simulate "$work/seeps" "${sea[@]}" --seed 3000 --overwrite
for kind in clean seeps; do
    step infer_$kind seep infer "$work/$kind/images" --output_dir "$work/maps_$kind" --ckpt_dir "$ship" --resume True
    step score_$kind python scripts/score_simulated_scenes.py "$work/$kind" "$work/maps_$kind"
    cat "$work/maps_$kind/scores.json"
done
cat "$log"
sha256sum "$ship/model.pt"
