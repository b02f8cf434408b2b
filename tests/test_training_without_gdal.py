"""Training on tiles needs none of the libraries of rasters and maps: they may be missing or broken."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

BLOCKED = """
import sys
sys.modules.update(dict.fromkeys(["rasterio", "shapely", "pyogrio", "pyproj"]))
"""
IMPORTING = """
import seep_monai, seep_monai.steps
"""
TRAINING = """
from pathlib import Path
from bundle_runs import train
train(Path(sys.argv[1]), Path(sys.argv[2]), max_epochs=1)
"""
SIMULATING = """
from seep_monai.commands.simulate import main
main([sys.argv[1], "--n_tiles", "2"])
"""


def blocked_python(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A Python of its own in which none of the four can be imported."""
    command = [sys.executable, "-c", BLOCKED + script, *map(str, arguments)]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["rasterio", "shapely", "pyogrio", "pyproj"])
def test_blocked_library_is_there_and_cannot_be_imported(name):
    assert find_spec(name)
    assert f"import of {name} halted" in blocked_python(f"import {name}").stderr


def test_what_a_training_imports_is_imported_without_gdal():
    done = blocked_python(IMPORTING)
    assert done.returncode == 0, done.stderr


def test_training_on_tiles_runs_without_gdal(dataset, tmp_path):
    done = blocked_python(TRAINING, dataset, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "models" / "model.pt").is_file()


def test_tiles_are_simulated_without_gdal(tmp_path):
    done = blocked_python(SIMULATING, tmp_path / "tiles")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "tiles" / "train_images_256").iterdir())) == 2
