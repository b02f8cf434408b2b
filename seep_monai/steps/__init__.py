"""What the bundle's config files call: each function is one step and ends the program with one message on bad input.

MONAI wraps an error inside an expression in its own, under two tracebacks; a SystemExit passes through. So the library
raises `SeepError`, and only the functions here turn it into `SystemExit(message)`, exit code 1 (`errors.entry`).
"""

from seep_monai.handlers.panels import choose_tiles
from seep_monai.steps.evaluation import begin_evaluation, evaluation_plan, inferer, run_engine, write_evaluation
from seep_monai.steps.fitting import fitting_items, store_objects
from seep_monai.steps.inference import begin_inference, checked_overlap, end_inference, items_to_infer, window_size
from seep_monai.steps.neighbours import inference_context, make_context, scene_tiles, stored_context
from seep_monai.steps.setup import (
    amp_settings,
    boolean,
    bundle_root,
    check_ids,
    check_single_process,
    default_amp,
    default_device,
    default_run_name,
    path,
    place_network,
    stop_log,
    use_amp,
)
from seep_monai.steps.training import (
    augment_settings,
    check_training,
    instance_settings,
    loss_settings,
    make_augment,
    make_loss,
    make_optimizer,
    make_plan,
    make_schedule,
    model_description,
    network_settings,
    split_settings,
    tile_sampler,
    train,
    weight_average,
)
from seep_monai.steps.weights import (
    inference_instances,
    load_best,
    read_description,
    stored_classifier,
    stored_instances,
    stored_network_settings,
)

__all__ = [
    "amp_settings",
    "augment_settings",
    "begin_evaluation",
    "begin_inference",
    "boolean",
    "bundle_root",
    "check_ids",
    "check_single_process",
    "check_training",
    "checked_overlap",
    "choose_tiles",
    "default_amp",
    "default_device",
    "default_run_name",
    "end_inference",
    "evaluation_plan",
    "fitting_items",
    "inference_context",
    "inference_instances",
    "inferer",
    "instance_settings",
    "items_to_infer",
    "load_best",
    "loss_settings",
    "make_augment",
    "make_context",
    "make_loss",
    "make_optimizer",
    "make_plan",
    "make_schedule",
    "model_description",
    "network_settings",
    "path",
    "place_network",
    "read_description",
    "run_engine",
    "scene_tiles",
    "split_settings",
    "stop_log",
    "store_objects",
    "stored_classifier",
    "stored_context",
    "stored_instances",
    "stored_network_settings",
    "tile_sampler",
    "train",
    "use_amp",
    "weight_average",
    "window_size",
    "write_evaluation",
]
