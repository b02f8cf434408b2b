"""No-data in the images of tiles and scenes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.instances.components import Mask


def with_no_data(dn: npt.NDArray[Any], valid: Mask) -> tuple[npt.NDArray[Any], float | None]:
    """The image with its no-data value, and the value of the tag: 0 and no tag for integers, NaN for floats.

    A valid integer DN of 0, which occurs where another value is no-data, becomes 1.

    >>> with_no_data(np.array([0, 5, 9], np.uint16), np.array([True, True, False]))
    (array([1, 5, 0], dtype=uint16), None)
    """
    if np.issubdtype(dn.dtype, np.integer):
        return np.where(valid, np.maximum(dn, 1), 0).astype(dn.dtype), None
    return np.where(valid, dn, np.nan).astype(dn.dtype), np.nan
