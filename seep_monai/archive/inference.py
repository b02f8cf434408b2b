"""The inference of a scene as a task of an archive. Each worker builds the bundle's workflow once."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seep_monai.archive.attempts import ListedScene
from seep_monai.errors import ConfigError

# Ids that an archive sets itself.
_OWN_IDS = ("input", "output_dir", "resume", "as", "run", "inference", "bundle_root")
_LOADED: dict[tuple[str, str], tuple[Any, ...]] = {}


@dataclass(frozen=True)
class InferenceTask:
    """Infers a scene with the bundle's `inference.json`.

    Attributes:
        config_file: path of `inference.json`.
        options: ids of it and their values, as JSON.
        settings: what the outputs depend on, JSON; see `SceneSettings.as_text`.
    """

    config_file: str
    options: str
    settings: str = "{}"

    def __call__(self, scene: ListedScene, folder: Path) -> dict[str, Any]:
        """Write the outputs of the scene to the folder.

        Returns:
            `time` and `platform`, None if unknown; `footprint`, see `valid_area`; `pixels`; `seeps`.
        """
        import rasterio

        from seep_monai.archive.footprint import valid_area
        from seep_monai.scene.run import GDAL_CACHE_BYTES

        scenes, evaluator = _loaded(self.config_file, self.options, str(scene.path), str(folder))
        scenes.settings = replace(scenes.settings, output_dir=folder)
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
            found = scenes.infer(evaluator, scene.path, scene=scene.name, taken=scene.time)
            area = valid_area(folder / f"{scene.name}_classes.tif")
        return {
            "time": found.taken,
            "platform": scene.platform,
            "footprint": area,
            "pixels": found.n_pixels,
            "seeps": found.n_seeps,
        }


@dataclass(frozen=True)
class Model:
    """The weights of an archive, for its catalogue.

    Attributes:
        sha256: checksum of the weights.
        weights: path of their file.
        class_names: of the classes 1..7.
        window_px: rows and columns of the network's window.
    """

    sha256: str
    weights: str
    class_names: tuple[str, ...]
    window_px: tuple[int, int]


def make_task(words: Sequence[str], scene: ListedScene, out: Path) -> tuple[InferenceTask, Model]:
    """The task of an archive and its model. The options and the weights are checked as by `seep-monai infer`.

    Args:
        words: `--id value` options of the inference.
        scene: any scene of the archive.
        out: folder of the archive.

    Raises:
        ConfigError: if an option is not known, or is one that an archive sets.
        SystemExit: with a message, if the options or the weights cannot be used.
    """
    from seep_monai.checkpoints import MODEL_FILE
    from seep_monai.workflow import bundle_source

    config_file = str(bundle_source() / "configs" / "inference.json")
    options = json.dumps(parse_options(words), sort_keys=True)
    parser = _workflow(config_file, options, str(scene.path), str(out)).parser
    settings, description = parser.get_parsed_content("scenes").settings, parser.get_parsed_content("description")
    weights = Path(str(parser.get_parsed_content("ckpt_dir"))) / MODEL_FILE
    model = Model(description["sha256"], str(weights.resolve()), settings.class_names, settings.window_px)
    return InferenceTask(config_file, options, settings.as_text()), model


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """The options of an inference by id, with values as MONAI's runner reads them.

    Args:
        words: `--id value`, or `--id=value`; `--a#b` sets `b` in the group `a`.

    Raises:
        ConfigError: for other forms, or an id that an archive sets itself.

    >>> parse_options(["--instances#score_threshold", "0.5", "--land=coast.gpkg"])
    {'instances#score_threshold': 0.5, 'land': 'coast.gpkg'}
    """
    from fire.parser import DefaultParseValue

    options: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name or (not equals and not rest):
            raise ConfigError(f"{word}: expected --id value, with an id of inference.json.")
        if name in _OWN_IDS:
            raise ConfigError(f"--{name}: is set by the archive, where each scene is a raster. Remove it.")
        options[name] = DefaultParseValue(value if equals else rest.pop(0))
    return options


def _workflow(config_file: str, options: str, source: str, out: str) -> Any:
    """The workflow of `infer`, whose `run` only loads the weights."""
    from monai.bundle import create_workflow

    given: Mapping[str, Any] = {
        **json.loads(options),
        "input": source,
        "output_dir": out,
        "as": "raster",
        "run": ["$steps.load_best(@network, @ckpt_dir, @device)"],
    }
    # Each worker would print all options.
    for name in ("scripts", "workflows"):
        logging.getLogger(f"monai.bundle.{name}").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # MONAI's word on configs from strangers.
        warnings.filterwarnings("ignore", message="parsing config_file")
        return create_workflow(config_file=config_file, logging_file=False, **given)


def _loaded(config_file: str, options: str, source: str, out: str) -> tuple[Any, Any]:
    """What draws the rasters, and the evaluator with the loaded network; built at the first scene of a worker."""
    key = (config_file, options)
    if key not in _LOADED:
        # A worker that serves several archives in turn keeps the weights of the last one.
        _LOADED.clear()
        workflow = _workflow(config_file, options, source, out)
        workflow.run()
        _LOADED[key] = tuple(workflow.parser.get_parsed_content(name) for name in ("scenes", "evaluator"))
    scenes, evaluator = _LOADED[key]
    return scenes, evaluator
