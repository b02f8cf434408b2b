"""The level of a scene: the exact median of its valid DN, from any number of tiles or windows."""

from __future__ import annotations

import numpy as np

from seep_monai.errors import DataError


class LevelCounter:
    """Median of values that are added in pieces.

    Integers are counted per value, so memory use does not grow with the scene. Floats are stored.
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._floats: list[np.ndarray] = []

    def add(self, valid_dn: np.ndarray) -> None:
        """Add the valid values of one tile or window: finite integers or floats of any shape, which may be empty."""
        if valid_dn.size == 0:
            return
        if np.issubdtype(valid_dn.dtype, np.integer):
            values, counts = np.unique(valid_dn, return_counts=True)
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                self._counts[value] = self._counts.get(value, 0) + count
        else:
            self._floats.append(valid_dn.ravel())

    def median(self) -> float:
        """The median in DN, equal to `numpy.median` in float64.

        Raises:
            DataError: if there are no values, both integers and floats were added, or the median is not above 0.
        """
        if not self._floats and not self._counts:
            raise DataError("expected at least one valid pixel for the level, but there is none.")
        if self._floats and self._counts:
            raise DataError("expected tiles of integers or of floats, but got both. Convert them to one type.")
        level = self._float_median() if self._floats else self._integer_median()
        if not level > 0:
            raise DataError(
                f"expected a level (median of the valid DN) above 0, but got {level:g}. Give linear amplitude or "
                "intensity, not decibel, and declare no-data in the GDAL no-data tag."
            )
        return level

    def _float_median(self) -> float:
        values = np.concatenate(self._floats)
        middle = [(values.size - 1) // 2, values.size // 2]
        # Sorting in the files' dtype halves the memory of a float32 scene. Only the mean needs float64.
        return float(np.partition(values, middle)[middle].astype(np.float64).mean())

    def _integer_median(self) -> float:
        values = sorted(self._counts)
        cumulative = np.cumsum([self._counts[value] for value in values])
        total = int(cumulative[-1])
        # Five values 1 1 3 7 9: cumulative 2 3 4 5 for values 1 3 7 9; middle ranks (0-based) 2 and 2 -> 3 and 3.
        low, high = np.searchsorted(cumulative, [(total - 1) // 2, total // 2], side="right")
        return (values[low] + values[high]) / 2
