"""Steps of the fit of the object classifier, after a training."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from seep_monai import checks
from seep_monai.checkpoints import DESCRIPTION_FILE, read_description
from seep_monai.errors import ConfigError, entry
from seep_monai.files import write_json
from seep_monai.handlers.objects import ObjectTiles
from seep_monai.objects.fitting import fit_objects
from seep_monai.processes import check_single_process
from seep_monai.report.evaluation import EvaluationPlan
from seep_monai.shipped_weights import check_not_shipped
from seep_monai.steps.tracking import closing_run

logger = logging.getLogger(__name__)

_FITTED_PARTS = ("training", "validation")
# Choice: below this many validation scenes, the threshold of the map is that of single scenes (docs/experiments.md).
_FEW_SCENES = 3
# Choice: weights whose best F1 is lower find next to nothing.
_LOW_F1 = 0.05


@entry
def check_fitting(ckpt_dir: str) -> None:
    """First step of a fit: check that there is one process, weights, and that `model.json` may be changed."""
    check_single_process()
    check_not_shipped(ckpt_dir)
    read_description(ckpt_dir)


@entry
def fitting_items(evaluation: EvaluationPlan) -> list[dict[str, Any]]:
    """The training and validation tiles, each with its part."""
    if evaluation.part != "validation":
        raise ConfigError(
            f"part: the object classifier is fitted to training and validation tiles, but got {evaluation.part}. Leave "
            "--part out."
        )
    scenes = {tile.scene for tile in evaluation.plan.tiles("validation")}
    if len(scenes) < _FEW_SCENES:
        logger.warning(
            "the threshold of the map is chosen on validation tiles of %d scene(s) alone (%s): it may not suit others. "
            "Use more scenes, or fewer folds in the training (--split#n_folds)",
            len(scenes),
            ", ".join(sorted(scenes)),
        )
    return [item | {"part": part} for part in _FITTED_PARTS for item in evaluation.plan.items(part)]


@entry
@closing_run()
def store_objects(objects: ObjectTiles, ckpt_dir: str, *, tta: object, unit: str) -> None:
    """Fit the object classifier to the collected tiles, and store it in `model.json`. An older one is replaced."""
    fitted = fit_objects(objects.tiles, tta=checks.boolean("tta", tta), unit=unit)
    description = read_description(ckpt_dir)
    description |= {
        "objects": fitted["objects"],
        "map_threshold": fitted["map_threshold"],
        "classified_operating_point": fitted["operating_point"],
    }
    write_json(Path(str(ckpt_dir)) / DESCRIPTION_FILE, description)
    point = fitted["operating_point"]["seep"]
    logger.info(
        "object classifier stored in %s: seep probability threshold %.2f, best seep F1 on validation tiles %s",
        ckpt_dir,
        fitted["map_threshold"],
        "undefined" if point["f1"] is None else f"{point['f1']:.3f}",
    )
    if (point["f1"] or 0) < _LOW_F1:
        logger.warning("these weights find next to no seep of the validation tiles: train longer, then fit again")
