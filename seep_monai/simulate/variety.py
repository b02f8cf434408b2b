"""Scenes that differ as archives do: other sensors, pixel sizes, codings and seas than those of the reference tiles."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from seep_monai.simulate.parameters import SceneParameters
from seep_monai.simulate.patches import log_uniform

# Choice: pixels of .6 to 1.6 times the reference size, or films as much narrower or wider.
_SCALES = (0.6, 1.6)
# Choice: from the lowest noise floor of an IW image to that of noisier modes and sensors.
_NESZ_DB = (-32.0, -22.0)
# Levels up to the scene's median: 8-bit images that were stretched widely have few, 16-bit images thousands. Choice:
# 25, because below that a film is fewer than five levels deep.
_MEDIAN_LEVELS = (25.0, 8000.0)
_CLIP_MEDIANS = (2.0, 8.0)
_MOST_LEVELS = 65535.0
_BORDER_NOISE_PX = (0.0, 1.0, 2.0, 4.0, 8.0)
# Choice: three times as many look-alikes, since the reference scenes were taken in good weather. With the settings of
# `scripts/train_simulated.sh` there are then about 1.5 pools for each low-wind patch.
_LOOKALIKES = 3.0
# Orders of the gamma distributions with which the numbers of look-alikes and bright targets differ between scenes.
_LOOKALIKE_ORDER, _TARGET_ORDER = 0.8, 0.5
# Faintest films by eye: 1.25 dB (13 % in amplitude) with speckle of 9 looks, and in proportion to the deviation of the
# speckle. Choice, from pictures of such tiles.
_LEAST_CONTRAST_DB, _REFERENCE_LOOKS = 1.25, 9.0
# Choice: one scene in five has a texture that is not a sea's. Source: networks that are trained on random textures
# transfer well to other sensors (VessShape, arXiv 2510.27646).
_TEXTURE_SHARE = 0.2
_TEXTURE_GAIN, _TEXTURE_EXPONENT = (0.7, 3.0), (0.5, 3.5)


def varied(parameters: SceneParameters, rng: np.random.Generator) -> SceneParameters:
    """The parameters with noise floor, coding, border strips, scale, texture and numbers of things drawn anew.

    Winds and looks stay, since their ranges are settings of the user. The scale applies to the films and to the swell.
    """
    p = parameters
    scale = log_uniform(rng, *_SCALES)
    deviation, wavelength_px, *others = p.swell
    n_targets = _spread(p.n_targets, _TARGET_ORDER, rng)
    clip_medians = log_uniform(rng, *_CLIP_MEDIANS)
    drawn: dict[str, Any] = {
        "film_scale": p.film_scale * scale,
        "swell": (deviation, wavelength_px * scale, *others),
        "background": _texture(p.background, rng),
        "nesz_db": float(rng.uniform(*_NESZ_DB)),
        "clip_medians": clip_medians,
        "n_levels": min(log_uniform(rng, *_MEDIAN_LEVELS) * clip_medians, _MOST_LEVELS),
        "border_noise_px": float(rng.choice(_BORDER_NOISE_PX)),
        "lookalikes": {kind: _spread(_LOOKALIKES * n, _LOOKALIKE_ORDER, rng) for kind, n in p.lookalikes.items()},
        "least_contrast_db": _LEAST_CONTRAST_DB * math.sqrt(_REFERENCE_LOOKS / p.looks),
        "n_targets": n_targets,
        # No more wakes than targets.
        "n_wakes": min(p.n_wakes, n_targets),
    }
    return replace(p, **drawn)


def _texture(background: tuple[float, float, float], rng: np.random.Generator) -> tuple[float, float, float]:
    """The texture of the sea; in some scenes one of another strength, roughness and direction."""
    if rng.random() >= _TEXTURE_SHARE:
        return background
    deviation = min(background[0] * log_uniform(rng, *_TEXTURE_GAIN), 1.0)
    return deviation, float(rng.uniform(*_TEXTURE_EXPONENT)), float(rng.uniform(-90, 90))


def _spread(count: float, order: float, rng: np.random.Generator) -> int:
    """A random number with mean `count` and a variance of `count` + `count`^2 / `order`."""
    return int(rng.poisson(count * rng.gamma(order, 1 / order)))
