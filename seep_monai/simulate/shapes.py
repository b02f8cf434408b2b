"""Recipes of the seven seep classes: ribbons from an origin and the surface drift.

The meaning of the classes is not published; each recipe imitates the shapes of one class in the reference tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from seep_monai.simulate.slicks import Ribbon, Slick
from seep_monai.simulate.walks import (
    Film,
    Point,
    comb,
    displaced,
    drawn_length,
    headings,
    hooked,
    joined,
    ribbon_along,
    walked,
)

Recipe = Callable[[Point, float, np.random.Generator], list[Ribbon]]

# Class with pools, and the share of pools among its slicks. Choice: as in the reference tiles.
POOL_LABEL, POOL_SHARE = 5, 0.19
# Share of dashed trails among its other slicks; the rest are ribbons with teeth.
_DASHED_SHARE = 0.72
# Class that starts at a ship or a platform.
TARGET_LABEL = 4
# Choice: calibrated to the shapes per class in the reference tiles; `damping_db` and `damping_spread` to their
# inside/ring ratios.
FILMS = {
    1: Film(2.35, 0.30, 250.0, 0.60, 4.0, 0.42, ragged=0.30, beads=0.22, barbs_per_100_px=1.2),
    2: Film(2.1, 0.30, 80.0, 0.80, 3.4, 0.45, ragged=0.32, wander_deg=14.0, beads=0.2, barbs_per_100_px=2.0),
    3: Film(1.76, 0.35, 58.0, 0.75, 3.8, 0.45, ragged=0.30, wander_deg=14.0, beads=0.15, barbs_per_100_px=1.5),
    4: Film(3.05, 0.30, 150.0, 0.55, 4.6, 0.50, ragged=0.42, wander_deg=22.0, beads=0.15, barbs_per_100_px=2.5),
    5: Film(3.3, 0.30, 15.0, 0.85, 4.3, 0.50, ragged=0.40, beads=0.1, barbs_per_100_px=5.0),
    6: Film(2.95, 0.30, 150.0, 0.65, 3.7, 0.45, ragged=0.40, wander_deg=20.0, beads=0.25, barbs_per_100_px=3.0),
    7: Film(2.55, 0.25, 10.5, 0.90, 2.5, 0.40, ragged=0.40, wander_deg=25.0, beads=0.0, barbs_per_100_px=5.0),
}
# Shares of families of one, two, three ... parallel ribbons. Choice: a third of the seeps of class 1 are single, and
# most of classes 2 and 3.
_FAMILY_SHARES = {
    1: (0.34, 0.28, 0.18, 0.11, 0.06, 0.03),
    2: (0.75, 0.17, 0.08),
    3: (0.80, 0.15, 0.05),
}
# Choice: 6 px, so that the bright target at the origin does not cover the film.
_TARGET_GAP_PX = 6.0
# Choice: 3 to 9 dB; fresh mineral oil damps by 4 to 12 dB, of which the noise floor leaves 2 to 6 dB in the image.
_POOL_DB = (3.0, 9.0)
# Choice: 3 to 16 px; edges of pools and of low-wind areas in the reference tiles are 4 to 14 px wide.
_POOL_EDGE_PX = (3.0, 16.0)
# Choice: one thick film in four has a bright windward rim.
_RIM_SHARE = 0.25
_RIM_MIN_WIDTH_PX = 4.0


def draw_slick(
    label: int, origin: Point, drift_rad: float, rng: np.random.Generator, *, pool_share: float = POOL_SHARE
) -> Slick:
    """Draw a slick of one class.

    Args:
        label: 1..7.
        origin: (row, col) of the seep, scene coordinates in px.
        drift_rad: direction of the surface drift, from the column axis towards the rows.
        rng: source of randomness; the same state gives exactly the same slick.
        pool_share: share of the slicks of class 5 that are pools.
    """
    if label == POOL_LABEL:
        ribbons = dark_trail(origin, drift_rad, rng, pool_share=pool_share)
    else:
        ribbons = RECIPES[label](origin, drift_rad, rng)
    return Slick(label, origin, drift_rad, tuple(ribbons), target=label == TARGET_LABEL)


def family(label: int) -> Recipe:
    """Classes 1, 2 and 3: parallel ribbons with common bends, some 10 to 60 px apart."""

    def draw(origin: Point, drift_rad: float, rng: np.random.Generator) -> list[Ribbon]:
        film, shares = FILMS[label], _FAMILY_SHARES[label]
        n_members = int(rng.choice(len(shares), p=shares)) + 1
        length = drawn_length(film, rng)
        common = headings(1.6 * length, drift_rad, rng, wander_deg=film.wander_deg)
        offsets = np.cumsum(rng.lognormal(np.log(22), 0.6, n_members))
        ribbons = []
        for across in offsets - offsets.mean():
            start = displaced(origin, drift_rad, along=rng.normal(0, 30), across=float(across))
            n = max(2, int(len(common) * rng.uniform(0.15, 1.0)))
            own = np.linspace(0, 1, n) * rng.normal(0, 0.08) + rng.normal(0, 0.04)
            ribbons.append(ribbon_along(start, hooked(common[:n] + own, rng), film, rng))
        if label > 1:
            return ribbons
        # Choice: 0.9 short pieces per family, because many tiles have some beside the long ribbons.
        stray = replace(film, length_px=35.0, length_spread=0.5)
        ribbons.extend(_scattered(origin, int(rng.poisson(0.9)), (stray, 0.4 * length), rng))
        return _rimmed(ribbons, drift_rad, rng)

    return draw


def from_target(origin: Point, drift_rad: float, rng: np.random.Generator) -> list[Ribbon]:
    """Class 4: a ribbon from a bright target or, less often, an irregular pool beside it."""
    film, start = FILMS[4], displaced(origin, drift_rad, along=_TARGET_GAP_PX, across=0)
    if rng.random() < 0.12:
        return _rimmed([_pool(start, drift_rad, film, rng)], drift_rad, rng)
    along = headings(drawn_length(film, rng), drift_rad, rng, wander_deg=film.wander_deg)
    return _rimmed([ribbon_along(start, hooked(along, rng), film, rng)], drift_rad, rng)


def dark_trail(
    origin: Point, drift_rad: float, rng: np.random.Generator, *, pool_share: float = POOL_SHARE
) -> list[Ribbon]:
    """Class 5: a dashed, angular trail, a ribbon with teeth on one side, or a large irregular pool."""
    film, kind = FILMS[5], rng.random()
    if kind < _DASHED_SHARE * (1 - pool_share):
        return _dashes(origin, drift_rad, film, rng)
    if kind < 1 - pool_share:
        broad = replace(film, length_px=110.0, length_spread=0.6, width_px=5.0)
        along = headings(drawn_length(broad, rng), drift_rad, rng, wander_deg=14)
        side = drift_rad + rng.choice((-1, 1)) * np.deg2rad(rng.uniform(40, 110))
        ribbons = [comb(ribbon_along(origin, along, broad, rng), float(side), rng.uniform(8, 40), rng)]
    else:
        ribbons = [_pool(origin, drift_rad, film, rng)]
    ribbons.extend(_scattered(origin, int(rng.integers(0, 4)), (film, 20.0), rng))
    return _rimmed(ribbons, drift_rad, rng)


def broken_film(origin: Point, drift_rad: float, rng: np.random.Generator) -> list[Ribbon]:
    """Class 6: a chain of fragments, a single ribbon, or a branching, broken network."""
    film, kind = FILMS[6], rng.random()
    if kind < 0.45:
        return _dashes(origin, drift_rad, replace(film, length_px=15.0, barbs_per_100_px=6.0), rng)
    trunk = headings(drawn_length(film, rng), drift_rad, rng, wander_deg=film.wander_deg)
    ribbons = [ribbon_along(origin, trunk, film, rng)]
    if kind < 0.75:
        return ribbons
    rows, cols = walked(origin, trunk)
    for _ in range(int(rng.integers(2, 8))):
        at = int(rng.integers(len(trunk)))
        side = trunk[at] + rng.choice((-1, 1)) * np.deg2rad(rng.uniform(25, 70))
        branch = headings(0.35 * drawn_length(film, rng), side, rng, wander_deg=2 * film.wander_deg)
        ribbons.append(ribbon_along((float(rows[at]), float(cols[at])), branch, film, rng))
    return ribbons


def spots(origin: Point, drift_rad: float, rng: np.random.Generator) -> list[Ribbon]:
    """Class 7: one to four small spots scattered around the origin."""
    del drift_rad
    return _scattered(origin, int(rng.choice((1, 1, 1, 2, 2, 4))), (FILMS[7], 20.0), rng)


RECIPES: dict[int, Recipe] = {
    1: family(1),
    2: family(2),
    3: family(3),
    4: from_target,
    5: dark_trail,
    6: broken_film,
    7: spots,
}


def _dashes(origin: Point, drift_rad: float, film: Film, rng: np.random.Generator) -> list[Ribbon]:
    """Straight pieces along a trail with sharp bends, separated by gaps."""
    point, heading, ribbons = origin, drift_rad, []
    for _ in range(1 + int(rng.geometric(0.26))):
        if rng.random() < 0.3:
            heading += rng.choice((-1, 1)) * np.deg2rad(rng.uniform(20, 90))
        length = drawn_length(film, rng)
        along = headings(length, heading + rng.normal(0, 0.25), rng, wander_deg=14)
        ribbons.append(ribbon_along(point, along, film, rng, blunt=True))
        point = displaced(point, heading, along=length + rng.lognormal(np.log(8), 0.7), across=rng.normal(0, 3))
    return ribbons


def _pool(origin: Point, drift_rad: float, film: Film, rng: np.random.Generator) -> Ribbon:
    """A broad, solid, dark film of parallel strands of unequal lengths that start on one line across the drift.

    Choice: up to 300 px broad, with the damping of `_POOL_DB`, because thick oil is darker than ribbons of its class.
    The pools of the reference tiles have 0.57 to 0.80 of the DN of the sea around them, and 36 % of the pixels of class
    5 lie in pieces of more than 4,000 px.
    """
    breadth, length = min(300.0, rng.lognormal(np.log(45), 1.1)), rng.lognormal(np.log(42), 0.8)
    edge_px = float(np.exp(rng.uniform(*np.log(_POOL_EDGE_PX))))
    # A disc that is not wider than its edge never reaches full strength.
    width_px = max(8.0, edge_px + 2)
    strand = replace(film, width_px=width_px, width_spread=0.2, ragged=0.3, beads=0.0, barbs_per_100_px=4.0)
    common = headings(4 * length, drift_rad + rng.normal(0, 0.5), rng, wander_deg=14)
    shear, across = rng.normal(0, 0.7), -breadth / 2
    strands: list[Ribbon] = []
    while across < breadth / 2 or not strands:
        start = displaced(origin, drift_rad, along=shear * across + rng.normal(0, 3), across=across)
        # Choice: shortest at the sides, where the pool thins out.
        share = rng.lognormal(0, 0.4) * (1.1 - (2 * across / breadth) ** 2)
        n = int(np.clip(len(common) * share / 4, 20, max(20, len(common))))
        strands.append(ribbon_along(start, common[:n] + rng.normal(0, 0.08), strand, rng))
        across += rng.uniform(3, 6)
    return replace(joined(strands), damping_db=float(rng.uniform(*_POOL_DB)), edge_px=edge_px)


def _scattered(around: Point, n_pieces: int, kind: tuple[Film, float], rng: np.random.Generator) -> list[Ribbon]:
    """Short pieces in random directions; `kind` is their film and the standard deviation of their position in px."""
    film, spread_px = kind
    ribbons = []
    for _ in range(n_pieces):
        start = (around[0] + rng.normal(0, spread_px), around[1] + rng.normal(0, spread_px))
        along = headings(drawn_length(film, rng), rng.uniform(0, 2 * np.pi), rng, wander_deg=film.wander_deg)
        ribbons.append(ribbon_along(start, along, film, rng, blunt=True))
    return ribbons


def _rimmed(ribbons: list[Ribbon], drift_rad: float, rng: np.random.Generator) -> list[Ribbon]:
    """The ribbons; some thick ones get a rim of 1 to 2 dB on the windward side."""
    wind = drift_rad + rng.normal(0, 0.8)
    chosen = rng.random(len(ribbons)) < _RIM_SHARE
    levels_db = rng.uniform(1, 2, len(ribbons))
    return [
        replace(ribbon, rim_db=float(level), wind_rad=float(wind))
        if thick and float(np.median(ribbon.width_px)) >= _RIM_MIN_WIDTH_PX
        else ribbon
        for ribbon, thick, level in zip(ribbons, chosen, levels_db, strict=True)
    ]
