"""Tests of `seep_monai.simulate.vectors` against ribbons drawn by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from fake_scene import FakeScene, FakeSlick, straight_ribbon, two_slicks, wavy_ribbon

from seep_monai.errors import SeepError
from seep_monai.simulate.georeference import AffineReference, GcpReference, NoReference
from seep_monai.simulate.shapes import RECIPES, draw_slick
from seep_monai.simulate.slicks import POINT_STEP_PX, Ribbon
from seep_monai.simulate.vectors import THINNING_PX, feature_collection, geojson_text, thinned

UTM = AffineReference(32618, 10.0, 500000.0, 4000000.0)
GCPS = GcpReference((0.0, 100.0), (0.0, 200.0), ((10.0, 12.0), (10.0, 12.0)), ((50.0, 50.0), (49.0, 49.0)))
# An L: five points down, five to the right, at whole pixels.
CORNER = Ribbon(
    np.array([10, 11, 12, 13, 14, 14, 14, 14, 14.0]),
    np.array([20, 20, 20, 20, 20, 21, 22, 23, 24.0]),
    np.array([2, 2, 2, 2, 3, 4, 4, 4, 5.0]),
    np.array([1, 1, 1, 1, 0.8, 0.6, 0.5, 0.4, 0.2]),
    3.25,
)


def scene_of(*ribbons: Ribbon, shape: tuple[int, int] = (100, 200)) -> FakeScene:
    return FakeScene(shape, (FakeSlick(5, (9.5, 19.25), -np.pi / 2, ribbons),))


def features(scene: FakeScene, georeference=UTM, **options) -> list[dict]:
    """The features as a reader of the file gets them."""
    return json.loads(geojson_text(feature_collection(scene, "s1", georeference, **options)))["features"]


def coordinates(scene: FakeScene, georeference=UTM) -> list[np.ndarray]:
    return [np.array(feature["geometry"]["coordinates"]) for feature in features(scene, georeference)]


def distances_to_line(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Distance of each point from the nearest segment of a line."""
    start, step = line[:-1], np.diff(line, axis=0)
    share = ((points[:, None] - start) * step).sum(axis=2) / np.maximum((step**2).sum(axis=1), 1e-12)
    foot = start + np.clip(share, 0, 1)[:, :, None] * step
    return np.linalg.norm(points[:, None] - foot, axis=2).min(axis=1)


def test_line_of_a_corner_in_map_coordinates():
    # Centres of the pixels (10, 20), (14, 20) and (14, 24) of 10 m.
    expected = [[500205, 3999895], [500205, 3999855], [500245, 3999855]]
    assert features(scene_of(CORNER))[0]["geometry"] == {"type": "LineString", "coordinates": expected}


def test_line_of_a_corner_in_longitude_and_latitude():
    # 0.01 degrees per pixel both ways.
    np.testing.assert_allclose(
        coordinates(scene_of(CORNER), GCPS)[0], [[10.205, 49.895], [10.205, 49.855], [10.245, 49.855]]
    )


def test_line_of_a_corner_in_pixels():
    assert coordinates(scene_of(CORNER), NoReference())[0].tolist() == [[20, 10], [20, 14], [24, 14]]


def test_properties_of_a_corner():
    assert features(scene_of(CORNER))[0]["properties"] == {
        "scene": "s1",
        "slick": 0,
        "ribbon": 0,
        "part": 0,
        "class": 5,
        "class_name": "Seep cls5",
        "origin_row": 9.5,
        "origin_col": 19.25,
        "origin_x": 500197.5,
        "origin_y": 3999900.0,
        "drift_deg": 270.0,
        "wind_m_s": 5.01,
        "length_px": 8.0,
        "width_px_median": 3.0,
        "width_px_max": 5.0,
        "strength_median": 0.8,
        "damping_db": 3.25,
        # Eight of nine points have a strength of 0.4 or more; the median of these is (1 + 0.8) / 2.
        "visible_share": 0.888889,
        "damping_seen_db": 2.925,
    }


def test_side_branches_are_left_out_of_line_and_measures():
    # The first five points go down from row 10 to 14; the others lie elsewhere, as a branch may.
    branched = replace(CORNER, n_line=5)
    found = features(scene_of(branched), NoReference())
    assert [f["geometry"]["coordinates"] for f in found] == [[[20, 10], [20, 14]]]
    measures = {"length_px": 4, "width_px_median": 2, "width_px_max": 3, "strength_median": 1, "visible_share": 1}
    assert {key: found[0]["properties"][key] for key in measures} == measures


def test_branch_alone_in_the_scene_gives_no_feature():
    outside = replace(CORNER, rows=np.where(np.arange(9) < 5, -50, CORNER.rows), n_line=5)
    assert features(scene_of(outside)) == []


