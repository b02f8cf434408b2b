"""The plan: the part of each tile and the level of each scene, as JSON from which a run can be repeated."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seep_monai.dataset.audit import Audit, Tile, audit_pairs
from seep_monai.dataset.pairs import find_pairs
from seep_monai.dataset.split import SplitSettings, split_tiles
from seep_monai.dataset.split_file import PARTS, parts_from_lists, read_lists
from seep_monai.dataset.statistics import count_classes
from seep_monai.errors import ConfigError, DataError, listed

logger = logging.getLogger(__name__)

EXTRA_FOLDERS = ("train_images_256", "train_masks_256")


@dataclass(frozen=True)
class Plan:
    """The division of one data set.

    Attributes:
        dataset_dir: base folder of relative paths.
        parts: tiles of `training`, `validation` and `test`.
        scene_levels: median valid DN per scene, over all tiles of the data set.
        settings: settings of the split.
        left_out: names of the tiles without valid pixels.
        extra: tiles of a second data set, which are used for training only.
    """

    dataset_dir: Path
    parts: dict[str, tuple[Tile, ...]]
    scene_levels: dict[str, float]
    settings: SplitSettings
    left_out: tuple[str, ...] = ()
    extra: Audit | None = None

    @property
    def leaky(self) -> bool:
        """Whether neighbouring tiles may be in different parts.

        True if parts share a scene, and after any split by tile, because the names may not give the true scene.
        """
        by_tile = self.settings.split_by == "tile" and self.settings.split_file is None
        n_parts = sum(bool(tiles) for tiles in self.parts.values())
        return bool(shared_scenes(self.parts)) or (by_tile and n_parts > 1)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the tiles of all parts (name, scene, class pixels, in order) and of the scene levels.

        A change of an image that keeps the scene's median does not change it. Extra tiles are not included, because
        they are never scored.
        """
        lines = [line for part in PARTS for line in _tile_lines(part, self.parts[part])]
        return _sha256(lines + _level_lines(self.scene_levels))

    @property
    def training_fingerprint(self) -> str:
        """The fingerprint including the extra tiles, if there are any."""
        if self.extra is None:
            return self.fingerprint
        lines = [self.fingerprint, *_tile_lines("extra", self.extra.tiles), *_level_lines(self.extra.scene_levels)]
        return _sha256(lines)

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
                f"part: the plan has no {part} tiles. Choose another --part, or plan with folds (--split#n_folds 5)."
            )
        return tiles

    def items(self, part: str) -> list[dict[str, Any]]:
        """One dictionary per tile of the part, with absolute paths, for MONAI's data sets."""
        return _items(self.tiles(part), self.scene_levels)

    def training_tiles(self) -> tuple[Tile, ...]:
        """The tiles of the training part, then the extra ones."""
        return self.tiles("training") + (self.extra.tiles if self.extra else ())

    def training_items(self) -> list[dict[str, Any]]:
        """The `training_tiles` as dictionaries for MONAI's data sets."""
        return self.items("training") + self.extra_items()

    def extra_items(self) -> list[dict[str, Any]]:
        """The extra tiles as dictionaries for MONAI's data sets."""
        return _items(self.extra.tiles, self.extra.scene_levels) if self.extra else []

    def to_json(self) -> dict[str, Any]:
        """A decathlon list with counts, levels and settings. Paths are relative to `dataset_dir`."""
        lists = {part: [self._entry(tile) for tile in self.parts[part]] for part in PARTS}
        return {
            **lists,
            "counts": {part: count_classes(self.parts[part]).to_json() for part in PARTS},
            "scene_levels": self.scene_levels,
            "left_out": list(self.left_out),
            "settings": asdict(self.settings),
            "fingerprint": self.fingerprint,
            "leaky": self.leaky,
            "extra": self.extra and _summary(self.extra),
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
    band: int | None = None,
    extra_dir: str | os.PathLike[str] | None = None,
) -> Plan:
    """Find, audit and divide the pairs of one data set.

    Args:
        dataset_dir: base folder of relative paths.
        images_dir: folder of the images.
        masks_dir: folder of the masks.
        settings: settings of the split.
        size_multiple: see `audit_pairs`.
        band: see `audit_pairs`.
        extra_dir: folder of a second data set (`train_images_256`, `train_masks_256`), used for training only; or None.

    Raises:
        DataError: see `find_pairs`, `audit_pairs`, `split_tiles`, `read_lists` and `parts_from_lists`. Also if a scene
            is in several parts of a split file without `allow_leak`, or if extra tiles have another size or belong to
            scenes of the data set.
        ConfigError: if the settings conflict with each other or with the data.
    """
    audit = audit_data(images_dir, masks_dir, settings, size_multiple=size_multiple, band=band)
    if settings.split_file is None:
        parts = split_tiles(audit.tiles, settings)
    else:
        lists = read_lists(str(settings.split_file))
        parts = parts_from_lists(lists, audit, dataset_dir=Path(dataset_dir), source=settings.split_file)
        _warn_unlisted(parts, audit, settings.split_file)
    _check_leak(parts, settings)
    extra = None if extra_dir is None else _audit_extra(Path(extra_dir), audit, size_multiple=size_multiple, band=band)
    return Plan(Path(dataset_dir), parts, audit.scene_levels, settings, audit.left_out, extra)


