"""Geo-referencing of a raster: GeoTIFF tags -> affine transform -> map coordinates of pixel centres.

Array positions are (row, col), map coordinates (x, y). A transform is (a, b, c, d, e, f) on pixel corners:
x = a * col + b * row + c, y = d * col + e * row + f, with (row, col) = (0, 0) at the outer corner of the first pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from seep_monai.errors import TiffError

Transform = tuple[float, float, float, float, float, float]
GeoTags = dict[int, tuple[float, ...] | str]

PIXEL_SCALE = 33550
TIEPOINTS = 33922
MODEL_TRANSFORMATION = 34264
GEO_KEYS = 34735
GEO_DOUBLES = 34736
GEO_TEXT = 34737
# GDAL's own tag: the no-data value as text.
NO_DATA = 42113

# Type letters of struct, as the GeoTIFF standard sets them.
TAG_DTYPES = {
    PIXEL_SCALE: "d",
    TIEPOINTS: "d",
    MODEL_TRANSFORMATION: "d",
    GEO_KEYS: "H",
    GEO_DOUBLES: "d",
    GEO_TEXT: "s",
}
_RASTER_TYPE_KEY = 1025
_PIXEL_IS_POINT = 2


def transform_from_tags(geo_tags: GeoTags) -> Transform | None:
    """The affine transform on pixel corners that GeoTIFF tags state, None where they state none.

    Pixel scale with a tiepoint goes before a transformation matrix, y falls with the row whatever the sign of the
    scale, and coordinates of pixel centres ("pixel is point") are moved to the corner: all as GDAL reads them.
    Ground control points (tiepoints without a scale) are no affine transform.

    Args:
        geo_tags: values by tag number.

    >>> transform_from_tags({33550: (10.0, 10.0, 0.0), 33922: (0.0, 0.0, 0.0, 500.0, 900.0, 0.0)})
    (10.0, 0.0, 500.0, 0.0, -10.0, 900.0)
    """
    scale = _numbers(geo_tags, PIXEL_SCALE)
    tiepoints = _numbers(geo_tags, TIEPOINTS)
    matrix = _numbers(geo_tags, MODEL_TRANSFORMATION)
    if len(scale) >= 2 and scale[0] != 0 and scale[1] != 0 and len(tiepoints) >= 6:
        col, row, _, x, y, _ = tiepoints[:6]
        a, b, d, e = scale[0], 0.0, 0.0, -abs(scale[1])
        c, f = x - a * col, y - e * row
    elif len(matrix) == 16:
        a, b, c, d, e, f = (matrix[i] for i in (0, 1, 3, 4, 5, 7))
    else:
        return None
    if _is_point(geo_tags):
        c, f = c - (a + b) / 2, f - (d + e) / 2
    return a, b, c, d, e, f


def centre_affine(transform: Transform | None) -> np.ndarray:
    """The (3, 3) float64 matrix that takes (row, col, 1) to (x, y, 1) of the pixel's centre; identity for None.

    >>> centre_affine((10.0, 0.0, 500.0, 0.0, -10.0, 900.0)) @ [0, 0, 1]
    array([505., 895.,   1.])
    """
    if transform is None:
        return np.eye(3)
    a, b, c, d, e, f = transform
    return np.array([[b, a, c + (a + b) / 2], [e, d, f + (d + e) / 2], [0.0, 0.0, 1.0]])


def tags_of(value_of: Callable[[int], Any]) -> GeoTags:
    """The GeoTIFF tags that are there, as tuples of numbers and text.

    Args:
        value_of: gives the value of a tag number: numbers, text or bytes, None where the tag is absent.
    """
    found = {code: value_of(code) for code in TAG_DTYPES}
    return {code: _plain(value) for code, value in found.items() if value is not None}


def tags_to_write(geo_tags: GeoTags, no_data: float | None = None) -> list[tuple[int, str, int, Any, bool]]:
    """(number, type, count, value, only once) of each tag, as tifffile's `extratags` takes them.

    Args:
        geo_tags: values by tag number.
        no_data: value of the no-data tag, None for no tag.

    Raises:
        TiffError: for a tag that is none of GeoTIFF.
    """
    unknown = sorted(set(geo_tags) - set(TAG_DTYPES))
    if unknown:
        raise TiffError(f"geo_tags: expected some of {sorted(TAG_DTYPES)}, but got {unknown}. Leave these out.")
    tags = [
        (code, TAG_DTYPES[code], 0 if isinstance(value, str) else len(value), _packed(value), True)
        for code, value in geo_tags.items()
    ]
    return tags if no_data is None else [*tags, (NO_DATA, "s", 0, f"{no_data:.17g}".encode(), True)]


def _plain(value: Any) -> tuple[float, ...] | str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else tuple(np.atleast_1d(value).tolist())


def _packed(value: tuple[float, ...] | str) -> tuple[float, ...] | bytes:
    return value.encode() if isinstance(value, str) else value


def _numbers(geo_tags: GeoTags, code: int) -> tuple[float, ...]:
    value = geo_tags.get(code, ())
    return () if isinstance(value, str) else tuple(float(number) for number in value)


def _is_point(geo_tags: GeoTags) -> bool:
    # The directory is a header of four numbers, then (key, location, count, value) for each key.
    directory = _numbers(geo_tags, GEO_KEYS)
    keys = (directory[i : i + 4] for i in range(4, len(directory) - 3, 4))
    return any(key[0] == _RASTER_TYPE_KEY and key[3] == _PIXEL_IS_POINT for key in keys)
