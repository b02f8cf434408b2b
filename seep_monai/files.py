"""Writing of files and folders. A file is written completely or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seep_monai.errors import ConfigError


def make_folder(path: object, *, option: str) -> Path:
    """The folder, created if it is missing and checked to be writable.

    Raises:
        ConfigError: if the path is a file or the folder cannot be written.
    """
    # The command line gives a name of digits as a number.
    folder = Path(str(path))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"{folder}: expected a folder that can be written, but got {error.strerror or error}. Choose another with "
            f"{option}."
        ) from error
    return folder


def write_text(path: Path, text: str) -> None:
    """Write the whole UTF-8 file or nothing."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write the whole file or nothing: write to a temporary file in the same folder, then rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """`write_text` of JSON with an indent of four. Raises ValueError for NaN and infinity, which are not JSON."""
    write_text(path, json.dumps(content, indent=4, allow_nan=False) + "\n")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
