"""COCO results of other programs: masks that may overlap, as tables for the matching.

Matching needs the area of each mask and the pixels it shares with each true component. Both are computed from runs,
without one image per mask.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.classes import N_SEEP_CLASSES
from seep_monai.coco.rle import Ints, Runs, decoded_counts, label_runs, meeting_pieces, runs_of_counts
from seep_monai.errors import DataError
from seep_monai.files import read_json
from seep_monai.instances.components import ClassMap, Components

_NEEDED = ("image_id", "category_id", "segmentation", "score")
# Far more than any image has pixels, and too small for sums to overflow int64.
_MAX_COUNT = 2**40


@dataclass(frozen=True, eq=False)
class MaskTable:
    """The predicted masks of one tile, in the file's order; they may overlap.

    Attributes:
        runs: their pixels.
        classes: (n,) int64, mask value 1..7.
        scores: (n,) float64, finite.
    """

    runs: Runs
    classes: Ints
    scores: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.classes)

    def within(self, valid: npt.NDArray[np.bool_]) -> MaskTable:
        """The masks clipped to `valid` (H, W) pixels; a mask that loses all its pixels is dropped."""
        if valid.all():
            return self
        owner, _, start, stop = meeting_pieces(self.runs, label_runs(valid.astype(np.uint8), 1))
        cut = replace(self, runs=replace(self.runs, owner=owner, start=start, stop=stop))
        return cut.selected(np.flatnonzero((cut.runs.areas_px > 0) | (self.runs.areas_px == 0)))

    def selected(self, masks: npt.NDArray[np.intp]) -> MaskTable:
        """The masks at the positions `masks`, which ascend."""
        runs = self.runs
        kept = np.isin(runs.owner, masks)
        owner = np.searchsorted(masks, runs.owner[kept])
        own = replace(runs, owner=owner, start=runs.start[kept], stop=runs.stop[kept], n_masks=len(masks))
        return MaskTable(own, self.classes[masks], self.scores[masks])


def beside_truth(truth: Components, predicted: MaskTable) -> tuple[Components, Components]:
    """Both tables for the matching, with label images of the shared pixels only.

    Overlapping masks do not fit into one label image. So each run of pixels that a mask shares with a true component is
    written into two label images of one row, whose joint histogram gives every intersection. Areas, classes and scores
    are those of the whole masks. Use the tables for `overlaps` and matching, not for figures or boxes.

    Args:
        truth: components of the tile's truth.
        predicted: masks of the same tile.

    >>> truth = Components(np.array([[1, 1, 0]], np.int32), np.array([3]), np.array([2]), np.array([np.nan]))
    >>> both = Runs((1, 3), np.array([0, 1]), np.array([0, 1]), np.array([2, 3]), 2)
    >>> pair = beside_truth(truth, MaskTable(both, np.array([3, 3]), np.array([0.5, 0.25])))
    >>> [table.labels.tolist() for table in pair]
    [[[1, 1, 1]], [[1, 1, 2]]]
    """
    mask, component, start, stop = meeting_pieces(predicted.runs, label_runs(truth.labels, len(truth)))
    true_labels = np.repeat(component + 1, stop - start).astype(np.int32)[None]
    mask_labels = np.repeat(mask + 1, stop - start).astype(np.int32)[None]
    return (
        Components(true_labels, truth.classes, truth.areas_px, truth.scores),
        Components(mask_labels, predicted.classes, predicted.runs.areas_px, predicted.scores),
    )


def painted(predicted: MaskTable) -> tuple[ClassMap, npt.NDArray[np.float64]]:
    """(H, W) uint8 class and (H, W) float64 score of the mask with the highest score in each pixel; 0 without a mask.

    Of equal scores, the first mask in the file wins.
    """
    height, width = predicted.runs.shape
    classes, scores = np.zeros(height * width, np.uint8), np.zeros(height * width)
    pixels = predicted.runs.pixels()
    for mask in np.argsort(-predicted.scores, kind="stable")[::-1]:
        classes[pixels[mask]], scores[pixels[mask]] = predicted.classes[mask], predicted.scores[mask]
    return classes.reshape(width, height).T, scores.reshape(width, height).T


def read_results(path: str | os.PathLike[str]) -> dict[int, list[Mapping[str, Any]]]:
    """The validated records of a results file by image id; an empty list gives an empty dictionary.

    Args:
        path: a JSON list of results, or an object with such a list under `annotations`.

    Raises:
        DataError: if the file cannot be read or has another structure, or if a record lacks a key, has a category
            outside 0..6, a score that is not finite, or no RLE mask.
    """
    content = read_json(Path(path))
    records = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(records, list):
        raise DataError(f"{path}: expected a list of results or an object with 'annotations', but got neither.")
    by_image: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for number, record in enumerate(records):
        fault = _record_fault(record)
        if fault:
            raise DataError(f"{path}: result {number}: {fault}")
        by_image[record["image_id"]].append(record)
    return dict(by_image)


def read_image_ids(path: str | os.PathLike[str]) -> dict[str, int]:
    """Image id by file name without folder and suffix, from the `images` of a COCO file.

    Raises:
        DataError: if the file cannot be read, an image lacks `id` or `file_name`, or an id or name is not unique.
    """
    content = read_json(Path(path))
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list) or not images or not all(_is_image(image) for image in images):
        raise DataError(f"{path}: expected 'images' with a whole 'id' and a 'file_name' each. Give a COCO file.")
    ids = {Path(image["file_name"]).stem: int(image["id"]) for image in images}
    if len(ids) < len(images) or len(set(ids.values())) < len(images):
        raise DataError(f"{path}: expected each id and each file name once, but some are repeated. Make them unique.")
    return ids


def mask_table(records: Sequence[Mapping[str, Any]], shape: tuple[int, int]) -> MaskTable:
    """The masks of one tile.

    Args:
        records: validated results of one image (see `read_results`).
        shape: (H, W) of the tile.

    Raises:
        DataError: if a mask has another size or invalid run lengths.
    """
    for number, record in enumerate(records):
        size = record["segmentation"]["size"]
        if size != list(shape):
            raise DataError(
                f"result {number} of image {record['image_id']}: expected the size {list(shape)} of its mask file, "
                f"but got {size}. Predict at full resolution; size is [height, width]."
            )
    runs = runs_of_counts([_counts_of(record["segmentation"]["counts"]) for record in records], shape)
    classes = np.array([record["category_id"] + 1 for record in records], np.int64)
    return MaskTable(runs, classes, np.array([record["score"] for record in records], np.float64))


def _counts_of(counts: object) -> Ints:
    if isinstance(counts, str):
        return decoded_counts(counts)
    if isinstance(counts, list) and all(_is_whole(count) and abs(count) < _MAX_COUNT for count in counts):
        return np.array(counts, np.int64)
    raise DataError(f"counts: expected a compressed string or a list of whole numbers, but got {str(counts)[:40]}.")


def _record_fault(record: object) -> str | None:
    """What is wrong with a result and what to do; None if it is valid."""
    if not isinstance(record, dict):
        return f"expected an object, but got {type(record).__name__}."
    missing = [key for key in _NEEDED if key not in record]
    if missing:
        return f"expected {', '.join(_NEEDED)}, but {', '.join(missing)} is missing. Boxes alone cannot be scored."
    if not _is_whole(record["category_id"]) or not 0 <= record["category_id"] < N_SEEP_CLASSES:
        got = record["category_id"]
        return f"expected category_id 0..{N_SEEP_CLASSES - 1} (mask value - 1), but got {got!r}. Renumber the classes."
    if not _is_whole(record["image_id"]):
        return f"expected a whole image_id, but got {record['image_id']!r}. Number the images."
    score, segmentation = record["score"], record["segmentation"]
    if not isinstance(score, int | float) or isinstance(score, bool) or not math.isfinite(score):
        return f"expected a finite score, but got {score!r}. Give every result a number."
    if isinstance(segmentation, list):
        return (
            "expected an RLE mask, but got polygons. Convert polygons to RLE with pycocotools.mask.frPyObjects and "
            "merge."
        )
    if not isinstance(segmentation, dict) or "counts" not in segmentation or "size" not in segmentation:
        return "expected a segmentation {size, counts}, but got another format. Write masks as COCO RLE."
    return None


def _is_image(image: object) -> bool:
    return isinstance(image, dict) and isinstance(image.get("file_name"), str) and _is_whole(image.get("id"))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
