"""False alarms and recall of the maps that `seep-monai infer` drew of simulated scenes.

SCENES is a folder of `seep-monai simulate --scenes`, MAPS the --output_dir of the inference. A seep is found if an
object has an IoU of at least .1 with it; an object without such a seep is a false alarm.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import rasterio

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.instances.components import ClassMap, Floats, seep_components
from seep_monai.instances.ring import ring_ratio
from seep_monai.metrics.overlap import overlaps

FOUND_IOU = 0.1
# A seep counts if its mean DN is at most this share of the sea around it.
DARK_RATIO = 0.85


def main() -> None:
    """Read the command line, print the figures and write them to MAPS/scores.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", type=Path, metavar="SCENES")
    parser.add_argument("maps", type=Path, metavar="MAPS")
    parser.add_argument("--pixel_size_m", type=float, default=40.0, help="size of a pixel (default: %(default)s)")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    for image in sorted((arguments.scenes / "images").glob("*.tif")):
        classes = arguments.maps / f"{image.stem}_classes.tif"
        if not classes.is_file():
            raise SystemExit(f"{classes}: expected the map of {image.name}, but there is none. Infer this scene first.")
        counts += scene_counts(read(image), read(arguments.scenes / "masks" / image.name), read(classes))
    if not counts:
        raise SystemExit(f"{arguments.scenes}: expected scenes in images/, but found none.")
    figures = summary(counts, arguments.pixel_size_m)
    (arguments.maps / "scores.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def read(path: Path) -> np.ndarray:
    """The first band."""
    with rasterio.open(path) as raster:
        return np.asarray(raster.read(1))


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
