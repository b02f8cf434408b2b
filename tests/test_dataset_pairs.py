"""Tests of `seep_monai.dataset.pairs`; the files are empty, for only their names count here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from seep_monai.dataset.pairs import Pair, find_pairs, scenes_of
from seep_monai.errors import ConfigError, DataError


def touch(folder: Path, names: Sequence[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_find_pairs_equal_names_paired_in_order_of_names(tmp_path: Path) -> None:
    images = touch(tmp_path / "i", ["b.000001.tif", "a.000002.tif", "a.000010.tif", "readme.txt"])
    masks = touch(tmp_path / "m", ["a.000010.tif", "b.000001.tif", "a.000002.tif"])
    assert find_pairs(images, masks) == [
        Pair("a.000002", "a", images / "a.000002.tif", masks / "a.000002.tif"),
        Pair("a.000010", "a", images / "a.000010.tif", masks / "a.000010.tif"),
        Pair("b.000001", "b", images / "b.000001.tif", masks / "b.000001.tif"),
    ]


def test_find_pairs_suffixes_of_any_kind_paired(tmp_path: Path) -> None:
    images, masks = touch(tmp_path / "i", ["a.1.TIF", "a.2.tiff"]), touch(tmp_path / "m", ["a.1.tif", "a.2.tif"])
    assert [(pair.image.name, pair.mask.name) for pair in find_pairs(images, masks)] == [
        ("a.1.TIF", "a.1.tif"),
        ("a.2.tiff", "a.2.tif"),
    ]


def test_find_pairs_scene_pattern_groups_by_its_group(tmp_path: Path) -> None:
    names = ["S1A_0418_r1_c1.tif", "S1A_0418_r1_c2.tif", "S1B_0007_r1_c1.tif"]
    images, masks = touch(tmp_path / "i", names), touch(tmp_path / "m", names)
    pairs = find_pairs(images, masks, scene_pattern=r"(S1[AB]_\d+)_r")
    assert [pair.scene for pair in pairs] == ["S1A_0418", "S1A_0418", "S1B_0007"]


@pytest.mark.parametrize(("missing", "option"), [("i", "--images_dir"), ("m", "--masks_dir")])
def test_find_pairs_missing_folder_error_names_it_and_the_remedies(tmp_path: Path, missing: str, option: str) -> None:
    for folder in {"i", "m"} - {missing}:
        touch(tmp_path / folder, ["a.1.tif"])
    with pytest.raises(DataError, match=r"seep-monai simulate") as caught:
        find_pairs(tmp_path / "i", tmp_path / "m")
    assert str(tmp_path / missing) in str(caught.value)
    assert option in str(caught.value)
    assert "--dataset_dir" in str(caught.value)


@pytest.mark.parametrize("content", [[], ["readme.txt", "a.1.png"]])
def test_find_pairs_folder_without_tiff_error_names_it(tmp_path: Path, content: list[str]) -> None:
    images, masks = touch(tmp_path / "i", content), touch(tmp_path / "m", ["a.1.tif"])
    with pytest.raises(DataError, match="found none") as caught:
        find_pairs(images, masks)
    assert str(images) in str(caught.value)


@pytest.mark.parametrize(("whole", "part"), [("i", "m"), ("m", "i")])
def test_find_pairs_twelve_without_counterpart_counted_ten_named_all_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, whole: str, part: str
) -> None:
    names = [f"a.{i:06}" for i in range(13)]
    touch(tmp_path / whole, [f"{name}.tif" for name in names])
    touch(tmp_path / part, [f"{names[0]}.tif"])
    with caplog.at_level(logging.ERROR), pytest.raises(DataError, match=r"none for 12: .* and 2 more") as caught:
        find_pairs(tmp_path / "i", tmp_path / "m")
    assert [name for name in names if name in str(caught.value)] == names[1:11]
    assert [name for name in names if name in caplog.text] == names[1:]
    assert str(tmp_path / part) in str(caught.value)


def test_find_pairs_images_and_masks_alone_both_in_one_error(tmp_path: Path) -> None:
    images = touch(tmp_path / "i", ["a.1.tif", "only_image.tif"])
    masks = touch(tmp_path / "m", ["a.1.tif", "only_mask.tif"])
    with pytest.raises(DataError, match=r"(?s)only_image.*only_mask"):
        find_pairs(images, masks)


def test_find_pairs_tif_and_tiff_of_one_name_error_names_both(tmp_path: Path) -> None:
    images = touch(tmp_path / "i", ["a.1.tif", "a.1.tiff", "a.2.tif"])
    masks = touch(tmp_path / "m", ["a.1.tif", "a.2.tif"])
    with pytest.raises(DataError, match=r"a\.1\.tif and a\.1\.tiff"):
        find_pairs(images, masks)


@pytest.mark.parametrize("pattern", ["([", 418])
def test_scenes_of_no_regular_expression_config_error(pattern: object) -> None:
    with pytest.raises(ConfigError, match="scene_pattern: expected a regular expression"):
        scenes_of(["a.1"], pattern)  # type: ignore[arg-type]


@pytest.mark.parametrize(("pattern", "n_groups"), [(r"\d+", 0), (r"(\d)(\d)", 2)])
def test_scenes_of_other_than_one_group_error_counts_them(pattern: str, n_groups: int) -> None:
    with pytest.raises(ConfigError, match=f"got {n_groups} in"):
        scenes_of(["12.1"], pattern)


@pytest.mark.parametrize("pattern", [r"(\d+)", r"(\d*)"])
def test_scenes_of_names_without_scene_error_names_only_these(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"in 2 of 3: x\.1, y\.1\."):
        scenes_of(["12.1", "x.1", "y.1"], pattern)


def test_find_pairs_files_that_macos_adds_are_no_images(tmp_path: Path) -> None:
    images, masks = touch(tmp_path / "i", ["a.1.tif", "._a.1.tif"]), touch(tmp_path / "m", ["a.1.tif", "._b.1.tif"])
    assert [pair.name for pair in find_pairs(images, masks)] == ["a.1"]
