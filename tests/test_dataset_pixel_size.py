"""Size of the pixels of a data set, from the record beside its tiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from seep_monai.dataset.pixel_size import RECORDS, recorded_pixel_size
from seep_monai.errors import DataError
from seep_monai.scene import cut_tiles
from seep_monai.simulate import sample


def test_records_are_those_that_the_commands_write() -> None:
    assert RECORDS == (cut_tiles.RECORD_NAME, sample.RECORD_NAME)


def test_size_of_simulated_tiles(tmp_path: Path) -> None:
    sample.make_sample_data(tmp_path / "out", n_tiles=1, seed=0)

    assert recorded_pixel_size(tmp_path / "out") == 40


@pytest.mark.parametrize("text", ["{}", '{"pixel_size_m": null}'])
def test_size_may_be_unknown(tmp_path: Path, text: str) -> None:
    assert recorded_pixel_size(tmp_path) is None
    (tmp_path / "tiles.json").write_text(text)
    assert recorded_pixel_size(tmp_path) is None


@pytest.mark.parametrize("text", ["[]", "{", '{"pixel_size_m": -4}', '{"pixel_size_m": "40"}'])
def test_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "tiles.json").write_text(text)
    with pytest.raises(DataError, match=r"tiles\.json: expected a JSON record with a pixel_size_m"):
        recorded_pixel_size(tmp_path)
