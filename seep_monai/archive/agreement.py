"""What all runs of an archive share: the settings of the inference and the weights, in `archive.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seep_monai.archive.inference import Model
from seep_monai.errors import ConfigError, DataError
from seep_monai.files import write_json

ARCHIVE_FILE = "archive.json"
_FORMAT = 1


def agree(out: Path, settings: str, model: Model) -> None:
    """Write the settings and the model of a new archive, or compare them with those of an archive that was begun.

    Args:
        out: folder of the archive.
        settings: of the inference, JSON.
        model: the weights.

    Raises:
        ConfigError: if the settings differ; the message names the differences.
        DataError: if `archive.json` cannot be read.
    """
    path, given = out / ARCHIVE_FILE, json.loads(settings)
    if not path.is_file():
        write_json(path, {"format": _FORMAT, "settings": given, "model": asdict(model)})
        return
    differences = list(_differences(_read(path)["settings"], given))
    if differences:
        raise ConfigError(
            f"{out}: was begun with other options: {'; '.join(differences)}. Give the same options to go on, or "
            "another --output_dir."
        )


def read_model(out: Path) -> Model:
    """The weights of an archive.

    Raises:
        DataError: if `archive.json` cannot be read.
    """
    found = _read(out / ARCHIVE_FILE)["model"]
    return Model(found["sha256"], found["weights"], tuple(found["class_names"]), tuple(found["window_px"]))


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']}")
        content["model"]["sha256"], content["settings"].keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: expected the settings of an archive, but it cannot be read ({error!r}). Remove it to begin the "
            "archive again; scenes that were made with the same settings stay done."
        ) from error
    return content


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The settings that differ, as `group#name: before there, now here`."""
    for name in sorted({*before, *now}):
        one, other = before.get(name), now.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _differences(one, other, f"{above}{name}#")
        elif one != other:
            yield f"{above}{name}: {_short(one)} there, {_short(other)} here"


def _short(value: Any) -> str:
    """The value as JSON; of a checksum its beginning."""
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:13]}.."
