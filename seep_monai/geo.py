"""GeoTIFF tags, copied from file to file without interpretation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from seep_monai.errors import TiffError

GeoTags = dict[int, tuple[float, ...] | str]

# GDAL's no-data tag: the value as text.
NO_DATA = 42113

# Type codes of `struct`, as the GeoTIFF standard prescribes.
TAG_DTYPES = {
    33550: "d",  # pixel scale
    33922: "d",  # tiepoints
    34264: "d",  # transformation
    34735: "H",  # geo keys
    34736: "d",  # numbers that the keys refer to
    34737: "s",  # text that the keys refer to
}


def tags_of(value_of: Callable[[int], npt.NDArray[Any] | None]) -> GeoTags:
    """The GeoTIFF tags that are present, as tuples of numbers or text.

    Args:
        value_of: returns the values of a tag number (numbers, or bytes of text), or None if the tag is absent.
    """
    found = {code: value_of(code) for code in TAG_DTYPES}
    return {code: _plain(value) for code, value in found.items() if value is not None}


def tags_to_write(geo_tags: GeoTags, no_data: float | None = None) -> list[tuple[int, str, int, Any, bool]]:
    """(number, type, count, value, write once) of each tag, in the form of tifffile's `extratags`.

    Args:
        geo_tags: values by tag number.
        no_data: value of the no-data tag; None writes no tag.

    Raises:
        TiffError: if a tag is not a GeoTIFF tag.
    """
    unknown = sorted(set(geo_tags) - set(TAG_DTYPES))
    if unknown:
        raise TiffError(f"geo_tags: expected some of {sorted(TAG_DTYPES)}, but got {unknown}. Remove these tags.")
    tags = [
        (code, TAG_DTYPES[code], 0 if isinstance(value, str) else len(value), _packed(value), True)
        for code, value in geo_tags.items()
    ]
    return tags if no_data is None else [*tags, (NO_DATA, "s", 0, f"{no_data:.17g}".encode(), True)]


def _plain(values: npt.NDArray[Any]) -> tuple[float, ...] | str:
    if values.dtype.kind == "S":
        return values.tobytes().rstrip(b"\0").decode("latin-1")
    return tuple(values.tolist())


def _packed(value: tuple[float, ...] | str) -> tuple[float, ...] | bytes:
    return value.encode() if isinstance(value, str) else value
