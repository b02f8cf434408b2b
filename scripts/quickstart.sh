#!/usr/bin/env bash
# From nothing to a trained and evaluated bundle: set-up, sample data, training, the object classifier, evaluation, a table.
# Runs again from any folder; what a former run of it made is replaced, and nothing else: it has folders of its own.
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

n_tiles=${N_TILES:-400}
max_epochs=${MAX_EPOCHS:-10}
places=(--output_dir bundle/eval/quickstart --ckpt_dir bundle/models/quickstart)

python -m seep_monai simulate data/sample --n_tiles "$n_tiles" --seed 0 --overwrite
python -W ignore -m monai.bundle run training --config_file bundle/configs/train.json \
    --max_epochs "$max_epochs" --initial_weights none --overwrite True "${places[@]}"
python -W ignore -m monai.bundle run fitting \
    --config_file "['bundle/configs/train.json','bundle/configs/evaluate.json','bundle/configs/fit_objects.json']" \
    "${places[@]}"
python -W ignore -m monai.bundle run evaluating \
    --config_file "['bundle/configs/train.json','bundle/configs/evaluate.json']" "${places[@]}"
python -W ignore scripts/compare_with_baselines.py "${places[@]}"

echo "Figures: $root/bundle/eval/quickstart/figures"
echo "Curves:  $root/.venv/bin/tensorboard --logdir $root/bundle/eval"
