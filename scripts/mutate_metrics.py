"""Apply known wrong implementations to a copy of the package, one at a time, and show which test catches each.

Prints one line per mutation with the first test that fails. Exit code 1 if one survives, if the tests fail without any,
or if a mutation no longer fits the code (its fragment is not found as often as expected: correct the list below).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("seep_monai", "tests", "scripts", "pyproject.toml")
TESTS = (
    "test_instances_components",
    "test_metrics_matching",
    "test_metrics_average_precision",
    "test_metrics_random_sets",
    "test_metrics_monai",
    "test_coco",
    "test_report_scoring",
)

INSTANCES = "seep_monai/instances/components.py"
LABELLING = "seep_monai/instances/labelling.py"
OVERLAP = "seep_monai/metrics/overlap.py"
MATCHING = "seep_monai/metrics/matching.py"
PRECISION = "seep_monai/metrics/average_precision.py"
RECORDS = "seep_monai/metrics/records.py"
SHELLS = "seep_monai/metrics/monai_metrics.py"
RLE = "seep_monai/coco/rle.py"
FILES = "seep_monai/coco/files.py"


@dataclass(frozen=True)
class Mutation:
    """A wrong implementation.

    Attributes:
        name: what is wrong.
        file: path from the root.
        fragment: code that is replaced; any white space fits any other.
        replacement: what stands there instead; empty: the fragment is cut out.
        appended: code at the end of the file.
    """

    name: str
    file: str
    fragment: str
    replacement: str
    appended: str = ""


PER_TILE = """

def _per_tile(rows):
    each = [instance_scores(rows[rows["image_id"] == i]) for i in np.unique(rows["image_id"])]
    values = {key: [s[key] for s in each if not np.isnan(s[key])] for key in each[0]}
    return {key: float(np.mean(found)) if found else float("nan") for key, found in values.items()}
"""
STACKED = """

_separate = _TileMetric._compute_list


def _stacked(self, y_pred, y=None, image_ids=None):
    tiles = [] if y is None else [_plain(t) for t in y]
    alike = len({t.shape[-2:] for t in tiles}) == 1 and len(tiles) == len(y_pred)
    if image_ids is not None or not alike or any(t[..., 0, 0].numel() != 1 for t in tiles):
        return _separate(self, y_pred, y, image_ids)
    return _separate(self, [torch.cat(list(y_pred), dim=1)], [torch.cat([t.reshape(t.shape[-2:]) for t in tiles])])


