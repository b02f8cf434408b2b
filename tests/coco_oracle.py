"""pycocotools as the reference, which labels, scores and matches on its own here, and tiles to compare on."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import ndimage

Draw = Callable[[np.ndarray, np.ndarray], np.ndarray]  # probabilities, known pixels -> class map
Tile = tuple[np.ndarray, np.ndarray]  # probabilities (8, H, W), truth (H, W)
SEEP = 8


# ---------------------------------------------------------------------------------------------------- the oracle
def separate(classes: np.ndarray):
    """(category, mask) of each component: classes 1..7, then all seeps as category 8."""
    for category in range(1, SEEP + 1):
        labels, n = ndimage.label(classes > 0 if category == SEEP else classes == category, np.ones((3, 3)))
        yield from ((category, labels == i) for i in range(1, n + 1))


def annotation(image_id: int, category: int, mask: np.ndarray, score: float | None = None) -> dict:
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    item = {"image_id": image_id, "category_id": category, "segmentation": rle, "iscrowd": 0}
    if score is None:
        return item | {"area": float(mask.sum()), "bbox": coco_mask.toBbox(rle).tolist()}
    # No box in results: loadRes would take its area for that of the mask.
    return item | {"score": score}


def annotations(image_id: int, classes: np.ndarray, probabilities: np.ndarray | None) -> list[dict]:
    found = []
    for category, mask in separate(classes):
        score = None
        if probabilities is not None:
            p = 1 - probabilities[0] if category == SEEP else probabilities[category]
            score = float(p[mask].astype(np.float64).mean())
        found.append(annotation(image_id, category, mask, score))
    return found


def arg_max(probabilities: np.ndarray, known: np.ndarray) -> np.ndarray:
    return probabilities.argmax(axis=0) * known


def coco_files(tiles: list[Tile], draw: Draw = arg_max) -> tuple[COCO, COCO]:
    """Truth and prediction of all tiles; image ids are positions."""
    truth, detections = [], []
    for i, (probabilities, labels) in enumerate(tiles):
        known = labels != 255
        truth += annotations(i, labels * known, None)
        detections += annotations(i, draw(probabilities, known), probabilities)
    return loaded(truth, detections, shapes=[t.shape for _, t in tiles])


def loaded(truth: list[dict], detections: list[dict], shapes: list[tuple[int, int]]) -> tuple[COCO, COCO]:
    """The two lists as COCO objects; image i has the shape i."""
    images = [{"id": i, "height": height, "width": width} for i, (height, width) in enumerate(shapes)]
    categories = [{"id": k, "name": str(k)} for k in range(1, SEEP + 1)]
    ground_truth, results = COCO(), COCO()
    numbered = [item | {"id": n} for n, item in enumerate(truth, start=1)]
    for files, items in ((ground_truth, numbered), (results, [])):
        files.dataset = {"images": images, "categories": categories, "annotations": items}
        with contextlib.redirect_stdout(io.StringIO()):
            files.createIndex()
    if detections:
        with contextlib.redirect_stdout(io.StringIO()):
            results = ground_truth.loadRes(detections)
    return ground_truth, results


def evaluated(
    files: tuple[COCO, COCO], thresholds: np.ndarray, max_detections: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """AP (T, 8) and recall (T, 8), NaN where COCO says -1."""
    run = COCOeval(*files, iouType="segm")
    run.params.useCats = 1
    run.params.iouThrs = thresholds
    run.params.maxDets = [max_detections]
    run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
    with contextlib.redirect_stdout(io.StringIO()):
        run.evaluate()
        run.accumulate()
    precision, recall = run.eval["precision"][:, :, :, 0, 0], run.eval["recall"][:, :, 0, 0]
    return np.where(precision < 0, np.nan, precision).mean(axis=1), np.where(recall < 0, np.nan, recall)


def mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if (~np.isnan(values)).any() else float("nan")


def coco_scores(tiles: list[Tile], draw: Draw = arg_max) -> dict[str, float]:
    return file_scores(coco_files(tiles, draw))


def file_scores(files: tuple[COCO, COCO]) -> dict[str, float]:
    high = np.linspace(0.5, 0.95, 10)
    ap, recall = evaluated(files, high)
    low, _ = evaluated(files, np.linspace(0.1, 0.5, 9))
    categories = [a["category_id"] for a in files[0].dataset["annotations"]]
    n = [categories.count(k) for k in range(1, SEEP + 1)]
    scores = {"mAP": mean(ap[:, :7]), "mAP50": mean(ap[0, :7]), "mAP75": mean(ap[5, :7]), "mAP10_50": mean(low[:, :7])}
    for limit in (1, 10):
        scores[f"mAR{limit}"] = mean(evaluated(files, high, limit)[1][:, :7])
    scores |= {"mAR100": mean(recall[:, :7]), "n_instances": float(sum(n[:7])), "seep_n_instances": float(n[7])}
    for k in range(1, 8):
        scores |= {f"AP_{k}": mean(ap[:, k - 1]), f"AP50_{k}": ap[0, k - 1], f"AP10_50_{k}": mean(low[:, k - 1])}
        scores[f"n_instances_{k}"] = float(n[k - 1])
    return scores | {"seep_AP": mean(ap[:, 7]), "seep_AP50": ap[0, 7], "seep_AP10_50": mean(low[:, 7])}


# ----------------------------------------------------------------------------------------------------- the tiles
def tile(truth: np.ndarray, predicted: np.ndarray, confidence: np.ndarray | float = 0.75) -> Tile:
    """A tile whose arg-max map is `predicted`; confidences are multiples of 1/64, so that score sums are exact."""
    probabilities = np.zeros((8, *truth.shape), np.float64)
    k, (rows, columns) = predicted.astype(int), np.indices(truth.shape)
    probabilities[k, rows, columns] = confidence
    probabilities[0] += 1 - probabilities.sum(axis=0)
    np.testing.assert_array_equal(probabilities.argmax(axis=0), predicted)
    return probabilities, truth.astype(np.uint8)


def random_tile(rng: np.random.Generator) -> Tile:
    """Ribbons of some classes, and a prediction that shifts, drops, relabels, cuts and adds."""
    shape = (int(rng.integers(20, 30)), int(rng.integers(25, 45)))
    truth, predicted = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for _ in range(rng.integers(0, 6)):
        k, row, column = rng.integers(1, 6), rng.integers(0, shape[0] - 4), rng.integers(0, shape[1] - 4)
        height, width = (rng.integers(1, 4), rng.integers(3, 20))[:: rng.choice([-1, 1])]
        truth[row : row + height, column : column + width] = k
        if rng.random() < 0.8:
            row, column = max(row + rng.integers(-1, 2), 0), column + rng.integers(0, 3)
            k = rng.integers(1, 6) if rng.random() < 0.2 else k
            predicted[row : row + height + rng.integers(0, 2), column : column + width] = k
    predicted[rng.random(shape) < rng.choice([0.0, 0.02, 0.1])] = 0
    predicted[rng.random(shape) < rng.choice([0.0, 0.01])] = rng.integers(1, 6)
    truth[rng.random(shape) < rng.choice([0.0, 0.05])] = 255
    steps = rng.choice([2, 30])  # two levels only: many equal scores
    return tile(truth, predicted, 1 - rng.integers(0, steps, shape) / 64)


def blank(shape: tuple[int, int] = (24, 30)) -> np.ndarray:
    return np.zeros(shape, np.uint8)


def line(row: int, columns: slice, k: int = 1, shape: tuple[int, int] = (24, 30)) -> np.ndarray:
    classes = blank(shape)
    classes[row, columns] = k
    return classes


def dots(n: int, k: int = 1, size: int = 48) -> np.ndarray:
    """n single pixels that do not touch."""
    classes = blank((size, size))
    rows, columns = np.indices((size // 2, size // 2)) * 2
    classes[rows.ravel()[:n], columns.ravel()[:n]] = k
    return classes
