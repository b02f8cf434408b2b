"""Training tiles from rasters and labelled polygons."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.checks import number, whole_number
from seep_monai.errors import ConfigError, DataError, listed
from seep_monai.files import fill_folder, write_json
from seep_monai.instances.components import Mask
from seep_monai.rectangles import Window, cell_window, clipped
from seep_monai.scene.labels import LabelMask, Labels
from seep_monai.scene.no_data import with_no_data
from seep_monai.scene.place import pixel_size_m
from seep_monai.scene.raster import Raster, RasterOptions, with_pixel_size
from seep_monai.simulate.sample import EMPTY_SHARE, check_seed
from seep_monai.simulate.settings import TILE_PX
from seep_monai.simulate.tiles import IMAGES_DIR, MASKS_DIR, MIN_VALID_SHARE
from seep_monai.tiff import write_tiff

logger = logging.getLogger(__name__)

RECORD_NAME = "tiles.json"
# Source: the network halves the image four times.
_SIZE_MULTIPLE = 16


@dataclass(frozen=True)
class CutSettings:
    """How tiles are cut.

    Attributes:
        tile_px: rows and columns of a tile.
        empty_share: share of the tiles that have no labelled pixel, below 1.
        seed: of the choice of these.
        band: 1-based number of the rasters' band; None: the only one.
        pixel_size_m: pixels are joined to about this size; None: as they are.
        border_noise_px, land: see `RasterOptions`.
    """

    tile_px: int = TILE_PX
    empty_share: float = EMPTY_SHARE
    seed: int = 0
    band: int | None = None
    pixel_size_m: float | None = None
    border_noise_px: int = 0
    land: str | None = None

    def __post_init__(self) -> None:
        whole_number("tile_px", self.tile_px, at_least=_SIZE_MULTIPLE)
        if self.tile_px % _SIZE_MULTIPLE:
            raise ConfigError(f"tile_px: expected a multiple of {_SIZE_MULTIPLE}, but got {self.tile_px}.")
        number("empty_share", self.empty_share, low=0, high=1, low_allowed=True)
        check_seed(self.seed)
        whole_number("border_noise_px", self.border_noise_px, at_least=0)
        if self.pixel_size_m is not None:
            number("pixel_size_m", self.pixel_size_m, low=0)


@dataclass(frozen=True)
class SceneTiles:
    """The tiles of one raster, by their 1-based row-major numbers.

    Attributes:
        name: of the scene.
        path: of the raster.
        options: how it is read.
        shape: (rows, columns) of its pixels, after they are joined.
        pixel_size_m: size of these pixels; None without a coordinate system.
        columns: number of tiles in a row of the grid.
        labelled: tiles with a labelled pixel.
        empty: tiles without one that hold enough data.
    """

    name: str
    path: Path
    options: RasterOptions
    shape: tuple[int, int]
    pixel_size_m: float | None
    columns: int
    labelled: tuple[int, ...]
    empty: tuple[int, ...]


def cut_tiles(
    rasters: Sequence[Path], labels: Labels, out: Path, settings: CutSettings | None = None, *, overwrite: bool = False
) -> None:
    """Write tiles of rasters and their masks, on the non-overlapping grid of each raster.

    Writes `train_images_256/SCENE.NUMBER.tif`, `train_masks_256` with the same names, and `tiles.json`. SCENE is the
    name of the raster with dots replaced by underscores, NUMBER the place in the grid. Images have the dtype of the
    raster, float32 if pixels are joined; no-data is 0 in integers, NaN in floats. Masks are uint8, 0 or the class, and
    0 where there is no data. Tiles at the right and lower edge are filled with no-data.

    All tiles with a labelled pixel are written. Of the others with a quarter of data or more, a random choice is, so
    that they are `empty_share` of all.

    Args:
        rasters: images, or `.SAFE` folders.
        labels: polygons; each is used in all rasters that it overlaps.
        out: folder to create.
        settings: how tiles are cut.
        overwrite: replace an older result.

    Raises:
        SeepError: if `out` cannot be used, or a setting does not fit a raster.
        DataError: if a raster cannot be read, two have the same name, or either the labels or a raster have a
            coordinate system and the other has none; if no labelled pixel lies on a raster.
    """
    chosen = settings or CutSettings()
    names = scene_names(rasters)
    fill_folder(out, lambda folder: _write(folder, names, labels, chosen), record=RECORD_NAME, overwrite=overwrite)


def scene_names(rasters: Sequence[Path]) -> dict[str, Path]:
    """The rasters by the names of their scenes, which are those of the files with dots replaced by underscores.

    Raises:
        DataError: if two are the same.
    """
    names: dict[str, Path] = {}
    for path in rasters:
        name = path.stem.replace(".", "_")
        if name in names:
            raise DataError(
                f"{path}: expected one raster per scene, but {names[name]} is also called {name}. Rename one of them."
            )
        names[name] = path
    return names


def grid_of(shape: tuple[int, int], tile_px: int) -> tuple[int, int]:
    """Rows and columns of the tiles that cover a raster.

    >>> grid_of((512, 513), 256)
    (2, 3)
    """
    return -(-shape[0] // tile_px), -(-shape[1] // tile_px)


def n_empty_wanted(n_labelled: int, empty_share: float) -> int:
    """Number of tiles without a label that makes them `empty_share` of all.

    >>> n_empty_wanted(90, 0.1), n_empty_wanted(5, 0.5), n_empty_wanted(7, 0.0)
    (10, 5, 0)
    """
    return round(n_labelled * empty_share / (1 - empty_share))


@dataclass(frozen=True, eq=False)
class _Source:
    """A raster before it is cut."""

    name: str
    path: Path
    options: RasterOptions
    labels: LabelMask


def _write(folder: Path, names: dict[str, Path], labels: Labels, settings: CutSettings) -> None:
    # Checks of all rasters come before the reading of the first one, which takes time.
    sources = [_source(name, path, labels, settings) for name, path in names.items()]
    _check_labels(labels, names.values(), any(source.labels.n_polygons for source in sources))
    for name in (IMAGES_DIR, MASKS_DIR):
        (folder / name).mkdir()
    scenes = [_cut_labelled(folder, source, settings.tile_px) for source in sources]
    n_labelled = sum(len(scene.labelled) for scene in scenes)
    _check_labels(labels, names.values(), n_labelled > 0)
    chosen = _chosen_empty(scenes, n_empty_wanted(n_labelled, settings.empty_share), settings.seed)
    for scene in scenes:
        if not scene.labelled:
            logger.warning("%s: no label lies on it, so its tiles are without a seep", scene.path)
        _write_empty(folder, scene, chosen[scene.name], settings.tile_px)
    _write_record(folder, scenes, chosen, labels, settings)


def _source(name: str, path: Path, labels: Labels, settings: CutSettings) -> _Source:
    given = RasterOptions(band=settings.band, border_noise_px=settings.border_noise_px, land=settings.land)
    options = with_pixel_size(path, given, settings.pixel_size_m)
    with Raster(path, options) as raster:
        try:
            return _Source(name, path, options, LabelMask(labels, raster.place, raster.shape))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error


def _check_labels(labels: Labels, rasters: Iterable[Path], overlap: bool) -> None:
    if not overlap:
        raise DataError(
            f"{labels.layer.path}: expected labels on the rasters, but none of the {len(labels.classes)} polygons "
            f"covers a pixel with data of {listed([str(path) for path in rasters], 3)}. Give the rasters that were "
            "labelled."
        )


def _cut_labelled(folder: Path, source: _Source, tile_px: int) -> SceneTiles:
    """Write the tiles of a raster that have a labelled pixel, and list the others."""
    labelled, empty = [], []
    with Raster(source.path, source.options) as raster:
        rows, columns = grid_of(raster.shape, tile_px)
        for index, window in _windows(raster.shape, tile_px):
            dn, valid = raster.read(*window)
            mask = np.where(valid, source.labels.read(*window), 0).astype(np.uint8)
            if mask.any():
                labelled.append(index)
                _write_pair(folder, f"{source.name}.{index:06d}.tif", dn, valid, mask, tile_px)
            elif np.count_nonzero(valid) >= MIN_VALID_SHARE * tile_px**2:
                empty.append(index)
        logger.info("%s: %d of %d tiles with a label", source.path, len(labelled), rows * columns)
        size_m = None if raster.place.crs is None else pixel_size_m(raster.place, raster.shape)
        kinds = tuple(labelled), tuple(empty)
        return SceneTiles(source.name, source.path, source.options, raster.shape, size_m, columns, *kinds)


def _windows(shape: tuple[int, int], tile_px: int) -> Iterator[tuple[int, Window]]:
    """Number and rows and columns of each tile, as far as they are inside the raster."""
    n_rows, columns = grid_of(shape, tile_px)
    for index in range(1, n_rows * columns + 1):
        yield index, clipped(cell_window(divmod(index - 1, columns), (tile_px, tile_px)), shape)


def _chosen_empty(scenes: Sequence[SceneTiles], n_wanted: int, seed: int) -> dict[str, list[int]]:
    """Numbers of the chosen tiles without a label of each scene."""
    candidates = [(scene.name, index) for scene in scenes for index in scene.empty]
    n = min(n_wanted, len(candidates))
    if n < n_wanted:
        logger.warning("%d tiles without a label are wanted, but there are only %d with enough data", n_wanted, n)
    chosen: dict[str, list[int]] = {scene.name: [] for scene in scenes}
    for at in sorted(np.random.default_rng(seed).choice(len(candidates), n, replace=False).tolist()) if n else []:
        name, index = candidates[at]
        chosen[name].append(index)
    return chosen


def _write_empty(folder: Path, scene: SceneTiles, chosen: Sequence[int], tile_px: int) -> None:
    windows = dict(_windows(scene.shape, tile_px))
    with Raster(scene.path, scene.options) as raster:
        for index in chosen:
            dn, valid = raster.read(*windows[index])
            mask = np.zeros(valid.shape, np.uint8)
            _write_pair(folder, f"{scene.name}.{index:06d}.tif", dn, valid, mask, tile_px)


def _write_pair(
    folder: Path, name: str, dn: npt.NDArray[Any], valid: Mask, mask: npt.NDArray[np.uint8], tile_px: int
) -> None:
    margin = [(0, tile_px - size) for size in valid.shape]
    image, no_data = with_no_data(np.pad(dn, margin), np.pad(valid, margin))
    write_tiff(folder / IMAGES_DIR / name, image, no_data=no_data)
    write_tiff(folder / MASKS_DIR / name, np.pad(mask, margin))


def _write_record(
    folder: Path, scenes: Sequence[SceneTiles], chosen: dict[str, list[int]], labels: Labels, settings: CutSettings
) -> None:
    """Write `tiles.json`."""
    listing = [
        {
            "scene": scene.name,
            "raster": str(scene.path.absolute()),
            "shape": list(scene.shape),
            "columns": scene.columns,
            "factor": scene.options.factor,
            "pixel_size_m": scene.pixel_size_m,
            "n_tiles": len(scene.labelled) + len(chosen[scene.name]),
            "n_labelled": len(scene.labelled),
        }
        for scene in scenes
    ]
    source = {"labels": str(labels.layer.path.absolute()), "layer": labels.layer.name}
    known = [scene.pixel_size_m for scene in scenes if scene.pixel_size_m is not None]
    size_m = float(np.median(known)) if known else None
    write_json(folder / RECORD_NAME, {**source, **asdict(settings), "pixel_size_m": size_m, "scenes": listing})
    n_labelled, n_empty = sum(len(scene.labelled) for scene in scenes), sum(map(len, chosen.values()))
    logger.info("%d tiles of %d scenes, %d with a label", n_labelled + n_empty, len(scenes), n_labelled)
