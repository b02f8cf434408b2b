"""One simulated scene: its parameters, drawn once and written to JSON, and the image and mask they lead to."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seep_monai.classes import SEEP_LABELS
from seep_monai.simulate import artefacts, coding, sea
from seep_monai.simulate.shapes import RECIPES
from seep_monai.simulate.slicks import SlickCanvas

logger = logging.getLogger(__name__)

TILE_PX = 256
# Choice: 8 x 8 tiles (2048 px) hold several whole families and are drawn at once in about 200 MB.
N_TILE_ROWS = N_TILE_COLS = 8
# Share of the tiles with seep that hold each class. Source: counts over the 790 tiles of the public seep tile set
# (478, 161, 76, 66, 125, 200 and 51 tiles for the classes 1..7).
CLASS_TILE_SHARES = {1: 0.605, 2: 0.204, 3: 0.096, 4: 0.084, 5: 0.158, 6: 0.253, 7: 0.065}
# Choice: 42 of 64 tiles; independent places of all classes then leave about a third of the tiles without seep.
N_SEEP_TILES = 42
# Choice: no ribbon recipe needs more tries than this to reach its tiles; a bound keeps odd parameters from looping.
_MAX_TRIES = 200


@dataclass(frozen=True)
class SceneParameters:
    """Everything that decides a scene; `simulate_scene` adds no other choice.

    Attributes:
        name: six digits, the first part of the tiles' names.
        seed: seed of the scene's own generator.
        n_tile_rows, n_tile_cols: size of the scene in tiles of 256 px.
        wind_m_s, wind_spread: median wind and standard deviation of its logarithm over the scene.
        wind_deg, phi_deg: direction of wind streaks from the column axis; angle between wind and radar look.
        incidence_deg: at the first and the last column; far to near, so that the image brightens with the column.
        nesz_db, nesz_ripple_db: noise floor, median and crest-to-dip.
        looks, speckle_correlation: equivalent looks in intensity; lag-1 correlation across.
        swell: relative deviation of intensity, wave length in px, direction in deg.
        streak_deviation: relative deviation of intensity of the wind streaks.
        patches: relative deviation of intensity and correlation length in px of the patchiness.
        drift_deg: mean direction of the surface drift from the column axis.
        class_tiles: tiles that hold each class 1..7, before films hide one another.
        n_targets, n_wakes, n_low_wind, n_rain, n_internal_waves: artefacts in the scene.
        edges: borders of the swath, see `artefacts.swath`.
        border_noise_px: width of the border noise strip, 0 for none.
        clip_medians, n_levels: coding, see `coding.coded`.
    """

    name: str
    seed: int
    n_tile_rows: int
    n_tile_cols: int
    wind_m_s: float
    wind_spread: float
    wind_deg: float
    phi_deg: float
    incidence_deg: tuple[float, float]
    nesz_db: float
    nesz_ripple_db: float
    looks: float
    speckle_correlation: float
    swell: tuple[float, float, float]
    streak_deviation: float
    patches: tuple[float, float]
    drift_deg: float
    class_tiles: tuple[int, ...]
    n_targets: int
    n_wakes: int
    n_low_wind: int
    n_rain: int
    n_internal_waves: int
    edges: tuple[tuple[str, float, float], ...]
    border_noise_px: int
    clip_medians: float
    n_levels: int

    @property
    def shape(self) -> tuple[int, int]:
        """Size of the scene in px, (row, col)."""
        return self.n_tile_rows * TILE_PX, self.n_tile_cols * TILE_PX


def draw_parameters(name: str, rng: np.random.Generator) -> SceneParameters:
    """Parameters of one scene, drawn from the ranges met in real scenes.

    Choice: the ranges keep films visible (wind of 4 to 9 m/s) and the statistics of the tiles near the reference tiles.
    """
    return SceneParameters(
        name=name,
        seed=int(rng.integers(2**63)),
        n_tile_rows=N_TILE_ROWS,
        n_tile_cols=N_TILE_COLS,
        wind_m_s=_uniform(rng, 4, 9),
        wind_spread=_uniform(rng, 0.03, 0.18),
        wind_deg=_uniform(rng, 0, 180),
        phi_deg=_uniform(rng, 0, 180),
        incidence_deg=(_uniform(rng, 43.5, 46), _uniform(rng, 30.9, 33)),
        nesz_db=_uniform(rng, -28.0, -25.8),
        nesz_ripple_db=_uniform(rng, 0.5, 2.0),
        looks=_uniform(rng, 8.0, 9.8),
        speckle_correlation=_uniform(rng, 0.04, 0.14),
        swell=(_uniform(rng, 0.06, 0.22), _uniform(rng, 4.0, 8.0), _uniform(rng, 0, 180)),
        streak_deviation=_uniform(rng, 0.02, 0.10),
        patches=(_uniform(rng, 0.03, 0.14), _uniform(rng, 6, 25)),
        drift_deg=_uniform(rng, 0, 360),
        class_tiles=tuple(_rounded(N_SEEP_TILES * CLASS_TILE_SHARES[k], rng) for k in SEEP_LABELS),
        n_targets=int(rng.poisson(5)),
        n_wakes=int(rng.poisson(1.0)),
        n_low_wind=int(rng.poisson(2.0)),
        n_rain=int(rng.poisson(0.7)),
        n_internal_waves=int(rng.poisson(0.7)),
        edges=_draw_edges(rng),
        border_noise_px=int(rng.choice((0, 0, 2, 3))),
        clip_medians=_uniform(rng, 2.1, 2.5),
        n_levels=int(rng.integers(155, 220)),
    )


def simulate_scene(parameters: SceneParameters) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Image and mask of a scene.

    The films damp the sea, the noise floor is added, and the sum is speckled: sigma = (sea * damping + nesz) * speckle.

    Returns:
        image: (row, col) uint16, DN 0 outside the swath.
        mask: (row, col) uint8, 0 or the class 1..7 where a film of that class damps the sea.
    """
    p = parameters
    # One stream per subject, so that a change to one of them leaves the others as they were.
    sea_rng, film_rng, artefact_rng, speckle_rng = np.random.default_rng(p.seed).spawn(4)
    valid = artefacts.swath(p.shape, p.edges)
    targets = _positions(p.n_targets, p.shape, artefact_rng)
    canvas, sources = _draw_films(p, valid, film_rng)
    gain_db = _artefact_gain_db(p, targets, artefact_rng) - canvas.damping_db
    intensity = _sea_level(p, sea_rng)
    intensity *= sea.from_db(gain_db)
    intensity += sea.noise_floor(p.shape[1], median_db=p.nesz_db, ripple_db=p.nesz_ripple_db)
    for position in targets + sources:
        artefacts.add_target(intensity, position, artefact_rng)
    intensity *= sea.speckle(p.shape, p.looks, speckle_rng, correlation=p.speckle_correlation)
    image = coding.coded(intensity, valid, clip_medians=p.clip_medians, n_levels=p.n_levels)
    return coding.with_border_noise(image, valid, artefact_rng, width_px=p.border_noise_px), canvas.label


