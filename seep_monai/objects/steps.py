"""What configs call to fit the judge of objects after a training, and to use the fitted one (see `entries`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.inferers import Inferer

from seep_monai import settings
from seep_monai.checkpoints import DESCRIPTION_FILE, read_description
from seep_monai.entries import entry
from seep_monai.errors import ConfigError
from seep_monai.evaluation import JUDGED, EvaluationPlan
from seep_monai.handlers.objects import ObjectTiles
from seep_monai.inferers import SymmetryInferer
from seep_monai.instances import InstanceSettings
from seep_monai.objects.fitting import fit_objects
from seep_monai.objects.judge import ObjectJudge
from seep_monai.workflow import write_json

logger = logging.getLogger(__name__)

_FITTED_PARTS = ("training", "validation")


@entry
def stored_judge(description: Mapping[str, Any], mode: str | None) -> ObjectJudge | None:
    """The judge in `model.json`, if objects are to be judged: by default where one was fitted.

    Args:
        description: the content of `model.json`.
        mode: `judged`, a mode of `InstanceSettings` (None comes back), or None for the default.
    """
    stored = description.get("objects")
    if mode == JUDGED and stored is None:
        raise ConfigError(
            "instance_mode: expected class or object, but got judged, and no judge was fitted to these weights yet. "
            "Fit one first (run fitting, see README)."
        )
    return ObjectJudge.from_json(stored) if stored is not None and mode in (None, JUDGED) else None


@entry
def stored_instances(
    description: Mapping[str, Any], judge: ObjectJudge | None, *, mode: str | None = None, **overrides: Any
) -> InstanceSettings:
    """The settings stored with the weights; what is given and not None takes their place.

    With a judge the map is drawn by hysteresis, from the stored threshold on if none is given.
    """
    stored = dict(description["instance_settings"])
    if judge is not None:
        threshold = description["map_threshold"]
        stored |= {"mode": "object", "high": threshold, "low": threshold}
    elif mode is not None:
        stored["mode"] = mode
    return InstanceSettings.from_json(stored | {name: value for name, value in overrides.items() if value is not None})


@entry
def inference_instances(
    description: Mapping[str, Any], judge: ObjectJudge | None, *, mode: str | None = None, **overrides: Any
) -> InstanceSettings:
    """As `stored_instances`, cut at the operating point that was chosen on the validation tiles.

    Each mode has scores of its own; one that no operating point was chosen for is not cut.
    """
    points = {JUDGED: "judged_operating_point", description["instance_settings"]["mode"]: "operating_point"}
    used = JUDGED if judge is not None else mode or description["instance_settings"]["mode"]
    chosen = description.get(points.get(used, ""), {}).get("instances", {}).get("threshold")
    if overrides.get("score_threshold") is None and chosen is not None:
        overrides["score_threshold"] = chosen
    return stored_instances(description, judge, mode=mode, **overrides)


@entry
def inferer(inner: Inferer, tta: object, judge: ObjectJudge | None = None) -> Inferer:
    """The inferer, with `tta` averaged over the eight symmetries of the image; None: as the judge was fitted, else not.

    Args:
        inner: what runs the network once.
        tta: a boolean, or None.
        judge: its measures hold for the probabilities it was fitted to.
    """
    fitted = None if judge is None else judge.tta
    averaged = bool(fitted) if tta is None else settings.boolean("tta", tta)
    if fitted is not None and averaged != fitted:
        raise ConfigError(
            f"tta: expected {fitted}, as the judge of objects was fitted, but got {tta}. Fit it again with --tta "
            f"{tta}, or leave objects unjudged (--instance_mode object)."
        )
    return SymmetryInferer(inner) if averaged else inner


@entry
def fitting_items(evaluation: EvaluationPlan) -> list[dict[str, Any]]:
    """The tiles to fit to, each with its part."""
    if evaluation.part != "validation":
        raise ConfigError(
            f"part: the judge is fitted to training and validation tiles, but got {evaluation.part}. Leave --part out."
        )
    return [item | {"part": part} for part in _FITTED_PARTS for item in evaluation.plan.items(part)]


@entry
def store_objects(objects: ObjectTiles, ckpt_dir: str, *, tta: object) -> None:
    """Fit the judge to the gathered tiles, and keep it in `model.json`, in the place of an older one."""
    fitted = fit_objects(objects.tiles, tta=settings.boolean("tta", tta))
    description = read_description(ckpt_dir)
    description |= {
        "objects": fitted["objects"],
        "map_threshold": fitted["map_threshold"],
        "judged_operating_point": fitted["operating_point"],
    }
    write_json(Path(str(ckpt_dir)) / DESCRIPTION_FILE, description)
    point = fitted["operating_point"]["seep"]
    logger.info(
        "judge of objects stored in %s: map from seep probability %.2f on, best F1 of seeps on validation tiles %s",
        ckpt_dir,
        fitted["map_threshold"],
        "undefined" if point["f1"] is None else f"{point['f1']:.3f}",
    )
