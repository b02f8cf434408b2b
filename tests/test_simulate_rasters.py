"""Tests of `seep_monai.simulate.rasters` with a scene that is cheap to draw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from fake_scene import FakeScene, two_slicks

from seep_monai.errors import SeepError
from seep_monai.simulate.georeference import AffineReference, NoReference, orbit_gcps
from seep_monai.simulate.rasters import block_rows, scene_files, write_scene
from seep_monai.tiff import read_tiff

UTM = AffineReference(32618, 10.0, 500000.0, 4000000.0)


def drawn(scene: FakeScene) -> tuple[np.ndarray, np.ndarray]:
    parts = [scene.draw(window) for window in block_rows(scene.shape)]
    return np.concatenate([image for image, _ in parts]), np.concatenate([mask for _, mask in parts])


def test_files_hold_what_the_scene_draws(tmp_path):
    files = write_scene(two_slicks(), tmp_path, "s1", UTM)
    image, mask = drawn(two_slicks())
    np.testing.assert_array_equal(read_tiff(files.image).array, image)
    np.testing.assert_array_equal(read_tiff(files.mask).array, mask)
    assert set(np.unique(mask)) == {0, 1, 4}


def test_files_lie_in_three_folders(tmp_path):
    write_scene(two_slicks(), tmp_path / "new", "s1", UTM)
    found = sorted(str(path.relative_to(tmp_path / "new")) for path in tmp_path.rglob("*.*"))
    assert found == ["images/s1.tif", "masks/s1.tif", "slicks/s1.geojson"]


def test_rasters_types_no_data_and_place(tmp_path):
    files = write_scene(two_slicks(), tmp_path, "s1", UTM)
    with rasterio.open(files.image) as image, rasterio.open(files.mask) as mask:
        assert (image.dtypes, image.nodata) == (("uint16",), 0)
        assert (mask.dtypes, mask.nodata) == (("uint8",), None)
        for file in (image, mask):
            assert file.crs.to_epsg() == 32618
            assert tuple(file.transform)[:6] == (10.0, 0.0, 500000.0, 0.0, -10.0, 4000000.0)
            assert file.profile["compress"] == "deflate"


def test_rasters_without_compression(tmp_path):
    files = write_scene(two_slicks(), tmp_path, "s1", UTM, compression=None)
    with rasterio.open(files.image) as image:
        assert "compress" not in image.profile
    np.testing.assert_array_equal(read_tiff(files.image).array, drawn(two_slicks())[0])


def test_rasters_with_control_points(tmp_path):
    scene = two_slicks()
    files = write_scene(scene, tmp_path, "s1", orbit_gcps(scene.shape, (-75, 36), pixel_m=10, heading_deg=192))
    with rasterio.open(files.image) as image:
        points, crs = image.gcps
    assert (len(points), crs.to_epsg()) == (231, 4326)


def test_vectors_lie_on_the_mask_file_through_the_map(tmp_path):
    files = write_scene(two_slicks(), tmp_path, "s1", UTM)
    features = json.loads(files.slicks.read_text())["features"]
    assert len(features) == 3
    with rasterio.open(files.mask) as mask:
        for feature in features:
            values = list(mask.sample(feature["geometry"]["coordinates"]))
            assert {int(value[0]) for value in values} == {feature["properties"]["class"]}


def test_each_window_is_drawn_once(tmp_path):
    scene = two_slicks((600, 700))
    write_scene(scene, tmp_path, "s1", UTM)
    assert [(rows.start, rows.stop) for rows, _ in scene.windows] == [(0, 256), (256, 512), (512, 600)]
    assert {(cols.start, cols.stop) for _, cols in scene.windows} == {(0, 700)}


def test_scene_that_is_there_is_kept(tmp_path):
    files = write_scene(two_slicks(), tmp_path, "s1", UTM)
    before = files.image.read_bytes()
    files.mask.unlink()
    with pytest.raises(SeepError, match=r"images.s1\.tif, .*s1\.geojson: the scene is there already"):
        write_scene(replace(two_slicks(), seed=1), tmp_path, "s1", UTM)
    assert files.image.read_bytes() == before
    assert not files.mask.exists()


def test_scene_that_is_there_is_replaced_on_demand(tmp_path):
    write_scene(two_slicks(), tmp_path, "s1", UTM)
    files = write_scene(replace(two_slicks(), seed=1), tmp_path, "s1", UTM, overwrite=True)
    np.testing.assert_array_equal(read_tiff(files.image).array, drawn(replace(two_slicks(), seed=1))[0])


def test_same_scene_gives_the_same_bytes(tmp_path):
    first, second = (write_scene(two_slicks(), tmp_path / name, "s1", UTM) for name in "ab")
    for one, other in zip(vars(first).values(), vars(second).values(), strict=True):
        assert one.read_bytes() == other.read_bytes()


class Failing(FakeScene):
    """Gives float pixels from the second block row on."""

    def draw(self, window):
        image, mask = super().draw(window)
        return (image if window[0].start == 0 else image.astype(np.float32)), mask


def test_scene_that_fails_half_way_leaves_no_file(tmp_path):
    with pytest.raises(SeepError, match=r"expected uint16 of shape \(44, 700\) from row 256 on, but got float32"):
        write_scene(Failing((300, 700)), tmp_path, "s1", UTM)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_georeference_that_does_not_fit_writes_nothing(tmp_path):
    with pytest.raises(SeepError, match="Make the points for this scene's shape"):
        write_scene(two_slicks(), tmp_path, "s1", orbit_gcps((10, 10), (-75, 36), pixel_m=10, heading_deg=192))
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_file_raises(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SeepError, match=r"expected a folder to write to, but got (Not a directory|File exists)"):
        write_scene(two_slicks(), tmp_path / "file", "s1", NoReference())


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b"])
def test_name_that_is_no_file_name_raises(name):
    with pytest.raises(SeepError, match="name: expected a file name"):
        scene_files(Path("folder"), name)