def _sea_level(p: SceneParameters, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Undisturbed sigma0 with its texture, (row, col), linear."""
    coarse = tuple(size // sea.COARSE_PX + 1 for size in p.shape)
    wind = sea.wind_field((coarse[0], coarse[1]), rng, mean_m_s=p.wind_m_s, spread=p.wind_spread)
    incidence = np.linspace(*p.incidence_deg, coarse[1])
    level = sea.upsampled(sea.cmod5n(wind, p.phi_deg, incidence), p.shape)
    streaks = (p.streak_deviation, p.wind_deg)
    pattern = sea.texture(p.shape, rng, swell=p.swell, streaks=streaks, patches=p.patches)
    return np.asarray(level * pattern, np.float32)


def _draw_films(
    p: SceneParameters, valid: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[SlickCanvas, list[tuple[float, float]]]:
    """The canvas with the slicks of all classes, and the places of the bright targets at the origins of class 4."""
    canvas, sources = SlickCanvas(valid), []
    for label, n_tiles in zip(SEEP_LABELS, p.class_tiles, strict=True):
        for _ in range(_MAX_TRIES):
            if canvas.tiles_with(label, TILE_PX).sum() >= n_tiles:
                break
            origin = _positions(1, p.shape, rng)[0]
            drift = np.deg2rad(p.drift_deg + rng.normal(0, 25))
            for ribbon in RECIPES[label](origin, drift, rng):
                canvas.add(ribbon, label)
            if label == 4:
                sources.append(origin)
        else:
            logger.warning("scene %s: class %d did not reach %d tiles in %d tries", p.name, label, n_tiles, _MAX_TRIES)
    return canvas, sources


def _artefact_gain_db(
    p: SceneParameters, targets: list[tuple[float, float]], rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Gain of all look-alikes, (row, col), dB."""
    gain_db = np.zeros(p.shape, np.float32)
    for draw, count in (
        (artefacts.add_low_wind_patch, p.n_low_wind),
        (artefacts.add_rain_cell, p.n_rain),
        (artefacts.add_internal_waves, p.n_internal_waves),
    ):
        for centre in _positions(count, p.shape, rng):
            draw(gain_db, centre, rng)
    for ship in targets[: p.n_wakes]:
        artefacts.add_wake(gain_db, ship, rng)
    return gain_db


def _positions(count: int, shape: tuple[int, int], rng: np.random.Generator) -> list[tuple[float, float]]:
    """`count` places, uniform over the scene, (row, col) in px."""
    return [(_uniform(rng, 0, shape[0] - 1), _uniform(rng, 0, shape[1] - 1)) for _ in range(count)]


def _draw_edges(rng: np.random.Generator) -> tuple[tuple[str, float, float], ...]:
    """One slanted border of the swath.

    Choice: slopes of .2 to .3 as in the reference tiles; with these offsets about 11 % of the tiles are cut.
    """
    side = str(rng.choice(("top", "bottom", "left", "right")))
    return ((side, _uniform(rng, 0, 300), float(rng.choice((-1, 1))) * _uniform(rng, 0.2, 0.3)),)


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform Python float: NumPy scalars do not go to JSON."""
    return float(rng.uniform(low, high))


def _rounded(expected: float, rng: np.random.Generator) -> int:
    """A whole number with this expectation: rounded down, or up with the probability of the rest."""
    return int(np.floor(expected + rng.random()))
