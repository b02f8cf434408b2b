"""Windows of a scene: they cover it once, and are the same whether it is a raster or tiles in a grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monai.transforms import Compose

from seep_monai.dataset.grid import SceneContext
from seep_monai.dataset.scene_tiles import SceneTiles
from seep_monai.dataset.transforms import normalise
from seep_monai.dataset.windows import filled_window, inside_px, windows_along
from seep_monai.errors import ConfigError
from seep_monai.scene.raster import Raster
from seep_monai.scene.strips import SceneStrips
from seep_monai.tiff import write_tiff

# No whole number, so that no DN is normalised to the 0 of no-data.
LEVEL = 20000.5


@given(st.integers(1, 700), st.integers(1, 300))
def test_each_pixel_is_taken_from_one_window_that_holds_it(size: int, inside: int) -> None:
    windows = windows_along(size, inside)

    assert [pixel for w in windows for pixel in range(w.first, w.stop)] == list(range(size))
    assert all(w.start <= w.first and w.stop <= w.start + inside for w in windows)
    # Only an image smaller than a window reaches beyond its end.
    assert all(w.start >= 0 and w.start + inside <= max(size, inside) for w in windows)


def test_margins_that_leave_nothing_are_refused() -> None:
    assert inside_px(320, 32) == 256
    with pytest.raises(ConfigError, match="less than half of the window's 64 px, but got 32"):
        inside_px(64, 32)


def test_what_no_part_covers_is_no_data() -> None:
    part = {"image": torch.full((1, 2, 2), 0.5), "label": torch.ones(1, 2, 2, dtype=torch.uint8)}
    part["valid"] = part["label"] > 0
    window = slice(-1, 2), slice(1, 3)
    found = filled_window([(part, (slice(0, 2), slice(0, 2)))], window, ["image", "label", "valid", "other"])

    assert found["image"].tolist() == [[[0, 0], [0.5, 0], [0.5, 0]]]
    assert found["label"].tolist() == [[[255, 255], [1, 255], [1, 255]]]
    assert found["valid"].tolist() == [[[False, False], [True, False], [True, False]]]
    assert [found[key].dtype for key in found] == [torch.float32, torch.uint8, torch.bool]


@st.composite
def scenes(draw: st.DrawFn) -> dict[str, Any]:
    """DN and labels of a scene of any size, with no-data; its grid, and which tiles of it there are."""
    shape, tile_px = (draw(st.tuples(st.integers(1, most), st.integers(1, most))) for most in (40, 16))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dn = rng.integers(1, 40000, shape).astype(np.uint16)
    dn[rng.random(shape) < 0.2] = 0
    grid = [-(-size // n) for size, n in zip(shape, tile_px, strict=True)]
    there = rng.random(grid) < draw(st.sampled_from([0.3, 0.7, 1]))
    there[tuple(rng.integers(grid))] = True
    # In the gaps, the whole scene has no data.
    dn[~there.repeat(tile_px[0], 0).repeat(tile_px[1], 1)[: shape[0], : shape[1]]] = 0
    return {"dn": dn, "there": there, "tile_px": tile_px, "margin_px": draw(st.integers(0, min(tile_px)))}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scenes())
def test_tiles_in_a_grid_give_the_windows_of_the_raster_with_no_data_in_the_gaps(
    tmp_path: Path, scene: dict[str, Any]
) -> None:
    dn, there, (height, width), margin = (scene[key] for key in ("dn", "there", "tile_px", "margin_px"))
    # Tiles at the edges of the scene are filled with no-data. By hand: the whole scene with its margin.
    edges = [
        (margin, n * px - size + margin) for n, px, size in zip(there.shape, (height, width), dn.shape, strict=True)
    ]
    image = np.pad(normalise(dn.astype(np.float32), dn > 0, LEVEL).numpy(), edges)
    label = np.pad(np.where(dn > 0, dn % 8, 255).astype(np.uint8), edges, constant_values=255)
    cells = np.argwhere(there).tolist()
    inner = [np.s_[margin + r * height :, margin + c * width :] for r, c in cells]
    items = [
        {
            "tile": f"a.{row * there.shape[1] + column + 1}",
            "image": torch.from_numpy(image[place][:height, :width].copy())[None],
            "label": torch.from_numpy(label[place][:height, :width].copy())[None],
        }
        for (row, column), place in zip(cells, inner, strict=True)
    ]
    tiles = SceneTiles(items, Compose([]), SceneContext(margin, {"a": there.shape[1]}), cache_num=0, progress=False)
    write_tiff(tmp_path / "a.tif", dn)
    with Raster(tmp_path / "a.tif") as raster:
        strips = SceneStrips(raster, LEVEL, (height + 2 * margin, width + 2 * margin), margin)
        rows_of = [strips[i] for i in range(len(strips))]

    for (row, column), tile in zip(cells, tiles, strict=True):
        place = np.s_[row * height :, column * width :]
        size = height + 2 * margin, width + 2 * margin
        np.testing.assert_array_equal(tile["image"][0], image[place][: size[0], : size[1]])
        np.testing.assert_array_equal(tile["label"][0], label[place][: size[0], : size[1]])
        # The last row of windows is moved up to end with the raster. What it lacks below has no data.
        moved = row * height - strips.windows[row].start
        strip = rows_of[row]["image"][0, moved:, column * width :][:, : size[1]]
        expected = torch.zeros(size)
        expected[: strip.shape[0], : strip.shape[1]] = strip
        assert torch.equal(torch.as_tensor(tile["image"][0]), expected)
    for strip in rows_of:
        inside = slice(margin, -margin or None)
        assert torch.equal(strip["valid"], strip["image"][:, inside, inside] != 0)
