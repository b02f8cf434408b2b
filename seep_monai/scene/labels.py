"""Masks from labelled polygons: the way back from seep polygons to pixels."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from seep_monai.classes import N_SEEP_CLASSES, SEEP_LABELS
from seep_monai.errors import DataError, listed
from seep_monai.scene.place import Place
from seep_monai.scene.polygons import Geometries, PixelPolygons, VectorLayer, open_layer

DEFAULT_CLASS_FIELD = "class"


@dataclass(frozen=True, eq=False)
class Labels:
    """Polygons with a class.

    Attributes:
        layer: that they were read from.
        polygons: (n,) Polygon or MultiPolygon, in the order of the file.
        classes: (n,) uint8, 1..7.
    """

    layer: VectorLayer
    polygons: Geometries
    classes: npt.NDArray[np.uint8]


def read_labels(
    path: str | os.PathLike[str], *, class_field: str = DEFAULT_CLASS_FIELD, layer: str | None = None
) -> Labels:
    """Read labelled polygons. Features without a geometry are left out.

    Args:
        path: any file that GDAL reads.
        class_field: name of the field of classes: whole numbers 1..7, also as text.
        layer: name of the layer; None: the only one that has geometries.

    Raises:
        DataError: if the file cannot be read, there is no such layer, it is empty, it has no such field, a class is not
            a whole number 1..7, or a geometry is no polygon.
    """
    opened = open_layer(path, layer=layer)
    if class_field not in opened.fields:
        near = difflib.get_close_matches(class_field, opened.fields, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise DataError(
            f"{path}: expected a field {class_field!r} with the class 1..{N_SEEP_CLASSES}, but the fields are "
            f"{listed(list(opened.fields)) or 'none'}. {hint}Choose one with --class_field."
        )
    geometries, values = opened.read(class_field)
    drawn = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    numbers = np.flatnonzero(drawn) + 1
    if not len(numbers):
        raise DataError(
            f"{path}: expected polygons, but no feature of layer {opened.name!r} has a geometry. Draw some."
        )
    polygons = geometries[drawn]
    _check_polygons(opened, polygons, numbers)
    return Labels(opened, polygons, _checked_classes(opened, class_field, np.asarray(values)[drawn], numbers))


class LabelMask:
    """The classes of labelled polygons in the pixels of an image.

    A pixel belongs to a polygon if its centre is inside. Where polygons overlap, the later one in the file wins. Edges
    are straight in the image, so that polygons along the corners of pixels give exactly these pixels.

    Attributes:
        n_polygons: number of polygons, without the parts of one counted apart, that reach into the image.

    Args:
        labels: polygons anywhere. Without a coordinate system they are in px, x = column and y = -row, as `write_seeps`
            writes them.
        place: of the image.
        shape: (rows, columns) of the image.

    Raises:
        DataError: if either the labels or the image have a coordinate system, and the other has none; if the control
            points of the image do not give a clear place to the polygons.
    """

    def __init__(self, labels: Labels, place: Place, shape: tuple[int, int]) -> None:
        self._polygons = PixelPolygons(labels.layer, labels.polygons, place, shape, bent=False)
        self._values = labels.classes[self._polygons.owners]
        self.n_polygons = len(np.unique(self._polygons.owners))

    def read(self, rows: slice, columns: slice) -> npt.NDArray[np.uint8]:
        """0, or the class 1..7, of each pixel of a window."""
        return self._polygons.burn(self._values, rows, columns)


def _check_polygons(layer: VectorLayer, polygons: Geometries, numbers: npt.NDArray[np.int64]) -> None:
    kinds = [polygon.geom_type for polygon in polygons]
    wrong = [f"feature {n}: {kind}" for n, kind in zip(numbers, kinds, strict=True) if kind[-7:] != "Polygon"]
    if wrong:
        raise DataError(f"{layer.path}: expected polygons, but got {listed(wrong)}. Remove what is no area.")


def _checked_classes(
    layer: VectorLayer, field: str, values: npt.NDArray, numbers: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    classes = [_class_of(value) for value in values.tolist()]
    pairs = zip(numbers, values.tolist(), classes, strict=True)
    wrong = [f"feature {n}: {value!r}" for n, value, label in pairs if label is None]
    if wrong:
        raise DataError(
            f"{layer.path}: expected whole numbers 1..{N_SEEP_CLASSES} in the field {field!r}, but got "
            f"{listed(wrong)}. Correct them, or choose another field with --class_field."
        )
    return np.array(classes, np.uint8)


def _class_of(value: object) -> int | None:
    """
    >>> _class_of("3"), _class_of(7.0), _class_of(2.5), _class_of(None), _class_of("x"), _class_of(8)
    (3, 7, None, None, None, None)
    """
    try:
        number = float(str(value))
    except ValueError:
        return None
    return int(number) if number in SEEP_LABELS else None
