"""Tests of `seep_monai.dataset.plan`: six scenes of two tiles, 8 x 8 px, class 1 + (scene % 7) in one pixel."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seep_monai.dataset.plan import Plan, audit_data, make_plan, whole_plan
from seep_monai.dataset.split import SplitSettings
from seep_monai.errors import ConfigError, DataError

N_SCENES = 6
FOLDS = SplitSettings(n_folds=3)


@pytest.fixture
def folder(write_pairs: Callable[..., Path]) -> Path:
    pairs = {}
    for scene in range(N_SCENES):
        for number in (1, 2):
            mask = np.zeros((8, 8), np.uint8)
            mask[0, 0] = scene + 1
            pairs[f"{scene:03}.{number}"] = (np.full((8, 8), 100 * (scene + 1), np.uint16), mask)
    return write_pairs(pairs)


def plan_of(folder: Path, settings: SplitSettings = FOLDS, dataset_dir: Path | None = None) -> Plan:
    images, masks = folder / "train_images_256", folder / "train_masks_256"
    return make_plan(dataset_dir or folder, images, masks, settings, size_multiple=8)


def entry(name: str, **other: str) -> dict[str, str]:
    return {"image": f"train_images_256/{name}.tif", "label": f"train_masks_256/{name}.tif", **other}


def with_file(folder: Path, content: Any, **settings: Any) -> SplitSettings:
    path = folder / "split.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return SplitSettings(split_file=str(path), **settings)


def names(plan: Plan, part: str) -> list[str]:
    return [tile.name for tile in plan.parts[part]]


TWO_LISTS = {"training": [entry("000.1"), entry("000.2")], "validation": [entry("001.2")]}


def test_make_plan_levels_cover_all_scenes(folder: Path) -> None:
    plan = plan_of(folder)
    assert plan.scene_levels == {f"{scene:03}": 100.0 * (scene + 1) for scene in range(N_SCENES)}
    assert sum(len(tiles) for tiles in plan.parts.values()) == 2 * N_SCENES


def test_leaky_split_by_scene_false(folder: Path) -> None:
    assert not plan_of(folder).leaky


def test_leaky_split_by_tile_true(folder: Path) -> None:
    assert plan_of(folder, SplitSettings(split_by="tile", allow_leak=True)).leaky


def test_leaky_split_by_tile_where_every_tile_is_its_own_scene_true(folder: Path) -> None:
    plan = plan_of(folder, SplitSettings(split_by="tile", allow_leak=True, scene_pattern="(.*)"))
    assert plan.leaky


def test_leaky_all_tiles_in_one_part_false(folder: Path) -> None:
    settings = SplitSettings(split_by="tile", allow_leak=True)
    audit = audit_data(folder / "train_images_256", folder / "train_masks_256", settings, size_multiple=8)
    plan = whole_plan(folder, audit, settings)
    assert not plan.leaky
    assert len(plan.tiles("test")) == len(plan.tiles("all")) == 2 * N_SCENES


def test_items_of_a_part_have_absolute_paths_and_level(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    settings = with_file(folder, {"training": [entry("002.1")], "validation": [entry("001.2")]})
    assert plan_of(Path(), settings).items("training") == [
        {
            "image": str(folder / "train_images_256" / "002.1.tif"),
            "label": str(folder / "train_masks_256" / "002.1.tif"),
            "tile": "002.1",
            "scene": "002",
            "scene_level": 300.0,
        }
    ]


def test_items_all_every_tile_of_every_part(folder: Path) -> None:
    plan = plan_of(folder)
    assert sorted(item["tile"] for item in plan.items("all")) == [
        f"{s:03}.{t}" for s in range(N_SCENES) for t in (1, 2)
    ]


def test_tiles_unknown_part_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="but got 'training2'"):
        plan_of(folder).tiles("training2")


def test_tiles_empty_part_refused_with_remedy(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no test tiles.*--split#n_folds"):
        plan_of(folder, SplitSettings(n_folds=1)).tiles("test")


def test_to_json_is_json_with_relative_paths_and_counts(folder: Path) -> None:
    plan = plan_of(folder, with_file(folder, TWO_LISTS))
    content = json.loads(json.dumps(plan.to_json(), allow_nan=False))
    assert content["training"] == [entry("000.1", scene="000"), entry("000.2", scene="000")]
    assert content["validation"] == [entry("001.2", scene="001")]
    assert content["test"] == []
    assert content["counts"]["training"]["n_tiles"] == 2
    assert content["counts"]["training"]["n_scenes"] == 1
    assert content["counts"]["training"]["pixels"]["0"] == 126
    assert content["counts"]["training"]["instances"]["1"] == 2
    assert content["counts"]["validation"]["tiles"]["2"] == 1
    assert content["scene_levels"]["005"] == 600.0
    assert content["left_out"] == []
    assert content["leaky"] is False
    assert content["settings"]["split_file"] == str(folder / "split.json")


def test_to_json_settings_give_the_settings_back(folder: Path) -> None:
    plan = plan_of(folder)
    assert SplitSettings(**json.loads(json.dumps(plan.to_json()))["settings"]) == FOLDS


def test_split_file_of_to_json_gives_the_same_plan(folder: Path) -> None:
    plan = plan_of(folder)
    again = plan_of(folder, with_file(folder, plan.to_json()))
    assert again.parts == plan.parts
    assert again.fingerprint == plan.fingerprint


@pytest.mark.parametrize("linked", [False, True])
def test_split_file_of_to_json_images_outside_dataset_dir_gives_the_same_plan(folder: Path, linked: bool) -> None:
    other = folder / "deep" / "down" / "dataset"
    other.mkdir(parents=True)
    if linked:
        (folder / "link").symlink_to(other)
        other = folder / "link"
    plan = plan_of(folder, dataset_dir=other)
    again = plan_of(folder, with_file(folder, plan.to_json()), dataset_dir=other)
    assert again.parts == plan.parts


def test_split_file_absolute_paths_behind_a_link_accepted(folder: Path) -> None:
    (folder / "link").symlink_to(folder)
    lists = {
        part: [{key: str(folder / "link" / path) for key, path in e.items()} for e in entries]
        for part, entries in TWO_LISTS.items()
    }
    assert names(plan_of(folder, with_file(folder, lists)), "training") == ["000.1", "000.2"]


def test_split_file_tiles_that_are_links_to_one_file_kept_apart(folder: Path) -> None:
    for kind in ("images", "masks"):
        path = folder / f"train_{kind}_256" / "001.2.tif"
        path.unlink()
        path.symlink_to(folder / f"train_{kind}_256" / "000.1.tif")
    plan = plan_of(folder, with_file(folder, TWO_LISTS))
    assert (names(plan, "training"), names(plan, "validation")) == (["000.1", "000.2"], ["001.2"])


def test_split_file_accepted_in_its_order_with_unlisted_tiles_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lists = {"training": [entry("003.2"), entry("000.1")], "validation": [entry("001.2")], "test": [entry("005.1")]}
    with caplog.at_level(logging.WARNING):
        plan = plan_of(folder, with_file(folder, lists))
    assert names(plan, "training") == ["003.2", "000.1"]
    assert names(plan, "test") == ["005.1"]
    assert "names 4 of 12 tiles; in no part are: 000.2, 001.1" in caplog.text


def test_split_file_entries_with_image_alone_accepted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    lists = {part: [{"image": e["image"]} for e in entries] for part, entries in TWO_LISTS.items()}
    plan = plan_of(Path(folder.name), with_file(folder, lists))
    assert [tile.mask.name for tile in plan.parts["validation"]] == ["001.2.tif"]


def test_split_file_missing_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.json: expected a JSON split file.*No such file"):
        plan_of(folder, SplitSettings(split_file=str(folder / "nowhere.json")))


@pytest.mark.parametrize("text", ["{", "", "\x00"])
def test_split_file_bad_json_refused(folder: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"split\.json: expected a JSON split file"):
        plan_of(folder, with_file(folder, text))


def test_split_file_bytes_that_are_no_text_refused(folder: Path) -> None:
    (folder / "split.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"split\.json: expected a JSON split file"):
        plan_of(folder, SplitSettings(split_file=str(folder / "split.json")))


@pytest.mark.parametrize("content", [[], {}, {"training": [entry("000.1")]}, {**TWO_LISTS, "training": []}])
def test_split_file_without_two_lists_refused(folder: Path, content: Any) -> None:
    with pytest.raises(DataError, match='non-empty lists "training" and "validation"'):
        plan_of(folder, with_file(folder, content))


@pytest.mark.parametrize(
    "bad", [["000.1.tif"], [{"label": "x.tif"}], [{"image": 5}], [entry("000.1", scene=0)], "x", 7]
)  # type: ignore[arg-type]
def test_split_file_bad_entries_refused_with_what_came(folder: Path, bad: Any) -> None:
    wrong = bad[0] if isinstance(bad, list) else bad
    with pytest.raises(DataError, match=r'expected entries .* in "test"') as caught:
        plan_of(folder, with_file(folder, {**TWO_LISTS, "test": bad}))
    assert repr(wrong) in str(caught.value)


def test_split_file_test_list_null_is_empty(folder: Path) -> None:
    assert plan_of(folder, with_file(folder, {**TWO_LISTS, "test": None})).parts["test"] == ()


def test_split_file_tile_in_two_parts_refused(folder: Path) -> None:
    lists = {"training": [entry("000.1"), entry("001.1")], "validation": [entry("001.1")]}
    with pytest.raises(DataError, match=r"found several times: 001\.1\."):
        plan_of(folder, with_file(folder, lists, allow_leak=True))


def test_split_file_tiles_not_in_the_data_set_counted_and_named(folder: Path) -> None:
    lists = {**TWO_LISTS, "test": [entry("009.1"), entry("003.1"), entry("009.2")]}
    with pytest.raises(DataError, match=r"2 of its images are not in .*009\.1\.tif, .*009\.2\.tif\. .*--dataset_dir"):
        plan_of(folder, with_file(folder, lists))


def test_split_file_label_of_another_tile_refused(folder: Path) -> None:
    lists = {**TWO_LISTS, "test": [{**entry("003.1"), "label": "train_masks_256/003.2.tif"}]}
    with pytest.raises(DataError, match=r"1 entries contradict the data set: .*003\.1\.tif with label .*003\.2\.tif"):
        plan_of(folder, with_file(folder, lists))


def test_split_file_other_scene_than_the_pattern_gives_refused(folder: Path) -> None:
    lists = {**TWO_LISTS, "test": [entry("003.1", scene="west")]}
    with pytest.raises(DataError, match=r"003\.1\.tif of scene 'west' \(by --scene_pattern it is '003'\)"):
        plan_of(folder, with_file(folder, lists))


def test_split_file_shared_scene_without_allow_leak_refused(folder: Path) -> None:
    lists = {"training": [entry("000.1"), entry("001.1")], "validation": [entry("000.2")]}
    with pytest.raises(DataError, match=r"1 are in several: 000.*--split#allow_leak True"):
        plan_of(folder, with_file(folder, lists))


def test_split_file_shared_scene_with_allow_leak_marked_leaky(folder: Path) -> None:
    lists = {"training": [entry("000.1"), entry("001.1")], "validation": [entry("000.2")]}
    plan = plan_of(folder, with_file(folder, lists, allow_leak=True))
    assert plan.leaky
    assert plan.to_json()["leaky"] is True


def test_split_file_names_a_tile_without_data_it_is_left_out(folder: Path, write_pairs: Callable[..., Path]) -> None:
    write_pairs({"000.1": (np.zeros((8, 8), np.uint16), np.zeros((8, 8), np.uint8))})
    plan = plan_of(folder, with_file(folder, TWO_LISTS))
    assert names(plan, "training") == ["000.2"]
    assert plan.to_json()["left_out"] == ["000.1"]


def test_fingerprint_same_data_and_settings_equal(folder: Path) -> None:
    assert plan_of(folder).fingerprint == plan_of(folder).fingerprint


def test_fingerprint_tile_moved_to_another_part_changes(folder: Path) -> None:
    plan = plan_of(folder)
    *rest, moved = plan.parts["training"]
    # The order of all tiles stays the same, only the border between two parts moves.
    parts = {**plan.parts, "training": tuple(rest), "validation": (moved, *plan.parts["validation"])}
    assert dataclasses.replace(plan, parts=parts).fingerprint != plan.fingerprint


def test_fingerprint_level_changed_changes(folder: Path, write_pairs: Callable[..., Path]) -> None:
    before = plan_of(folder)
    mask = np.zeros((8, 8), np.uint8)
    mask[0, 0] = 1
    # One of the two tiles of scene 000 goes from DN 100 to 200: the level goes from 100 to 150.
    write_pairs({"000.1": (np.full((8, 8), 200, np.uint16), mask)})
    after = plan_of(folder)
    assert after.scene_levels["000"] == 150.0
    assert names(after, "training") == names(before, "training")
    assert after.fingerprint != before.fingerprint


def extra_set(write_pairs: Callable[..., Path], folder: Path, *, scene: str = "900", size: int = 8) -> Path:
    """Two tiles with class 7, of DN 50."""
    mask = np.zeros((size, size), np.uint8)
    mask[0, :3] = 7
    image = np.full((size, size), 50, np.uint16)
    return write_pairs({f"{scene}.{number}": (image, mask) for number in (1, 2)}, folder=folder)


def with_extra(folder: Path, extra_dir: Path) -> Plan:
    images, masks = folder / "train_images_256", folder / "train_masks_256"
    return make_plan(folder, images, masks, FOLDS, size_multiple=8, extra_dir=extra_dir)


def test_extra_tiles_are_trained_on_and_in_no_part(
    folder: Path, write_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    without = plan_of(folder)
    plan = with_extra(folder, extra_set(write_pairs, tmp_path / "extra"))
    assert plan.parts == without.parts
    assert [tile.name for tile in plan.training_tiles()] == [*names(without, "training"), "900.1", "900.2"]
    assert [item["scene_level"] for item in plan.training_items()[-2:]] == [50.0, 50.0]
    assert plan.training_items()[:-2] == without.items("training") == without.training_items()
    assert [item["tile"] for item in plan.extra_items()] == ["900.1", "900.2"]


def test_extra_tiles_change_the_fingerprint_of_the_training_alone(
    folder: Path, write_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    without = plan_of(folder)
    plan = with_extra(folder, extra_set(write_pairs, tmp_path / "extra"))
    other = with_extra(folder, extra_set(write_pairs, tmp_path / "other", scene="901"))
    assert plan.fingerprint == other.fingerprint == without.fingerprint == without.training_fingerprint
    assert len({plan.training_fingerprint, other.training_fingerprint, without.fingerprint}) == 3


def test_extra_tiles_are_counted_in_the_stored_plan(
    folder: Path, write_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    extra = with_extra(folder, extra_set(write_pairs, tmp_path / "extra")).to_json()["extra"]
    assert extra["n_tiles"] == 2
    assert extra["scenes"] == ["900"]
    assert plan_of(folder).to_json()["extra"] is None


def test_extra_tiles_of_a_scene_of_the_data_set_are_refused(
    folder: Path, write_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"other scenes than the data set's, but both have 003\."):
        with_extra(folder, extra_set(write_pairs, tmp_path / "extra", scene="003"))


def test_extra_tiles_of_another_size_are_refused(
    folder: Path, write_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"size \(8, 8\), but got \(16, 16\)"):
        with_extra(folder, extra_set(write_pairs, tmp_path / "extra", size=16))


@pytest.mark.parametrize("form", ["absolute", "parents", "link"])
def test_split_file_naming_a_tile_outside_refused(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, form: str
) -> None:
    other = tmp_path_factory.mktemp("other") / "000.1.tif"
    shutil.copy(next((folder / "train_images_256").iterdir()), other)
    (folder / "link").symlink_to(other.parent)
    named = {"absolute": str(other), "parents": os.path.relpath(other, folder), "link": "link/000.1.tif"}[form]
    with pytest.raises(DataError, match="1 of its images are not in"):
        plan_of(folder, with_file(folder, {**TWO_LISTS, "test": [{"image": named}]}))


def test_split_file_label_outside_refused(folder: Path, tmp_path: Path) -> None:
    wrong = entry("003.1") | {"label": str(tmp_path / "label.tif")}
    with pytest.raises(DataError, match="1 entries contradict the data set"):
        plan_of(folder, with_file(folder, {**TWO_LISTS, "test": [wrong]}))


def test_split_file_with_nul_in_a_name_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="expected entries"):
        plan_of(folder, with_file(folder, {**TWO_LISTS, "test": [{"image": "a\0.tif"}]}))
