"""What configs call to evaluate a trained model and to infer with it (see `entries`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine
from torch import nn

from seep_monai import checkpoints, settings, workflow
from seep_monai.entries import entry
from seep_monai.errors import ConfigError
from seep_monai.evaluation import EvaluationPlan, plan_evaluation, write_results
from seep_monai.handlers.panels import TilePictures
from seep_monai.handlers.records import TileRecords
from seep_monai.inference import inference_items
from seep_monai.instances import InstanceSettings
from seep_monai.networks import SegResNetSettings, settings_from_json
from seep_monai.objects.judge import ObjectJudge
from seep_monai.transforms import NORMALISATION_VERSION

logger = logging.getLogger(__name__)


@entry
def read_description(ckpt_dir: str) -> dict[str, Any]:
    """`model.json`, checked against the weights beside it."""
    description = checkpoints.read_description(ckpt_dir)
    if description["normalisation_version"] != NORMALISATION_VERSION:
        raise ConfigError(
            f"{ckpt_dir}: the weights were trained with normalisation {description['normalisation_version']}, this "
            f"version has "
            f"{NORMALISATION_VERSION}. Train again, or install the version in model.json."
        )
    return description


@entry
def stored_network_settings(ckpt_dir: str, **overrides: Any) -> SegResNetSettings:
    """The settings in `model.json`, or the default ones where nothing has been trained yet.

    An override that is not None must say the same as `model.json`.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    stored = Path(str(ckpt_dir)) / checkpoints.DESCRIPTION_FILE
    if not stored.is_file():
        return settings_from_json(given)
    network = settings_from_json(checkpoints.read_description(ckpt_dir)["network"])
    settings_from_json(given)
    settings.check_agreement(str(stored), network.to_json(), given)
    return network


@entry
def stored_band(description: Mapping[str, Any], band: int | None) -> int | None:
    """The band of the images that the weights were trained on; an override must say the same."""
    settings.check_agreement(checkpoints.DESCRIPTION_FILE, dict(description), {"band": band})
    stored: int | None = description["band"]
    return stored


@entry
def load_best(network: nn.Module, ckpt_dir: str, device: torch.device | str) -> None:
    """Load `model.pt` into the network."""
    checkpoints.load_weights(network, Path(str(ckpt_dir)) / checkpoints.MODEL_FILE, device)


@entry
def run_engine(engine: Engine) -> None:
    """Run an evaluator."""
    engine.run()


@entry
def evaluation_plan(
    description: Mapping[str, Any],
    part: str | None,
    *,
    dataset_dir: str,
    images_dir: str,
    masks_dir: str,
    network: SegResNetSettings,
    instances: InstanceSettings,
    judge: ObjectJudge | None = None,
    **given: Any,
) -> EvaluationPlan:
    """What to score, by the plan in `model.json`; settings of the training that are given must agree with it."""
    stored = {**description, **description["plan"]["settings"]}
    settings.check_agreement(checkpoints.DESCRIPTION_FILE, stored, given)
    folders = {"dataset_dir": str(dataset_dir), "images_dir": str(images_dir), "masks_dir": str(masks_dir)}
    options: dict[str, Any] = {**folders, "size_multiple": network.size_multiple, "judge": judge}
    return plan_evaluation(description, part, instances=instances, **options)


@entry
def begin_evaluation(evaluation: EvaluationPlan, output_dir: str) -> None:
    """First step of an evaluation, when there are weights and tiles: a place to write to."""
    workflow.make_folder(output_dir, option="--output_dir")
    workflow.make_folder(Path(str(output_dir)) / "figures", option="--output_dir")
    logger.info("scoring %d tiles of the %s part", len(evaluation.items()), evaluation.part)


@entry
def write_evaluation(
    records: TileRecords, evaluation: EvaluationPlan, pictures: TilePictures, *, output_dir: str
) -> None:
    """Last step of an evaluation: metrics, COCO files, figures and the report."""
    text = write_results(records, evaluation, list(pictures.pictures.values()), Path(str(output_dir)))
    logger.info("%s part, 95 %% intervals over scenes in brackets:\n%s", evaluation.part, text)
    logger.info("written to %s", output_dir)


@entry
def items_to_infer(source: str, *, output_dir: str, **options: Any) -> list[dict[str, Any]]:
    """One dictionary per image to infer; `options` are those of `inference_items`."""
    if Path(str(source)).resolve() == Path(str(output_dir)).resolve():
        raise ConfigError(
            f"output_dir: {output_dir} is the input folder: a second inference would read the maps of the first. "
            "Choose another with --output_dir."
        )
    return inference_items(str(source), **options)


@entry
def begin_inference(
    description: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    output_dir: str,
) -> None:
    """First step of an inference, when there are weights and images: a place to write to."""
    workflow.make_folder(output_dir, option="--output_dir")
    logger.info("%d images, weights %s", len(items), description["sha256"])


@entry
def checked_overlap(overlap: object) -> float:
    """The share by which windows of large images overlap."""
    return settings.number("overlap", overlap, low=0, high=1, low_allowed=True)
