"""What decides a simulated scene: the settings a user gives, and the scene's parameters drawn from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from seep_monai.classes import SEEP_LABELS
from seep_monai.errors import SeepError

TILE_PX = 256
# Share of the (tile, class) pairs that are of each class. Source: the 790 tiles of the public seep tile set hold the
# classes 1..7 in 478, 161, 76, 66, 125, 200 and 51 tiles, 1157 pairs in 788 tiles with seep.
_TILES_WITH_CLASS = (478, 161, 76, 66, 125, 200, 51)
CLASS_FREQUENCIES = tuple(round(n / sum(_TILES_WITH_CLASS), 4) for n in _TILES_WITH_CLASS)
CLASSES_PER_TILE = sum(_TILES_WITH_CLASS) / 788
# The widest ribbon that a recipe draws. Source: `walks.ribbon_along` clips there.
WIDEST_RIBBON_PX = 120.0
# Choice: ten times the reference tiles, pixels of about 4 m; no satellite product shows slicks finer.
_MAX_FILM_SCALE = 10.0
# Sums of seven rounded shares miss one by less than this.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class SceneSettings:
    """What a user may choose about scenes; the rest is drawn.

    Attributes:
        size_px: (row, col) size of a scene, 256 px at least.
        seep_share: share of the scene's tiles that hold seep, about; 0 to 1.
        class_frequencies: how often each class 1..7 is met, as shares of the (tile, class) pairs; they sum to one.
        wind_m_s: range of the scenes' median wind.
        looks: range of the equivalent number of looks in intensity.
        film_scale: lengths and widths of the films, in those of the reference tiles.

    Raises:
        SeepError: if a value is impossible.
    """

    # Source: the reference scenes have 19 or 20 columns of tiles and 11 to 17 rows.
    size_px: tuple[int, int] = (13 * TILE_PX, 20 * TILE_PX)
    seep_share: float = 0.19
    class_frequencies: tuple[float, ...] = CLASS_FREQUENCIES
    wind_m_s: tuple[float, float] = (3.5, 7.0)
    looks: tuple[float, float] = (15.5, 19.0)
    film_scale: float = 1.0

    def __post_init__(self) -> None:
        _check_size(self.size_px)
        _check_range("seep_share", (self.seep_share, self.seep_share), low=0, high=1, unit="as a share of the tiles")
        _check_range("wind_m_s", self.wind_m_s, low=0.5, high=30, unit="m/s")
        _check_range("looks", self.looks, low=1, high=1000, unit="looks")
        _check_film_scale(self.film_scale, self.size_px)
        shares = self.class_frequencies
        if len(shares) != len(SEEP_LABELS) or any(not 0 <= share <= 1 for share in shares):
            raise SeepError(
                f"class_frequencies: expected {len(SEEP_LABELS)} shares of 0 to 1, one per class, but got {shares}."
            )
        if abs(sum(shares) - 1) > _SUM_TOLERANCE:
            raise SeepError(
                f"class_frequencies: expected shares that sum to one, but {shares} sum to {sum(shares):g}. "
                f"Divide each by the sum."
            )


def _check_size(size_px: tuple[int, int]) -> None:
    if len(size_px) != 2 or any(not isinstance(n, int) or n < TILE_PX for n in size_px):
        raise SeepError(
            f"size_px: expected rows and columns of {TILE_PX} or more, so that a tile has room, but got {size_px}."
        )


def _check_range(name: str, given: tuple[float, float], *, low: float, high: float, unit: str) -> None:
    if len(given) != 2 or not all(math.isfinite(value) for value in given) or not low <= given[0] <= given[1] <= high:
        raise SeepError(f"{name}: expected low <= high, both {low:g} to {high:g} {unit}, but got {given}.")


def _check_film_scale(film_scale: float, size_px: tuple[int, int]) -> None:
    if not 0 < film_scale <= _MAX_FILM_SCALE:
        raise SeepError(f"film_scale: expected a number above 0 and up to {_MAX_FILM_SCALE:g}, but got {film_scale}.")
    widest = film_scale * WIDEST_RIBBON_PX
    if widest > min(size_px):
        raise SeepError(
            f"film_scale: at {film_scale:g} a ribbon is up to {widest:.0f} px wide, wider than the scene of "
            f"{size_px[0]} x {size_px[1]} px. Expected {min(size_px) / WIDEST_RIBBON_PX:g} or less, or a larger scene."
        )


@dataclass(frozen=True)
class SceneParameters:
    """Everything that decides a scene; `plan_scene` adds no other choice.

    Attributes:
        name: first part of the tiles' names.
        seed: seed of the scene's own generators, >= 0.
        size_px: (row, col).
        wind_m_s, wind_spread, wind_skew: median wind, the standard deviation of its logarithm over the scene, and
            how much further that reaches down than up, > 0.
        phi_deg: angle between wind and radar look.
        tilt_deg: angle between swath and grid, > 0 where the swath's top border falls to the right.
        incidence_deg: at the far and the near border of the swath; the image brightens with the column.
        nesz_db, nesz_ripple_db: noise floor, median and crest-to-dip.
        looks: equivalent number of looks of the speckle in intensity, >= 1.
        grain: deviation of the logarithm of the white texture of intensity.
        speckle_correlation: lag-1 correlation across (columns) and down (rows), 0 to .3 each.
        swell: relative deviation of intensity, wave length in px, direction of travel in deg from the column axis,
            relative spread of the wave numbers, spread of the directions in deg.
        background: relative deviation of intensity, exponent of the spectrum, preferred direction in deg.
        roughness_spread: standard deviation of the logarithm of the texture's deviation from place to place.
        drift_deg: mean direction of the surface drift from the column axis.
        film_scale: lengths and widths of the films, in those of the reference tiles.
        damping_scale: factor on the damping of all films.
        class_tiles: tiles that hold each class 1..7.
        n_sites: places where natural seeps gather, and those of the classes 4 and 5.
        lookalikes: number of each kind, see `lookalikes.draw_lookalikes`.
        n_targets: bright targets.
        edges: borders of the swath, see `swath.Swath`.
        border_noise_px: width of the border noise strip, 0 for none.
        clip_medians, n_levels: coding, see `coding.coded`.

    Raises:
        SeepError: if a value is impossible.
    """

    name: str
    seed: int
    size_px: tuple[int, int]
    wind_m_s: float
    wind_spread: float
    wind_skew: float
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
    roughness_spread: float
    drift_deg: float
    film_scale: float
    damping_scale: float
    class_tiles: tuple[int, ...]
    n_sites: tuple[int, int]
    lookalikes: Mapping[str, int]
    n_targets: int
    edges: tuple[tuple[str, float, float], ...]
    border_noise_px: float
    clip_medians: float
    n_levels: float

    def __post_init__(self) -> None:
        _check_size(self.size_px)
        _check_film_scale(self.film_scale, self.size_px)
        _check_range("wind_m_s", (self.wind_m_s, self.wind_m_s), low=0.5, high=30, unit="m/s")
        _check_range("looks", (self.looks, self.looks), low=1, high=1000, unit="looks")
        _check_range("incidence_deg", tuple(sorted(self.incidence_deg)), low=16, high=66, unit="deg")  # type: ignore[arg-type]
        _check_range("speckle_correlation", tuple(sorted(self.speckle_correlation)), low=0, high=0.3, unit="")  # type: ignore[arg-type]
        _check_range("n_levels", (self.n_levels, self.n_levels), low=2, high=65535, unit="levels")
        if len(self.class_tiles) != len(SEEP_LABELS) or min(self.class_tiles) < 0:
            raise SeepError(f"class_tiles: expected {len(SEEP_LABELS)} counts >= 0, but got {self.class_tiles}.")

    def to_json(self) -> dict[str, Any]:
        """All attributes as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The parameters that `to_json` wrote, also after a way through a file.

        Raises:
            SeepError: if a name is missing or unknown, or a value is impossible.
        """
        expected = {field.name for field in fields(cls)}
        if set(content) != expected:
            raise SeepError(
                f"scene parameters: expected the names {sorted(expected)}, but missing are "
                f"{sorted(expected - set(content))} and unknown {sorted(set(content) - expected)}."
            )
        return cls(**{name: _frozen(value) for name, value in content.items()})


def _frozen(value: Any) -> Any:
    """Lists as tuples, at every depth: JSON has no tuples."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value
