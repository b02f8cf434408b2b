"""Films on the sea: ribbons drawn on any window of a scene, with a label exactly where the sea is damped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from seep_monai.errors import SeepError
from seep_monai.rectangles import Window, clipped, overlap, shape_of, with_margin, within

Line = npt.NDArray[np.floating]
# First row, row after the last, first column, column after the last.
Bounds = tuple[int, int, int, int]

# A film damps the sea, and is labelled, where its strength is at least this share of the full strength. Choice: 0.4,
# slightly wider than at half strength, as the reference tiles are annotated.
CORE_SHARE = 0.4
# Choice: 1.5 px; slick edges in the reference tiles are 1-2 px wide.
EDGE_PX = 1.5
# Choice: 0.7 px between points, so that a narrow ribbon drawn diagonally has no scalloped edge.
POINT_STEP_PX = 0.7
# Choice: 2 px, the extent of the bright rim of a thick film.
RIM_PX = 2
# Discs are drawn in groups of one size. Choice: few sizes, each at most about half above the previous one, to limit
# both the number of groups and the number of empty pixels.
_STAMP_REACHES_PX = np.array([2, 3, 4, 5, 7, 10, 14, 20, 30, 45, 65, 100, 150, 220, 320, 450, 650])


@dataclass(frozen=True, eq=False)
class Ribbon:
    """A film as a set of soft discs: first those along its centre line, then those of side branches, if any.

    Attributes:
        rows, cols: (n,) scene coordinates in px, about `POINT_STEP_PX` apart; points outside the scene are allowed.
        width_px: (n,) full width at half strength, > 0 and below 1290.
        strength: (n,) share of the full damping at each point, 0 (no film) to 1.
        damping_db: full damping, > 0 means darker.
        rim_db: gain along the windward edge, 0 = no rim.
        wind_rad: direction the wind blows to, from the column axis towards the rows; used only for the rim.
        edge_px: distance over which the strength falls to 0 at the outline.
        n_line: number of first points that form the centre line, 1..n; None = all. Not used for drawing.

    Raises:
        SeepError: if `n_line` is not 1..n.
    """

    rows: Line
    cols: Line
    width_px: Line
    strength: Line
    damping_db: float
    rim_db: float = 0.0
    wind_rad: float = 0.0
    edge_px: float = EDGE_PX
    n_line: int | None = None

    def __post_init__(self) -> None:
        if self.n_line is not None and not 1 <= self.n_line <= len(self.rows):
            raise SeepError(
                f"n_line: expected 1..{len(self.rows)} of the ribbon's points, but got {self.n_line}. Set it together "
                f"with the points, or to None if all of them form the line."
            )

    @cached_property
    def bounds(self) -> Bounds:
        """The pixels that the discs can touch; the rim extends up to `RIM_PX` further."""
        reach = int(np.ceil(self.width_px.max() / 2 + self.edge_px))
        return (
            int(np.floor(self.rows.min())) - reach,
            int(np.ceil(self.rows.max())) + reach + 1,
            int(np.floor(self.cols.min())) - reach,
            int(np.ceil(self.cols.max())) + reach + 1,
        )


@dataclass(frozen=True, eq=False)
class Slick:
    """The films of one seep.

    Attributes:
        label: class, 1..7.
        origin: (row, col) of the seep, scene coordinates in px.
        drift_rad: direction of the surface drift at the origin, from the column axis towards the rows.
        ribbons: its films.
        target: True if a bright target (ship, rig) lies at the origin.
    """

    label: int
    origin: tuple[float, float]
    drift_rad: float
    ribbons: tuple[Ribbon, ...]
    target: bool = False

    @cached_property
    def bounds(self) -> Bounds:
        """The pixels that any of its ribbons or their rims can touch."""
        first_row, end_row, first_col, end_col = zip(*(ribbon.bounds for ribbon in self.ribbons), strict=True)
        return min(first_row) - RIM_PX, max(end_row) + RIM_PX, min(first_col) - RIM_PX, max(end_col) + RIM_PX

    def scaled(self, size: float) -> Slick:
        """The slick with lengths and widths times `size`, relative to the origin."""
        row, col = self.origin
        ribbons = (
            replace(
                ribbon,
                rows=row + size * (ribbon.rows - row),
                cols=col + size * (ribbon.cols - col),
                width_px=size * ribbon.width_px,
            )
            for ribbon in self.ribbons
        )
        return replace(self, ribbons=tuple(ribbons))

    def moved(self, down: float, right: float) -> Slick:
        """The slick at another place, in px."""
        ribbons = (replace(ribbon, rows=ribbon.rows + down, cols=ribbon.cols + right) for ribbon in self.ribbons)
        return replace(self, origin=(self.origin[0] + down, self.origin[1] + right), ribbons=tuple(ribbons))


@dataclass(frozen=True, eq=False)
class Films:
    """The films on one window of a scene.

    Attributes:
        damping_db: (row, col) float32, > 0 exactly where `label` is > 0.
        label: (row, col) uint8, 0 or 1..7.
        rim_db: (row, col) float32, gain along windward edges; 0 where `label` is > 0.
    """

    damping_db: npt.NDArray[np.float32]
    label: npt.NDArray[np.uint8]
    rim_db: npt.NDArray[np.float32]

    def seen(
        self,
        visibility: npt.NDArray[np.floating],
        least_db: npt.NDArray[np.floating],
        valid: npt.NDArray[np.bool_] | None,
    ) -> Films:
        """The films with the visible share (0 to 1) of their damping, only where there are data.

        Where less than `least_db` (row, col) remains, both damping and label are removed.
        """
        damping = self.damping_db * visibility.astype(np.float32)
        shows = (damping > 0) & (damping >= least_db)
        damping = np.where(shows if valid is None else shows & valid, damping, np.float32(0))
        return Films(damping, np.where(damping > 0, self.label, np.uint8(0)), self.rim_db * visibility)


def rasterised(ribbon: Ribbon, window: Window) -> tuple[Window, npt.NDArray[np.float32]]:
    """Strength (0 to 1) of a ribbon on the part of its bounds that lies in a window.

    Each point is a soft disc. A pixel takes the maximum over all discs, so it does not depend on the window.

    Args:
        window: (row, col) slices with start and stop in scene coordinates, any sign.

    Returns:
        The part as (row, col) slices in scene coordinates, and a float32 array of its size; both are empty if the
        ribbon lies outside.
    """
    part = _shared(ribbon.bounds, window)
    height, width = shape_of(part)
    patch = np.zeros((height, width), np.float32)
    if patch.size:
        size = np.searchsorted(_STAMP_REACHES_PX, ribbon.width_px / 2 + ribbon.edge_px)
        reach = _STAMP_REACHES_PX[size]
        row, col = np.rint(ribbon.rows) - part[0].start, np.rint(ribbon.cols) - part[1].start
        near = (row + reach >= 0) & (row - reach < height) & (col + reach >= 0) & (col - reach < width)
        for group in np.unique(size[near]):
            _stamp(patch, ribbon, np.flatnonzero(near & (size == group)), (part, int(_STAMP_REACHES_PX[group])))
    return part, patch


def films_on(slicks: Iterable[Slick], window: Window) -> Films:
    """The films of slicks on a window.

    Where films overlap, the stronger damping applies. The film with the larger full damping gives the label, so that
    the fringe of a thin film does not appear along the soft edge of a thick one.

    Args:
        slicks: all that may touch the window; others are skipped quickly.
        window: (row, col) slices with start and stop in scene coordinates, any sign.
    """
    # The rims of films just outside the window extend into it.
    wide = with_margin(window, RIM_PX)
    shape = shape_of(wide)
    films = Films(np.zeros(shape, np.float32), np.zeros(shape, np.uint8), np.zeros(shape, np.float32))
    near = [
        (ribbon, slick.label)
        for slick in slicks
        if all(shape_of(_shared(slick.bounds, wide)))
        for ribbon in slick.ribbons
    ]
    for ribbon, label in sorted(near, key=lambda film: film[0].damping_db):
        part, strength = rasterised(ribbon, wide)
        if strength.size:
            _add(films, within(part, wide), strength, (ribbon, label))
    films.rim_db[films.label > 0] = 0
    inner = within(window, wide)
    return Films(films.damping_db[inner], films.label[inner], films.rim_db[inner])


def _stamp(
    patch: npt.NDArray[np.float32], ribbon: Ribbon, points: npt.NDArray[np.intp], place: tuple[Window, int]
) -> None:
    """Raise `patch` to the discs of some points; `place` is its part of the scene and the largest reach in px."""
    part, reach = place
    width_px = ribbon.width_px[points]
    offset = np.arange(-reach, reach + 1)
    row, col = np.rint(ribbon.rows[points]), np.rint(ribbon.cols[points])
    # Distances use fractions of a pixel, so that in float32 they do not depend on the disc's position in the scene.
    down = ((offset - (ribbon.rows[points] - row)[:, None]) ** 2).astype(np.float32)
    right = ((offset - (ribbon.cols[points] - col)[:, None]) ** 2).astype(np.float32)
    value = np.sqrt(down[:, :, None] + right[:, None, :])
    edge_px = np.float32(ribbon.edge_px)
    np.subtract((width_px / (2 * ribbon.edge_px) + 0.5).astype(np.float32)[:, None, None], value / edge_px, value)
    np.clip(value, 0, 1, value)
    value *= ribbon.strength[points].astype(np.float32)[:, None, None]
    row = row.astype(np.intp)[:, None] + offset - part[0].start
    col = col.astype(np.intp)[:, None] + offset - part[1].start
    inside = ((row >= 0) & (row < patch.shape[0]))[:, :, None] & ((col >= 0) & (col < patch.shape[1]))[:, None, :]
    inside &= value > 0
    flat = row[:, :, None] * patch.shape[1] + col[:, None, :]
    np.maximum.at(patch.reshape(-1), flat[inside], value[inside])


def _add(films: Films, here: Window, strength: npt.NDArray[np.float32], film: tuple[Ribbon, int]) -> None:
    """Add one ribbon and its rim; `here` is its position in the coordinates of `films`."""
    ribbon, label = film
    core = strength >= CORE_SHARE
    damping = np.where(core, strength * np.float32(ribbon.damping_db), np.float32(0))
    np.maximum(films.damping_db[here], damping, out=films.damping_db[here])
    films.label[here][core] = label
    if ribbon.rim_db > 0:
        for distance in range(1, RIM_PX + 1):
            # The gain halves with each step away from the film.
            gain_db = np.float32(ribbon.rim_db / 2 ** (distance - 1))
            _raise_shifted(films.rim_db, here, core * gain_db, _upwind(ribbon.wind_rad, distance))


def _upwind(wind_rad: float, distance: int) -> tuple[int, int]:
    """The step (row, col) of `distance` px against the wind, in whole pixels."""
    return round(-distance * float(np.sin(wind_rad))), round(-distance * float(np.cos(wind_rad)))


def _raise_shifted(
    image: npt.NDArray[np.float32], here: Window, values: npt.NDArray[np.float32], step: tuple[int, int]
) -> None:
    """Raise `image` to `values`, moved by `step` from `here`; values outside the image are dropped."""
    rows, columns = (slice(span.start + move, span.stop + move) for span, move in zip(here, step, strict=True))
    target = clipped((rows, columns), image.shape)
    image[target] = np.maximum(image[target], values[within(target, (rows, columns))])


def _shared(bounds: Bounds, window: Window) -> Window:
    """The part of the bounds in a window."""
    return overlap((slice(*bounds[:2]), slice(*bounds[2:])), window)
