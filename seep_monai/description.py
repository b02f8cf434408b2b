"""What `model.json` holds: every key that others rely on, checked when the file is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from seep_monai.checks import folder_name
from seep_monai.classes import checked_class_names
from seep_monai.dataset.grid import SceneContext
from seep_monai.dataset.split import SplitSettings
from seep_monai.dataset.split_file import PARTS, part_lists
from seep_monai.errors import ConfigError, DataError

# Choice: a window of this size takes gigabytes in the network.
MOST_TILE_PX = 4096
_REMEDY = "The file was changed: put back the one that was written with the weights, or train again."


def check_description(content: Mapping[str, Any], path: Path, *, ships: bool) -> None:
    """Check what `model.json` says. Settings of the network, the instances and the objects are checked where they are.

    Args:
        content: of the file.
        path: the file that a message names.
        ships: whether it describes the weights that ship, whose plan lists no tiles.

    Raises:
        DataError: if a key is missing or holds something else.
    """
    _check_keys(content, _NEEDED, path)
    _check_keys(content, {key: rule for key, rule in _ALLOWED.items() if key in content}, path)
    _check_keys(content["plan"], _NEEDED_IN_PLAN, path)
    if "objects" in content and "map_threshold" not in content:
        raise DataError(f"{path}: expected a map_threshold with the objects, but there is none. {_REMEDY}")
    try:
        checked_class_names(content["class_names"])
        folder_name("run_name", content.get("run_name", "none"))
        SplitSettings(**content["plan"]["settings"])
        margin_px = SceneContext(**content.get("context", {})).margin_px
    except (ConfigError, TypeError) as error:
        raise DataError(f"{path}: cannot be used ({error}). {_REMEDY}") from error
    if margin_px > min(content["tile_size"]):
        raise DataError(f"{path}: expected a margin within a tile, but got {margin_px} px. {_REMEDY}")
    if not ships:
        _check_keys(content["plan"], dict.fromkeys(PARTS, (_is_list, "a list of tiles")), path)
        part_lists(content["plan"], str(path))


def _check_keys(content: Mapping[str, Any], rules: Mapping[str, tuple[Callable[[Any], bool], str]], path: Path) -> None:
    for key, (is_right, expected) in rules.items():
        if key not in content or not is_right(content[key]):
            got = str(content[key])[:80] if key in content else "no such key"
            raise DataError(f"{path}: expected {expected} in {key}, but got {got}. {_REMEDY}")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_whole(value: Any, low: int = 0, high: int = 2**31) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low < value <= high


def _is_operating_point(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_cut(value.get(name)) for name in ("instances", "seep"))


def _is_cut(value: Any) -> bool:
    threshold = value.get("threshold") if isinstance(value, dict) else value
    return isinstance(value, dict) and (threshold is None or threshold == 0 or _is_number(threshold, 0, 1))


_NEEDED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "network": (_is_object, "an object"),
    "class_names": (_are_texts, "a list of names"),
    "normalisation_version": (_is_whole, "a whole number"),
    "band": (lambda value: value is None or _is_whole(value, 1), "null or a whole number of at least 1"),
    "instance_settings": (lambda value: _is_object(value) and _is_text(value.get("mode")), "an object with a mode"),
    "trained_scenes": (_are_texts, "a list of names"),
    "chosen_scenes": (_are_texts, "a list of names"),
    "tile_size": (
        lambda value: isinstance(value, list) and len(value) == 2 and all(_is_whole(n, 1, MOST_TILE_PX) for n in value),
        f"two whole numbers from 1 to {MOST_TILE_PX}",
    ),
    "plan": (_is_object, "an object"),
    "plan_fingerprint": (_is_text, "a checksum"),
}
_NEEDED_IN_PLAN: dict[str, tuple[Callable[[Any], bool], str]] = {
    "settings": (_is_object, "an object"),
    "fingerprint": (_is_text, "a checksum"),
    "leaky": (lambda value: isinstance(value, bool), "true or false"),
}
_ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "pixel_size_m": (lambda value: value is None or _is_number(value, 0, 1e9), "null or a number above 0"),
    "run_name": (_is_text, "a name"),
    "context": (_is_object, "an object"),
    "operating_point": (_is_operating_point, "an object with the thresholds of instances and seep"),
    "classified_operating_point": (_is_operating_point, "an object with the thresholds of instances and seep"),
    "map_threshold": (lambda value: _is_number(value, 0, 1), "a number from 0 to 1"),
    "objects": (_is_object, "an object"),
    "trained": (_is_object, "an object"),
}
