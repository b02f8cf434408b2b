"""Recipes of the seven seep classes: from an origin and the surface drift to ribbons.

The meaning of the classes is not published; each recipe copies what one class looks like in the reference tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seep_monai.simulate.sea import smooth_noise
from seep_monai.simulate.slicks import POINT_STEP_PX, Ribbon

Point = tuple[float, float]
Line = npt.NDArray[np.floating]
Recipe = Callable[[Point, float, np.random.Generator], list[Ribbon]]


@dataclass(frozen=True)
class Film:
    """What one class of film looks like.

    Attributes:
        damping_db: median of the full damping of sigma0.
        damping_spread: standard deviation of its logarithm.
        length_px: median length of a ribbon in the scene.
        length_spread: standard deviation of its logarithm.
        width_px: width at the origin and at the widest place.
        beads: standard deviation of the strength along the ribbon; strong beads break it.
    """

    damping_db: float
    damping_spread: float
    length_px: float
    length_spread: float
    width_px: tuple[float, float]
    beads: float


# Choice: calibrated until areas, major axes and inside/ring ratios per class came near to those of the reference tiles.
FILMS = {
    1: Film(2.7, 0.30, 360.0, 0.70, (2.5, 4.8), 0.26),
    2: Film(2.4, 0.30, 95.0, 0.85, (2.0, 4.4), 0.28),
    3: Film(2.1, 0.25, 60.0, 0.85, (2.0, 4.2), 0.26),
    4: Film(3.8, 0.30, 190.0, 0.60, (2.8, 5.4), 0.36),
    5: Film(3.5, 0.30, 18.0, 1.10, (1.8, 4.2), 0.35),
    6: Film(3.2, 0.30, 130.0, 0.85, (1.8, 5.0), 0.65),
    7: Film(2.6, 0.25, 11.0, 0.95, (1.6, 3.0), 0.15),
}
# Choice: four of ten seeps stand alone; families of parallel neighbours get rarer with their size, up to six.
_FAMILY_SHARES = (0.40, 0.25, 0.15, 0.10, 0.06, 0.04)


def family(origin: Point, drift_rad: float, rng: np.random.Generator) -> list[Ribbon]:
    """Class 1: one to six long parallel ribbons that share the turns of the drift, 10 to 60 px apart."""
    film, n_members = FILMS[1], int(rng.choice(len(_FAMILY_SHARES), p=_FAMILY_SHARES)) + 1
    length = _length(film, rng)
    common = _headings(1.8 * length, drift_rad, rng, jitter_deg=11)
    offsets = np.cumsum(rng.uniform(10, 60, n_members))
    ribbons = []
    for across in offsets - offsets.mean():
        along = rng.normal(0, 30)
        start = _displaced(origin, drift_rad, along=along, across=across)
        n = max(2, min(len(common), _n_points(length * rng.uniform(0.4, 1.8))))
        ribbons.append(
            _ribbon(start, common[:n] + np.deg2rad(rng.normal(0, 3) + 5 * smooth_noise((n,), 12, rng)), film, rng)
        )
    return ribbons


def single(label: int, *, gap_px: float = 0.0) -> Recipe:
    """Classes 2, 3 and 4: one ribbon of the class's film along the drift, `gap_px` away from the origin."""

    def draw(origin: Point, drift_rad: float, rng: np.random.Generator) -> list[Ribbon]:
        start = _displaced(origin, drift_rad, along=gap_px, across=0)
        headings = _headings(_length(FILMS[label], rng), drift_rad, rng, jitter_deg=12)
        return [_ribbon(start, headings, FILMS[label], rng)]

    return draw


def angular_trail(origin: Point, drift_rad: float, rng: np.random.Generator) -> list[Ribbon]:
    """Class 5: a dashed trail of straight pieces with sharp bends, dark, with stray spots and, rarely, a broad pool."""
    film, point, heading, ribbons = FILMS[5], origin, drift_rad, []
    for _ in range(int(rng.integers(3, 13))):
        if rng.random() < 0.4:
            heading += rng.choice((-1, 1)) * np.deg2rad(rng.uniform(30, 100))
        length = _length(film, rng)
        piece = heading + np.deg2rad(6) * smooth_noise((_n_points(length),), 6, rng)
        # Choice: one piece in 25 is a pool three times as wide; a few such films hold most pixels of the class.
        width = (3 * film.width_px[0], 3 * film.width_px[1]) if rng.random() < 0.04 else film.width_px
        ribbons.append(_ribbon(point, piece, replace(film, width_px=width), rng, blunt=True))
        point = _displaced(point, heading, along=length + rng.uniform(4, 30), across=rng.normal(0, 3))
        if rng.random() < 0.3:
            ribbons.extend(_spots(_displaced(point, heading, along=0, across=rng.normal(0, 30)), 1, film, rng))
    return ribbons


