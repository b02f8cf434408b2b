"""A scene that is cheap to draw: two films on noise, with what the writers of scenes read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from seep_monai.rectangles import Window
from seep_monai.simulate.slicks import CORE_SHARE, Ribbon, rasterised


@dataclass(frozen=True)
class FakeSlick:
    label: int
    origin: tuple[float, float]
    drift_rad: float
    ribbons: tuple[Ribbon, ...]


def straight_ribbon(start: tuple[float, float], end: tuple[float, float], *, width_px: float = 4.0) -> Ribbon:
    """A film of full strength and 3 dB between two places, a point about every 0.7 px."""
    n = int(np.hypot(end[0] - start[0], end[1] - start[1]) / 0.7) + 2
    rows, cols = (np.linspace(a, b, n) for a, b in zip(start, end, strict=True))
    return Ribbon(rows, cols, np.full(n, width_px), np.ones(n), 3.0)


def wavy_ribbon(start: tuple[float, float], *, length_px: float) -> Ribbon:
    """A film that swings by 12 px every 100 px towards higher columns, and widens from 3 to 6 px."""
    cols = np.arange(0, length_px, 0.6)
    rows = start[0] + 12 * np.sin(2 * np.pi * cols / 100)
    return Ribbon(rows, start[1] + cols, np.linspace(3, 6, len(cols)), np.linspace(1, 0.5, len(cols)), 2.5)


@dataclass(frozen=True)
class FakeScene:
    """Noise around DN 20000 that depends on the seed and the block row alone; the first columns hold no data.

    Attributes:
        windows: all windows that were drawn.
        shown: share of its damping that a film shows, from rows and columns (n,), where there is data; the image and
            the mask do not ask for it.
    """

    shape: tuple[int, int]
    slicks: tuple[FakeSlick, ...] = ()
    seed: int = 0
    no_data_cols: int = 3
    windows: list[Window] = field(default_factory=list)
    shown: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda rows, cols: np.ones(len(rows))

    def draw(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        self.windows.append(window)
        rows, cols = window
        size = (rows.stop - rows.start, cols.stop - cols.start)
        rng = np.random.default_rng((self.seed, rows.start, cols.start))
        image = (20000 + 4000 * rng.standard_normal(size, np.float32)).astype(np.uint16)
        mask = np.zeros(size, np.uint8)
        for slick in self.slicks:
            for ribbon in slick.ribbons:
                place, strength = rasterised(ribbon, window)
                inside = tuple(
                    slice(part.start - whole.start, part.stop - whole.start)
                    for part, whole in zip(place, window, strict=True)
                )
                mask[inside][strength >= CORE_SHARE] = slick.label
        image[mask > 0] //= 2
        image[:, : max(0, self.no_data_cols - cols.start)] = 0
        return image, mask

    def wind_at(self, row: float, col: float) -> float:
        return 5.0 + row / 1000 + col / 100000

    def shown_at(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        return np.where(cols < self.no_data_cols - 0.5, 0.0, self.shown(rows, cols))


def two_slicks(shape: tuple[int, int] = (300, 700)) -> FakeScene:
    """Class 1: a straight and a wavy film; class 4: a film that leaves the scene on the right."""
    first = FakeSlick(
        1, (40.0, 30.0), 0.0, (straight_ribbon((40, 30), (40, 530)), wavy_ribbon((100, 30), length_px=400))
    )
    second = FakeSlick(4, (200.0, 600.0), np.pi / 4, (straight_ribbon((200, 600), (400, 800)),))
    return FakeScene(shape, (first, second))
