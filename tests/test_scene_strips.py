"""A network that changes nothing gives a raster back through strips and windows, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monai.inferers import SimpleInferer

from seep_monai.dataset.transforms import normalise
from seep_monai.network.inferers import WindowInferer
from seep_monai.scene.raster import Raster
from seep_monai.scene.strips import SceneStrips
from seep_monai.tiff import write_tiff

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

LEVEL = 20000.0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from([(64, 8), (96, 32), (320, 32)]), st.integers(1, 5))
def test_raster_comes_back_bit_for_bit(
    tmp_path: Path, height: int, width: int, window: tuple[int, int], batch: int
) -> None:
    window_px, margin = window
    rng = np.random.default_rng(height * 701 + width)
    dn = rng.integers(8000, 40000, (height, width)).astype(np.uint16)
    dn[rng.random(dn.shape) < 0.2] = 0
    write_tiff(tmp_path / "a.tif", dn)
    inferer = WindowInferer(SimpleInferer(), (window_px, window_px), margin, batch)
    found, valid = np.full(dn.shape, np.nan, np.float32), np.zeros(dn.shape, int)
    with Raster(tmp_path / "a.tif") as raster:
        strips = SceneStrips(raster, LEVEL, (window_px, window_px), margin)
        for item in (strips[i] for i in range(len(strips))):
            w = strips.windows[item["strip"]]
            rows = slice(w.first - w.start, w.stop - w.start)
            inside = slice(margin, -margin)
            result = inferer(item["image"][None], lambda x: x)[0, 0, inside, inside].numpy()
            assert np.isnan(found[w.first : w.stop]).all()
            found[w.first : w.stop] = result[rows, :width]
            valid[w.first : w.stop] += item["valid"][0].numpy()[rows, :width]

    expected = normalise(torch.from_numpy(dn.astype(np.float32)), torch.from_numpy(dn > 0), LEVEL).numpy()
    assert (found == expected).all()
    assert (valid == (dn > 0)).all()
