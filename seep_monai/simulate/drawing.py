"""Draw the parameters of a scene at random, within the ranges of the reference scenes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from seep_monai.simulate.parameters import SceneParameters
from seep_monai.simulate.sea import background_deviation
from seep_monai.simulate.settings import CLASSES_PER_TILE, REFERENCE_PX, TILE_PX, Orbit, SceneSettings
from seep_monai.simulate.swath import draw_edges
from seep_monai.simulate.variety import varied

# Tiles of a scene per site of natural seeps, and per site of classes 4 and 5. Choice: about ten tiles with natural
# seeps per site, and half as many sites of the other kind.
_TILES_PER_SITE = (52, 104)
# Look-alikes and bright targets per tile of a scene. Source: counted on mosaics of the reference tiles.
_LOOKALIKES_PER_TILE = {
    "low_wind": 0.03,
    "rain": 0.006,
    "internal_waves": 0.04,
    "wind_front": 0.04,
    "biogenic_film": 0.005,
}
# Choice: .4 dB, 4.5 % in amplitude; nobody annotates a fainter film.
_LEAST_CONTRAST_DB = 0.4
_TARGETS_PER_TILE, _WAKES_PER_TARGET = 0.35, 0.03
# Choice: order of a gamma distribution with which class frequencies vary between scenes about as in the reference.
_CLASS_ORDER = 4.0
# Incidence at the far and the near corner of a scene of the reference size. Choice: an IW swath (30.9 to 46.0 deg) lies
# within these corners; the level then rises over the columns about as in the reference.
_FULL_INCIDENCE_DEG = ((46.5, 48.0), (28.5, 29.5))
# Angle between swath and grid. Source: 12.9 deg in all reference scenes. Choice: 11.5 to 14.5 for other latitudes.
_TILTS_DEG = (11.5, 14.5)
_ORBITS: tuple[Orbit, ...] = ("descending", "ascending", "radar")


def draw_parameters(name: str, rng: np.random.Generator, settings: SceneSettings | None = None) -> SceneParameters:
    """Draw the parameters of one scene.

    Choice: texture, speckle, swath, coding and films follow the ranges of the reference tiles (see
    `scripts/compare_with_real.py`), radiometry those of Sentinel-1; winds are such that films are visible.
    """
    chosen = settings or SceneSettings()
    if chosen.orbit == "any":
        chosen = replace(chosen, orbit=_ORBITS[int(rng.integers(len(_ORBITS)))])
    n_tiles = math.prod(size / TILE_PX for size in chosen.size_px)
    # An ascending pass is the mirror image of a descending one; in radar geometry the swath is not tilted.
    side = -1.0 if chosen.orbit == "ascending" else 1.0
    tilt = 0.0 if chosen.orbit == "radar" else side * _uniform(rng, *_TILTS_DEG)
    drawn = SceneParameters(
        name=name,
        seed=int(rng.integers(2**63)),
        size_px=chosen.size_px,
        **_draw_weather(rng, chosen, tilt, side),
        **_draw_sensor(rng, chosen, tilt),
        drift_deg=_uniform(rng, 0, 360),
        film_scale=chosen.film_scale,
        pool_share=chosen.pool_share,
        least_contrast_db=_LEAST_CONTRAST_DB,
        class_tiles=_draw_class_tiles(rng, n_tiles, chosen),
        n_sites=(max(1, round(n_tiles / _TILES_PER_SITE[0])), max(1, round(n_tiles / _TILES_PER_SITE[1]))),
        **_draw_things(rng, n_tiles),
    )
    return varied(drawn, rng) if chosen.variety == "archive" else drawn


def _draw_weather(rng: np.random.Generator, chosen: SceneSettings, tilt: float, side: float) -> dict[str, Any]:
    """Wind, swell and the texture of the sea."""
    wind_deg = _uniform(rng, 0, 360)
    # Far range is on the left on a descending pass, otherwise on the right.
    look_deg = tilt + (180 if chosen.orbit == "descending" else 0)
    return {
        "wind_m_s": _uniform(rng, *chosen.wind_m_s),
        "wind_spread": _log_normal(rng, 0.13, 0.45, (0.06, 0.25)),
        "wind_skew": _uniform(rng, 0.05, 0.4),
        "wind_deg": wind_deg,
        # 0 deg in CMOD5.N is a wind that blows towards the radar.
        "phi_deg": (wind_deg - look_deg + 180) % 360,
        "tilt_deg": tilt,
        "swell": _draw_swell(rng, tilt, side),
        "background": _draw_background(rng, side),
        "streaks": (_uniform(rng, 0.0, 0.06), _uniform(rng, 40, 80), _uniform(rng, 4, 8)),
        "roughness_spread": _uniform(rng, 0.2, 0.45),
        "grain": _uniform(rng, 0.215, 0.24),
    }


def _draw_sensor(rng: np.random.Generator, chosen: SceneSettings, tilt: float) -> dict[str, Any]:
    """Radiometry, speckle, swath borders and coding."""
    return {
        "incidence_deg": _draw_incidence(rng, chosen),
        "nesz_db": _uniform(rng, -29.0, -26.0),
        "nesz_ripple_db": _uniform(rng, 2.0, 5.0),
        "looks": _uniform(rng, *chosen.looks),
        "speckle_correlation": (_uniform(rng, 0.02, 0.10), _uniform(rng, 0.0, 0.02)),
        "edges": draw_edges(chosen.size_px, rng, tilt_deg=tilt),
        "border_noise_px": float(rng.choice((0, 1, 1.5, 2))),
        "clip_medians": _log_normal(rng, 2.5, 0.08, (2.1, 3.0)),
        "n_levels": _log_normal(rng, 190, 0.14, (150, 285)),
    }


def _draw_things(rng: np.random.Generator, n_tiles: float) -> dict[str, Any]:
    """Numbers of look-alikes, bright targets and wakes."""
    n_targets = int(rng.poisson(n_tiles * _TARGETS_PER_TILE))
    return {
        "lookalikes": {kind: int(rng.poisson(n_tiles * share)) for kind, share in _LOOKALIKES_PER_TILE.items()},
        "n_targets": n_targets,
        "n_wakes": int(rng.binomial(n_targets, _WAKES_PER_TARGET)),
    }


def _draw_incidence(rng: np.random.Generator, chosen: SceneSettings) -> tuple[float, float]:
    """Incidence at the first and last position along range; a small scene covers a random part of the swath."""
    far, near = (_uniform(rng, *limits) for limits in _FULL_INCIDENCE_DEG)
    share = min(1.0, math.hypot(*chosen.size_px) / math.hypot(*REFERENCE_PX))
    start = _uniform(rng, 0, 1 - share)
    first, last = far + (near - far) * start, far + (near - far) * (start + share)
    # On a descending pass, range decreases with the column.
    return (first, last) if chosen.orbit == "descending" else (last, first)


def _draw_swell(rng: np.random.Generator, tilt_deg: float, side: float) -> tuple[float, float, float, float, float]:
    """Swell, weak in 15 % of the scenes. Source: the spectra of the reference tiles, in most of them near azimuth."""
    deviation = _uniform(rng, 0.10, 0.20) if rng.random() < 0.85 else _uniform(rng, 0.0, 0.06)
    return (
        deviation,
        _log_normal(rng, 5.9, 0.12, (4.4, 7.5)),
        tilt_deg + side * (90 + float(rng.normal(11, 8))),
        _log_normal(rng, 0.2, 0.35, (0.1, 0.35)),
        _uniform(rng, 8.5, 17),
    )


def _draw_background(rng: np.random.Generator, side: float) -> tuple[float, float, float]:
    """Background texture at all scales, with crests near azimuth."""
    exponent = _uniform(rng, 1.1, 1.9)
    density = _log_normal(rng, 0.04, 0.55, (0.014, 0.125))
    # Choice: a twentieth less than measured, because streaks and look-alikes add to these periods.
    return 0.95 * background_deviation(density, exponent), exponent, side * float(rng.normal(0, 20))


def _draw_class_tiles(rng: np.random.Generator, n_tiles: float, settings: SceneSettings) -> tuple[int, ...]:
    """Number of tiles that should hold each class."""
    n_pairs = n_tiles * settings.seep_share * CLASSES_PER_TILE
    shares = np.array(settings.class_frequencies) * rng.gamma(_CLASS_ORDER, size=len(settings.class_frequencies))
    # The expected total is as requested; a fraction is rounded up with that probability.
    expected = n_pairs * shares / shares.sum()
    return tuple(int(np.floor(n + rng.random())) for n in expected)


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform random number as a Python float, because JSON does not accept NumPy scalars."""
    return float(rng.uniform(low, high))


def _log_normal(rng: np.random.Generator, median: float, spread: float, limits: tuple[float, float]) -> float:
    """A clipped log-normal random number; `spread` is the standard deviation of its logarithm."""
    return float(np.clip(median * math.exp(spread * rng.standard_normal()), *limits))
