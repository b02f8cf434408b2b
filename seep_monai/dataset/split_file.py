"""Split files: decathlon lists of the tiles of each part."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from seep_monai.dataset.audit import Audit, Tile
from seep_monai.errors import DataError, listed
from seep_monai.files import read_json

Part = Literal["training", "validation", "test"]
PARTS: tuple[str, ...] = get_args(Part)
_ENTRY_KEYS = ("image", "label", "scene")


def read_lists(path: str | os.PathLike[str]) -> dict[str, list[dict[str, str]]]:
    """The lists of a decathlon file: `training`, `validation` and `test` (empty if absent).

    Raises:
        DataError: if the file is missing or not JSON, a list is missing, or an entry is invalid.
    """
    content = read_json(Path(path), what="a JSON split file")
    if not isinstance(content, dict) or not content.get("training") or not content.get("validation"):
        raise DataError(
            f'{path}: expected non-empty lists "training" and "validation" of {{"image", "label", "scene"}} entries.'
        )
    return part_lists(content, str(path))


def part_lists(content: Mapping[str, Any], source: str) -> dict[str, list[dict[str, str]]]:
    """The lists of all parts in the content of a decathlon file (empty if absent).

    Raises:
        DataError: if an entry is invalid.
    """
    lists = {part: content.get(part) or [] for part in PARTS}
    for part, entries in lists.items():
        wrong = [entry for entry in entries if not _is_entry(entry)] if isinstance(entries, list) else [entries]
        if wrong:
            raise DataError(
                f'{source}: expected entries {{"image": path, "label": path, "scene": name}} in "{part}" (the last '
                f"two may be left out), but got {repr(wrong[0])[:200]}."
            )
    return lists


def parts_from_lists(
    lists: dict[str, list[dict[str, str]]], audit: Audit, *, dataset_dir: Path, source: str
) -> dict[str, tuple[Tile, ...]]:
    """The audited tiles of the lists, in the lists' order. Listed tiles that the audit left out are skipped.

    Raises:
        DataError: if an entry is not in the data set, occurs twice, or has another label or scene than the data set.
    """
    # Paths are compared with those of the data set and never opened, so that a list cannot name other files.
    # The path as written is looked up before the resolved one, because a tile may be a link to another tile.
    by_path = {tile.image.resolve(): tile for tile in audit.tiles} | {_written(t.image): t for t in audit.tiles}
    found: dict[str, list[tuple[dict[str, str], Tile | None]]] = {part: [] for part in lists}
    for part, entries in lists.items():
        for entry in entries:
            path = dataset_dir / entry["image"]
            found[part].append((entry, by_path.get(_written(path)) or by_path.get(path.resolve())))
    _check_found([pair for pairs in found.values() for pair in pairs], audit, dataset_dir, source)
    return {part: tuple(tile for _, tile in pairs if tile is not None) for part, pairs in found.items()}


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and "image" in entry
        and all(isinstance(entry[key], str) and "\0" not in entry[key] for key in _ENTRY_KEYS if key in entry)
    )


def _written(path: Path) -> Path:
    """The absolute path without `..`, links not resolved. It inverts `os.path.relpath` also for linked folders."""
    return Path(os.path.normpath(path.absolute()))


def _check_found(found: list[tuple[dict[str, str], Tile | None]], audit: Audit, dataset_dir: Path, source: str) -> None:
    left_out = set(audit.left_out)
    missing = [e["image"] for e, tile in found if tile is None and Path(e["image"]).stem not in left_out]
    if missing:
        raise DataError(
            f"{source}: {len(missing)} of its images are not in {dataset_dir}: {listed(missing)}. Check --dataset_dir "
            "and the file."
        )
    texts = [_contradiction(entry, tile, dataset_dir) for entry, tile in found if tile is not None]
    wrong = [text for text in texts if text]
    if wrong:
        raise DataError(f"{source}: {len(wrong)} entries contradict the data set: {listed(wrong)}. Correct the file.")
    n_times = Counter(tile.name for _, tile in found if tile is not None)
    twice = sorted(name for name, n in n_times.items() if n > 1)
    if twice:
        raise DataError(f"{source}: expected every tile once, in one part, but found several times: {listed(twice)}.")


def _contradiction(entry: dict[str, str], tile: Tile, dataset_dir: Path) -> str:
    """How an entry contradicts the data set; empty if it does not."""
    if "scene" in entry and entry["scene"] != tile.scene:
        return f"{entry['image']} of scene {entry['scene']!r} (by --scene_pattern it is {tile.scene!r})"
    label = dataset_dir / entry["label"] if "label" in entry else tile.mask
    if _written(label) != _written(tile.mask) and label.resolve() != tile.mask.resolve():
        return f"{entry['image']} with label {entry['label']} (in the data set it is {tile.mask})"
    return ""
