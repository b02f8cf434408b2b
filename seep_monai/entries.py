"""What the bundle's config files call: each function is one step and ends the program with one message on bad input.

MONAI wraps an error inside an expression in its own, under two tracebacks; a SystemExit passes through. So the library
raises `SeepError`, and only the functions here turn it into `SystemExit(message)`, exit code 1.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from ignite.engine import Engine
from torch import nn

from seep_monai import checkpoints, workflow
from seep_monai.classes import checked_class_names
from seep_monai.dataset import plan as plans
from seep_monai.dataset import statistics
from seep_monai.dataset.split import SplitSettings
from seep_monai.errors import ConfigError, SeepError
from seep_monai.evaluation import EvaluationPlan, plan_evaluation, write_results
from seep_monai.handlers.curves import validation_tags
from seep_monai.handlers.panels import TilePictures
from seep_monai.inference import inference_items
from seep_monai.losses import SeepLoss
from seep_monai.networks import SegResNetSettings, settings_from_json
from seep_monai.transforms import NORMALISATION_VERSION

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def entry(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: a SeepError, also one that MONAI wrapped in its own error, becomes SystemExit with its message."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, SeepError):
                cause = cause.__cause__
            if cause is None:
                raise
            raise SystemExit(str(cause)) from error

    return wrapped


bundle_root = entry(workflow.bundle_root)
check_ids = entry(workflow.check_ids)
boolean = entry(workflow.boolean)
stop_log = workflow.stop_log


def path(*parts: object) -> str:
    """The parts joined into one normalised path; a name that the command line took for a number is text again."""
    return os.path.normpath(Path(*(str(part) for part in parts)))


def default_run_name() -> str:
    """The time of the start, to the second."""
    return time.strftime("%Y%m%d_%H%M%S")


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def on_terminal() -> bool:
    """Whether a progress bar would be seen."""
    return sys.stderr.isatty()


@entry
def use_amp(amp: object, device: torch.device | str) -> bool:
    """Whether to compute in mixed precision: asked for, and on a GPU."""
    return workflow.boolean("amp", amp) and torch.device(device).type == "cuda"


def amp_settings() -> dict[str, Any]:
    """bf16 where the GPU supports it, which needs no loss scaling; else fp16."""
    supported = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return {"dtype": torch.bfloat16 if supported else torch.float16}


@entry
def network_settings(**arguments: Any) -> SegResNetSettings:
    """Checked settings of the network."""
    return SegResNetSettings(**arguments)


@entry
def stored_network_settings(ckpt_dir: str, **overrides: Any) -> SegResNetSettings:
    """The settings in `model.json`, or the default ones where nothing has been trained yet.

    An override that is not None must say the same as `model.json`.
    """
    if not (Path(ckpt_dir) / checkpoints.DESCRIPTION_FILE).is_file():
        return SegResNetSettings(**{key: value for key, value in overrides.items() if value is not None})
    settings = settings_from_json(checkpoints.read_description(ckpt_dir)["network"])
    for name, value in overrides.items():
        if value is not None and value != getattr(settings, name):
            raise ConfigError(
                f"{name}: the weights in {ckpt_dir} were trained with {getattr(settings, name)!r}, but got {value!r}. "
                f"Leave --{name} out, or give the --ckpt_dir of other weights."
            )
    return settings


def place_network(network: nn.Module, device: torch.device | str) -> nn.Module:
    """The network on the device, channels last, in which its convolutions run up to 1.5 times faster on a CPU."""
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]


@entry
def make_plan(
    dataset_dir: str,
    images_dir: str,
    masks_dir: str,
    network: SegResNetSettings,
    *,
    band: int | None = None,
    **settings: Any,
) -> plans.Plan:
    """The audited and divided data set; `settings` are those of `SplitSettings`."""
    settings["allow_leak"] = workflow.boolean("allow_leak", settings.get("allow_leak", False))
    split = SplitSettings(**settings)
    return plans.make_plan(dataset_dir, images_dir, masks_dir, split, size_multiple=network.size_multiple, band=band)


@entry
def make_loss(
    plan: plans.Plan,
    class_weights: Any,
    *,
    weights_by: statistics.CountUnit,
    shares: Mapping[str, float],
    weighted_terms: Sequence[str],
    device: torch.device | str,
) -> SeepLoss:
    """The loss with class weights from the training part's counts."""
    weights = statistics.class_weights(class_weights, statistics.count_classes(plan.tiles("training")), by=weights_by)
    logger.info("class weights of labels 1..7: %s", ", ".join(f"{weight:.2f}" for weight in weights))
    return SeepLoss(weights, shares, weighted_terms).to(device)


def model_description(
    plan: plans.Plan,
    network: SegResNetSettings,
    *,
    class_names: Sequence[str],
    instance_mode: str,
    band: int | None,
) -> dict[str, Any]:
    """What `model.json` says of the weights; evaluation and inference read everything they need from there."""
    return {
        "network": network.to_json(),
        "class_names": list(class_names),
        "normalisation_version": NORMALISATION_VERSION,
        "band": band,
        "instance_mode": instance_mode,
        "operating_point": {},
        "tile_size": list(plan.tiles("training")[0].shape),
        "plan": plan.to_json(),
        "plan_fingerprint": plan.fingerprint,
        "versions": workflow.versions(),
    }