@pytest.mark.parametrize("label", sorted(RECIPES))
def test_centre_lines_of_drawn_slicks_have_no_jumps_and_their_length(label):
    rng = np.random.default_rng(label)
    slicks = tuple(draw_slick(label, (20000.0, 20000.0), float(rng.uniform(0, 6)), rng) for _ in range(12))
    steps = [
        np.hypot(np.diff(ribbon.rows[: ribbon.n_line]), np.diff(ribbon.cols[: ribbon.n_line]))
        for slick in slicks
        for ribbon in slick.ribbons
    ]
    found = features(FakeScene((40000, 40000), slicks), NoReference())

    # The ragged edge moves points aside: one step in tens of thousands is a little longer, but none of these.
    assert max(step.max() for step in steps) <= 2 * POINT_STEP_PX
    assert [f["properties"]["length_px"] for f in found] == pytest.approx([s.sum() for s in steps], abs=6e-4)


def test_visible_share_counts_places_with_wind_and_strength():
    # Half of the damping shows up to column 21: six points of strengths 1, 1, 1, 1, 0.8 and 0.6, median 1.
    scene = replace(scene_of(CORNER), shown=lambda rows, cols: np.where(cols <= 21, 0.5, 0.0))
    properties = features(scene)[0]["properties"]
    assert properties["visible_share"] == round(6 / 9, 6)
    assert properties["damping_seen_db"] == 1.625


def test_damping_seen_multiplies_strength_and_share_point_by_point():
    # Strength * share: 1 * (0.1, 0.2, 0.3, 0.4), 0.8 * 0.5, 0.6 * 0.6, 0.5 * 0.7, 0.4 * 0.8 -> sorted 0.1, 0.2, 0.3,
    # 0.32, 0.35, 0.36, 0.4, 0.4: the median is 0.335.
    scene = replace(scene_of(CORNER), shown=lambda rows, cols: ((rows - 9) + (cols - 20)) / 10)
    assert features(scene)[0]["properties"]["damping_seen_db"] == round(3.25 * 0.335, 3)


def test_hidden_film_is_kept_and_flagged():
    scene = replace(scene_of(CORNER), shown=lambda rows, cols: np.zeros(len(rows)))
    properties = features(scene)[0]["properties"]
    assert (properties["visible_share"], properties["damping_seen_db"]) == (0, None)
    assert properties["length_px"] == 8


def test_film_without_data_is_flagged_where_it_leaves_the_swath():
    # Columns 20 to 22.49 hold no data: seven of the nine points; of the others one has a strength of 0.4.
    scene = replace(scene_of(CORNER), no_data_cols=23)
    properties = features(scene)[0]["properties"]
    assert (properties["visible_share"], properties["damping_seen_db"]) == (round(1 / 9, 6), 1.3)


def test_film_too_weak_everywhere_does_not_show():
    properties = features(scene_of(replace(CORNER, strength=np.full(9, 0.39))))[0]["properties"]
    assert (properties["visible_share"], properties["damping_seen_db"]) == (0, None)


def test_one_visible_point_of_a_long_line_is_not_rounded_away():
    film = straight_ribbon((50, 5), (50, 9005))
    scene = replace(scene_of(film, shape=(100, 9100)), shown=lambda rows, cols: (cols < 5.3).astype(float))
    properties = features(scene)[0]["properties"]
    assert properties["visible_share"] == pytest.approx(1 / len(film.rows), abs=5e-7)
    assert properties["damping_seen_db"] == 3


def test_share_that_is_not_finite_raises():
    scene = replace(scene_of(CORNER), shown=lambda rows, cols: np.full(len(rows), np.nan))
    with pytest.raises(SeepError, match="s1: expected finite numbers in the vectors"):
        features(scene)


def test_class_names_are_those_given():
    names = tuple("abcdefg")
    assert features(scene_of(CORNER), class_names=names)[0]["properties"]["class_name"] == "e"


def test_numbers_of_slicks_and_ribbons():
    found = [
        (f["properties"]["slick"], f["properties"]["ribbon"], f["properties"]["class"]) for f in features(two_slicks())
    ]
    assert found == [(0, 0, 1), (0, 1, 1), (1, 0, 4)]


@pytest.mark.parametrize(
    ("georeference", "name"),
    [
        (UTM, "urn:ogc:def:crs:EPSG::32618"),
        (AffineReference(4258, 1e-4, 5.0, 60.0), "urn:ogc:def:crs:EPSG::4258"),
    ],
)
def test_other_systems_are_named(georeference, name):
    collection = feature_collection(two_slicks(), "s1", georeference)
    assert collection["crs"] == {"type": "name", "properties": {"name": name}}


