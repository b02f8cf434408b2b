"""Sample data: simulated scenes cut into tile and mask files with the names and formats of the real tile set."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from seep_monai import __version__
from seep_monai.errors import SeepError
from seep_monai.simulate.scene import TILE_PX, SceneParameters, draw_parameters, simulate_scene
from seep_monai.simulate.slicks import CORE_SHARE
from seep_monai.tiff import write_tiff

logger = logging.getLogger(__name__)

IMAGES_DIR, MASKS_DIR, RECORD_NAME = "train_images_256", "train_masks_256", "simulation.json"
FIRST_SCENE = 900001
# Choice: of the 64 tiles of a scene some 40 hold seep or are wanted as empty ones; more could not be promised.
MAX_TILES_PER_SCENE = 40
# Choice: five; a split by scene then has scenes for every part.
MIN_SCENES = 5
# Choice: 10 %; the real set has hardly any clean tile, and false alarms cannot be counted without.
EMPTY_SHARE = 0.10
# Choice: a quarter; a tile that is nearly all no-data teaches nothing.
MIN_VALID_SHARE = 0.25


@dataclass(frozen=True)
class SamplePlan:
    """What will be made: how many tiles of each scene.

    Attributes:
        seed: seed of the whole sample.
        n_tiles_per_scene: one number per scene, 1 to `MAX_TILES_PER_SCENE`.
    """

    seed: int
    n_tiles_per_scene: tuple[int, ...]


def plan_sample(n_tiles: int, seed: int, n_scenes: int | None = None) -> SamplePlan:
    """The plan of a sample; tiles are spread evenly, the first scenes hold the odd ones.

    Args:
        n_tiles: number of tiles, > 0.
        seed: >= 0.
        n_scenes: number of scenes. Default: one per 40 tiles, but five at least as long as each holds two tiles.

    Raises:
        SeepError: if a number is out of range, or the tiles do not fit into the scenes.
    """
    if n_tiles < 1:
        raise SeepError(f"n_tiles: expected 1 or more, but got {n_tiles}.")
    if seed < 0:
        raise SeepError(f"seed: expected 0 or more, but got {seed}.")
    n_needed = -(-n_tiles // MAX_TILES_PER_SCENE)
    if n_scenes is None:
        n_scenes = max(n_needed, min(MIN_SCENES, max(1, n_tiles // 2)))
    if not n_needed <= n_scenes <= n_tiles:
        raise SeepError(
            f"n_scenes: {n_tiles} tiles need {n_needed} to {n_tiles} scenes (1 to {MAX_TILES_PER_SCENE} tiles each), "
            f"but got {n_scenes}. Change n_scenes or n_tiles."
        )
    base, n_odd = divmod(n_tiles, n_scenes)
    return SamplePlan(seed, tuple(base + (index < n_odd) for index in range(n_scenes)))


def make_sample_data(
    out: str | Path, *, n_tiles: int, seed: int, n_scenes: int | None = None, overwrite: bool = False
) -> None:
    """Write simulated tiles to `out`: images, masks of the same names, and `simulation.json`.

    A tile is `SCENE.TILE.tif`, TILE its 1-based row-major place in the scene's grid of 8 x 8 tiles. The same seed and
    numbers give the same bytes; a scene depends on the seed and its own number alone. All is written to a temporary
    folder beside `out` and renamed at the end.

    Args:
        out: folder to make.
        n_tiles, seed, n_scenes: see `plan_sample`.
        overwrite: replace a sample that is there; a folder without `simulation.json` is never replaced.

    Raises:
        SeepError: before anything is written, if the numbers do not fit or `out` may not be used.
    """
    plan = plan_sample(n_tiles, seed, n_scenes)
    out = Path(out).resolve()
    _check_target(out, overwrite=overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
        new = Path(temporary) / "new"
        _write_sample(new, plan)
        _replace(out, new, old=Path(temporary) / "old")
    logger.info("%d tiles of %d scenes written to %s", n_tiles, len(plan.n_tiles_per_scene), out)


def _check_target(out: Path, *, overwrite: bool) -> None:
    """Raise SeepError unless `out` is free, empty, or a sample that may be overwritten."""
    if not out.exists():
        return
    if not out.is_dir():
        raise SeepError(f"{out}: expected a folder to make, but a file has this name. Give another path.")
    if not any(out.iterdir()):
        return
    if not overwrite:
        raise SeepError(f"{out}: the folder exists and is not empty. Give another path or --overwrite.")
    if not (out / RECORD_NAME).is_file():
        raise SeepError(
            f"{out}: --overwrite replaces only sample data, but the folder holds no {RECORD_NAME}. "
            f"Give another path or remove the folder yourself."
        )


def _replace(out: Path, new: Path, *, old: Path) -> None:
    """Put folder `new` in the place of `out`; what was there goes to `old`, and comes back if that fails."""
    if not out.exists():
        new.rename(out)
        return
    out.rename(old)
    try:
        new.rename(out)
    except OSError:
        old.rename(out)
        raise


def _write_sample(folder: Path, plan: SamplePlan) -> None:
    """Write all tiles of a plan and the record of how they were made."""
    for name in (IMAGES_DIR, MASKS_DIR):
        (folder / name).mkdir(parents=True)
    scenes = []
    n_tiles = sum(plan.n_tiles_per_scene)
    with tqdm(total=n_tiles, desc="simulate", unit="tile", disable=not sys.stderr.isatty()) as progress:
        for index, n_wanted in enumerate(plan.n_tiles_per_scene):
            rng = np.random.default_rng(np.random.SeedSequence(plan.seed, spawn_key=(index,)))
            parameters = draw_parameters(f"{FIRST_SCENE + index}", rng)
            tiles = _write_scene(folder, parameters, n_wanted, rng)
            scenes.append({**asdict(parameters), "tiles": tiles})
            progress.update(n_wanted)
    _write_record(folder / RECORD_NAME, plan, scenes)


def _write_record(path: Path, plan: SamplePlan, scenes: list[dict[str, object]]) -> None:
    """Write `simulation.json`: version, seed, numbers, and for each scene its parameters and tiles."""
    record = {
        "seep_monai": __version__,
        "seed": plan.seed,
        "n_tiles": sum(plan.n_tiles_per_scene),
        "n_scenes": len(scenes),
        "empty_share": EMPTY_SHARE,
        "label_where": f"damping >= {CORE_SHARE} of the film's full damping",
        "scenes": scenes,
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _write_scene(folder: Path, parameters: SceneParameters, n_wanted: int, rng: np.random.Generator) -> list[int]:
    """Simulate one scene, write the chosen tiles, and return their 1-based indices in ascending order."""
    image, mask = simulate_scene(parameters)
    chosen = sorted(chosen_tiles(image, mask, n_wanted, rng))
    grid = dict(_cut(image, mask))
    for index in chosen:
        tile, label = grid[index]
        name = f"{parameters.name}.{index:06d}.tif"
        write_tiff(folder / IMAGES_DIR / name, np.ascontiguousarray(tile))
        write_tiff(folder / MASKS_DIR / name, np.ascontiguousarray(label))
    return chosen


def chosen_tiles(
    image: npt.NDArray[np.uint16], mask: npt.NDArray[np.uint8], n_wanted: int, rng: np.random.Generator
) -> list[int]:
    """1-based indices of the tiles to keep: in random order tiles with seep, and every tenth an empty one.

    A larger `n_wanted` adds tiles to the list and changes none. When one kind is used up the other fills the rest.

    Args:
        image: (row, col) uint16, DN 0 outside the swath; both are multiples of 256 px high and wide.
        mask: (row, col) uint8.
        n_wanted: number of tiles.
        rng: source of randomness.

    Raises:
        SeepError: if the scene has fewer than `n_wanted` tiles with data.
    """
    with_seep, empty = [], []
    for index, (tile, label) in _cut(image, mask):
        if label.any():
            with_seep.append(index)
        elif np.count_nonzero(tile) >= MIN_VALID_SHARE * tile.size:
            empty.append(index)
    if len(with_seep) + len(empty) < n_wanted:
        raise SeepError(
            f"n_tiles: the scene has {len(with_seep) + len(empty)} tiles with data, but {n_wanted} are wanted of it. "
            f"Give more scenes (n_scenes)."
        )
    queues = {False: rng.permutation(with_seep).tolist(), True: rng.permutation(empty).tolist()}
    # Worked: start .95, share .1 -> .95, 1.05 | 1.15 ...: the second tile is empty, then every tenth.
    start, chosen = float(rng.random()), []
    for position in range(n_wanted):
        want_empty = int(start + EMPTY_SHARE * (position + 1)) > int(start + EMPTY_SHARE * position)
        queue = queues[want_empty] or queues[not want_empty]
        chosen.append(int(queue.pop()))
    return chosen


def _cut(
    image: npt.NDArray[np.uint16], mask: npt.NDArray[np.uint8]
) -> Iterator[tuple[int, tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]]]:
    """1-based index and (image, mask) of each tile of the non-overlapping grid, row by row."""
    index = 0
    for row in range(0, image.shape[0], TILE_PX):
        for col in range(0, image.shape[1], TILE_PX):
            index += 1
            part = np.s_[row : row + TILE_PX, col : col + TILE_PX]
            yield index, (image[part], mask[part])
