"""Blocks of probabilities that come back in any window."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from seep_monai.errors import DataError
from seep_monai.scene.scratch import Scratch


def filled(path: Path, probabilities: np.ndarray, mask: np.ndarray, block_px: int) -> Scratch:
    scratch = Scratch(path, block_px)
    for i, top in enumerate(range(0, mask.shape[0], block_px)):
        rows = slice(top, top + block_px)
        scratch.add(i, probabilities[:, rows], mask[rows])
    return scratch


def test_any_window_comes_back_where_a_film_is_near(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.random((8, 50, 70), np.float32)
    mask = np.ones((50, 70), bool)
    scratch = filled(tmp_path / "p", probabilities, mask, 16)
    for _ in range(50):
        top, left = rng.integers(0, 49), rng.integers(0, 69)
        rows, columns = (
            slice(int(top), int(rng.integers(top + 1, 51))),
            slice(int(left), int(rng.integers(left + 1, 71))),
        )
        assert (scratch.read(rows, columns) == probabilities[:, rows, columns]).all()
    scratch.close()


def test_blocks_far_from_films_are_no_seep_and_take_no_space(tmp_path: Path) -> None:
    probabilities = np.full((8, 16, 64), 0.125, np.float32)
    mask = np.zeros((16, 64), bool)
    mask[3, 14] = True  # two pixels from the next block, whose pixels belong to the ring
    scratch = filled(tmp_path / "p", probabilities, mask, 16)
    scratch.close()
    assert (tmp_path / "p").stat().st_size == 2 * 8 * 16 * 16 * 4
    scratch = filled(tmp_path / "q", probabilities, mask, 16)
    found = scratch.read(slice(0, 16), slice(0, 64))
    assert (found[:, :, :32] == 0.125).all()
    assert (found[0, :, 32:] == 1).all()
    assert (found[1:, :, 32:] == 0).all()
    scratch.close()


def test_full_disk_is_named_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    scratch = Scratch(tmp_path / "p", 16)
    with pytest.raises(DataError, match=r"expected 0 MiB of free disk.*--output_dir on another disk"):
        scratch.add(0, np.ones((8, 16, 16), np.float32), np.ones((16, 16), bool))
    scratch.close()
    assert (tmp_path / "p").stat().st_size == 0
