"""Sample data: simulated tiles like the real set, and a record to reproduce them."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from seep_monai import __version__
from seep_monai.errors import SeepError
from seep_monai.files import fill_folder
from seep_monai.simulate.drawing import draw_parameters
from seep_monai.simulate.scene import plan_scene
from seep_monai.simulate.settings import PIXEL_SIZE_M, SceneSettings
from seep_monai.simulate.tiles import IMAGES_DIR, MASKS_DIR, grid, max_tiles_per_scene, write_tiles

logger = logging.getLogger(__name__)

RECORD_NAME = "simulation.json"
# Choice: five, enough scenes for every part of a split by scene.
MIN_SCENES = 5
# Choice: 10 %; the real set has almost no tile without seep, but false alarms are counted on such tiles.
EMPTY_SHARE = 0.10


@dataclass(frozen=True)
class TilePlan:
    """The tiles to simulate.

    Attributes:
        seed: seed of the whole sample.
        n_tiles_per_scene: one number per scene.
        empty_share: share of tiles without seep.
        settings: the user's settings of scenes.
    """

    seed: int
    n_tiles_per_scene: tuple[int, ...]
    empty_share: float
    settings: SceneSettings


def plan_tiles(
    n_tiles: int,
    seed: int,
    n_scenes: int | None = None,
    *,
    empty_share: float = EMPTY_SHARE,
    settings: SceneSettings | None = None,
) -> TilePlan:
    """Plan a sample of tiles that are spread evenly over scenes; the first scenes get the remainder.

    Args:
        n_tiles: number of tiles, > 0.
        seed: >= 0.
        n_scenes: number of scenes. Default: the fewest that hold all tiles, but at least five if each then has two
            tiles.
        empty_share: share of tiles without seep, 0 to 1.
        settings: settings of scenes; default: like the reference tiles.

    Raises:
        SeepError: if a number is out of range, or the tiles do not fit into the scenes.
    """
    chosen = settings or SceneSettings()
    if n_tiles < 1:
        raise SeepError(f"n_tiles: expected 1 or more, but got {n_tiles}. Ask for at least one tile.")
    check_seed(seed)
    if not 0 <= empty_share <= 1:
        raise SeepError(f"empty_share: expected a share of 0 to 1, but got {empty_share}. Change it.")
    if chosen.seep_share == 0 and empty_share < 1:
        raise SeepError(
            f"seep_share: expected a share above 0, because {1 - empty_share:g} of the tiles should have seep, but "
            f"got 0. Give a seep_share above 0, or empty_share 1."
        )
    most = max_tiles_per_scene(chosen, empty_share)
    n_needed = -(-n_tiles // most)
    if n_scenes is None:
        n_scenes = max(n_needed, min(MIN_SCENES, max(1, n_tiles // 2)))
    if not n_needed <= n_scenes <= n_tiles:
        raise SeepError(
            f"n_scenes: {n_tiles} tiles need {n_needed} to {n_tiles} scenes (1 to {most} tiles each), "
            f"but got {n_scenes}. Change n_scenes or n_tiles, or make the scenes larger (size_px, seep_share)."
        )
    base, n_odd = divmod(n_tiles, n_scenes)
    return TilePlan(seed, tuple(base + (index < n_odd) for index in range(n_scenes)), empty_share, chosen)


def make_sample_data(
    out: str | Path,
    *,
    n_tiles: int,
    seed: int,
    n_scenes: int | None = None,
    empty_share: float = EMPTY_SHARE,
    settings: SceneSettings | None = None,
    overwrite: bool = False,
    n_workers: int = 1,
) -> None:
    """Write simulated tiles to `out`: images, masks of the same names, and `simulation.json`.

    A tile is `SCENE.TILE.tif`; TILE is its 1-based row-major index in the scene's grid. The same seed and numbers give
    the same bytes; a scene depends only on the seed, the settings and its own number. All files are written to a
    temporary folder beside `out`, which is renamed at the end.

    Args:
        out: folder to create.
        n_tiles, seed, n_scenes, empty_share, settings: see `plan_tiles`.
        overwrite: replace an existing sample; a folder without `simulation.json` is never replaced.
        n_workers: number of processes that draw scenes; the files are the same for every number.

    Raises:
        SeepError: before anything is written, if a number is out of range or `out` cannot be used.
    """
    plan = plan_tiles(n_tiles, seed, n_scenes, empty_share=empty_share, settings=settings)
    if n_workers < 1:
        raise SeepError(f"workers: expected 1 or more processes, but got {n_workers}. Change it.")
    fill_folder(
        Path(out), lambda folder: _write_tiles(folder, plan, n_workers), record=RECORD_NAME, overwrite=overwrite
    )
    logger.info("%d tiles of %d scenes written to %s", n_tiles, len(plan.n_tiles_per_scene), out)


def check_seed(seed: int) -> None:
    """Raise SeepError if the seed is negative."""
    if seed < 0:
        raise SeepError(f"seed: expected a whole number of 0 or more, but got {seed}. Change it.")


def _write_tiles(folder: Path, plan: TilePlan, n_workers: int) -> None:
    """Write all tiles of a plan and `simulation.json`."""
    for name in (IMAGES_DIR, MASKS_DIR):
        (folder / name).mkdir()
    scenes, write = [], partial(_write_scene_tiles, folder, plan)
    with (
        tqdm(
            total=sum(plan.n_tiles_per_scene), desc="simulate", unit="tile", disable=not sys.stderr.isatty()
        ) as progress,
        _mapped(write, len(plan.n_tiles_per_scene), n_workers) as written,
    ):
        for scene in written:
            scenes.append(scene)
            progress.update(len(scene["tiles"]))
    write_record(folder, {**asdict(plan), "n_tiles": sum(plan.n_tiles_per_scene)}, scenes)


@contextmanager
def _mapped(
    write: Callable[[int], dict[str, Any]], n_scenes: int, n_workers: int
) -> Iterator[Iterator[dict[str, Any]]]:
    """Results of `write` for all scenes, in order; of other processes if there are several workers."""
    if min(n_workers, n_scenes) == 1:
        yield map(write, range(n_scenes))
        return
    # Not forked: the caller may run threads, of torch or of OpenMP.
    with ProcessPoolExecutor(min(n_workers, n_scenes), mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool.map(write, range(n_scenes))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _write_scene_tiles(folder: Path, plan: TilePlan, index: int) -> dict[str, Any]:
    """Write the tiles of one scene and return its entry in `simulation.json`."""
    rng = scene_rng(plan.seed, index)
    parameters = draw_parameters(scene_name(plan.seed, index, plan.settings), rng, plan.settings)
    tiles = write_tiles(
        plan_scene(parameters), folder, plan.n_tiles_per_scene[index], rng, empty_share=plan.empty_share
    )
    n_cols = grid(parameters.size_px)[1]
    return {"name": parameters.name, "n_tile_cols": n_cols, "tiles": tiles, "parameters": parameters.to_json()}


def scene_rng(seed: int, index: int) -> np.random.Generator:
    """The random generator of one scene; `index` starts at 0."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))


def scene_name(seed: int, index: int, settings: SceneSettings) -> str:
    """The name of one scene: a digest of the seed and the settings, and its number from 1.

    Weights keep the names of the scenes that they were trained on. Scenes with different contents must therefore have
    different names, in all simulated sets.

    >>> scene_name(0, 0, SceneSettings()) == scene_name(1, 0, SceneSettings())
    False
    """
    content = json.dumps([seed, asdict(settings)], sort_keys=True)
    return f"sim{hashlib.sha256(content.encode()).hexdigest()[:8]}_{index + 1:03d}"


def write_record(folder: Path, plan: dict[str, Any], scenes: list[dict[str, Any]]) -> None:
    """Write `simulation.json`: version, plan, and the parameters and tiles of each scene."""
    record = {"seep_monai": __version__, "pixel_size_m": PIXEL_SIZE_M, **plan}
    record |= {"n_scenes": len(scenes), "scenes": scenes}
    (folder / RECORD_NAME).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
