"""MONAI metrics of instances and pixels, which validate the input, store rows per tile and aggregate them.

Call `metric(y_pred=probabilities, y=labels)` on batches or lists of tiles, then `aggregate()`. Each tile is stored as a
few float64 rows, which MONAI gathers over processes. A tile seen by two processes counts once if it has the same
`image_ids` in both.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics import CumulativeIterationMetric

from seep_monai import processes
from seep_monai.classes import N_CLASSES, NO_DATA_LABEL
from seep_monai.errors import DataError
from seep_monai.instances.components import DEFAULT_SETTINGS, ClassMap, Floats, InstanceSettings, painted_map
from seep_monai.metrics.average_precision import IOU_THRESHOLDS, instance_scores
from seep_monai.metrics.pixels import Confusion, confusion_counts, pixel_scores
from seep_monai.metrics.records import ROW_NAMES, from_matrix, tile_rows, to_matrix, unique_tiles

Tensors = torch.Tensor | Sequence[torch.Tensor]
ImageIds = Sequence[int] | torch.Tensor

# Choice: softmax in half precision exceeds 1 by up to 1e-3; logits usually exceed it by far more.
_PROBABILITY_TOLERANCE = 1e-3
# Whole numbers are exact in float64 up to here.
_MAX_IMAGE_ID = 2**53


class _TileMetric(CumulativeIterationMetric):
    """Base class that turns each tile into float64 rows.

    A call takes `y_pred`: probabilities, a list of (8, H, W) or a batch (B, 8, H, W) of any float type; `y`: labels
    0..7 and 255 = no-data, a list of (1, H, W) or (H, W) or a batch (B, 1, H, W); and `image_ids`: one whole number per
    tile, at most 2**53. Without ids, tiles are numbered in the order of the calls, interleaved over processes. Give ids
    if a sampler may repeat tiles, or if ties must not depend on the order of the tiles. The input is not changed.

    Raises DataError on NaN or values outside 0..1, and on other shapes, counts, labels or ids.

    Args:
        settings: how probabilities become instances; dropped instances count as background.
    """

    _width: int

    def __init__(self, settings: InstanceSettings = DEFAULT_SETTINGS) -> None:
        self.settings = settings
        super().__init__()

    def reset(self) -> None:
        """Discard all tiles."""
        super().reset()
        self._n_seen = 0
        self._with_ids: bool | None = None

    def _compute_tensor(
        self, y_pred: torch.Tensor, y: torch.Tensor | None = None, image_ids: ImageIds | None = None
    ) -> torch.Tensor:
        return self._compute_list(_plain(y_pred), None if y is None else _plain(y), image_ids)

    def _compute_list(
        self, y_pred: Tensors, y: Tensors | None = None, image_ids: ImageIds | None = None
    ) -> torch.Tensor:
        if y is None:
            raise DataError("y: expected label tensors, but got none.")
        if len(y_pred) != len(y) or not len(y):
            raise DataError(f"expected as many labels as predictions, one or more, but got {len(y)} and {len(y_pred)}.")
        if self._with_ids not in (None, image_ids is not None):
            raise DataError("image_ids: expected in every call or in none until reset(), but got both: ids may clash.")
        ids = self._next_ids(len(y)) if image_ids is None else _checked_ids(image_ids, n_tiles=len(y))
        rows = [self._rows(i, *_checked_tile(i, p, t)) for i, p, t in zip(ids, y_pred, y, strict=True)]
        self._n_seen += len(y)
        self._with_ids = image_ids is not None
        return torch.from_numpy(np.concatenate(rows))

    def _next_ids(self, n_tiles: int) -> list[int]:
        # Process 1 of 3 numbers its tiles 1, 4, 7, ...
        return [(self._n_seen + i) * processes.world_size() + processes.rank() for i in range(n_tiles)]

    def _gathered(self) -> npt.NDArray[np.float64]:
        """The rows of all processes. A process without tiles sends a row of NaN, because the others wait for it."""
        if self._buffers is None:
            self.extend(torch.full((1, self._width), torch.nan, dtype=torch.float64))
        rows = np.asarray(self.get_buffer().cpu().numpy())
        return rows[~np.isnan(rows[:, 0])]

    @abstractmethod
    def _rows(self, image_id: int, probabilities: Floats, truth: ClassMap) -> npt.NDArray[np.float64]:
        """(n, width) rows of one tile, n >= 1, each with its image id first."""


class InstanceAveragePrecision(_TileMetric):
    """COCO mask AP and AR of the instances in class maps; see `average_precision.instance_scores` for the keys.

    By default, instances are the 8-connected components of each class of the arg-max map; no-data is background in
    truth and prediction. Results equal pycocotools, with at most 100 detections per tile and class. NaN = undefined.

    >>> metric = InstanceAveragePrecision()
    >>> truth = torch.zeros(1, 1, 8, 8, dtype=torch.uint8); truth[..., 2, 1:7] = 3
    >>> p = torch.nn.functional.one_hot(truth[:, 0].long(), 8).movedim(-1, 1).float()
    >>> _ = metric(y_pred=p, y=truth)
    >>> round(metric.aggregate()["mAP"], 6)
    1.0
    """

    _width = len(ROW_NAMES)

    def aggregate(self) -> dict[str, float]:
        """All scores over the tiles of all processes, as Python floats; every process must call it."""
        return instance_scores(self.rows())

    def rows(self) -> npt.NDArray[np.void]:
        """The rows of all tiles (`records.ROW_DTYPE`), in image-id order, each tile once."""
        return unique_tiles(from_matrix(self._gathered()))

    def _rows(self, image_id: int, probabilities: Floats, truth: ClassMap) -> npt.NDArray[np.float64]:
        return to_matrix(tile_rows(image_id, probabilities, truth, IOU_THRESHOLDS, settings=self.settings))


class PixelScores(_TileMetric):
    """Pooled IoU, Dice, precision and recall of the class map; see `pixels.pixel_scores` for the keys.

    No-data pixels are ignored. Counts are summed over tiles before any ratio is taken; 0 / 0 is NaN.
    """

    _width = 1 + N_CLASSES**2

    def aggregate(self) -> dict[str, float]:
        """All scores over the tiles of all processes, as Python floats; every process must call it."""
        return pixel_scores(self.confusion())

    def confusion(self) -> Confusion:
        """(8, 8) int64 pixel counts over all tiles, row = truth, column = prediction; each image id counts once."""
        rows = self._gathered()
        _, first = np.unique(rows[:, 0], return_index=True)
        return rows[first, 1:].sum(axis=0).reshape(N_CLASSES, N_CLASSES).astype(np.int64)

    def _rows(self, image_id: int, probabilities: Floats, truth: ClassMap) -> npt.NDArray[np.float64]:
        predicted = painted_map(probabilities, self.settings, valid=truth != NO_DATA_LABEL)
        counts = confusion_counts(truth=truth, predicted=predicted)
        return np.concatenate([[image_id], counts.ravel()]).astype(np.float64)[None]


def _checked_tile(image_id: int, y_pred: torch.Tensor, y: torch.Tensor) -> tuple[Floats, ClassMap]:
    """(8, H, W) float32 or float64 probabilities and (H, W) uint8 labels, both on the CPU."""
    y_pred, y = _plain(y_pred), _plain(y)
    if y.ndim == 3 and y.shape[0] == 1:
        y = y[0]
    if y_pred.ndim != 3 or y_pred.shape[0] != N_CLASSES or y.ndim != 2 or y_pred.shape[1:] != y.shape:
        raise DataError(
            f"tile {image_id}: expected probabilities ({N_CLASSES}, H, W) and labels (1, H, W) or (H, W) of one size, "
            f"but got {tuple(y_pred.shape)} and {tuple(y.shape)}."
        )
    return _checked_probabilities(image_id, y_pred), _checked_labels(image_id, y)


def _checked_probabilities(image_id: int, y_pred: torch.Tensor) -> Floats:
    if not y_pred.is_floating_point():
        raise DataError(f"tile {image_id}: expected probabilities of a float type, but got {y_pred.dtype}.")
    # The conversion of half precision to float32 is exact, and float32 is many times faster on the CPU.
    dtype = torch.float64 if y_pred.dtype == torch.float64 else torch.float32
    probabilities: Any = y_pred.detach().to("cpu", dtype).numpy()
    if not probabilities.size:
        return probabilities
    low, high = float(probabilities.min()), float(probabilities.max())
    if not (low >= -_PROBABILITY_TOLERANCE and high <= 1 + _PROBABILITY_TOLERANCE):
        raise DataError(
            f"tile {image_id}: expected probabilities in 0..1 without NaN, but got values from {low:g} to {high:g}. "
            "Apply softmax to logits first; NaN comes from a diverged network or NaN pixels."
        )
    return probabilities


def _checked_labels(image_id: int, y: torch.Tensor) -> ClassMap:
    labels = y.detach().cpu()
    as_uint8 = labels.to(torch.uint8)
    truth: Any = as_uint8.numpy()
    known = bool((labels == as_uint8).all()) and not bool(((truth >= N_CLASSES) & (truth != NO_DATA_LABEL)).any())
    if not known:
        strange = [v for v in torch.unique(labels).tolist() if v not in (*range(N_CLASSES), NO_DATA_LABEL)]
        raise DataError(
            f"tile {image_id}: expected labels 0..{N_CLASSES - 1} and {NO_DATA_LABEL} for no-data, "
            f"but got {strange[:5]}."
        )
    return truth


def _checked_ids(image_ids: ImageIds, *, n_tiles: int) -> list[int]:
    values = image_ids.tolist() if isinstance(image_ids, torch.Tensor) else list(image_ids)
    whole = all(isinstance(v, int | np.integer) and abs(int(v)) <= _MAX_IMAGE_ID for v in values)
    if len(values) != n_tiles or not whole:
        raise DataError(f"image_ids: expected {n_tiles} whole numbers up to 2**53, but got {values[:5]}.")
    return [int(v) for v in values]


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor without MONAI's metadata, which slows down indexing."""
    if not isinstance(tensor, torch.Tensor):
        raise DataError(f"expected tensors, but got {type(tensor).__name__}.")
    return tensor.as_subclass(torch.Tensor)
