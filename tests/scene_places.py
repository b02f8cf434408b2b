"""Places of scenes, polygons in files, and seeps with the pixels of a mask."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from pyproj import CRS
from rasterio.transform import Affine
from scipy.ndimage import gaussian_filter

from seep_monai.instances.components import class_components
from seep_monai.scene.place import CubicFit, Place
from seep_monai.scene.seep_objects import SeepObject, label_polygons
from seep_monai.simulate.georeference import orbit_gcps

UTM = Place(CRS.from_epsg(32616), Affine(40.0, 0.0, 500_000.0, 0.0, -40.0, 3_000_000.0))


def sentinel_1(
    shape: tuple[int, int] = (16_700, 25_000), centre: tuple[float, float] = (5.0, 58.0), *, pixel_m: float = 10.0
) -> Place:
    """The place of a scene with simulated control points."""
    points = orbit_gcps(shape, centre, pixel_m=pixel_m, heading_deg=348.0).raster_place(shape)["gcps"]
    pixels, places = np.array([(p.col, p.row) for p in points]), np.array([(p.x, p.y) for p in points])
    return Place(CRS.from_epsg(4326), cubic=CubicFit.of_points(pixels, places))


def write_polygons(
    path: Path, shapes: Sequence[shapely.Geometry | None], crs: str | None = "EPSG:4326", **fields: Sequence[object]
) -> Path:
    """A vector file with these shapes and fields."""
    values = [np.array(column, None if type(column[0]) in (int, float) else object) for column in fields.values()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        pyogrio.raw.write(
            path,
            geometry=np.array(shapely.to_wkb(np.array(shapes, object)), object),
            field_data=values,
            fields=list(fields),
            geometry_type="Unknown",
            crs=crs,
        )
    return path


def random_mask(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Blots of all classes with holes, single pixels, and a bar over the whole width."""
    rng = np.random.default_rng(seed)
    height = gaussian_filter(rng.standard_normal(shape), 4)
    mask = np.where(height > 0.05, rng.integers(1, 8, shape[1] // 40 + 1)[np.arange(shape[1]) // 40], 0)
    mask[rng.random(shape) < 0.003] = 7
    mask[shape[0] // 2 : shape[0] // 2 + 9] = 5
    return mask.astype(np.uint8)


def seeps_of(mask: np.ndarray) -> list[SeepObject]:
    """The 8-connected parts of each class as objects with their polygons."""
    table = class_components(mask)
    polygons = label_polygons(table.labels)
    line = np.array([[1.0, 1.0], [2.0, 2.0]])
    return [
        SeepObject(int(label), 0.5, np.eye(7)[label - 1], polygons[row + 1], line, -3.0, False)
        for row, label in enumerate(table.classes)
    ]
