"""What may be asked of a simulated scene, and the way of its parameters through JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from seep_monai.errors import SeepError
from seep_monai.simulate.drawing import draw_parameters
from seep_monai.simulate.parameters import SceneParameters
from seep_monai.simulate.settings import CLASS_FREQUENCIES, SceneSettings


@pytest.fixture(scope="module")
def parameters() -> SceneParameters:
    return draw_parameters("900001", np.random.default_rng(0))


def test_class_frequencies_sum_to_one() -> None:
    assert sum(CLASS_FREQUENCIES) == pytest.approx(1, abs=1e-3)
    # 478 of 1157 pairs.
    assert CLASS_FREQUENCIES[0] == pytest.approx(0.4131)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size_px": (255, 512)}, "256 or more"),
        ({"size_px": (512,)}, "size_px"),
        ({"wind_m_s": (-1.0, 5.0)}, "wind_m_s"),
        ({"wind_m_s": (6.0, 5.0)}, "low <= high"),
        ({"wind_m_s": (float("nan"), 5.0)}, "wind_m_s"),
        ({"looks": (0.5, 4.0)}, "looks"),
        ({"seep_share": 1.2}, "seep_share"),
        ({"pool_share": 1.1}, "pool_share"),
        ({"film_scale": 0.0}, "0.25 to 20"),
        ({"orbit": "sideways"}, "orbit"),
        ({"film_scale": float("nan")}, "film_scale"),
        ({"film_scale": 11.0, "size_px": (256, 999)}, "wider than the scene"),
        ({"film_scale": 21.0}, "0.25 to 20"),
        ({"class_frequencies": (0.5,) * 7}, "sum to 3.5"),
        ({"class_frequencies": (1.0,)}, "7 shares"),
        ({"class_frequencies": (1.5, -0.5, 0, 0, 0, 0, 0)}, "0 to 1"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SeepError, match=message):
        SceneSettings(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"wind_m_s": -3.0}, "wind_m_s"),
        ({"looks": 0.9}, "looks"),
        ({"size_px": (100, 100)}, "size_px"),
        ({"clip_medians": 0.0}, "clip_medians"),
        ({"swell": (0.1, 5.0)}, "swell: expected 5 numbers"),
        ({"swell": (0.1, 0.0, 0.0, 0.1, 10.0)}, "swell"),
        ({"wind_skew": 0.0}, "wind_skew"),
        ({"nesz_db": float("nan")}, "nesz_db"),
        ({"grain": -0.1}, "grain"),
        ({"n_sites": (0, 0)}, "n_sites"),
        ({"class_tiles": (1.0,) * 7}, "class_tiles"),
        ({"seed": -4}, "seed"),
        ({"n_targets": -1}, "n_targets"),
        ({"border_noise_px": -1.0}, "border_noise_px"),
        ({"edges": (("middle", 1.0, 0.1),)}, "edges"),
        ({"lookalikes": {"ufo": 1}}, "kinds"),
        ({"incidence_deg": (80.0, 30.0)}, "incidence_deg"),
        ({"n_levels": 1}, "n_levels"),
        ({"class_tiles": (1, 1)}, "class_tiles"),
        ({"speckle_correlation": (0.5, 0.0)}, "speckle_correlation"),
    ],
)
def test_impossible_parameters_are_refused(parameters: SceneParameters, values: dict[str, Any], message: str) -> None:
    with pytest.raises(SeepError, match=message):
        replace(parameters, **values)


def test_parameters_come_back_from_a_json_file(parameters: SceneParameters) -> None:
    assert SceneParameters.from_json(json.loads(json.dumps(parameters.to_json()))) == parameters


def test_parameters_with_an_unknown_name_are_refused(parameters: SceneParameters) -> None:
    with pytest.raises(SeepError, match="colour"):
        SceneParameters.from_json({**parameters.to_json(), "colour": "blue"})


def test_drawn_parameters_follow_the_settings() -> None:
    settings = SceneSettings(
        size_px=(2560, 2560), wind_m_s=(5.0, 5.0), looks=(4.0, 4.0), class_frequencies=(0, 0, 0, 0, 0, 0, 1.0)
    )
    drawn = draw_parameters("1", np.random.default_rng(1), settings)

    assert drawn.size_px == (2560, 2560)
    assert drawn.wind_m_s == 5
    assert drawn.looks == 4
    # 100 tiles, a share of .19 with seep, 1.468 classes in each: 27.9 tiles, all of class 7.
    assert drawn.class_tiles[:6] == (0,) * 6
    assert drawn.class_tiles[6] in (27, 28)
