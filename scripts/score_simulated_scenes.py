"""False alarms and recall of the polygons that `seep-monai infer` drew of simulated scenes.

SCENES is a folder of `seep-monai simulate --scenes`, MAPS the --output_dir of the inference. A seep is found if an
object has an IoU of at least .1 with it; an object without such a seep is a false alarm. Without MAPS, a plain
threshold is scored: areas of 100 px and more where the mean of 7 x 7 px is below .7 of the median of 256 x 256 px.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from rasterio.features import rasterize
from scipy.ndimage import uniform_filter

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.instances.components import ANY_SEEP, ClassMap, Components, Floats, Mask, seep_components
from seep_monai.instances.ring import ring_ratio
from seep_monai.metrics.overlap import overlaps

FOUND_IOU = 0.1
# A seep counts if its mean DN is at most this share of the sea around it.
DARK_RATIO = 0.85
# Films break into many pieces of a few pixels, which tell nothing of the whole films.
SIZES = (
    ("below_30_px", 0, 30),
    ("30_to_100_px", 30, 100),
    ("100_to_500_px", 100, 500),
    ("500_px_and_more", 500, 2**62),
)
# The plain threshold: window of the mean and block of the median in px, share of the median, smallest area in px.
MEAN_PX, MEDIAN_PX, PLAIN_SHARE, PLAIN_AREA_PX = 7, 256, 0.7, 100


def main() -> None:
    """Read the command line, print the figures and write them to MAPS/scores.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", type=Path, metavar="SCENES")
    parser.add_argument("maps", type=Path, metavar="MAPS", nargs="?")
    parser.add_argument("--pixel_size_m", type=float, default=40.0, help="size of a pixel (default: %(default)s)")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    for image in sorted((arguments.scenes / "images").glob("*.tif")):
        dn = read(image)
        if arguments.maps is None:
            drawn, known = plain_threshold(dn), dn > 0
        else:
            drawn, known = read_polygons(arguments.maps, image)
        # Not +=, which drops counts of 0.
        counts.update(scene_counts(dn, read(arguments.scenes / "masks" / image.name), drawn, known))
    if not counts:
        raise SystemExit(f"{arguments.scenes}: expected scenes in images/, but found none.")
    figures = summary(counts, arguments.pixel_size_m)
    if arguments.maps is not None:
        (arguments.maps / "scores.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def read(path: Path) -> np.ndarray:
    """The first band."""
    with rasterio.open(path) as raster:
        return np.asarray(raster.read(1))


def read_polygons(maps: Path, image: Path) -> tuple[Components, Mask]:
    """The polygons drawn of an image as components, and the pixels that are not no-data in its class map."""
    classes, polygons = (maps / f"{image.stem}{end}" for end in ("_classes.tif", "_seeps.gpkg"))
    for path in (classes, polygons):
        if not path.is_file():
            raise SystemExit(f"{path}: expected the result of {image.name}, but there is none. Infer this scene first.")
    shapes = shapely.from_wkb(pyogrio.raw.read(polygons, layer="seeps", columns=[])[2])
    with rasterio.open(classes) as raster:
        known = raster.read(1) != NO_DATA_LABEL
        # Without a coordinate system, y is minus the row.
        to_map = raster.transform if raster.crs else Affine.scale(1, -1)
    labels = np.zeros(known.shape, np.int32)
    if len(shapes):
        numbered = ((shape, i) for i, shape in enumerate(shapes, start=1))
        rasterize(numbered, out=labels, transform=to_map)
    return components(labels, len(shapes)), known


def components(labels: np.ndarray, count: int) -> Components:
    """The numbered objects of a label image."""
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return Components(labels, np.full(count, ANY_SEEP, np.int64), areas, np.ones(count))


def plain_threshold(dn: Floats) -> Components:
    """The areas of the plain threshold; DN 0 is no-data."""
    valid = dn > 0
    mean = uniform_filter(dn.astype(np.float32), MEAN_PX)
    drawn = np.zeros(dn.shape, np.uint8)
    for row in range(0, dn.shape[0], MEDIAN_PX):
        for col in range(0, dn.shape[1], MEDIAN_PX):
            block = slice(row, row + MEDIAN_PX), slice(col, col + MEDIAN_PX)
            if valid[block].any():
                drawn[block] = mean[block] < PLAIN_SHARE * np.median(dn[block][valid[block]])
    # The mean of a pixel near no-data is too low.
    drawn[uniform_filter(valid.astype(np.float32), MEAN_PX) < 1 - 1e-3] = 0
    found = seep_components(drawn)
    drawn[np.concatenate([[False], found.areas_px < PLAIN_AREA_PX])[found.labels]] = 0
    return seep_components(drawn)


def scene_counts(dn: Floats, truth: ClassMap, drawn: Components, known: Mask) -> Counter[str]:
    """Numbers of seeps, objects and pixels of one scene; numbers of scenes add.

    Args:
        dn: (H, W) digital numbers, 0 = no-data.
        truth: (H, W) 0 or class.
        drawn: the objects drawn.
        known: (H, W), False = no-data.
    """
    true = seep_components(truth)
    pairs = overlaps(true, drawn)
    good = pairs.iou >= FOUND_IOU
    found, right = np.unique(pairs.truth[good]), np.unique(pairs.predicted[good])
    log_dn, sea = np.log(np.maximum(dn, 1).astype(np.float32)), (dn > 0) & (truth == 0)
    dark = [row for row in range(len(true)) if _ratio(log_dn, true.labels == row + 1, sea) <= DARK_RATIO]
    sizes = {name: np.flatnonzero((true.areas_px >= low) & (true.areas_px < high)) for name, low, high in SIZES}
    return Counter(
        scenes=1,
        known_px=int(known.sum()),
        seeps=len(true),
        found=len(found),
        dark_seeps=len(dark),
        dark_found=len(np.intersect1d(dark, found)),
        **{f"dark_seeps_{name}": len(np.intersect1d(dark, rows)) for name, rows in sizes.items()},
        **{
            f"dark_found_{name}": len(np.intersect1d(np.intersect1d(dark, rows), found)) for name, rows in sizes.items()
        },
        objects=len(drawn),
        false_alarms=len(drawn) - len(right),
    )


def _ratio(log_dn: Floats, instance: np.ndarray, sea: np.ndarray) -> float:
    """`ring_ratio` on the part of the scene that holds the instance and its ring."""
    rows, cols = np.nonzero(instance)
    near = tuple(slice(max(0, index.min() - 16), index.max() + 17) for index in (rows, cols))
    return ring_ratio(log_dn[near], instance[near], sea[near])


def summary(counts: Counter[str], pixel_size_m: float) -> dict[str, float | int | None]:
    """The counts with their ratios; a ratio of nothing is None."""
    area_km2 = counts["known_px"] * (pixel_size_m / 1000) ** 2

    def share(part: str, whole: str) -> float | None:
        return counts[part] / counts[whole] if counts[whole] else None

    return {
        **counts,
        "area_km2": round(area_km2, 1),
        "false_alarms_per_1000_km2": counts["false_alarms"] / area_km2 * 1000 if area_km2 else None,
        "recall": share("found", "seeps"),
        "dark_recall": share("dark_found", "dark_seeps"),
        **{f"dark_recall_{name}": share(f"dark_found_{name}", f"dark_seeps_{name}") for name, *_ in SIZES},
    }


if __name__ == "__main__":
    main()
