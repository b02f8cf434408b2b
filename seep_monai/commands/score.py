"""Score the predictions of any model against a folder of masks, with the metrics of the bundle's evaluation.

Predictions are class maps (0 = no seep, 1..7 = seep class, 255 = no-data, counted as no seep), named like the masks or
<name>_classes.tif, or COCO results with RLE masks. Writes OUT/metrics.json and prints the main metrics with 95 %
intervals over scenes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from seep_monai.dataset.pairs import DEFAULT_SCENE_PATTERN
from seep_monai.errors import SeepError
from seep_monai.files import make_folder, write_json
from seep_monai.report.scoring import CocoPredictions, LabelPredictions, Predictions, find_masks, score_predictions
from seep_monai.report.tables import headline_text


def main(words: Sequence[str]) -> None:
    """Parse the command line, score and print the main metrics."""
    parser = argparse.ArgumentParser(
        "seep-monai score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--masks_dir", required=True, help="folder of mask TIFFs, values 0..7")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--label_dir", help="folder of predicted class maps")
    source.add_argument("--coco_results", help="COCO results: a JSON list with RLE masks, category_id = class - 1")
    parser.add_argument(
        "--probability_dir",
        help="folder of seep probabilities in 0..1, <name>.tif or <name>_probability.tif; the score of an instance is "
        "its mean probability (default: score 1)",
    )
    parser.add_argument(
        "--coco_images",
        help="COCO file whose 'images' map the file_name of each mask to an image id "
        "(default: ids 1, 2, ... in the order of mask names)",
    )
    parser.add_argument("--images_dir", help="folder of the images; their no-data pixels are ignored")
    parser.add_argument(
        "--scene_pattern",
        default=DEFAULT_SCENE_PATTERN,
        help="regular expression whose one group matches the scene in a mask's name (default: %(default)s)",
    )
    parser.add_argument(
        "--pixel_size_m", type=float, help="size of a pixel in m, for false alarms per 1,000 km2 (default: unknown)"
    )
    parser.add_argument("--output_dir", required=True, type=Path, help="folder for metrics.json")
    arguments = parser.parse_args(words)
    if arguments.probability_dir and not arguments.label_dir:
        parser.error("--probability_dir requires --label_dir; COCO results contain their own scores")
    if arguments.coco_images and not arguments.coco_results:
        parser.error("--coco_images requires --coco_results")
    try:
        print(score(arguments))
    except SeepError as error:
        raise SystemExit(str(error)) from error


def score(arguments: argparse.Namespace) -> str:
    """Score, write `metrics.json` and return the main metrics as text."""
    masks = find_masks(arguments.masks_dir)
    names = list(masks)
    predictions: Predictions
    if arguments.label_dir:
        predictions = LabelPredictions(names, arguments.label_dir, arguments.probability_dir)
    else:
        predictions = CocoPredictions(names, arguments.coco_results, arguments.coco_images)
    metrics = score_predictions(
        masks,
        predictions,
        images_dir=arguments.images_dir,
        scene_pattern=arguments.scene_pattern,
        pixel_size_m=arguments.pixel_size_m,
    )
    write_json(make_folder(arguments.output_dir, option="--output_dir") / "metrics.json", metrics)
    return f"{metrics['n_tiles']} tiles of {metrics['n_scenes']} scenes\n{headline_text(metrics)}"
