"""The inference of rasters with an Ignite evaluator, one scene after the other."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from ignite.engine import Engine, Events
from monai.data import DataLoader
from rasterio.errors import RasterioError

from seep_monai.errors import DataError, SeepError
from seep_monai.files import write_text
from seep_monai.interruption import sigterm_raises
from seep_monai.scene.drawing import DrawingSettings, SceneDrawing
from seep_monai.scene.map_page import map_page, quick_look_size
from seep_monai.scene.outputs import map_description
from seep_monai.scene.raster import Raster, RasterOptions, with_pixel_size
from seep_monai.scene.seep_objects import SeepObject
from seep_monai.scene.strips import SceneStrips
from seep_monai.scene.vector_files import write_seeps

logger = logging.getLogger(__name__)

# By default GDAL takes 5 % of the memory. rasterio counts in bytes, unlike GDAL's own variable.
GDAL_CACHE_BYTES = 128 * 2**20
_LOG_EVERY_S = 30.0
# Metadata of the class map from which `resume` knows the settings.
SETTINGS_TAG = "SEEP_MONAI_SETTINGS"
# Choice: ships saturate, the sea is a middle grey.
_WHITE = 2.5
# Source: names of Sentinel-1 products, such as S1A_IW_GRDH_1SDV_20230415T143012_...
_START_TIME = re.compile(r"(?:^|[_-])(\d{8})[tT](\d{6})(?:[_-]|$)")
# Source: TIFF 6.0, tag DateTime.
_TAG_TIME = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)")


@dataclass(frozen=True)
class SceneSettings:
    """What the inference of all rasters shares.

    Attributes:
        window_px: rows and columns of the network's window with its margins.
        margin_px: width of the margin.
        tile_margin_px: width of the margin of tiles; a raster that fits a tile is inferred like one.
        options: how rasters are read.
        drawing: how seeps are drawn.
        class_names: of the classes 1..7.
        weights_sha256: checksum of the weights.
        output_dir: existing folder for the results.
        level: DN; None: the median of each raster.
        resume: whether rasters whose results exist are left out.
        pixel_size_m: pixels are joined to about this size; None: as they are.
        size_required: whether a raster whose pixels cannot be joined to that size is an error.
        tta: whether the probabilities are averaged over the eight symmetries.
        weights_note: what the results say of the weights; None: nothing.
    """

    window_px: tuple[int, int]
    margin_px: int
    tile_margin_px: int
    options: RasterOptions
    drawing: DrawingSettings
    class_names: tuple[str, ...]
    weights_sha256: str
    output_dir: Path
    level: float | None = None
    resume: bool = False
    pixel_size_m: float | None = None
    size_required: bool = True
    tta: bool = False
    weights_note: str | None = None

    def as_text(self) -> str:
        """JSON of all that the results of a raster depend on, with checksums for what is long."""
        classifier = self.drawing.classifier
        fitted = None if classifier is None else json.dumps(classifier.to_json(), sort_keys=True)
        return json.dumps(
            {
                "weights": self.weights_sha256,
                "window": [*self.window_px, self.margin_px],
                "tta": self.tta,
                "options": asdict(self.options),
                "pixel_size_m": self.pixel_size_m,
                "level": self.level,
                "instances": self.drawing.instances.to_json(),
                "classifier": None if fitted is None else hashlib.sha256(fitted.encode()).hexdigest(),
            },
            sort_keys=True,
        )


@dataclass(frozen=True)
class InferredScene:
    """What an inference says of a scene besides its files.

    Attributes:
        taken: when the image was taken, ISO 8601; None: unknown.
        n_pixels: of its maps.
        n_seeps: of its polygons.
    """

    taken: str | None
    n_pixels: int
    n_seeps: int


class SceneRun:
    """Runs the evaluator on the strips of each raster and writes the results.

    Attach it to the evaluator behind the postprocessing; its `run` replaces the data loader for each raster.

    Args:
        settings: of all rasters.
    """

    def __init__(self, settings: SceneSettings) -> None:
        self.settings = settings
        # Seconds of the last scene, by step.
        self.seconds: dict[str, float] = {}
        # Of all scenes.
        self.n_seeps = 0
        self._drawing: SceneDrawing | None = None
        self._started = self._last = 0.0

    def attach(self, engine: Engine) -> None:
        """Attach to the evaluator."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)

    def update(self, engine: Engine) -> None:
        """Hand the probabilities of one strip to the drawing of the scene."""
        if self._drawing is None:
            return
        for item, output in zip(engine.state.batch, engine.state.output, strict=True):
            valid = np.asarray(item["valid"].cpu())[0].astype(bool)
            self._drawing.add(int(item["strip"]), output["pred"].float().cpu().numpy(), valid)
        # The engine would hold the output while the next strip is computed.
        engine.state.output = engine.state.batch = None
        self._log(engine.state.iteration, engine.state.epoch_length)

    def run(self, engine: Any, paths: Sequence[Path]) -> None:
        """Infer all rasters. One that cannot be inferred does not stop the others.

        Raises:
            DataError: at the end, if rasters failed, with the message of each; or when stopped by Ctrl-C or SIGTERM.
        """
        failures = []
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES), sigterm_raises():
            for number, path in enumerate(paths, start=1):
                logger.info("scene %d of %d: %s", number, len(paths), path)
                try:
                    if self.settings.resume and self._is_done(self.settings.output_dir / path.stem):
                        logger.info("%s: results exist, left out", path.name)
                        continue
                    self.infer(engine, path)
                except SeepError as error:
                    logger.error("%s", error)
                    failures.append(str(error))
                except KeyboardInterrupt as error:
                    raise DataError(
                        f"stopped in {path.name}, scene {number} of {len(paths)}. To go on, give the same command with "
                        "--resume True."
                    ) from error
                except (OSError, RasterioError) as error:
                    message = f"{path.name}: its results cannot be written to {self.settings.output_dir} ({error})."
                    logger.error("%s", message)
                    failures.append(f"{message} Check the free disk space and the permissions.")
        if len(failures) == len(paths) == 1:
            raise DataError(failures[0])
        if failures:
            raise DataError(f"{len(failures)} of {len(paths)} rasters failed:\n" + "\n".join(failures))

    def infer(self, engine: Any, path: Path, *, scene: str | None = None, taken: str | None = None) -> InferredScene:
        """Infer one raster, also if its results exist.

        Args:
            engine: the evaluator.
            path: of the raster.
            scene: name of the scene and of its files; None: that of the raster.
            taken: when the image was taken, ISO 8601; None: as the name of the scene says, else the raster's TIFF tag.

        Raises:
            SeepError: if it cannot be inferred.
            OSError, RasterioError: if the results cannot be written.
        """
        settings, scene = self.settings, path.stem if scene is None else scene
        stem = settings.output_dir / scene
        options = with_pixel_size(path, settings.options, settings.pixel_size_m, required=settings.size_required)
        times = [time.monotonic()]
        with Raster(path, options) as raster:
            level = raster.level() if settings.level is None else settings.level
            strips = SceneStrips(raster, level, settings.window_px, self._margin_px(raster.shape))
            tags = {"TIFFTAG_IMAGEDESCRIPTION": self._description(level), SETTINGS_TAG: settings.as_text()}
            with SceneDrawing(raster, level, strips.windows, settings.drawing, settings.output_dir, tags) as drawing:
                times.append(time.monotonic())
                self._predict(engine, strips, drawing)
                times.append(time.monotonic())
                seeps = [seep for some in drawing.objects() for seep in some]
                times.append(time.monotonic())
                # Without it, the scene is not done: results of an earlier run and of this one never mix unnoticed.
                Path(f"{stem}_seeps.gpkg").unlink(missing_ok=True)
                drawing.finish(stem)
            taken = taken or start_time(scene) or tag_time(raster.tag("TIFFTAG_DATETIME"))
            self._write(stem, raster, level, seeps, taken)
        times.append(time.monotonic())
        self.n_seeps += len(seeps)
        self.seconds = dict(zip(("level", "network", "objects", "files"), np.diff(times).tolist(), strict=True))
        steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())
        logger.info("%s: %d x %d px, %d seeps: %s", path.name, *raster.shape, len(seeps), steps)
        return InferredScene(taken, raster.shape[0] * raster.shape[1], len(seeps))

    def _margin_px(self, shape: tuple[int, int]) -> int:
        settings = self.settings
        fits = all(n + 2 * settings.tile_margin_px <= m for n, m in zip(shape, settings.window_px, strict=True))
        return settings.tile_margin_px if fits else settings.margin_px

    def _predict(self, engine: Any, strips: SceneStrips, drawing: SceneDrawing) -> None:
        self._drawing, self._started, self._last = drawing, time.monotonic(), time.monotonic()
        engine.data_loader = DataLoader(strips, batch_size=1, num_workers=0)
        engine.state.epoch_length = len(strips)
        try:
            engine.run()
        finally:
            self._drawing = None

    def _write(self, stem: Path, raster: Raster, level: float, seeps: Sequence[SeepObject], taken: str | None) -> None:
        """Write the map page and the polygons; the GeoPackage comes last, so that it stands for all."""
        settings, scene = self.settings, stem.name
        facts = [("level", f"{level:g} DN"), ("weights", settings.weights_sha256[:12])]
        if taken:
            facts.insert(0, ("time", taken))
        if settings.weights_note:
            facts.append(("note", settings.weights_note))
        scale = quick_look_size(raster.shape)
        look = quick_look(raster, level, scale)
        page = map_page(look, scale, seeps, raster.place, settings.class_names, scene=scene, facts=facts)
        write_text(Path(f"{stem}.html"), page)
        of_all: dict[str, Any] = {"scene": scene, "time": taken, "model_sha256": settings.weights_sha256}
        paths = write_seeps(stem, seeps, raster.place, settings.class_names, note=settings.weights_note, **of_all)
        where = "" if raster.place.crs is not None else "; in px, because the image has no georeference"
        logger.info("written: %s%s", ", ".join([f"{stem.name}.html", *(path.name for path in paths)]), where)

    def _description(self, level: float) -> str:
        drawing = self.settings.drawing
        return map_description(
            level,
            self.settings.weights_sha256,
            drawing.instances,
            classified=drawing.classifier is not None,
            weights_note=self.settings.weights_note,
        )

    def _is_done(self, stem: Path) -> bool:
        """Whether all results exist and are of these weights and settings."""
        if not all(Path(f"{stem}{end}").is_file() for end in ("_classes.tif", "_probability.tif", "_seeps.gpkg")):
            return False
        with rasterio.open(f"{stem}_classes.tif") as source:
            return bool(source.tags().get(SETTINGS_TAG) == self.settings.as_text())

    def _log(self, n_done: int, n_strips: int) -> None:
        now = time.monotonic()
        if now - self._last < _LOG_EVERY_S or n_done == n_strips:
            return
        self._last = now
        left = round((now - self._started) / n_done * (n_strips - n_done))
        logger.info("strip %d of %d, %s left", n_done, n_strips, timedelta(seconds=left))


