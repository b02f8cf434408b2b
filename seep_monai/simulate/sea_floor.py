"""The sea floor of an archive: vents and platforms that stay, and the slicks that one pass sees of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from seep_monai.simulate.parameters import SceneParameters
from seep_monai.simulate.scene import Scene, plan_scene
from seep_monai.simulate.settings import PIXEL_SIZE_M, TILE_PX, SceneSettings
from seep_monai.simulate.shapes import draw_slick
from seep_monai.simulate.slicks import CORE_SHARE, Slick
from seep_monai.simulate.targets import draw_targets

Point = tuple[float, float]
Kind = Literal["vent", "platform"]
# True for positions, rows (n,) and columns (n,) in px, that are inside something.
Contains = Callable[[npt.NDArray[np.floating], npt.NDArray[np.floating]], npt.NDArray[np.bool_]]

PLATFORM_LABEL, SHIP_LABEL = 4, 5
VENT_LABELS = (1, 2, 3, 6, 7)
# Active slicks per tile and per share of tiles with seep. Choice: measured, so that the tiles with seep of a pass are
# about the share that the settings ask for.
_SLICKS_PER_SEEP_TILE = 0.7
# Rates of recurrence follow a beta distribution. Choice: a mean of a quarter, and half of the vents above a fifth.
_RATE_BETA = (1.0, 3.0)
# Vents lie around centres, about one for 52 tiles, as in single scenes.
_TILES_PER_CENTRE, _CENTRE_SPREAD_PX = 52, 330.0
# Choice: 5 km; nearer vents feed one family of slicks. As far apart as possible where there is no room.
_LEAST_DISTANCE_PX = 5000.0 / PIXEL_SIZE_M
_N_TRIALS = 64
_DEPTHS_M = (300.0, 2000.0)
# Choice: bubbles with an oily skin rise at some 12 cm/s, through water that moves by some 6 cm/s on average over depth.
# At 1500 m the slick then begins about 1 km from the vent.
_RISE_M_S, _CURRENT_M_S = 0.12, 0.06
# Standard deviation of the drift direction between the slicks of one pass.
_DRIFT_SPREAD_RAD = 0.44
# Random stream of the slicks of a pass; `scene` uses 0 to 4.
_SLICKS = 5


@dataclass(frozen=True)
class Source:
    """A place on the sea floor that releases oil again and again.

    Attributes:
        kind: natural vent, or platform, which has a bright target on every pass.
        row, col: position in px of the whole archive.
        label: class of its slicks.
        rate: share of the passes on which it is active, 0 to 1.
        depth_m: depth of the water; the slick of a vent begins where the current has taken the oil.
    """

    kind: Kind
    row: float
    col: float
    label: int
    rate: float
    depth_m: float

    @property
    def place(self) -> Point:
        """(row, col)."""
        return self.row, self.col


@dataclass(frozen=True)
class Ground:
    """Where vents and platforms may lie.

    Attributes:
        shape: (row, col) of the whole archive in px.
        contains: True for positions (n,), (n,) inside a frame.
    """

    shape: tuple[int, int]
    contains: Contains

    def anywhere(self, rng: np.random.Generator) -> Point:
        """A uniform random position."""
        return self._first_inside(lambda: rng.uniform((0, 0), self.shape))

    def near(self, centre: Point, spread_px: float, *, rng: np.random.Generator) -> Point:
        """A normal random position around a centre."""
        return self._first_inside(lambda: rng.normal(centre, spread_px))

    def _first_inside(self, draw: Callable[[], npt.NDArray[np.float64]]) -> Point:
        while True:
            row, col = map(float, draw())
            if self.contains(np.array([row]), np.array([col]))[0]:
                return row, col


@dataclass(frozen=True)
class Pass:
    """What one pass sees.

    Attributes:
        scene: all frames of the archive as one scene.
        active: index of each source that is active, ascending.
        slicks: their slicks, in the same order. The scene holds those of ships as well.
    """

    scene: Scene
    active: tuple[int, ...]
    slicks: tuple[Slick, ...]

    def is_seen(self, slick: Slick, contains: Contains) -> bool:
        """Whether some of a slick darkens the sea enough to be drawn, at places (n,) for which `contains` is True."""
        for ribbon in slick.ribbons:
            core = ribbon.strength >= CORE_SHARE
            rows, cols = np.asarray(ribbon.rows)[core], np.asarray(ribbon.cols)[core]
            shown_db = ribbon.damping_db * ribbon.strength[core] * self.scene.shown_at(rows, cols)
            if (contains(rows, cols) & (shown_db > self.scene.parameters.least_contrast_db)).any():
                return True
        return False


def draw_sea_floor(
    ground: Ground, settings: SceneSettings, n_tiles: float, rng: np.random.Generator
) -> tuple[Source, ...]:
    """Draw the vents and platforms of an archive.

    Args:
        ground: where they may lie.
        settings: of scenes; `seep_share` and `class_frequencies` give numbers and classes.
        n_tiles: area of the ground in tiles.
        rng: source of randomness.
    """
    centres = [ground.anywhere(rng) for _ in range(max(1, round(n_tiles / _TILES_PER_CENTRE)))]
    places: list[Point] = []
    sources = []
    for label in _labels(VENT_LABELS, settings, n_tiles, rng):
        near = partial(ground.near, centres[int(rng.integers(len(centres)))], rng=rng)
        places.append(_apart(places, near))
        depth_m = float(np.exp(rng.uniform(*np.log(_DEPTHS_M))))
        sources.append(Source("vent", *places[-1], label, float(rng.beta(*_RATE_BETA)), depth_m))
    for label in _labels((PLATFORM_LABEL,), settings, n_tiles, rng):
        places.append(_apart(places, lambda _: ground.anywhere(rng)))
        sources.append(Source("platform", *places[-1], label, float(rng.beta(*_RATE_BETA)), 0.0))
    return tuple(sources)


def plan_pass(parameters: SceneParameters, sources: Sequence[Source], settings: SceneSettings) -> Pass:
    """The pass that the parameters and their seed determine; look-alikes, ships and weather are its own.

    Args:
        parameters: of the pass over the whole archive; those without wanted tiles of any class.
        sources: vents and platforms.
        settings: as for `draw_sea_floor`; they give the number of slicks from ships.
    """
    p = parameters
    rng = np.random.default_rng(np.random.SeedSequence(p.seed, spawn_key=(_SLICKS,)))
    active = tuple(np.flatnonzero(rng.random(len(sources)) < [source.rate for source in sources]).tolist())
    # Metres that oil drifts for a metre of depth.
    current = float(rng.rayleigh(_CURRENT_M_S)) / _RISE_M_S
    slicks = tuple(_slick(sources[i].label, _surfaced(sources[i], current, p), p, rng) for i in active)
    n_ships = rng.poisson(_n_slicks((SHIP_LABEL,), settings, math.prod(size / TILE_PX for size in p.size_px)))
    places = rng.uniform((0, 0), p.size_px, (n_ships, 2))
    ships = tuple(_slick(SHIP_LABEL, (float(row), float(col)), p, rng) for row, col in places)
    platforms = [source.place for source in sources if source.kind == "platform"]
    rigs = draw_targets(0, p.size_px, rng, at=platforms, tilt_deg=p.tilt_deg)
    sea = plan_scene(p)
    return Pass(replace(sea, slicks=(*slicks, *ships), targets=(*sea.targets, *rigs)), active, slicks)


def _slick(label: int, origin: Point, p: SceneParameters, rng: np.random.Generator) -> Slick:
    drift = math.radians(p.drift_deg) + _DRIFT_SPREAD_RAD * float(rng.standard_normal())
    return draw_slick(label, origin, drift, rng, pool_share=p.pool_share).scaled(p.film_scale)


def _surfaced(source: Source, current: float, p: SceneParameters) -> Point:
    """Where oil from a source reaches the surface."""
    drift_px, drift_rad = current * source.depth_m / PIXEL_SIZE_M, math.radians(p.drift_deg)
    return source.row + drift_px * math.sin(drift_rad), source.col + drift_px * math.cos(drift_rad)


def _n_slicks(labels: Sequence[int], settings: SceneSettings, n_tiles: float) -> float:
    """Mean number of slicks of these classes on one pass."""
    share = sum(settings.class_frequencies[label - 1] for label in labels)
    return n_tiles * settings.seep_share * _SLICKS_PER_SEEP_TILE * share


def _labels(labels: Sequence[int], settings: SceneSettings, n_tiles: float, rng: np.random.Generator) -> list[int]:
    """The class of each source: as many as give the wanted number of slicks at the mean rate."""
    weights = np.array([settings.class_frequencies[label - 1] for label in labels])
    count = round(_n_slicks(labels, settings, n_tiles) * sum(_RATE_BETA) / _RATE_BETA[0])
    return [] if count == 0 else rng.choice(labels, count, p=weights / weights.sum()).tolist()


def _apart(others: Sequence[Point], draw: Callable[[float], Point]) -> Point:
    """A place that is far enough from the others, or the farthest of many; `draw` takes the spread, which grows."""
    best, most = (0.0, 0.0), -1.0
    for trial in range(_N_TRIALS):
        place = draw(_CENTRE_SPREAD_PX * (1 + trial / 8))
        distance = min((math.dist(place, other) for other in others), default=math.inf)
        if distance > most:
            best, most = place, distance
        if most >= _LEAST_DISTANCE_PX:
            break
    return best
