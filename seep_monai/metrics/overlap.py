"""Overlap of two sets of components, from one joint histogram of their ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seep_monai.errors import DataError
from seep_monai.instances.components import Components
from seep_monai.instances.labelling import ranges

# Choice: up to this many possible keys per pixel, bincount is faster than sorting.
_CELLS_PER_PIXEL = 16


@dataclass(frozen=True, eq=False)
class Overlaps:
    """The pairs of a true and a predicted component of one class that share at least one pixel.

    All other pairs have IoU 0. Stored as a list: a noisy map has tens of thousands of components but few overlaps.

    Attributes:
        truth: (n,) int64, row in the truth's table.
        predicted: (n,) int64, row in the prediction's table.
        intersection_px: (n,) int64, shared pixels, at least 1.
        iou: (n,) float64 in (0, 1], intersection / union, both exact integers.
    """

    truth: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    intersection_px: npt.NDArray[np.int64]
    iou: npt.NDArray[np.float64]

    def subset(self, index: npt.NDArray[np.int64]) -> Overlaps:
        """The pairs at the positions `index`, in that order."""
        return Overlaps(self.truth[index], self.predicted[index], self.intersection_px[index], self.iou[index])


def joint_histogram(
    first: npt.NDArray[np.int32], second: npt.NDArray[np.int32], *, pixels: npt.NDArray[np.intp] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Id in the first image, id in the second and number of shared pixels, of each pair of ids > 0 that overlaps.

    Args:
        first: (H, W) int32 label image, 0 = background.
        second: (H, W) int32 label image, 0 = background.
        pixels: (p,) intp, flat indices of `first` > 0; None: they are computed.

    Raises:
        DataError: if the shapes differ.

    >>> joint_histogram(np.array([[1, 1, 2, 0]], np.int32), np.array([[1, 1, 1, 1]], np.int32))
    (array([1, 2]), array([1, 1]), array([2, 1]))
    """
    if first.shape != second.shape:
        raise DataError(f"label images: expected one shape, but got {first.shape} and {second.shape}.")
    pixels = np.flatnonzero(first) if pixels is None else pixels
    second_ids = second.ravel()[pixels].astype(np.int64)
    met = np.flatnonzero(second_ids)
    first_ids, second_ids = first.ravel()[pixels[met]].astype(np.int64), second_ids[met]
    # Ids (3, 5) with at most 9 ids in the second image: key 3 * 10 + 5 = 35, and back by divmod.
    base = int(second_ids.max(initial=0)) + 1
    keys, counts = _counted(first_ids * base + second_ids)
    return keys // base, keys % base, counts


def overlaps(truth: Components, predicted: Components) -> Overlaps:
    """All overlapping pairs of equal class, with their IoU.

    Args:
        truth: true components of one tile, one row per label.
        predicted: predicted components of the same tile; several may have the same pixels.

    Raises:
        DataError: if the two tiles differ in shape.
    """
    truth_ids, predicted_ids, shared_px = joint_histogram(truth.labels, predicted.labels, pixels=truth.foreground)
    rows, columns = truth_ids - 1, predicted_ids - 1
    if predicted.label_of_row is not None:
        # The label of a pair may have rows for several classes, which follow each other.
        first, stop = (np.searchsorted(predicted.label_of_row, predicted_ids, side=side) for side in ("left", "right"))
        columns = ranges(first, stop - first)
        rows, shared_px = np.repeat(rows, stop - first), np.repeat(shared_px, stop - first)
    same = truth.classes[rows] == predicted.classes[columns]
    rows, columns, shared_px = rows[same], columns[same], shared_px[same]
    union_px = truth.areas_px[rows] + predicted.areas_px[columns] - shared_px
    return Overlaps(rows, columns, shared_px, shared_px / union_px)


def _counted(keys: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct keys, ascending, and how often each occurs."""
    if int(keys.max(initial=0)) <= _CELLS_PER_PIXEL * len(keys):
        cells = np.bincount(keys)
        found = np.flatnonzero(cells)
        return found, cells[found]
    found, counts = np.unique(keys, return_counts=True)
    return found, counts.astype(np.int64)
