"""A simulated scene: its image and mask against the films drawn, whatever the windows."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from seep_monai.simulate.backscatter import film_visibility
from seep_monai.simulate.drawing import draw_parameters
from seep_monai.simulate.parameters import SceneParameters
from seep_monai.simulate.scene import Scene, plan_scene
from seep_monai.simulate.settings import SceneSettings
from seep_monai.simulate.slicks import films_on

WHOLE = (slice(0, 600), slice(0, 900))


@pytest.fixture(scope="module")
def parameters() -> SceneParameters:
    """A scene of 600 x 900 px, no multiple of a tile, with all classes and one slanted border."""
    drawn = draw_parameters("900001", np.random.default_rng(0), SceneSettings(size_px=(600, 900)))
    return replace(
        drawn,
        wind_m_s=5.0,
        class_tiles=(3, 1, 1, 1, 1, 1, 1),
        n_sites=(2, 1),
        n_targets=1,
        n_wakes=0,
        lookalikes={"low_wind": 1},
        edges=(("top", 40.0, 0.2),),
        border_noise_px=0,
    )


@pytest.fixture(scope="module")
def scene(parameters: SceneParameters) -> Scene:
    return plan_scene(parameters)


@pytest.fixture(scope="module")
def drawn(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    return scene.draw(WHOLE)


def test_scene_has_the_size_types_and_classes_asked_for(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    image, mask = drawn

    assert image.shape == mask.shape == (600, 900)
    assert image.dtype == np.uint16
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) <= set(range(8))
    assert len(np.unique(mask)) >= 6


@pytest.mark.parametrize("size", [(256, 256), (100, 333), (600, 17)])
def test_scene_is_the_same_in_whatever_windows_it_is_drawn(
    scene: Scene, drawn: tuple[np.ndarray, np.ndarray], size: tuple[int, int]
) -> None:
    image, mask = np.zeros_like(drawn[0]), np.zeros_like(drawn[1])
    for row in range(0, 600, size[0]):
        for col in range(0, 900, size[1]):
            window = slice(row, min(row + size[0], 600)), slice(col, min(col + size[1], 900))
            image[window], mask[window] = scene.draw(window)

    np.testing.assert_array_equal(image, drawn[0])
    np.testing.assert_array_equal(mask, drawn[1])


def test_scene_from_its_json_is_the_same_to_the_bit(
    parameters: SceneParameters, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    again = plan_scene(SceneParameters.from_json(json.loads(json.dumps(parameters.to_json())))).draw(WHOLE)

    np.testing.assert_array_equal(again[0], drawn[0])
    np.testing.assert_array_equal(again[1], drawn[1])


def test_scene_of_another_seed_is_another_one(
    parameters: SceneParameters, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    other = plan_scene(replace(parameters, seed=parameters.seed + 1)).draw(WHOLE)

    assert (other[0] != drawn[0]).mean() > 0.5


def test_scene_without_data_outside_the_swath_has_neither_image_nor_label(
    drawn: tuple[np.ndarray, np.ndarray],
) -> None:
    image, mask = drawn
    # The border lies 40 px below the top at the middle column and falls by .2 px per px: row 130 at column 900.
    assert image[0, 450] == 0
    assert image[39, 450] == 0
    assert image[41, 450] > 0
    assert not mask[image == 0].any()


def test_scene_mask_is_where_the_damping_is_applied(scene: Scene, drawn: tuple[np.ndarray, np.ndarray]) -> None:
    # All films off, the rest as it was: what differs is what films did, and brighter rims have no label.
    image = replace(scene, slicks=()).draw(WHOLE)[0].astype(int)
    changed = drawn[0] < image

    assert (drawn[1][changed] > 0).all()
    # Where damping is less than a level of the coding, a pixel may stay as it was.
    assert changed[drawn[1] > 0].mean() > 0.9
    assert not (drawn[1] > 0)[drawn[0] == 0].any()


def test_films_without_speckle_darken_the_sea_by_their_damping(parameters: SceneParameters) -> None:
    calm = replace(
        parameters,
        looks=1000.0,
        edges=(),
        lookalikes={},
        n_targets=0,
        class_tiles=(4, 0, 0, 0, 0, 0, 0),
        nesz_db=-80.0,
        n_levels=20000,
        clip_medians=8.0,
    )
    clean = replace(calm, class_tiles=(0,) * 7)
    scene = plan_scene(calm)
    films = films_on(scene.slicks, WHOLE)
    ratio = scene.draw(WHOLE)[0] / plan_scene(clean).draw(WHOLE)[0]

    # The seed's streams are apart, so sea and speckle are the same; amplitude falls by half the decibels.
    np.testing.assert_allclose(20 * np.log10(ratio[films.label > 0]), -films.damping_db[films.label > 0], atol=0.05)
    np.testing.assert_allclose(ratio[(films.label == 0) & (films.rim_db == 0)], 1, atol=0.002)


@pytest.mark.parametrize("looks", [1.0, 9.0])
def test_flat_sea_of_a_scene_has_the_speckle_of_its_looks(parameters: SceneParameters, looks: float) -> None:
    flat = replace(
        parameters,
        looks=looks,
        grain=0.0,
        speckle_correlation=(0.0, 0.0),
        swell=(0.0, 5.0, 0.0, 0.1, 10.0),
        background=(0.0, 2.0, 0.0),
        streaks=(0.0, 40.0, 5.0),
        wind_spread=0.0,
        incidence_deg=(38.0, 38.0),
        edges=(),
        lookalikes={},
        n_targets=0,
        class_tiles=(0,) * 7,
        clip_medians=10.0,
        n_levels=40000.0,
    )
    intensity = plan_scene(flat).draw(WHOLE)[0].astype(float) ** 2

    # Half a million pixels; intensity is the square of the amplitude that DN codes.
    assert intensity.std() / intensity.mean() == pytest.approx(1 / np.sqrt(looks), rel=0.01)


def test_shown_at_is_the_visibility_inside_the_swath(scene: Scene) -> None:
    rows, cols = np.array([300.0, 5.0, 700.0]), np.array([450.0, 450.0, 450.0])

    # Inside; above the border, which lies at row 40; below the scene.
    np.testing.assert_allclose(scene.shown_at(rows, cols), [film_visibility(scene.wind_at(300, 450)), 0, 0])


def test_wakes_start_at_targets(parameters: SceneParameters) -> None:
    scene = plan_scene(replace(parameters, n_targets=5, n_wakes=2, lookalikes={}))

    assert [(wake.row, wake.col) for wake in scene.lookalikes] == [(t.row, t.col) for t in scene.targets[:2]]


def test_ascending_scene_brightens_the_other_way() -> None:
    images = {}
    for orbit in ("descending", "ascending", "radar"):
        drawn = draw_parameters("1", np.random.default_rng(3), SceneSettings(size_px=(512, 2560), orbit=orbit))
        quiet = replace(drawn, edges=(), lookalikes={}, n_targets=0, class_tiles=(0,) * 7, wind_spread=0.0, nesz_db=-80)
        images[orbit] = plan_scene(quiet).draw((slice(0, 512), slice(0, 2560)))[0].astype(float)

    trends = {orbit: image[:, -256:].mean() / image[:, :256].mean() for orbit, image in images.items()}
    assert trends["descending"] > 1.1
    assert trends["ascending"] < 1 / 1.1
    assert trends["radar"] < 1 / 1.1


def test_small_scene_is_a_part_of_the_swath() -> None:
    settings = SceneSettings(size_px=(256, 256))
    drawn = [draw_parameters("1", np.random.default_rng(seed), settings).incidence_deg for seed in range(20)]
    spans = [first - last for first, last in drawn]

    # 362 px of the 6107 px from corner to corner of a reference scene, over which incidence falls by 17 to 19.5 deg.
    assert 1.0 < min(spans) <= max(spans) < 1.2


def test_scene_in_a_storm_has_no_labels_and_comes_to_an_end(parameters: SceneParameters) -> None:
    storm = plan_scene(replace(parameters, wind_m_s=12.0, wind_spread=0.02))

    assert not storm.draw(WHOLE)[1].any()
    assert storm.slicks


def test_noise_floor_compresses_the_contrast_of_films(parameters: SceneParameters) -> None:
    contrasts = []
    for nesz_db in (-80.0, -20.0):
        p = replace(parameters, edges=(), lookalikes={}, n_targets=0, nesz_db=nesz_db, nesz_ripple_db=0.0)
        image, mask = plan_scene(p).draw(WHOLE)
        contrasts.append(np.median(image[mask > 0]) / np.median(image[mask == 0]))

    assert contrasts[0] + 0.03 < contrasts[1] < 1


@pytest.mark.parametrize(("wind", "visible"), [(1.0, False), (5.0, True), (14.0, False)])
def test_films_show_in_light_winds_alone(parameters: SceneParameters, wind: float, visible: bool) -> None:
    p = replace(parameters, wind_m_s=wind, wind_spread=0.01)

    assert plan_scene(p).draw(WHOLE)[1].any() == visible


def test_scene_brightens_from_far_to_near_range(parameters: SceneParameters) -> None:
    p = replace(
        parameters,
        wind_spread=0.0,
        phi_deg=45.0,
        tilt_deg=0.0,
        incidence_deg=(46.0, 30.9),
        edges=(),
        lookalikes={},
        nesz_db=-80.0,
    )
    image, _ = plan_scene(p).draw(WHOLE)

    # CMOD5.N falls by 7.9 dB across the swath at 5 m/s, a factor 2.5 in amplitude; the ends are means over 40 columns.
    assert np.median(image[:, -40:]) / np.median(image[:, :40]) == pytest.approx(2.4, abs=0.15)


def test_scene_levels_sit_on_one_step(scene: Scene, drawn: tuple[np.ndarray, np.ndarray]) -> None:
    step = 65535 / scene.parameters.n_levels
    image = drawn[0].astype(float)
    off = np.abs(image - np.rint(image / step) * step)

    assert off[image < 65535].max() <= 0.5 + 1e-3 * step


def test_scene_median_is_the_full_scale_over_the_clip(parameters: SceneParameters) -> None:
    p = replace(parameters, edges=(), lookalikes={}, clip_medians=2.0, class_tiles=(0,) * 7)
    image, _ = plan_scene(p).draw(WHOLE)

    assert np.median(image) == pytest.approx(65535 / 2, rel=0.05)


@pytest.mark.parametrize("scale", [0.25, 4.0])
def test_films_of_another_scale_can_be_drawn(parameters: SceneParameters, scale: float) -> None:
    image, mask = plan_scene(replace(parameters, film_scale=scale)).draw(WHOLE)

    assert mask.any()
    assert (image[:40, 450] == 0).all()


def test_class_4_starts_at_a_bright_target(parameters: SceneParameters) -> None:
    p = replace(parameters, class_tiles=(0, 0, 0, 2, 0, 0, 0), n_targets=0)
    scene = plan_scene(p)

    assert [slick.label for slick in scene.slicks] == [4] * len(scene.slicks)
    assert [(target.row, target.col) for target in scene.targets] == [slick.origin for slick in scene.slicks]


def test_film_scale_lengthens_films_about_their_origin(parameters: SceneParameters) -> None:
    small, large = (plan_scene(replace(parameters, film_scale=scale)).slicks[0] for scale in (1.0, 2.0))

    assert small.origin == large.origin
    np.testing.assert_allclose(
        large.ribbons[0].rows - large.origin[0], 2 * (small.ribbons[0].rows - small.origin[0]), atol=1e-9
    )
    np.testing.assert_allclose(large.ribbons[0].width_px, 2 * small.ribbons[0].width_px)


def test_films_are_labelled_where_they_are_darker_than_the_least_contrast(parameters: SceneParameters) -> None:
    # With wind of one speed, a noise floor far below the sea, and films fully shown, the damping is the contrast.
    clear = replace(parameters, wind_spread=0.0, nesz_db=-100.0, edges=())
    damping_db = films_on(plan_scene(clear).slicks, WHOLE).damping_db
    least_db = float(np.median(damping_db[damping_db > 0]))

    labelled = plan_scene(replace(clear, least_contrast_db=least_db)).draw(WHOLE)[1] > 0

    sure = np.abs(damping_db - least_db) > 1e-3
    np.testing.assert_array_equal(labelled[sure], (damping_db > least_db)[sure])
