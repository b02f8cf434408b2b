"""Parameters of a scene, drawn from the ranges met in the reference scenes."""

from __future__ import annotations

import math

import numpy as np

from seep_monai.simulate.parameters import CLASSES_PER_TILE, TILE_PX, SceneParameters, SceneSettings
from seep_monai.simulate.sea import background_deviation
from seep_monai.simulate.swath import draw_edges

# Choice: some ten tiles with natural seeps around each place where they gather, and rarer places of the other kind.
_TILES_PER_SITE = (52, 104)
# Look-alikes and bright targets per tile of a scene. Source: counted on mosaics of the reference tiles.
_LOOKALIKES_PER_TILE = {
    "low_wind": 0.05,
    "rain": 0.006,
    "internal_waves": 0.04,
    "wake": 0.005,
    "wind_front": 0.04,
    "biogenic_film": 0.005,
}
_TARGETS_PER_TILE = 0.35
# Choice: classes come and go between scenes about as in the reference (gamma of this order).
_CLASS_ORDER = 4.0


def draw_parameters(name: str, rng: np.random.Generator, settings: SceneSettings | None = None) -> SceneParameters:
    """Parameters of one scene.

    Choice: all ranges come from the reference tiles, see `scripts/compare_with_real.py`; the wind keeps films visible.
    """
    chosen = settings or SceneSettings()
    n_tiles = math.prod(size / TILE_PX for size in chosen.size_px)
    side = float(rng.choice((-1, 1)))
    tilt = side * _uniform(rng, 11.5, 14.5)
    looks = _uniform(rng, *chosen.looks)
    return SceneParameters(
        name=name,
        seed=int(rng.integers(2**63)),
        size_px=chosen.size_px,
        wind_m_s=_uniform(rng, *chosen.wind_m_s),
        wind_spread=_log_normal(rng, 0.13, 0.45, (0.06, 0.25)),
        wind_skew=_uniform(rng, 0.05, 0.4),
        phi_deg=_uniform(rng, 0, 180),
        tilt_deg=tilt,
        incidence_deg=(_uniform(rng, 46.5, 48), _uniform(rng, 28.5, 29.5)),
        nesz_db=_uniform(rng, -29.0, -26.0),
        nesz_ripple_db=_uniform(rng, 2.0, 5.0),
        looks=looks,
        # Source: in the reference scenes speckle and grain have about equal parts of the variance.
        grain=0.95 / math.sqrt(looks),
        speckle_correlation=(_uniform(rng, 0.02, 0.10), 0.0),
        swell=_draw_swell(rng, tilt, side),
        background=_draw_background(rng, side),
        roughness_spread=_uniform(rng, 0.18, 0.45),
        drift_deg=_uniform(rng, 0, 360),
        film_scale=chosen.film_scale,
        damping_scale=1.0,
        class_tiles=_draw_class_tiles(rng, n_tiles, chosen),
        n_sites=(max(1, round(n_tiles / _TILES_PER_SITE[0])), max(1, round(n_tiles / _TILES_PER_SITE[1]))),
        lookalikes={kind: int(rng.poisson(n_tiles * share)) for kind, share in _LOOKALIKES_PER_TILE.items()},
        n_targets=int(rng.poisson(n_tiles * _TARGETS_PER_TILE)),
        edges=draw_edges(chosen.size_px, rng, tilt_deg=tilt),
        border_noise_px=float(rng.choice((0, 1, 1.5, 2))),
        clip_medians=_log_normal(rng, 2.42, 0.08, (2.1, 2.9)),
        n_levels=_log_normal(rng, 190, 0.14, (150, 285)),
    )


def _draw_swell(rng: np.random.Generator, tilt_deg: float, side: float) -> tuple[float, float, float, float, float]:
    """Swell near azimuth, where the radar sees it best; hardly any in one scene of seven."""
    deviation = _uniform(rng, 0.12, 0.21) if rng.random() < 0.85 else _uniform(rng, 0.0, 0.06)
    return (
        deviation,
        _log_normal(rng, 4.6, 0.18, (3.2, 6.0)),
        tilt_deg + side * (90 + float(rng.normal(11, 8))),
        _log_normal(rng, 0.2, 0.5, (0.065, 0.41)),
        _uniform(rng, 8.5, 17),
    )


def _draw_background(rng: np.random.Generator, side: float) -> tuple[float, float, float]:
    """Patchiness at all scales, its crests near azimuth."""
    exponent = _uniform(rng, 1.7, 2.7)
    density = _log_normal(rng, 0.04, 0.55, (0.014, 0.125))
    # Choice: a quarter less than measured, since the wind field adds to the longest of these periods.
    return 0.75 * background_deviation(density, exponent), exponent, side * float(rng.normal(0, 15))


def _draw_class_tiles(rng: np.random.Generator, n_tiles: float, settings: SceneSettings) -> tuple[int, ...]:
    """Tiles that are to hold each class."""
    n_pairs = n_tiles * settings.seep_share * CLASSES_PER_TILE
    shares = np.array(settings.class_frequencies) * rng.gamma(_CLASS_ORDER, size=len(settings.class_frequencies))
    # The scene's total stays as asked for; a fraction becomes one more tile with that probability.
    expected = n_pairs * shares / shares.sum()
    return tuple(int(np.floor(n + rng.random())) for n in expected)


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform Python float: NumPy scalars do not go to JSON."""
    return float(rng.uniform(low, high))


def _log_normal(rng: np.random.Generator, median: float, spread: float, limits: tuple[float, float]) -> float:
    """A log-normal number with the standard deviation of its logarithm, cut to limits."""
    return float(np.clip(median * math.exp(spread * rng.standard_normal()), *limits))
