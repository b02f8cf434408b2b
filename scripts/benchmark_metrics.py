"""Compare the instance metrics with pycocotools and, where it is installed, faster-coco-eval: time and size.

Tiles are windows on a few dozen canvases with thin curved ribbons, made from a seed: each window lies elsewhere, so no
two tiles are the same, but canvases repeat. All programs start from the same class maps and probabilities, on one
thread. The others need one run-length mask per instance first. They are timed twice:

* as they are used: components class by class with scipy, a mask per component encoded by pycocotools, its mean
  probability; then load, evaluate and accumulate with the default settings (four area ranges);
* like for like: from our labelling and scores, masks encoded from its column-major image, and one area range.

Ours computes seventeen IoU thresholds and no area ranges. Seconds are CPU seconds of this process, so that other work
on the machine does not count.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from pycocotools import mask as coco_mask
from scipy import ndimage

from seep_monai.instances.components import Components, class_components
from seep_monai.metrics import IOU_THRESHOLDS, InstanceAveragePrecision, instance_scores, unique_tiles
from seep_monai.metrics.records import instance_rows

SIZE_PX, MARGIN_PX, N_CANVASES, CHUNK = 256, 64, 60, 200
PYCOCOTOOLS, FASTER = "pycocotools", "faster-coco-eval"
AS_USED, LIKE_FOR_LIKE = "as used", "like for like"


@dataclass(frozen=True, eq=False)
class Tile:
    """Truth (H, W), predicted class map (H, W), both uint8, and float32 probabilities (8, H, W)."""

    truth: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray


def main() -> None:
    """Read the command line, run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n_tiles", type=int, default=8000, help="tiles a run (default: %(default)s)")
    parser.add_argument(
        "--n_runs", type=int, default=5, help="runs, of which medians are printed (default: %(default)s)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    canvases = [make_canvas(seed) for seed in range(N_CANVASES)]
    runs = []
    for number in range(arguments.n_runs):
        runs.append(run_once(canvases, arguments.n_tiles, seed=number))
        print(f"run {number + 1}: " + ", ".join(f"{key} {value:.2f} s" for key, value in runs[-1].seconds.items()))
    report(runs, arguments.n_tiles)


def make_canvas(seed: int) -> Tile:
    """A canvas larger than a tile by the margin: ribbons, and a prediction that shifts, cuts, drops and adds some."""
    rng = np.random.default_rng(seed)
    side = SIZE_PX + MARGIN_PX
    truth, predicted = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
    for _ in range(rng.poisson(2.7)):
        draw_ribbon(rng, truth, predicted if rng.random() < 0.85 else None)
    for _ in range(rng.poisson(0.4)):
        draw_ribbon(rng, predicted, None)
    rows, columns = np.indices(truth.shape)
    probabilities = np.zeros((8, side, side), np.float32)
    probabilities[predicted, rows, columns] = rng.uniform(0.5, 1, truth.shape)
    probabilities[0] += 1 - probabilities.sum(axis=0)
    return Tile(truth, predicted, probabilities)


def draw_ribbon(rng: np.random.Generator, image: np.ndarray, copy: np.ndarray | None) -> None:
    """A curved ribbon three to five px wide in `image`, and a shifted, shorter one in `copy`."""
    k, length, width = int(rng.integers(1, 8)), int(rng.integers(40, 200)), int(rng.integers(3, 6))
    along = np.arange(length) + int(rng.integers(0, len(image) - length))
    across = rng.uniform(20, len(image) - 20) + rng.uniform(2, 15) * np.sin(along / rng.uniform(15, 60))
    turned, shift, cut = rng.random() < 0.5, int(rng.integers(0, 2)), int(rng.integers(0, 20))
    for target, offset, end in ((image, 0, length), (copy, shift, length - cut)):
        if target is not None:
            for step in range(width):
                line = np.clip(across[:end].astype(int) + step + offset, 0, len(image) - 1)
                target[(along[:end], line) if turned else (line, along[:end])] = k


def tiles_of(canvases: list[Tile], n_tiles: int, seed: int) -> Iterator[Tile]:
    """Windows on the canvases at random places; class maps are copied, probabilities are views."""
    rng = np.random.default_rng(seed)
    for number in range(n_tiles):
        canvas = canvases[number % len(canvases)]
        row, column = rng.integers(0, MARGIN_PX, 2)
        window = (slice(row, row + SIZE_PX), slice(column, column + SIZE_PX))
        yield Tile(canvas.truth[window].copy(), canvas.predicted[window].copy(), canvas.probabilities[:, *window])


class Run:
    """Seconds of each step, sizes and the AP of each program, of one run."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.ap: dict[str, float] = {}
        self.n_truth = 0
        self.n_predicted = 0
        self.state_bytes = 0

    def timed(self, step: str, function: Callable[..., Any], *args: Any) -> Any:
        """The function's result; its CPU time is added to the step."""
        started = time.process_time()
        result = function(*args)
        self.seconds[step] += time.process_time() - started
        return result


def run_once(canvases: list[Tile], n_tiles: int, *, seed: int) -> Run:
    """Every program once over all tiles, chunk by chunk where it can go so."""
    run, rows, metric = Run(), [], InstanceAveragePrecision()
    images: list[dict[str, Any]] = []
    records: dict[str, tuple[list, list]] = {AS_USED: ([], []), LIKE_FOR_LIKE: ([], [])}
    tiles, first = tiles_of(canvases, n_tiles, seed), 1
    while chunk := [tile for tile, _ in zip(tiles, range(CHUNK), strict=False)]:
        pairs = run.timed("labelling", label_all, chunk)
        rows += run.timed("matching", match_all, first, pairs)
        images += [{"id": first + i, "height": SIZE_PX, "width": SIZE_PX} for i in range(len(chunk))]
        for index in range(2):
            records[AS_USED][index].extend(run.timed("masks " + AS_USED, plain_records, first, chunk, index))
            tables = [pair[index] for pair in pairs]
            records[LIKE_FOR_LIKE][index].extend(run.timed("masks " + LIKE_FOR_LIKE, encode_all, first, tables))
        run.timed("whole metric", feed, metric, chunk)
        first += len(chunk)
    run.ap["ours"] = run.timed("matching", lambda: instance_scores(unique_tiles(np.concatenate(rows))))["mAP"]
    run.timed("whole metric", metric.aggregate)
    run.state_bytes = sum(block.nbytes for block in rows)
    run.n_truth, run.n_predicted = (len(found) for found in records[AS_USED])
    for name, (dataset, evaluator) in other_programs().items():
        for way, (truths, predictions) in records.items():
            content = {"images": images, "annotations": truths, "categories": [{"id": k} for k in range(7)]}
            step = f"{name}, {way}"
            run.ap[step] = run.timed(step, evaluate, (dataset, evaluator), content, predictions, way)
    if max(run.ap.values()) - min(run.ap.values()) > 1e-9:
        raise SystemExit(f"expected one mAP from all programs, but got {run.ap}.")
    return run


def label_all(tiles: list[Tile]) -> list[tuple[Components, Components]]:
    """Component tables of truth and prediction."""
    return [(class_components(t.truth), class_components(t.predicted, t.probabilities)) for t in tiles]


def match_all(first: int, pairs: list[tuple[Components, Components]]) -> list[np.ndarray]:
    """The rows that we keep of each tile."""
    return [instance_rows(first + i, [pair], IOU_THRESHOLDS) for i, pair in enumerate(pairs)]


def feed(metric: InstanceAveragePrecision, tiles: list[Tile]) -> None:
    """Probabilities and masks into the MONAI metric, which also scores seep / no seep."""
    metric(y_pred=[torch.from_numpy(t.probabilities) for t in tiles], y=[torch.from_numpy(t.truth) for t in tiles])


def encode_all(first: int, tables: list[Components]) -> list[dict[str, Any]]:
    """One COCO record per instance, with what both truth and results need."""
    records = []
    for image_id, table in enumerate(tables, start=first):
        labels = np.asfortranarray(table.labels)
        for i in range(len(table)):
            rle = coco_mask.encode((labels == i + 1).view(np.uint8))
            record = {"image_id": image_id, "category_id": int(table.classes[i]) - 1, "segmentation": rle}
            records.append(record | {"area": float(table.areas_px[i]), "score": float(table.scores[i]), "iscrowd": 0})
    return records


def plain_records(first: int, tiles: list[Tile], index: int) -> list[dict[str, Any]]:
    """The same records from the truth (index 0) or the prediction (1), as a user writes it in ten lines."""
    records = []
    for image_id, tile in enumerate(tiles, start=first):
        classes = (tile.truth, tile.predicted)[index]
        for k in np.unique(classes[classes > 0]).tolist():
            labels, n = ndimage.label(classes == k, np.ones((3, 3)))
            for i in range(1, n + 1):
                mask = labels == i
                rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
                record = {"image_id": image_id, "category_id": k - 1, "segmentation": rle, "iscrowd": 0}
                score = float(tile.probabilities[k][mask].mean(dtype=np.float64)) if index else 0.0
                records.append(record | {"area": float(mask.sum()), "score": score})
    return records


def other_programs() -> dict[str, tuple[Any, Any]]:
    """Dataset and evaluator class of each program that is installed."""
    found = {PYCOCOTOOLS: (_module("pycocotools.coco").COCO, _module("pycocotools.cocoeval").COCOeval)}
    with contextlib.suppress(ImportError):
        faster = _module("faster_coco_eval")
        found[FASTER] = (faster.COCO, faster.COCOeval_faster)
    return found


def evaluate(program: tuple[Any, Any], content: dict[str, Any], predictions: list[dict[str, Any]], way: str) -> float:
    """mAP by another program, from ready run-length masks."""
    dataset, evaluator = program
    with contextlib.redirect_stdout(io.StringIO()):
        truth = dataset()
        annotations = [
            a | {"id": i, "bbox": coco_mask.toBbox(a["segmentation"]).tolist()}
            for i, a in enumerate(content["annotations"], start=1)
        ]
        truth.dataset = content | {"annotations": annotations}
        truth.createIndex()
        results = [
            {key: record[key] for key in ("image_id", "category_id", "segmentation", "score")} for record in predictions
        ]
        run = evaluator(truth, truth.loadRes(results), iouType="segm")
        if way == LIKE_FOR_LIKE:
            run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.evaluate()
        run.accumulate()
    precision = np.asarray(run.eval["precision"])[..., 0, -1]
    return float(precision[precision > -1].mean())


def report(runs: list[Run], n_tiles: int) -> None:
    """Print medians over the runs, ratios and sizes."""
    median = {step: statistics.median(run.seconds[step] for run in runs) for step in runs[0].seconds}
    truth, predicted = runs[-1].n_truth / n_tiles, runs[-1].n_predicted / n_tiles
    print(
        f"\n{n_tiles} tiles of {SIZE_PX} x {SIZE_PX}, {truth:.2f} true and {predicted:.2f} predicted instances a tile,"
    )
    print(
        f"medians of {len(runs)} runs, CPU seconds, one thread; mAP of the last run {runs[-1].ap['ours']:.6f} by all\n"
    )
    print(f"{'':<34}{'with labelling':>16}{'ratio':>8}{'without':>12}{'ratio':>8}")
    ours = median["labelling"] + median["matching"], median["matching"]
    print(f"{'ours':<34}{ours[0]:>16.2f}{'':>8}{ours[1]:>12.2f}")
    for step in (f"{name}, {way}" for way in (AS_USED, LIKE_FOR_LIKE) for name in (PYCOCOTOOLS, FASTER)):
        if step in median:
            labelled = median["masks " + AS_USED]
            if step.endswith(LIKE_FOR_LIKE):
                labelled = median["labelling"] + median["masks " + LIKE_FOR_LIKE]
            whole, bare = labelled + median[step], median[step]
            print(f"{step:<34}{whole:>16.2f}{whole / ours[0]:>7.1f}x{bare:>12.2f}{bare / ours[1]:>7.1f}x")
        else:
            print(f"{step:<34}not installed")
    print(f"\nour labelling and scores {median['labelling']:.2f} s")
    print(f"our MONAI metric from probabilities, with seep / no seep: {median['whole metric']:.2f} s")
    print(f"our state: {runs[-1].state_bytes / n_tiles:.0f} bytes a tile")


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


if __name__ == "__main__":
    main()
