"""Training: data, loss, augmentation, description of the weights, and the run itself."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine
from torch.utils.data import WeightedRandomSampler

from seep_monai import checkpoints, checks, files, workflow
from seep_monai.augment.batch import BatchAugment
from seep_monai.augment.slick_bank import SlickBank
from seep_monai.augment.slick_paste import SlickPaste
from seep_monai.classes import checked_class_names
from seep_monai.dataset import plan as plans
from seep_monai.dataset import statistics
from seep_monai.dataset.grid import SceneContext
from seep_monai.dataset.split import SplitSettings
from seep_monai.dataset.transforms import NORMALISATION_VERSION
from seep_monai.errors import ConfigError, DataError, SeepError, TrainingError, entry
from seep_monai.handlers.checkpoints import BestCheckpoint
from seep_monai.handlers.curves import validation_tags
from seep_monai.handlers.writer import RunWriter
from seep_monai.instances.components import InstanceSettings
from seep_monai.network.losses import SeepLoss
from seep_monai.network.segresnet import SegResNetSettings, settings_from_json

logger = logging.getLogger(__name__)

LEAK_NOTE = "leaky: scenes stand in several parts, so that all figures of this run are too good"
SAMPLINGS = ("shuffle", "rarest_class")
# What a shell says of a program that the user stopped.
_INTERRUPTED = 130


@entry
def network_settings(**arguments: Any) -> SegResNetSettings:
    """Checked settings of the network."""
    return settings_from_json(arguments)


@entry
def make_plan(
    dataset_dir: str,
    images_dir: str,
    masks_dir: str,
    network: SegResNetSettings,
    *,
    band: int | None = None,
    extra_dir: str | None = None,
    **split: Any,
) -> plans.Plan:
    """The audited and divided data set, with something to learn and to choose by; `split` are the `SplitSettings`."""
    split["allow_leak"] = checks.boolean("allow_leak", split.get("allow_leak", False))
    folders = (str(dataset_dir), str(images_dir), str(masks_dir))
    extra_dir = None if extra_dir is None else str(extra_dir)
    options: dict[str, Any] = {"size_multiple": network.size_multiple, "band": band, "extra_dir": extra_dir}
    plan = plans.make_plan(*folders, SplitSettings(**split), **options)
    for part in ("training", "validation"):
        if not any(sum(tile.class_pixels[1:]) for tile in plan.tiles(part)):
            raise DataError(
                f"{dataset_dir}: expected seeps in the {part} part, but its {len(plan.tiles(part))} tiles have none. "
                "Choose another --fold, --seed or --split_file."
            )
    return plan


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
    """The loss with class weights from the counts of the training tiles."""
    weights = statistics.class_weights(class_weights, statistics.count_classes(plan.training_tiles()), by=weights_by)
    logger.info("class weights of labels 1..7: %s", ", ".join(f"{weight:.2f}" for weight in weights))
    return SeepLoss(weights, shares, weighted_terms).to(device)


@entry
def tile_sampler(plan: plans.Plan, sampling: str) -> WeightedRandomSampler | None:
    """Draws the training tiles of an epoch, with replacement: `rarest_class`; None for `shuffle`, each tile once."""
    if sampling not in SAMPLINGS:
        raise ConfigError(f"sampling: expected one of {', '.join(SAMPLINGS)}, but got {sampling!r}.")
    if sampling == "shuffle":
        return None
    weights = statistics.rarity_weights(plan.training_tiles())
    return WeightedRandomSampler(weights, len(weights))


@entry
def make_paste(
    plan: plans.Plan,
    items: Iterable[Mapping[str, Any]],
    *,
    prob: float,
    max_slicks: int,
    class_weights: Any,
    weights_by: statistics.CountUnit,
) -> SlickPaste | None:
    """What pastes slicks of the training tiles, rare classes more often by their weights; None where `prob` is 0.

    Where no tile has a slick that can be pasted, there is nothing to paste, and a warning says so.

    Args:
        plan: the plan, which counts the classes.
        items: the normalised training tiles.
        prob: share of the tiles that get slicks.
        max_slicks: most slicks per tile.
        class_weights: rule or seven numbers, as for the loss.
        weights_by: what the rule counts.
    """
    if not checks.probability("paste_prob", prob):
        return None
    weights = statistics.class_weights(class_weights, statistics.count_classes(plan.training_tiles()), by=weights_by)
    bank = SlickBank.from_items(items)
    if not bank.slicks:
        logger.warning("nothing is pasted, for no slick of the training tiles can be: %s", bank)
        return None
    return SlickPaste(bank, prob=prob, max_slicks=max_slicks, class_weights=weights)


@entry
def make_augment(**arguments: Any) -> BatchAugment:
    """Checked augmentation of the training batches."""
    return BatchAugment(**arguments)


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
    initial_weights: str | None = None,
) -> dict[str, Any]:
    """What `model.json` says of the weights; evaluation and inference read everything they need from there."""
    return {
        "format": checkpoints.DESCRIPTION_FORMAT,
        "network": network.to_json(),
        "class_names": list(class_names),
        "normalisation_version": NORMALISATION_VERSION,
        "band": band,
        "instance_settings": instances.to_json(),
        "run_name": str(run_name),
        **checkpoints.ancestry(plan, initial_weights),
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
    amp: object,
    resume: object,
    overwrite: object,
    key_metric: str,
    class_names: Sequence[str],
    **numbers: Any,
) -> None:
    """First step of a training: everything that can be refused without reading the data."""
    checks.check_training_numbers(numbers)
    checks.folder_name("run_name", run_name)
    checks.usable_device(device)
    checks.boolean("amp", amp)
    checked_class_names(class_names)
    if key_metric not in validation_tags():
        raise ConfigError(f"key_metric: expected one of {', '.join(validation_tags())}, but got {key_metric!r}.")
    flags = {"resume": checks.boolean("resume", resume), "overwrite": checks.boolean("overwrite", overwrite)}
    files.make_folder(output_dir, option="--output_dir")
    checkpoints.check_free(files.make_folder(ckpt_dir, option="--ckpt_dir"), **flags)


@entry
def train(
    trainer: Engine,
    plan: plans.Plan,
    best: BestCheckpoint,
    writer: RunWriter,
    *,
    output_dir: str,
    run_dir: str,
    resume: object,
    initial_weights: str | None = None,
) -> None:
    """Second step of a training, when all is built: the run's folder, log, config, versions and plan, then the run."""
    if initial_weights is not None and not checks.boolean("resume", resume):
        checkpoints.start_from(trainer.network, initial_weights, plan)
    _check_run(trainer, plan, best, Path(run_dir), resume=checks.boolean("resume", resume))
    folder = files.make_folder(run_dir, option="--run_name")
    workflow.start_log(folder)
    files.write_json(folder / "versions.json", workflow.versions())
    files.write_json(folder / "config.json", workflow.merged_config())
    files.write_json(Path(str(output_dir)) / "datalist.json", plan.to_json())
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
        trainer.run()
        if best.best.epoch == 0:
            raise TrainingError(
                f"{best.folder}: no validation had a defined {best.key_metric}, so that no weights are the best; the "
                f"last ones are "
                f"in {checkpoints.LAST_FILE}. Choose another --key_metric."
            )
        logger.info(
            "best %s %.3f in epoch %d; weights written to %s, log and curves to %s",
            best.key_metric,
            best.best.value,
            best.best.epoch,
            best.folder,
            folder,
        )
    except KeyboardInterrupt:
        logger.warning("stopped in epoch %d; go on with --resume True", trainer.state.epoch)
        raise SystemExit(_INTERRUPTED) from None
    except SeepError as error:
        # Into run.log; on the terminal the message stands last, by itself.
        logger.error("%s", error)
        raise
    finally:
        writer.close()


def _check_run(trainer: Engine, plan: plans.Plan, best: BestCheckpoint, run_dir: Path, *, resume: bool) -> None:
    """Refuse another run's folder and checkpoint before anything is written."""
    if resume:
        checkpoints.check_resume(
            best.folder,
            best.network,
            fingerprint=plan.training_fingerprint,
            max_epochs=trainer.state.max_epochs,
            key_metric=best.key_metric,
            context=best.description["context"],
        )
    elif run_dir.is_dir() and any(run_dir.iterdir()):
        raise ConfigError(f"run_name: {run_dir} holds another run. Give a new --run_name, or go on with --resume True.")


@entry
def instance_settings(**arguments: Any) -> InstanceSettings:
    """Checked settings of how instances are found."""
    return InstanceSettings(**arguments)
