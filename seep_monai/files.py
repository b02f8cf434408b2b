"""Writing of files and folders. A file is written completely or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from seep_monai.errors import ConfigError, DataError


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


def fill_folder(out: Path, write: Callable[[Path], None], *, record: str, overwrite: bool) -> None:
    """Let `write` fill a temporary folder beside `out`, and rename it to `out` when it is complete.

    Args:
        out: the folder.
        write: is called with the temporary folder.
        record: name of a file by which a folder written before is known.
        overwrite: replace such a folder; one without `record` is never replaced.

    Raises:
        DataError: if `out` cannot be used. Errors of `write` are passed on, and `out` stays as it was.
    """
    out = out.resolve()
    _check_target(out, record=record, overwrite=overwrite)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
            new = Path(temporary) / "new"
            new.mkdir()
            write(new)
            _replace(out, new, old=Path(temporary) / "old")
    except OSError as error:
        raise DataError(
            f"{error.filename or out}: expected a folder to write to, but got {error.strerror or error}. Check "
            f"the path and the free disk space."
        ) from error


def _check_target(out: Path, *, record: str, overwrite: bool) -> None:
    """Raise DataError unless `out` is missing, empty, or a folder that may be overwritten."""
    if not out.exists():
        return
    if not out.is_dir():
        raise DataError(f"{out}: expected a folder, but a file has this name. Give another path.")
    if not any(out.iterdir()):
        return
    if not overwrite:
        raise DataError(f"{out}: expected a new or empty folder, but it holds files. Give another path or --overwrite.")
    if not (out / record).is_file():
        raise DataError(
            f"{out}: expected a folder with {record} to overwrite, but there is no such file in it. Give another path "
            "or remove the folder."
        )


def _replace(out: Path, new: Path, *, old: Path) -> None:
    """Rename `new` to `out`; an existing folder is moved to `old`, and restored if the renaming fails."""
    if not out.exists():
        new.rename(out)
        return
    out.rename(old)
    try:
        new.rename(out)
    except OSError:
        old.rename(out)
        raise


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
