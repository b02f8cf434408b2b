"""The command `seep-monai`, also `python -m seep_monai`."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

from seep_monai.interruption import exit_code

# Name -> what it does. A command's module is imported when it is called, since torch takes seconds to import.
COMMANDS = {
    "train": "train the network on tiles",
    "fit": "fit the object classifier to a trained network",
    "evaluate": "score trained weights on tiles with masks",
    "infer": "draw potential seeps in images",
    "score": "score the predictions of any other model",
    "crossval": "cross-validate: train, fit and score a network per fold",
    "simulate": "make simulated tiles or scenes with known seeps",
    "archive": "infer many scenes and write one catalogue of seeps",
    "sites": "find places with slicks on many dates in the outputs of an archive",
    "tiles": "cut training tiles from rasters and labelled polygons",
    "export": "write trained weights for other programs: torch.export, ONNX, TorchScript",
    "pack": "pack the bundle, weights and this package into one zip",
}
_BUNDLE = ("train", "fit", "evaluate", "infer")


def main(words: Sequence[str] | None = None) -> None:
    """Run a command.

    Args:
        words: the command line behind the program's name; None: that of this process.

    Raises:
        SystemExit: with a message, if the command is unknown or fails.
    """
    given = list(sys.argv[1:] if words is None else words)
    if not given or given[0] in ("-h", "--help"):
        print(_overview())
        return
    name, rest = given[0], given[1:]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Known commands: {', '.join(COMMANDS)}."
        raise SystemExit(f"seep-monai: there is no command {name!r}. {hint}")
    try:
        if name in _BUNDLE:
            import_module("seep_monai.commands.bundle").main(name, rest)
        else:
            import_module(f"seep_monai.commands.{name}").main(rest)
    except KeyboardInterrupt as stop:
        print(f"seep-monai {name}: stopped", file=sys.stderr)
        raise SystemExit(exit_code(stop)) from None


def _overview() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: seep-monai COMMAND [options]",
            "",
            "Find potential oil seeps in SAR images.",
            "",
            *lines,
            "",
            "seep-monai COMMAND --help says more of each.",
        ]
    )


if __name__ == "__main__":
    main()
