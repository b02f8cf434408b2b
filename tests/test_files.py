"""Files written whole or not at all, and what counts as JSON."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from seep_monai import files
from seep_monai.errors import DataError


def is_folder(descriptor: int) -> bool:
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def test_write_bytes_flushes_the_file_before_and_the_folder_after_the_renaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def logged_fsync(descriptor: int) -> None:
        steps.append("flush folder" if is_folder(descriptor) else "flush file")
        fsync(descriptor)

    def logged_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(Path, "replace", logged_replace)
    files.write_bytes(tmp_path / "a.txt", b"text")
    assert steps == ["flush file", "rename", "flush folder"]


def test_write_bytes_to_a_folder_that_cannot_be_flushed_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if is_folder(descriptor):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    files.write_bytes(tmp_path / "a.txt", b"text")
    assert (tmp_path / "a.txt").read_bytes() == b"text"


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, r"a\.txt: cannot be written \(No space left on device\): the disk at /.* has only .* MB left"),
        (errno.EDQUOT, r"a\.txt: cannot be written \(Disk quota exceeded\): the disk at /"),
        (errno.EIO, r"a\.txt: cannot be written \(Input/output error\)\. Check the folder"),
    ],
)
def test_write_bytes_failing_names_the_file_and_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int, expected: str
) -> None:
    (tmp_path / "a.txt").write_text("old")

    def fail(self: Path, argument: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(Path, step, fail)
        with pytest.raises(DataError, match=expected):
            files.write_bytes(tmp_path / "a.txt", b"new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_json_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, null, "\\ud83d\\ude00"]}')
    assert files.read_json(tmp_path / "a.json") == {"a": [1, 2.5, None, "\U0001f600"]}


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[-Infinity]", "1e999", '"\\ud800"', "[" * 200 + "]" * 200, "[" * 100_000, "9" * 5000]
)
def test_what_cannot_be_written_again_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.json: expected a record, but it cannot be read"):
        files.read_json(tmp_path / "a.json", what="a record")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.json: expected a JSON file, but got No such file"):
        files.read_json(tmp_path / "a.json")
