"""Steps of an inference: images, windows, output."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ignite.engine import Engine
from monai.inferers import Inferer

from seep_monai import checks, files
from seep_monai.errors import ConfigError, entry
from seep_monai.instances.components import InstanceSettings
from seep_monai.network.inferers import SymmetryInferer, WindowInferer
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.scene import outputs
from seep_monai.scene.items import Inputs, checked_level, find_inputs, inference_items
from seep_monai.shipped_weights import note_of
from seep_monai.steps.neighbours import trained_context
from seep_monai.steps.tracking import closing_run, log_files, log_metrics
from seep_monai.steps.weights import description_path, stored_description

if TYPE_CHECKING:
    from seep_monai.scene.run import SceneRun

logger = logging.getLogger(__name__)

# Value of `pixel_size_m`: pixels as they are.
NATIVE = "native"
# Choice: half of the network's receptive field lies within 32 px.
_MARGIN_SHARE = 1 / 8


@entry
def inputs_to_infer(
    source: str | Sequence[str], *, output_dir: str, treat_as: object, tile_size: Sequence[int]
) -> Inputs:
    """The tiles and rasters of the given path or paths."""
    given = [source] if isinstance(source, str) else list(source)
    if any(Path(str(one)).resolve() == Path(str(output_dir)).resolve() for one in given):
        raise ConfigError(
            f"output_dir: {output_dir} is the input folder, so a second inference would read the maps of the first. "
            "Choose another folder with --output_dir."
        )
    size = (int(tile_size[0]), int(tile_size[1]))
    return find_inputs([str(one) for one in given], treat_as=outputs.checked_kind(treat_as), tile_size=size)


@entry
def tiles_to_infer(inputs: Inputs, **options: Any) -> list[dict[str, Any]]:
    """One dictionary per tile. `options` are those of `inference_items`."""
    return inference_items(inputs.tiles, **options)


@entry
def scene_run(
    description: Mapping[str, Any],
    *,
    instances: InstanceSettings,
    classifier: ObjectClassifier | None,
    output_dir: str,
    scene_level: object,
    resume: object,
    border_noise_px: object,
    land: str | None,
    pixel_size_m: object,
    inferer: Inferer,
) -> SceneRun:
    """What draws the rasters; see `SceneRun`.

    `pixel_size_m`: None for the pixel size that the weights were trained on, where it is known; `native` for pixels as
    they are.
    """
    # Here, because a training imports this module, and runs without GDAL.
    from seep_monai.scene.drawing import DrawingSettings
    from seep_monai.scene.raster import RasterOptions
    from seep_monai.scene.run import SceneRun, SceneSettings

    window_px, margin_px = _window_of(description)
    size_m = description.get("pixel_size_m") if pixel_size_m is None else pixel_size_m
    options = RasterOptions(
        band=description["band"],
        border_noise_px=checks.whole_number("border_noise_px", border_noise_px, at_least=0),
        land=None if land is None else str(land),
    )
    settings = SceneSettings(
        window_px=window_px,
        margin_px=margin_px,
        tile_margin_px=trained_context(description).margin_px,
        options=options,
        drawing=DrawingSettings(instances, classifier),
        class_names=tuple(description["class_names"]),
        weights_sha256=description["sha256"],
        output_dir=Path(str(output_dir)),
        level=checked_level(scene_level),
        resume=checks.boolean("resume", resume),
        pixel_size_m=None if size_m in (None, NATIVE) else checks.number("pixel_size_m", size_m, low=0),
        size_required=pixel_size_m is not None,
        tta=isinstance(inferer, SymmetryInferer),
        weights_note=note_of(description),
    )
    return SceneRun(settings)


@entry
def window_inferer(inner: Inferer, weights: str, batch_size: object) -> WindowInferer:
    """Windows of the size that the weights were trained with; 256 x 256 if there are no weights yet."""
    at_once = checks.whole_number("inferer#batch_size", batch_size, at_least=1)
    if not description_path(weights).is_file():
        return WindowInferer(inner, (256, 256), 32, at_once)
    return WindowInferer(inner, *_window_of(stored_description(weights)), at_once)


@entry
def begin_inference(description: Mapping[str, Any], inputs: Inputs, output_dir: str) -> None:
    """First step of an inference: create the output folder."""
    files.make_folder(output_dir, option="--output_dir")
    logger.info("%d tiles and %d rasters, weights %s", len(inputs.tiles), len(inputs.rasters), description["sha256"])


@entry
@closing_run()
def infer(engine: Engine, inputs: Inputs, scenes: SceneRun) -> None:
    """Infer the tiles, then the rasters one by one."""
    if inputs.tiles:
        from seep_monai.scene.raster import RasterOptions

        settings = scenes.settings
        if settings.size_required or settings.options != RasterOptions(band=settings.options.band):
            logger.warning(
                "pixel_size_m, border_noise_px and land have no effect on the %d images that are no larger than a "
                "training tile; give --as raster for them",
                len(inputs.tiles),
            )
        engine.run()
    if inputs.rasters:
        classifier = scenes.settings.drawing.classifier
        if classifier is not None and classifier.unit != "scene":
            logger.warning(
                "the object classifier was fitted to the objects of tiles, whose borders cut them; for rasters fit it "
                "with --unit scene"
            )
        scenes.run(engine, inputs.rasters)
    log_metrics({"n_tiles": len(inputs.tiles), "n_rasters": len(inputs.rasters), "n_seeps": scenes.n_seeps})
    log_files(*(scenes.settings.output_dir / f"{path.stem}.html" for path in inputs.rasters))


def end_inference(inputs: Inputs, output_dir: str) -> None:
    """Last step of an inference: log what was written."""
    logger.info("results of %d images written to %s", len(inputs.tiles) + len(inputs.rasters), output_dir)


def _window_of(description: Mapping[str, Any]) -> tuple[tuple[int, int], int]:
    """Rows and columns of the window of the weights, and the margin within it that is not drawn."""
    margin_px = trained_context(description).margin_px
    rows, columns = (int(size) + 2 * margin_px for size in description["tile_size"])
    # Weights of tiles without neighbours see a window of one tile; its margin is drawn from the next window.
    return (rows, columns), margin_px or int(min(rows, columns) * _MARGIN_SHARE)
