"""Instances from class probabilities: class map -> 8-connected components -> class, area and score of each.

Components are computed for each class (touching classes stay separate) and for "any seep", where all seep classes count
as one. `InstanceSettings` define how the class map is computed and which instances are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from seep_monai.classes import N_CLASSES, NO_DATA_LABEL
from seep_monai.errors import ConfigError, DataError
from seep_monai.instances.labelling import labelled_pixels

# Class of a component of "any seep": the first number that is not a mask value.
ANY_SEEP = N_CLASSES

Floats = npt.NDArray[np.floating]
ClassMap = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
InstanceMode = Literal["class", "object"]


@dataclass(frozen=True)
class InstanceSettings:
    """How probabilities become instances. The default is the arg-max map with all instances kept.

    Attributes:
        mode: `class`: components of each class in the arg-max map. `object`: hysteresis thresholds on the summed seep
            probability, one class per object (see `object_map`).
        high: summed seep probability in (0, 1] that at least one pixel of an object reaches (`object` only).
        low: summed seep probability in (0, 1], at most `high`, that all pixels of an object reach (`object` only).
        min_size_px: smaller class instances are dropped; 0 = off.
        score_threshold: instances with a lower score, in [0, 1], are dropped; 0 = off. With an object classifier, the
            score is that of seep / no seep.

    Raises:
        ConfigError: on a value that is out of range.
    """

    mode: InstanceMode = "class"
    high: float = 0.5
    low: float = 0.5
    min_size_px: int = 0
    score_threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.mode not in get_args(InstanceMode):
            raise ConfigError(f"mode: expected one of {get_args(InstanceMode)}, but got {self.mode!r}.")
        numbers = (self.high, self.low, self.min_size_px, self.score_threshold)
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
            raise ConfigError(f"high, low, min_size_px, score_threshold: expected numbers, but got {numbers}.")
        if not 0 < self.low <= self.high <= 1:
            raise ConfigError(f"expected 0 < low <= high <= 1, but got low {self.low} and high {self.high}.")
        if not (isinstance(self.min_size_px, int) and self.min_size_px >= 0 and 0 <= self.score_threshold <= 1):
            raise ConfigError(
                "expected a whole number min_size_px of 0 or more and a score_threshold in 0..1, "
                f"but got {self.min_size_px} and {self.score_threshold}."
            )

    def to_json(self) -> dict[str, Any]:
        """The settings as a dictionary that can be written to JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; missing keys get their default.

        Raises:
            ConfigError: on unknown keys or values out of range.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(content) - set(known)):
            raise ConfigError(f"instance settings: expected only keys of {known}, but got {unknown}. Remove them.")
        return cls(**content)


DEFAULT_SETTINGS = InstanceSettings()


@dataclass(frozen=True, eq=False)
class Components:
    """The instances of one tile: a label image and one table row per component.

    Attributes:
        labels: (H, W) int32; 0 = background, i + 1 = the component in table row i (but see `label_of_row`). Rows are in
            raster order of each component's first pixel.
        classes: (n,) int64, mask value 1..7, or `ANY_SEEP`.
        areas_px: (n,) int64, number of pixels, at least 1.
        scores: (n,) float64 in [0, 1]; NaN where no probabilities were given (truth).
        pixels: (p,) intp, flat indices of labels > 0, ascending; None: not computed.
        label_of_row: (n,) int64 in 1..max(labels), ascending: the label of each row, if one object has rows for several
            classes; at most one row per label and class. None: row i has the label i + 1.
    """

    labels: npt.NDArray[np.int32]
    classes: npt.NDArray[np.int64]
    areas_px: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    pixels: npt.NDArray[np.intp] | None = None
    label_of_row: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def foreground(self) -> npt.NDArray[np.intp]:
        """(p,) `pixels`, computed if they are None."""
        return np.flatnonzero(self.labels) if self.pixels is None else self.pixels

    def of_any_class(self) -> Components:
        """The same instances, all of class `ANY_SEEP`."""
        return replace(self, classes=np.full_like(self.classes, ANY_SEEP))


@dataclass(frozen=True, eq=False)
class Instances:
    """The instances of one tile or scene. From `find_instances`, the map and all tables have the same pixels.

    Attributes:
        classes: (H, W) uint8 in 0..7, the class map of the kept instances.
        by_class: disjoint instances, each with one class.
        seeps: disjoint instances of class `ANY_SEEP`.
        detections: the instances that AP ranks: `by_class`, or one row for each possible class of an object.
    """

    classes: ClassMap
    by_class: Components
    seeps: Components
    detections: Components


