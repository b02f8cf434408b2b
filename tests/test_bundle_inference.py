"""Inference by the bundle on a tiny data set: the maps that it writes and the settings that it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import tifffile
from bundle_runs import evaluate, infer, message_of
from rasterio.features import rasterize
from tiny_data import SIZE_PX

from seep_monai.tiff import read_tiff, write_tiff

pytestmark = pytest.mark.usefixtures("closed_log")


def test_inference_writes_two_maps_per_tile(dataset: Path, trained: Path, tmp_path: Path) -> None:
    infer(dataset / "train_images_256", trained, tmp_path)
    assert len(list(tmp_path.glob("*_classes.tif"))) == len(list(tmp_path.glob("*_probability.tif"))) == 18
    with rasterio.open(tmp_path / "000000.000001_classes.tif") as classes:
        assert (classes.dtypes[0], classes.nodata) == ("uint8", 255)
        assert (classes.read(1)[:8] == 255).all()
        assert classes.read(1)[8:].max() <= 7
    with rasterio.open(tmp_path / "000000.000001_probability.tif") as probability:
        assert probability.dtypes[0] == "float32"
        assert np.isnan(probability.nodata)
        assert np.isnan(probability.read(1)[:8]).all()
        assert 0 <= probability.read(1)[8:].min() <= probability.read(1)[8:].max() <= 1


@pytest.mark.parametrize("tta", [False, True])
def test_inference_gives_the_class_map_that_evaluation_scores(
    dataset: Path, trained: Path, tmp_path: Path, tta: bool
) -> None:
    scored = evaluate(dataset, trained, output_dir=str(tmp_path / "eval"), tta=tta)
    infer(dataset / "train_images_256", trained, tmp_path, instances__score_threshold=0, tta=tta)
    plan = json.loads((trained / "models" / "model.json").read_text())["plan"]
    hits = areas = 0
    for entry in plan["test"]:
        truth = read_tiff(dataset / entry["label"]).array > 0
        labels = read_tiff(tmp_path / f"{Path(entry['image']).stem}_classes.tif").array
        known = labels != 255
        hits += 2 * int((truth & known & (labels > 0)).sum())
        areas += int((truth & known).sum()) + int((known & (labels > 0)).sum())
    assert hits / areas == pytest.approx(scored["seep"]["dice"], abs=1e-3)


def test_inference_in_another_mode_is_not_cut_at_the_point_of_the_trained_one(
    dataset: Path, learned: Path, tmp_path: Path
) -> None:
    source = dataset / "train_images_256" / "000001.000002.tif"
    chosen = json.loads((learned / "models" / "model.json").read_text())["operating_point"]["instances"]["threshold"]
    found = {}
    for mode in (None, "class", "object"):
        infer(source, learned, tmp_path, instances__mode=mode)
        written = json.loads(read_tiff(tmp_path / "000001.000002_classes.tif").description or "")
        found[mode] = (written["instance_settings"]["mode"], written["instance_settings"]["score_threshold"])
    assert found == {None: ("class", chosen), "class": ("class", chosen), "object": ("object", 0.0)}


def test_inference_of_one_file_by_a_given_level_writes_the_level(dataset: Path, trained: Path, tmp_path: Path) -> None:
    infer(dataset / "train_images_256" / "000001.000002.tif", trained, tmp_path, scene_level=12345)
    description = json.loads(read_tiff(tmp_path / "000001.000002_classes.tif").description or "")
    assert description["scene_level"] == 12345
    assert description["weights_sha256"] == json.loads((trained / "models" / "model.json").read_text())["sha256"]


def test_inference_of_a_larger_image_runs_in_windows(dataset: Path, trained: Path, tmp_path: Path) -> None:
    tiles = [read_tiff(path).array for path in sorted((dataset / "train_images_256").glob("000001.*"))]
    write_tiff(tmp_path / "wide.tif", np.concatenate(tiles, axis=1)[:50])
    infer(tmp_path / "wide.tif", trained, tmp_path / "out")
    assert read_tiff(tmp_path / "out" / "wide_classes.tif").array.shape == (50, 3 * SIZE_PX)


def test_inference_into_the_input_folder_is_refused(dataset: Path, trained: Path) -> None:
    source = dataset / "train_images_256"
    assert "is the input folder" in message_of(infer, source, trained, source)
    assert not list(source.glob("*_classes.tif"))


def test_inference_with_a_band_reads_that_of_an_image_with_two(dataset: Path, trained: Path, tmp_path: Path) -> None:
    source = dataset / "train_images_256" / "000001.000002.tif"
    image = read_tiff(source).array
    two = tmp_path / "two" / source.name
    two.parent.mkdir()
    tifffile.imwrite(two, np.stack([np.full_like(image, 9), image]), photometric="minisblack", planarconfig="separate")
    infer(source, trained, tmp_path / "one", scene_level=20000)
    infer(two, trained, tmp_path / "second", scene_level=20000, band=2)
    one, second = (read_tiff(tmp_path / name / "000001.000002_probability.tif").array for name in ("one", "second"))
    assert (one == second).all()
    assert "expected one band, but got 2 bands" in message_of(infer, two, trained, tmp_path / "none")


def test_inference_with_another_band_than_the_training_names_both(dataset: Path, trained: Path, tmp_path: Path) -> None:
    models = shutil.copytree(trained / "models", tmp_path / "models")
    description = json.loads((models / "model.json").read_text())
    (models / "model.json").write_text(json.dumps(description | {"band": 1}))
    message = message_of(infer, dataset / "train_images_256", tmp_path, tmp_path / "out", band=2)
    assert "band: model.json says 1, but got 2" in message


def test_inference_of_nothing_names_the_option(trained: Path, tmp_path: Path) -> None:
    assert "--input" in message_of(infer, tmp_path / "nowhere", trained, tmp_path)


def test_inference_of_a_raster_writes_polygons_on_the_map(learned: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((100, 150), bool)
    mask[40:44, 20:120] = True
    image = (20000 * rng.gamma(30, 1 / 30, mask.shape) * np.where(mask, 0.5, 1)).astype(np.uint16)
    affine = rasterio.Affine(40.0, 0.0, 500_000.0, 0.0, -40.0, 6_600_000.0)
    place = {"crs": "EPSG:32631", "transform": affine}
    source = tmp_path / "coast.tif"
    with rasterio.open(source, "w", driver="GTiff", height=100, width=150, count=1, dtype="uint16", **place) as target:
        target.write(image, 1)
    infer(source, learned, tmp_path / "out", instances__score_threshold=0)

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "coast.html",
        "coast_classes.tif",
        "coast_probability.tif",
        "coast_seeps.geojson",
        "coast_seeps.gpkg",
    ]
    meta, _, geometry, fields = pyogrio.raw.read(tmp_path / "out" / "coast_seeps.gpkg")
    polygons = shapely.from_wkb(geometry)
    with rasterio.open(tmp_path / "out" / "coast_classes.tif") as file:
        drawn = file.read(1)
        painted = rasterize([(shape, 1) for shape in polygons], out_shape=drawn.shape, transform=file.transform)
    # Plain components: the polygons are what the map shows.
    assert painted.any()
    assert (painted > 0).tolist() == ((drawn > 0) & (drawn < 255)).tolist()
    columns = dict(zip(meta["fields"], fields, strict=True))
    assert columns["area_km2"] == pytest.approx(shapely.area(polygons) / 1e6, rel=2e-3)


def test_pixels_of_a_raster_are_joined_to_those_of_the_training(
    learned: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(learned / "models", weights / "models")
    description = json.loads((weights / "models" / "model.json").read_text())
    (weights / "models" / "model.json").write_text(json.dumps(description | {"pixel_size_m": 40.0}))
    image = (20000 * np.random.default_rng(0).gamma(30, 1 / 30, (200, 240))).astype(np.uint16)
    place = {"crs": "EPSG:32631", "transform": rasterio.Affine(20.0, 0.0, 500_000.0, 0.0, -20.0, 6_600_000.0)}
    source = tmp_path / "coast.tif"
    with rasterio.open(source, "w", driver="GTiff", height=200, width=240, count=1, dtype="uint16", **place) as target:
        target.write(image, 1)
    shapes = {}
    for name, size in (("trained", {}), ("native", {"pixel_size_m": "native"}), ("given", {"pixel_size_m": 80})):
        infer(source, weights, tmp_path / name, **size)
        with rasterio.open(tmp_path / name / "coast_classes.tif") as drawn:
            shapes[name] = drawn.shape

    assert shapes == {"trained": (100, 120), "native": (200, 240), "given": (50, 60)}
    # Its own size is half of what can be had from pixels of 20 m: an error if given, a warning if it is the training's.
    (weights / "models" / "model.json").write_text(json.dumps(description | {"pixel_size_m": 10.0}))
    assert "but got 10" in message_of(infer, source, weights, tmp_path / "error", pixel_size_m=10)
    infer(source, weights, tmp_path / "coarse")
    assert "the weights were trained on pixels of 10 m" in caplog.text


def test_inference_as_something_unknown_names_the_choices(dataset: Path, trained: Path, tmp_path: Path) -> None:
    message = message_of(infer, dataset / "train_images_256", trained, tmp_path, **{"as": "scene"})
    assert "as: expected one of auto, tile, raster, but got 'scene'" in message


def test_inference_of_a_tile_as_a_raster_draws_the_same(learned: Path, dataset: Path, tmp_path: Path) -> None:
    source = dataset / "train_images_256" / "000001.000002.tif"
    infer(source, learned, tmp_path / "tile", scene_level=20000)
    infer(source, learned, tmp_path / "raster", scene_level=20000, **{"as": "raster"})
    maps = {}
    for kind in ("tile", "raster"):
        with rasterio.open(tmp_path / kind / "000001.000002_classes.tif") as file:
            maps[kind] = file.read(1)
    assert (maps["tile"] == maps["raster"]).all()
    with rasterio.open(tmp_path / "raster" / "000001.000002_probability.tif") as file:
        probability = file.read(1, masked=True) * file.scales[0]
    expected = read_tiff(tmp_path / "tile" / "000001.000002_probability.tif").array
    assert np.nanmax(np.abs(probability - expected)) <= 1 / 500 + 1e-6
    assert (probability.mask == np.isnan(expected)).all()


def test_inference_of_rasters_goes_on_after_a_broken_one(learned: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "c"):
        write_tiff(folder / f"{name}.tif", rng.integers(15000, 25000, (50, 70)).astype(np.uint16))
    (folder / "b.tif").write_bytes((folder / "a.tif").read_bytes()[:3000])
    message = message_of(infer, folder, learned, out)

    assert "1 of 3 rasters failed" in message
    assert "b.tif: " in message
    assert sorted(path.name for path in out.glob("*_seeps.gpkg")) == ["a_seeps.gpkg", "c_seeps.gpkg"]
    assert not list(out.glob("b*"))
    assert not list(out.glob(".*"))

    written = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    (folder / "b.tif").unlink()
    infer(folder, learned, out, resume=True)
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == written
    for changed in ({"instances__min_size_px": 3}, {"instances__min_size_px": 3, "border_noise_px": 1}):
        before = (out / "a_classes.tif").stat().st_mtime_ns
        infer(folder, learned, out, resume=True, **changed)
        assert (out / "a_classes.tif").stat().st_mtime_ns != before


def test_inference_of_tiles_and_rasters_together(
    learned: Path, dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    shutil.copy(dataset / "train_images_256" / "000001.000002.tif", folder)
    write_tiff(folder / "coast.tif", np.random.default_rng(0).integers(15000, 25000, (90, 150)).astype(np.uint16))
    infer(folder, learned, out, border_noise_px=2)
    assert sorted(path.name for path in out.iterdir()) == [
        "000001.000002_classes.tif",
        "000001.000002_probability.tif",
        "coast.html",
        "coast_classes.tif",
        "coast_probability.tif",
        "coast_seeps.gpkg",
    ]
    assert "no effect on the 1 images that are no larger than a training tile" in caplog.text
    with rasterio.open(out / "coast_classes.tif") as file:
        assert (file.read(1)[:2] == 255).all()
        assert (file.read(1)[2:-2, 2:-2] < 255).all()
