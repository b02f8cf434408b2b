"""Tests of `seep_monai.simulate.rasters` with a scene that is cheap to draw."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from child_python import printed_by
from fake_scene import FakeScene, two_slicks

from seep_monai.errors import SeepError
from seep_monai.rectangles import row_blocks
from seep_monai.simulate.georeference import AffineReference, NoReference, orbit_gcps
from seep_monai.simulate.rasters import _new_raster, scene_files, write_scene
from seep_monai.tiff import read_tiff

UTM = AffineReference(32618, 10.0, 500000.0, 4000000.0)


def drawn(scene: FakeScene) -> tuple[np.ndarray, np.ndarray]:
    parts = [scene.draw(window) for window in row_blocks(scene.shape, 256)]
    return np.concatenate([image for image, _ in parts]), np.concatenate([mask for _, mask in parts])


def all_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


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
            assert file.block_shapes == [(256, 256)]


@pytest.mark.parametrize("shape", [(1, 1), (255, 3), (256, 256), (257, 256), (256, 257), (512, 1)])
def test_rasters_of_shapes_around_a_tile_read_back(tmp_path, shape):
    scene = FakeScene(shape)
    files = write_scene(scene, tmp_path, "s1", UTM)
    np.testing.assert_array_equal(read_tiff(files.image).array, drawn(scene)[0])
    with rasterio.open(files.image) as image:
        np.testing.assert_array_equal(image.read(1), drawn(scene)[0])


def test_rasters_that_lie_nowhere_have_no_place(tmp_path, recwarn):
    files = write_scene(two_slicks(), tmp_path, "s1", NoReference())
    assert not recwarn
    assert (read_tiff(files.image).geo_tags, read_tiff(files.image).no_data) == ({}, 0)
    assert (read_tiff(files.mask).geo_tags, read_tiff(files.mask).no_data) == ({}, None)


def test_raster_that_may_pass_four_gibibytes_is_a_bigtiff(tmp_path):
    # 50000 x 50000 px of two bytes; tiles that nobody writes take no place.
    with _new_raster(tmp_path / "a.tif", (50000, 50000), "uint16", sparse_ok=True):
        pass
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff


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
        assert (image.crs, image.nodata) == (None, 0)
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
    with pytest.raises(SeepError, match=r"images.s1\.tif, .*s1\.geojson: the scene exists already"):
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


def failing(change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> FakeScene:
    """A scene of 300 x 700 px whose image and mask are changed from the second block row on."""

    class Failing(FakeScene):
        def draw(self, window):
            image, mask = super().draw(window)
            return (image, mask) if window[0].start == 0 else change(image, mask)

    return Failing((300, 700))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda image, mask: (image.astype(np.float32), mask),
            r"uint16 of shape \(44, 700\) from row 256 on.* float32",
        ),
        (lambda image, mask: (image, mask.astype(bool)), r"uint8 of shape \(44, 700\) from row 256 on.* bool"),
        (lambda image, mask: (image[1:], mask), r"uint16 of shape \(44, 700\).* shape \(43, 700\)"),
        (lambda image, mask: (image, mask[:, 1:]), r"uint8 of shape \(44, 700\).* shape \(44, 699\)"),
        (lambda image, mask: (image[None], mask), r"uint16 of shape \(44, 700\).* shape \(1, 44, 700\)"),
    ],
)
def test_scene_that_fails_half_way_leaves_no_file(tmp_path, change, message):
    with pytest.raises(SeepError, match=f"expected {message}"):
        write_scene(failing(change), tmp_path, "s1", UTM)
    assert all_files(tmp_path) == []


def test_scene_that_fails_half_way_leaves_the_older_files_alone(tmp_path):
    write_scene(two_slicks(), tmp_path, "s1", UTM)
    before = {path: path.read_bytes() for path in all_files(tmp_path)}
    with pytest.raises(SeepError, match="expected uint8"):
        write_scene(failing(lambda image, mask: (image, mask[1:])), tmp_path, "s1", UTM, overwrite=True)
    assert {path: path.read_bytes() for path in all_files(tmp_path)} == before


def test_files_appear_at_the_end_only(tmp_path):
    class Watching(FakeScene):
        def draw(self, window):
            assert all(path.name.startswith(".") for path in all_files(tmp_path))
            return super().draw(window)

    write_scene(Watching((600, 700)), tmp_path, "s1", UTM)
    assert len(all_files(tmp_path)) == 3


@pytest.mark.parametrize("compression", ["deflate", None])
def test_scene_on_a_full_disk_raises_and_leaves_no_file(tmp_path, compression):
    files = write_scene(two_slicks((300, 500)), tmp_path / "whole", "s1", UTM, compression=compression)
    size = files.image.stat().st_size
    # The last bytes are the ones that are written on closing, of which GDAL raises no error.
    limits = [size - missing for missing in (1, 50, 300, 5000, 20000, size // 2, size - 10000)]
    # No file may be larger than the limit, as on a full disk.
    new = tmp_path / "new"
    printed = printed_by(
        "import resource, signal",
        "from test_simulate_rasters import *",
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)",
        f"for limit in {limits}:",
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))",
        "    try:",
        f"        write_scene(two_slicks((300, 500)), {str(new)!r}, 's1', UTM, compression={compression!r})",
        "    except SeepError as error:",
        "        print(error)",
    )
    assert [("space" in line) for line in printed.splitlines()] == [True] * len(limits)
    assert all_files(new) == []


def test_memory_stays_at_a_row_of_tiles(tmp_path):
    # 40 rows of 16 tiles: 84 MB of image and 42 MB of mask, 3 MB a row. The peak is asked for at the fifth row and at
    # the last one.
    printed = printed_by(
        "import resource",
        "from test_simulate_rasters import *",
        "class Tall(FakeScene):",
        "    def draw(self, window):",
        "        if window[0].start in (4 * 256, 39 * 256):",
        "            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)",
        "        image = np.arange(256 * 4096, dtype=np.uint16).reshape(256, 4096)",
        "        return image, image.astype(np.uint8)",
        f"write_scene(Tall((40 * 256, 4096)), {str(tmp_path)!r}, 's1', UTM)",
    )
    early_kib, late_kib = map(int, printed.split())
    assert late_kib - early_kib < 16 * 1024


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
