"""How many tiles a row of a scene's grid has, read from the tiles' own borders.

Tiles that were cut from one scene are numbered row by row, but their names do not say how long a row is. The lower
border of a tile goes on in the upper border of the tile below it and in no other, so that the right number of columns
shows in what borders have in common: waves, slicks, fronts and what a SAR's resolution spreads over several pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter1d

from seep_monai.instances import Floats, Mask
from seep_monai.tiff import read_tiff, valid_mask

# Choices, by the borders of real and simulated tiles (docs/experiments.md): rows that are averaged, which keeps what
# goes on across the border and lowers the speckle; the length that is smoothed over; that of the trend taken away.
_DEPTH_PX, _SMOOTH_PX, _TREND_PX = 8, 9, 129
# Of a number of columns that nothing is known of: no number reached it in some hundred scenes of shuffled tiles. Of one
# that other scenes of the set have.
_SURE, _LIKELY = 6.0, 3.0
# The next best number must be that much worse.
_LEAD = 1.3
# Numbers that are no places (dates, orbits) must not make long tables. A swath has no 4,096 tiles in a row.
_MOST_COLUMNS = 4096

Border = tuple[Floats, Floats]
Number = tuple[str, int]


def find_columns(
    items: Iterable[Mapping[str, Any]], *, band: int | None = None, known: Iterable[int] = ()
) -> dict[str, int]:
    """Number of columns by the beginning of the tiles' names, `SCENE.`; scenes where it does not show are left out.

    Args:
        items: with `image` (path) and `tile` (name); names other than `SCENE.NUMBER` have no grid.
        band: of the images, from 1, where they hold several.
        known: numbers of columns that other scenes of the set have.

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


def tile_number(tile: str) -> Number | None:
    """Scene and number, from 1, of a tile named `SCENE.NUMBER`; None of any other.

    >>> tile_number("041869.000021"), tile_number("harbour"), tile_number("041869.0")
    (('041869', 21), None, None)
    """
    scene, dot, number = tile.rpartition(".")
    return (scene, int(number)) if dot and number.isdecimal() and int(number) > 0 else None


def image_border(dn: Floats, valid: Mask) -> Border | None:
    """Profiles along the upper and the lower border, each of mean 0 and length 1; None where there is little to see.

    Args:
        dn: (H, W) DN, linear, above 0 where valid.
        valid: (H, W) bool, False = no-data.

    Returns:
        Two (W,) float64.
    """
    profiles = [_profile(dn[rows], valid[rows]) for rows in (slice(0, _DEPTH_PX), slice(-_DEPTH_PX, None))]
    upper, lower = profiles
    return None if upper is None or lower is None else (upper, lower)


def column_matches(borders: Mapping[int, Border]) -> dict[int, float]:
    """For each number of columns that two of the tiles allow, how well borders go on: standard deviations above chance.

    Args:
        borders: by number, all of one width.
    """
    numbers = np.array(sorted(borders))
    if len(numbers) < 2:
        return {}
    upper, lower = (np.array([borders[number][side] for number in numbers]) for side in (0, 1))
    above, below = np.triu_indices(len(numbers), k=1)
    columns = numbers[below] - numbers[above]
    possible = columns <= _MOST_COLUMNS
    above, below, columns = above[possible], below[possible], columns[possible].astype(np.int64)
    correlation = np.einsum("ij,ij->i", lower[above], upper[below])
    n_pairs, sums = np.bincount(columns), np.bincount(columns, weights=correlation)
    # A correlation of w independent values has a standard deviation of 1 / sqrt(w).
    independent = upper.shape[1] / _SMOOTH_PX
    return {int(c): float(sums[c] * np.sqrt(independent / n_pairs[c])) for c in np.flatnonzero(n_pairs)}


def chosen_columns(matches: Mapping[str, Mapping[int, float]], *, known: Iterable[int] = ()) -> dict[str, int]:
    """The number of columns of each scene where one stands out, by itself or as that of another scene.

    Args:
        matches: `column_matches` of each scene.
        known: numbers of columns that other scenes of the set have.
    """
    sure = {scene: best for scene, found in matches.items() if (best := _outstanding(found)) is not None}
    usual = {*known, *sure.values()}
    likely = {scene: _likely(found, usual) for scene, found in matches.items() if scene not in sure}
    chosen = sure | {scene: columns for scene, columns in likely.items() if columns is not None}
    return {scene: chosen[scene] for scene in matches if scene in chosen}


def _matches(paths: Mapping[int, str], band: int | None) -> dict[int, float]:
    """`column_matches` of a scene's files; tiles of another width than most are left out."""
    # A single tile has no neighbours, and may be large.
    borders = {number: _read_border(path, band) for number, path in paths.items()} if len(paths) > 1 else {}
    known = {number: border for number, border in borders.items() if border is not None}
    widths = [len(upper) for upper, _ in known.values()]
    usual = max(set(widths), key=widths.count, default=0)
    return column_matches({number: border for number, border in known.items() if len(border[0]) == usual})


def _read_border(path: str, band: int | None) -> Border | None:
    image = read_tiff(path, band=band)
    return image_border(image.array, valid_mask(image.array, image.no_data))


def _profile(dn: Floats, valid: Mask) -> Floats | None:
    """One border from (depth, W) DN; None where half of its columns have no data, or nothing varies."""
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


def _outstanding(found: Mapping[int, float]) -> int | None:
    ranked = sorted(found, key=lambda columns: found[columns], reverse=True)
    if not ranked or found[ranked[0]] < _SURE:
        return None
    return ranked[0] if len(ranked) < 2 or found[ranked[0]] >= _LEAD * found[ranked[1]] else None


def _likely(found: Mapping[int, float], usual: set[int]) -> int | None:
    best: Sequence[int] = sorted(usual & found.keys(), key=lambda columns: found[columns], reverse=True)[:1]
    return best[0] if best and found[best[0]] >= _LIKELY else None
