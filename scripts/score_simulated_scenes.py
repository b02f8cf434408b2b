"""False alarms and recall of the maps that `seep-monai infer` drew of simulated scenes.

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
import rasterio
from scipy.ndimage import uniform_filter

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.instances.components import ClassMap, Floats, seep_components
from seep_monai.instances.ring import ring_ratio
from seep_monai.metrics.overlap import overlaps

FOUND_IOU = 0.1
# A seep counts if its mean DN is at most this share of the sea around it.
DARK_RATIO = 0.85
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
        classes = plain_threshold(dn) if arguments.maps is None else read_map(arguments.maps, image)
        # Not +=, which drops counts of 0.
        counts.update(scene_counts(dn, read(arguments.scenes / "masks" / image.name), classes))
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


def read_map(maps: Path, image: Path) -> ClassMap:
    """The class map of an image."""
    path = maps / f"{image.stem}_classes.tif"
    if not path.is_file():
        raise SystemExit(f"{path}: expected the map of {image.name}, but there is none. Infer this scene first.")
    return read(path)


def plain_threshold(dn: Floats) -> ClassMap:
    """The map of the plain threshold: (H, W) uint8, 1 = seep, 0 = none, 255 = no-data (DN 0)."""
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
    return np.where(valid, drawn, np.uint8(NO_DATA_LABEL))


def scene_counts(dn: Floats, truth: ClassMap, classes: ClassMap) -> Counter[str]:
    """Numbers of seeps, objects and pixels of one scene; numbers of scenes add.

    Args:
        dn: (H, W) digital numbers, 0 = no-data.
        truth: (H, W) 0 or class.
        classes: (H, W) drawn classes, 255 = no-data.
    """
    true = seep_components(truth)
    drawn = seep_components(np.where(classes == NO_DATA_LABEL, 0, classes).astype(np.uint8))
    pairs = overlaps(true, drawn)
    good = pairs.iou >= FOUND_IOU
    found, right = np.unique(pairs.truth[good]), np.unique(pairs.predicted[good])
    log_dn, sea = np.log(np.maximum(dn, 1).astype(np.float32)), (dn > 0) & (truth == 0)
    dark = [row for row in range(len(true)) if _ratio(log_dn, true.labels == row + 1, sea) <= DARK_RATIO]
    return Counter(
        scenes=1,
        known_px=int((classes != NO_DATA_LABEL).sum()),
        seeps=len(true),
        found=len(found),
        dark_seeps=len(dark),
        dark_found=len(np.intersect1d(dark, found)),
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
    }


if __name__ == "__main__":
    main()
