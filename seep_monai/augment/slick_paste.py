"""Pasting slicks of a bank into the tiles of a batch: the sea is multiplied by the slick's ratio, the class is set.

Random numbers and placements are computed on the CPU. The device only selects the first free placement.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch.nn import functional

from seep_monai.augment.slick_bank import Slick, SlickBank
from seep_monai.checks import probability, whole_number
from seep_monai.classes import N_SEEP_CLASSES, SEEP_LABELS
from seep_monai.dataset.transforms import LOG_LIMIT
from seep_monai.errors import ConfigError

# Choice: slicks of one class that are closer are often segmented as one.
GAP_PX = 2
# Choice: in tiles with a few slicks, eight trials find a free place for nearly all slicks for which there is one.
N_TRIALS = 8


@dataclass(frozen=True)
class Place:
    """Pixel (row, col) of a bounding box goes to index `origin + row * row_step + col * col_step` of the flat tile."""

    origin: int
    row_step: int
    col_step: int


class SlickPaste:
    """Pastes slicks of a bank into tiles, more than 2 px away from seeps and no-data.

    The class is drawn by weight, then one of its slicks, one of the eight symmetries and a random position. A slick
    that was cut by an edge of its tile is pasted at the corresponding edge, so that no cut end is visible. A slick is
    left out if no trial finds a free place.

    Args:
        bank: the slicks.
        prob: share of the tiles into which slicks are pasted, in [0, 1].
        max_slicks: maximum number of slicks per tile; the number is uniform in 1 .. max_slicks.
        class_weights: seven relative weights of the classes 1..7. A class without slicks in the bank is never drawn.

    Raises:
        ConfigError: if a value is out of range, or no class has both a weight above 0 and slicks.
    """

    def __init__(
        self, bank: SlickBank, *, prob: float, max_slicks: int = 2, class_weights: Sequence[float] = (1,) * 7
    ) -> None:
        self.bank = bank
        self.prob = probability("paste_prob", prob)
        self.max_slicks = whole_number("paste_max_slicks", max_slicks, at_least=1)
        self._members = bank.by_class()
        self._cumulative = _cumulative(class_weights, [len(self._members[label]) for label in SEEP_LABELS])

    def __call__(
        self, image: torch.Tensor, label: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Copies with pasted slicks.

        Args:
            image: (B, 1, H, W) float32, log of DN over level, in [-2, 2].
            label: (B, 1, H, W) integers 0..7 and 255, on the same device.
            generator: CPU generator. The number of values drawn depends only on the number of tiles.
        """
        if self.bank.rows.device != image.device:
            self.bank = self.bank.to(image.device)
        shape = (image.shape[-2], image.shape[-1])
        numbers = torch.rand(len(image), 2 + self.max_slicks * (2 + 3 * N_TRIALS), generator=generator)
        image, label = (tensor.clone(memory_format=torch.contiguous_format) for tensor in (image, label))
        for tile, truth, (chance, number, *rest) in zip(image, label, numbers.tolist(), strict=True):
            n_slicks = 1 + int(number * self.max_slicks) if chance < self.prob else 0
            step = len(rest) // self.max_slicks
            for first in range(0, n_slicks * step, step):
                slick = self.draw(*rest[first : first + 2])
                places = find_places(slick, shape, rest[first + 2 : first + step])
                if places:
                    self._paste(tile[0], truth[0], slick, places)
        return image, label

    def draw(self, class_number: float, member_number: float) -> Slick:
        """The slick selected by two numbers in [0, 1): the class by weight, then a slick of the class."""
        label = 1 + bisect_right(self._cumulative, class_number * self._cumulative[-1])
        members = self._members[label]
        return self.bank.slicks[members[int(member_number * len(members))]]

    def _paste(self, tile: torch.Tensor, truth: torch.Tensor, slick: Slick, places: Sequence[Place]) -> None:
        """Write the slick to the first free place of the tile and its label, both (H, W); nothing if none is free."""
        part = slice(slick.start, slick.stop)
        steps = torch.tensor([(p.origin, p.row_step, p.col_step) for p in places]).to(tile.device)
        origin, row_step, col_step = steps.T.unsqueeze(-1)
        candidates = origin + row_step * self.bank.rows[part].long() + col_step * self.bank.cols[part].long()
        taken = _taken(truth)[candidates].any(1)
        # Indices and conditions stay on the device, because reading their values would synchronise it.
        pixels = candidates.index_select(0, taken.int().argmin().reshape(1))[0]
        free = ~taken.all()
        sea, old = tile.view(-1)[pixels], truth.view(-1)[pixels]
        darker = (sea + self.bank.log_ratios[part]).clamp(-LOG_LIMIT, LOG_LIMIT)
        tile.view(-1)[pixels] = torch.where(free, darker, sea)
        truth.view(-1)[pixels] = torch.where(free, torch.full_like(old, slick.label), old)