_TileMetric._compute_list = _stacked
"""
MAXIMUM = """sums = np.zeros(len(table))
    np.maximum.at(sums, component, values)
    sums = sums * table.areas_px"""

MUTATIONS = (
    Mutation("4-connectivity of noisy maps", LABELLING, "connectivity=2", "connectivity=1"),
    Mutation(
        "4-connectivity",
        LABELLING,
        'start - above, side="left") n_touched = np.searchsorted(start, stop - above, side="right")',
        'start - above, side="right"); n_touched = np.searchsorted(start, stop - above, side="left")',
    ),
    Mutation(
        "touching classes merged",
        LABELLING,
        "same = runs.classes[run] == runs.classes[touched]",
        "same = np.ones(len(run), bool)",
    ),
    Mutation(
        "labels of 8 bits",
        INSTANCES,
        "labels = np.zeros(classes.shape, np.int32)",
        "labels = np.zeros(classes.shape, np.uint8)",
    ),
    Mutation(
        "score as maximum", INSTANCES, "sums = np.bincount(component, weights=values, minlength=len(table))", MAXIMUM
    ),
    Mutation(
        "score of the summed seep for classes",
        INSTANCES,
        "probabilities[classes[rows, columns], rows, columns]",
        "1 - probabilities[0, rows, columns]",
    ),
    Mutation("> for >= at thresholds", MATCHING, 'pairs.iou, side="right"', 'pairs.iou, side="left"'),
    Mutation(
        "float32 thresholds",
        MATCHING,
        "np.minimum(thresholds, _HIGHEST_THRESHOLD)",
        "np.minimum(thresholds, _HIGHEST_THRESHOLD).astype(np.float32)",
    ),
    Mutation("thresholds by repeated addition", PRECISION, "np.linspace(0.5, 0.95, 10)", "np.arange(0.5, 0.99, 0.05)"),
    Mutation(
        "float32 IoU", OVERLAP, "shared_px / union_px)", "(shared_px / union_px).astype(np.float32).astype(np.float64))"
    ),
    Mutation(
        "IoU over the truth's area",
        OVERLAP,
        "truth.areas_px[rows] + predicted.areas_px[columns] - shared_px",
        "truth.areas_px[rows]",
    ),
    Mutation(
        "matches across classes",
        OVERLAP,
        "truth.classes[rows] == predicted.classes[columns]",
        "np.ones(len(rows), bool)",
    ),
    Mutation("i / 100 recalls", PRECISION, "np.linspace(0.0, 1.0, 101)", "np.arange(101) / 100"),
    Mutation(
        "recall must exceed its level",
        PRECISION,
        "np.searchsorted(recall[:, t], RECALL_LEVELS)",
        'np.searchsorted(recall[:, t], RECALL_LEVELS, side="right")',
    ),
    Mutation(
        "precision without envelope", PRECISION, "np.maximum.accumulate(precision[::-1], axis=0)[::-1]", "precision"
    ),
    Mutation("unstable sort over tiles", PRECISION, 'np.argsort(-scores, kind="stable")', "np.argsort(scores)[::-1]"),
    Mutation(
        "unstable sort in a tile",
        MATCHING,
        "np.lexsort((-predicted.scores, predicted.classes))",
        "np.lexsort((-np.arange(len(predicted)), -predicted.scores, predicted.classes))",
    ),
    Mutation(
        "first of equal IoUs wins",
        MATCHING,
        "np.lexsort((-found.truth, -found.iou",
        "np.lexsort((found.truth, -found.iou",
    ),
    Mutation("a truth is found more than once", MATCHING, "& ~taken.get(truth, 0)", ""),
    Mutation("a detection finds more than one truth", MATCHING, "& ~matched.get(detection, 0)", ""),
    Mutation("limit of 1000 detections", MATCHING, "MAX_DETECTIONS = 100", "MAX_DETECTIONS = 1000"),
    Mutation(
        "limit over all classes",
        MATCHING,
        "return order[rank < max_detections]",
        'best = np.argsort(-predicted.scores[order], kind="stable")[:max_detections]\n    return order[np.sort(best)]',
    ),
    Mutation(
        "tiles without truth dropped",
        RECORDS,
        "return np.concatenate(blocks, dtype=ROW_DTYPE)",
        "return np.concatenate(blocks if any(len(truth) for truth, _ in pairs) else blocks[:1])",
    ),
    Mutation("no-data of the prediction kept", RECORDS, "valid=truth != NO_DATA_LABEL", "valid=None"),
    Mutation("repeated tiles counted again", RECORDS, "keep[first] = True", "keep[:] = True"),
    Mutation(
        "absent class as 0",
        PRECISION,
        "defined = values[~np.isnan(values)]",
        "defined = np.nan_to_num(values, nan=0.0)",
    ),
    Mutation(
        "absent class as -1",
        PRECISION,
        "defined = values[~np.isnan(values)]",
        "defined = np.nan_to_num(values, nan=-1.0)",
    ),
    Mutation(
        "averages over tiles", SHELLS, "return instance_scores(self.rows())", "return _per_tile(self.rows())", PER_TILE
    ),
    Mutation(
        "3-D labelling of the stack",
        SHELLS,
        "class InstanceAveragePrecision(",
        "class InstanceAveragePrecision(",
        STACKED,
    ),
    Mutation("RLE row by row", RLE, 'labels.ravel(order="F")', 'labels.ravel(order="C")'),
    Mutation("RLE differences from the third count on", RLE, "np.where(position > 2,", "np.where(position > 1,"),
    Mutation("annotation ids from 0", FILES, "first_id=len(self.annotations) + 1", "first_id=len(self.annotations)"),
    Mutation("categories from 1", FILES, '"category_id": k - 1', '"category_id": k'),
    Mutation("scores rounded", FILES, "components.scores.tolist()", "components.scores.round(6).tolist()"),
)


def main() -> None:
    """Read the command line, run the tests on each mutation and print what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutations whose name contains this text (default: all)")
    chosen = [mutation for mutation in MUTATIONS if parser.parse_args().only in mutation.name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy_package(folder)
        for mutation in chosen:
            mutated(mutation, folder)
        if failed := first_failure(folder):
            raise SystemExit(f"expected tests that pass without a mutation, but got: {failed}. Correct them first.")
        survivors = [mutation.name for mutation in chosen if not caught(mutation, folder)]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} caught")
    if survivors:
        raise SystemExit(f"survived: {', '.join(survivors)}")


def copy_package(folder: Path) -> None:
    """What the tests need, without caches."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def mutated(mutation: Mutation, folder: Path) -> str:
    """The file's text with the mutation; SystemExit where its fragment is not there."""
    text = (folder / mutation.file).read_text(encoding="utf-8")
    pattern = r"\s*".join(re.escape(part) for part in re.findall(r"\w+|[^\w\s]", mutation.fragment))
    changed, n = re.subn(pattern, lambda _: mutation.replacement, text)
    if not n:
        raise SystemExit(f"{mutation.file}: found no {mutation.fragment!r} for {mutation.name!r}. Correct it.")
    return changed + mutation.appended


def caught(mutation: Mutation, folder: Path) -> bool:
    """Whether a test fails with the mutation; the copy is as before afterwards."""
    file = folder / mutation.file
    before = file.read_text(encoding="utf-8")
    file.write_text(mutated(mutation, folder), encoding="utf-8")
    failed = first_failure(folder)
    file.write_text(before, encoding="utf-8")
    print(f"{'caught' if failed else 'SURVIVED':<9} {mutation.name:<42} {failed}", flush=True)
    return bool(failed)


def first_failure(folder: Path) -> str:
    """Name of the first test that fails in the copy; empty if all pass."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    files = [f"tests/{name}.py" for name in TESTS]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k", "not script", *files]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if run.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (?:tests/)?(\S+)", run.stdout, re.MULTILINE)
    return found.group(1) if found else run.stdout[-300:] + run.stderr[-300:]


if __name__ == "__main__":
    main()
