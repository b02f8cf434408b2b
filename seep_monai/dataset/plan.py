"""The plan: which tile is in which part, at which level, as one JSON file that a run can be repeated from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from seep_monai.dataset.audit import Audit, Tile, audit_pairs
from seep_monai.dataset.pairs import find_pairs
from seep_monai.dataset.split import SplitSettings, split_tiles
from seep_monai.dataset.statistics import count_classes
from seep_monai.errors import ConfigError, DataError, listed

Part = Literal["training", "validation", "test"]
PARTS: tuple[str, ...] = get_args(Part)


@dataclass(frozen=True)
class Plan:
    """The division of one data set.

    Attributes:
        dataset_dir: the folder that relative paths start from.
        parts: tiles of `training`, `validation` and `test`.
        scene_levels: median valid DN per scene over all tiles of the data set.
        settings: how it was divided.
        left_out: tiles that are all no-data.
    """

    dataset_dir: Path
    parts: dict[str, tuple[Tile, ...]]
    scene_levels: dict[str, float]
    settings: SplitSettings
    left_out: tuple[str, ...] = ()

    @property
    def leaky(self) -> bool:
        """Whether a scene stands in more than one part."""
        return bool(shared_scenes(self.parts))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over parts, names and levels: equal only for the same division of the same data."""
        lines = [f"{part} {tile.name} {tile.scene}" for part in PARTS for tile in self.parts[part]]
        lines += [f"{scene} {level!r}" for scene, level in sorted(self.scene_levels.items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def tiles(self, part: str) -> tuple[Tile, ...]:
        """The tiles of one part, or of `all` parts.

        Raises:
            DataError: if the part is empty.
            ConfigError: if there is no such part.
        """
        if part not in (*PARTS, "all"):
            raise ConfigError(f"part: expected one of {[*PARTS, 'all']}, but got {part!r}.")
        tiles = tuple(tile for name in PARTS if part in (name, "all") for tile in self.parts[name])
        if not tiles:
            raise DataError(
                f"part: the plan has no {part} tiles. Choose another --part, or plan with folds (--n_folds 5)."
            )
        return tiles

    def items(self, part: str) -> list[dict[str, Any]]:
        """What MONAI's data sets take: one dictionary per tile of the part, with absolute paths."""
        return [
            {
                "image": str(tile.image.absolute()),
                "label": str(tile.mask.absolute()),
                "tile": tile.name,
                "scene": tile.scene,
                "scene_level": self.scene_levels[tile.scene],
            }
            for tile in self.tiles(part)
        ]

    def to_json(self) -> dict[str, Any]:
        """A decathlon list with the counts, levels and settings beside it; paths relative to `dataset_dir`."""
        lists = {part: [self._entry(tile) for tile in self.parts[part]] for part in PARTS}
        return {
            **lists,
            "counts": {part: count_classes(self.parts[part]).to_json() for part in PARTS},
            "scene_levels": self.scene_levels,
            "left_out": list(self.left_out),
            "settings": asdict(self.settings),
            "fingerprint": self.fingerprint,
            "leaky": self.leaky,
        }

    def _entry(self, tile: Tile) -> dict[str, str]:
        return {
            "image": Path(os.path.relpath(tile.image, self.dataset_dir)).as_posix(),
            "label": Path(os.path.relpath(tile.mask, self.dataset_dir)).as_posix(),
            "scene": tile.scene,
        }


def make_plan(
    dataset_dir: str | os.PathLike[str],
    images_dir: str | os.PathLike[str],
    masks_dir: str | os.PathLike[str],
    settings: SplitSettings,
    *,
    size_multiple: int,
) -> Plan:
    """Find, audit and divide the pairs of one data set.

    Raises:
        DataError: see `find_pairs`, `audit_pairs` and `split_tiles`.
        ConfigError: if the settings contradict each other or the data.
    """
    audit = audit_data(images_dir, masks_dir, settings, size_multiple=size_multiple)
    if settings.split_file is None:
        parts = split_tiles(audit.tiles, settings)
    else:
        lists = read_lists(settings.split_file)
        parts = parts_from_lists(lists, audit, dataset_dir=Path(dataset_dir), source=settings.split_file)
    _check_leak(parts, settings)
    return Plan(Path(dataset_dir), parts, audit.scene_levels, settings, audit.left_out)


def audit_data(
    images_dir: str | os.PathLike[str],
    masks_dir: str | os.PathLike[str],
    settings: SplitSettings,
    *,
    size_multiple: int,
) -> Audit:
    """Pairs found and audited."""
    pairs = find_pairs(images_dir, masks_dir, scene_pattern=settings.scene_pattern)
    return audit_pairs(pairs, size_multiple=size_multiple)


def whole_plan(dataset_dir: str | os.PathLike[str], audit: Audit, settings: SplitSettings) -> Plan:
    """A plan with every tile in `test`: how a folder that nothing was trained on is scored."""
    parts: dict[str, tuple[Tile, ...]] = {"training": (), "validation": (), "test": audit.tiles}
    return Plan(Path(dataset_dir), parts, audit.scene_levels, settings, audit.left_out)


def read_lists(path: str | os.PathLike[str]) -> dict[str, list[dict[str, str]]]:
    """The lists of a decathlon file: `training` and `validation`, `test` where given.

    Raises:
        DataError: if the file is missing, is not JSON, or lacks a list.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: expected a JSON split file, but it cannot be read ({error}).") from error
    if not isinstance(content, dict) or not content.get("training") or not content.get("validation"):
        raise DataError(
            f'{path}: expected non-empty lists "training" and "validation" of {{"image", "label"}} entries.'
        )
    lists = {part: content.get(part, []) for part in PARTS}
    for part, entries in lists.items():
        if any(not isinstance(entry, dict) or "image" not in entry for entry in entries):
            raise DataError(f'{path}: expected an "image" in every entry of "{part}".')
    return lists


def parts_from_lists(
    lists: dict[str, list[dict[str, str]]], audit: Audit, *, dataset_dir: Path, source: str
) -> dict[str, tuple[Tile, ...]]:
    """The audited tiles that the lists name, in the lists' order; listed tiles that the audit left out are skipped.

    Raises:
        DataError: if an entry is not in the data set or stands in two lists.
    """
    by_path = {tile.image.resolve(): tile for tile in audit.tiles}
    left_out = set(audit.left_out)
    parts: dict[str, tuple[Tile, ...]] = {}
    missing: list[str] = []
    for part, entries in lists.items():
        known: list[Tile] = []
        for entry in entries:
            path = (dataset_dir / entry["image"]).resolve()
            if path in by_path:
                known.append(by_path[path])
            elif path.stem not in left_out:
                missing.append(entry["image"])
        parts[part] = tuple(known)
    if missing:
        raise DataError(
            f"{source}: {len(missing)} of its images are not in {dataset_dir}: {listed(missing)}. Check --dataset_dir "
            f"and the file."
        )
    names = [tile.name for tiles in parts.values() for tile in tiles]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{source}: expected every tile in one part, but found twice: {listed(twice)}.")
    return parts


def shared_scenes(parts: dict[str, tuple[Tile, ...]]) -> list[str]:
    """Scenes that stand in more than one part, sorted."""
    scenes = [_scenes(tiles) for tiles in parts.values()]
    return sorted({scene for i, one in enumerate(scenes) for other in scenes[i + 1 :] for scene in one & other})


def _scenes(tiles: Iterable[Tile]) -> set[str]:
    return {tile.scene for tile in tiles}


def _check_leak(parts: dict[str, tuple[Tile, ...]], settings: SplitSettings) -> None:
    shared: Sequence[str] = shared_scenes(parts)
    if shared and not settings.allow_leak:
        raise DataError(
            f"{settings.split_file}: expected every scene in one part, but {len(shared)} stand in several: "
            f"{listed(list(shared))}. "
            "Neighbouring tiles would be in training and validation. Mend the file, or accept and mark it with "
            "--allow_leak True."
        )