def find_places(slick: Slick, shape: tuple[int, int], numbers: Sequence[float]) -> list[Place]:
    """The places selected by triples of numbers in [0, 1): symmetry, row, column. Places that do not fit are dropped.

    >>> slick = Slick(label=1, start=0, stop=2, height_px=1, width_px=2, cut=(False,) * 4)
    >>> find_places(slick, (4, 4), [0.13, 0.0, 0.9])
    [Place(origin=7, row_step=1, col_step=-4)]
    """
    places = []
    for turn, row_number, col_number in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
        index = int(8 * turn)
        size, cut = _turned(slick, index)
        top = _offset(size[0], shape[0], (cut[0], cut[2]), row_number)
        left = _offset(size[1], shape[1], (cut[1], cut[3]), col_number)
        if top is None or left is None:
            continue
        corner, below, beside = (_turned_pixel(slick, index, pixel) for pixel in ((0, 0), (1, 0), (0, 1)))
        flat = [(top + row) * shape[1] + left + col for row, col in (corner, below, beside)]
        places.append(Place(flat[0], flat[1] - flat[0], flat[2] - flat[0]))
    return places


def _turned(slick: Slick, index: int) -> tuple[tuple[int, int], tuple[bool, ...]]:
    """Size of the bounding box and cut edges (top, left, bottom, right) after `batch.symmetry` with this index."""
    turns = index % 4
    size = (slick.width_px, slick.height_px) if turns % 2 else (slick.height_px, slick.width_px)
    # A quarter turn brings the right edge to the top and the top to the left.
    top, left, bottom, right = slick.cut[-turns:] + slick.cut[:-turns] if turns else slick.cut
    return size, (top, right, bottom, left) if index >= 4 else (top, left, bottom, right)


def _turned_pixel(slick: Slick, index: int, pixel: tuple[int, int]) -> tuple[int, int]:
    (row, col), (height, width) = pixel, (slick.height_px, slick.width_px)
    for _ in range(index % 4):
        row, col, height, width = width - 1 - col, row, width, height
    return row, width - 1 - col if index >= 4 else col


def _offset(size: int, available: int, cut: tuple[bool, bool], number: float) -> int | None:
    """First row or column of a box in the tile; None if it does not fit. `cut` is for the low and the high end."""
    room = available - size
    if room < 0 or (all(cut) and room > 0):
        return None
    if any(cut):
        return 0 if cut[0] else room
    return int(number * (room + 1))


def _taken(truth: torch.Tensor) -> torch.Tensor:
    """(H * W,) bool: seep or no-data, or at most `GAP_PX` from it."""
    occupied = (truth != 0).float()[None]
    # First rows, then columns: 10 comparisons per pixel instead of 25.
    for size, pad in (((2 * GAP_PX + 1, 1), (GAP_PX, 0)), ((1, 2 * GAP_PX + 1), (0, GAP_PX))):
        occupied = functional.max_pool2d(occupied, size, stride=1, padding=pad)
    return occupied.view(-1) > 0


def _cumulative(weights: Sequence[float], n_slicks: Sequence[int]) -> list[float]:
    """Cumulative sum of the weights. Classes without slicks count as 0."""
    if len(weights) != N_SEEP_CLASSES or not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise ConfigError(
            f"paste_class_weights: expected {N_SEEP_CLASSES} finite numbers of at least 0, but got {list(weights)}."
        )
    sums = list(accumulate(weight if n else 0.0 for weight, n in zip(weights, n_slicks, strict=True)))
    if sums[-1] <= 0:
        raise ConfigError(
            f"paste_class_weights: expected a weight above 0 for a class that has slicks, but got weights "
            f"{list(weights)} for {list(n_slicks)} slicks. Turn pasting off with --augment#paste_prob 0."
        )
    return sums
