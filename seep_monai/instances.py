"""From class probabilities to instances: class map -> 8-connected components -> class, area and score of each.

Two kinds of components are made from one map: those of each class (touching classes stay apart), and those of
"any seep", where all seep classes count as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.measure import label

from seep_monai.classes import N_CLASSES, NO_DATA_LABEL
from seep_monai.errors import DataError

# The class of a component of "any seep": the first number that is no mask value.
ANY_SEEP = N_CLASSES

Floats = npt.NDArray[np.floating]
ClassMap = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Components:
    """The instances of one tile: a label image and one table row per component.

    Attributes:
        labels: (H, W) int32; 0 = background, i + 1 = the component in table row i. Rows are in raster order of each
            component's first pixel.
        classes: (n,) int64, mask value 1..7, or `ANY_SEEP`.
        areas_px: (n,) int64, number of pixels, at least 1.
        scores: (n,) float64 in [0, 1]; NaN where no probabilities were given (truth).
    """

    labels: npt.NDArray[np.int32]
    classes: npt.NDArray[np.int64]
    areas_px: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.classes)


def class_map(probabilities: Floats) -> ClassMap:
    """The most probable class of each pixel, (H, W) uint8 in 0..7; equal probabilities go to the lower label.

    Args:
        probabilities: (8, H, W) float, channel k = mask value k, without NaN. Only their order counts here.

    >>> p = np.zeros((8, 1, 3)); p[0] = [0.6, 0.3, 0.5]; p[4] = [0.4, 0.7, 0.5]
    >>> class_map(p)
    array([[0, 4, 0]], dtype=uint8)
    """
    # A running maximum: five times faster than argmax, which walks the channel axis pixel by pixel.
    winner = np.zeros(probabilities.shape[1:], np.uint8)
    highest = probabilities[0].copy()
    for k in range(1, len(probabilities)):
        np.copyto(winner, np.uint8(k), where=probabilities[k] > highest)
        np.maximum(highest, probabilities[k], out=highest)
    return winner


def without_no_data(classes: ClassMap, *, truth: ClassMap) -> ClassMap:
    """`classes` with background (0) wherever `truth` is no-data (255); a copy only where something changes.

    Args:
        classes: (H, W) uint8; the prediction, or the truth itself.
        truth: (H, W) uint8, 0..7 and 255 = no-data.
    """
    no_data = truth == NO_DATA_LABEL
    return np.where(no_data, np.uint8(0), classes) if no_data.any() else classes


def class_components(classes: ClassMap, probabilities: Floats | None = None) -> Components:
    """The 8-connected components of each class; different classes that touch are different components.

    Args:
        classes: (H, W) uint8, 0 = background, 1..7 = seep classes, no no-data (see `without_no_data`).
        probabilities: (8, H, W) float in [0, 1]. A component's score is the mean probability of its class over its
            pixels, summed in float64. None: scores are NaN.

    Raises:
        DataError: on other values in `classes`.

    >>> class_components(np.array([[1, 0, 2], [0, 1, 2]], np.uint8)).classes
    array([1, 2])
    """
    table, pixels = _labelled(classes)
    if probabilities is None or not len(table):
        return table
    rows, columns, components = pixels
    values = probabilities[classes[rows, columns], rows, columns]
    return _with_mean_scores(table, components, values.astype(np.float64))


def seep_components(classes: ClassMap, probabilities: Floats | None = None) -> Components:
    """The 8-connected components of any seep (map > 0), all of class `ANY_SEEP`.

    Args:
        classes: as for `class_components`.
        probabilities: (8, H, W) float in [0, 1] that sum to 1 over the channels. A component's score is the mean of
            the summed seep probability, 1 - background, over its pixels, in float64. None: scores are NaN.

    Raises:
        DataError: on other values in `classes`.

    >>> seep_components(np.array([[1, 0, 2], [0, 1, 2]], np.uint8)).areas_px
    array([4])
    """
    _check_map(classes)
    table, pixels = _labelled((classes > 0).astype(np.uint8))
    table = Components(table.labels, np.full_like(table.classes, ANY_SEEP), table.areas_px, table.scores)
    if probabilities is None or not len(table):
        return table
    rows, columns, components = pixels
    return _with_mean_scores(table, components, 1.0 - probabilities[0, rows, columns].astype(np.float64))


def bounding_boxes(components: Components) -> npt.NDArray[np.int64]:
    """(n, 4) int64 per component: first row, first column, and the row and column after the last.

    >>> bounding_boxes(class_components(np.array([[0, 3, 0], [0, 3, 3]], np.uint8)))
    array([[0, 1, 2, 3]])
    """
    rows, columns = np.nonzero(components.labels)
    index = components.labels[rows, columns] - 1
    boxes = np.empty((len(components), 4), np.int64)
    boxes[:, :2] = np.iinfo(np.int64).max
    boxes[:, 2:] = 0
    np.minimum.at(boxes[:, 0], index, rows)
    np.minimum.at(boxes[:, 1], index, columns)
    np.maximum.at(boxes[:, 2], index, rows + 1)
    np.maximum.at(boxes[:, 3], index, columns + 1)
    return boxes


# Row, column and table row of each foreground pixel, in raster order.
_Pixels = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]


def _labelled(classes: ClassMap) -> tuple[Components, _Pixels]:
    """The components without scores, and the foreground pixels with the table row they belong to."""
    _check_map(classes)
    labels = np.zeros(classes.shape, np.int32)
    box = _foreground_box(classes)
    # Raster order inside the box is raster order in the tile, so the numbering does not depend on the box.
    labels[box] = label(classes[box], background=0, connectivity=2)
    box_rows, box_columns = np.nonzero(classes[box] > 0)
    rows, columns = box_rows + box[0].start, box_columns + box[1].start
    component = labels[rows, columns].astype(np.intp) - 1
    areas_px = np.bincount(component).astype(np.int64)
    component_classes = np.zeros(len(areas_px), np.int64)
    component_classes[component] = classes[rows, columns]
    table = Components(labels, component_classes, areas_px, np.full(len(areas_px), np.nan))
    return table, (rows, columns, component)


def _with_mean_scores(
    table: Components, component: npt.NDArray[np.intp], values: npt.NDArray[np.float64]
) -> Components:
    sums = np.bincount(component, weights=values, minlength=len(table))
    return Components(table.labels, table.classes, table.areas_px, sums / table.areas_px)


def _foreground_box(classes: ClassMap) -> tuple[slice, slice]:
    """The smallest box around all pixels > 0; an empty box at the origin where there are none."""
    rows = np.flatnonzero(classes.any(axis=1))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    columns = np.flatnonzero(classes.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _check_map(classes: ClassMap) -> None:
    if classes.ndim != 2 or classes.dtype != np.uint8 or (classes.size and classes.max() >= N_CLASSES):
        raise DataError(
            f"class map: expected (H, W) uint8 with values 0..{N_CLASSES - 1}, but got shape {classes.shape}, "
            f"{classes.dtype}, values up to {classes.max() if classes.size else 'none'}. "
            f"Set no-data ({NO_DATA_LABEL}) to background with without_no_data first."
        )
