"""Tiles from rasters and polygons; slices of the rasters are the independent truth."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import shapely
from scene_places import random_mask, seeps_of, write_polygons
from tiff_files import make_tiff

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.dataset.audit import audit_pairs
from seep_monai.dataset.pairs import find_pairs
from seep_monai.dataset.pixel_size import recorded_pixel_size
from seep_monai.errors import DataError, SeepError
from seep_monai.scene.cut_tiles import CutSettings, cut_tiles
from seep_monai.scene.labels import Labels, read_labels
from seep_monai.scene.place import read_place
from seep_monai.scene.vector_files import write_seeps
from seep_monai.simulate.georeference import AffineReference, orbit_gcps
from seep_monai.tiff import read_tiff, valid_mask

SHAPE = (150, 230)
SMALL = CutSettings(tile_px=64)
UTM = AffineReference(32616, 40.0, 500_000.0, 3_000_000.0)


def image_of(shape: tuple[int, int] = SHAPE, dtype: str = "uint16") -> np.ndarray:
    """Different values everywhere, without no-data."""
    return (1 + np.random.default_rng(5).random(shape) * 200).astype(dtype)


def written_raster(path: Path, image: np.ndarray, place: AffineReference | None = UTM, **profile: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    return make_tiff(path, image, **({} if place is None else place.raster_place(image.shape[-2:])), **profile)


def box_of(rows: slice, columns: slice, place: AffineReference = UTM) -> shapely.Polygon:
    """The polygon round pixels."""
    x, y, size = place.upper_left_x, place.upper_left_y, place.pixel_size
    return shapely.box(x + size * columns.start, y - size * rows.stop, x + size * columns.stop, y - size * rows.start)


def labels_of(path: Path, *boxes: tuple[int, slice, slice], place: AffineReference = UTM) -> Labels:
    shapes = [box_of(rows, columns, place) for _, rows, columns in boxes]
    return read_labels(write_polygons(path, shapes, f"EPSG:{place.epsg}", **{"class": [box[0] for box in boxes]}))


@pytest.fixture
def one(tmp_path: Path) -> tuple[Path, Labels]:
    """A raster, and labels in its tiles 1, 4 and 12 of three rows of four."""
    raster = written_raster(tmp_path / "in" / "s.1.tif", image_of())
    boxes = [(3, slice(5, 9), slice(7, 30)), (7, slice(3, 50), slice(200, 260)), (2, slice(149, 150), slice(229, 230))]
    return raster, labels_of(tmp_path / "labels.gpkg", *boxes)


def numbers(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "train_images_256").iterdir())


def tile(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    return tuple(read_tiff(folder / f"train_{kind}_256" / f"{name}.tif").array for kind in ("images", "masks"))


def test_tiles_are_the_windows_of_the_grid_filled_with_no_data(one: tuple[Path, Labels], tmp_path: Path) -> None:
    cut_tiles([one[0]], one[1], tmp_path / "out", CutSettings(tile_px=64, empty_share=0))
    assert numbers(tmp_path / "out") == ["s_1.000001", "s_1.000004", "s_1.000012"]
    image, mask = image_of(), np.zeros(SHAPE, np.uint8)
    mask[5:9, 7:30], mask[3:50, 200:], mask[149, 229] = 3, 7, 2
    for number, (rows, columns) in {1: (0, 0), 4: (0, 192), 12: (128, 192)}.items():
        found, labels = tile(tmp_path / "out", f"s_1.{number:06d}")
        part = np.s_[rows : rows + 64, columns : columns + 64]
        margin = [(0, 64 - size) for size in image[part].shape]
        np.testing.assert_array_equal(found, np.pad(image[part], margin))
        np.testing.assert_array_equal(labels, np.pad(mask[part], margin))
        assert (found.dtype, labels.dtype) == (np.uint16, np.uint8)


def test_training_takes_the_tiles(one: tuple[Path, Labels], tmp_path: Path) -> None:
    cut_tiles([one[0]], one[1], tmp_path / "out", SMALL)
    pairs = find_pairs(tmp_path / "out" / "train_images_256", tmp_path / "out" / "train_masks_256")
    assert {pair.scene for pair in pairs} == {"s_1"}
    checked = audit_pairs(pairs, size_multiple=16)
    assert len(checked.tiles) == len(pairs)


@pytest.mark.parametrize("georeference", ["affine", "control points"])
def test_written_seeps_cut_again_are_their_mask(tmp_path: Path, georeference: str) -> None:
    place = UTM if georeference == "affine" else orbit_gcps(SHAPE, (-90.0, 27.0), pixel_m=40.0, heading_deg=348.0)
    raster = make_tiff(tmp_path / "s.tif", image_of(), **place.raster_place(SHAPE))
    mask = random_mask(SHAPE)
    paths = write_seeps(
        tmp_path / "s", seeps_of(mask), read_place(raster), DEFAULT_CLASS_NAMES, scene="s", model_sha256=""
    )
    for path in paths:
        cut_tiles([raster], read_labels(path), tmp_path / path.suffix, SMALL)
        masks = [tile(tmp_path / path.suffix, f"s.{number:06d}")[1] for number in range(1, 13)]
        again = np.block([masks[:4], masks[4:8], masks[8:]])
        np.testing.assert_array_equal(again[: SHAPE[0], : SHAPE[1]], mask)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_share_of_tiles_without_a_label(tmp_path: Path, share: float) -> None:
    raster = written_raster(tmp_path / "s.tif", image_of((640, 640)))
    labels = labels_of(tmp_path / "a.gpkg", (1, slice(10, 12), slice(0, 600)))
    cut_tiles([raster], labels, tmp_path / "out", CutSettings(tile_px=64, empty_share=share, seed=1))
    n_labelled = 10
    n_empty = {0.1: 1, 0.5: 10, 0.9: 90}[share]
    assert len(numbers(tmp_path / "out")) == n_labelled + n_empty
    record = json.loads((tmp_path / "out" / "tiles.json").read_text())
    assert (record["scenes"][0]["n_tiles"], record["scenes"][0]["n_labelled"]) == (n_labelled + n_empty, n_labelled)


def test_choice_depends_on_the_seed_alone(tmp_path: Path) -> None:
    raster = written_raster(tmp_path / "s.tif", image_of((640, 640)))
    labels = labels_of(tmp_path / "a.gpkg", (1, slice(10, 12), slice(0, 600)))
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        cut_tiles([raster], labels, tmp_path / name, CutSettings(tile_px=64, empty_share=0.5, seed=seed))
        found.append(numbers(tmp_path / name))
    assert found[0] == found[1] != found[2]


def test_tiles_with_little_data_are_no_empty_tiles(tmp_path: Path) -> None:
    image = image_of((128, 192))
    image[:, 64:128] = 0
    image[:64, 64:80] = 9  # exactly a quarter
    image[64:, 64:79] = 9
    raster = written_raster(tmp_path / "s.tif", image)
    labels = labels_of(tmp_path / "a.gpkg", (1, slice(0, 64), slice(0, 64)))
    cut_tiles([raster], labels, tmp_path / "out", CutSettings(tile_px=64, empty_share=0.9))
    assert numbers(tmp_path / "out") == [f"s.{n:06d}" for n in (1, 2, 3, 4, 6)]


def test_labels_on_no_data_are_background(tmp_path: Path) -> None:
    image = image_of((64, 128))
    image[:, 100:], image[:, :30] = 0, 0
    raster = written_raster(tmp_path / "s.tif", image)
    labels = labels_of(tmp_path / "a.gpkg", (4, slice(8, 16), slice(0, 40)), (5, slice(8, 16), slice(110, 128)))
    cut_tiles([raster], labels, tmp_path / "out", CutSettings(tile_px=64, empty_share=0))
    assert numbers(tmp_path / "out") == ["s.000001"]
    mask = tile(tmp_path / "out", "s.000001")[1]
    assert not mask[:, :30].any()
    assert (mask[8:16, 30:40] == 4).all()


def test_another_no_data_value_becomes_0_and_a_valid_0_becomes_1(tmp_path: Path) -> None:
    image = image_of((64, 64))
    image[0], image[1] = 65535, 0
    raster = written_raster(tmp_path / "s.tif", image, nodata=65535)
    cut_tiles([raster], labels_of(tmp_path / "a.gpkg", (1, slice(9, 12), slice(0, 64))), tmp_path / "out", SMALL)
    found = read_tiff(tmp_path / "out" / "train_images_256" / "s.000001.tif")
    assert found.no_data is None
    assert (found.array[0] == 0).all()
    assert (found.array[1] == 1).all()
    np.testing.assert_array_equal(found.array[2:], image[2:])


def test_floats_declare_nan_as_no_data(tmp_path: Path) -> None:
    image = image_of((64, 80), "float32")
    image[0] = -1
    raster = written_raster(tmp_path / "s.tif", image, nodata=-1)
    labels = labels_of(tmp_path / "a.gpkg", (1, slice(9, 12), slice(0, 80)))
    cut_tiles([raster], labels, tmp_path / "out", CutSettings(tile_px=64))
    found = read_tiff(tmp_path / "out" / "train_images_256" / "s.000002.tif")
    assert found.array.dtype == np.float32
    expected = np.zeros((64, 64), bool)
    expected[1:, :16] = True
    np.testing.assert_array_equal(valid_mask(found.array, found.no_data), expected)


def test_pixels_joined_to_a_size_are_the_mean_power(tmp_path: Path) -> None:
    image = image_of((256, 256))
    raster = written_raster(tmp_path / "s.tif", image)
    labels = labels_of(tmp_path / "a.gpkg", (6, slice(0, 20), slice(0, 30)))
    cut_tiles([raster], labels, tmp_path / "out", CutSettings(tile_px=64, pixel_size_m=90, empty_share=0))
    found, mask = tile(tmp_path / "out", "s.000001")
    blocks = image[:128, :128].astype(float).reshape(64, 2, 64, 2)
    np.testing.assert_allclose(found, np.sqrt((blocks**2).mean(axis=(1, 3))), rtol=1e-6)
    assert found.dtype == np.float32
    assert (mask[:10, :15] == 6).all()
    assert mask.sum() == 6 * 150
    record = json.loads((tmp_path / "out" / "tiles.json").read_text())
    assert record["scenes"][0]["factor"] == 2
    # Pixels of 40 m by the map, within .1 % of metres on the ground.
    assert recorded_pixel_size(tmp_path / "out") == record["pixel_size_m"] == pytest.approx(80, rel=1e-3)


def test_land_and_border_noise_are_no_data(tmp_path: Path) -> None:
    raster = written_raster(tmp_path / "in" / "s.tif", image_of())
    labels = labels_of(tmp_path / "labels.gpkg", (3, slice(20, 30), slice(20, 60)))
    land = write_polygons(tmp_path / "land.gpkg", [box_of(slice(0, 64), slice(40, 50))], "EPSG:32616")
    settings = CutSettings(tile_px=64, empty_share=0, border_noise_px=2, land=str(land))
    cut_tiles([raster], labels, tmp_path / "out", settings)
    image, mask = tile(tmp_path / "out", "s.000001")
    known = np.ones((64, 64), bool)
    known[:2], known[:, :2], known[:, 40:50] = False, False, False
    assert ((image > 0) == known).all()
    expected = np.zeros((64, 64), np.uint8)
    expected[20:30, 20:60] = 3
    assert (mask == expected * known).all()


def test_band_is_chosen(tmp_path: Path) -> None:
    image = image_of((64, 64))
    raster = written_raster(tmp_path / "s.tif", np.stack([image, image + 1]))
    labels = labels_of(tmp_path / "a.gpkg", (6, slice(0, 20), slice(0, 30)))
    cut_tiles([raster], labels, tmp_path / "out", CutSettings(tile_px=64, band=2))
    np.testing.assert_array_equal(tile(tmp_path / "out", "s.000001")[0], image + 1)
    with pytest.raises(DataError, match="but it has 2 and none is chosen"):
        cut_tiles([raster], labels, tmp_path / "out2", SMALL)


def test_labels_of_several_rasters_and_one_raster_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    east = AffineReference(32616, 40.0, 600_000.0, 3_000_000.0)
    north = AffineReference(32616, 40.0, 500_000.0, 3_100_000.0)
    places = {"a": UTM, "b": east, "c": north}
    rasters = [written_raster(tmp_path / f"{name}.tif", image_of(), place) for name, place in places.items()]
    shapes = [box_of(slice(0, 9), slice(0, 200), place) for place in (UTM, east)]
    labels = read_labels(write_polygons(tmp_path / "a.gpkg", shapes, "EPSG:32616", **{"class": [1, 2]}))
    with caplog.at_level(logging.WARNING):
        cut_tiles(rasters, labels, tmp_path / "out", CutSettings(tile_px=64, empty_share=0.6))
    names = numbers(tmp_path / "out")
    assert [tile(tmp_path / "out", f"{name}.000001")[1].max() for name in "ab"] == [1, 2]
    assert any(name.startswith("c.") for name in names)
    assert "c.tif: no label lies on it" in caplog.text
    record = json.loads((tmp_path / "out" / "tiles.json").read_text())
    assert [scene["scene"] for scene in record["scenes"]] == ["a", "b", "c"]
    # Within .1 % of the map's 40 m.
    assert record["scenes"][2].pop("pixel_size_m") == pytest.approx(40, rel=1e-3)
    assert record["scenes"][2] == {
        "scene": "c",
        "raster": str(tmp_path / "c.tif"),
        "shape": [150, 230],
        "columns": 4,
        "factor": 1,
        "n_tiles": sum(name.startswith("c.") for name in names),
        "n_labelled": 0,
    }


def refused(tmp_path: Path, rasters: list[Path], labels: Labels, message: str, **options: object) -> None:
    """Nothing is left behind."""
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(SeepError, match=message):
        cut_tiles(rasters, labels, tmp_path / "out", **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_labels_beside_all_rasters_are_refused(one: tuple[Path, Labels], tmp_path: Path) -> None:
    labels = labels_of(tmp_path / "far.gpkg", (1, slice(9000, 9010), slice(0, 9)))
    refused(tmp_path, [one[0]], labels, r"far\.gpkg: expected labels on the rasters, .*s\.1\.tif")


def test_labels_on_no_data_alone_are_refused(tmp_path: Path) -> None:
    image = image_of()
    image[:, :40] = 0
    raster = written_raster(tmp_path / "s.tif", image)
    labels = labels_of(tmp_path / "a.gpkg", (1, slice(0, 9), slice(0, 40)))
    refused(tmp_path, [raster], labels, "none of the 1 polygons covers a pixel with data")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_raster_without_georeference_and_labels_with_one_are_refused(one: tuple[Path, Labels], tmp_path: Path) -> None:
    raster = written_raster(tmp_path / "bare.tif", image_of(), None)
    refused(tmp_path, [one[0], raster], one[1], r"bare\.tif: .*labels\.gpkg: .*raster has none")


def test_scenes_of_the_same_name_are_refused(one: tuple[Path, Labels], tmp_path: Path) -> None:
    other = written_raster(tmp_path / "in" / "s_1.tif", image_of())
    refused(tmp_path, [one[0], other], one[1], r"s_1\.tif: expected one raster per scene, but .*s\.1\.tif")


def test_damaged_raster_is_refused(one: tuple[Path, Labels], tmp_path: Path) -> None:
    content = one[0].read_bytes()
    one[0].write_bytes(content[: len(content) // 3])
    refused(tmp_path, [one[0]], one[1], r"s\.1\.tif: ")


def test_smaller_pixels_than_the_raster_s_are_refused(one: tuple[Path, Labels], tmp_path: Path) -> None:
    settings = CutSettings(pixel_size_m=10)
    refused(tmp_path, [one[0]], one[1], r"s\.1\.tif: pixel_size_m: .*40 m, but got 10", settings=settings)


def test_folder_that_holds_files_is_kept_unless_overwritten(one: tuple[Path, Labels], tmp_path: Path) -> None:
    out = tmp_path / "out"
    cut_tiles([one[0]], one[1], out, CutSettings(tile_px=64, empty_share=0))
    refused(tmp_path, [one[0]], one[1], r"out: expected a new or empty folder, .*--overwrite", settings=SMALL)
    cut_tiles([one[0]], one[1], out, CutSettings(tile_px=128, empty_share=0), overwrite=True)
    assert numbers(out) == ["s_1.000001", "s_1.000002", "s_1.000004"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "labels.gpkg", "out"]


def test_failure_keeps_the_older_tiles(one: tuple[Path, Labels], tmp_path: Path) -> None:
    out = tmp_path / "out"
    cut_tiles([one[0]], one[1], out, CutSettings(tile_px=64, empty_share=0))
    labels = labels_of(tmp_path / "far.gpkg", (1, slice(9000, 9010), slice(0, 9)))
    refused(tmp_path, [one[0]], labels, "expected labels on the rasters", settings=SMALL, overwrite=True)
    assert len(numbers(out)) == 3


def test_folder_of_other_things_is_never_overwritten(one: tuple[Path, Labels], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("mine")
    refused(tmp_path, [one[0]], one[1], r"out: .*tiles\.json to overwrite", overwrite=True)


@pytest.mark.parametrize(
    "wrong",
    [{"tile_px": 8}, {"tile_px": 250}, {"empty_share": 1.0}, {"empty_share": -0.1}, {"seed": -1}, {"pixel_size_m": 0}],
)
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(SeepError, match=rf"{next(iter(wrong))}: expected"):
        CutSettings(**wrong)
