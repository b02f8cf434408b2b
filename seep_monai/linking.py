"""Several components that count as one instance: a slick that wind, ships or no-data cut into pieces.

Whatever decides which pieces belong together, it hands one group number per component to `linked`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seep_monai.errors import DataError
from seep_monai.instances import Components, renumbered


def linked(components: Components, groups: npt.ArrayLike) -> Components:
    """The components with those of one group merged into one instance, in raster order of their first pixels.

    Areas add up, and the score is the mean over all pixels of the group. Overlap and matching then see the union mask.

    Args:
        components: the components of one tile.
        groups: (n,) int, any numbers; components with the same number become one instance.

    Raises:
        DataError: if there is not one number per component, or if a group holds two classes.

    >>> from seep_monai.instances import class_components
    >>> linked(class_components(np.array([[3, 0, 3, 0, 3]], np.uint8)), [4, 7, 4]).labels
    array([[1, 0, 2, 0, 1]], dtype=int32)
    """
    numbers = np.asarray(groups)
    if numbers.shape != components.classes.shape:
        raise DataError(f"groups: expected {len(components)} numbers, one per component, but got {numbers.shape}.")
    _, first, group_of = np.unique(numbers, return_index=True, return_inverse=True)
    # Groups in order of their first component: first = [2, 0, 1] makes group 0 the instance 2, group 1 the instance 0.
    instance_of = np.argsort(np.argsort(first))[group_of]
    first.sort()
    classes = components.classes[first]
    if (mixed := classes[instance_of] != components.classes).any():
        raise DataError(f"groups: expected one class per group, but got two in group {numbers[mixed][0]}.")
    areas_px = np.zeros(len(first), np.int64)
    np.add.at(areas_px, instance_of, components.areas_px)
    sums = np.bincount(instance_of, weights=components.scores * components.areas_px, minlength=len(first))
    # A component on its own keeps its score to the last digit.
    alone = np.bincount(instance_of, minlength=len(first)) == 1
    scores = np.where(alone, components.scores[first], sums / areas_px)
    return Components(renumbered(components.labels, instance_of + 1), classes, areas_px, scores)