def audit_data(
    images_dir: str | os.PathLike[str],
    masks_dir: str | os.PathLike[str],
    settings: SplitSettings,
    *,
    size_multiple: int,
    band: int | None = None,
) -> Audit:
    """Find and audit pairs, see `find_pairs` and `audit_pairs`."""
    pairs = find_pairs(images_dir, masks_dir, scene_pattern=settings.scene_pattern)
    return audit_pairs(pairs, size_multiple=size_multiple, band=band)


def _audit_extra(folder: Path, audit: Audit, *, size_multiple: int, band: int | None) -> Audit:
    """The audited extra tiles. They are named SCENE.TILE, independent of the scene pattern of the data set."""
    images, masks = (folder / name for name in EXTRA_FOLDERS)
    extra = audit_data(images, masks, SplitSettings(), size_multiple=size_multiple, band=band)
    shared = sorted(extra.scene_levels.keys() & audit.scene_levels.keys())
    if shared:
        raise DataError(
            f"{folder}: expected extra tiles of other scenes than the data set's, but both have {listed(shared)}. "
            "They would be both trained on and scored. Rename or remove them, or leave out --extra_dataset_dir."
        )
    shapes = [tiles[0].shape for tiles in (audit.tiles, extra.tiles) if tiles]
    if len(set(shapes)) > 1:
        raise DataError(
            f"{folder}: expected extra tiles of the data set's size {shapes[0]}, but got {shapes[1]}. Simulate or cut "
            "tiles of that size."
        )
    return extra


def whole_plan(dataset_dir: str | os.PathLike[str], audit: Audit, settings: SplitSettings) -> Plan:
    """A plan with every tile in `test`, to score a data set of unseen scenes."""
    parts: dict[str, tuple[Tile, ...]] = {"training": (), "validation": (), "test": audit.tiles}
    return Plan(Path(dataset_dir), parts, audit.scene_levels, settings, audit.left_out)


def shared_scenes(parts: dict[str, tuple[Tile, ...]]) -> list[str]:
    """Scenes that are in more than one part, sorted."""
    scenes = [_scenes(tiles) for tiles in parts.values()]
    return sorted({scene for i, one in enumerate(scenes) for other in scenes[i + 1 :] for scene in one & other})


def _items(tiles: Iterable[Tile], scene_levels: dict[str, float]) -> list[dict[str, Any]]:
    return [
        {
            "image": str(tile.image.absolute()),
            "label": str(tile.mask.absolute()),
            "tile": tile.name,
            "scene": tile.scene,
            "scene_level": scene_levels[tile.scene],
        }
        for tile in tiles
    ]


def _summary(extra: Audit) -> dict[str, Any]:
    """The summary of the extra tiles. Their paths are not stored, because an evaluation does not need them."""
    scenes = sorted(extra.scene_levels)
    return {"n_tiles": len(extra.tiles), "scenes": scenes, "counts": count_classes(extra.tiles).to_json()}


def _tile_lines(part: str, tiles: Iterable[Tile]) -> list[str]:
    return [f"{part} {tile.name} {tile.scene} {tile.class_pixels}" for tile in tiles]


def _level_lines(scene_levels: dict[str, float]) -> list[str]:
    return [f"{scene} {level!r}" for scene, level in sorted(scene_levels.items())]


def _sha256(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _scenes(tiles: Iterable[Tile]) -> set[str]:
    return {tile.scene for tile in tiles}


def _warn_unlisted(parts: dict[str, tuple[Tile, ...]], audit: Audit, source: str) -> None:
    listed_names = {tile.name for tiles in parts.values() for tile in tiles}
    unlisted = [tile.name for tile in audit.tiles if tile.name not in listed_names]
    if unlisted:
        logger.warning(
            "%s names %d of %d tiles; in no part are: %s", source, len(listed_names), len(audit.tiles), listed(unlisted)
        )


def _check_leak(parts: dict[str, tuple[Tile, ...]], settings: SplitSettings) -> None:
    shared = shared_scenes(parts)
    if shared and not settings.allow_leak:
        raise DataError(
            f"{settings.split_file}: expected every scene in one part, but {len(shared)} are in several: "
            f"{listed(shared)}. Neighbouring tiles would be in training and validation. Correct the file, or accept "
            "the leak with --split#allow_leak True."
        )
