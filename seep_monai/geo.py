"""GeoTIFF tags of a tile, taken from one file and put unchanged into another; what they mean is left to GDAL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from seep_monai.errors import TiffError

GeoTags = dict[int, tuple[float, ...] | str]

# GDAL's own tag: the no-data value as text.
NO_DATA = 42113

# Type letters of struct, as the GeoTIFF standard sets them.
TAG_DTYPES = {
    33550: "d",  # pixel scale
    33922: "d",  # tiepoints
    34264: "d",  # transformation
    34735: "H",  # geo keys
    34736: "d",  # numbers that the keys point to
    34737: "s",  # text that the keys point to
}


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
