"""The tiles that an evaluation scores, from the plan stored with the weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seep_monai.checkpoints import DESCRIPTION_FILE, SHIPPED_KEY
from seep_monai.classes import checked_class_names
from seep_monai.dataset.audit import Audit
from seep_monai.dataset.plan import Plan, audit_data, whole_plan
from seep_monai.dataset.split import SplitSettings
from seep_monai.dataset.split_file import PARTS, parts_from_lists
from seep_monai.errors import ConfigError, DataError
from seep_monai.instances.components import InstanceSettings
from seep_monai.objects.classifier import CLASSIFIED, ObjectClassifier


@dataclass(frozen=True)
class EvaluationPlan:
    """What an evaluation scores.

    Attributes:
        plan: the plan of the data set; for other data than in training, a plan with all tiles in `test`.
        part: `training`, `validation`, `test` or `all`.
        leaky: whether scored scenes were used in training, or the stored plan is leaky.
        class_names: the seven class names stored with the weights.
        settings: how instances are found.
        description: the content of `model.json`.
        classifier: the object classifier; None: there is none.
    """

    plan: Plan
    part: str
    leaky: bool
    class_names: tuple[str, ...]
    settings: InstanceSettings
    description: Mapping[str, Any]
    classifier: ObjectClassifier | None = None

    @property
    def instance_mode(self) -> str:
        """`class`, `object` or `classified`."""
        return self.settings.mode if self.classifier is None else CLASSIFIED

    def items(self) -> list[dict[str, Any]]:
        """The tiles to score, as items of a MONAI dataset."""
        return self.plan.items(self.part)


def plan_evaluation(
    description: Mapping[str, Any],
    part: str | None,
    *,
    dataset_dir: str | os.PathLike[str],
    images_dir: str | os.PathLike[str],
    masks_dir: str | os.PathLike[str],
    size_multiple: int,
    instances: InstanceSettings,
    classifier: ObjectClassifier | None = None,
) -> EvaluationPlan:
    """The requested part of the stored plan, on audited data.

    Args:
        description: the content of `model.json`.
        part: `training`, `validation`, `test` or `all`; None: `test` if the plan has one, else `validation`. With the
            weights that ship, whose plan lists no tiles, only `all` (also None).
        dataset_dir: folder that the stored paths are relative to.
        images_dir, masks_dir, size_multiple: as for `audit_pairs`.
        instances: how instances are found.
        classifier: the object classifier; None: there is none.

    Raises:
        DataError: if the data are invalid, or if they are not the training's data set and the part is not `all`.
        ConfigError: if there is no such part.
    """
    stored = description["plan"]
    settings = SplitSettings(**stored["settings"])
    ships = bool(description.get(SHIPPED_KEY))
    if part is None:
        part = "all" if ships else "test" if stored["test"] else "validation"
    if ships and part != "all":
        raise ConfigError(
            f"part: expected all, because the weights that ship were trained on no part of a data set, but got "
            f"{part!r}. Leave --part out, or give weights of your own with --ckpt_dir."
        )
    if part not in (*PARTS, "all"):
        raise ConfigError(f"part: expected one of {[*PARTS, 'all']}, but got {part!r}.")
    audit = audit_data(images_dir, masks_dir, settings, size_multiple=size_multiple, band=description["band"])
    try:
        plan = whole_plan(dataset_dir, audit, settings) if ships else _stored_plan(stored, audit, settings, dataset_dir)
        stored_leak = bool(stored["leaky"])
    except DataError as error:
        if part != "all":
            raise DataError(
                f"{dataset_dir}: expected the data set that the weights were trained on for the {part} part, but got "
                f"another. Score all tiles with --part all, or give the --dataset_dir of the training. ({error})"
            ) from error
        plan, stored_leak = whole_plan(dataset_dir, audit, settings), False
    scored_scenes = {tile.scene for tile in plan.tiles(part)}
    return EvaluationPlan(
        plan=plan,
        part=part,
        leaky=stored_leak or bool(scored_scenes.intersection(description["trained_scenes"])),
        class_names=checked_class_names(description["class_names"]),
        settings=instances,
        description=description,
        classifier=classifier,
    )


def _stored_plan(
    stored: Mapping[str, Any], audit: Audit, settings: SplitSettings, dataset_dir: str | os.PathLike[str]
) -> Plan:
    """The stored plan on the audited tiles.

    Raises:
        DataError: if names, labels or levels differ from the stored ones.
    """
    lists = {part: stored[part] for part in PARTS}
    folder = Path(dataset_dir)
    parts = parts_from_lists(lists, audit, dataset_dir=folder, source=DESCRIPTION_FILE)
    plan = Plan(folder, parts, audit.scene_levels, settings, audit.left_out)
    if plan.fingerprint != stored["fingerprint"]:
        raise DataError(f"{DESCRIPTION_FILE}: expected the tiles of the plan, but got other levels or class pixels.")
    return plan
