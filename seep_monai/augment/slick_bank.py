"""Slicks of the training tiles as log ratios to the surrounding sea, for pasting into other tiles.

Slicks are taken from a bank and not from other tiles of the batch, because few batches contain a rare class and the log
ratios are computed only once. All slicks are stored in three flat tensors with 8 bytes per pixel, because slicks are
thin and their bounding boxes are mostly sea.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from seep_monai.classes import NO_DATA_LABEL, SEEP_LABELS
from seep_monai.instances.labelling import labelled_pixels
from seep_monai.instances.ring import MIN_RING_PX, RING_PX, in_ring, window_around

logger = logging.getLogger(__name__)

# Choice: smaller slicks cannot be distinguished from speckle.
_MIN_SLICK_PX = 8
# Choice: the sea varies along a slick, so each pixel is compared with ring pixels at most 16 px away.
_SEA_WINDOW_PX = 33
# Choice: a slick 3 px wide has 14 border pixels in this window. Their mean adds 4 % to the speckle of the target tile.
_SMOOTHING_PX = 7

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Slick:
    """One slick of a bank.

    Attributes:
        label: class, 1..7.
        start: index of its first pixel in the bank.
        stop: index after its last pixel.
        height_px: rows of its bounding box.
        width_px: columns of its bounding box.
        cut: whether it touches the top, left, bottom, right edge of its tile.
    """

    label: int
    start: int
    stop: int
    height_px: int
    width_px: int
    cut: tuple[bool, bool, bool, bool]


@dataclass(frozen=True, eq=False)
class SlickBank:
    """Slicks of a data set: whole 8-connected components of one class.

    Attributes:
        slicks: the slicks, in the order of the data set.
        rows: (n,) int16, row of each pixel in the bounding box of its slick.
        cols: (n,) int16, column of each pixel in the bounding box.
        log_ratios: (n,) float32, smoothed log ratio of slick to sea; negative where darker.
        left_out: number of instances that were left out, by reason.
    """

    slicks: tuple[Slick, ...]
    rows: torch.Tensor
    cols: torch.Tensor
    log_ratios: torch.Tensor
    left_out: dict[str, int]

    @classmethod
    def from_items(cls, items: Iterable[Mapping[str, Any]]) -> Self:
        """The bank of the slicks of normalised tiles.

        Args:
            items: mappings with `image`, (1, H, W) float32, log of DN over level, and `label`, (1, H, W) integers 0..7
                and 255 where the image has no data.
        """
        slicks: list[Slick] = []
        pixels: list[tuple[Floats, ...]] = []
        left_out: Counter[str] = Counter()
        stop = 0
        for item in items:
            image, label = (np.asarray(item[key][0]) for key in ("image", "label"))
            for found in _tile_slicks(image.astype(np.float64), label.astype(np.uint8)):
                if isinstance(found, str):
                    left_out[found] += 1
                    continue
                slick, *columns = found
                slicks.append(replace(slick, start=stop, stop=stop + len(columns[0])))
                pixels.append(tuple(columns))
                stop = slicks[-1].stop
        rows, cols, ratios = (np.concatenate([np.empty(0), *(p[i] for p in pixels)]) for i in range(3))
        bank = cls(
            slicks=tuple(slicks),
            rows=torch.from_numpy(rows.astype(np.int16)),
            cols=torch.from_numpy(cols.astype(np.int16)),
            log_ratios=torch.from_numpy(ratios.astype(np.float32)),
            left_out=dict(left_out),
        )
        logger.info("%s", bank)
        return bank

    def __str__(self) -> str:
        counts = ", ".join(str(len(members)) for members in self.by_class().values())
        reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(self.left_out.items())) or "none"
        return f"slick bank: {counts} slicks of classes 1..7, {self.n_bytes / 1e6:.1f} MB; left out: {reasons}"

    @property
    def n_bytes(self) -> int:
        """Size of the three tensors in bytes."""
        return sum(tensor.nbytes for tensor in (self.rows, self.cols, self.log_ratios))

    def by_class(self) -> dict[int, list[int]]:
        """Indices of the slicks of each class 1..7."""
        members: dict[int, list[int]] = {label: [] for label in SEEP_LABELS}
        for index, slick in enumerate(self.slicks):
            members[slick.label].append(index)
        return members

    def to(self, device: torch.device) -> Self:
        """The bank with its tensors on the device."""
        moved = {name: getattr(self, name).to(device) for name in ("rows", "cols", "log_ratios")}
        return replace(self, **moved)


def _tile_slicks(image: Floats, label: npt.NDArray[np.uint8]) -> Iterable[tuple[Any, ...] | str]:
    """(slick, rows, cols, log ratios) of each component of a tile, or the reason why it is left out."""
    components = labelled_pixels(np.where(label == NO_DATA_LABEL, 0, label).astype(np.uint8))
    for pixels in components.divided():
        yield "below 8 px" if len(pixels) < _MIN_SLICK_PX else _cut_slick(image, label, pixels)


def _cut_slick(image: Floats, label: npt.NDArray[np.uint8], pixels: npt.NDArray[np.intp]) -> tuple[Any, ...] | str:
    rows, cols = np.unravel_index(pixels, label.shape)
    (top, left), (bottom, right) = (rows.min(), cols.min()), (rows.max() + 1, cols.max() + 1)
    near = window_around(rows, cols, label.shape, margin_px=RING_PX[1])
    own = np.zeros(label.shape, bool)
    own[rows, cols] = True
    own, around = own[near], label[near]
    distance_px = ndimage.distance_transform_edt(~own)
    if ((around == NO_DATA_LABEL) & (distance_px < RING_PX[0])).any():
        return "beside no-data"
    ring = (around == 0) & in_ring(distance_px)
    if ring.sum() < MIN_RING_PX:
        return "without sea around"
    ratios = _log_ratios(image[near], own, ring)[own]
    if ratios.mean() >= 0:
        return "not darker than the sea"
    cut = (top == 0, left == 0, bottom == label.shape[0], right == label.shape[1])
    slick = Slick(
        label=int(label[rows[0], cols[0]]),
        start=0,
        stop=0,
        height_px=int(bottom - top),
        width_px=int(right - left),
        cut=(bool(cut[0]), bool(cut[1]), bool(cut[2]), bool(cut[3])),
    )
    return slick, rows - top, cols - left, ratios


def _log_ratios(image: Floats, own: Mask, ring: Mask) -> Floats:
    """Smoothed log ratio of slick to sea where `own`; 0 elsewhere.

    Border pixels are about half sea. Border and inner pixels are smoothed separately to keep the soft edge.
    """
    sea = _window_mean(image, ring, _SEA_WINDOW_PX, default=float(image[ring].mean()))
    inner = ndimage.binary_erosion(own, border_value=1)
    border = own & ~inner
    ratio = image - sea
    smooth = [np.where(part, _window_mean(ratio, part, _SMOOTHING_PX), 0) for part in (inner, border)]
    return smooth[0] + smooth[1]


def _window_mean(values: Floats, where: Mask, size_px: int, default: float = 0.0) -> Floats:
    """Mean of the values where `where` is True in the window around each pixel; `default` if there are none."""
    share = ndimage.uniform_filter(where.astype(np.float64), size_px, mode="constant")
    total = ndimage.uniform_filter(np.where(where, values, 0.0), size_px, mode="constant")
    # Below half a pixel of the window, the share is only a rounding error.
    known = share > 0.5 / size_px**2
    return np.where(known, total / np.where(known, share, 1.0), default)