def find_instances(
    probabilities: Floats, settings: InstanceSettings = DEFAULT_SETTINGS, *, valid: Mask | None = None
) -> Instances:
    """The instances of a tile or a scene, with scores.

    The score of a class instance is the mean probability of its class over its pixels. The score of a seep is the mean
    summed seep probability. Class instances are dropped by size and score; seeps are computed from those that remain.

    Args:
        probabilities: (8, H, W) float in [0, 1] that sum to 1 over the channels, without NaN.
        settings: how the class map is computed, and which instances are dropped.
        valid: (H, W) bool, False = no-data, which is background. None: all pixels are valid.
    """
    classes, by_class = _kept(probabilities, settings, valid)
    return Instances(classes, by_class, seep_components(classes, probabilities), by_class)


def painted_map(
    probabilities: Floats, settings: InstanceSettings = DEFAULT_SETTINGS, *, valid: Mask | None = None
) -> ClassMap:
    """The class map of `find_instances`, without labelling if no instance can be dropped."""
    if settings.min_size_px <= 1 and settings.score_threshold == 0:
        return _drawn(probabilities, settings, valid)
    return _kept(probabilities, settings, valid)[0]


def object_map(probabilities: Floats, *, high: float = 0.5, low: float = 0.5, valid: Mask | None = None) -> ClassMap:
    """Class map (H, W) uint8 in 0..7 with one class per object, by hysteresis on the summed seep probability.

    An object is an 8-connected component of pixels with at least `low`, one of them with at least `high`. All its
    pixels get the class with the highest probability summed over them; equal sums go to the lower label.

    Args:
        probabilities: (8, H, W) float in [0, 1] that sum to 1 over the channels, without NaN.
        high: threshold in (0, 1].
        low: threshold in (0, 1], at most `high`.
        valid: (H, W) bool, False = no-data, which belongs to no object. None: all pixels are valid.

    >>> p = np.zeros((8, 1, 4)); p[0] = [0.2, 0.6, 0.9, 0.6]; p[2] = [0.1, 0.3, 0, 0]; p[5] = 1 - p[0] - p[2]
    >>> object_map(p, high=0.8, low=0.4)
    array([[5, 5, 0, 0]], dtype=uint8)
    """
    seep = 1 - probabilities[0]
    weak = seep >= low if valid is None else (seep >= low) & valid
    found = labelled_pixels(weak.view(np.uint8))
    rows, columns = np.unravel_index(found.pixels, weak.shape)
    strong = np.bincount(found.components, weights=seep[rows, columns] >= high) > 0
    sums = [np.bincount(found.components, probabilities[k, rows, columns]) for k in range(1, N_CLASSES)]
    winner = np.where(strong, np.argmax(sums, axis=0) + 1, 0)
    classes = np.zeros(weak.shape, np.uint8)
    classes.ravel()[found.pixels] = winner[found.components]
    return classes


def class_map(probabilities: Floats) -> ClassMap:
    """The most probable class of each pixel, (H, W) uint8 in 0..7; equal probabilities go to the lower label.

    Args:
        probabilities: (8, H, W) float, channel k = mask value k, without NaN. They need not sum to 1.

    >>> p = np.zeros((8, 1, 3)); p[0] = [0.6, 0.3, 0.5]; p[4] = [0.4, 0.7, 0.5]
    >>> class_map(p)
    array([[0, 4, 0]], dtype=uint8)
    """
    # A running maximum is five times faster than argmax over the channel axis.
    winner = np.zeros(probabilities.shape[1:], np.uint8)
    highest = probabilities[0].copy()
    for k in range(1, len(probabilities)):
        np.copyto(winner, np.uint8(k), where=probabilities[k] > highest)
        np.maximum(highest, probabilities[k], out=highest)
    return winner


def without_no_data(classes: ClassMap, *, truth: ClassMap) -> ClassMap:
    """`classes` with background (0) where `truth` is no-data (255); copied only if something changes.

    Args:
        classes: (H, W) uint8; the prediction, or the truth itself.
        truth: (H, W) uint8, 0..7 and 255 = no-data.
    """
    no_data = truth == NO_DATA_LABEL
    return np.where(no_data, np.uint8(0), classes) if no_data.any() else classes


