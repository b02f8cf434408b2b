"""The scenes of an archive: from files, folders, patterns, text files and STAC item collections on disk."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from seep_monai.archive.attempts import ListedScene
from seep_monai.errors import ConfigError, DataError, listed
from seep_monai.scene.items import find_inputs

# Source: names of Sentinel-1 products, and of the files in them.
_SENTINEL_1 = re.compile(r"^s1([a-d])[-_]", re.IGNORECASE)
# Choice: VV shows films best. The other keys are those of collections with one image an item.
_ASSET_KEYS = ("vv", "VV", "data", "image")
_SIGNS = "*?["


@dataclass(frozen=True)
class Shard:
    """One of several runs that share a list: every `n`-th scene from `index` on, which counts from 0."""

    index: int = 0
    n: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard of `I/N`.

        Raises:
            ConfigError: for another form, or if I is not in 0..N-1.

        >>> Shard.parse("2/10")
        Shard(index=2, n=10)
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if found is None or not int(found[1]) < int(found[2]):
            raise ConfigError(f"shard: expected I/N with I from 0 to N - 1, such as 0/10, but got {text!r}.")
        return cls(int(found[1]), int(found[2]))

    @property
    def label(self) -> str:
        """Part of the names of its files; empty for the only shard."""
        return "" if self.n == 1 else f"-{self.index}-of-{self.n}"

    def of(self, scenes: Sequence[ListedScene]) -> list[ListedScene]:
        """Its scenes."""
        return list(scenes[self.index :: self.n])


WHOLE = Shard()


def find_scenes(words: Sequence[str]) -> list[ListedScene]:
    """The scenes of a list, sorted by name.

    Args:
        words: files, folders, patterns such as `DIR/*.tif`, text files (`.txt`) of these, one a line, and STAC items or
            item collections (`.json`, `.geojson`). Relative paths in a file start at its folder.

    Raises:
        DataError: if files are missing (all are counted), there is no scene, two scenes have the same name, or a STAC
            file cannot be used.
    """
    plain, scenes = [], []
    for path in (path for word in words for path in _expanded(Path(word))):
        if path.suffix.lower() in (".json", ".geojson") and path.is_file():
            scenes += _stac_scenes(path)
        else:
            plain.append(path)
    missing = [str(path) for path in plain if not _is_pattern(path) and not path.exists()]
    missing += [str(scene.path) for scene in scenes if not scene.path.exists()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(plain) + len(scenes)} listed paths do not exist: {listed(missing)}. Correct the "
            "list; nothing was started."
        )
    if plain:
        rasters = find_inputs(plain, treat_as="raster").rasters
        scenes += [ListedScene(path.stem, path.absolute(), None, platform_of(path.stem)) for path in rasters]
    twice = sorted(name for name, count in Counter(scene.name for scene in scenes).items() if count > 1)
    if twice:
        raise DataError(f"{words[0]}: expected one scene per name, but several are named {listed(twice)}. Rename them.")
    return sorted(scenes, key=lambda scene: scene.name)


def platform_of(name: str) -> str | None:
    """The satellite in the name of a Sentinel-1 product, as STAC writes it.

    >>> platform_of("S1A_IW_GRDH_1SDV_20230415T143012_20230415T143037_048103_05C86E_8A4B")
    'sentinel-1a'
    """
    found = _SENTINEL_1.match(name)
    return None if found is None else f"sentinel-1{found[1].lower()}"


def _expanded(path: Path) -> Iterator[Path]:
    """The paths in a text file; any other path as it is."""
    if path.suffix.lower() != ".txt" or not path.is_file():
        yield path
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text and not text.startswith("#"):
            yield path.parent / text


def _is_pattern(path: Path) -> bool:
    return any(sign in path.name for sign in _SIGNS)


def _stac_scenes(path: Path) -> list[ListedScene]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        items = content["features"] if content["type"] == "FeatureCollection" else [content]
        return [_stac_scene(item, path) for item in items]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: expected a STAC item or item collection, but it cannot be read as one ({error!r})."
        ) from error


def _stac_scene(item: Mapping[str, Any], path: Path) -> ListedScene:
    name, properties = str(item["id"]), item.get("properties") or {}
    if "/" in name or name.startswith("."):
        raise DataError(f"{path}: expected ids of items that can be names of files, but got {name!r}. Rename it.")
    asset = _image_asset(item["assets"], name, path)
    link = urlparse(str(asset["href"]))
    if link.scheme not in ("", "file"):
        raise DataError(
            f"{path}: expected images on disk, but item {name} is at {asset['href']}. Copy the images, and give paths."
        )
    taken = properties.get("datetime") or properties.get("start_datetime")
    return ListedScene(
        name,
        (path.parent / unquote(link.path)).absolute(),
        None if taken is None else _in_utc(str(taken)),
        properties.get("platform") or platform_of(name),
    )


def _image_asset(assets: Mapping[str, Mapping[str, Any]], name: str, path: Path) -> Mapping[str, Any]:
    """The image of an item: an asset with one of the known keys, else the only one that is data or a TIFF."""
    for key in _ASSET_KEYS:
        if key in assets:
            return assets[key]
    images = [
        asset
        for asset in assets.values()
        if "data" in (asset.get("roles") or ()) or str(asset.get("type", "")).startswith("image/tiff")
    ]
    if len(images) != 1:
        raise DataError(
            f"{path}: expected item {name} to have an asset {', '.join(_ASSET_KEYS)}, or a single one with the role "
            f"data, but it has {listed(list(assets))}. Give the paths of the images instead."
        )
    return images[0]


def _in_utc(text: str) -> str:
    """A time of STAC to the second, in UTC; one without a zone is UTC."""
    time = datetime.fromisoformat(text)
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