@entry
def check_training(
    *,
    output_dir: str,
    ckpt_dir: str,
    resume: object,
    overwrite: object,
    amp: object,
    key_metric: str,
    class_names: Sequence[str],
    instance_mode: str,
    max_epochs: int,
) -> None:
    """First step of a training: everything that can be refused without reading the data."""
    checked_class_names(class_names)
    if key_metric not in validation_tags():
        raise ConfigError(f"key_metric: expected one of {', '.join(validation_tags())}, but got {key_metric!r}.")
    if instance_mode != "class":
        raise ConfigError(f"instance_mode: expected 'class', but got {instance_mode!r}.")
    if not isinstance(max_epochs, int) or max_epochs < 1:
        raise ConfigError(f"max_epochs: expected a whole number of at least 1, but got {max_epochs!r}.")
    workflow.boolean("amp", amp)
    flags = {"resume": workflow.boolean("resume", resume), "overwrite": workflow.boolean("overwrite", overwrite)}
    workflow.make_folder(output_dir, option="--output_dir")
    checkpoints.check_free(workflow.make_folder(ckpt_dir, option="--ckpt_dir"), **flags)


@entry
def begin_training(
    plan: plans.Plan, loss: SeepLoss, *, output_dir: str, ckpt_dir: str, run_dir: str, overwrite: object
) -> None:
    """Second step of a training, with good data and settings: the run's folder, its log, config, versions and plan.

    `loss` is not used: that it has been built shows that its settings are good before anything is written.
    """
    folder = workflow.make_folder(run_dir, option="--run_name")
    workflow.start_log(folder)
    workflow.write_json(folder / "versions.json", workflow.versions())
    workflow.write_json(folder / "config.json", workflow.merged_config())
    workflow.write_json(Path(output_dir) / "datalist.json", plan.to_json())
    if workflow.boolean("overwrite", overwrite):
        checkpoints.remove_old(Path(ckpt_dir))
    for part, tiles in plan.parts.items():
        scenes = sorted({tile.scene for tile in tiles})
        logger.info("%s: %d tiles of %d scenes: %s", part, len(tiles), len(scenes), ", ".join(scenes))
    if plan.leaky:
        logger.warning("leaky: scenes stand in several parts, so that all figures of this run are too good")


@entry
def run_engine(engine: Engine) -> None:
    """Run a trainer or an evaluator."""
    try:
        engine.run()
    except SeepError as error:
        # Into run.log; on the terminal the message stands last, by itself.
        logger.error("%s", error)
        raise


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
def load_best(network: nn.Module, ckpt_dir: str, device: torch.device | str) -> None:
    """Load `model.pt` into the network."""
    checkpoints.load_weights(network, Path(ckpt_dir) / checkpoints.MODEL_FILE, device)


@entry
def evaluation_plan(
    description: Mapping[str, Any],
    part: str | None,
    *,
    dataset_dir: str,
    images_dir: str,
    masks_dir: str,
    network: SegResNetSettings,
) -> EvaluationPlan:
    """What to score, by the plan in `model.json`."""
    return plan_evaluation(
        description,
        part,
        dataset_dir=dataset_dir,
        images_dir=images_dir,
        masks_dir=masks_dir,
        size_multiple=network.size_multiple,
    )


@entry
def begin_output(description: Mapping[str, Any], output_dir: str) -> None:
    """First step of an evaluation or inference: a place to write to.

    `description` is not used: that it has been read shows that there are weights before anything is written.
    """
    workflow.make_folder(output_dir, option="--output_dir")


@entry
def write_evaluation(evaluator: Engine, evaluation: EvaluationPlan, pictures: TilePictures, *, output_dir: str) -> None:
    """Last step of an evaluation: metrics.json, metrics.csv and the figures."""
    line = write_results(evaluator.state.metrics, evaluation, list(pictures.pictures.values()), Path(output_dir))
    logger.info("%s part: %s; written to %s", evaluation.part, line, output_dir)


@entry
def items_to_infer(source: str, *, output_dir: str, **settings: Any) -> list[dict[str, Any]]:
    """One dictionary per image to infer; `settings` are those of `inference_items`."""
    if Path(source).resolve() == Path(output_dir).resolve():
        raise ConfigError(
            f"output_dir: {output_dir} is the input folder: a second inference would read the maps of the first. "
            "Choose another with --output_dir."
        )
    return inference_items(source, **settings)


def window_size(ckpt_dir: str) -> list[int]:
    """The size of the training tiles; 256 x 256 where nothing has been trained yet."""
    if not (Path(ckpt_dir) / checkpoints.DESCRIPTION_FILE).is_file():
        return [256, 256]
    return [int(size) for size in checkpoints.read_description(ckpt_dir)["tile_size"]]
