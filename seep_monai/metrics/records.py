"""Rows of matched tiles: all that AP needs, as six float64 numbers per row.

A tile has one header row (so that a tile without instances still counts), one row per true instance and one per
detection that counts. All rows have the same width, so that they can be gathered over processes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.instances.components import (
    DEFAULT_SETTINGS,
    ClassMap,
    Components,
    Floats,
    InstanceSettings,
    class_components,
    find_instances,
    seep_components,
    without_no_data,
)
from seep_monai.metrics.matching import MAX_DETECTIONS, match_components

logger = logging.getLogger(__name__)

# image_id: a whole number. kind: see RowKind. group: mask value 1..7, 8 = any seep, 0 in a header.
# score: of a detection, NaN otherwise. matches: bit i is set if the instance is matched at IoU threshold i.
ROW_NAMES = ("image_id", "kind", "group", "score", "area_px", "matches")
ROW_DTYPE = np.dtype([(name, np.float64) for name in ROW_NAMES])


class RowKind(IntEnum):
    """Kind of a row."""

    TILE = 0
    TRUTH = 1
    DETECTION = 2


def tile_rows(
    image_id: int,
    probabilities: Floats,
    truth: ClassMap,
    thresholds: npt.NDArray[np.float64],
    *,
    settings: InstanceSettings = DEFAULT_SETTINGS,
) -> npt.NDArray[np.void]:
    """The rows of one tile, for each class and for any seep.

    Args:
        image_id: sort key of the tile; equal ids mark a repeated tile (`unique_tiles`).
        probabilities: (8, H, W) float in [0, 1], without NaN.
        truth: (H, W) uint8, 0..7 and 255 = no-data; truth and prediction are background there.
        thresholds: (T,) float64, ascending IoU thresholds.
        settings: how probabilities become instances. True instances are never dropped.
    """
    predicted = find_instances(probabilities, settings, valid=truth != NO_DATA_LABEL)
    true_map = without_no_data(truth, truth=truth)
    by_class = class_components(true_map), predicted.by_class
    by_seep = seep_components(true_map), predicted.seeps
    return instance_rows(image_id, [by_class, by_seep], thresholds)


def instance_rows(
    image_id: int,
    pairs: Sequence[tuple[Components, Components]],
    thresholds: npt.NDArray[np.float64],
    max_detections: int = MAX_DETECTIONS,
) -> npt.NDArray[np.void]:
    """A header and the rows of each (truth, prediction) pair of component tables; see `tile_rows`.

    Detections are in COCO's order: class by class, highest score first, equal scores in raster order; of each class at
    most `max_detections`.
    """
    blocks = [header_row(image_id)]
    for truth, predicted in pairs:
        matches = match_components(truth, predicted, thresholds, max_detections)
        true_rows = _rows(image_id, RowKind.TRUTH, truth, np.arange(len(truth)))
        true_rows["matches"] = matches.truth_bits
        detections = _rows(image_id, RowKind.DETECTION, predicted, matches.order)
        detections["matches"] = matches.detection_bits
        blocks += [true_rows, detections]
    return np.concatenate(blocks, dtype=ROW_DTYPE)


def header_row(image_id: int, dtype: np.dtype[np.void] = ROW_DTYPE) -> npt.NDArray[np.void]:
    """The first row of a tile, without an instance, of any dtype with `image_id`, `kind` and `score`."""
    row = np.zeros(1, dtype)
    row["image_id"], row["kind"], row["score"] = image_id, RowKind.TILE, np.nan
    return row


def unique_tiles(rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """The rows in image-id order; of tiles with equal ids the first is kept.

    Args:
        rows: rows of whole tiles, each tile's header first.

    Distributed samplers repeat tiles to give each process the same number. The scores of a repeat may differ in the
    last digits, so whole tiles are dropped, not equal rows. The number of dropped tiles is logged.
    """
    is_header = rows["kind"] == RowKind.TILE
    _, first = np.unique(rows["image_id"][is_header], return_index=True)
    tile_of_row = np.cumsum(is_header) - 1
    keep = np.zeros(np.count_nonzero(is_header), bool)
    keep[first] = True
    if len(keep) > len(first):
        logger.info("%d repeated tiles of %d dropped", len(keep) - len(first), len(keep))
    kept = rows[keep[tile_of_row]]
    return kept[np.argsort(kept["image_id"], kind="stable")]


def to_matrix(rows: npt.NDArray[np.void]) -> npt.NDArray[np.float64]:
    """The rows as (n, width) float64, columns as in their dtype."""
    return rows.view(np.float64).reshape(len(rows), -1)


def from_matrix(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.void]:
    """The inverse of `to_matrix`."""
    return np.ascontiguousarray(matrix).view(ROW_DTYPE).reshape(len(matrix))


def _rows(image_id: int, kind: RowKind, table: Components, index: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """Rows of the table at `index`, with `matches` 0."""
    rows = np.zeros(len(index), ROW_DTYPE)
    rows["image_id"] = image_id
    rows["kind"] = kind
    rows["group"] = table.classes[index]
    rows["score"] = table.scores[index]
    rows["area_px"] = table.areas_px[index]
    return rows