@pytest.mark.parametrize("georeference", [GCPS, AffineReference(4326, 1e-4, 5.0, 60.0)])
def test_longitude_and_latitude_need_no_crs_member(georeference):
    assert "crs" not in feature_collection(two_slicks(), "s1", georeference)


def test_pixels_are_said_to_be_pixels():
    collection = feature_collection(two_slicks(), "s1", NoReference())
    assert "x = column and y = row" in collection["coordinates_note"]
    assert collection["crs"]["properties"]["name"].startswith('ENGCRS["pixels"')


def test_total_length_of_straight_films():
    # 500 px; the second from (200, 600) at 45 degrees until the lower edge at row 299.5 of the scene.
    lengths = [f["properties"]["length_px"] for f in features(two_slicks())]
    assert lengths[0] == pytest.approx(500)
    assert lengths[2] == pytest.approx(99.5 * np.sqrt(2), abs=0.8)


def test_lines_are_about_as_long_as_their_ribbons():
    for feature, line in zip(features(two_slicks()), coordinates(two_slicks()), strict=True):
        length = np.linalg.norm(np.diff(line, axis=0), axis=1).sum() / 10
        assert length == pytest.approx(feature["properties"]["length_px"], rel=0.01)


def test_lines_lie_on_the_mask():
    scene = two_slicks()
    _, mask = scene.draw((slice(0, scene.shape[0]), slice(0, scene.shape[1])))
    for feature, line in zip(features(scene, NoReference()), coordinates(scene, NoReference()), strict=True):
        steps = np.linspace(line[:-1], line[1:], 50).reshape(-1, 2)
        col, row = np.rint(steps).astype(int).T
        assert (mask[row, col] == feature["properties"]["class"]).all()


@pytest.mark.parametrize("seed", range(5))
def test_thinned_line_stays_within_half_a_pixel(seed):
    rng = np.random.default_rng(seed)
    heading = np.cumsum(rng.normal(0, 0.15, 2000))
    line = 0.7 * np.cumsum(np.column_stack([np.sin(heading), np.cos(heading)]), axis=0)
    thin = thinned(line)
    assert len(thin) < len(line) / 4
    assert distances_to_line(line, thin).max() <= THINNING_PX + 1e-9
    np.testing.assert_array_equal(thin[[0, -1]], line[[0, -1]])


def test_thinned_straight_line_keeps_a_vertex_every_512_points():
    line = np.column_stack([np.zeros(1400), np.arange(1400.0)])
    assert thinned(line)[:, 1].tolist() == [0, 512, 1024, 1399]


def test_thinned_line_of_513_points_is_one_piece():
    line = np.column_stack([np.zeros(513), np.arange(513.0)])
    assert thinned(line)[:, 1].tolist() == [0, 512]


def test_line_that_leaves_and_returns_gives_two_parts():
    # Columns 190 to 209.5 and back, in a scene of 200 columns.
    cols = np.concatenate([np.arange(190, 210, 0.5), np.arange(210, 190, -0.5)])
    rows = np.linspace(40, 60, len(cols))
    ribbon = Ribbon(rows, cols, np.full(len(cols), 3.0), np.ones(len(cols)), 3.0)
    found = features(scene_of(ribbon))
    assert [f["properties"]["part"] for f in found] == [0, 1]
    lines = coordinates(scene_of(ribbon), NoReference())
    assert (lines[0][-1, 0], lines[1][0, 0]) == (199, 199)


def test_line_outside_the_scene_gives_no_feature():
    assert features(scene_of(straight_ribbon((150, 10), (150, 90)))) == []


def test_film_of_a_single_point_gives_it_twice():
    one = Ribbon(np.array([5.0]), np.array([6.0]), np.array([3.0]), np.array([1.0]), 3.0)
    assert coordinates(scene_of(one), NoReference())[0].tolist() == [[6, 5], [6, 5]]


def test_scene_without_slicks_gives_an_empty_collection():
    assert features(FakeScene((10, 10))) == []


@pytest.mark.parametrize("name", ["rows", "cols", "width_px", "strength"])
def test_number_that_is_not_finite_raises(name):
    ribbon = wavy_ribbon((50, 10), length_px=50)
    values = getattr(ribbon, name).copy()
    values[0] = np.nan
    with pytest.raises(SeepError, match="s1: expected finite numbers in the vectors"):
        features(scene_of(replace(ribbon, **{name: values})))


@pytest.mark.parametrize("label", [0, 8, -1])
def test_class_that_is_none_raises(label):
    scene = FakeScene((100, 200), (FakeSlick(label, (5, 5), 0.0, (CORNER,)),))
    with pytest.raises(SeepError, match=f"slick 0: expected a class of 1..7, but got {label}"):
        features(scene)
