"""Steps of a training: data, loss, augmentation, description of the weights, and the run."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine

from seep_monai import checkpoints, checks, files, workflow
from seep_monai.augment.batch import BatchAugment
from seep_monai.augment.settings import AugmentSettings
from seep_monai.augment.slick_bank import SlickBank
from seep_monai.augment.slick_paste import SlickPaste
from seep_monai.classes import checked_class_names
from seep_monai.dataset import plan as plans
from seep_monai.dataset import statistics
from seep_monai.dataset.grid import SceneContext
from seep_monai.dataset.pixel_size import recorded_pixel_size
from seep_monai.dataset.split import SplitSettings
from seep_monai.dataset.transforms import NORMALISATION_VERSION
from seep_monai.errors import ConfigError, DataError, SeepError, TrainingError, entry
from seep_monai.handlers.checkpoints import BestCheckpoint
from seep_monai.handlers.curves import validation_tags
from seep_monai.handlers.writer import RunWriter
from seep_monai.initial_weights import ancestry, start_from
from seep_monai.instances.components import InstanceSettings
from seep_monai.interruption import exit_code, sigterm_raises
from seep_monai.network.losses import LossSettings, SeepLoss
from seep_monai.network.segresnet import SegResNetSettings, settings_from_json
from seep_monai.processes import by_first
from seep_monai.shipped_weights import check_not_shipped
from seep_monai.steps.tracking import closing_run, log_files

logger = logging.getLogger(__name__)

LEAK_NOTE = "leaky: some scenes are in several parts, so all scores of this run are too high"


@entry
def network_settings(**arguments: Any) -> SegResNetSettings:
    """Checked settings of the network."""
    return settings_from_json(arguments)


@entry
def split_settings(**arguments: Any) -> SplitSettings:
    """Checked settings of the split."""
    arguments["allow_leak"] = checks.boolean("allow_leak", arguments.get("allow_leak", False))
    return SplitSettings(**arguments)


@entry
def loss_settings(**arguments: Any) -> LossSettings:
    """Checked settings of the loss."""
    settings = LossSettings(**arguments)
    statistics.check_rule(settings.class_weights, settings.weights_by)
    return settings


@entry
def augment_settings(**arguments: Any) -> AugmentSettings:
    """Checked settings of the augmentation."""
    return AugmentSettings(**arguments)


@entry
@by_first
def make_plan(
    dataset_dir: str,
    images_dir: str,
    masks_dir: str,
    network: SegResNetSettings,
    split: SplitSettings,
    *,
    band: int | None = None,
    extra_dir: str | None = None,
) -> plans.Plan:
    """The audited and split data set.

    Raises:
        DataError: see `dataset.plan.make_plan`; or if the training or validation part has no seep.
    """
    folders = (str(dataset_dir), str(images_dir), str(masks_dir))
    extra_dir = None if extra_dir is None else str(extra_dir)
    plan = plans.make_plan(*folders, split, size_multiple=network.size_multiple, band=band, extra_dir=extra_dir)
    for part in ("training", "validation"):
        if not any(sum(tile.class_pixels[1:]) for tile in plan.tiles(part)):
            raise DataError(
                f"{dataset_dir}: expected seeps in the {part} part, but its {len(plan.tiles(part))} tiles have none. "
                "Choose another --split#fold, --seed or --split#split_file."
            )
    return plan


@entry
def make_loss(settings: LossSettings, plan: plans.Plan, device: torch.device | str) -> SeepLoss:
    """The loss with class weights from the counts of the training tiles."""
    weights = _class_weights(settings.class_weights, plan, by=settings.weights_by)
    logger.info("class weights of labels 1..7: %s", ", ".join(f"{weight:.2f}" for weight in weights))
    return SeepLoss(weights, settings.shares, settings.weighted_terms).to(device)


@entry
def make_augment(
    settings: AugmentSettings, plan: plans.Plan, items: Iterable[Mapping[str, Any]], seed: int
) -> BatchAugment:
    """The augmentation of the training batches, with the bank of slicks to paste.

    Args:
        settings: settings of the augmentation.
        plan: plan with the class counts.
        items: the normalised training tiles, read only if slicks are pasted.
        seed: seed of the random numbers.
    """
    paste = _make_paste(settings, plan, items) if settings.paste_prob else None
    return BatchAugment(settings, paste=paste, seed=seed)


def _make_paste(settings: AugmentSettings, plan: plans.Plan, items: Iterable[Mapping[str, Any]]) -> SlickPaste | None:
    """None, with a warning, if no tile has a slick that can be pasted."""
    weights = _class_weights(settings.paste_class_weights, plan, by="instances")
    bank = SlickBank.from_items(items)
    if not bank.slicks:
        logger.warning("no slicks are pasted, because the training tiles have no usable slick: %s", bank)
        return None
    prob, max_slicks = settings.paste_prob, settings.paste_max_slicks
    return SlickPaste(bank, prob=prob, max_slicks=max_slicks, class_weights=weights)


def _class_weights(rule: Any, plan: plans.Plan, *, by: Any) -> tuple[float, ...]:
    return statistics.class_weights(rule, statistics.count_classes(plan.training_tiles()), by=by)


@entry
def model_description(
    plan: plans.Plan,
    network: SegResNetSettings,
    *,
    class_names: Sequence[str],
    instances: InstanceSettings,
    context: SceneContext,
    band: int | None,
    run_name: object,
    pixel_size_m: object = None,
    initial_weights: str | None = None,
) -> dict[str, Any]:
    """The content of `model.json`, from which evaluation and inference read all settings of the training.

    The size of the pixels is that recorded with the data set, if it is not given.
    """
    size_m = recorded_pixel_size(plan.dataset_dir) if pixel_size_m is None else pixel_size_m
    return {
        "format": checkpoints.DESCRIPTION_FORMAT,
        "network": network.to_json(),
        "class_names": list(class_names),
        "normalisation_version": NORMALISATION_VERSION,
        "band": band,
        "pixel_size_m": None if size_m is None else checks.number("pixel_size_m", size_m, low=0),
        "instance_settings": instances.to_json(),
        "run_name": str(run_name),
        **ancestry(plan, initial_weights),
        "context": context.to_json(),
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
    run_name: str,
    device: torch.device | str,
    resume: object,
    overwrite: object,
    key_metric: str,
    class_names: Sequence[str],
    max_epochs: object,
    batch_size: object,
    val_interval: object,
    n_pictures: object,
    patience: object,
    warmup_share: object,
    max_grad_norm: object,
    checkpoint_interval_s: object,
    checked: Sequence[object],
) -> None:
    """First step of a training: all checks that need no data.

    `checked` are settings and objects that check their values when they are created.
    """
    del checked
    n_epochs = checks.whole_number("max_epochs", max_epochs, at_least=1)
    interval = checks.whole_number("val_interval", val_interval, at_least=1)
    if n_epochs % interval:
        raise ConfigError(
            f"val_interval: expected a divisor of max_epochs {n_epochs} (the last weights must be validated), but got "
            f"{interval}."
        )
    checks.whole_number("batch_size", batch_size, at_least=1)
    checks.whole_number("n_pictures", n_pictures, at_least=0)
    checks.whole_number("patience", patience, at_least=0)
    checks.number("warmup_share", warmup_share, low=0, high=1, low_allowed=True)
    checks.number("max_grad_norm", max_grad_norm, low=0)
    checks.number("checkpoint_interval_s", checkpoint_interval_s, low=0, low_allowed=True)
    checks.folder_name("run_name", run_name)
    checks.usable_device(device)
    checked_class_names(class_names)
    if key_metric not in validation_tags():
        raise ConfigError(f"key_metric: expected one of {', '.join(validation_tags())}, but got {key_metric!r}.")
    check_not_shipped(ckpt_dir)
    flags = {"resume": checks.boolean("resume", resume), "overwrite": checks.boolean("overwrite", overwrite)}
    _claim_folders(output_dir, ckpt_dir, **flags)


@by_first
def _claim_folders(output_dir: str, ckpt_dir: str, *, resume: bool, overwrite: bool) -> None:
    files.make_folder(output_dir, option="--output_dir")
    checkpoints.check_free(files.make_folder(ckpt_dir, option="--ckpt_dir"), resume=resume, overwrite=overwrite)


@entry
@closing_run()
def train(
    trainer: Engine,
    plan: plans.Plan,
    best: BestCheckpoint,
    writer: RunWriter,
    *,
    output_dir: str,
    resume: object,
    initial_weights: str | None = None,
) -> None:
    """Second step of a training: write log, config, versions and plan to the run folder, then run the trainer."""
    if initial_weights is not None:
        # Several processes train a wrapped network.
        start_from(getattr(trainer.network, "module", trainer.network), initial_weights, plan)
    goes_on = checks.boolean("resume", resume)
    _begin_run(trainer, plan, best, writer.log_dir, output_dir=Path(str(output_dir)), resume=goes_on)
    for part, tiles in plan.parts.items():
        scenes = sorted({tile.scene for tile in tiles})
        logger.info("%s: %d tiles of %d scenes: %s", part, len(tiles), len(scenes), ", ".join(scenes))
    if plan.extra:
        logger.info("extra training tiles: %d of %d scenes", len(plan.extra.tiles), len(plan.extra.scene_levels))
    logger.info("%s", SceneContext(**best.description["context"]))
    if plan.leaky:
        logger.warning(LEAK_NOTE)
        writer.add_text("leaky", LEAK_NOTE)
    try:
        with sigterm_raises():
            trainer.run()
        if best.best.epoch == 0:
            raise TrainingError(
                f"{best.folder}: no validation had a defined {best.key_metric}, so there are no best weights. The last "
                f"weights are in {checkpoints.LAST_FILE}. Choose another --key_metric."
            )
        logger.info(
            "best %s %.3f in epoch %d; weights written to %s, log and curves to %s",
            best.key_metric,
            best.best.value,
            best.best.epoch,
            best.folder,
            writer.log_dir,
        )
        log_files(
            writer.log_dir / "config.json",
            Path(str(output_dir)) / "datalist.json",
            best.folder / checkpoints.DESCRIPTION_FILE,
        )
    except KeyboardInterrupt as stop:
        logger.warning("stopped in epoch %d; %s", trainer.state.epoch, checkpoints.how_to_go_on(best.folder))
        raise SystemExit(exit_code(stop)) from None
    except SeepError as error:
        # For run.log. `entry` prints the message on the terminal.
        logger.error("%s", error)
        raise
    finally:
        writer.close()


@by_first
def _begin_run(
    trainer: Engine, plan: plans.Plan, best: BestCheckpoint, run_dir: Path, *, output_dir: Path, resume: bool
) -> None:
    """Check the run, start its log, and write its config, its versions and the plan."""
    _check_run(trainer, plan, best, run_dir, resume=resume)
    checkpoints.settle(best.folder)
    files.make_folder(run_dir, option="--run_name")
    workflow.start_log(run_dir)
    files.write_json(run_dir / "versions.json", workflow.versions())
    files.write_json(run_dir / "config.json", workflow.merged_config())
    files.write_json(output_dir / "datalist.json", plan.to_json())


def _check_run(trainer: Engine, plan: plans.Plan, best: BestCheckpoint, run_dir: Path, *, resume: bool) -> None:
    """Check, before anything is written, that the run can be resumed or that its folder is empty."""
    if resume:
        checkpoints.check_resume(
            best.folder,
            best.network,
            fingerprint=plan.training_fingerprint,
            max_epochs=trainer.state.max_epochs,
            epoch_length=trainer.state.epoch_length,
            key_metric=best.key_metric,
            context=best.description["context"],
        )
    elif run_dir.is_dir() and any(run_dir.iterdir()):
        or_resume = ", or --resume True" if (best.folder / checkpoints.LAST_FILE).is_file() else ""
        raise ConfigError(f"run_name: {run_dir} holds another run. Give a new --run_name{or_resume}.")


@entry
def instance_settings(**arguments: Any) -> InstanceSettings:
    """Checked settings of the instances."""
    return InstanceSettings(**arguments)
