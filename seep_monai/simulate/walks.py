"""Random lines on the sea, and ribbons along them: headings, widths, strengths and side branches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from seep_monai.simulate.slicks import POINT_STEP_PX, Line, Ribbon
from seep_monai.simulate.waves import smooth_noise

Point = tuple[float, float]
# Choice: 24 px; the drawing time grows with the square of the width, and wider films look like round blobs. Pools
# consist of narrower strands.
MAX_WIDTH_PX = 24.0
# Choice: 2.2 px; narrower discs leave isolated pixels, which the reference tiles do not have.
MIN_WIDTH_PX = 2.2


@dataclass(frozen=True)
class Film:
    """The properties of one kind of film.

    Attributes:
        damping_db: median of the full damping of sigma0.
        damping_spread: standard deviation of its logarithm.
        length_px: median length of a ribbon in the scene.
        length_spread: standard deviation of its logarithm.
        width_px: median of the ribbons' mean width.
        width_spread: standard deviation of its logarithm from ribbon to ribbon.
        ragged: standard deviation of the logarithm of the width along one ribbon.
        wander_deg: standard deviation of the heading over some 10 px.
        beads: standard deviation of the strength along the ribbon; large values break it.
        barbs_per_100_px: number of short side branches per 100 px.
    """

    damping_db: float
    damping_spread: float
    length_px: float
    length_spread: float
    width_px: float
    width_spread: float
    ragged: float = 0.3
    wander_deg: float = 11.0
    beads: float = 0.2
    barbs_per_100_px: float = 0.0


def drawn_length(film: Film, rng: np.random.Generator) -> float:
    """Log-normal length in px, at most eight times the median and 3 px at least."""
    return max(3.0, film.length_px * float(np.exp(min(film.length_spread * rng.standard_normal(), np.log(8)))))


def headings(length_px: float, start_rad: float, rng: np.random.Generator, *, wander_deg: float) -> Line:
    """(n,) headings in rad along a walk: a slow turn of the drift plus a wobble over some 10 px.

    Choice: the drift turns by about 45 deg over 150 px, so that ribbons are as curved as in the reference tiles.
    """
    n = max(2, int(length_px / POINT_STEP_PX))
    turn = smooth_noise((n,), 150 / POINT_STEP_PX, rng)
    wobble = smooth_noise((n,), 9 / POINT_STEP_PX, rng)
    return start_rad + np.deg2rad(45) * (turn - turn[0]) + np.deg2rad(wander_deg) * wobble


def walked(start: Point, along: Line) -> tuple[Line, Line]:
    """Rows and columns, (n,) each, of a walk with these headings (0 = along the columns)."""
    rows = start[0] + POINT_STEP_PX * np.cumsum(np.sin(along))
    return rows, start[1] + POINT_STEP_PX * np.cumsum(np.cos(along))


def displaced(point: Point, heading_rad: float, *, along: float, across: float) -> Point:
    """The point moved by `along` px in a direction and `across` px to its side."""
    sin, cos = float(np.sin(heading_rad)), float(np.cos(heading_rad))
    return point[0] + along * sin + across * cos, point[1] + along * cos - across * sin


def hooked(along: Line, rng: np.random.Generator) -> Line:
    """The headings, with a sharp bend near the start in one of three walks, as where a film leaves its seep."""
    if rng.random() > 1 / 3:
        return along
    n = max(2, int(len(along) * rng.uniform(0.1, 0.35)))
    bend = rng.choice((-1, 1)) * np.deg2rad(rng.uniform(40, 110))
    # Choice: a scale of 1.5 px, so that the bend is complete within some 6 px.
    before = (n - np.arange(len(along))) * POINT_STEP_PX / 1.5
    return along + bend * (1 + np.tanh(before / 2)) / 2


def ribbon_along(start: Point, along: Line, film: Film, rng: np.random.Generator, *, blunt: bool = False) -> Ribbon:
    """A film along a walk that widens at its start and fades at its end; with `blunt`, a plain lens."""
    n = len(along)
    rows, cols = walked(start, along)
    share = np.linspace(0, 1, n)
    width = _width(n, film, rng)
    strength = 1 + film.beads * np.minimum(smooth_noise((n,), 20, rng), 0)
    if blunt:
        width *= 0.5 + 0.7 * np.sin(np.pi * share)
    else:
        width *= np.minimum(1, 0.6 + share / 0.5) * np.minimum(1, 0.5 + (1 - share) / 0.2)
        strength = strength * np.minimum(1, 0.5 + (1 - share) / 0.2)
    width = np.clip(width, MIN_WIDTH_PX, MAX_WIDTH_PX)
    # A random shift across the walk, so that the two outlines are not mirror images. Choice: broad films are shifted no
    # more than one of 8 px, otherwise they look like strings of beads.
    aside = film.ragged * 0.5 * np.minimum(width, 8) * smooth_noise((n,), 4, rng)
    rows, cols = rows + aside * np.cos(along), cols - aside * np.sin(along)
    damping = film.damping_db * float(np.exp(film.damping_spread * rng.standard_normal()))
    ribbon = Ribbon(rows, cols, width, np.clip(strength, 0, 1), damping)
    n_barbs = int(rng.poisson(film.barbs_per_100_px * n * POINT_STEP_PX / 100))
    return joined([ribbon, *_barbs(ribbon, along, n_barbs, rng)]) if n_barbs else ribbon


def comb(ribbon: Ribbon, bearing_rad: float, spacing_px: float, rng: np.random.Generator) -> Ribbon:
    """The ribbon with teeth on one side, all in about the same direction."""
    teeth, at = [ribbon], 0.0
    while (at := at + spacing_px * rng.uniform(0.4, 2.0)) < len(ribbon.rows) * POINT_STEP_PX:
        k = int(at / POINT_STEP_PX)
        length = rng.lognormal(np.log(2 + ribbon.width_px[k]), 0.5)
        teeth.append(_spike(ribbon, k, (bearing_rad + rng.normal(0, 0.3), length), rng))
    return joined(teeth)


def joined(ribbons: Sequence[Ribbon]) -> Ribbon:
    """One ribbon with the points of all; damping, rim and centre line are those of the first."""
    first = ribbons[0]
    n_line = len(first.rows) if first.n_line is None else first.n_line
    rows, cols, width_px, strength = (
        np.concatenate(values)
        for values in zip(*((r.rows, r.cols, r.width_px, r.strength) for r in ribbons), strict=True)
    )
    return replace(first, rows=rows, cols=cols, width_px=width_px, strength=strength, n_line=n_line)


def _width(n: int, film: Film, rng: np.random.Generator) -> Line:
    """(n,) widths in px: one level per ribbon, with slow variation and half as much fast variation."""
    # Choice: no film is wider than half its length, otherwise it would be a disc.
    level = min(film.width_px * rng.lognormal(0, film.width_spread), 0.5 * n * POINT_STEP_PX)
    # Choice: slow variation over 17 px, or twice the width of broad films, so that the discs are not visible.
    slow_px = max(17.0, 2 * level)
    noise = 0.87 * smooth_noise((n,), slow_px / POINT_STEP_PX, rng) + 0.5 * smooth_noise((n,), 4, rng)
    return level * np.exp(film.ragged * np.clip(noise, -2, 2))


def _barbs(ribbon: Ribbon, along: Line, n_barbs: int, rng: np.random.Generator) -> list[Ribbon]:
    """Short branches on both sides, longer where the film is broad."""
    barbs = []
    for k in rng.integers(len(along), size=n_barbs):
        bearing = along[k] + rng.choice((-1, 1)) * np.deg2rad(rng.uniform(15, 70))
        length = rng.lognormal(np.log(1.5 + 0.6 * ribbon.width_px[k]), 0.5)
        barbs.append(_spike(ribbon, int(k), (float(bearing), length), rng))
    return barbs


def _spike(ribbon: Ribbon, k: int, course: tuple[float, float], rng: np.random.Generator) -> Ribbon:
    """A tapering branch from point k of the ribbon; `course` is its bearing in rad and its length in px."""
    bearing, length = course
    # The branch starts inside the film and must extend out of it.
    n = max(2, int((length + ribbon.width_px[k] / 2) / POINT_STEP_PX))
    rows, cols = walked((ribbon.rows[k], ribbon.cols[k]), bearing + np.linspace(0, rng.normal(0, 0.5), n))
    base = max(MIN_WIDTH_PX, rng.uniform(0.5, 0.9) * min(ribbon.width_px[k], 12))
    return replace(
        ribbon,
        rows=rows,
        cols=cols,
        width_px=np.linspace(base, MIN_WIDTH_PX, n),
        strength=np.full(n, ribbon.strength[k]),
        n_line=None,
    )
