"""Ids, names and colours of the eight classes.

Mask values: 0 = no seep, 1..7 = seep classes, 255 = no-data (only in memory, never in a mask file).
Instance files number the seep classes from 0: mask value k is category k - 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from seep_monai.errors import ConfigError

N_SEEP_CLASSES = 7
N_CLASSES = N_SEEP_CLASSES + 1
NO_DATA_LABEL = 255
SEEP_LABELS = tuple(range(1, N_CLASSES))
# The meaning of the seven classes is not published, so the names are numbers.
DEFAULT_CLASS_NAMES = tuple(f"Seep cls{k}" for k in SEEP_LABELS)

# RGB of labels 0..7. Choice: Paul Tol's "bright" scheme and orange, which colour-blind readers can distinguish.
CLASS_COLOURS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),
    (238, 102, 119),
    (68, 119, 170),
    (204, 187, 68),
    (34, 136, 51),
    (102, 204, 238),
    (170, 51, 119),
    (238, 119, 51),
)
NO_DATA_COLOUR = (60, 60, 70)


def checked_class_names(names: Sequence[str]) -> tuple[str, ...]:
    """The seep class names in label order 1..7.

    Raises:
        ConfigError: if there are not seven different, non-empty names.
    """
    if isinstance(names, str) or len(set(names)) != len(names) or len(names) != N_SEEP_CLASSES or not all(names):
        raise ConfigError(
            f"class_names: expected {N_SEEP_CLASSES} different names for the mask values 1..{N_SEEP_CLASSES}, "
            f"but got {len(names)}: {list(names)}. Give one name per value."
        )
    return tuple(str(name) for name in names)
