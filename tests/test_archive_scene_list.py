"""What may stand in the list of an archive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seep_monai.archive.attempts import ListedScene
from seep_monai.archive.scene_list import Shard, find_scenes
from seep_monai.errors import ConfigError, DataError

S1 = "S1A_IW_GRDH_1SDV_20230415T143012_20230415T143037_048103_05C86E_8A4B"


def touched(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def item(name: str, href: str, asset: str = "vv", **properties: Any) -> dict[str, Any]:
    assets = {"thumbnail": {"href": "a.png", "type": "image/png"}, asset: {"href": href, "type": "image/tiff"}}
    return {"type": "Feature", "id": name, "properties": properties, "assets": assets}


def test_folders_patterns_text_files_and_safe_folders_are_listed(tmp_path: Path) -> None:
    touched(tmp_path / "x" / "b.tif", tmp_path / "x" / "a.vrt", tmp_path / "y" / "c1.tif", tmp_path / "y" / "d.tif")
    (tmp_path / "z" / f"{S1}.SAFE").mkdir(parents=True)
    (tmp_path / "list.txt").write_text(f"# scenes\nx\n\ny/c*.tif\nz/{S1}.SAFE\n{tmp_path}/y/d.tif\n")
    found = find_scenes([str(tmp_path / "list.txt")])
    assert found == [
        ListedScene(S1, tmp_path / "z" / f"{S1}.SAFE", None, "sentinel-1a"),
        *(ListedScene(p.stem, p) for p in (tmp_path / "x" / "a.vrt", tmp_path / "x" / "b.tif")),
        *(ListedScene(p.stem, p) for p in (tmp_path / "y" / "c1.tif", tmp_path / "y" / "d.tif")),
    ]
    assert find_scenes([str(tmp_path / "x"), str(tmp_path / "y" / "d.tif")])[2].name == "d"


def test_stac_items_give_name_time_and_platform(tmp_path: Path) -> None:
    touched(tmp_path / "one" / "iw-vv.tiff", tmp_path / "two" / "iw-vv.tiff", tmp_path / "my scene.tif")
    features = [
        item("S1_one", "./one/iw-vv.tiff", datetime="2023-04-15T16:30:12.5+02:00", platform="sentinel-1b"),
        item(S1, str(tmp_path / "two" / "iw-vv.tiff"), datetime=None, start_datetime="2023-04-15T14:30:12Z"),
        item("third", f"file://{tmp_path}/my%20scene.tif", asset="picture"),
    ]
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert find_scenes([str(tmp_path / "items.json")]) == [
        ListedScene(S1, tmp_path / "two" / "iw-vv.tiff", "2023-04-15T14:30:12Z", "sentinel-1a"),
        ListedScene("S1_one", tmp_path / "one" / "iw-vv.tiff", "2023-04-15T14:30:12Z", "sentinel-1b"),
        ListedScene("third", tmp_path / "my scene.tif"),
    ]
    (tmp_path / "one.geojson").write_text(json.dumps(features[0]))
    assert [scene.name for scene in find_scenes([str(tmp_path / "one.geojson")])] == ["S1_one"]


def test_missing_files_are_counted_and_ten_are_named(tmp_path: Path) -> None:
    touched(tmp_path / "here.tif")
    names = ["here.tif", *(f"gone_{k:02d}.tif" for k in range(14))]
    (tmp_path / "list.txt").write_text("\n".join(names))
    with pytest.raises(DataError, match=r"14 of 15 listed paths .*gone_00\.tif.*gone_09\.tif and 4 more.*nothing was"):
        find_scenes([str(tmp_path / "list.txt")])
    (tmp_path / "items.json").write_text(json.dumps(item("a", "gone.tif")))
    with pytest.raises(DataError, match=r"1 of 1 listed paths do not exist: .*gone\.tif"):
        find_scenes([str(tmp_path / "items.json")])


def test_lists_that_cannot_be_used_name_the_reason(tmp_path: Path) -> None:
    touched(tmp_path / "x" / "a.tif", tmp_path / "y" / "a.tif")
    with pytest.raises(DataError, match="one image per name, but several are named a"):
        find_scenes([str(tmp_path / "x"), str(tmp_path / "y")])
    file = tmp_path / "items.json"
    for content, message in (
        (
            {"type": "FeatureCollection", "features": [item("a", "x/a.tif"), item("a", "y/a.tif")]},
            "several are named a",
        ),
        (item("a", "https://far/away.tif"), r"images on disk, but item a is at https"),
        (item("../a", "x/a.tif"), "names of files"),
        ({"type": "Feature", "id": "a", "assets": {"one": {}, "two": {}}}, "it has one, two"),
        ({"features": 3}, "expected a STAC item or item collection"),
        (item("a", "x/a.tif", datetime="noon"), "expected a STAC item or item collection"),
    ):
        file.write_text(json.dumps(content))
        with pytest.raises(DataError, match=message):
            find_scenes([str(file)])


def test_shards_hold_each_scene_once() -> None:
    scenes = [ListedScene(str(k), Path(f"/{k}.tif")) for k in range(7)]
    parts = [Shard.parse(f"{k}/3").of(scenes) for k in range(3)]
    assert [len(part) for part in parts] == [3, 2, 2]
    assert sorted((scene for part in parts for scene in part), key=lambda scene: scene.name) == scenes
    assert Shard.parse("0/1").label == ""
    assert Shard.parse("2/3").label == "-2-of-3"
    for text in ("3/3", "1", "-1/3", "a/b"):
        with pytest.raises(ConfigError, match="expected I/N with I from 0 to N - 1"):
            Shard.parse(text)
