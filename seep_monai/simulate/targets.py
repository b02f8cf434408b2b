"""Bright targets: ships and rigs with the side lobes of the radar's point response, and azimuth ghosts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seep_monai.rectangles import Window, overlap, within

Point = tuple[float, float]
FloatImage = npt.NDArray[np.float32]
# Half lengths of the side-lobe cross along azimuth (rows) and range. Source: arms of about 22 and 14 px are visible in
# the reference tiles.
_AZIMUTH_ARM_PX, _RANGE_ARM_PX = 26.0, 16.0
# Choice: arms with the width of the resolution, about a pixel (standard deviation).
_ARM_WIDTH_PX = 0.6
# Choice: 30 px; both the arms and a body of 10 px end within it.
_REACH_PX = 30
# Choice: half of the targets are near another one: rigs with supply boats, anchorages.
_COMPANION_SHARE, _COMPANION_SPREAD_PX = 0.5, 25.0
# Choice: 0.4; in the reference tiles, a third of the saturated blobs have 20 px or more and a cross.
_RIG_SHARE = 0.4


@dataclass(frozen=True)
class Target:
    """A ship or rig.

    Attributes:
        row, col: position in scene coordinates, px.
        size_px: length at half the peak's intensity.
        heading_deg: direction of the length, from the column axis towards the rows.
        peak_db: intensity of the peak relative to the sea there.
        tilt_deg: angle of azimuth, and of the cross, against the rows; > 0: columns fall as rows grow.
        ghost_offset_px: px along azimuth between the target and each of its two ghosts, None without ghosts.
        ghost_db: level of the ghosts, relative to the target, < 0.
    """

    row: float
    col: float
    size_px: float
    heading_deg: float
    peak_db: float
    tilt_deg: float = 0.0
    ghost_offset_px: float | None = None
    ghost_db: float = -25.0


def add_targets(
    intensity: FloatImage,
    window: Window,
    targets: Iterable[Target],
    sea_level_at: Callable[[float, float], float],
) -> None:
    """Add targets and their ghosts, in place, to the linear intensity of a window before speckle.

    Args:
        intensity: (row, col) float32 of the window.
        window: rows and columns in scene coordinates.
        sea_level_at: linear intensity of the sea at (row, col); called only for targets that touch the window.
    """
    for target in targets:
        for place, gain_db in _copies(target):
            if _reaches(place, window):
                part, rows, cols = _part(place, window)
                peak = sea_level_at(target.row, target.col) * 10 ** ((target.peak_db + gain_db) / 10)
                intensity[part] += np.float32(peak) * _response(target, rows - place[0], cols - place[1])


def _copies(target: Target) -> list[tuple[Point, float]]:
    """Position and gain in dB of the target and of its ghosts before and behind it along azimuth."""
    here = target.row, target.col
    if target.ghost_offset_px is None:
        return [(here, 0.0)]
    tilt = math.radians(target.tilt_deg)
    down, left = target.ghost_offset_px * math.cos(tilt), target.ghost_offset_px * math.sin(tilt)
    ghosts = ((target.row + sign * down, target.col - sign * left) for sign in (-1, 1))
    return [(here, 0.0), *((place, target.ghost_db) for place in ghosts)]


def _reaches(place: Point, window: Window) -> bool:
    """True if a target at `place` touches the window."""
    return all(
        math.ceil(x - _REACH_PX) < span.stop and x + _REACH_PX >= span.start
        for x, span in zip(place, window, strict=True)
    )


def _part(place: Point, window: Window) -> tuple[Window, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The part of a window that a target at `place` touches, and its scene rows and columns."""
    rows, cols = (slice(math.ceil(x - _REACH_PX), math.floor(x + _REACH_PX) + 1) for x in place)
    rows, cols = part = overlap((rows, cols), window)
    along = np.arange(rows.start, rows.stop, dtype=float), np.arange(cols.start, cols.stop, dtype=float)
    return within(part, window), *along


def _response(target: Target, rows: npt.NDArray[np.float64], cols: npt.NDArray[np.float64]) -> FloatImage:
    """Response relative to the peak at offsets rows (m,) and cols (n,), (m, n) float32: body and cross."""
    along, across = _turned(rows, cols, target.heading_deg)
    # Full width at half height is 2.355 standard deviations; no target is narrower than the resolution.
    sigma = max(target.size_px / 2.355, 0.5)
    body = np.exp(-((along / sigma) ** 2 + (across / max(0.5 * sigma, 0.5)) ** 2) / 2)
    range_, azimuth = _turned(rows, cols, target.tilt_deg)
    # The lobe width grows with the target up to that of a point; longer targets do not have wider lobes.
    lobe_px = min(1.6, 1.4 * sigma)
    arms = _arm(azimuth, range_, lobe_px, _AZIMUTH_ARM_PX), _arm(range_, azimuth, lobe_px, _RANGE_ARM_PX)
    return np.maximum(body, np.maximum(*arms)).astype(np.float32)


def _turned(
    rows: npt.NDArray[np.float64], cols: npt.NDArray[np.float64], angle_deg: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Coordinates along and across a direction, (m, n)."""
    sin, cos = math.sin(math.radians(angle_deg)), math.cos(math.radians(angle_deg))
    return sin * rows[:, None] + cos * cols, cos * rows[:, None] - sin * cols


def _arm(
    along: npt.NDArray[np.float64], across: npt.NDArray[np.float64], lobe_px: float, length_px: float
) -> npt.NDArray[np.float64]:
    """Side lobes on one axis: the mean of sinc^2 over its lobes, tapered to zero at the arm's end.

    Multilooking and resampling remove the zeros between the lobes: sin^2 is replaced by its mean 1/2.
    """
    envelope = 0.5 / (0.5 + (math.pi * along / lobe_px) ** 2)
    taper = np.clip(1 - (along / length_px) ** 2, 0, 1)
    return envelope * taper * np.exp(-((across / _ARM_WIDTH_PX) ** 2) / 2)


def draw_targets(
    count: int, shape: tuple[int, int], rng: np.random.Generator, *, tilt_deg: float, at: Sequence[Point] = ()
) -> tuple[Target, ...]:
    """Draw `count` targets in the scene, some in groups, and one more at each position of `at`.

    Args:
        count: number of targets without a given position.
        shape: (row, col) of the scene in px.
        tilt_deg: angle of all crosses; it depends on the flight direction.
        at: (row, col) positions of further targets.
    """
    places: list[Point] = []
    for _ in range(count):
        row, col = (float(x) for x in rng.uniform(0, shape))
        if places and rng.random() < _COMPANION_SHARE:
            row, col = (float(x) for x in rng.normal(places[-1], _COMPANION_SPREAD_PX))
        places.append((row, col))
    return tuple(_draw_target(place, tilt_deg, rng) for place in (*places, *at))


def _draw_target(place: Point, tilt_deg: float, rng: np.random.Generator) -> Target:
    """Draw a rig or large ship with a cross and sometimes ghosts, or a smaller vessel."""
    is_rig = rng.random() < _RIG_SHARE
    low, high, median_px = (23, 30, 2.4) if is_rig else (10, 23, 1.6)
    has_ghost = is_rig and rng.random() < 0.3
    return Target(
        *place,
        size_px=float(np.clip(rng.lognormal(math.log(median_px), 0.25), 1, 10)),
        heading_deg=float(rng.uniform(0, 180)),
        peak_db=float(rng.uniform(low, high)),
        tilt_deg=tilt_deg,
        ghost_offset_px=float(rng.uniform(150, 600)) if has_ghost else None,
        ghost_db=-float(rng.uniform(20, 30)),
    )
