"""Seeps as objects on the map: polygons with class, score, size, direction, contrast and origin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Geod
from rasterio.features import shapes
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from skimage.morphology import skeletonize

from seep_monai.classes import SEEP_LABELS
from seep_monai.instances.components import Floats, Instances, Mask
from seep_monai.instances.ring import ring_ratio, window_around
from seep_monai.objects.measures import TARGET_LOG_RATIO, TARGET_PX
from seep_monai.scene.place import Place

_EARTH = Geod(ellps="WGS84")
_STEPS = ((0, 1), (1, -1), (1, 0), (1, 1))
# Choice: 25 px, 1 km at the 40 m pixels of the training; a platform leaks within that distance of its mark.
NEAR_TARGET_PX = 25


@dataclass(frozen=True, eq=False)
class SeepObject:
    """One seep.

    Attributes:
        label: its class, 1..7.
        score: in [0, 1]: the object classifier's probability of a whole seep; without one, the mean probability of its
            class.
        class_prob: (7,) probability of each class, given that it is a seep.
        polygon: MultiPolygon of its 4-connected parts, (column, row) of pixel corners.
        centre_line: (n, 2) column and row of pixel centres along its longest path, from its origin on.
        contrast_db: 20 log10 of its mean DN over that of the sea around it; NaN if there is too little sea.
        touches_edge: whether it touches the edge of the image or no-data.
        target_px: distance of its origin from the nearest bright target; NaN if there is none within 25 px.
    """

    label: int
    score: float
    class_prob: npt.NDArray[np.float64]
    polygon: shapely.MultiPolygon
    centre_line: npt.NDArray[np.float64]
    contrast_db: float
    touches_edge: bool
    target_px: float = math.nan


def seep_objects(found: Instances, image: Floats, *, valid: Mask, sea: Mask) -> list[SeepObject]:
    """The objects of an image, in the order of their labels.

    Args:
        found: what was found in the image.
        image: (H, W) log of DN over the scene's level, no-data 0.
        valid: (H, W) bool, False = no-data.
        sea: (H, W) bool, pixels with data that are no seep; those of the objects are left out here.
    """
    table = found.by_class
    polygons = label_polygons(table.labels)
    sea = sea & (table.labels == 0)
    edge = ~np.pad(valid, 1)
    probabilities = _class_probabilities(found)
    windows = find_objects(table.labels)
    objects = []
    # With an object classifier both tables show the same objects; without one, touching classes are one seep.
    scores = found.seeps.scores if found.seeps.labels is table.labels else table.scores
    for row, (label, score) in enumerate(zip(table.classes, scores, strict=True)):
        rows, columns = np.nonzero(table.labels[windows[row]] == row + 1)
        rows, columns = rows + windows[row][0].start, columns + windows[row][1].start
        window = window_around(rows, columns, table.labels.shape, margin_px=TARGET_PX)
        mask = table.labels[window] == row + 1
        ratio = ring_ratio(image[window], mask, sea[window])
        line = _from_origin(centre_line(mask), image[window], mask, sea[window])
        line += (window[0].start, window[1].start)
        near_edge = edge[window[0].start : window[0].stop + 2, window[1].start : window[1].stop + 2]
        objects.append(
            SeepObject(
                label=int(label),
                score=float(score),
                class_prob=probabilities[row],
                polygon=polygons[row + 1],
                centre_line=line[:, ::-1] + np.float64(0.5),
                contrast_db=20 * math.log10(ratio) if ratio > 0 else math.nan,
                touches_edge=bool((binary_dilation(np.pad(mask, 1), np.ones((3, 3))) & near_edge).any()),
                target_px=_target_px(line[0], image, sea),
            )
        )
    return objects


def label_polygons(labels: npt.NDArray[np.int32]) -> dict[int, shapely.MultiPolygon]:
    """A MultiPolygon of the 4-connected parts of each label above 0, (column, row) of pixel corners.

    Rasterised again, they give the labels.
    """
    parts: dict[int, list[Any]] = {}
    for geometry, value in shapes(labels, mask=labels > 0, connectivity=4):
        parts.setdefault(int(value), []).append(shapely.geometry.shape(geometry))
    return {label: shapely.MultiPolygon(polygons) for label, polygons in parts.items()}


def centre_line(mask: Mask) -> npt.NDArray[np.int64]:
    """(n, 2) rows and columns of the longest of the shortest paths within the skeleton of a mask.

    Args:
        mask: (H, W) bool, True at least once.
    """
    rows, columns = np.nonzero(skeletonize(np.pad(mask, 1))[1:-1, 1:-1])
    if not len(rows):
        rows, columns = np.nonzero(mask)
    number = np.full(mask.shape, -1)
    number[rows, columns] = np.arange(len(rows))
    padded = np.pad(number, 1, constant_values=-1)
    starts, ends, lengths = [], [], []
    for down, right in _STEPS:
        neighbour = padded[1 + down + rows, 1 + right + columns]
        joined = neighbour >= 0
        starts.append(np.flatnonzero(joined))
        ends.append(neighbour[joined])
        lengths.append(np.full(np.count_nonzero(joined), math.hypot(down, right)))
    edges = (np.concatenate(lengths), (np.concatenate(starts), np.concatenate(ends)))
    graph = coo_matrix(edges, shape=(len(rows), len(rows))).tocsr()
    # From any point the farthest one is an end of the longest path of a tree; loops are rare in skeletons.
    first = _farthest(dijkstra(graph, directed=False, indices=0))
    distance, before = dijkstra(graph, directed=False, indices=first, return_predecessors=True)
    path = [_farthest(distance)]
    while path[-1] != first:
        path.append(int(before[path[-1]]))
    return np.stack([rows[path], columns[path]], axis=1)


def attributes(seep: SeepObject, place: Place) -> dict[str, Any]:
    """Size, direction and place of an object; what needs a coordinate system is NaN without one.

    Keys: `area_km2`, `length_km`, `width_m`, `orientation_deg` (of the line from end to end, clockwise from north, 0 to
    180), `lon`, `lat` (centre of gravity), `origin_lon`, `origin_lat`, `end_lon`, `end_lat` (other end of the line),
    `target_km` (from the origin to the nearest bright target; NaN if there is none near). Areas and lengths are
    geodesic on WGS 84.
    """
    sizes = ("area_km2", "length_km", "width_m", "orientation_deg")
    keys = (*sizes, "lon", "lat", "origin_lon", "origin_lat", "end_lon", "end_lat", "target_km")
    if place.crs is None:
        return dict.fromkeys(keys, math.nan)
    on_earth = shapely.transform(seep.polygon, place.to_lon_lat)
    area_m2 = sum(abs(_EARTH.geometry_area_perimeter(part)[0]) for part in on_earth.geoms)
    line = place.to_lon_lat(seep.centre_line)
    length_m = _EARTH.line_length(line[:, 0], line[:, 1])
    azimuth = _EARTH.inv(*line[0], *line[-1])[0] if length_m > 0 else math.nan
    pixel_m = math.sqrt(area_m2 / seep.polygon.area)
    # A pixel's own length comes on top of the distance between the outer centres.
    length_m += pixel_m
    centre = place.to_lon_lat(np.array(shapely.centroid(seep.polygon).coords))[0]
    target_km = seep.target_px * pixel_m / 1e3
    values = (area_m2 / 1e6, length_m / 1e3, area_m2 / length_m, azimuth % 180, *centre, *line[0], *line[-1], target_km)
    return dict(zip(keys, map(float, values), strict=True))


def _class_probabilities(found: Instances) -> npt.NDArray[np.float64]:
    """(n, 7) probability of each class, given that the object is a seep; from what AP ranks."""
    table, scores = found.detections, np.zeros((len(found.by_class), len(SEEP_LABELS)))
    owners = np.arange(1, len(table) + 1) if table.label_of_row is None else table.label_of_row
    scores[owners - 1, table.classes - 1] = table.scores
    sums = scores.sum(axis=1, keepdims=True)
    return np.divide(scores, sums, out=np.full_like(scores, 1 / len(SEEP_LABELS)), where=sums > 0)


def _farthest(distance: Floats) -> int:
    return int(np.argmax(np.where(np.isfinite(distance), distance, -1)))


def _target_px(origin: npt.NDArray[np.int64], image: Floats, sea: Mask) -> float:
    """Distance of (row, column) from the nearest bright target; NaN if there is none within `NEAR_TARGET_PX`."""
    box = tuple(slice(max(0, int(x) - NEAR_TARGET_PX), int(x) + NEAR_TARGET_PX + 1) for x in origin)
    near, water = image[box], sea[box]
    if not water.any():
        return math.nan
    bright = np.argwhere(near > float(np.median(near[water])) + TARGET_LOG_RATIO) + [part.start for part in box]
    distances = np.hypot(*(bright - origin).T)
    return float(distances.min()) if (distances <= NEAR_TARGET_PX).any() else math.nan


def _from_origin(line: npt.NDArray[np.int64], image: Floats, mask: Mask, sea: Mask) -> npt.NDArray[np.int64]:
    """The line from the end at a bright target on; without one, or with two, from the narrower end on."""
    level = float(np.median(image[sea])) if sea.any() else float(image[mask].mean())
    bright_rows, bright_columns = np.nonzero((image > level + TARGET_LOG_RATIO) & ~mask)
    bright = np.stack([bright_rows, bright_columns], axis=1)
    has_target = [bool(len(bright)) and bool((np.hypot(*(bright - end).T) <= TARGET_PX).any()) for end in line[[0, -1]]]
    width = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1][line[:, 0], line[:, 1]]
    quarter = max(1, len(line) // 4)
    narrower_first = width[:quarter].mean() <= width[-quarter:].mean()
    first = has_target[0] if has_target[0] != has_target[1] else narrower_first
    return line if first else line[::-1]
