"""Inferers: windows without seams, and test-time augmentation over the symmetries of the square."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import torch
from monai.inferers import Inferer
from torch.nn import functional

from seep_monai.augment.batch import N_SYMMETRIES, inverse_symmetry, symmetry
from seep_monai.dataset.windows import inside_px, windows_along
from seep_monai.rectangles import Window, within


class SymmetryInferer(Inferer):
    """Mean class probabilities over the eight symmetries of the input, as logits.

    A radar image of the sea has no preferred orientation, so predictions of rotated and flipped images are equally
    valid and can be averaged. It takes eight times as long.

    Args:
        inferer: inferer that runs the network on one image.
    """

    def __init__(self, inferer: Inferer) -> None:
        super().__init__()
        self.inferer = inferer

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """(B, 1, H, W) -> (B, C, H, W) float32: logarithms of the mean probabilities, which a softmax inverts."""
        total = torch.zeros((), device=inputs.device)
        for index in range(N_SYMMETRIES):
            logits = self.inferer(symmetry(inputs, index), network, *args, **kwargs)
            total = total + inverse_symmetry(logits.float().softmax(dim=1), index)
        # Avoids log(0) where a probability underflows to 0 in all eight.
        return (total / N_SYMMETRIES).clamp_min(torch.finfo(torch.float32).tiny).log()


class WindowInferer(Inferer):
    """Runs another inferer on windows of the size that the network is trained on; each pixel comes from one window.

    The pixels in a window's margin give context and are not taken. A network with group norm depends on its window, so
    that windows of another size give other values. Unlike with MONAI's `SlidingWindowInferer`, no pixel is a mean of
    several windows: an image gives the same values as the tiles of a grid that lies on the windows.

    Args:
        inferer: runs the network on a batch of windows.
        window_px: rows and columns of a window with its margins.
        margin_px: width of the margin.
        batch_size: windows in a batch.
    """

    def __init__(self, inferer: Inferer, window_px: Sequence[int], margin_px: int, batch_size: int = 4) -> None:
        super().__init__()
        self.inferer, self.margin_px, self.batch_size = inferer, margin_px, batch_size
        self.window_px = (int(window_px[0]), int(window_px[1]))
        self.inside_px = tuple(inside_px(size, margin_px) for size in self.window_px)

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """(1, 1, H, W) with a margin -> (1, C, H, W) float32 on the CPU, 0 in the margin.

        An image of the window's size goes to the inner inferer as it is, in a batch of any size. A smaller one gets
        a frame of 0, which is no-data. Windows without data are not inferred: their logits are 0.
        """
        height, width = inputs.shape[-2:]
        if (height, width) == self.window_px:
            logits: torch.Tensor = self.inferer(inputs, network, *args, **kwargs)
            return logits
        lacking = (max(self.window_px[0] - height, 0), max(self.window_px[1] - width, 0))
        if any(lacking):
            before = (lacking[0] // 2, lacking[1] // 2)
            sides = (before[1], lacking[1] - before[1], before[0], lacking[0] - before[0])
            wide = self(functional.pad(inputs, sides), network, *args, **kwargs)
            return wide[..., before[0] : before[0] + height, before[1] : before[1] + width]
        places = list(self._places(inputs))
        # Without any data, one window tells the number of channels.
        places = [place for place in places if inputs[..., *place[0]].any()] or places[:1]
        batches = [places[i : i + self.batch_size] for i in range(0, len(places), self.batch_size)]
        result: torch.Tensor | None = None
        for batch in batches:
            windows = torch.cat([inputs[..., *window] for window, _ in batch])
            found = self.inferer(windows, network, *args, **kwargs).float().cpu()
            if result is None:
                result = torch.zeros(1, found.shape[1], *inputs.shape[-2:])
            for part, (window, taken) in zip(found, batch, strict=True):
                result[0, :, *taken] = part[:, *within(taken, window)]
        assert result is not None
        return result

    def _places(self, inputs: torch.Tensor) -> Iterator[tuple[Window, Window]]:
        """Each window, and the pixels that are taken from it."""
        axes = [
            [
                (slice(w.start, w.start + window), slice(w.first + self.margin_px, w.stop + self.margin_px))
                for w in windows_along(size - 2 * self.margin_px, inside)
            ]
            for size, window, inside in zip(inputs.shape[-2:], self.window_px, self.inside_px, strict=True)
        ]
        for (rows, taken_rows), (columns, taken_columns) in product(*axes):
            yield (rows, columns), (taken_rows, taken_columns)
