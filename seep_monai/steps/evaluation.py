"""Steps of an evaluation: plan, inferer, output."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine
from monai.inferers import Inferer

from seep_monai import checkpoints, checks, files
from seep_monai.dataset.assembly import Assembly, checked_unit
from seep_monai.dataset.grid import SceneContext
from seep_monai.dataset.pixel_size import recorded_pixel_size
from seep_monai.dataset.shares import of_process
from seep_monai.errors import ConfigError, entry
from seep_monai.handlers.panels import TilePictures
from seep_monai.handlers.records import TileRecords
from seep_monai.instances.components import InstanceSettings
from seep_monai.network.inferers import SymmetryInferer
from seep_monai.network.segresnet import SegResNetSettings
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.processes import by_first
from seep_monai.report.evaluation import EvaluationPlan, plan_evaluation
from seep_monai.report.results import write_results
from seep_monai.steps.tracking import closing_failed_run, closing_run, log_files

logger = logging.getLogger(__name__)


@entry
@closing_failed_run()
def run_engine(engine: Engine) -> None:
    """Run an evaluator."""
    engine.run()


@entry
@by_first
def evaluation_plan(
    description: Mapping[str, Any],
    part: str | None,
    *,
    dataset_dir: str,
    images_dir: str,
    masks_dir: str,
    network: SegResNetSettings,
    instances: InstanceSettings,
    classifier: ObjectClassifier | None = None,
    split: Mapping[str, Any],
    class_names: Sequence[str] | None = None,
) -> EvaluationPlan:
    """The tiles to score, by the plan in `model.json`. Given settings of the training must equal those stored there.

    The weights that ship are for tiles of other names: a given scene pattern counts.
    """
    of_split = dict(split)
    if description.get(checkpoints.SHIPPED_KEY) and of_split.get("scene_pattern") is not None:
        description = _with_pattern(description, str(of_split["scene_pattern"]))
    stored = {**description, **description["plan"]["settings"]}
    top = {"class_names": class_names, "scene_pattern": of_split.pop("scene_pattern", None)}
    checks.check_agreement(checkpoints.DESCRIPTION_FILE, stored, top)
    checks.check_agreement(checkpoints.DESCRIPTION_FILE, stored, of_split, group="split#")
    folders = {"dataset_dir": str(dataset_dir), "images_dir": str(images_dir), "masks_dir": str(masks_dir)}
    options: dict[str, Any] = {**folders, "size_multiple": network.size_multiple, "classifier": classifier}
    return plan_evaluation(description, part, instances=instances, **options)


def _with_pattern(description: Mapping[str, Any], scene_pattern: str) -> dict[str, Any]:
    plan = description["plan"]
    return {**description, "plan": {**plan, "settings": {**plan["settings"], "scene_pattern": scene_pattern}}}


@entry
@by_first
def begin_evaluation(evaluation: EvaluationPlan, output_dir: str) -> None:
    """First step of an evaluation: create the output folder."""
    files.make_folder(output_dir, option="--output_dir")
    files.make_folder(Path(str(output_dir)) / "figures", option="--output_dir")
    logger.info("scoring %d tiles of the %s part", len(evaluation.items()), evaluation.part)


@entry
@closing_run()
@by_first
def write_evaluation(
    records: TileRecords,
    evaluation: EvaluationPlan,
    pictures: TilePictures,
    *,
    output_dir: str,
    pixel_size_m: object = None,
) -> None:
    """Last step of an evaluation: write metrics, COCO files, figures and the report.

    The size of the pixels is that recorded with the tiles, if it is not given.
    """
    given = recorded_pixel_size(evaluation.plan.dataset_dir) if pixel_size_m is None else pixel_size_m
    size_m = None if given is None else checks.number("pixel_size_m", given, low=0)
    shown = list(pictures.pictures.values())
    unit = records.assembly.kind
    text = write_results(records.records, evaluation, shown, Path(str(output_dir)), unit=unit, pixel_size_m=size_m)
    logger.info("%s part, 95 %% intervals over scenes in brackets:\n%s", evaluation.part, text)
    logger.info("written to %s", output_dir)
    log_files(*(Path(str(output_dir)) / name for name in ("report.html", "metrics.json", "metrics.csv")))


@entry
def unit_assembly(
    unit: object,
    items: Sequence[Mapping[str, Any]],
    context: SceneContext,
    classifier: ObjectClassifier | None = None,
) -> Assembly:
    """What makes scenes of tiles with `unit` scene, and leaves them alone with `unit` tile."""
    kind = checked_unit(unit)
    if kind == "scene" and not any(context.has_place(str(item["tile"])) for item in items):
        raise ConfigError(
            f"unit: expected tiles whose position in their scene is known for --unit scene, but none of {len(items)} "
            "has one. Use weights that were trained with neighbouring tiles, or --unit tile."
        )
    if classifier is not None and classifier.unit != kind:
        logger.warning(
            "the object classifier was fitted with --unit %s, but this is --unit %s; fit it again with the same",
            classifier.unit,
            kind,
        )
    return Assembly(kind, items, context)


@entry
def units_of_process(assembly: Assembly) -> list[int]:
    """Positions of the tiles of this process: those of whole units, of which each process has a share."""
    return sorted(position for unit in of_process(assembly.positions()) for position in unit)


@entry
def inferer(inner: Inferer, tta: object, classifier: ObjectClassifier | None = None) -> Inferer:
    """The inferer, with `tta` (test-time augmentation) averaged over the eight symmetries of the image.

    Args:
        inner: inferer that runs the network once.
        tta: whether to average; None: as the object classifier was fitted, or False without one.
        classifier: the object classifier, or None.

    Raises:
        ConfigError: if `tta` is not the one that the object classifier was fitted with.
    """
    fitted = None if classifier is None else classifier.tta
    averaged = bool(fitted) if tta is None else checks.boolean("tta", tta)
    if fitted is not None and averaged != fitted:
        raise ConfigError(
            f"tta: expected {fitted}, as the object classifier was fitted, but got {tta}. Fit it again with --tta "
            f"{tta}, or use no object classifier (--instances#mode object)."
        )
    return SymmetryInferer(inner) if averaged else inner
