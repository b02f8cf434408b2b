"""Estimation of the number of tile columns of a scene from the borders of its tiles.

The tiles of a scene are numbered row by row, but their names do not give the length of a row. The lower border of a
tile correlates with the upper border of the tile below it and with no other, because waves, slicks, fronts and the SAR
point spread function extend across the border. A number of columns is accepted only if right borders also correlate
with the left borders of the next tiles. This rejects tiles that overlap or that are numbered in another order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from seep_monai.dataset.grid import tile_number
from seep_monai.instances.components import Floats, Mask
from seep_monai.tiff import read_tiff, valid_mask

# Choice, from the borders of the real tiles: rows that are averaged to reduce speckle; length of the smoothing window;
# length of the window of the trend that is subtracted.
_DEPTH_PX, _SMOOTH_PX, _TREND_PX = 8, 9, 129
# Thresholds in standard deviations: for a number of columns without prior knowledge (`_SURE` for borders below,
# `_BESIDE` for borders beside), and for one that other scenes of the set have (`_LIKELY`).
# Choice: no number reached `_SURE` in about a hundred scenes of shuffled tiles.
_SURE, _BESIDE, _LIKELY = 6.0, 3.0, 3.0
# The best number must exceed the second best by this factor.
_LEAD = 1.3
# Mean correlations. Above `_SAME` the borders are the same pixels, so the tiles overlap. If the correlation of borders
# beside is below `_SIDE_SHARE` of that of borders below, the tiles do not lie side by side (for example half overlap).
_SAME, _SIDE_SHARE = 0.9, 1 / 3
# Limits the size of tables where tile numbers are dates or orbits. No swath has 4,096 tiles in a row.
_MOST_COLUMNS = 4096


class Border(NamedTuple):
    """Profiles along the four borders of a tile: (W,), (W,), (H,), (H,) float64, each with mean 0 and norm 1."""

    upper: Floats
    lower: Floats
    left: Floats
    right: Floats


@dataclass(frozen=True)
class Match:
    """How well the tiles of a scene fit one number of columns.

    Attributes:
        below: correlation of lower borders with the tiles below, in standard deviations above chance.
        beside: the same for right borders and the next tiles of the row; 0 if no two tiles lie side by side.
        likeness: mean correlation of borders one below the other.
        side_likeness: mean correlation of borders side by side; 0 if there are none.
    """

    below: float
    beside: float
    likeness: float
    side_likeness: float

    @property
    def plausible(self) -> bool:
        """Whether consecutive tiles lie side by side and tiles do not overlap."""
        side_by_side = self.beside >= _BESIDE and self.side_likeness >= _SIDE_SHARE * self.likeness
        return side_by_side and self.likeness <= _SAME


def find_columns(
    items: Iterable[Mapping[str, Any]], *, band: int | None = None, known: Iterable[int] = ()
) -> dict[str, int]:
    """Number of columns by name prefix `SCENE.`. Scenes for which it cannot be determined are left out.

    Args:
        items: with `image` (path) and `tile` (name). Tiles not named `SCENE.NUMBER` are ignored.
        band: band of the images, from 1, if they have several.
        known: numbers of columns of other scenes of the set.

    Raises:
        TiffError: if an image cannot be read.
    """
    scenes: dict[str, dict[int, str]] = {}
    for item in items:
        named = tile_number(str(item["tile"]))
        if named is not None:
            scenes.setdefault(named[0], {})[named[1]] = str(item["image"])
    matches = {scene: _matches(paths, band) for scene, paths in scenes.items()}
    return {f"{scene}.": columns for scene, columns in chosen_columns(matches, known=known).items()}


def image_border(dn: Floats, valid: Mask) -> Border | None:
    """The border profiles of a tile; None if one of its borders has too few valid pixels or no variation.

    Args:
        dn: (H, W) DN, linear, above 0 where valid.
        valid: (H, W) bool, False = no-data.
    """
    profiles = [
        _profile(dn[:_DEPTH_PX], valid[:_DEPTH_PX]),
        _profile(dn[-_DEPTH_PX:], valid[-_DEPTH_PX:]),
        _profile(dn[:, :_DEPTH_PX].T, valid[:, :_DEPTH_PX].T),
        _profile(dn[:, -_DEPTH_PX:].T, valid[:, -_DEPTH_PX:].T),
    ]
    upper, lower, left, right = profiles
    if upper is None or lower is None or left is None or right is None:
        return None
    return Border(upper, lower, left, right)


def column_matches(borders: Mapping[int, Border]) -> dict[int, Match]:
    """How well the tiles fit each number of columns for which at least one pair lies one below the other.

    Args:
        borders: borders by tile number, all of the same size.
    """
    numbers = np.array(sorted(borders), dtype=np.int64)
    if len(numbers) < 2:
        return {}
    upper, lower, left, right = (np.array(profiles) for profiles in zip(*(borders[n] for n in numbers), strict=True))
    n_pairs, sums, deviation = _by_difference(numbers, lower, upper)
    _, _, side_deviation = _by_difference(numbers, right, left)
    next_ones = np.flatnonzero(np.diff(numbers) == 1)
    going_on = np.einsum("ij,ij->i", right[next_ones], left[next_ones + 1])
    matches = {}
    for columns in np.flatnonzero(n_pairs).tolist():
        in_row = going_on[numbers[next_ones] % columns != 0]
        matches[columns] = Match(
            below=float(sums[columns] / (deviation * np.sqrt(n_pairs[columns]))),
            beside=float(in_row.sum() / (side_deviation * np.sqrt(max(len(in_row), 1)))),
            likeness=float(sums[columns] / n_pairs[columns]),
            side_likeness=float(in_row.sum() / max(len(in_row), 1)),
        )
    return matches


def chosen_columns(matches: Mapping[str, Mapping[int, Match]], *, known: Iterable[int] = ()) -> dict[str, int]:
    """The number of columns of each scene that has a clear best number, on its own or among those of other scenes.

    Args:
        matches: `column_matches` of each scene.
        known: numbers of columns of other scenes of the set.
    """
    sure = {scene: columns for scene, found in matches.items() if (columns := _sure(found)) is not None}
    usual = {*known, *sure.values()}
    others = {scene: found for scene, found in matches.items() if scene not in sure}
    likely = {scene: columns for scene, found in others.items() if (columns := _likely(found, usual)) is not None}
    return {scene: columns for scene in matches if (columns := (sure | likely).get(scene)) is not None}


def _by_difference(
    numbers: npt.NDArray[np.int64], ends: Floats, beginnings: Floats
) -> tuple[npt.NDArray[np.int64], Floats, float]:
    """Count and sum of the correlations by difference of tile numbers, and the standard deviation by chance.

    A tile never lies before one with a lower number, so these pairs give the chance correlation of the scene. On a
    smooth sea it exceeds the 1 / sqrt(w) of w independent values.

    Args:
        numbers: (n,) ascending.
        ends: (n, W) profiles.
        beginnings: (n, W) profiles.
    """
    most = min(int(numbers[-1] - numbers[0]), _MOST_COLUMNS)
    n_pairs, sums, squares = np.zeros(most + 1, np.int64), np.zeros(most + 1), 0.0
    # Tile by tile, because all pairs of a scene at once take gigabytes.
    for i, number in enumerate(numbers):
        correlation = beginnings @ ends[i]
        difference = numbers[i + 1 :] - number
        near = difference <= most
        n_pairs += np.bincount(difference[near], minlength=most + 1)
        sums += np.bincount(difference[near], weights=correlation[i + 1 :][near], minlength=most + 1)
        squares += float(np.square(correlation[:i]).sum())
    independent = ends.shape[1] / _SMOOTH_PX
    by_chance = squares / (len(numbers) * (len(numbers) - 1) / 2)
    return n_pairs, sums, max(by_chance**0.5, independent**-0.5)


def _matches(paths: Mapping[int, str], band: int | None) -> dict[int, Match]:
    """`column_matches` of a scene's files. Tiles that differ from the most frequent size are left out."""
    # A single tile is not read: it has no neighbours and may be large.
    borders = {number: _read_border(path, band) for number, path in paths.items()} if len(paths) > 1 else {}
    known = {number: border for number, border in borders.items() if border is not None}
    sizes = [_size(border) for border in known.values()]
    usual = max(set(sizes), key=sizes.count, default=None)
    return column_matches({number: border for number, border in known.items() if _size(border) == usual})


