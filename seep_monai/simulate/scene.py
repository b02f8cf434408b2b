"""A simulated scene of any size: planned from its parameters, then drawn window by window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seep_monai.rectangles import Window, cells_in, copy_overlap, shape_of
from seep_monai.simulate import coding, sea
from seep_monai.simulate.backscatter import damping_for_contrast, film_visibility, from_db
from seep_monai.simulate.bands import draw_ship_wake
from seep_monai.simulate.lookalikes import LookAlike, draw_lookalikes, gain_on
from seep_monai.simulate.parameters import SceneParameters
from seep_monai.simulate.placement import draw_slicks
from seep_monai.simulate.settings import TILE_PX
from seep_monai.simulate.slicks import Films, Slick, films_on
from seep_monai.simulate.swath import Swath
from seep_monai.simulate.targets import Target, add_targets, draw_targets

# Choice: 64 x 64 samples are enough for the median of a scene's level.
_LEVEL_SAMPLES = 64
# Damping that no film has; finite, so that it can be interpolated.
_NEVER_DB = 100.0
# One random stream per subject, so that a change to one subject does not change the others.
_SEA, _FILMS, _LOOKALIKES, _TARGETS, _SPECKLE = range(5)


@dataclass(frozen=True)
class Scene:
    """The contents of a scene, as functions of position.

    Attributes:
        parameters: the parameters that determine it.
        sea: wind, backscatter and texture.
        swath: the area with data.
        slicks: films, in drawing order.
        lookalikes: patterns of the sea that are not films; label 0.
        targets: ships and rigs, including those at the origins of class 4; label 0.
        full_scale: amplitude that is coded as the highest DN.
    """

    parameters: SceneParameters
    sea: sea.Sea
    swath: Swath
    slicks: tuple[Slick, ...]
    lookalikes: tuple[LookAlike, ...]
    targets: tuple[Target, ...]
    full_scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """Size in px, (row, col)."""
        return self.parameters.size_px

    def wind_at(self, row: float, col: float) -> float:
        """Wind speed in m/s at a position."""
        return self.sea.wind_at(row, col)

    def draw(self, window: Window) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
        """Draw image and mask of a window of the scene; a pixel does not depend on the window.

        Args:
            window: rows and columns inside the scene.

        Returns:
            image: (row, col) uint16, DN 0 outside the swath.
            mask: (row, col) uint8, the class 1..7 exactly where a film damps the sea, else 0.
        """
        image = np.zeros(shape_of(window), np.uint16)
        mask = np.zeros(image.shape, np.uint8)
        for _, block in cells_in(window, (TILE_PX, TILE_PX)):
            dn, label = self._draw_block(block)
            copy_overlap(dn, block, into=image, window=window)
            copy_overlap(label, block, into=mask, window=window)
        return image, mask

    def mask(self, block: Window) -> npt.NDArray[np.uint8]:
        """The mask of one block of the grid; fast, because the sea is not drawn."""
        return self._films(block).label

    def _draw_block(self, block: Window) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
        """Image and mask of one block of the grid: sigma = (sea * texture * damping + nesz + targets) * speckle."""
        p = self.parameters
        films = self._films(block)
        gain_db = films.rim_db - films.damping_db
        pattern_db = gain_on(self.lookalikes, block)
        intensity = _stretched(self.sea.level_on(*sea.coarse_grid(block))) * self.sea.texture_on(block)
        rng = self._rng(_SPECKLE, block)
        intensity *= sea.grain(intensity.shape, p.grain, rng)
        intensity *= from_db(gain_db if pattern_db is None else gain_db + pattern_db)
        intensity += _stretched(self.sea.noise_floor(*sea.coarse_grid(block)))
        add_targets(intensity, block, self.targets, self._level_at)
        intensity *= sea.speckle(intensity.shape, p.looks, rng, correlation=p.speckle_correlation)
        image = coding.coded(intensity, full_scale=self.full_scale, n_levels=p.n_levels)
        step_dn = coding.DN_MAX / p.n_levels
        self.swath.blank(image, block, border_noise_px=p.border_noise_px, step_dn=step_dn, rng=rng)
        return image, films.label

    def _films(self, block: Window) -> Films:
        """The films on a block, as visible at the local wind and only where there are data."""
        films = films_on(self.slicks, block)
        if not films.label.any():
            return films
        grid = sea.coarse_grid(block)
        visibility = _stretched(film_visibility(self.sea.wind_on(*grid)))
        least_db = damping_for_contrast(
            self.parameters.least_contrast_db, self.sea.level_on(*grid), self.sea.noise_floor(*grid)
        )
        return films.seen(visibility, _stretched(np.minimum(least_db, _NEVER_DB)), self.swath.valid(block))

    def shown_at(self, rows: npt.NDArray[np.floating], cols: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Visible share (0 to 1) of a film's damping at positions (n,): by the wind, and 0 outside the swath."""
        # Whole numbers are pixel centres: the first and the last pixel extend half a pixel further.
        limits = zip((rows, cols), self.shape, strict=True)
        inside = np.logical_and(*((place >= -0.5) & (place < size - 0.5) for place, size in limits))
        shown = film_visibility(self.sea.winds_at(rows, cols)) * self.swath.contains(rows, cols)
        return np.where(inside, shown, 0.0)

    def _level_at(self, row: float, col: float) -> float:
        """sigma0 of the undisturbed sea at a position, linear."""
        return float(self.sea.level_on(np.array([row]), np.array([col]))[0, 0])

    def _rng(self, subject: int, block: Window) -> np.random.Generator:
        key = (subject, block[0].start // TILE_PX, block[1].start // TILE_PX)
        return np.random.default_rng(np.random.SeedSequence(self.parameters.seed, spawn_key=key))


def plan_scene(parameters: SceneParameters) -> Scene:
    """The scene that the parameters and their seed determine."""
    p = parameters
    rngs = [np.random.default_rng(np.random.SeedSequence(p.seed, spawn_key=(subject,))) for subject in range(_SPECKLE)]
    water, swath = sea.draw_sea(p, rngs[_SEA]), Swath(p.size_px, p.edges)
    slicks = draw_slicks(p, rngs[_FILMS])
    sources = [slick.origin for slick in slicks if slick.target]
    targets = draw_targets(p.n_targets, p.size_px, rngs[_TARGETS], at=sources, tilt_deg=p.tilt_deg)
    wakes = tuple(draw_ship_wake((ship.row, ship.col), rngs[_LOOKALIKES]) for ship in targets[: p.n_wakes])
    lookalikes = (*wakes, *draw_lookalikes(p.lookalikes, p.size_px, rngs[_LOOKALIKES]))
    return Scene(p, water, swath, slicks, lookalikes, targets, _full_scale(p, water))


def _full_scale(p: SceneParameters, water: sea.Sea) -> float:
    """Amplitude of the highest DN: `clip_medians` times the scene's median amplitude."""
    rows, cols = (np.linspace(0, size - 1, _LEVEL_SAMPLES) for size in p.size_px)
    amplitude = np.sqrt(water.level_on(rows, cols) + water.noise_floor(rows, cols))
    # The median of a unit-mean gamma of order n is about (1 - 1 / (9 n))^3 (Wilson and Hilferty 1931), that of a
    # log-normal of deviation s is exp(-s^2 / 2); amplitude is the square root.
    median_speckle = (1 - 1 / (9 * p.looks)) ** 1.5 * math.exp(-(p.grain**2) / 4)
    return p.clip_medians * median_speckle * float(np.median(amplitude))


def _stretched(coarse: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Interpolate values on the coarse grid of a block to its pixels."""
    return sea.upsampled(coarse, (TILE_PX + 1, TILE_PX + 1))[:-1, :-1]
