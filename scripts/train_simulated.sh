#!/usr/bin/env bash
# The weights that ship, from nothing: simulates, trains, fits the object classifier, scores, and writes bundle/models/simulated.
# Usage: bash scripts/train_simulated.sh [WORK]. What is finished in WORK (default: data/train_simulated) is not done again.
# SMALL=1: a form of some minutes, to show that two runs give the same bytes. SHIP: folder of the result. AMP=True: bfloat16, twice as
# fast on processors that compute with it, and far slower on others.
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" ""

work=${1:-$root/data/train_simulated}
ship=${SHIP:-$root/bundle/models/simulated}
amp=${AMP:-False}
if [ -n "${SMALL:-}" ]; then
    n_tiles=48 n_scenes=4 epochs=15 rate=0.006 n_whole=1 size=512
    network=(--network_settings#init_filters 8 --network_settings#blocks_down "[1,1,1,1]")
else
    n_tiles=2400 n_scenes=120 epochs=9 rate=0.0015 n_whole=10 size=4000 network=()
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
step simulate_archive seep simulate "$work/archive" --n_tiles $n_tiles --n_scenes $n_scenes --seed 1000 \
    --variety archive --empty_share 0.6 --overwrite "${pools[@]}"
step simulate_reference seep simulate "$work/reference" --n_tiles $n_tiles --n_scenes $n_scenes --seed 1100 \
    --empty_share 0.4 --overwrite "${pools[@]}"

# One data set of both, so that the validation part holds scenes of both kinds.
join_tiles() {
    local folder
    for folder in train_images_256 train_masks_256; do
        mkdir -p "$work/tiles/$folder"
        cp -lf "$work/archive/$folder"/* "$work/reference/$folder"/* "$work/tiles/$folder/"
    done
}
step join_tiles join_tiles

tiles=(--dataset_dir "$work/tiles" --ckpt_dir "$work/models" --output_dir "$work/eval")
go_on=()
[ -f "$work/models/last.pt" ] && go_on=(--resume True)
step train seep train "${tiles[@]}" --pixel_size_m 40 --initial_weights none --split#n_folds 1 --max_epochs $epochs --val_interval 3 \
    --learning_rate $rate --augment#turn_prob 0 --augment#paste_prob 0 --average#decay 0 --tile_columns "{}" --amp "$amp" \
    "${network[@]}" "${go_on[@]}"
step fit seep fit "${tiles[@]}" --tta False --amp "$amp"
step evaluate seep evaluate "${tiles[@]}" --part validation --amp "$amp"
step ship python "$root/scripts/ship_weights.py" "$work/models" "$ship" --overwrite \
    --record "$work/archive/simulation.json" "$work/reference/simulation.json"

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