def branching(origin: Point, drift_rad: float, rng: np.random.Generator) -> list[Ribbon]:
    """Class 6: a wandering, broken trunk with up to seven side branches."""
    film = FILMS[6]
    trunk = _headings(_length(film, rng), drift_rad, rng, jitter_deg=22)
    rows, cols = _walked(origin, trunk)
    ribbons = [_ribbon(origin, trunk, film, rng)]
    for _ in range(int(rng.integers(0, 8))):
        at = int(rng.integers(len(trunk)))
        side = trunk[at] + rng.choice((-1, 1)) * np.deg2rad(rng.uniform(25, 70))
        branch = _headings(0.35 * _length(film, rng), side, rng, jitter_deg=22)
        ribbons.append(_ribbon((float(rows[at]), float(cols[at])), branch, film, rng))
    return ribbons


def spots(origin: Point, drift_rad: float, rng: np.random.Generator) -> list[Ribbon]:
    """Class 7: one to six small spots around the origin, longer along the drift."""
    del drift_rad  # the spots lie in no order
    return _spots(origin, int(rng.choice((1, 1, 2, 2, 3, 6))), FILMS[7], rng)


RECIPES: dict[int, Recipe] = {
    1: family,
    2: single(2),
    3: single(3),
    # Choice: 6 px, so that the bright target at the origin does not cover the film.
    4: single(4, gap_px=6),
    5: angular_trail,
    6: branching,
    7: spots,
}


def _spots(around: Point, n_spots: int, film: Film, rng: np.random.Generator) -> list[Ribbon]:
    """Short blunt ribbons within about 40 px, each with its own direction."""
    ribbons = []
    for _ in range(n_spots):
        start = (around[0] + rng.normal(0, 20), around[1] + rng.normal(0, 20))
        headings = _headings(_length(FILMS[7], rng), rng.uniform(0, 2 * np.pi), rng, jitter_deg=10)
        ribbons.append(_ribbon(start, headings, film, rng, blunt=True))
    return ribbons


def _length(film: Film, rng: np.random.Generator) -> float:
    """Log-normal length in px, at most eight times the median."""
    return film.length_px * float(np.exp(min(film.length_spread * rng.standard_normal(), np.log(8))))


def _n_points(length_px: float) -> int:
    """Number of points along a length, two at least."""
    return max(2, int(length_px / POINT_STEP_PX))


def _headings(length_px: float, start_rad: float, rng: np.random.Generator, *, jitter_deg: float) -> Line:
    """(n,) headings in rad: a slow turn of the drift plus a wobble over some 10 px.

    Choice: the drift turns by about 45 deg over 150 px, which bends ribbons as in the reference tiles.
    """
    n = _n_points(length_px)
    turn = smooth_noise((n,), 150 / POINT_STEP_PX, rng)
    wobble = smooth_noise((n,), 9 / POINT_STEP_PX, rng)
    return start_rad + np.deg2rad(45) * (turn - turn[0]) + np.deg2rad(jitter_deg) * wobble


def _walked(start: Point, headings: Line) -> tuple[Line, Line]:
    """Rows and columns, (n,) each, of a walk with these headings (0 = along the columns)."""
    rows = start[0] + POINT_STEP_PX * np.cumsum(np.sin(headings))
    return rows, start[1] + POINT_STEP_PX * np.cumsum(np.cos(headings))


def _displaced(point: Point, heading_rad: float, *, along: float, across: float) -> Point:
    """The point moved along a heading and to its side."""
    sin, cos = float(np.sin(heading_rad)), float(np.cos(heading_rad))
    return point[0] + along * sin + across * cos, point[1] + along * cos - across * sin


def _ribbon(start: Point, headings: Line, film: Film, rng: np.random.Generator, *, blunt: bool = False) -> Ribbon:
    """A film along a walk: it widens from the origin, breaks into beads and, unless `blunt`, fades at its end."""
    n = len(headings)
    rows, cols = _walked(start, headings)
    share = np.linspace(0, 1, n)
    narrow, wide = film.width_px
    scale = rng.lognormal(0, 0.2)
    grow = np.ones(n) if blunt else np.minimum(1, share / 0.4)
    width = scale * (narrow + (wide - narrow) * grow) * np.exp(0.25 * smooth_noise((n,), 7, rng))
    fade = np.ones(n) if blunt else np.minimum(1, (1 - share) / 0.35)
    strength = np.clip((0.95 + film.beads * smooth_noise((n,), 14, rng)) * fade, 0, 1)
    damping = film.damping_db * float(np.exp(film.damping_spread * rng.standard_normal()))
    return Ribbon(rows, cols, np.maximum(width, 1.0), strength, damping)
