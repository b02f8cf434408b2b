"""All parameters that determine a simulated scene, with checks and conversion to and from JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from seep_monai.classes import SEEP_LABELS
from seep_monai.errors import SeepError
from seep_monai.simulate.lookalikes import check_lookalikes
from seep_monai.simulate.settings import check_film_scale, check_size

_DEG = (-720.0, 720.0)
_SHARE = (0.0, 1.0)
# Minimum and maximum of each number; several pairs for a parameter with several numbers. Choice: the validity range of
# the formulas (CMOD5.N: 16 to 66 deg), wider than any real sea.
_LIMITS: dict[str, tuple[tuple[float, float], ...]] = {
    "wind_m_s": ((0.5, 30.0),),
    "wind_spread": (_SHARE,),
    "wind_skew": ((0.01, 2.0),),
    "wind_deg": (_DEG,),
    "phi_deg": (_DEG,),
    "tilt_deg": ((-45.0, 45.0),),
    "incidence_deg": ((16.0, 66.0), (16.0, 66.0)),
    "nesz_db": ((-100.0, 0.0),),
    "nesz_ripple_db": ((0.0, 20.0),),
    "looks": ((1.0, 1000.0),),
    "grain": (_SHARE,),
    "speckle_correlation": ((0.0, 0.3), (0.0, 0.3)),
    "swell": (_SHARE, (2.0, 1000.0), _DEG, _SHARE, (0.0, 90.0)),
    "background": (_SHARE, (0.0, 4.0), _DEG),
    "streaks": (_SHARE, (1.0, 1e4), (1.0, 1e4)),
    "roughness_spread": ((0.0, 2.0),),
    "drift_deg": (_DEG,),
    "pool_share": (_SHARE,),
    "least_contrast_db": ((0.0, 20.0),),
    "border_noise_px": ((0.0, 64.0),),
    "clip_medians": ((1.0, 100.0),),
    "n_levels": ((2.0, 65535.0),),
}
# Whole numbers: length of the tuple (0: a single number), and minimum.
_COUNTS: dict[str, tuple[int, int]] = {
    "seed": (0, 0),
    "class_tiles": (len(SEEP_LABELS), 0),
    "n_sites": (2, 1),
    "n_targets": (0, 0),
    "n_wakes": (0, 0),
}
_SIDES = ("top", "bottom", "left", "right")


@dataclass(frozen=True)
class SceneParameters:
    """All parameters that determine a scene; `plan_scene` makes no other choice.

    Attributes:
        name: first part of the tiles' names.
        seed: seed of the scene's own generators, >= 0.
        size_px: (row, col).
        wind_m_s, wind_spread, wind_skew: median wind; standard deviation of its logarithm over the scene; skewness
            towards low wind, > 0.
        wind_deg: direction the wind blows to, from the column axis towards the rows; streaks lie along it.
        phi_deg: angle between wind and radar look.
        tilt_deg: angle between swath and grid, > 0 if the swath's top border falls to the right.
        incidence_deg: at the first and the last position along range, from corner to corner of the scene.
        nesz_db, nesz_ripple_db: noise floor: median, and maximum minus minimum.
        looks: equivalent number of looks of the speckle in intensity, >= 1.
        grain: standard deviation of the logarithm of the sea's white texture, in intensity.
        speckle_correlation: lag-1 correlation across (columns) and down (rows), 0 to 0.3 each.
        swell: relative deviation of intensity, wavelength in px, direction of travel in deg from the column axis,
            relative spread of the wave numbers, spread of the directions in deg.
        background: relative deviation of intensity, exponent of the spectrum, preferred direction in deg.
        streaks: relative deviation of intensity, length and width of the wind streaks in px.
        roughness_spread: standard deviation over the scene of the logarithm of the texture's deviation.
        drift_deg: mean direction of the surface drift from the column axis.
        film_scale: scale factor of film lengths and widths, 1 as in the reference tiles.
        pool_share: share of the slicks of class 5 that are pools.
        least_contrast_db: a film is drawn and labelled where it is darker than the sea by at least this, noise floor
            included.
        class_tiles: number of tiles that should hold each class 1..7.
        n_sites: number of sites of natural seeps, and of classes 4 and 5.
        lookalikes: number of each kind, see `lookalikes.draw_lookalikes`.
        n_targets, n_wakes: number of bright targets, and of those with a wake.
        edges: borders of the swath, see `swath.Swath`.
        border_noise_px: width of the border noise strip, 0 for none.
        clip_medians, n_levels: coding, see `coding.coded`.

    Raises:
        SeepError: if a value is out of range.
    """

    name: str
    seed: int
    size_px: tuple[int, int]
    wind_m_s: float
    wind_spread: float
    wind_skew: float
    wind_deg: float
    phi_deg: float
    tilt_deg: float
    incidence_deg: tuple[float, float]
    nesz_db: float
    nesz_ripple_db: float
    looks: float
    grain: float
    speckle_correlation: tuple[float, float]
    swell: tuple[float, float, float, float, float]
    background: tuple[float, float, float]
    streaks: tuple[float, float, float]
    roughness_spread: float
    drift_deg: float
    film_scale: float
    pool_share: float
    least_contrast_db: float
    class_tiles: tuple[int, ...]
    n_sites: tuple[int, int]
    lookalikes: Mapping[str, int]
    n_targets: int
    n_wakes: int
    edges: tuple[tuple[str, float, float], ...]
    border_noise_px: float
    clip_medians: float
    n_levels: float

    def __post_init__(self) -> None:
        check_size(self.size_px)
        check_film_scale(self.film_scale, self.size_px)
        for name, limits in _LIMITS.items():
            _check_numbers(name, getattr(self, name), limits)
        for name, (length, least) in _COUNTS.items():
            _check_counts(name, getattr(self, name), length=length, least=least)
        check_lookalikes(self.lookalikes)
        for edge in self.edges:
            if len(edge) != 3 or edge[0] not in _SIDES or not all(math.isfinite(x) for x in edge[1:]):
                raise SeepError(
                    f"edges: expected (side, offset, slope), side one of {', '.join(_SIDES)}, but got {edge}."
                )

    def to_json(self) -> dict[str, Any]:
        """All attributes as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`, also for content read from a file.

        Raises:
            SeepError: if a name is missing or unknown, or a value is out of range.
        """
        expected = {field.name for field in fields(cls)}
        if set(content) != expected:
            raise SeepError(
                f"scene parameters: expected the names {sorted(expected)}, but got a record with missing "
                f"names {sorted(expected - set(content))} and unknown names {sorted(set(content) - expected)}."
            )
        return cls(**{name: _frozen(value) for name, value in content.items()})


def _check_numbers(name: str, value: Any, limits: tuple[tuple[float, float], ...]) -> None:
    numbers = value if isinstance(value, tuple | list) else (value,)
    if len(numbers) != len(limits):
        raise SeepError(f"{name}: expected {len(limits)} numbers, but got {value!r}.")
    for number, (low, high) in zip(numbers, limits, strict=True):
        # NaN also fails the comparison.
        if isinstance(number, bool) or not isinstance(number, int | float) or not low <= number <= high:
            raise SeepError(f"{name}: expected a number of {low:g} to {high:g}, but got {number!r} in {value!r}.")


def _check_counts(name: str, value: Any, *, length: int, least: int) -> None:
    counts = value if length and isinstance(value, tuple | list) else (value,)
    wrong = [n for n in counts if isinstance(n, bool) or not isinstance(n, int) or n < least]
    if wrong or len(counts) != max(length, 1):
        raise SeepError(f"{name}: expected {max(length, 1)} whole numbers of {least} or more, but got {value!r}.")


def _frozen(value: Any) -> Any:
    """Convert lists to tuples at every depth, because JSON has no tuples."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value
