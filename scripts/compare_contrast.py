"""Compare how dark, large and visible found, missed and falsely drawn seeps are.

Takes the COCO results of one or several evaluations (eval/predictions_coco.json, those of all folds of a
cross-validation, or any other model's) with the COCO truth beside each for its image names, the images and the masks.
Prints a table of medians with quartiles and writes OUT/contrast.json and .md.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.coco.files import GROUND_TRUTH_FILE
from seep_monai.coco.results import MaskTable, mask_table, read_image_ids, read_results
from seep_monai.errors import DataError, SeepError, listed
from seep_monai.files import make_folder, write_json, write_text
from seep_monai.instances.components import ClassMap, Floats, Mask, class_components
from seep_monai.report.contrast import above, contrast_summary, contrast_text, seep_detections, tile_contrasts
from seep_monai.report.scoring import find_masks
from seep_monai.tiff import read_tiff, valid_mask


def main() -> None:
    """Read the command line, compare, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", metavar="FILE", nargs="+", type=Path, help="COCO results, RLE masks")
    parser.add_argument("--dataset_dir", required=True, type=Path, help="with train_images_256 and train_masks_256")
    parser.add_argument(
        "--output_dir", metavar="OUT", required=True, type=Path, help="folder for contrast.json and .md"
    )
    parser.add_argument(
        "--score_threshold",
        type=float,
        help="leave out detections below it (default: as many detections are kept as there are true instances)",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        print(compare(arguments))
    except SeepError as error:
        raise SystemExit(str(error)) from error


def compare(arguments: argparse.Namespace) -> str:
    """Gather, write the two files and return the table."""
    tiles = Tiles(arguments.dataset_dir)
    detections: dict[str, MaskTable] = {}
    for path in arguments.results:
        found = read_detections(path, tiles)
        twice = sorted(detections.keys() & found.keys())
        if twice:
            raise DataError(f"{path}: expected other tiles than in the files before, but got {listed(twice)} again.")
        detections |= found
    threshold = arguments.score_threshold
    if threshold is None:
        threshold = _threshold_of(detections.values(), sum(tiles.n_true(name) for name in detections))
    summary = contrast_summary(
        contrast
        for name, table in detections.items()
        for contrast in tile_contrasts(*tiles.read(name), above(table, threshold))
    )
    text = contrast_text(summary)
    folder = make_folder(arguments.output_dir, option="--output_dir")
    write_json(folder / "contrast.json", {"score_threshold": threshold, "n_tiles": len(detections), **summary})
    write_text(folder / "contrast.md", f"{text}\n")
    return text


class Tiles:
    """Images and masks of a data set by name."""

    def __init__(self, dataset_dir: Path) -> None:
        self.images, self.masks = (find_masks(dataset_dir / f"train_{kind}_256") for kind in ("images", "masks"))
        self.folder = dataset_dir

    def read(self, name: str) -> tuple[Floats, Mask, ClassMap]:
        """(H, W) DN, valid pixels and mask."""
        if name not in self.images or name not in self.masks:
            raise DataError(f"{self.folder}: expected an image and a mask {name}.tif. Correct --dataset_dir.")
        image, truth = read_tiff(self.images[name]), read_tiff(self.masks[name]).array.astype(np.uint8)
        valid = valid_mask(image.array, image.no_data) & (truth != NO_DATA_LABEL)
        return image.array.astype(np.float64), valid, truth

    def n_true(self, name: str) -> int:
        """Number of true instances."""
        _, valid, truth = self.read(name)
        return len(class_components(np.where(valid, truth, 0).astype(np.uint8)))


def read_detections(path: Path, tiles: Tiles) -> dict[str, MaskTable]:
    """The detections of any seep by tile name."""
    records = read_results(path)
    return {
        name: seep_detections(mask_table(records.get(image_id, []), tiles.read(name)[1].shape))
        for name, image_id in read_image_ids(path.with_name(GROUND_TRUTH_FILE)).items()
    }


def _threshold_of(tables: Iterable[MaskTable], n_kept: int) -> float:
    """The score that so many detections reach, as far as there are so many."""
    scores = np.sort(np.concatenate([np.empty(0), *(table.scores for table in tables)]))[::-1]
    return float(scores[min(n_kept, len(scores)) - 1]) if len(scores) and n_kept else 0.0


if __name__ == "__main__":
    main()