def class_components(classes: ClassMap, probabilities: Floats | None = None) -> Components:
    """The 8-connected components of each class; different classes that touch are different components.

    Args:
        classes: (H, W) uint8, 0 = background, 1..7 = seep classes, without no-data (see `without_no_data`).
        probabilities: (8, H, W) float in [0, 1]. A component's score is the mean probability of its class over its
            pixels, summed in float64. None: scores are NaN.

    Raises:
        DataError: on other values in `classes`.

    >>> class_components(np.array([[1, 0, 2], [0, 1, 2]], np.uint8)).classes
    array([1, 2])
    """
    _check_map(classes)
    table = _labelled(classes)
    if probabilities is None or not len(table):
        return table
    rows, columns = np.unravel_index(table.foreground, classes.shape)
    return with_mean_scores(table, probabilities[classes[rows, columns], rows, columns])


def seep_components(classes: ClassMap, probabilities: Floats | None = None) -> Components:
    """The 8-connected components of any seep (map > 0), all of class `ANY_SEEP`.

    Args:
        classes: as for `class_components`.
        probabilities: (8, H, W) float in [0, 1] that sum to 1 over the channels. A component's score is the mean of
            the summed seep probability, 1 - background, over its pixels, in float64. None: scores are NaN.

    Raises:
        DataError: on other values in `classes`.

    >>> seep_components(np.array([[1, 0, 2], [0, 1, 2]], np.uint8)).areas_px
    array([4])
    """
    _check_map(classes)
    table = _labelled((classes > 0).view(np.uint8)).of_any_class()
    if probabilities is None or not len(table):
        return table
    rows, columns = np.unravel_index(table.foreground, classes.shape)
    return with_mean_scores(table, 1.0 - probabilities[0, rows, columns].astype(np.float64))


def with_mean_scores(table: Components, values: Floats) -> Components:
    """The table with the mean of `values` over the pixels of each component as its score, summed in float64.

    Args:
        table: the components.
        values: (p,) float, in the order of `table.foreground`.
    """
    component = table.labels.ravel()[table.foreground] - 1
    sums = np.bincount(component, weights=values, minlength=len(table))
    return replace(table, scores=sums / table.areas_px)


def _kept(probabilities: Floats, settings: InstanceSettings, valid: Mask | None) -> tuple[ClassMap, Components]:
    """The class map and its components of each class, without those dropped by size or score."""
    classes = _drawn(probabilities, settings, valid)
    table = class_components(classes, probabilities)
    keep = (table.areas_px >= settings.min_size_px) & (table.scores >= settings.score_threshold)
    if keep.all():
        return classes, table
    # Rows 0, 2, 3 of four are kept: the labels 0, 1, 2, 3, 4 become 0, 1, 0, 2, 3.
    new_label = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)
    labels = new_label[table.labels]
    classes = np.where(labels > 0, classes, np.uint8(0))
    return classes, Components(labels, table.classes[keep], table.areas_px[keep], table.scores[keep])


def _drawn(probabilities: Floats, settings: InstanceSettings, valid: Mask | None) -> ClassMap:
    """The class map in the given mode; no-data is background."""
    if settings.mode == "object":
        return object_map(probabilities, high=settings.high, low=settings.low, valid=valid)
    classes = class_map(probabilities)
    return classes if valid is None else classes * valid


def _labelled(classes: ClassMap) -> Components:
    """The components, without scores."""
    found = labelled_pixels(classes)
    labels = np.zeros(classes.shape, np.int32)
    labels.ravel()[found.pixels] = found.components + 1
    areas_px = np.bincount(found.components).astype(np.int64)
    component_classes = np.zeros(len(areas_px), np.int64)
    component_classes[found.components] = classes.ravel()[found.pixels]
    return Components(labels, component_classes, areas_px, np.full(len(areas_px), np.nan), found.pixels)


def _check_map(classes: ClassMap) -> None:
    if classes.ndim != 2 or classes.dtype != np.uint8 or (classes.size and classes.max() >= N_CLASSES):
        raise DataError(
            f"class map: expected (H, W) uint8 with values 0..{N_CLASSES - 1}, but got shape {classes.shape}, "
            f"{classes.dtype}, values up to {classes.max() if classes.size else 'none'}. "
            f"Set no-data ({NO_DATA_LABEL}) to background with without_no_data first."
        )
