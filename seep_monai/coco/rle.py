"""COCO's run-length encoding (RLE) of masks, for all components of a tile at once.

COCO counts pixels column by column: counts[0] background pixels, counts[1] mask pixels, counts[2] background, and so on
to the last pixel. In the compressed form, each count from the fourth on is the difference to the count two before. Each
number is written in groups of five bits, low bits first, as the characters "0" to "o". A sixth bit marks that another
group follows.
Source: COCO's mask format (`pycocotools.mask`), equal byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seep_monai.errors import DataError
from seep_monai.instances.labelling import ranges

Ints = npt.NDArray[np.int64]

# Five bits of a group, the sign bit in the last group, and the bit that marks another group.
_BITS, _SIGN, _MORE = 0x1F, 0x10, 0x20
_FIRST_CHARACTER = ord("0")
# A count of 2**31 - 1 or its negative needs 7 groups; int64 overflows from 13 groups on.
_MAX_GROUPS = 12


@dataclass(frozen=True, eq=False)
class Runs:
    """The pixels of the masks of one tile as column-major runs; masks may overlap.

    Attributes:
        shape: (H, W) of the tile. Pixel (row, col) has the number col * H + row.
        owner: (r,) int64, the mask of each run, 0..n_masks - 1, ascending.
        start: (r,) int64, number of the run's first pixel, ascending within a mask.
        stop: (r,) int64, number of the run's last pixel + 1. Runs of one mask neither touch nor overlap.
        n_masks: number of masks; a mask without runs is empty.
    """

    shape: tuple[int, int]
    owner: Ints
    start: Ints
    stop: Ints
    n_masks: int

    @property
    def areas_px(self) -> Ints:
        """(n_masks,) int64 number of pixels."""
        return np.bincount(self.owner, weights=self.stop - self.start, minlength=self.n_masks).astype(np.int64)

    def pixels(self) -> list[Ints]:
        """The numbers of the pixels of each mask, ascending."""
        numbers = ranges(self.start, self.stop - self.start)
        return np.split(numbers, np.cumsum(self.areas_px)[:-1]) if self.n_masks else []


def label_runs(labels: npt.NDArray[np.integer], n_masks: int) -> Runs:
    """The runs of all components of a label image, in one pass over it.

    Args:
        labels: (H, W) integer, 0 = background, i + 1 = mask i.
        n_masks: number of masks; no label is larger.

    >>> runs = label_runs(np.array([[1, 0], [1, 2], [0, 2]]), 2)
    >>> runs.start.tolist(), runs.stop.tolist(), runs.areas_px.tolist()
    ([0, 4], [2, 6], [2, 2])
    """
    pixels = labels.ravel(order="F")
    # Background on both sides gives the first and last run a border too: 0 1 1 0 -> borders 0, 2.
    padded = np.concatenate([[0], pixels, [0]])
    borders = np.flatnonzero(padded[1:] != padded[:-1])
    start, stop = borders[:-1], borders[1:]
    owner = pixels[start].astype(np.int64) - 1
    order = np.argsort(owner, kind="stable")
    order = order[np.searchsorted(owner[order], 0) :]
    height, width = labels.shape
    return Runs((height, width), owner[order], start[order], stop[order], n_masks)


def boxes(runs: Runs) -> Ints:
    """(n_masks, 4) int64: left column, top row, width and height of each mask in px; zeros for an empty mask."""
    height = max(runs.shape[0], 1)
    left, right = runs.start // height, (runs.stop - 1) // height
    # A run that continues in the next column reaches both the bottom and the top of the tile.
    whole = left != right
    top = np.where(whole, 0, runs.start % height)
    bottom = np.where(whole, height - 1, (runs.stop - 1) % height)
    low = np.full((runs.n_masks, 2), np.iinfo(np.int64).max)
    high = np.full((runs.n_masks, 2), -1)
    np.minimum.at(low, runs.owner, np.stack([left, top], axis=1))
    np.maximum.at(high, runs.owner, np.stack([right, bottom], axis=1))
    found = high[:, :1] >= 0
    return np.where(found, np.concatenate([low, high - low + 1], axis=1), 0)


def meeting_pieces(masks: Runs, disjoint: Runs) -> tuple[Ints, Ints, Ints, Ints]:
    """The runs of pixels that masks share with disjoint masks.

    Args:
        masks: masks that may overlap each other.
        disjoint: masks of the same tile that do not overlap each other (components of a label image).

    Returns:
        Mask, disjoint mask, first pixel and pixel after the last of each shared run, in the order of `masks`' runs.
    """
    order = np.argsort(disjoint.start, kind="stable")
    start, stop, owner = disjoint.start[order], disjoint.stop[order], disjoint.owner[order]
    first = np.searchsorted(stop, masks.start, side="right")
    n_met = np.maximum(np.searchsorted(start, masks.stop, side="left") - first, 0)
    run = np.repeat(np.arange(len(masks.start)), n_met)
    met = ranges(first, n_met)
    return (
        masks.owner[run],
        owner[met],
        np.maximum(masks.start[run], start[met]),
        np.minimum(masks.stop[run], stop[met]),
    )


def encoded(runs: Runs) -> list[str]:
    """The compressed counts of each mask.

    >>> encoded(label_runs(np.array([[1, 0], [1, 0]]), 1))
    ['022']
    """
    counts, mask = _counts(runs)
    position = np.arange(len(counts)) - np.searchsorted(mask, mask)
    two_before = np.concatenate([np.zeros(2, np.int64), counts[:-2]])[: len(counts)]
    characters = _characters(counts - np.where(position > 2, two_before, 0))
    n_characters = np.bincount(mask, weights=(characters > 0).sum(axis=1), minlength=runs.n_masks)
    ends = np.cumsum(n_characters).astype(np.int64).tolist()
    text = characters[characters > 0].tobytes().decode("ascii")
    return [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def decoded_counts(text: str) -> Ints:
    """The counts in a compressed string; the inverse of `encoded` for one mask.

    Raises:
        DataError: if the string has other characters, ends within a count, or has a negative or too large count.

    >>> decoded_counts("022").tolist()
    [0, 2, 2]
    """
    groups = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - _FIRST_CHARACTER
    if not len(groups) or groups.min() < 0 or groups.max() > (_MORE | _BITS) or groups[-1] & _MORE:
        raise DataError(f"expected a compressed run-length string, but got {text[:20]!r}.")
    is_last = (groups & _MORE) == 0
    last = np.flatnonzero(is_last)
    count = np.cumsum(is_last) - is_last
    first = np.concatenate([[0], last[:-1] + 1])
    shift = 5 * (np.arange(len(groups)) - first[count])
    if shift.max() >= 5 * _MAX_GROUPS:
        raise DataError(f"expected a compressed run-length string, but got a count of {shift.max() // 5 + 1} groups.")
    values = np.zeros(len(last), np.int64)
    np.add.at(values, count, (groups & _BITS) << shift)
    # The sign of the last group fills all higher bits.
    values -= np.where(groups[last] & _SIGN, np.int64(1) << (shift[last] + 5), 0)
    # Undo the differences: counts 3, 5, ... are relative to 1, 3, ..., and 4, 6, ... to 2, 4, ...
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    if values.min() < 0:
        raise DataError(f"expected run lengths of 0 or more, but got {values.min()}.")
    return values


def runs_of_counts(counts: list[Ints], shape: tuple[int, int]) -> Runs:
    """The runs of several masks of one tile.

    Args:
        counts: counts of each mask, background first; zeros are allowed.
        shape: (H, W).

    Raises:
        DataError: if the counts of a mask are negative or do not add up to H * W.
    """
    n_px = shape[0] * shape[1]
    for number, own in enumerate(counts):
        if own.sum() != n_px or (len(own) and own.min() < 0):
            raise DataError(f"mask {number}: expected run lengths that add up to {n_px} pixels, but got {own.sum()}.")
    pieces = [_runs(own) for own in counts]
    owner = np.repeat(np.arange(len(counts)), [len(piece) for piece in pieces])
    joined = np.concatenate([np.zeros((0, 2), np.int64), *pieces])
    return Runs(shape, owner, joined[:, 0], joined[:, 1], len(counts))


def _counts(runs: Runs) -> tuple[Ints, Ints]:
    """The counts of all masks, concatenated, and the mask of each count."""
    n_px = runs.shape[0] * runs.shape[1]
    masks = np.arange(runs.n_masks)
    # Each mask has the borders 0, start and stop of each run, and n_px.
    owner = np.concatenate([masks, runs.owner, runs.owner, masks])
    border = np.concatenate([0 * masks, runs.start, runs.stop, 0 * masks + n_px])
    order = np.lexsort((border, owner))
    owner, border = owner[order], border[order]
    # A mask with the last pixel has no final background count. An empty mask in an empty tile has the count 0.
    kept = (owner[1:] == owner[:-1]) & ((border[:-1] < n_px) | (n_px == 0))
    return np.diff(border)[kept], owner[1:][kept]


def _characters(values: Ints) -> npt.NDArray[np.uint8]:
    """(n, groups) characters of each value, padded with 0."""
    columns, rest, goes_on = [], values.copy(), np.ones(len(values), bool)
    while goes_on.any():
        group = rest & _BITS
        rest = rest >> 5
        more = goes_on & (rest != np.where(group & _SIGN, -1, 0))
        columns.append(np.where(goes_on, group + _FIRST_CHARACTER + np.where(more, _MORE, 0), 0))
        goes_on = more
    return np.stack(columns, axis=1).astype(np.uint8) if columns else np.zeros((0, 1), np.uint8)


def _runs(counts: Ints) -> Ints:
    """(r, 2) first pixel and pixel after the last of each run."""
    # An even number of counts ends with a run, an odd number with background.
    borders, n = np.unique(np.cumsum(counts)[: len(counts) // 2 * 2], return_counts=True)
    # Counts 2, 3, 0, 4 -> borders 2, 5, 5, 9: the runs 2..5 and 5..9 are one, 2..9.
    return borders[n % 2 == 1].reshape(-1, 2)
