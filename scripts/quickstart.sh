#!/usr/bin/env bash
# From nothing to a trained and evaluated bundle: set-up, simulated sample data, training, evaluation, a table of figures.
# Runs again from any folder; what a former run of it made is replaced.
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

n_tiles=${N_TILES:-400}
max_epochs=${MAX_EPOCHS:-10}

python scripts/make_sample_data.py data/sample --n_tiles "$n_tiles" --seed 0 --overwrite
python -W ignore -m monai.bundle run training --config_file bundle/configs/train.json \
    --max_epochs "$max_epochs" --overwrite True
python -W ignore -m monai.bundle run evaluating \
    --config_file "['bundle/configs/train.json','bundle/configs/evaluate.json']"
python -W ignore scripts/compare_with_baselines.py

echo "Figures: $root/bundle/eval/figures"
echo "Curves:  .venv/bin/tensorboard --logdir bundle/eval"
