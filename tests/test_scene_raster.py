"""Rasters read window by window, against arrays worked by hand and rasterio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from scipy.ndimage import distance_transform_cdt

from seep_monai.errors import ConfigError, DataError
from seep_monai.scene.raster import Raster, RasterOptions, block_mean, measurement_of, with_pixel_size

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def written(path: Path, dn: Any, *, dtype: str = "uint16", count: int = 1, **profile: Any) -> Path:
    array = np.array(dn, dtype)
    bands = array if array.ndim == 3 else array[None]
    height, width = bands.shape[1:]
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"driver": "GTiff", "height": height, "width": width, "count": len(bands), "dtype": dtype}
    with rasterio.open(path, "w", **options, **profile) as target:
        target.write(bands)
    return path


def everything(raster: Raster) -> tuple[np.ndarray, np.ndarray]:
    return raster.read(slice(0, raster.shape[0]), slice(0, raster.shape[1]))


def test_window_is_that_of_the_file_and_zero_is_no_data(tmp_path: Path) -> None:
    dn = np.arange(30).reshape(5, 6)
    with Raster(written(tmp_path / "a.tif", dn)) as raster:
        found, valid = raster.read(slice(0, 3), slice(2, 6))
        assert raster.shape == (5, 6)
    assert (found == dn[:3, 2:]).all()
    assert (valid == (dn[:3, 2:] > 0)).all()
    with Raster(tmp_path / "a.tif") as raster:
        assert not raster.read(slice(0, 1), slice(0, 1))[1].any()


def test_no_data_of_the_tag_and_of_a_mask_band(tmp_path: Path) -> None:
    tagged = written(tmp_path / "tag.tif", [[7.0, np.nan, 0.0]], dtype="float32", nodata=np.nan)
    with Raster(tagged) as raster:
        assert everything(raster)[1].tolist() == [[True, False, True]]
    masked = written(tmp_path / "mask.tif", [[7, 8, 9]])
    with rasterio.open(masked, "r+") as target:
        target.write_mask(np.array([[255, 0, 255]], np.uint8))
    with Raster(masked) as raster:
        assert everything(raster)[1].tolist() == [[True, False, True]]


def test_level_is_the_median_of_valid_dn(tmp_path: Path) -> None:
    dn = np.random.default_rng(0).integers(0, 999, (700, 40))
    with Raster(written(tmp_path / "a.tif", dn)) as raster:
        assert raster.level() == np.median(dn[dn > 0])
    with (
        Raster(written(tmp_path / "none.tif", np.zeros((3, 3)))) as raster,
        pytest.raises(DataError, match=r"none\.tif: expected at least one valid pixel"),
    ):
        raster.level()


def test_several_bands_need_a_choice(tmp_path: Path) -> None:
    path = written(tmp_path / "two.tif", [[[1, 2]], [[3, 4]]])
    with Raster(path, RasterOptions(band=2)) as raster:
        assert everything(raster)[0].tolist() == [[3, 4]]
    with pytest.raises(DataError, match=r"expected one band, but it has 2 and none is chosen. Give --band 1..2"):
        Raster(path)
    with pytest.raises(DataError, match="band 3 is chosen"):
        Raster(path, RasterOptions(band=3))


@pytest.mark.parametrize(
    ("dn", "dtype", "message"),
    [
        ([[1 + 2j]], "complex64", "a complex product"),
        ([[-12.5, -20.0]], "float32", "Convert decibels first"),
        ([[1.0, np.nan]], "float32", "1 pixels are NaN or infinite"),
        ([[1]], "uint32", "but got uint32"),
    ],
)
def test_pixels_that_are_no_amplitude_are_refused(tmp_path: Path, dn: Any, dtype: str, message: str) -> None:
    path = written(tmp_path / "bad.tif", dn, dtype=dtype)
    with pytest.raises(DataError, match=rf"bad\.tif: .*{message}"):  # noqa: SIM117
        with Raster(path) as raster:
            everything(raster)


def test_unreadable_and_truncated_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("not a picture")
    with pytest.raises(DataError, match=r"text\.tif: expected a raster that GDAL can open"):
        Raster(tmp_path / "text.tif")
    dn = np.random.default_rng(0).integers(1, 9999, (300, 300))
    path = written(tmp_path / "cut.tif", dn, compress="deflate")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"cut\.tif: "):  # noqa: SIM117
        with Raster(path) as raster:
            raster.level()


@pytest.mark.parametrize("noise_px", [1, 3])
def test_border_noise_is_what_lies_near_no_data_or_the_edge(tmp_path: Path, noise_px: int) -> None:
    dn = np.full((40, 50), 9)
    dn[10:14, 20:30] = 0
    with Raster(written(tmp_path / "a.tif", dn), RasterOptions(border_noise_px=noise_px)) as raster:
        _, whole = everything(raster)
        parts = [
            raster.read(slice(top, top + 8), slice(left, left + 10))[1]
            for top in range(0, 40, 8)
            for left in range(0, 50, 10)
        ]
    # Chessboard distance to the nearest pixel without data, the frame outside of the file included.
    distance = distance_transform_cdt(np.pad(dn > 0, 1), "chessboard")[1:-1, 1:-1]
    assert (whole == (distance > noise_px)).all()
    rows = [np.concatenate(parts[i : i + 5], axis=1) for i in range(0, 25, 5)]
    assert (np.concatenate(rows) == whole).all()


def test_larger_pixels_are_the_mean_power(tmp_path: Path) -> None:
    dn = np.random.default_rng(1).integers(1, 500, (7, 9))
    dn[0, 0] = 0
    affine = rasterio.Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 4_000_000.0)
    path = written(tmp_path / "a.tif", dn, crs="EPSG:32616", transform=affine)
    with Raster(path, RasterOptions(factor=2)) as raster:
        found, valid = everything(raster)
        assert raster.shape == (3, 4)
        reference = raster.georeference()
        corner = raster.place.to_map(np.array([[1.0, 2.0]]))
    assert reference["transform"] == rasterio.Affine(20.0, 0.0, 500_000.0, 0.0, -20.0, 4_000_000.0)
    assert corner.tolist() == [[500_020.0, 3_999_960.0]]
    assert found[1, 2] == pytest.approx(np.sqrt((dn[2:4, 4:6].astype(float) ** 2).mean()))
    assert valid.tolist() == [[False, True, True, True], [True] * 4, [True] * 4]
    with pytest.raises(DataError, match="expected at least 8 rows and columns"):
        Raster(path, RasterOptions(factor=8))


def test_block_mean_of_one_pixel_is_the_pixel() -> None:
    dn, valid = block_mean(np.array([[5, 6]]), np.array([[True, False]]), 1)
    assert (dn[0, 0], valid.tolist()) == (5, [[True, False]])


def test_control_points_move_with_larger_pixels(tmp_path: Path) -> None:
    points = [
        GroundControlPoint(r, c, -90 + c / 1000, 27 - r / 1000) for r in range(0, 61, 20) for c in range(0, 61, 20)
    ]
    path = written(tmp_path / "g.tif", np.ones((60, 60)), gcps=points, crs="EPSG:4326")
    with Raster(path, RasterOptions(factor=2)) as raster:
        moved = raster.georeference()["gcps"]
        place = raster.place.to_lon_lat(np.array([[10.0, 20.0]]))
    assert [(p.row, p.col) for p in moved] == [(p.row / 2, p.col / 2) for p in points]
    assert place == pytest.approx(np.array([[-90 + 0.02, 27 - 0.04]]))


def test_safe_folder_gives_its_vv_measurement(tmp_path: Path) -> None:
    folder = tmp_path / "S1A_IW_GRDH_1SDV_20230415T143012_20230415T143037_048103_05C86E_8A4B.SAFE"
    for channel, value in (("vv", 5), ("vh", 9)):
        written(folder / "measurement" / f"s1a-iw-grd-{channel}-20230415t143012.tiff", [[value]])
    with Raster(folder) as raster:
        assert everything(raster)[0].tolist() == [[5]]
    (folder / "measurement" / "s1a-iw-grd-vv-20230415t143012.tiff").unlink()
    with pytest.raises(DataError, match=r"expected one VV measurement .* but found 0"):
        measurement_of(folder)


def test_pixel_size_gives_the_nearest_factor(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # At the central meridian a metre of the map is a metre on the ground within .04 %.
    affine = rasterio.Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 4_000_000.0)
    path = written(tmp_path / "a.tif", np.ones((20, 20)), crs="EPSG:32616", transform=affine)
    factors = [with_pixel_size(path, RasterOptions(), wanted).factor for wanted in (None, 10, 24, 26, 40)]
    assert factors == [1, 1, 2, 3, 4]
    with pytest.raises(ConfigError, match=r"a\.tif: pixel_size_m: expected about the size"):
        with_pixel_size(path, RasterOptions(), 5)
    bare = written(tmp_path / "bare.tif", np.ones((20, 20)))
    with pytest.raises(DataError, match=r"bare\.tif: expected a coordinate system for --pixel_size_m"):
        with_pixel_size(bare, RasterOptions(), 40)
    for given, size, reason in ((path, 5, "pixels of 10 m"), (bare, 40, "no coordinate system")):
        assert with_pixel_size(given, RasterOptions(), size, required=False).factor == 1
        assert f"{given.name} has {reason}, so its pixels are taken as they are" in caplog.text
