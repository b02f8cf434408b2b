#!/usr/bin/env bash
# From nothing to a map in less than five minutes: set-up, simulated tiles and a scene, a short training from the weights that
# ship, the object classifier, evaluation, a table, polygons and a map page of the scene. QUICKSTART=full trains from nothing.
# Runs again from any folder; what an earlier run of it made is replaced, and nothing else: it has folders of its own.
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if [ "${QUICKSTART:-}" = full ]; then
    n_tiles=${N_TILES:-400} n_scenes=11 max_epochs=${MAX_EPOCHS:-10} start=(--initial_weights none)
else
    # Few tiles of many scenes: with one validation scene, the threshold of the map would be that scene's.
    n_tiles=${N_TILES:-160} n_scenes=20 max_epochs=${MAX_EPOCHS:-3} start=(--learning_rate 0.0002)
fi
places=(--dataset_dir data/sample --output_dir bundle/eval/quickstart --ckpt_dir bundle/models/quickstart)
seep() { python -W ignore -m seep_monai "$@"; }

seep simulate data/sample --n_tiles "$n_tiles" --n_scenes "$n_scenes" --seed 0 --overwrite
seep simulate data/sample_scene --scenes 1 --size 2000 2000 --epsg 32616 --pixel_size 40 --upper_left 300000 3100000 \
    --seed 0 --overwrite
seep train "${places[@]}" "${start[@]}" --max_epochs "$max_epochs" --overwrite True
seep fit "${places[@]}" --tta False
seep evaluate "${places[@]}"
rm -rf bundle/eval/quickstart/scene
seep infer data/sample_scene/images --output_dir bundle/eval/quickstart/scene --ckpt_dir bundle/models/quickstart
python -W ignore scripts/compare_with_baselines.py "${places[@]}"

echo "Report:   $root/bundle/eval/quickstart/report.html"
echo "Map page: $(echo "$root"/bundle/eval/quickstart/scene/*.html)"
echo "Polygons: $(echo "$root"/bundle/eval/quickstart/scene/*.gpkg)"
echo "Curves:   $root/.venv/bin/tensorboard --logdir $root/bundle/eval"
