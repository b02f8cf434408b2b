"""Seeps drawn strip by strip are those of the whole scene in memory, object for object."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from known_classifier import known_classifier
from scipy.ndimage import gaussian_filter

from seep_monai.dataset.transforms import normalise
from seep_monai.dataset.windows import windows_along
from seep_monai.instances.components import InstanceSettings
from seep_monai.objects.finding import find_seeps
from seep_monai.scene.drawing import DrawingSettings, SceneDrawing
from seep_monai.scene.raster import Raster
from seep_monai.scene.seep_objects import SeepObject, seep_objects

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

SHAPE, LEVEL = (420, 510), 20000.0
# Depends on nearly every measure: on the surroundings, the ring, the outline and the shape.
MATCH = {"other_area": 0.3, "sea_sd": -2.0, "contrast": -3.0, "prob_ring": 2.0, "length": 0.5, "border": -1.0}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A raster with no-data at the left, and probabilities with blobs and one film across half of the scene."""
    rng = np.random.default_rng(3)
    seep = gaussian_filter(rng.normal(size=SHAPE), 6)
    seep = np.clip(0.35 + seep / seep.std() * 0.22 - 0.15, 0.001, 0.98)
    seep[200:206, 30:480] = 0.9
    seep[60:380, 250:255] = 0.7
    classes = gaussian_filter(rng.random((7, *SHAPE)), (0, 20, 20))
    classes = classes**40 / (classes**40).sum(axis=0)
    probabilities = np.concatenate([1 - seep[None], classes * seep]).astype(np.float32)
    dn = (LEVEL * rng.gamma(14, 1 / 14, SHAPE) * (1 - 0.4 * seep)).astype(np.uint16)
    dn[:, :20] = 0
    path = tmp_path_factory.mktemp("scene") / "coast.tif"
    with rasterio.open(path, "w", driver="GTiff", height=420, width=510, count=1, dtype="uint16") as target:
        target.write(dn, 1)
    return path, probabilities


def drawn(
    path: Path, probabilities: np.ndarray, settings: DrawingSettings, folder: Path, *, strip_px: int
) -> tuple[list[SeepObject], np.ndarray, np.ndarray]:
    """Objects, class map and probability of a scene in strips of `strip_px` rows."""
    windows = windows_along(SHAPE[0], strip_px)
    with Raster(path) as raster, SceneDrawing(raster, LEVEL, windows, settings, folder) as drawing:
        for i, window in enumerate(windows):
            rows = slice(window.start, window.start + strip_px)
            valid = raster.read(slice(rows.start, min(rows.stop, SHAPE[0])), slice(0, SHAPE[1]))[1]
            drawing.add(i, probabilities[:, rows], valid)
        objects = [seep for some in drawing.objects() for seep in some]
        names = [file.name for file in drawing.finish(folder / "coast")]
    assert sorted(p.name for p in folder.iterdir()) == sorted(names)
    maps = []
    for name in ("classes", "probability"):
        with rasterio.open(folder / f"coast_{name}.tif") as file:
            maps.append(file.read(1))
    return objects, maps[0], maps[1]


def in_memory(path: Path, probabilities: np.ndarray, settings: DrawingSettings) -> tuple[list[SeepObject], np.ndarray]:
    with Raster(path) as raster:
        dn, valid = raster.read(slice(0, SHAPE[0]), slice(0, SHAPE[1]))
    image = normalise(dn.astype(np.float32), valid, LEVEL).numpy()
    found = find_seeps(probabilities, image, settings.instances, settings.classifier, valid=valid)
    sea = valid & (1 - probabilities[0] < 0.5)
    return seep_objects(found, image, valid=valid, sea=sea), np.where(valid, found.classes, 255)


def ordered(seeps: list[SeepObject]) -> list[SeepObject]:
    return sorted(seeps, key=lambda seep: (seep.polygon.bounds, seep.polygon.area))


def assert_same(found: list[SeepObject], truth: list[SeepObject]) -> None:
    assert len(found) == len(truth)
    for one, other in zip(ordered(found), ordered(truth), strict=True):
        assert shapely.equals(one.polygon, other.polygon)
        assert (one.label, one.touches_edge) == (other.label, other.touches_edge)
        assert one.score == pytest.approx(other.score, abs=1e-9)
        assert one.class_prob == pytest.approx(other.class_prob, abs=1e-9)
        assert one.contrast_db == pytest.approx(other.contrast_db, abs=1e-9, nan_ok=True)
        assert (one.centre_line == other.centre_line).all()


SETTINGS = {
    "classified": DrawingSettings(
        InstanceSettings("object", 0.6, 0.4, score_threshold=0.05), known_classifier(match=MATCH, bias=-1.0)
    ),
    "classified, all kept": DrawingSettings(InstanceSettings("object", 0.6, 0.4), known_classifier(match=MATCH)),
    "object": DrawingSettings(InstanceSettings("object", 0.7, 0.3, min_size_px=9)),
    "class": DrawingSettings(InstanceSettings("class")),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("strip_px", [37, 128, 420])
def test_objects_and_map_are_those_in_memory(
    scene: tuple[Path, np.ndarray], tmp_path: Path, name: str, strip_px: int
) -> None:
    path, probabilities = scene
    objects, classes, probability = drawn(path, probabilities, SETTINGS[name], tmp_path, strip_px=strip_px)
    truth, map_ = in_memory(path, probabilities, SETTINGS[name])

    assert len(truth) >= 15
    assert_same(objects, truth)
    assert (classes == map_).all()
    known = map_ < 255
    assert np.abs(probability[known] / 250 - (1 - probabilities[0])[known]).max() <= 1 / 500 + 1e-6
    assert (probability[~known] == 255).all()


def test_too_large_a_film_is_drawn_in_parts_and_says_so(
    scene: tuple[Path, np.ndarray], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, probabilities = scene
    settings = DrawingSettings(InstanceSettings("object", 0.7, 0.3), most_px=400**2)
    with caplog.at_level(logging.WARNING):
        objects, classes, _ = drawn(path, probabilities, settings, tmp_path, strip_px=64)
    whole, map_ = in_memory(path, probabilities, DrawingSettings(settings.instances))

    assert "coast.tif: a connected area of" in caplog.text
    # The parts cover what the film covers, and nothing twice.
    total = shapely.union_all([seep.polygon for seep in objects])
    assert shapely.area(total) == pytest.approx(sum(seep.polygon.area for seep in objects))
    small = [seep for seep in whole if seep.polygon.area < 300]
    found = {seep.polygon.wkb for seep in map(_normal, objects)}
    assert sum(_normal(seep).polygon.wkb in found for seep in small) > 0.8 * len(small)
    assert ((classes > 0) == (map_ > 0)).mean() > 0.97


def _normal(seep: SeepObject) -> SeepObject:
    return replace(seep, polygon=shapely.normalize(seep.polygon))


def test_nothing_is_left_when_the_drawing_stops(scene: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, probabilities = scene
    windows = windows_along(SHAPE[0], 64)

    def interrupted() -> None:
        with Raster(path) as raster, SceneDrawing(raster, LEVEL, windows, SETTINGS["class"], tmp_path) as drawing:
            drawing.add(0, probabilities[:, :64], np.ones((64, SHAPE[1]), bool))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_level_is_the_lowest_of_any_instance() -> None:
    assert SETTINGS["class"].level == 0.5
    assert SETTINGS["object"].level == 0.3
    assert SETTINGS["classified"].level == pytest.approx(0.3)
