"""`scored_tiles.npz`: the records of each scored tile, from which the scores of any set of tiles can be computed.

The file is a NumPy archive without pickled objects:

- `format`: () int64, see `FORMAT`.
- `origin`: () str, JSON of what was scored: `part`, `unit`, `leaky`, `instance_mode`, `instance_settings`,
  `weights_sha256`, `plan_fingerprint` as in `metrics.json`, and `class_names` of the labels 1..7.
- `names`, `scenes`: (n,) str, name and scene of each tile, in the order of scoring.
- `instances`, `confusion`: rows of `metrics.records.ROW_DTYPE` and `metrics.confusion.CONFUSION_DTYPE`, concatenated
  over tiles; `n_instance_rows`, `n_confusion_rows`: (n,) int64, number of rows of each tile.
- `pixels`: (n, 8, 8) int64 counts, row = truth, column = prediction.
- `ribbons`: (n, 96) float64 counts; `ribbon_columns`: (96,) str, their names.
- `errors`: (n, 7, 10) int64 counts of `metrics.errors`.
- `recall`: (n, 7, 9, 4) int64 counts of `metrics.recall`; `recall_bins`: (9,) str, names of the bins.
- `iou_thresholds`: (17,) float64, the threshold of each bit in `instances`.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.classes import N_CLASSES, N_SEEP_CLASSES
from seep_monai.errors import DataError
from seep_monai.files import write_bytes
from seep_monai.metrics import IOU_THRESHOLDS
from seep_monai.metrics.confusion import CONFUSION_DTYPE
from seep_monai.metrics.errors import DETECTION_OUTCOMES, TRUTH_OUTCOMES
from seep_monai.metrics.recall import RECALL_BINS, RECALL_COUNTS
from seep_monai.metrics.records import ROW_DTYPE
from seep_monai.metrics.ribbon import RIBBON_COLUMNS
from seep_monai.metrics.scored_tiles import ScoredTiles

SCORED_TILES_FILE = "scored_tiles.npz"
# Increased when the meaning of an array changes, so that records of different meaning are never pooled.
FORMAT = 5

_COUNTS = ("pixels", "ribbons", "errors", "recall")
_ORIGIN_KEYS = frozenset(
    {"part", "unit", "leaky", "instance_mode", "instance_settings", "weights_sha256", "plan_fingerprint", "class_names"}
)

Arrays = dict[str, npt.NDArray[Any]]


def write_scored_tiles(path: Path, tiles: ScoredTiles, origin: Mapping[str, Any]) -> None:
    """Write the file atomically.

    Args:
        tiles: the records of all tiles, at least one, each with its name.
        origin: what was scored; see the module docstring.
    """
    arrays: Arrays = {
        "format": np.array(FORMAT),
        "origin": np.array(json.dumps(dict(origin), allow_nan=False)),
        "names": np.array(tiles.names, dtype=np.str_),
        "scenes": np.array(tiles.scenes, dtype=np.str_),
        "instances": np.concatenate(tiles.instances),
        "n_instance_rows": np.array([len(rows) for rows in tiles.instances]),
        "confusion": np.concatenate(tiles.confusion),
        "n_confusion_rows": np.array([len(rows) for rows in tiles.confusion]),
        **{name: np.stack(getattr(tiles, name)) for name in _COUNTS},
        "recall_bins": np.array(RECALL_BINS),
        "ribbon_columns": np.array(RIBBON_COLUMNS),
        "iou_thresholds": IOU_THRESHOLDS,
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def read_scored_tiles(path: Path) -> ScoredTiles:
    """The records of all tiles, in the order of scoring.

    Raises:
        DataError: if the file is missing, unreadable, or not as described above.
    """
    arrays = _arrays(path)
    return ScoredTiles(
        names=arrays["names"].tolist(),
        scenes=arrays["scenes"].tolist(),
        instances=_divided(arrays["instances"], arrays["n_instance_rows"]),
        confusion=_divided(arrays["confusion"], arrays["n_confusion_rows"]),
        **{name: list(arrays[name]) for name in _COUNTS},
    )


def read_origin(path: Path) -> dict[str, Any]:
    """The stored `origin`: what was scored.

    Raises:
        DataError: if the file is missing, unreadable, or not as described above.
    """
    origin: dict[str, Any] = json.loads(str(_arrays(path)["origin"]))
    return origin


def _arrays(path: Path) -> Arrays:
    """All arrays of the file, checked."""
    if not path.is_file():
        raise DataError(f"{path}: expected the records of an evaluation, but there is no such file. Evaluate first.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        fault = _fault(arrays)
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read ({error!r}). Evaluate again.") from error
    if fault:
        raise DataError(f"{path}: {fault}. Evaluate again with this version.")
    return arrays


def _fault(arrays: Arrays) -> str:
    """How the arrays differ from this version's format; empty if they do not."""
    if arrays["format"] != FORMAT:
        return f"expected format {FORMAT}, but got {arrays['format']}"
    n_tiles = len(arrays["names"])
    expected: dict[str, tuple[Any, tuple[int, ...]]] = {
        "scenes": (arrays["scenes"].dtype, (n_tiles,)),
        "instances": (ROW_DTYPE, (int(arrays["n_instance_rows"].sum()),)),
        "n_instance_rows": (np.int64, (n_tiles,)),
        "confusion": (CONFUSION_DTYPE, (int(arrays["n_confusion_rows"].sum()),)),
        "n_confusion_rows": (np.int64, (n_tiles,)),
        "pixels": (np.int64, (n_tiles, N_CLASSES, N_CLASSES)),
        "ribbons": (np.float64, (n_tiles, len(RIBBON_COLUMNS))),
        "errors": (np.int64, (n_tiles, N_SEEP_CLASSES, len(TRUTH_OUTCOMES) + len(DETECTION_OUTCOMES))),
        "recall": (np.int64, (n_tiles, N_SEEP_CLASSES, len(RECALL_BINS), len(RECALL_COUNTS))),
    }
    for name, (dtype, shape) in expected.items():
        if arrays[name].dtype != dtype or arrays[name].shape != shape:
            return f"expected {name} {shape} {dtype}, but got {arrays[name].shape} {arrays[name].dtype}"
    if tuple(arrays["ribbon_columns"].tolist()) != RIBBON_COLUMNS:
        return "expected the ribbon counts of this version, but got others"
    if tuple(arrays["recall_bins"].tolist()) != RECALL_BINS:
        return "expected the bins of size and contrast of this version, but got others"
    if not np.array_equal(arrays["iou_thresholds"], IOU_THRESHOLDS):
        return "expected the IoU thresholds of this version, but got others"
    missing = sorted(_ORIGIN_KEYS - json.loads(str(arrays["origin"])).keys())
    return f"expected all keys in origin, but it lacks {', '.join(missing)}" if missing else ""


def _divided(rows: npt.NDArray[np.void], n_rows: npt.NDArray[np.int64]) -> list[npt.NDArray[np.void]]:
    """The rows of each tile; tiles with 3, 0 and 2 rows are split at 3 and 3."""
    return np.split(rows, np.cumsum(n_rows)[:-1])
