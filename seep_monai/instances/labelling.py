"""8-connected components of a class map, computed from runs instead of pixels.

A run is a sequence of pixels of one class in one row. Typical maps have tens of thousands of pixels but only some
hundred runs. Noisy maps have many short runs and are labelled by scikit-image, with the same result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.measure import label

# Choice: scikit-image is as fast if more than this share of the pixels differ from the one before, as in noise with 5 %
# foreground. Ribbons and blobs of any size stay below.
_MAX_SHARE_OF_CHANGES = 0.1

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class LabelledPixels:
    """The foreground of a map and the component of each of its pixels.

    Attributes:
        pixels: (n,) intp, flat indices of the pixels > 0, ascending.
        components: (n,) intp, from 0, numbered in raster order of each component's first pixel.
    """

    pixels: Indices
    components: Indices

    def divided(self) -> list[Indices]:
        """The flat indices of each component's pixels, ascending."""
        order = np.argsort(self.components, kind="stable")
        # Without pixels, split would give one empty part.
        return np.split(self.pixels[order], np.cumsum(np.bincount(self.components))[:-1]) if len(order) else []


@dataclass(frozen=True, eq=False)
class _Runs:
    """Runs of one class in one row, in raster order.

    Attributes:
        start: (r,) flat index of the first pixel.
        lengths_px: (r,) number of pixels.
        classes: (r,) uint8, at least 1.
    """

    start: Indices
    lengths_px: Indices
    classes: npt.NDArray[np.uint8]


def labelled_pixels(classes: npt.NDArray[np.uint8]) -> LabelledPixels:
    """The 8-connected components of each class; different classes that touch are different components.

    Args:
        classes: (H, W) uint8, 0 = background; all other values are classes.

    >>> labelled_pixels(np.array([[1, 0, 2], [0, 1, 2]], np.uint8)).components
    array([0, 1, 0, 1])
    """
    begins = np.ones(classes.shape, bool)
    np.not_equal(classes[:, 1:], classes[:, :-1], out=begins[:, 1:])
    n_changes = np.count_nonzero(begins) - len(classes)
    if n_changes > _MAX_SHARE_OF_CHANGES * classes.size:
        labels = label(classes, background=0, connectivity=2).ravel()
        pixels = np.flatnonzero(labels)
        return LabelledPixels(pixels, labels[pixels].astype(np.intp) - 1)
    runs = _runs(classes, begins)
    first_run = _first_connected(len(runs.start), *_contacts(runs, width=classes.shape[1]))
    # If runs 0, 1 and 4 of five are the first of their components, these get the numbers 0, 1 and 2.
    number = np.cumsum(first_run == np.arange(len(first_run))) - 1
    pixels = ranges(runs.start, runs.lengths_px)
    return LabelledPixels(pixels, np.repeat(number[first_run], runs.lengths_px))


def _runs(classes: npt.NDArray[np.uint8], begins: npt.NDArray[np.bool_]) -> _Runs:
    """The runs of the foreground; `begins` is True in column 0 and where a pixel differs from the one before."""
    start = np.flatnonzero(begins)
    lengths_px = np.append(start[1:], begins.size) - start
    values = classes.ravel()[start]
    kept = np.flatnonzero(values)
    return _Runs(start[kept], lengths_px[kept], values[kept])


def ranges(start: npt.NDArray[np.integer], lengths: npt.NDArray[np.integer]) -> Indices:
    """(sum of lengths,) the whole numbers of all ranges, range after range.

    Args:
        start: (n,) first number of each range.
        lengths: (n,) how many numbers each range has, 0 or more.

    >>> ranges(np.array([10, 40]), np.array([3, 2]))
    array([10, 11, 12, 40, 41])
    """
    skipped = start - np.cumsum(lengths) + lengths
    return np.repeat(skipped, lengths) + np.arange(int(lengths.sum()))


def _contacts(runs: _Runs, *, width: int) -> tuple[Indices, Indices]:
    """Pairs of a run and a run of its class that it touches in the row above, corners included."""
    # An empty column after each row separates the end of one row from the start of the next: in width 4, pixels 3 and 4
    # move to positions 3 and 5, and one row up is always 5 positions back.
    start = runs.start + runs.start // width
    stop = start + runs.lengths_px
    above = width + 1
    # A run at positions 6..7 touches those that stop at 1 or later and start at 3 or before.
    lowest = np.searchsorted(stop, start - above, side="left")
    n_touched = np.searchsorted(start, stop - above, side="right") - lowest
    run = np.repeat(np.arange(len(start)), n_touched)
    touched = ranges(lowest, n_touched)
    same = runs.classes[run] == runs.classes[touched]
    return run[same], touched[same]


def _first_connected(n_runs: int, run: Indices, touched: Indices) -> Indices:
    """(n_runs,) the first run of each run's component.

    Union-find: each run points to an earlier run of its component or to itself. If two touching runs point to different
    runs, the later of these is pointed to the earlier; then all pointers are followed to their ends.
    """
    first = np.arange(n_runs)
    # Most runs touch one run above, so this step joins nearly all. In reverse order, the first of several is kept.
    first[run[::-1]] = touched[::-1]
    first = _followed(first)
    while len(open_contacts := np.flatnonzero(first[run] != first[touched])):
        run, touched = run[open_contacts], touched[open_contacts]
        ends = first[run], first[touched]
        np.minimum.at(first, np.maximum(*ends), np.minimum(*ends))
        first = _followed(first)
    return first


def _followed(first: Indices) -> Indices:
    while ((further := first[first]) != first).any():
        first = further
    return first
