"""Measures of a candidate object from the image and the network's probabilities, for the object classifier.

Lengths are in px and contrasts in log DN; measures that span decades are logarithms. A measure that cannot be computed
has a neutral value: 0 for a contrast, the maximum for a distance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import convolve, distance_transform_edt
from skimage.morphology import skeletonize

from seep_monai.classes import N_CLASSES
from seep_monai.instances.components import Floats, Mask
from seep_monai.instances.ring import RING_PX, in_ring, window_around
from seep_monai.objects.candidates import Candidates, Indices
from seep_monai.rectangles import Window, clipped, shape_of, with_margin

# Choice: a ship or rig at the start of a slick is within this distance.
TARGET_PX = 12
# Choice: with 18 % speckle, such a ratio is very rare in sea pixels; ships and rigs are far above it.
TARGET_LOG_RATIO = 0.8
# Distance if no other seep is within TARGET_PX.
FAR_PX = 128.0
_MIN_SHARE = 1e-3
# Choice: the size of a training tile. Not the image: its size differs between tiles and scenes.
AROUND_PX = 256
# Choice: low enough to include faint slicks in the class shares around an object.
AROUND_PROB = 0.35

SHAPE = ("area", "length", "width", "aspect", "fill", "straightness", "branches", "ends", "cos2", "sin2", "border")
CONTRAST = ("contrast", "core_contrast", "sd_inside", "sd_ring", "visibility", "target", "target_share")
OUTLINE = ("level", "prob_mean", "prob_max", "prob_sd", "prob_edge", "prob_ring")
CONTEXT = ("other_area", "other_distance", "sea_sd")
NAMING = tuple(f"{of}_share_{k}" for of in ("own", "around") for k in range(1, N_CLASSES))
MEASURE_NAMES = (*SHAPE, *CONTRAST, *OUTLINE, *CONTEXT, *NAMING)

_NEIGHBOURS = np.ones((3, 3), int)


def measure_candidates(
    candidates: Candidates, image: Floats, probabilities: Floats, *, valid: Mask
) -> npt.NDArray[np.float32]:
    """(n, len(MEASURE_NAMES)) measures of each candidate.

    Args:
        image: (H, W) log of DN over the scene's level, no-data 0.
        probabilities: (8, H, W) in [0, 1] that sum to 1 over the channels.
        valid: (H, W) bool, False = no-data.
    """
    scene = _Surroundings(image, probabilities, valid)
    rows = [
        scene.measures(pixels, candidates.shape, float(level))
        for pixels, level in zip(candidates.pixels, candidates.levels, strict=True)
    ]
    return np.array(rows, np.float32).reshape(len(rows), len(MEASURE_NAMES))


class _Surroundings:
    """Values that all candidates of an image share."""

    def __init__(self, image: Floats, probabilities: Floats, valid: Mask) -> None:
        self.image, self.probabilities, self.valid = image, probabilities, valid
        self.seep_prob = 1 - probabilities[0]
        self.seep = (self.seep_prob >= 0.5) & valid

    def measures(self, pixels: Indices, shape: tuple[int, int], level: float) -> tuple[float, ...]:
        """The measures of one candidate, in the order of MEASURE_NAMES."""
        rows, cols = np.divmod(pixels, shape[1])
        window = window_around(rows, cols, shape, margin_px=TARGET_PX)
        mask = np.zeros(shape_of(window), bool)
        mask[rows - window[0].start, cols - window[1].start] = True
        # The margin of the window covers all distances that are used.
        distance_px = distance_transform_edt(~mask)
        around = _window_of_size(rows, cols, shape)
        sea_sd = self._sea_sd(around)
        contrast = self._contrast(window, mask, distance_px, sea_sd)
        outline = self._outline(window, mask, distance_px, level)
        form = _shape(rows, cols, mask, shape)
        context = (self._other_area(around, rows, cols), self._other_distance(window, mask, distance_px), sea_sd)
        shares = _log_shares(self.probabilities[1:, rows, cols].sum(axis=1, dtype=np.float64))
        return (*form, *contrast, *outline, *context, *shares, *self._shares_around(around))

    def _contrast(self, window: Window, mask: Mask, distance_px: Floats, sea_sd: float) -> tuple[float, ...]:
        image, free = self.image[window], self.valid[window] & ~self.seep[window]
        ring = image[in_ring(distance_px) & free]
        near = image[(distance_px <= TARGET_PX) & self.valid[window]]
        inside = image[mask]
        sea = float(np.median(ring)) if ring.size else float(inside.mean())
        sd_ring = float(ring.std()) if ring.size else sea_sd
        contrast = float(inside.mean()) - sea
        bright = near > sea + TARGET_LOG_RATIO
        return (
            contrast,
            float(np.quantile(inside, 0.1)) - sea,
            float(inside.std()),
            sd_ring,
            contrast / (sd_ring + 0.05) * np.sqrt(len(inside)),
            float(near.max()) - sea,
            np.log1p(np.count_nonzero(bright)),
        )

    def _outline(self, window: Window, mask: Mask, distance_px: Floats, level: float) -> tuple[float, ...]:
        prob = self.seep_prob[window]
        inside = prob[mask]
        edge = mask & (distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] <= 1)
        ring = (distance_px > 0) & (distance_px <= RING_PX[0])
        return (
            level,
            float(inside.mean()),
            float(inside.max()),
            float(inside.std()),
            float(prob[edge].mean()),
            float(prob[ring].mean()) if ring.any() else 0.0,
        )

    def _other_distance(self, window: Window, mask: Mask, distance_px: Floats) -> float:
        others = self.seep[window] & ~mask
        # Parts of the same slick that the level cut off are closer than the ring.
        others &= (distance_px > RING_PX[0]) & (distance_px <= TARGET_PX)
        distance = float(distance_px[others].min()) if others.any() else FAR_PX
        return float(np.log(min(distance, FAR_PX)))

    def _other_area(self, around: Window, rows: Indices, cols: Indices) -> float:
        """Log of the other seeps' pixels around the object, if all of the window were valid."""
        inside = (
            (rows >= around[0].start) & (rows < around[0].stop) & (cols >= around[1].start) & (cols < around[1].stop)
        )
        n_own = int(np.count_nonzero(self.seep[rows[inside], cols[inside]]))
        n_others = int(np.count_nonzero(self.seep[around])) - n_own
        n_valid = int(np.count_nonzero(self.valid[around])) or 1
        return float(np.log1p(AROUND_PX**2 * n_others / n_valid))

    def _sea_sd(self, around: Window) -> float:
        sea = self.image[around][self.valid[around] & ~self.seep[around]]
        return float(sea.std(dtype=np.float64)) if sea.size else 0.0

    def _shares_around(self, around: Window) -> list[float]:
        # Some classes occur together, so the classes around an uncertain slick help to name it.
        seep = (self.seep_prob[around] >= AROUND_PROB) & self.valid[around]
        return _log_shares(self.probabilities[(slice(1, None), *around)][:, seep].sum(axis=1, dtype=np.float64))


