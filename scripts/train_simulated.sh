#!/usr/bin/env bash
# The weights that ship, from nothing: trains twice on simulated tiles, fits the object classifier, scores, and writes bundle/models/simulated.
# Usage: bash scripts/train_simulated.sh [WORK]. What is finished in WORK (default: data/train_simulated) is not done again.
# SMALL=1: a form of some minutes, to show that two runs give the same bytes. SHIP: folder of the result. AMP=True: bfloat16, twice as
# fast on processors that compute with it, and far slower on others.
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" ""

work=${1:-$root/data/train_simulated}
ship=${SHIP:-$root/bundle/models/simulated}
amp=${AMP:-False}
if [ -n "${SMALL:-}" ]; then
    n_tiles=48 n_scenes=4 epochs=15 rates=(0.006 0.004) n_whole=1 size=512
    network=(--network_settings#init_filters 8 --network_settings#blocks_down "[1,1,1,1]")
else
    n_tiles=2400 n_scenes=120 epochs=9 rates=(0.0015 0.001) n_whole=10 size=4000 network=()
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

# Half of the tiles are of scenes that vary as archives do, half of scenes like the reference, which are clearer; half of all
# tiles are without a seep. Pools are as frequent as low-wind patches: a network has to see many to fill them.
pools=(--class_frequencies 0.30 0.14 0.07 0.06 0.26 0.13 0.04 --pool_share 0.7)
records=()

# One data set of both, so that the validation part holds scenes of both kinds.
join_tiles() {
    local folder
    for folder in train_images_256 train_masks_256; do
        mkdir -p "$1/tiles/$folder"
        cp -lf "$1/archive/$folder"/* "$1/reference/$folder"/* "$1/tiles/$folder/"
    done
}

# A training on new tiles: stage NAME SEED LEARNING_RATE INITIAL_WEIGHTS.
stage() {
    local name=$1 seed=$2 rate=$3 initial=$4 folder=$work/$1
    step simulate_archive_$name seep simulate "$folder/archive" --n_tiles $n_tiles --n_scenes $n_scenes --seed $seed \
        --variety archive --empty_share 0.6 --overwrite "${pools[@]}"
    step simulate_reference_$name seep simulate "$folder/reference" --n_tiles $n_tiles --n_scenes $n_scenes --seed $((seed + 100)) \
        --empty_share 0.4 --overwrite "${pools[@]}"
    step join_$name join_tiles "$folder"
    records+=("$folder/archive/simulation.json" "$folder/reference/simulation.json")
    local tiles=(--dataset_dir "$folder/tiles" --ckpt_dir "$folder/models" --output_dir "$folder/eval") go_on=()
    [ -f "$folder/models/last.pt" ] && go_on=(--resume True)
    step train_$name seep train "${tiles[@]}" --pixel_size_m 40 --initial_weights "$initial" --split#n_folds 1 --max_epochs $epochs \
        --val_interval 3 --learning_rate $rate --augment#turn_prob 0 --augment#paste_prob 0 --average#decay 0 --tile_columns "{}" \
        --amp "$amp" "${network[@]}" "${go_on[@]}"
    step fit_$name seep fit "${tiles[@]}" --tta False --amp "$amp"
    step evaluate_$name seep evaluate "${tiles[@]}" --part validation --amp "$amp"
}
stage first 1000 "${rates[0]}" none
step ship_first python "$root/scripts/ship_weights.py" "$work/first/models" "$work/first/ship" --overwrite --record "${records[@]}"
stage second 1200 "${rates[1]}" "$work/first/ship"
step ship python "$root/scripts/ship_weights.py" "$work/second/models" "$ship" --overwrite --record "${records[@]}"

# Unseen scenes: clean ones, where every object is a false alarm, and such with seeps. Seeds differ from those of the training.
sea=(--scenes $n_whole --size $size $size --variety archive --epsg 32616 --pixel_size 40 --upper_left 300000 3100000)
step simulate_clean seep simulate "$work/clean" "${sea[@]}" --seed 2000 --seep_share 0 --overwrite
step simulate_seeps seep simulate "$work/seeps" "${sea[@]}" --seed 3000 --overwrite
for kind in clean seeps; do
    step infer_$kind seep infer "$work/$kind/images" --output_dir "$work/maps_$kind" --ckpt_dir "$ship" --resume True --amp "$amp"
    step score_$kind python "$root/scripts/score_simulated_scenes.py" "$work/$kind" "$work/maps_$kind"
    cat "$work/maps_$kind/scores.json"
    step plain_$kind python "$root/scripts/score_simulated_scenes.py" "$work/$kind"
    cat "$work/plain_$kind.log"
done
cat "$log"
sha256sum "$ship/model.pt"
