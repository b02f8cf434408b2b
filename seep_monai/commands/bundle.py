"""Commands that run a workflow of the MONAI bundle; each one only names the config files.

`seep-monai train --max_epochs 5` is the same as `python -m monai.bundle run training --config_file
bundle/configs/train.json --max_epochs 5`: MONAI's runner parses the options of both.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import fire
from monai.bundle import run

from seep_monai.errors import ConfigError, SeepError
from seep_monai.workflow import bundle_source

_HELP_WORDS = ("-h", "--help")
# The word for several processes, which `torch.distributed.run` starts.
_SEVERAL = "--multi_gpu"


@dataclass(frozen=True)
class BundleCommand:
    """One command.

    Attributes:
        run_id: the id that MONAI runs.
        configs: names of the config files, without `.json`; later ones override earlier ones.
        summary: one line for the help text.
        examples: command lines, without `seep-monai`.
        options: the most useful ids and their meaning.
        argument: the id that the first words without dashes set, or None.
        for_several: name of the config file that `--multi_gpu` adds; None: the command runs in one process.
    """

    run_id: str
    configs: tuple[str, ...]
    summary: str
    examples: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    argument: str | None = None
    for_several: str | None = None


_DATA = ("--dataset_dir DIR", "folder with train_images_256/ and train_masks_256/")
_WEIGHTS = ("--ckpt_dir DIR", "folder of the weights (default: bundle/models)")
_SHIPPED = ("--ckpt_dir DIR", "folder of the weights (default: bundle/models, or the weights that ship)")
_OUTPUT = ("--output_dir DIR", "folder for results (default: bundle/eval)")
_TOGETHER = (_SEVERAL, "in the processes that torch.distributed.run starts (docs/scaling.md)")

BUNDLE_COMMANDS = {
    "train": BundleCommand(
        "training",
        ("train",),
        "train the network on tiles",
        ("train --dataset_dir DIR", "train --dataset_dir DIR --initial_weights bundle/models/first"),
        (
            _DATA,
            _WEIGHTS,
            _OUTPUT,
            ("--max_epochs N", "number of epochs"),
            ("--initial_weights DIR", "weights to start from, or none (default: those that ship, if they fit)"),
            ("--resume True", "resume a stopped training"),
            ("--train#checkpoint_interval_s S", "seconds between checkpoints within an epoch (default: 600; 0: none)"),
            _TOGETHER,
        ),
        for_several="multi_gpu_train",
    ),
    "fit": BundleCommand(
        "fitting",
        ("train", "evaluate", "fit_objects"),
        "fit the object classifier to a trained network",
        ("fit --dataset_dir DIR",),
        (
            _DATA,
            _WEIGHTS,
            ("--tta False", "no averaging over the eight symmetries: eight times faster"),
            ("--unit scene", "fit to the objects of scenes, for rasters (default: tile)"),
        ),
    ),
    "evaluate": BundleCommand(
        "evaluating",
        ("train", "evaluate"),
        "score trained weights on tiles with masks",
        ("evaluate --dataset_dir DIR", "evaluate --dataset_dir OTHER --part all"),
        (
            _DATA,
            _SHIPPED,
            _OUTPUT,
            ("--part NAME", "training, validation, test or all (default: test)"),
            ("--unit scene", "score scenes that are put together from their tiles (default: tile)"),
            (
                "--pixel_size_m M",
                "size of a pixel, for false alarms per 1,000 km2 (default: as recorded)",
            ),
            _TOGETHER,
        ),
        for_several="multi_gpu_evaluate",
    ),
    "infer": BundleCommand(
        "inference",
        ("inference",),
        "draw potential seeps in images",
        ("infer IMAGES --output_dir OUT", "infer tile.tif --output_dir OUT --instances#score_threshold 0"),
        (
            ("--output_dir OUT", "folder for maps and polygons"),
            ("--as KIND", "tile: maps; raster: maps and polygons (default: raster if larger than a training tile)"),
            ("--pixel_size_m M", "rasters: join pixels to about this size (default: that of the training)"),
            ("--border_noise_px N", "rasters: pixels this close to no-data are no-data (default: 0)"),
            ("--land FILE", "rasters: polygons of land, which is no-data"),
            ("--resume True", "rasters: leave out those whose results exist"),
            _SHIPPED,
            ("--model FILE", "a file of seep-monai export in place of these weights"),
            (
                "--instances#score_threshold P",
                "drop seeps with a lower score (default: the stored operating point)",
            ),
        ),
        argument="input",
    ),
}


def main(name: str, words: Sequence[str]) -> None:
    """Run one of `BUNDLE_COMMANDS` with the words after its name.

    Raises:
        SystemExit: with a message, on invalid input.
    """
    command = BUNDLE_COMMANDS[name]
    if any(word in _HELP_WORDS for word in words):
        print(help_text(name, command))
        return
    try:
        arguments = runner_words(command, words, bundle_source())
    except SeepError as error:
        raise SystemExit(str(error)) from error
    # Without `serialize`, Fire prints the return value: a workflow's results.
    fire.Fire({"run": run}, command=arguments, serialize=lambda result: None)


def runner_words(command: BundleCommand, words: Sequence[str], root: Path) -> list[str]:
    """The arguments of `python -m monai.bundle`.

    Args:
        words: the user's words after the command's name.
        root: the bundle's folder.

    Raises:
        ConfigError: if `--multi_gpu` is given for a command that runs in one process.
    """
    names, given = list(command.configs), list(words)
    if _SEVERAL in given:
        if command.for_several is None:
            raise ConfigError(
                f"{_SEVERAL}: expected train or evaluate, but {command.run_id} runs in one process. Leave it out."
            )
        given.remove(_SEVERAL)
        names.append(command.for_several)
    files = [str(root / "configs" / f"{name}.json") for name in names]
    first = list(itertools.takewhile(lambda word: not word.startswith("-"), given))
    if command.argument and first:
        # The shell makes several words of DIR/*.tif; MONAI parses a list.
        value = first[0] if len(first) == 1 else str(first)
        given = [f"--{command.argument}", value, *given[len(first) :]]
    # MONAI accepts several files only as a list in quotes.
    config_file = files[0] if len(files) == 1 else str(files)
    return ["run", command.run_id, "--config_file", config_file, *given]


def help_text(name: str, command: BundleCommand) -> str:
    """The text that `--help` prints."""
    width = max(len(option) for option, _ in command.options) + 2
    place = "configs/" + ".json, configs/".join(command.configs) + ".json"
    lines = [
        f"usage: seep-monai {name} [{command.argument.upper()}] [--ID VALUE ...]"
        if command.argument
        else f"usage: seep-monai {name} [--ID VALUE ...]",
        "",
        f"{command.summary[0].upper()}{command.summary[1:]}.",
        "",
        "examples:",
        *(f"  seep-monai {example}" for example in command.examples),
        "",
        "the most useful ids:",
        *(f"  {option:<{width}}{meaning}" for option, meaning in command.options),
        "",
        f"Every id of {place} can be set; docs/configuration.md lists them.",
    ]
    return "\n".join(lines)