def _read_border(path: str, band: int | None) -> Border | None:
    image = read_tiff(path, band=band)
    return image_border(image.array, valid_mask(image.array, image.no_data))


def _size(border: Border) -> tuple[int, int]:
    return len(border.left), len(border.upper)


def _profile(dn: Floats, valid: Mask) -> Floats | None:
    """The profile of one border from (depth, W) DN; None if over half of its columns have no data or it is constant."""
    n_valid = valid.sum(axis=0)
    seen = n_valid > 0
    if 2 * np.count_nonzero(seen) < len(seen):
        return None
    log_dn = np.log(np.where(valid, np.maximum(dn, 1e-6), 1.0))
    profile = log_dn.sum(axis=0) / np.maximum(n_valid, 1)
    profile[~seen] = profile[seen].mean()
    profile = uniform_filter1d(profile, _SMOOTH_PX) - uniform_filter1d(profile, _TREND_PX)
    profile -= profile.mean()
    length = float(np.linalg.norm(profile))
    return profile / length if length > 1e-6 else None


def _sure(found: Mapping[int, Match]) -> int | None:
    """The clear best number among all, if it is plausible."""
    best = _outstanding(found, _SURE)
    return best if best is not None and found[best].plausible else None


def _likely(found: Mapping[int, Match], usual: set[int]) -> int | None:
    """The clear best number among the usual ones, if no other number is sure and `beside` is not negative."""
    if any(match.below >= _SURE for columns, match in found.items() if columns not in usual):
        return None
    best = _outstanding({columns: match for columns, match in found.items() if columns in usual}, _LIKELY)
    return best if best is not None and found[best].beside >= 0 else None


def _outstanding(found: Mapping[int, Match], least: float) -> int | None:
    """The number that fits best, if it reaches `least` and exceeds the second best by the factor `_LEAD`."""
    ranked = sorted(found, key=lambda columns: found[columns].below, reverse=True)
    if not ranked or found[ranked[0]].below < least:
        return None
    return ranked[0] if len(ranked) < 2 or found[ranked[0]].below >= _LEAD * found[ranked[1]].below else None
