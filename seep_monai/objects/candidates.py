"""Candidate objects: the nested 8-connected components of the seep probability at several thresholds (levels).

With one threshold for a whole image, a low value merges ribbons and a high value breaks them. The components at
ascending levels form a tree, so the level can be chosen for each object.
Source: Matas et al. 2004, "Robust wide-baseline stereo from maximally stable extremal regions".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seep_monai.instances.components import Floats, Mask
from seep_monai.instances.labelling import labelled_pixels

# Choice: at .1 most components are false alarms, at .8 only the cores of clear slicks remain.
DEFAULT_LEVELS = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8)
# Choice: only a few true instances of the real tiles are smaller, and too small to measure.
MIN_CANDIDATE_PX = 4

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Candidates:
    """The components of one image at all levels, level by level, in raster order within a level.

    Attributes:
        shape: rows and columns of the image.
        pixels: flat indices of each candidate, ascending.
        levels: (n,) float64, the highest level at which exactly these pixels are a component.
        parents: (n,) intp, the candidate at the next lower level that contains it; -1 at the lowest level.
    """

    shape: tuple[int, int]
    pixels: tuple[Indices, ...]
    levels: npt.NDArray[np.float64]
    parents: Indices

    def __len__(self) -> int:
        return len(self.pixels)


def find_candidates(
    seep_prob: Floats,
    levels: Sequence[float] = DEFAULT_LEVELS,
    *,
    valid: Mask | None = None,
    min_px: int = MIN_CANDIDATE_PX,
) -> Candidates:
    """The tree of candidates of one image. A component equal to its parent only raises the parent's level.

    Args:
        seep_prob: (H, W) summed seep probability in [0, 1].
        levels: thresholds in (0, 1), ascending; all pixels of a candidate reach its level.
        valid: (H, W) bool, False = no-data, which belongs to no candidate. None: all pixels are valid.
        min_px: smaller components are dropped.

    >>> found = find_candidates(np.array([[0.3, 0.9, 0.3, 0.9]]), (0.2, 0.5), min_px=1)
    >>> [pixels.tolist() for pixels in found.pixels], found.parents.tolist()
    ([[0, 1, 2, 3], [1], [3]], [-1, 0, 0])
    """
    known = seep_prob if valid is None else np.where(valid, seep_prob, 0)
    pixels: list[Indices] = []
    found_levels: list[float] = []
    parents: list[int] = []
    # Candidate of each pixel at the level below.
    below = np.full(seep_prob.size, -1, np.intp)
    for level in levels:
        holder = np.full(seep_prob.size, -1, np.intp)
        components = labelled_pixels((known >= level).view(np.uint8)).divided()
        for component in (pixels for pixels in components if len(pixels) >= min_px):
            parent = int(below[component[0]])
            if parent >= 0 and len(pixels[parent]) == len(component):
                found_levels[parent] = level
                holder[component] = parent
                continue
            holder[component] = len(pixels)
            pixels.append(component)
            found_levels.append(level)
            parents.append(parent)
        below = holder
    shape = (seep_prob.shape[0], seep_prob.shape[1])
    return Candidates(shape, tuple(pixels), np.array(found_levels), np.array(parents, np.intp))


def choose(candidates: Candidates, values: npt.NDArray[np.float64]) -> Indices:
    """Indices of the disjoint candidates with the largest sum of values, ascending.

    Args:
        candidates: the tree.
        values: (n,) at least 0, such as match probabilities. At equal sums, a parent is chosen over its children.
    """
    best = np.zeros(len(candidates))
    parts = np.zeros(len(candidates))
    for i in range(len(candidates) - 1, -1, -1):
        # Children come after their parents, so all parts are summed at this point.
        best[i] = max(values[i], parts[i])
        if candidates.parents[i] >= 0:
            parts[candidates.parents[i]] += best[i]
    taken = values >= parts
    chosen: list[int] = []
    inside = np.zeros(len(candidates), bool)
    for i, parent in enumerate(candidates.parents.tolist()):
        inside[i] = parent >= 0 and (inside[parent] or taken[parent])
        if taken[i] and not inside[i]:
            chosen.append(i)
    return np.array(chosen, np.intp)
