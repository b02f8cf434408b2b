"""A scene's level: the median of its valid DN, exact, from any number of tiles or windows."""

from __future__ import annotations

import numpy as np

from seep_monai.errors import DataError


class LevelCounter:
    """Median of values that come in pieces.

    Integers are counted in a histogram, so that a scene of any size takes constant memory; floats are kept.
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._floats: list[np.ndarray] = []

    def add(self, valid_dn: np.ndarray) -> None:
        """Take in the valid values of one tile or window, any shape."""
        if np.issubdtype(valid_dn.dtype, np.integer):
            values, counts = np.unique(valid_dn, return_counts=True)
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                self._counts[value] = self._counts.get(value, 0) + count
        else:
            self._floats.append(valid_dn.ravel())

    def median(self) -> float:
        """The median in DN (mean of the two middle values for an even count), as `numpy.median` gives it.

        Raises:
            DataError: if there are no values, integers came mixed with floats, or the median is not above zero.
        """
        if self._floats and self._counts:
            raise DataError(
                "A scene's tiles must all be integers or all be floats, but both came. Convert them to one type."
            )
        level = self._float_median() if self._floats else self._integer_median()
        if not level > 0:
            raise DataError(
                f"A scene's level must be above 0, but its median is {level:g}. Give linear amplitude or intensity, "
                f"not decibel."
            )
        return level

    def _float_median(self) -> float:
        return float(np.median(np.concatenate(self._floats).astype(np.float64)))

    def _integer_median(self) -> float:
        if not self._counts:
            raise DataError("A scene's level needs at least one valid pixel, but there is none.")
        values = np.array(sorted(self._counts))
        cumulative = np.cumsum([self._counts[value] for value in values.tolist()])
        total = int(cumulative[-1])
        # Five values 1 1 3 7 9: cumulative 2 3 4 5 for values 1 3 7 9; middle ranks (0-based) 2 and 2 -> 3 and 3.
        low, high = np.searchsorted(cumulative, [(total - 1) // 2, total // 2], side="right")
        return float(values[low] + values[high]) / 2.0
