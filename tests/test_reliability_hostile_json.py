"""Damaged plans, descriptions, weights and vector files: a result or a message, soon, and with little memory."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
import soak
import torch
from hostile_json import damaged, mutated_json
from hostile_trials import Trials
from pyproj import Transformer
from shipped_bundle import write_training
from tiff_files import make_gcp_tiff, make_geo_tiff, pixels

from seep_monai import checkpoints
from seep_monai.dataset.plan import Plan, audit_data, make_plan
from seep_monai.dataset.split import SplitSettings
from seep_monai.dataset.split_file import parts_from_lists, read_lists
from seep_monai.network.segresnet import build_network
from seep_monai.objects.measures import MEASURE_NAMES
from seep_monai.report.evaluation import plan_evaluation
from seep_monai.scene.labels import LabelMask, read_labels
from seep_monai.scene.land import LandMask
from seep_monai.scene.place import read_place
from seep_monai.shipped_weights import shipped_folder
from seep_monai.steps import neighbours, weights
from seep_monai.tiff import write_tiff

pytestmark = pytest.mark.filterwarnings("ignore")

WHOLE = (slice(0, 40), slice(0, 53))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight tiles of four scenes."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / f"train_{kind}_256").mkdir()
    for scene in range(4):
        for tile in (1, 2):
            mask = np.zeros((16, 16), np.uint8)
            mask[2:5, 2:9] = 1 + scene
            write_tiff(folder / f"train_masks_256/{scene}.{tile}.tif", mask)
            write_tiff(folder / f"train_images_256/{scene}.{tile}.tif", rng.integers(1, 200, (16, 16), np.uint16))
    return folder


def folders(data: Path) -> tuple[Path, Path]:
    return data / "train_images_256", data / "train_masks_256"


@pytest.fixture(scope="module")
def plan(data: Path) -> Plan:
    return make_plan(data, *folders(data), SplitSettings(n_folds=3), size_multiple=4)


@pytest.fixture(scope="module")
def training(data: Path, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small weights whose description has every key."""
    shipped = json.loads((shipped_folder() / "model.json").read_text())
    fitted = ("objects", "map_threshold", "operating_point", "classified_operating_point", "trained")
    return write_training(
        tmp_path_factory.mktemp("training") / "models",
        plan=plan.to_json(),
        plan_fingerprint=plan.fingerprint,
        tile_size=[16, 16],
        run_name="run",
        pixel_size_m=40.0,
        context={"margin_px": 4, "tile_columns": {"0": 3}, "found": False},
        **{key: shipped[key] for key in fitted},
    )


def test_mutated_split_files_give_parts_or_a_message(data: Path, plan: Plan, tmp_path: Path) -> None:
    audit = audit_data(*folders(data), SplitSettings(), size_multiple=4)
    trials, path = Trials(seed=18), tmp_path / "split.json"
    inside = {tile.image for tile in audit.tiles}
    for i, rng in trials.rngs(soak.trials(small=100, full=2000)):
        path.write_bytes(mutated_json(plan.to_json(), rng))
        parts = trials.run(
            f"trial {i}", lambda: parts_from_lists(read_lists(path), audit, dataset_dir=data, source=str(path))
        )
        assert parts is None or {tile.image for tiles in parts.values() for tile in tiles} <= inside
    soak.record("A damaged split file gives parts of the data set or a message", trials.figures())


def use_weights(models: Path, data: Path) -> None:
    """All that evaluation and inference do with weights before the first tile."""
    description = weights.read_description(str(models))
    settings = weights.stored_network_settings(str(models))
    network = build_network(settings)
    weights.load_best(network, str(models), "cpu")
    classifier = weights.stored_classifier(description, None)
    instances = weights.inference_instances(description, classifier)
    if classifier is not None:
        measures = np.ones((3, len(MEASURE_NAMES)))
        assert np.isfinite(classifier.match_prob(measures)).all()
        classifier.names(classifier.class_prob(measures))
    options: dict[str, Any] = {"dataset_dir": data, "size_multiple": settings.size_multiple, "instances": instances}
    images, masks = folders(data)
    evaluation = plan_evaluation(description, None, images_dir=images, masks_dir=masks, **options)
    neighbours.stored_context(description, evaluation.items(), context_px=None, tile_columns=None)
    checkpoints.is_shipped(models)
    # Reports and records hold it.
    json.dumps(description, allow_nan=False).encode()
    assert torch.isfinite(network.eval()(torch.zeros(1, 1, 16, 16))).all()