def _window_of_size(rows: Indices, cols: Indices, shape: tuple[int, int]) -> Window:
    """The window of `AROUND_PX` around the middle of an object's bounding box, clipped to the image."""
    row, col = ((int(index.min()) + int(index.max()) + 1) // 2 for index in (rows, cols))
    return clipped(with_margin((slice(row, row), slice(col, col)), AROUND_PX // 2), shape)


def _log_shares(sums: npt.NDArray[np.float64]) -> list[float]:
    """Log of each class's share, from (7,) summed probabilities; equal shares if all are 0."""
    shares = sums / sums.sum() if sums.sum() > 0 else np.full(len(sums), 1 / len(sums))
    logs: list[float] = np.log(np.maximum(shares, _MIN_SHARE)).tolist()
    return logs


def _shape(rows: Indices, cols: Indices, mask: Mask, shape: tuple[int, int]) -> tuple[float, ...]:
    area = len(rows)
    y, x = rows - rows.mean(), cols - cols.mean()
    # 1/12 is the variance within a pixel, so lines one pixel wide have a variance above 0.
    yy, xx, xy = (y * y).mean() + 1 / 12, (x * x).mean() + 1 / 12, (x * y).mean()
    spread = np.hypot(yy - xx, 2 * xy)
    major, minor = (yy + xx + spread) / 2, max((yy + xx - spread) / 2, 1 / 12)
    # A uniform line of length l has a variance of l^2 / 12.
    length = np.sqrt(12 * major)
    skeleton = skeletonize(np.pad(mask, 1))
    n_skeleton = max(int(np.count_nonzero(skeleton)), 1)
    borders = rows.min() == 0, cols.min() == 0, rows.max() == shape[0] - 1, cols.max() == shape[1] - 1
    degree = convolve(skeleton.astype(int), _NEIGHBOURS, mode="constant")[skeleton] - 1
    return (
        np.log(area),
        np.log(length),
        np.log(area / n_skeleton),
        0.5 * np.log(major / minor),
        area / ((np.ptp(rows) + 1) * (np.ptp(cols) + 1)),
        np.log(length / n_skeleton),
        np.log1p(np.count_nonzero(degree >= 3)),
        np.log1p(np.count_nonzero(degree == 1)),
        float((xx - yy) / (spread + 1e-9)) if spread > 0 else 0.0,
        float(2 * xy / (spread + 1e-9)) if spread > 0 else 0.0,
        float(sum(borders)),
    )
