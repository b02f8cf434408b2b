#!/usr/bin/env bash
# One run on a GPU machine, under nine minutes: tests, speed of the loop, the recipe timed. Usage: bash scripts/gpu_check.sh OUT
# From the repository's root. Works offline: wheels in .gpu/wheels and real tiles in .gpu/tiles.tar.xz are used where they are;
# without tiles the recipe ends after the simulated ones. STEPS chooses: "tests speed recipe" by default.
# FIRST names a folder of weights of simulated tiles; then the recipe begins on real tiles.
set -uo pipefail
out=${1:?folder for logs}
mkdir -p "$out"
steps=${STEPS:-tests speed recipe}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONUNBUFFERED=1 MPLBACKEND=Agg PYTHONPATH=$PWD

if compgen -G ".gpu/wheels/*.whl" > /dev/null; then
    packages=$(python3 -c 'import site; print(site.getsitepackages()[0])')
    python3 -m venv --system-site-packages "$work/venv"
    . "$work/venv/bin/activate"
    # A venv made inside a venv sees the system's packages only: add those of the one it was made in.
    echo "$packages" > "$(python3 -c 'import site; print(site.getsitepackages()[0])')/outer.pth"
    python3 -m pip install --quiet --no-index --no-deps .gpu/wheels/*.whl
fi
python3 -c 'import torch, monai; print(torch.__version__, monai.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")' \
    | tee "$out/versions.txt"

timed() {
    local name=$1 start=$SECONDS
    shift
    "$@" > "$out/$name.log" 2>&1
    echo "$name: exit code $?, $((SECONDS - start)) s" | tee -a "$out/times.txt"
    tail -n 4 "$out/$name.log" | cut -c1-300
}

case " $steps " in *" tests "*)
    timed tests timeout 150 python3 -m pytest -q -x tests/test_bundle_training.py tests/test_augment_batch.py tests/test_network_losses.py
esac
case " $steps " in *" speed "*)
    timed speed timeout 120 python3 scripts/benchmark_training.py --n_tiles 200 --tile_columns "{}"
esac
case " $steps " in *" recipe "*)
    simulated=(--pool_share 0.7 --class_frequencies 0.30 0.14 0.07 0.06 0.26 0.13 0.04)
    first=${FIRST:-$work/first}
    if [ -z "${FIRST:-}" ]; then
        timed simulate timeout 120 python3 -m seep_monai simulate "$work/simulated" --n_tiles 1600 --n_scenes 80 --seed 100 "${simulated[@]}"
        timed pretrain timeout 200 python3 -m seep_monai train --dataset_dir "$work/simulated" --split#n_folds 1 --max_epochs 12 \
            --val_interval 4 --learning_rate 0.0015 --augment#turn_prob 0 --augment#paste_prob 0 --average#decay 0 --tile_columns "{}" \
            --initial_weights none --ckpt_dir "$first" --output_dir "$work/first_eval"
    fi
    if [ -f .gpu/tiles.tar.xz ]; then
        mkdir "$work/tiles"
        xz -dc .gpu/tiles.tar.xz | tar -C "$work/tiles" -xf -
        tiles=$(dirname "$(find "$work/tiles" -type d -name train_images_256)")
        timed simulate_extra timeout 60 python3 -m seep_monai simulate "$work/extra" --n_tiles 320 --n_scenes 16 --seed 300 "${simulated[@]}"
        real=(--dataset_dir "$tiles" --ckpt_dir "$work/models" --output_dir "$work/eval")
        timed train timeout 300 python3 -m seep_monai train "${real[@]}" --split#n_folds 4 --split#fold 0 \
            --initial_weights "$first" --extra_dataset_dir "$work/extra" --max_epochs 12 --val_interval 3
        timed fit timeout 120 python3 -m seep_monai fit "${real[@]}"
        timed evaluate timeout 120 python3 -m seep_monai evaluate "${real[@]}"
        cp "$work/eval/metrics.json" "$work/models/model.json" "$out/" 2> /dev/null
    fi
esac
cat "$out/times.txt"
