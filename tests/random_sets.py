"""Random sets of tiles, and pycocotools' figures for them: it labels, scores and matches on its own here."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import ndimage

Tile = tuple[np.ndarray, np.ndarray]  # probabilities (8, H, W), truth (H, W) uint8 with 255 = no-data
SEEP = 8
LOW, COCO_RANGE = slice(0, 9), slice(8, 18)
THRESHOLDS = np.concatenate([np.linspace(0.1, 0.5, 9)[:-1], np.linspace(0.5, 0.95, 10)])


# ------------------------------------------------------------------------------------------------------ random sets
def random_set(seed: int) -> list[Tile]:
    """One to six tiles of one kind or another."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice([ribbons, specks, blocks], rng.integers(1, 7), p=[0.6, 0.15, 0.25])
    return [with_confidence(rng, *kind(rng)) for kind in kinds]


def ribbons(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Bars of some classes, and a prediction that shifts, relabels, cuts, drops and adds."""
    shape = (int(rng.integers(8, 33)), int(rng.integers(8, 45)))
    truth, predicted = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for _ in range(rng.integers(0, 7)):
        k, row, column = rng.integers(1, 8), rng.integers(0, shape[0] - 4), rng.integers(0, shape[1] - 4)
        height, width = (rng.integers(1, 4), rng.integers(3, 20))[:: rng.choice([-1, 1])]
        truth[row : row + height, column : column + width] = k
        if rng.random() < 0.8:
            k = rng.integers(1, 8) if rng.random() < 0.2 else k
            row, column = max(row + rng.integers(-1, 2), 0), column + rng.integers(0, 3)
            predicted[row : row + height + rng.integers(0, 2), column : column + width] = k
    predicted[rng.random(shape) < rng.choice([0.0, 0.02, 0.1])] = 0
    return truth, predicted


def specks(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Single pixels and small clumps of few classes: often more than 100 of a class."""
    shape = (int(rng.integers(1, 40)), int(rng.integers(1, 40)))
    highest, density = int(rng.integers(2, 9)), rng.uniform(0.02, 0.4)
    truth = np.where(rng.random(shape) < density, rng.integers(1, highest, shape), 0).astype(np.uint8)
    kept = np.where(rng.random(shape) < rng.uniform(0.5, 1), truth, 0)
    return truth, np.where(rng.random(shape) < 0.1, rng.integers(0, highest, shape), kept).astype(np.uint8)


def blocks(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Areas with holes whose IoU is a simple fraction, alone or side by side."""
    truth, predicted = np.zeros((12, 41), np.uint8), np.zeros((12, 41), np.uint8)
    for row, k in ((1, int(rng.integers(1, 4))), (6, int(rng.integers(1, 4)))):
        start, n_px = int(rng.integers(0, 20)), int(rng.integers(1, 21))
        truth[row, start : start + 20] = k
        predicted[row, start : start + n_px] = k
    if rng.random() < 0.5:
        truth[1:10, 22:30], truth[3:6, 24:27] = 5, 0
        predicted[1:10, 22 : 22 + rng.integers(1, 9)] = 5
    if rng.random() < 0.3:
        predicted[1, :] = truth[1, :].max()
    return truth, predicted


def with_confidence(rng: np.random.Generator, truth: np.ndarray, predicted: np.ndarray) -> Tile:
    """Probabilities with the arg-max map `predicted`, multiples of 1/64 so that sums are exact; and some no-data."""
    steps, shape = int(rng.choice([1, 2, 30])), truth.shape
    noise = np.zeros((8, *shape))
    rows, columns = np.indices(shape)
    noise[predicted, rows, columns] = 1 - rng.integers(0, steps, shape) / 64
    noise[0] += 1 - noise.sum(axis=0)
    truth[rng.random(shape) < rng.choice([0.0, 0.0, 0.05])] = 255
    return noise, truth


# ------------------------------------------------------------------------------------------------------- the oracle
def coco_scores(tiles: list[Tile]) -> dict[str, float]:
    """The keys of `instance_scores`, and `all_AP_<k>`, `all_AR_<k>` over all thresholds."""
    run = evaluated(tiles)
    precision = np.where(run["precision"] < 0, np.nan, run["precision"]).mean(axis=1)
    recall = np.where(run["recall"] < 0, np.nan, run["recall"])
    ap, ar = precision[:, :, 0, 2], recall[:, :, 0, :]
    scores = {"mAP": mean(ap[COCO_RANGE, :7]), "mAP50": mean(ap[8, :7]), "mAP75": mean(ap[13, :7])}
    scores |= {"mAP10_50": mean(ap[LOW, :7])}
    scores |= {f"mAR{n}": mean(ar[COCO_RANGE, :7, i]) for i, n in enumerate((1, 10, 100))}
    for name, k in [*((f"{{}}_{k}", k) for k in range(1, 8)), ("seep_{}", SEEP)]:
        own = ap[:, k - 1]
        scores |= {name.format("AP"): mean(own[COCO_RANGE]), name.format("AP50"): own[8]}
        scores |= {name.format("AP10_50"): mean(own[LOW])}
    for k in range(1, 8):
        scores |= {f"all_AP_{k}": mean(ap[:, k - 1]), f"all_AR_{k}": mean(ar[:, k - 1, 2])}
    return scores


def evaluated(tiles: list[Tile]) -> dict[str, Any]:
    """COCOeval's arrays for 17 thresholds, categories 1..8, all areas and 1, 10 and 100 detections."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = coco_pair(tiles)
        run = COCOeval(truth, found, iouType="segm")
        run.params.iouThrs = THRESHOLDS
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.evaluate()
        run.accumulate()
    return run.eval


def coco_pair(tiles: list[Tile]) -> tuple[COCO, COCO]:
    """Truth and results with one annotation per component of each class, and per component of any seep."""
    content = {
        "images": [{"id": i, "height": t.shape[0], "width": t.shape[1]} for i, (_, t) in enumerate(tiles)],
        "categories": [{"id": k, "name": str(k)} for k in range(1, SEEP + 1)],
    }
    annotations, results = [], []
    for i, (probabilities, labels) in enumerate(tiles):
        known = labels != 255
        annotations += instances(i, labels * known, None)
        results += instances(i, probabilities.argmax(axis=0) * known, probabilities)
    truth, found = COCO(), COCO()
    truth.dataset = {**content, "annotations": [a | {"id": n} for n, a in enumerate(annotations, start=1)]}
    truth.createIndex()
    if results:
        return truth, truth.loadRes(results)
    found.dataset = {**content, "annotations": []}
    found.createIndex()
    return truth, found


def instances(image_id: int, classes: np.ndarray, probabilities: np.ndarray | None) -> list[dict[str, Any]]:
    """Annotations (or, with probabilities, results) in raster order of each class."""
    records = []
    for k in [*range(1, SEEP), SEEP]:
        labels, n = ndimage.label(classes > 0 if k == SEEP else classes == k, np.ones((3, 3)))
        for i in range(1, n + 1):
            mask = labels == i
            rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            record = {"image_id": image_id, "category_id": k, "segmentation": rle}
            if probabilities is None:
                box = coco_mask.toBbox(rle).tolist()
                records.append(record | {"area": int(mask.sum()), "bbox": box, "iscrowd": 0})
            else:
                p = 1 - probabilities[0] if k == SEEP else probabilities[k]
                records.append(record | {"score": float(p[mask].mean())})
    return records


def mean(values: np.ndarray) -> float:
    """The mean of the defined values, NaN without any."""
    return float(np.nanmean(values)) if (~np.isnan(values)).any() else float("nan")
