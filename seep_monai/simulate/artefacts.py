"""What is no seep but looks like one, or like nothing on the sea: all of it has label 0.

Patterns are gains in dB that are added, in place, to a scene-wide (row, col) float32 array; targets are intensities.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seep_monai.simulate.sea import from_db, smooth_noise, upsampled
from seep_monai.simulate.slicks import POINT_STEP_PX, Ribbon, Window, rasterised

FloatImage = npt.NDArray[np.float32]
Point = tuple[float, float]
# Choice: 8 px; the soft outline of a low-wind patch needs no finer grid.
_PATCH_GRID_PX = 8
# Choice: 24 px; at that distance the side lobes of the strongest target have fallen below the sea.
_TARGET_REACH_PX = 24


def add_low_wind_patch(gain_db: FloatImage, centre: Point, rng: np.random.Generator) -> None:
    """A patch of calm, ragged and soft-edged, 5 to 12 dB darker, 40 to 250 px wide."""
    radius = int(rng.uniform(20, 125))
    window, row, col = _window(gain_db, centre, radius)
    side = max(4, 2 * radius // _PATCH_GRID_PX)
    coarse = 0.7 * smooth_noise((side, side), side / 8, rng) + 0.5 * smooth_noise((side, side), 0.8, rng)
    noise = upsampled(coarse, (2 * radius + 1, 2 * radius + 1))[row[:, 0][:, None] + radius, col[0] + radius]
    level = 0.6 * noise + 1 - 2.5 * (row**2 + col**2) / radius**2
    gain_db[window] -= rng.uniform(5, 12) / (1 + np.exp(-rng.uniform(2, 6) * level))


def add_rain_cell(gain_db: FloatImage, centre: Point, rng: np.random.Generator) -> None:
    """A dark core of 10 to 40 px with a bright, broken rim."""
    radius = rng.uniform(10, 40)
    window, row, col = _window(gain_db, centre, int(2 * radius))
    distance, bearing = np.hypot(row, col) / radius, np.arctan2(row, col)
    rim = rng.uniform(1, 3) * (1 + np.cos(bearing - rng.uniform(0, 2 * np.pi))) / 2
    gain_db[window] += rim * np.exp(-(((distance - 1.2) / 0.2) ** 2)) - rng.uniform(1, 4) * np.exp(-(distance**4))


def add_internal_waves(gain_db: FloatImage, centre: Point, rng: np.random.Generator) -> None:
    """A packet of three to eight curved bright and dark bands whose spacing shrinks behind the leading one."""
    reach = int(rng.uniform(60, 160))
    window, row, col = _window(gain_db, centre, reach)
    bearing, curvature = rng.uniform(0, 2 * np.pi), rng.uniform(0.0005, 0.003)
    along = row * np.sin(bearing) + col * np.cos(bearing)
    across = -row * np.cos(bearing) + col * np.sin(bearing)
    behind = along + curvature * across**2
    spacing, n_waves = rng.uniform(8, 20), rng.uniform(3, 8)
    phase = behind / spacing * (1 + 0.3 * np.clip(behind / (n_waves * spacing), 0, 1))
    packet = (behind > 0) & (behind < n_waves * spacing)
    crest = np.exp(-((across / (0.4 * reach)) ** 2)) * np.clip(1 - behind / (n_waves * spacing), 0, 1)
    gain_db[window] += np.where(packet, rng.uniform(1, 3) * np.sin(2 * np.pi * phase) * crest, 0)


def add_wake(gain_db: FloatImage, ship: Point, rng: np.random.Generator) -> None:
    """A dark turbulent wake behind a ship and, fainter, two bright arms at its sides."""
    heading, length = rng.uniform(0, 2 * np.pi), rng.uniform(30, 120)
    for turn_deg, depth_db, width_px in ((0, -rng.uniform(2, 4), 3.0), (-12, 1.0, 2.0), (12, 1.0, 2.0)):
        angle, step = heading + np.deg2rad(turn_deg), np.arange(0, length, POINT_STEP_PX)
        rows, cols = ship[0] + step * np.sin(angle), ship[1] + step * np.cos(angle)
        fade = 1 - step / length
        window, strength = rasterised(Ribbon(rows, cols, np.full_like(step, width_px), fade, 1.0), gain_db.shape)
        gain_db[window] += np.float32(depth_db) * strength


def add_target(intensity: FloatImage, position: Point, rng: np.random.Generator) -> None:
    """A ship or rig: 10 to 30 dB above the sea at that place, with the sinc cross of the radar's point response.

    Args:
        intensity: (row, col) float32 sea intensity before speckle, changed in place.
        position: (row, col) of the target; outside the image nothing happens.
        rng: source of randomness.
    """
    window, row, col = _window(intensity, position, _TARGET_REACH_PX)
    sea = intensity[window]
    if not sea.size:
        return
    size = rng.uniform(0.8, 2.5)
    response = (np.sinc(row / (1.3 * size)) * np.sinc(col / (1.3 * size))) ** 2
    body = np.exp(-((row / size) ** 2 + (col / (0.7 * size)) ** 2) / 2)
    # Hann taper: the processor weights the spectrum, and the window must not end in a step.
    taper = (
        np.cos(np.pi * row / (2 * _TARGET_REACH_PX + 2)) ** 2 * np.cos(np.pi * col / (2 * _TARGET_REACH_PX + 2)) ** 2
    )
    peak = np.median(sea) * from_db(rng.uniform(10, 30))
    sea += (peak * np.maximum(body, response * taper)).astype(np.float32)


def swath(shape: tuple[int, int], edges: tuple[tuple[str, float, float], ...]) -> npt.NDArray[np.bool_]:
    """True inside the swath: the scene less one half-plane per edge.

    Args:
        shape: (row, col).
        edges: (side, offset, slope) each: side "top", "bottom", "left" or "right"; the border lies `offset` px inside
            that side at the middle of it and moves inwards by `slope` px per px along it.
    """
    valid = np.ones(shape, bool)
    row, col = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    for side, offset, slope in edges:
        depth, along, size = (row, col, shape[1]) if side in ("top", "bottom") else (col, row, shape[0])
        n_depth = shape[0] if side in ("top", "bottom") else shape[1]
        depth = n_depth - 1 - depth if side in ("bottom", "right") else depth
        valid &= depth >= offset + slope * (along - size / 2)
    return valid


def _window(image: FloatImage, centre: Point, reach: int) -> tuple[Window, npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """The window within `reach` px of a centre, cut to the image, and row and column offsets from the centre."""
    row, col = (
        np.arange(max(0, round(x) - reach), min(size, round(x) + reach + 1)) - round(x)
        for x, size in zip(centre, image.shape, strict=True)
    )
    window = tuple(
        slice(round(x) + int(k[0]), round(x) + int(k[-1]) + 1) if k.size else slice(0, 0)
        for x, k in zip(centre, (row, col), strict=True)
    )
    return window, row[:, None], col[None, :]  # type: ignore[return-value]
