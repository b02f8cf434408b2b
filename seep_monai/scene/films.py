"""Connected areas of a scene that is seen strip by strip: their extent, without an image of labels.

A film is an 8-connected area at the lowest level at which seeps are drawn, so that no seep belongs to two films.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, label

Mask = npt.NDArray[np.bool_]
_EIGHT = np.ones((3, 3), int)


@dataclass(frozen=True, order=True)
class Film:
    """The extent of one film, in px of the scene; films are ordered by their first pixel.

    Attributes:
        first: (row, column) of its first pixel in raster order.
        top, bottom, left, right: its bounding box, without the row `bottom` and the column `right`.
    """

    first: tuple[int, int]
    top: int
    bottom: int
    left: int
    right: int

    def joined(self, other: Film) -> Film:
        """The film of which both are parts."""
        return Film(
            min(self.first, other.first),
            min(self.top, other.top),
            max(self.bottom, other.bottom),
            min(self.left, other.left),
            max(self.right, other.right),
        )


class FilmTracker:
    """Joins the components of consecutive strips. Memory use grows with the number of films, not with their area.

    >>> tracker = FilmTracker()
    >>> tracker.add(np.array([[True, False, True]])); tracker.add(np.array([[False, True, False]]))
    >>> tracker.films()
    [Film(first=(0, 0), top=0, bottom=2, left=0, right=3)]
    """

    def __init__(self) -> None:
        self._complete: list[Film] = []
        # Films that reach the last row, by number; and the number of each pixel of that row, -1 = none.
        self._open: dict[int, Film] = {}
        self._last_row: npt.NDArray[np.intp] | None = None
        self._n_rows = 0

    def add(self, mask: Mask) -> None:
        """Add the next rows, (h, W) bool with the same W each time."""
        labels, n_found = label(mask, _EIGHT)
        films = dict(enumerate(_films(labels, self._n_rows)))
        above = self._last_row
        parent = list(range(n_found + len(self._open)))
        old_numbers = {number: n_found + i for i, number in enumerate(self._open)}
        if above is not None:
            for old, new in _touching(above, labels[0]):
                _join(parent, old_numbers[old], new)
        films |= {old_numbers[number]: film for number, film in self._open.items()}
        whole: dict[int, Film] = {}
        for number, film in films.items():
            root = _root(parent, number)
            whole[root] = whole[root].joined(film) if root in whole else film
        roots = np.array([_root(parent, i) for i in range(n_found)] + [-1], np.intp)
        self._last_row = roots[labels[-1] - 1]
        reached = set(self._last_row.tolist()) - {-1}
        self._complete.extend(film for number, film in whole.items() if number not in reached)
        self._open = {number: whole[number] for number in sorted(reached)}
        self._n_rows += len(mask)

    def films(self) -> list[Film]:
        """All films of the rows so far, by first pixel."""
        return sorted([*self._complete, *self._open.values()])


def grouped(films: Iterable[Film], cell_px: int) -> Iterator[list[Film]]:
    """Films that are cut out together: those that begin in one cell of a grid; one wider than a cell by itself."""
    cells: dict[tuple[int, int], list[Film]] = {}
    for film in films:
        if max(film.bottom - film.top, film.right - film.left) > cell_px:
            yield [film]
        else:
            cells.setdefault((film.top // cell_px, film.left // cell_px), []).append(film)
    yield from (cells[cell] for cell in sorted(cells))


def _films(labels: npt.NDArray[np.integer], first_row: int) -> Iterator[Film]:
    for number, (rows, columns) in enumerate(find_objects(labels), start=1):
        first_column = int(np.argmax(labels[rows.start, columns] == number)) + columns.start
        top = rows.start + first_row
        yield Film((top, first_column), top, rows.stop + first_row, columns.start, columns.stop)


def _touching(above: npt.NDArray[np.intp], below: npt.NDArray[np.integer]) -> set[tuple[int, int]]:
    """(number above, index below) of all pairs of components with pixels that touch."""
    wide = np.pad(above, 1, constant_values=-1)
    pairs: set[tuple[int, int]] = set()
    for shift in range(3):
        near = wide[shift : shift + len(below)]
        both = (near >= 0) & (below > 0)
        pairs.update(zip(near[both].tolist(), (below[both] - 1).tolist(), strict=True))
    return pairs


def _root(parent: list[int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number


def _join(parent: list[int], one: int, other: int) -> None:
    roots = sorted((_root(parent, one), _root(parent, other)))
    parent[roots[1]] = roots[0]
