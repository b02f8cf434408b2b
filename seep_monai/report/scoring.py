"""Scores of other models' predictions against a folder of masks, by the code that scores our own.

Predictions are class maps (with or without a seep probability) or COCO results with RLE masks. Pixels where an image
has no data are ignored. No-data (255) in a predicted class map counts as background, so seeps there are missed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from seep_monai.classes import DEFAULT_CLASS_NAMES, NO_DATA_LABEL
from seep_monai.coco.results import MaskTable, beside_truth, mask_table, painted, read_image_ids, read_results
from seep_monai.dataset.masks import read_mask
from seep_monai.dataset.pairs import DEFAULT_SCENE_PATTERN, is_tiff, scenes_of
from seep_monai.errors import DataError, listed
from seep_monai.instances.components import (
    ClassMap,
    Components,
    class_components,
    seep_components,
    with_mean_scores,
    without_no_data,
)
from seep_monai.metrics.scored_tiles import ScoredTiles
from seep_monai.report.summary import METRICS_FORMAT, false_alarms_by_area, summarised
from seep_monai.tiff import OUTPUT_MARK, PROBABILITY_STEPS, TILE_PX, read_tiff, valid_mask

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of one tile.

    Attributes:
        classes: (H, W) uint8 in 0..7, for the pixel scores and the seeps.
        masks: instances of the classes 1..7; a table of components, or of masks that may overlap.
        seeps: components of classes > 0, with scores.
    """

    classes: ClassMap
    masks: Components | MaskTable
    seeps: Components


class Predictions(Protocol):
    """A model's predictions for a folder of masks; invalid files raise DataError or TiffError."""

    def tile(self, name: str, valid: npt.NDArray[np.bool_]) -> Prediction:
        """The prediction of the tile `name`, background where `valid` (H, W) is False."""


class LabelPredictions:
    """Class maps `<name>.tif` or `<name>_classes.tif`: 0..7, and 255 = no-data.

    The score of an instance is its mean seep probability, from `<name>.tif` or `<name>_probability.tif` in [0, 1].
    Without a folder of probabilities, all scores are 1.

    Args:
        names: names of the masks.
        label_dir: folder of the class maps.
        probability_dir: folder of the summed seep probabilities.

    Raises:
        DataError: if a mask has no class map or no probability.
    """

    def __init__(self, names: Sequence[str], label_dir: PathLike, probability_dir: PathLike | None = None) -> None:
        self.labels = _files_of(names, label_dir, "_classes", option="--label_dir")
        self.probabilities = (
            None
            if probability_dir is None
            else _files_of(names, probability_dir, "_probability", option="--probability_dir")
        )

    def tile(self, name: str, valid: npt.NDArray[np.bool_]) -> Prediction:
        """See `Predictions`."""
        path = self.labels[name]
        labels = read_mask(path, with_no_data=True)
        _check_size(path, labels.shape, valid.shape)
        classes = np.where(valid & (labels != NO_DATA_LABEL), labels, 0).astype(np.uint8)
        drawn = classes > 0
        inside: npt.NDArray[np.floating] = np.ones(np.count_nonzero(drawn))
        if self.probabilities is not None:
            inside = _read_probability(self.probabilities[name], drawn=drawn)
        by_class, seeps = class_components(classes), seep_components(classes)
        return Prediction(classes, with_mean_scores(by_class, inside), with_mean_scores(seeps, inside))


class CocoPredictions:
    """COCO results with RLE masks, which may overlap; the class map has the mask with the highest score per pixel.

    Args:
        names: names of the masks, sorted.
        results: the results file; an empty list means no detections.
        images: a COCO file that gives each mask's image id by `file_name`; None: ids 1, 2, .. in the order of names.

    Raises:
        DataError: if a file is invalid, a mask has no image id, or a result's image id has no mask.
    """

    def __init__(self, names: Sequence[str], results: PathLike, images: PathLike | None = None) -> None:
        self.path = results
        self.records = read_results(results)
        self.ids = {name: i for i, name in enumerate(names, start=1)} if images is None else read_image_ids(images)
        missing = sorted(set(names) - self.ids.keys())
        if missing:
            raise DataError(f"{images}: expected an image for each mask, but {listed(missing)} have none. Add them.")
        unknown = sorted(self.records.keys() - {self.ids[name] for name in names})
        if unknown:
            remedy = "Give the file that names your images with --coco_images." if images is None else "Add the masks."
            known = f"ids 1..{len(names)} by the order of mask names" if images is None else f"ids of {images}"
            raise DataError(
                f"{results}: expected image {known} with a mask, but got {listed([str(i) for i in unknown])}. {remedy}"
            )

    def tile(self, name: str, valid: npt.NDArray[np.bool_]) -> Prediction:
        """See `Predictions`."""
        height, width = valid.shape
        try:
            masks = mask_table(self.records.get(self.ids[name], []), (height, width)).within(valid)
        except DataError as error:
            raise DataError(f"{self.path}: {name}: {error}") from error
        classes, scores = painted(masks)
        return Prediction(classes, masks, with_mean_scores(seep_components(classes), scores[classes > 0]))


