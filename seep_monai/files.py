"""Writing of files and folders, completely or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seep_monai.errors import ConfigError, DataError

# Choice: our files have six brackets in each other.
_MOST_BRACKETS = 100


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


def check_new_file(path: Path, *, suffix: str, option: str, overwrite: bool) -> None:
    """Check that a file of this suffix may be written. Its folder is created.

    Raises:
        ConfigError: if the suffix is another one, the file exists and `overwrite` is not set, or the folder cannot be
            written.
    """
    if path.suffix != suffix:
        raise ConfigError(f"{path}: expected a file {suffix}. Choose another with {option}.")
    if path.exists() and not overwrite:
        raise ConfigError(f"{path}: exists. Choose another file with {option}, or replace it with --overwrite.")
    make_folder(path.parent, option=option)


def fill_folder(out: Path, write: Callable[[Path], None], *, record: str, overwrite: bool) -> None:
    """Let `write` fill a temporary folder beside `out`, and rename it to `out` when it is complete.

    Choice: its files are not flushed one by one, which costs milliseconds each. A power cut soon after may spoil them.

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
    """Write the whole file or nothing: write to a temporary file in the same folder, then rename it.

    When this returns, file and name are on the disk.

    Raises:
        DataError: if it cannot be written. A file of this name stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming_failed_writes(path):
        try:
            temporary.write_bytes(content)
            move_into_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path, name: str) -> None:
    """Remove temporary files of `write_bytes` that killed processes have left beside the file `name`."""
    for path in folder.glob(f".{name}.*.tmp"):
        path.unlink(missing_ok=True)


def move_into_place(temporary: Path, path: Path) -> None:
    """Rename a complete file. Its content is on the disk before, its name after, so that a power cut loses neither."""
    _flush(temporary)
    temporary.replace(path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems do not flush folders.
        if not path.is_dir() or error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextmanager
def naming_failed_writes(path: Path) -> Iterator[None]:
    """An OSError of the block becomes a DataError that names the file and, where it is full, its disk."""
    try:
        yield
    except OSError as error:
        raise DataError(failed_write(path, error)) from error


def failed_write(path: Path, error: OSError) -> str:
    """What is said of a file that could not be written."""
    text = f"{path}: cannot be written ({error.strerror or error})"
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return f"{text}. Check the folder, its permissions and its disk."
    disk = path.absolute().parent
    while not disk.is_mount():
        disk = disk.parent
    free_mb = shutil.disk_usage(disk).free / 1e6
    return f"{text}: the disk at {disk} has only {free_mb:.1f} MB left. Free space there, or choose another."


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """`write_text` of JSON with an indent of four. Raises ValueError for NaN and infinity, which are not JSON."""
    write_text(path, json.dumps(content, indent=4, allow_nan=False) + "\n")


def read_json(path: Path, *, what: str = "a JSON file") -> Any:
    """The content of a JSON file.

    Args:
        path: of the file.
        what: what is expected, for messages.

    Raises:
        DataError: if the file cannot be read or is not JSON in UTF-8. NaN and infinity are not JSON, texts that cannot
            be written again and hundreds of brackets in each other are not accepted.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: expected {what}, but got {error.strerror}. Check the path.") from error
    except ValueError as error:
        raise DataError(f"{path}: expected {what}, but it cannot be read ({error}). Write it again.") from error
    return parsed_json(text, path, what=what)


def parsed_json(text: str, path: Path, *, what: str = "a JSON file") -> Any:
    """The content of a JSON text; as `read_json`, whose file `path` is named in messages."""
    try:
        content = json.loads(text, parse_constant=_finite, parse_float=_finite)
        _check_depth(content)
        if "\\ud" in text.lower():
            json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected {what}, but it cannot be read ({error}). Write it again.") from error
    return content


def _check_depth(content: Any) -> None:
    """Raise ValueError for so many brackets in each other that Python could not write the content again."""
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(_MOST_BRACKETS):
        values = (value.values() if isinstance(value, dict) else value for value in level)
        level = [value for inner in values for value in inner if isinstance(value, dict | list)]
        if not level:
            return
    raise ValueError(f"more than {_MOST_BRACKETS} brackets in each other")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
