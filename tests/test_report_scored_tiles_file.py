from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scored_folds import origin, scored_tiles

from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.errors import DataError
from seep_monai.metrics.scored_tiles import ScoredTiles
from seep_monai.report.scored_tiles_file import read_origin, read_scored_tiles, write_scored_tiles
from seep_monai.report.summary import summarised


@pytest.fixture(scope="module")
def tiles() -> ScoredTiles:
    return scored_tiles("ace")


@pytest.fixture
def path(tmp_path: Path, tiles: ScoredTiles) -> Path:
    place = tmp_path / "scored_tiles.npz"
    write_scored_tiles(place, tiles, origin())
    return place


def rewritten(path: Path, **changes: Any) -> None:
    with np.load(path) as archive:
        arrays = {**{name: archive[name] for name in archive.files}, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def test_read_gives_back_every_record(path: Path, tiles: ScoredTiles) -> None:
    found = read_scored_tiles(path)
    assert found.names == tiles.names == ["a.0", "c.0", "c.1", "c.2", "e.0", "e.1"]
    assert found.scenes == tiles.scenes
    for name in ("instances", "confusion", "pixels", "ribbons"):
        for one, other in zip(getattr(found, name), getattr(tiles, name), strict=True):
            assert one.dtype == other.dtype
            # Bytes, since NaN stands where a row has no score.
            assert one.tobytes() == other.tobytes()


def test_scores_of_the_file_are_those_of_the_evaluation(path: Path, tiles: ScoredTiles) -> None:
    found = read_scored_tiles(path).selected(range(4))
    assert summarised(found, DEFAULT_CLASS_NAMES) == summarised(tiles.selected(range(4)), DEFAULT_CLASS_NAMES)


def test_origin_is_read_as_written(path: Path) -> None:
    assert read_origin(path) == origin()


def test_file_holds_no_pickle_and_leaves_nothing_beside_it(path: Path) -> None:
    with np.load(path, allow_pickle=False) as archive:
        assert all(archive[name].dtype.kind != "O" for name in archive.files)
    assert [file.name for file in path.parent.iterdir()] == ["scored_tiles.npz"]


def test_same_records_give_the_same_bytes(path: Path, tiles: ScoredTiles) -> None:
    before = path.read_bytes()
    write_scored_tiles(path, tiles, origin())
    assert path.read_bytes() == before


def test_missing_file_says_to_evaluate(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"scored_tiles\.npz: expected the records .* Evaluate first"):
        read_scored_tiles(tmp_path / "scored_tiles.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": np.array(1)}, "expected format 5, but got 1"),
        ({"names": np.array(["a.0"])}, r"expected scenes \(1,\)"),
        ({"pixels": np.zeros((6, 7, 7), np.int64)}, r"expected pixels \(6, 8, 8\)"),
        ({"instances": np.zeros((3, 6))}, "expected instances"),
        ({"iou_thresholds": np.linspace(0.5, 0.95, 10)}, "IoU thresholds"),
        ({"ribbon_columns": np.array(["n_tiles"] * 96)}, "ribbon counts"),
        ({"origin": np.array("{}")}, "origin, but it lacks class_names, instance_mode, instance_settings"),
        ({"origin": np.array("{")}, "cannot be read"),
        ({"pixels": None}, "cannot be read"),
        ({"names": np.array([None], object)}, "cannot be read"),
    ],
)
def test_file_of_another_content_raises(path: Path, changes: dict[str, Any], message: str) -> None:
    rewritten(path, **changes)
    with pytest.raises(DataError, match=message):
        read_scored_tiles(path)


@pytest.mark.parametrize("n_bytes", [0, 50, 3000])
def test_cut_file_raises(path: Path, n_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(DataError, match="cannot be read"):
        read_scored_tiles(path)
