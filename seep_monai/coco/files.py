"""Our COCO instance files: `ground_truth_coco.json` and `predictions_coco.json`.

Image and annotation ids start at 1, with images in tile order, because pycocotools loses matches of annotation 0 and
ranks equal scores by image id. `category_id` k - 1 is mask value k. Boxes are [x, y, width, height] in px.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seep_monai.classes import DEFAULT_CLASS_NAMES, SEEP_LABELS, checked_class_names
from seep_monai.coco.rle import Runs, boxes, encoded, label_runs
from seep_monai.errors import DataError
from seep_monai.files import write_json, write_text
from seep_monai.instances.components import Components
from seep_monai.processes import interleaved

GROUND_TRUTH_FILE = "ground_truth_coco.json"
PREDICTIONS_FILE = "predictions_coco.json"

Record = dict[str, Any]


def category_records(class_names: Sequence[str] = DEFAULT_CLASS_NAMES) -> list[Record]:
    """The seven categories, ids 0..6.

    >>> category_records()[0]
    {'id': 0, 'name': 'Seep cls1'}
    """
    return [{"id": k - 1, "name": name} for k, name in zip(SEEP_LABELS, checked_class_names(class_names), strict=True)]


def annotation_records(image_id: int, components: Components, *, first_id: int) -> list[Record]:
    """One annotation per true component of the classes 1..7, in table order, with ids from `first_id` on."""
    runs = label_runs(components.labels, len(components))
    rows = zip(_masks(image_id, components, runs), components.areas_px.tolist(), boxes(runs).tolist(), strict=True)
    return [
        {"id": first_id + i, **mask, "area": area, "bbox": box, "iscrowd": 0}
        for i, (mask, area, box) in enumerate(rows)
    ]


def prediction_records(image_id: int, components: Components) -> list[Record]:
    """One result per row of predicted components of the classes 1..7, in table order; scores are not rounded."""
    label_of_row = components.label_of_row
    runs = label_runs(components.labels, len(components) if label_of_row is None else int(components.labels.max()))
    masks = _masks(image_id, components, runs)
    return [{**mask, "score": score} for mask, score in zip(masks, components.scores.tolist(), strict=True)]


def _masks(image_id: int, components: Components, runs: Runs) -> list[Record]:
    """Image, category and mask of each row."""
    counts = encoded(runs)
    if components.label_of_row is not None:
        counts = [counts[label - 1] for label in components.label_of_row]
    return [
        {"image_id": image_id, "category_id": k - 1, "segmentation": {"size": list(runs.shape), "counts": text}}
        for k, text in zip(components.classes.tolist(), counts, strict=True)
    ]


class CocoRecords:
    """Collects the records of both files tile by tile, as run-length strings."""

    def __init__(self, class_names: Sequence[str] = DEFAULT_CLASS_NAMES) -> None:
        self.categories = category_records(class_names)
        self.images: list[Record] = []
        self.annotations: list[Record] = []
        self.predictions: list[Record] = []

    def add_tile(self, file_name: str, truth: Components, predicted: Components) -> None:
        """Add one tile.

        Args:
            file_name: image name for other programs.
            truth: components of the classes 1..7 of the mask; no-data is background.
            predicted: components of the prediction, with scores.

        Raises:
            DataError: if the two differ in size.
        """
        height, width = truth.labels.shape
        if predicted.labels.shape != truth.labels.shape:
            raise DataError(
                f"{file_name}: expected a prediction of the mask's size {truth.labels.shape}, but got "
                f"{predicted.labels.shape}. Predict at full resolution."
            )
        image_id = len(self.images) + 1
        self.images.append({"id": image_id, "file_name": file_name, "height": height, "width": width})
        self.annotations += annotation_records(image_id, truth, first_id=len(self.annotations) + 1)
        self.predictions += prediction_records(image_id, predicted)

    @classmethod
    def merged(cls, parts: Sequence[CocoRecords]) -> CocoRecords:
        """The records of the tiles that were dealt to `parts` in turn, with the ids of one collection of them all."""
        merged = cls()
        merged.categories = parts[0].categories
        for image, true, predicted in interleaved([part._by_image() for part in parts]):
            image_id, first_id = len(merged.images) + 1, len(merged.annotations) + 1
            merged.images.append({**image, "id": image_id})
            merged.annotations += [{**one, "id": first_id + i, "image_id": image_id} for i, one in enumerate(true)]
            merged.predictions += [{**one, "image_id": image_id} for one in predicted]
        return merged

    def _by_image(self) -> list[tuple[Record, list[Record], list[Record]]]:
        """Each image with its annotations and predictions."""
        lists: list[tuple[Record, list[Record], list[Record]]] = [(image, [], []) for image in self.images]
        for kind, records in ((1, self.annotations), (2, self.predictions)):
            for record in records:
                lists[record["image_id"] - 1][kind].append(record)
        return lists

    def ground_truth(self) -> Record:
        """The content of `ground_truth_coco.json`."""
        info = {"description": "potential seeps: 8-connected components of each class of the masks"}
        return {"info": info, "images": self.images, "annotations": self.annotations, "categories": self.categories}

    def write(self, folder: Path) -> None:
        """Write both files into an existing folder, each one atomically."""
        write_json(folder / GROUND_TRUTH_FILE, self.ground_truth())
        write_text(folder / PREDICTIONS_FILE, json.dumps(self.predictions, allow_nan=False) + "\n")
