"""TIFF files that rasterio writes, and the georeference that it reads from one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine

NORTH_UP = Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4000000.0)
ROTATED = Affine(8.0, 6.0, 500000.0, 6.0, -8.0, 4000000.0)


def pixels(dtype: str = "uint16", shape: tuple[int, ...] = (40, 53)) -> np.ndarray:
    """Different values at every place, so that a transposed or shifted result is found."""
    return (np.random.default_rng(3).random(shape) * 200 + 1).astype(dtype)


def make_tiff(path: Path, array: np.ndarray, **profile) -> Path:
    """A file that rasterio writes: (H, W), or (bands, H, W)."""
    bands = array if array.ndim == 3 else array[None]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands.shape[0],
        height=bands.shape[1],
        width=bands.shape[2],
        dtype=array.dtype,
        **profile,
    ) as file:
        file.write(bands)
    return path


def make_geo_tiff(path: Path, array: np.ndarray, transform: Affine = NORTH_UP, **profile) -> Path:
    return make_tiff(path, array, crs="EPSG:32618", transform=transform, **profile)


def make_gcp_tiff(path: Path, array: np.ndarray) -> Path:
    """A file with a grid of ground control points, as Sentinel-1 GRD products have."""
    gcps = [
        GroundControlPoint(row=row, col=col, x=-74 + col / 700 + row / 9000, y=36 - row / 800, z=1.5)
        for row in range(0, 41, 10)
        for col in range(0, 51, 10)
    ]
    return make_tiff(path, array, crs="EPSG:4326", gcps=gcps, nodata=0)


def georeference(path: Path) -> dict:
    with rasterio.open(path) as file:
        points, gcp_crs = file.gcps
        return {
            "transform": file.transform,
            "crs": file.crs,
            "nodata": file.nodata,
            "gcp_crs": gcp_crs,
            "gcps": [(point.row, point.col, point.x, point.y, point.z) for point in points],
        }
