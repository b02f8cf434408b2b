"""Sample data: whole simulated scenes as rasters, and a record to reproduce them."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from seep_monai.errors import SeepError
from seep_monai.files import fill_folder
from seep_monai.simulate.drawing import draw_parameters
from seep_monai.simulate.georeference import Georeference, to_json
from seep_monai.simulate.rasters import write_scene
from seep_monai.simulate.sample import RECORD_NAME, check_seed, scene_name, scene_rng, write_record
from seep_monai.simulate.scene import plan_scene
from seep_monai.simulate.settings import SceneSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScenePlan:
    """The scenes to simulate.

    Attributes:
        seed: seed of all scenes.
        n_scenes: number of scenes.
        settings: the user's settings of scenes.
        georeference: the same for all scenes.
    """

    seed: int
    n_scenes: int
    settings: SceneSettings
    georeference: Georeference

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.n_scenes < 1:
            raise SeepError(f"n_scenes: expected 1 or more, but got {self.n_scenes}. Ask for at least one scene.")
        self.georeference.raster_place(self.settings.size_px)


def make_scenes(out: str | Path, plan: ScenePlan, *, overwrite: bool = False) -> None:
    """Write whole simulated scenes to `out`; memory use is one row of tiles, whatever the size.

    Writes `images/SCENE.tif` (uint16, 0 = no-data), `masks/SCENE.tif` (uint8), `slicks/SCENE.geojson` (centre lines of
    the films) and `simulation.json` to a temporary folder beside `out`, which is renamed at the end.

    Raises:
        SeepError: before anything is written, if `out` cannot be used.
    """
    fill_folder(Path(out), lambda folder: _write_scenes(folder, plan), record=RECORD_NAME, overwrite=overwrite)
    logger.info("%d scenes of %d x %d px written to %s", plan.n_scenes, *plan.settings.size_px, out)


def _write_scenes(folder: Path, plan: ScenePlan) -> None:
    """Write all scenes of a plan and `simulation.json`."""
    scenes = []
    for index in range(plan.n_scenes):
        name = scene_name(plan.seed, index, plan.settings)
        parameters = draw_parameters(name, scene_rng(plan.seed, index), plan.settings)
        write_scene(plan_scene(parameters), folder, parameters.name, plan.georeference)
        scenes.append({"name": parameters.name, "parameters": parameters.to_json()})
    record = {"seed": plan.seed, "settings": asdict(plan.settings), "georeference": to_json(plan.georeference)}
    write_record(folder, record, scenes)
