"""Steps of the inference of rasters that need no network."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from seep_monai.errors import DataError
from seep_monai.instances.components import InstanceSettings
from seep_monai.scene.drawing import DrawingSettings
from seep_monai.scene.raster import Raster, RasterOptions
from seep_monai.scene.run import SceneRun, SceneSettings, quick_look, start_time
from seep_monai.tiff import write_tiff

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


class StoppedEngine:
    """An engine to which SIGTERM is sent while it runs."""

    state = SimpleNamespace(epoch_length=0)

    def run(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_leaves_nothing_and_names_the_way_on(tmp_path: Path) -> None:
    path, out = tmp_path / "coast.tif", tmp_path / "out"
    write_tiff(path, np.full((50, 70), 9, np.uint16))
    out.mkdir()
    drawing = DrawingSettings(InstanceSettings())
    run = SceneRun(SceneSettings((64, 64), 8, 0, RasterOptions(), drawing, ("",) * 7, "ab", out))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(DataError, match=r"stopped in coast\.tif, scene 1 of 1\. .* --resume True"):
        run.run(StoppedEngine(), [path])

    assert list(out.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_quick_look_is_the_mean_of_blocks_over_the_level(tmp_path: Path) -> None:
    dn = np.random.default_rng(0).integers(50, 150, (60, 90)).astype(np.uint16)
    dn[:30, :45] = 0
    write_tiff(tmp_path / "a.tif", dn)
    with Raster(tmp_path / "a.tif") as raster:
        found = quick_look(raster, 100.0, 3.0)
    expected = dn.reshape(20, 3, 30, 3).mean(axis=(1, 3)) / 250 * 255
    assert found.shape == (20, 30)
    assert np.abs(found - expected).max() <= 1
    assert (found[:10, :15] == 0).all()


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("S1A_IW_GRDH_1SDV_20230415T143012_20230415T143037_048103_05C86E_8A4B", "2023-04-15T14:30:12Z"),
        ("s1a-iw-grd-vv-20230415t143012-20230415t143037-048103-05c86e-001", "2023-04-15T14:30:12Z"),
        ("coast_20230415", None),
    ],
)
def test_start_time_of_a_product(name: str, time: str | None) -> None:
    assert start_time(name) == time


class FullDisk:
    """An engine during whose run the disk is full."""

    state = SimpleNamespace(epoch_length=0)

    def run(self) -> None:
        raise OSError(28, "No space left on device")


def test_full_disk_is_named_and_the_other_rasters_are_tried(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a", "b"):
        write_tiff(tmp_path / f"{name}.tif", np.full((50, 70), 9, np.uint16))
    drawing = DrawingSettings(InstanceSettings())
    run = SceneRun(SceneSettings((64, 64), 8, 0, RasterOptions(), drawing, ("",) * 7, "ab", out))
    with pytest.raises(DataError, match=r"2 of 2 rasters failed:\na\.tif: .*/out .*No space left[\s\S]*b\.tif: "):
        run.run(FullDisk(), [tmp_path / "a.tif", tmp_path / "b.tif"])
    assert list(out.iterdir()) == []
