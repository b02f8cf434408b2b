"""Tests of `seep_monai.dataset.audit`; counts by hand, and by scipy's labelling."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from seep_monai.dataset.audit import Audit, audit_pairs
from seep_monai.dataset.pairs import find_pairs
from seep_monai.errors import DataError
from seep_monai.tiff import write_tiff

WritePairs = Callable[..., Path]


def sea(value: int = 100, shape: tuple[int, int] = (8, 8), dtype: str = "uint16") -> np.ndarray:
    return np.full(shape, value, dtype)


def mask(shape: tuple[int, int] = (8, 8), **pixels: tuple[int, int]) -> np.ndarray:
    """Background with single pixels: `mask(k3=(0, 1))` has class 3 at row 0, column 1."""
    labels = np.zeros(shape, np.uint8)
    for name, place in pixels.items():
        labels[place] = int(name[1])
    return labels


def audit(folder: Path) -> Audit:
    return audit_pairs(find_pairs(folder / "train_images_256", folder / "train_masks_256"), size_multiple=8)


def test_audit_pairs_good_tiles_recorded_in_order_of_names(write_pairs: WritePairs) -> None:
    folder = write_pairs({"b.1": (sea(), mask()), "a.2": (sea(shape=(8, 8)), mask()), "a.1": (sea(), mask())})
    tiles = audit(folder).tiles
    assert [(tile.name, tile.scene, tile.shape) for tile in tiles] == [
        ("a.1", "a", (8, 8)),
        ("a.2", "a", (8, 8)),
        ("b.1", "b", (8, 8)),
    ]
    assert tiles[0].image == folder / "train_images_256" / "a.1.tif"
    assert tiles[0].mask == folder / "train_masks_256" / "a.1.tif"


def test_audit_pairs_names_of_scenes_interleaved_tiles_stay_in_order_of_names(write_pairs: WritePairs) -> None:
    folder = write_pairs({f"t{i}_{'ab'[i % 2]}": (sea(10 * (i + 1)), mask()) for i in range(4)})
    pairs = find_pairs(folder / "train_images_256", folder / "train_masks_256", scene_pattern=r".*_(.)")
    found = audit_pairs(pairs, size_multiple=8)
    assert [tile.name for tile in found.tiles] == ["t0_a", "t1_b", "t2_a", "t3_b"]
    # Scene a has the tiles of 10 and 30, scene b those of 20 and 40, each with 64 px.
    assert found.scene_levels == {"a": 20.0, "b": 30.0}


def test_audit_pairs_class_pixels_counted_by_hand_without_no_data(write_pairs: WritePairs) -> None:
    image, labels = sea(), np.zeros((8, 8), np.uint8)
    labels[0, :4], labels[2, :3], labels[4] = 1, 7, 2
    image[0, :1], image[7] = 0, 0
    found = audit(write_pairs({"a.1": (image, labels)})).tiles[0]
    # 64 px less 9 without data less 3 + 3 + 8 seep pixels.
    assert found.class_pixels == (41, 3, 8, 0, 0, 0, 0, 3)


def test_audit_pairs_diagonal_pixels_one_instance_and_classes_apart(write_pairs: WritePairs) -> None:
    labels = mask(k3=(0, 0)) + mask(k3=(1, 1)) + mask(k3=(5, 5)) + mask(k4=(2, 2))
    assert audit(write_pairs({"a.1": (sea(), labels)})).tiles[0].class_instances == (0, 0, 2, 1, 0, 0, 0)


def test_audit_pairs_no_data_cuts_an_instance_in_two(write_pairs: WritePairs) -> None:
    image, labels = sea(), np.zeros((8, 8), np.uint8)
    labels[3], image[:, 4] = 5, 0
    assert audit(write_pairs({"a.1": (image, labels)})).tiles[0].class_instances == (0, 0, 0, 0, 2, 0, 0)


def test_audit_pairs_random_masks_instances_equal_scipy(write_pairs: WritePairs) -> None:
    rng = np.random.default_rng(4)
    pairs = {f"a.{i}": (sea(), (rng.integers(0, 20, (8, 8)) % 9 % 8).astype(np.uint8)) for i in range(10)}
    for tile in audit(write_pairs(pairs)).tiles:
        labels = pairs[tile.name][1]
        expected = [ndimage.label(labels == k, np.ones((3, 3)))[1] for k in range(1, 8)]
        assert tile.class_instances == tuple(expected)


def test_audit_pairs_scene_level_is_numpy_median_over_all_its_valid_pixels(write_pairs: WritePairs) -> None:
    rng = np.random.default_rng(5)
    images = {name: rng.integers(0, 50, (8, 8)).astype(np.uint16) for name in ("a.1", "a.2", "b.1")}
    found = audit(write_pairs({name: (image, mask()) for name, image in images.items()}))
    scene_a = np.concatenate([images["a.1"].ravel(), images["a.2"].ravel()])
    assert found.scene_levels == {
        "a": np.median(scene_a[scene_a > 0]),
        "b": np.median(images["b.1"][images["b.1"] > 0]),
    }


def test_audit_pairs_tile_without_data_left_out_and_said(
    write_pairs: WritePairs, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_pairs({"a.1": (sea(), mask()), "a.2": (sea(0), mask(k1=(0, 0))), "b.1": (sea(0), mask())})
    with caplog.at_level(logging.WARNING):
        found = audit(folder)
    assert [tile.name for tile in found.tiles] == ["a.1"]
    assert found.left_out == ("a.2", "b.1")
    assert found.scene_levels == {"a": 100.0}
    assert "2 of 3 tiles are all no-data and are left out: a.2, b.1" in caplog.text


def test_audit_pairs_no_tile_with_data_refused(write_pairs: WritePairs) -> None:
    with pytest.raises(DataError, match="all 2 are all no-data"):
        audit(write_pairs({"a.1": (sea(0), mask()), "a.2": (sea(0), mask())}))


def test_audit_pairs_declared_value_is_no_data_instead_of_zero(write_pairs: WritePairs) -> None:
    image = sea(100)
    image[0], image[1] = 7, 0
    found = audit(write_pairs({"a.1": (image, mask())}, no_data=7))
    assert sum(found.tiles[0].class_pixels) == 56


def test_audit_pairs_declared_nan_is_no_data(write_pairs: WritePairs) -> None:
    image = sea(100, dtype="float32")
    image[0] = np.nan
    found = audit(write_pairs({"a.1": (image, mask(k1=(0, 0)))}, no_data=float("nan")))
    assert found.tiles[0].class_pixels == (56, 0, 0, 0, 0, 0, 0, 0)
    assert found.scene_levels == {"a": 100.0}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_audit_pairs_undeclared_nan_or_infinity_refused(write_pairs: WritePairs, value: float) -> None:
    image = sea(100, dtype="float32")
    image[2, 1:4] = value
    with pytest.raises(DataError, match=r"a\.1\.tif: expected finite values, but 3 pixels"):
        audit(write_pairs({"a.1": (image, mask())}))


def test_audit_pairs_infinity_beside_declared_nan_refused(write_pairs: WritePairs) -> None:
    image = sea(100, dtype="float32")
    image[0], image[1, 0] = np.nan, np.inf
    with pytest.raises(DataError, match="but 1 pixels"):
        audit(write_pairs({"a.1": (image, mask())}, no_data=float("nan")))


def test_audit_pairs_sizes_of_image_and_mask_differ_refused(write_pairs: WritePairs) -> None:
    with pytest.raises(DataError, match=r"masks_256/a\.1\.tif: .*size \(8, 8\), but got \(8, 16\)"):
        audit(write_pairs({"a.1": (sea(), mask((8, 16)))}))


def test_audit_pairs_size_no_multiple_of_eight_refused(write_pairs: WritePairs) -> None:
    with pytest.raises(DataError, match=r"images_256/a\.1\.tif: .*multiples of 8 px .*but got \(8, 12\)"):
        audit(write_pairs({"a.1": (sea(shape=(8, 12)), mask((8, 12)))}))


def test_audit_pairs_unequal_tile_sizes_names_those_unlike_most(write_pairs: WritePairs) -> None:
    pairs = {f"a.{i}": (sea(), mask()) for i in (1, 2)} | {"a.3": (sea(shape=(16, 8)), mask((16, 8)))}
    with pytest.raises(DataError, match=r"a\.3\.tif: expected the size \(8, 8\) of most tiles, but got \(16, 8\)"):
        audit(write_pairs(pairs))


def test_audit_pairs_mask_values_above_seven_file_and_values_named(write_pairs: WritePairs) -> None:
    labels = mask(k7=(0, 0))
    labels[1, 1], labels[2, :2] = 8, 255
    with pytest.raises(DataError, match=r"masks_256/a\.1\.tif: .*1\.\.7, but found 8, 255\."):
        audit(write_pairs({"a.1": (sea(), labels)}))


def test_audit_pairs_fractions_in_float_mask_refused(write_pairs: WritePairs) -> None:
    labels = mask().astype(np.float32)
    labels[0, 0] = 1.5
    with pytest.raises(DataError, match=r"but found 1\.5\."):
        audit(write_pairs({"a.1": (sea(), labels)}))


def test_audit_pairs_truncated_file_refused_by_name(write_pairs: WritePairs) -> None:
    folder = write_pairs({"a.1": (sea(), mask())})
    path = folder / "train_images_256" / "a.1.tif"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"images_256/a\.1\.tif: .*truncated"):
        audit(folder)


def test_audit_pairs_file_that_is_no_tiff_refused_by_name(write_pairs: WritePairs) -> None:
    folder = write_pairs({"a.1": (sea(), mask())})
    (folder / "train_masks_256" / "a.1.tif").write_text("not a picture")
    with pytest.raises(DataError, match=r"masks_256/a\.1\.tif: expected a readable TIFF"):
        audit(folder)


def test_audit_pairs_several_bands_refused_by_name(write_pairs: WritePairs) -> None:
    folder = write_pairs({"a.1": (sea(), mask())})
    tifffile.imwrite(folder / "train_images_256" / "a.1.tif", np.ones((8, 8, 3), np.uint16))
    with pytest.raises(DataError, match=r"images_256/a\.1\.tif: expected one band, but got 3"):
        audit(folder)


def test_audit_pairs_decibel_scene_refused_by_name(write_pairs: WritePairs) -> None:
    pairs = {"a.1": (sea(), mask()), "b.1": (sea(-20, dtype="int16"), mask())}
    with pytest.raises(DataError, match=r"scene b: expected a level .* above 0, but got -20\. .*not decibel"):
        audit(write_pairs(pairs))


def test_audit_pairs_integer_and_float_tiles_of_one_scene_refused(write_pairs: WritePairs) -> None:
    pairs = {"a.1": (sea(), mask()), "a.2": (sea(dtype="float32"), mask())}
    with pytest.raises(DataError, match="scene a: expected tiles of integers or of floats"):
        audit(write_pairs(pairs))


def test_audit_pairs_faults_of_several_files_all_in_one_error(write_pairs: WritePairs) -> None:
    wrong = mask()
    wrong[0, 0] = 9
    pairs = {
        "a.1": (sea(), wrong),
        "a.2": (sea(), mask((16, 8))),
        "a.3": (sea(), mask()),
        "b.1": (sea(-20, dtype="int16"), mask()),
        "c.1": (sea(shape=(16, 16)), mask((16, 16))),
    }
    with pytest.raises(DataError, match="4 faults in 5 pairs") as caught:
        audit(write_pairs(pairs))
    for part in ("but found 9", "but got (16, 8)", "scene b: expected a level", "but got (16, 16)"):
        assert part in str(caught.value)
    assert "a.3" not in str(caught.value)


def test_audit_pairs_two_faults_of_one_pair_both_told(write_pairs: WritePairs) -> None:
    labels = mask((8, 12))
    labels[0, 0] = 9
    with pytest.raises(DataError, match=r"(?s)multiples of 8.*but found 9"):
        audit(write_pairs({"a.1": (sea(shape=(8, 12)), labels)}))


def test_audit_pairs_twelve_faults_ten_told_all_logged(
    write_pairs: WritePairs, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = mask()
    wrong[0, 0] = 9
    names = [f"a.{i:02}" for i in range(12)]
    folder = write_pairs({name: (sea(), wrong) for name in names})
    with caplog.at_level(logging.ERROR), pytest.raises(DataError, match="12 faults in 12 pairs") as caught:
        audit(folder)
    assert [name for name in names if f"{name}.tif" in str(caught.value)] == names[:10]
    assert [name for name in names if f"{name}.tif" in caplog.text] == names


def test_audit_pairs_no_data_in_mask_tag_changes_nothing(write_pairs: WritePairs) -> None:
    folder = write_pairs({"a.1": (sea(), mask(k1=(0, 0)))})
    write_tiff(folder / "train_masks_256" / "a.1.tif", mask(k1=(0, 0)), no_data=0)
    assert audit(folder).tiles[0].class_pixels == (63, 1, 0, 0, 0, 0, 0, 0)


def test_audit_pairs_pixels_of_unknown_class_count_for_the_level_alone(write_pairs: WritePairs) -> None:
    image, labels = sea(), mask(k3=(0, 1))
    image[4:] = 300
    image[7] = 301
    labels[4:] = 255
    folder = write_pairs({"a.1": (image, labels)})
    write_tiff(folder / "train_masks_256/a.1.tif", labels, no_data=255)
    found = audit(folder)
    assert found.tiles[0].class_pixels == (31, 0, 0, 1, 0, 0, 0, 0)
    # 32 pixels of 100, 24 of 300 and 8 of 301.
    assert found.scene_levels == {"a": 200.0}


def test_audit_pairs_palette_and_bits_as_images_refused(write_pairs: WritePairs) -> None:
    folder = write_pairs({"a.1": (sea(), mask()), "a.2": (sea(), mask())})
    colours = np.zeros((3, 256), np.uint16)
    images = folder / "train_images_256"
    tifffile.imwrite(images / "a.1.tif", sea(dtype="uint8"), photometric="palette", colormap=colours)
    tifffile.imwrite(images / "a.2.tif", sea() > 1)
    with pytest.raises(DataError, match=r"a\.1\.tif: .*a palette.*-expand gray.*a\.2\.tif: .*one bit a pixel"):
        audit(folder)