def test_mutated_weights_and_descriptions_are_used_or_refused(training: Path, data: Path, tmp_path: Path) -> None:
    """Every fifth trial changes `model.pt` with a checksum that fits, all others `model.json`."""
    sound, sound_bytes = json.loads((training / "model.json").read_text()), (training / "model.pt").read_bytes()
    use_weights(training, data)
    trials = Trials(seed=19)
    for i, rng in trials.rngs(soak.trials(small=80, full=2500)):
        content, raw = sound_bytes, mutated_json(sound, rng)
        if i % 5 == 4:
            content = damaged(content, rng)
            raw = json.dumps({**sound, "sha256": hashlib.sha256(content).hexdigest()}).encode()
        (tmp_path / "model.pt").write_bytes(content)
        (tmp_path / "model.json").write_bytes(raw)
        trials.run(f"trial {i}", lambda: use_weights(tmp_path, data))
    soak.record("Damaged weights and descriptions are used or refused with a message", trials.figures())


def labels_file() -> dict[str, Any]:
    """GeoJSON of polygons on the rasters of `tiff_files`, one with a hole, one of two parts."""
    to_lon_lat = Transformer.from_crs("EPSG:32618", "EPSG:4326", always_xy=True)

    def ring(x: float, y: float, width: float, height: float) -> list[list[float]]:
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
        return [list(to_lon_lat.transform(*corner)) for corner in corners]

    shapes: list[tuple[str, list]] = [
        ("Polygon", [ring(500050, 3999700, 100, 150), ring(500070, 3999720, 20, 20)]),
        ("MultiPolygon", [[ring(500250, 3999800, 100, 50)], [ring(500300, 3999600, 50, 50)]]),
        ("Polygon", [[[-74, 36], [-73.9, 36], [-73.95, 35.96], [-74, 36]]]),
    ]
    features = [
        {"type": "Feature", "properties": {"class": label}, "geometry": {"type": kind, "coordinates": coordinates}}
        for label, (kind, coordinates) in zip((1, 3, 7), shapes, strict=True)
    ]
    return {"type": "FeatureCollection", "features": features}


def test_mutated_vector_files_are_drawn_or_refused(tmp_path: Path) -> None:
    """Every fifth trial damages a GeoPackage, all others a GeoJSON; each is used as labels and as land."""
    places = [
        read_place(make_geo_tiff(tmp_path / "map.tif", pixels())),
        read_place(make_gcp_tiff(tmp_path / "gcp.tif", pixels())),
    ]
    (tmp_path / "sound.geojson").write_text(json.dumps(labels_file()))
    sound = read_labels(tmp_path / "sound.geojson")
    assert [LabelMask(sound, place, (40, 53)).n_polygons for place in places] == [2, 1]
    fields = {"fields": ["class"], "field_data": [sound.classes.astype(np.int32)], "crs": "EPSG:4326"}
    package = tmp_path / "sound.gpkg"
    pyogrio.raw.write(package, shapely.to_wkb(sound.polygons), geometry_type="MultiPolygon", driver="GPKG", **fields)
    trials = Trials(seed=20)

    def use(path: Path) -> None:
        labels = read_labels(path)
        for place in places:
            LabelMask(labels, place, (40, 53)).read(*WHOLE)

    def use_land(path: Path) -> None:
        for place in places:
            LandMask(path, place, (40, 53)).read(*WHOLE)

    for i, rng in trials.rngs(soak.trials(small=40, full=1250)):
        path = tmp_path / ("mutated.gpkg" if i % 5 == 4 else "mutated.geojson")
        path.write_bytes(damaged(package.read_bytes(), rng) if i % 5 == 4 else mutated_json(labels_file(), rng))
        trials.run(f"trial {i}, labels", lambda path=path: use(path))
        trials.run(f"trial {i}, land", lambda path=path: use_land(path))
    soak.record("A damaged vector file is drawn or refused", trials.figures())
