"""Tiles of one domain, real or simulated, as the segmentation network sees them, and their reduced views."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from seep_monai.dataset.audit import finite_fault
from seep_monai.dataset.level import LevelCounter
from seep_monai.dataset.pairs import DEFAULT_SCENE_PATTERN, find_images, scenes_of
from seep_monai.errors import DataError, listed
from seep_monai.tiff import read_tiff, valid_mask
from seep_monai.transforms import LOG_LIMIT, normalise

View = Literal["full", "low", "high"]

IMAGES_DIR = "train_images_256"
# Choice: one half; a tile that is mostly no-data shows the border of the swath more than the sea.
MAX_NO_DATA_SHARE = 0.5
# Choice: 1 %; the shape of a no-data wedge survives any filling, so the reduced views do without such tiles.
MAX_NO_DATA_SHARE_REDUCED = 0.01
# Choice: 8 px; speckle averages out below 3 %, while swell of 4-8 px goes to the high view and slicks show in both.
BLOCK_PX = 8
# Choice: 16 px; the classifier halves a tile four times.
SIZE_MULTIPLE_PX = 16
# The control's own coding stands here and not in `coding`, for it must stay as it is while the simulator changes.
# Source: the middle of the ranges measured in the reference tiles: 9 looks, clip at 2.3 medians, 200 levels.
CONTROL_LOOKS, CONTROL_CLIP_MEDIANS, CONTROL_LEVELS, DN_MAX = 9.0, 2.3, 200, 65535


@dataclass(frozen=True, eq=False)
class DomainTiles:
    """Normalised tiles of one domain.

    Attributes:
        names: file names without suffix, n.
        scenes: scene of each tile, n.
        images: (n, size, size) float16, log of DN over the scene's level in [-2, 2], no-data 0.
        known: (n, size, size) bool; False at no-data, at the highest DN of the dtype and where `images` is clipped.
        no_data_share: (n,) share of no-data pixels.
        saturated_share: (n,) share of valid pixels that are not known.
        n_left_out: tiles left out because more than half of them is no-data.
    """

    names: tuple[str, ...]
    scenes: tuple[str, ...]
    images: npt.NDArray[np.float16]
    known: npt.NDArray[np.bool_]
    no_data_share: npt.NDArray[np.float64]
    saturated_share: npt.NDArray[np.float64]
    n_left_out: int = 0

    def __len__(self) -> int:
        return len(self.names)

    def only(self, chosen: npt.NDArray[np.bool_]) -> DomainTiles:
        """The tiles where `chosen` (n,) is True; the arrays are copies."""
        picks = np.flatnonzero(chosen)
        return DomainTiles(
            names=tuple(self.names[k] for k in picks),
            scenes=tuple(self.scenes[k] for k in picks),
            images=self.images[picks],
            known=self.known[picks],
            no_data_share=self.no_data_share[picks],
            saturated_share=self.saturated_share[picks],
            n_left_out=self.n_left_out,
        )


def load_domain(folder: str | os.PathLike[str], *, scene_pattern: str = DEFAULT_SCENE_PATTERN) -> DomainTiles:
    """All tiles of a folder, normalised by the median of their scene.

    Args:
        folder: folder of TIFFs, or of a data set with `train_images_256`; square tiles of one size.
        scene_pattern: regular expression with one group, the scene in a tile's name.

    Raises:
        DataError: if there are no tiles, they differ in size, are not square or no multiple of 16 px, hold NaN, or
            none of them is at least half covered.
        TiffError: if a file cannot be read.
        ConfigError: if the pattern does not fit the names.
    """
    inside = Path(folder) / IMAGES_DIR
    paths = find_images(inside if inside.is_dir() else folder)
    scenes = scenes_of([path.stem for path in paths], scene_pattern)
    by_scene: dict[str, list[Path]] = {}
    for path, scene in zip(paths, scenes, strict=True):
        by_scene.setdefault(scene, []).append(path)
    parts = [_scene_tiles(scene, [(path.stem, *_read(path)) for path in by_scene[scene]]) for scene in sorted(by_scene)]
    _check_sizes({part.images.shape[1:] for part in parts if len(part)}, folder)
    return joined([part for part in parts if len(part)], n_left_out=sum(part.n_left_out for part in parts))


def joined(parts: Sequence[DomainTiles], *, n_left_out: int) -> DomainTiles:
    """One domain of several scenes, whose tiles have one size."""
    return DomainTiles(
        names=tuple(name for part in parts for name in part.names),
        scenes=tuple(scene for part in parts for scene in part.scenes),
        images=np.concatenate([part.images for part in parts]),
        known=np.concatenate([part.known for part in parts]),
        no_data_share=np.concatenate([part.no_data_share for part in parts]),
        saturated_share=np.concatenate([part.saturated_share for part in parts]),
        n_left_out=n_left_out,
    )


def control_domain(like: DomainTiles, rng: np.random.Generator) -> DomainTiles:
    """Plain speckle on a constant sea, coded like the reference tiles: what any useful classifier tells from `like`.

    Args:
        like: the control has as many scenes, tiles in each, and pixels; no tile has no-data.
        rng: source of randomness.
    """
    size, parts = like.images.shape[-1], []
    for scene, n_tiles in sorted(Counter(like.scenes).items()):
        amplitude = np.sqrt(rng.gamma(CONTROL_LOOKS, 1 / CONTROL_LOOKS, (n_tiles, size, size)))
        full_scale = CONTROL_CLIP_MEDIANS * np.median(amplitude)
        level = np.clip(np.rint(amplitude * CONTROL_LEVELS / full_scale), 1, CONTROL_LEVELS).astype(np.uint16)
        dn = np.where(level == CONTROL_LEVELS, DN_MAX, level * (DN_MAX // CONTROL_LEVELS)).astype(np.uint16)
        valid = np.ones_like(dn, bool)
        tiles = [(f"control-{scene}.{k + 1:06d}", dn[k], valid[k]) for k in range(n_tiles)]
        parts.append(_scene_tiles(f"control-{scene}", tiles))
    return joined(parts, n_left_out=0)


def viewed(tiles: DomainTiles, view: View) -> DomainTiles:
    """The tiles reduced to one range of scales; `low` and `high` add up to the full picture where all is known.

    Args:
        tiles: full tiles.
        view: `full` changes nothing. `low` keeps the means of 8 x 8 blocks over known pixels at full size, `high`
            the differences from them. In both, what is not known takes the block's mean, a block without known
            pixels the tile's; tiles with more than 1 % of no-data are left out.
    """
    if view == "full":
        return tiles
    kept = tiles.only(tiles.no_data_share <= MAX_NO_DATA_SHARE_REDUCED)
    images = kept.images.copy()
    for k in range(len(kept)):
        mean = block_means(images[k].astype(np.float32), kept.known[k], BLOCK_PX)
        low = mean.repeat(BLOCK_PX, axis=0).repeat(BLOCK_PX, axis=1)
        images[k] = low if view == "low" else np.where(kept.known[k], images[k] - low, 0)
    return DomainTiles(
        kept.names, kept.scenes, images, kept.known, kept.no_data_share, kept.saturated_share, kept.n_left_out
    )


def block_means(
    image: npt.NDArray[np.floating], known: npt.NDArray[np.bool_], block_px: int
) -> npt.NDArray[np.floating]:
    """(rows / block, cols / block) means over known pixels; the tile's mean (0 without any) where a block has none.

    Args:
        image: (rows, cols), multiples of `block_px`.
        known: (rows, cols) bool.
        block_px: side of the blocks.
    """
    shape = (image.shape[0] // block_px, block_px, image.shape[1] // block_px, block_px)
    sums = np.where(known, image, 0).reshape(shape).sum(axis=(1, 3))
    counts = known.reshape(shape).sum(axis=(1, 3))
    everywhere = sums.sum() / max(counts.sum(), 1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), everywhere)


def _read(path: Path) -> tuple[np.ndarray, npt.NDArray[np.bool_]]:
    """DN and the mask of valid pixels."""
    image = read_tiff(path)
    valid = valid_mask(image.array, image.no_data)
    fault = finite_fault(image.array, valid, path)
    if fault:
        raise DataError(fault)
    return image.array, valid


def _scene_tiles(scene: str, tiles: Iterable[tuple[str, np.ndarray, npt.NDArray[np.bool_]]]) -> DomainTiles:
    """The normalised tiles of one scene from names, DN and valid masks; mostly empty tiles count for the level only."""
    tiles, counter = list(tiles), LevelCounter()
    for _, dn, valid in tiles:
        counter.add(dn[valid])
    kept = [tile for tile in tiles if 1 - tile[2].mean() <= MAX_NO_DATA_SHARE]
    sizes = {dn.shape for _, dn, _ in kept}
    if len(sizes) > 1:
        raise DataError(f"scene {scene}: expected tiles of one size, but got {_sizes(sizes)}. Cut them alike.")
    if not kept:
        nothing = np.zeros((0, 0, 0))
        return DomainTiles((), (), nothing.astype(np.float16), nothing > 0, np.zeros(0), np.zeros(0), len(tiles))
    level = counter.median()
    valid = np.stack([valid for _, _, valid in kept])
    images = np.stack([normalise(dn.astype(np.float32), known, level).numpy() for _, dn, known in kept])
    known = valid & np.stack([dn < _highest(dn.dtype) for _, dn, _ in kept]) & (np.abs(images) < LOG_LIMIT)
    return DomainTiles(
        names=tuple(name for name, _, _ in kept),
        scenes=(scene,) * len(kept),
        images=images.astype(np.float16),
        known=known,
        no_data_share=1 - valid.mean(axis=(1, 2)),
        saturated_share=(valid & ~known).sum(axis=(1, 2)) / valid.sum(axis=(1, 2)),
        n_left_out=len(tiles) - len(kept),
    )


def _highest(dtype: np.dtype) -> float:
    """The DN that means saturation."""
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else np.inf


def _check_sizes(sizes: set[tuple[int, ...]], folder: str | os.PathLike[str]) -> None:
    if not sizes:
        raise DataError(f"{folder}: expected tiles with data on half of their area, but there are none. Give others.")
    first = min(sizes)
    if len(sizes) > 1 or first[0] != first[1] or first[0] % SIZE_MULTIPLE_PX:
        raise DataError(
            f"{folder}: expected square tiles of one size, a multiple of {SIZE_MULTIPLE_PX} px, but got "
            f"{_sizes(sizes)}. Cut them alike, such as 256 x 256."
        )


def _sizes(sizes: set[tuple[int, ...]]) -> str:
    return listed([" x ".join(map(str, size)) for size in sorted(sizes)])
