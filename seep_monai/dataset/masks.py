"""Masks: the class of each pixel, from TIFF files of any dtype that holds whole numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from seep_monai.classes import N_CLASSES, N_SEEP_CLASSES, NO_DATA_LABEL
from seep_monai.errors import DataError, listed
from seep_monai.tiff import read_tiff

_WHAT_IS_255 = (
    "If 255 means that the class is not known, say so: gdal_edit.py -a_nodata 255 FILE. If it means seep, give each "
    "seep its class."
)


def read_mask(path: Path, *, with_no_data: bool = False) -> npt.NDArray[np.uint8]:
    """(H, W) labels: 0 = no seep, 1..7 = class, 255 = not known (no-data).

    Numbers of colours of a palette are labels, too. True in a mask of one bit a pixel is class 1.

    Args:
        path: the file.
        with_no_data: whether 255 means no-data in every file; otherwise in those whose no-data tag says so.

    Raises:
        DataError: on other values.
        TiffError: if the file cannot be read.
    """
    image = read_tiff(path)
    with np.errstate(invalid="ignore"):
        labels = image.array.astype(np.uint8)  # the next line finds NaN and values out of range
    known = np.append(np.arange(N_CLASSES), NO_DATA_LABEL if with_no_data or image.no_data == NO_DATA_LABEL else 0)
    strange = (labels != image.array) | ~np.isin(labels, known)
    if strange.any():
        values = np.unique(image.array[strange])
        remedy = _WHAT_IS_255 if NO_DATA_LABEL in values else "Map the values to these."
        raise DataError(
            f"{path}: expected mask values 0 (no seep) and 1..{N_SEEP_CLASSES}, but found "
            f"{listed([f'{value:g}' for value in values.tolist()])}. {remedy}"
        )
    return labels
