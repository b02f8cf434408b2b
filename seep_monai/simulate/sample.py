"""Sample data: simulated tiles like the real set, with the record that repeats them."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from seep_monai import __version__
from seep_monai.errors import SeepError
from seep_monai.simulate.drawing import draw_parameters
from seep_monai.simulate.scene import plan_scene
from seep_monai.simulate.settings import SceneSettings
from seep_monai.simulate.tiles import IMAGES_DIR, MASKS_DIR, grid, max_tiles_per_scene, write_tiles

logger = logging.getLogger(__name__)

RECORD_NAME = "simulation.json"
FIRST_SCENE = 900001
# Choice: five; a split by scene then has scenes for every part.
MIN_SCENES = 5
# Choice: 10 %; the real set has hardly any clean tile, and false alarms cannot be counted without.
EMPTY_SHARE = 0.10


@dataclass(frozen=True)
class TilePlan:
    """A sample of tiles: what will be made.

    Attributes:
        seed: seed of the whole sample.
        n_tiles_per_scene: one number per scene.
        empty_share: share of tiles without seep.
        settings: what the user chose about scenes.
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
    """The plan of a sample of tiles; they are spread evenly, the first scenes hold the odd ones.

    Args:
        n_tiles: number of tiles, > 0.
        seed: >= 0.
        n_scenes: number of scenes. Default: as few as give that many tiles, but five at least as long as each holds
            two tiles.
        empty_share: share of tiles without seep, 0 to 1.
        settings: of the scenes; default: like the reference tiles.

    Raises:
        SeepError: if a number is out of range, or the tiles do not fit into the scenes.
    """
    chosen = settings or SceneSettings()
    if n_tiles < 1:
        raise SeepError(f"n_tiles: expected 1 or more, but got {n_tiles}. Ask for a tile at least.")
    check_seed(seed)
    if not 0 <= empty_share <= 1:
        raise SeepError(f"empty_share: expected a share of 0 to 1, but got {empty_share}. Change it.")
    if chosen.seep_share == 0 and empty_share < 1:
        raise SeepError(
            f"seep_share: scenes without seep have no tiles with it, but {1 - empty_share:g} of the tiles are to have "
            f"some. Give empty_share 1, or a seep_share above 0."
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
) -> None:
    """Write simulated tiles to `out`: images, masks of the same names, and `simulation.json`.

    A tile is `SCENE.TILE.tif`, TILE its 1-based row-major place in the scene's grid. The same seed and numbers give the
    same bytes; a scene depends on the seed, the settings and its own number alone. All is written to a temporary folder
    beside `out` and renamed at the end.

    Args:
        out: folder to make.
        n_tiles, seed, n_scenes, empty_share, settings: see `plan_tiles`.
        overwrite: replace a sample that is there; a folder without `simulation.json` is never replaced.

    Raises:
        SeepError: before anything is written, if the numbers do not fit or `out` may not be used.
    """
    plan = plan_tiles(n_tiles, seed, n_scenes, empty_share=empty_share, settings=settings)
    make_folder(Path(out), lambda folder: _write_tiles(folder, plan), overwrite=overwrite)
    logger.info("%d tiles of %d scenes written to %s", n_tiles, len(plan.n_tiles_per_scene), out)


def check_seed(seed: int) -> None:
    """Raise a SeepError for a negative seed."""
    if seed < 0:
        raise SeepError(f"seed: expected a whole number of 0 or more, but got {seed}. Change it.")


def make_folder(out: Path, write: Callable[[Path], None], *, overwrite: bool) -> None:
    """Let `write` fill a temporary folder beside `out`, and give it that name when it is complete."""
    out = out.resolve()
    _check_target(out, overwrite=overwrite)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
            new = Path(temporary) / "new"
            new.mkdir()
            write(new)
            _replace(out, new, old=Path(temporary) / "old")
    except OSError as error:
        raise SeepError(
            f"{error.filename or out}: expected a folder to write to, but: {error.strerror or error}. Check path "
            f"and free space."
        ) from error


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


def _write_tiles(folder: Path, plan: TilePlan) -> None:
    """Write all tiles of a plan and the record of how they were made."""
    for name in (IMAGES_DIR, MASKS_DIR):
        (folder / name).mkdir()
    scenes = []
    with tqdm(
        total=sum(plan.n_tiles_per_scene), desc="simulate", unit="tile", disable=not sys.stderr.isatty()
    ) as progress:
        for index, n_wanted in enumerate(plan.n_tiles_per_scene):
            rng = scene_rng(plan.seed, index)
            parameters = draw_parameters(f"{FIRST_SCENE + index}", rng, plan.settings)
            tiles = write_tiles(plan_scene(parameters), folder, n_wanted, rng, empty_share=plan.empty_share)
            n_cols = grid(parameters.size_px)[1]
            scenes.append(
                {"name": parameters.name, "n_tile_cols": n_cols, "tiles": tiles, "parameters": parameters.to_json()}
            )
            progress.update(n_wanted)
    write_record(folder, {**asdict(plan), "n_tiles": sum(plan.n_tiles_per_scene)}, scenes)


def scene_rng(seed: int, index: int) -> np.random.Generator:
    """The generator of one scene's parameters, `index` counted from 0."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))


def write_record(folder: Path, plan: dict[str, Any], scenes: list[dict[str, Any]]) -> None:
    """Write `simulation.json`: version, plan, and for each scene its parameters and what was made of it."""
    record = {"seep_monai": __version__, **plan, "n_scenes": len(scenes), "scenes": scenes}
    (folder / RECORD_NAME).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