def find_masks(masks_dir: PathLike) -> dict[str, Path]:
    """Mask file by name, in the order of names.

    Raises:
        DataError: if the folder is missing, has no TIFF, or has two files of one name.
    """
    folder = Path(masks_dir)
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of masks (.tif), but there is none. Correct --masks_dir.")
    files = sorted(filter(is_tiff, folder.iterdir()), key=lambda path: path.stem)
    if not files:
        raise DataError(f"{folder}: expected masks named *.tif, but found none. Correct --masks_dir.")
    by_name = {path.stem: path for path in files}
    if len(by_name) < len(files):
        twice = sorted({path.stem for path in files if by_name[path.stem] != path})
        raise DataError(f"{folder}: expected one mask per name, but found two of {listed(twice)}. Remove one of each.")
    return by_name


def score_predictions(
    masks: dict[str, Path],
    predictions: Predictions,
    *,
    images_dir: PathLike | None = None,
    scene_pattern: str = DEFAULT_SCENE_PATTERN,
    pixel_size_m: float | None = None,
) -> dict[str, Any]:
    """The content of `metrics.json`; values that only our own weights have are None.

    Args:
        masks: mask file by name, in the order of names.
        images_dir: folder with an image per mask, whose no-data pixels are ignored; None: all pixels count.
        scene_pattern: see `find_pairs`.
        pixel_size_m: size of a pixel, for false alarms by area; None: unknown.

    Raises:
        DataError: if files are missing, sizes differ or a mask has values other than 0..7.
        TiffError: if a file cannot be read.
        ConfigError: if the pattern does not match the names.
    """
    scene_of = dict(zip(masks, scenes_of(list(masks), scene_pattern), strict=True))
    images = None if images_dir is None else _files_of(list(masks), images_dir, "", option="--images_dir")
    tiles = ScoredTiles()
    for name, path in tqdm(masks.items(), desc="score", unit="tile", leave=False, disable=not sys.stderr.isatty()):
        truth = read_mask(path)
        log_dn, valid = None, np.ones(truth.shape, bool)
        if images is not None:
            log_dn, valid = _read_image(images[name], shape=truth.shape)
        valid &= truth != NO_DATA_LABEL
        truth[~valid] = NO_DATA_LABEL
        prediction = predictions.tile(name, valid)
        known = without_no_data(truth, truth=truth)
        true, found = class_components(known), prediction.masks
        by_class = beside_truth(true, found) if isinstance(found, MaskTable) else (true, found)
        tiles.add(
            (name, scene_of[name]),
            truth,
            prediction.classes,
            by_class=by_class,
            detections=by_class,
            seeps=(seep_components(known), prediction.seeps),
            log_dn=log_dn,
            n_tiles=-(-truth.size // TILE_PX**2),
        )
    origin = {
        "part": "all",
        "unit": "tile",
        "leaky": None,
        "instance_mode": "class",
        "weights_sha256": None,
        "plan_fingerprint": None,
    }
    counts = {"n_tiles": len(masks), "n_scenes": len(set(scene_of.values()))}
    by_area = {"false_alarms_per_1000_km2": false_alarms_by_area(tiles, pixel_size_m)}
    return {"format": METRICS_FORMAT, **counts, **origin, **summarised(tiles, DEFAULT_CLASS_NAMES), **by_area}


def _read_probability(path: Path, *, drawn: npt.NDArray[np.bool_]) -> npt.NDArray[np.floating]:
    """(p,) probabilities of the `drawn` pixels; all others may have any value."""
    image = read_tiff(path)
    array = image.array
    if array.dtype == np.uint8 and OUTPUT_MARK in (image.description or ""):
        array = array / np.float32(PROBABILITY_STEPS)
    _check_size(path, array.shape, drawn.shape)
    values = array[drawn]
    if not np.all((values >= 0) & (values <= 1)):
        low, high = np.min(values), np.max(values)
        raise DataError(
            f"{path}: expected probabilities in 0..1 wherever a seep is predicted, but got {low:g} to {high:g}. "
            "Apply softmax to logits, divide bytes by 255, and leave no NaN there."
        )
    return values


def _read_image(path: Path, *, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(H, W) logarithm of DN, 0 on no-data, and the mask of pixels with data."""
    image = read_tiff(path)
    _check_size(path, image.array.shape, shape)
    valid = valid_mask(image.array, image.no_data)
    # Calibration may leave intensities of 0 or below, which have no logarithm.
    dn = np.where(valid, np.maximum(image.array, np.finfo(np.float32).tiny), 1)
    return np.log(dn, dtype=np.float64), valid


def _check_size(path: Path, size: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if size != expected:
        raise DataError(f"{path}: expected the mask's size {expected}, but got {size}. Predict at full resolution.")


def _files_of(names: Sequence[str], folder: PathLike, ending: str, *, option: str) -> dict[str, Path]:
    """The file of each name: `<name><ending>.tif`, else `<name>.tif`."""
    if not Path(folder).is_dir():
        raise DataError(f"{folder}: expected a folder, but there is none. Correct {option}.")
    present = {path.stem: path for path in Path(folder).iterdir() if is_tiff(path)}
    files = {name: present.get(name + ending, present.get(name)) for name in names}
    missing = [name for name, path in files.items() if path is None]
    if missing:
        raise DataError(
            f"{folder}: expected one file per mask, but found none for {len(missing)} of {len(names)}: "
            f"{listed(missing)}. Add them, or correct {option}."
        )
    return {name: path for name, path in files.items() if path is not None}