def quick_look(raster: Raster, level: float, scale: float) -> npt.NDArray[np.uint8]:
    """Grey picture of a raster: means of blocks; black is no-data, white 2.5 times the level.

    Args:
        raster: the open raster.
        level: median DN.
        scale: px of the raster for a px of the picture, at least 1.
    """
    height, width = (max(1, int(size / scale)) for size in raster.shape)
    picture = np.zeros((height, width), np.uint8)
    columns = np.linspace(0, raster.shape[1], width + 1).astype(int)
    rows = np.linspace(0, raster.shape[0], height + 1).astype(int)
    for i in range(height):
        dn, valid = raster.read(slice(rows[i], rows[i + 1]), slice(0, raster.shape[1]))
        total = np.add.reduceat(np.where(valid, dn, 0).sum(axis=0, dtype=np.float64), columns[:-1])
        count = np.add.reduceat(valid.sum(axis=0), columns[:-1])
        picture[i] = np.clip(total / np.maximum(count, 1) / (_WHITE * level) * 255, 0, 255)
    return picture


def start_time(name: str) -> str | None:
    """The start time in the name of a product, ISO 8601 in UTC; None without one.

    >>> start_time("S1A_IW_GRDH_1SDV_20230415T143012_20230415T143037_048103_05C86E_8A4B")
    '2023-04-15T14:30:12Z'
    """
    found = _START_TIME.search(name)
    if found is None:
        return None
    day, hour = found.groups()
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{hour[:2]}:{hour[2:4]}:{hour[4:]}Z"


def tag_time(text: str | None) -> str | None:
    """The time in the TIFF tag DateTime, which is taken as UTC, ISO 8601; None without one.

    >>> tag_time("2023:04:15 14:30:12")
    '2023-04-15T14:30:12Z'
    """
    found = _TAG_TIME.match(text or "")
    if found is None:
        return None
    year, month, day, hour = found.groups()
    return f"{year}-{month}-{day}T{hour}Z"
