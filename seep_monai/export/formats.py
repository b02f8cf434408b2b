"""The formats of exported networks: how each file is written. Every file carries the content of `model.json`."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from monai.networks.nets import SegResNet
from torch.export import Dim, ExportedProgram

from seep_monai.checkpoints import DESCRIPTION_FILE
from seep_monai.errors import ConfigError

Format = Literal["torch", "onnx", "torchscript"]
SUFFIXES: dict[Format, str] = {"torch": ".pt2", "onnx": ".onnx", "torchscript": ".ts"}
# Names of the input and output in an ONNX file, those of `network_data_format` in metadata.json.
INPUT_NAME, OUTPUT_NAME = "image", "pred"
# One row or column on the deepest level is another case for torch.export.
LEAST_MULTIPLES = 2


def format_of(path: str | os.PathLike[str]) -> Format | None:
    """The format by a file's suffix; None: it is not an exported network.

    >>> format_of("seeps.onnx"), format_of("model.pt")
    ('onnx', None)
    """
    return next((name for name, suffix in SUFFIXES.items() if Path(path).suffix == suffix), None)


def write_network(
    network: SegResNet, description: Mapping[str, Any], path: Path, chosen: Format, *, size_multiple: int
) -> None:
    """Write the network with its weights and its description to `path`.

    The file takes images (B, 1, H, W) float32 of any batch size and gives logits (B, 8, H, W). H and W are multiples of
    `size_multiple`; with `torch` and `onnx` at least twice that.

    Args:
        network: on the CPU, in evaluation mode.
        description: content of `model.json`.
        path: of the new file.
        chosen: its format.
        size_multiple: of the network, see `SegResNetSettings`.

    Raises:
        ConfigError: if packages of the format are missing.
    """
    content = json.dumps(description, allow_nan=False)
    write: dict[Format, Callable[[], None]] = {
        "torch": lambda: _write_torch(traced(network, size_multiple), content, path),
        "onnx": lambda: _write_onnx(traced(network, size_multiple), content, path),
        "torchscript": lambda: torch.jit.save(torch.jit.script(network), path, {DESCRIPTION_FILE: content.encode()}),
    }
    write[chosen]()


def check_format(name: str) -> Format:
    """The format of this name.

    Raises:
        ConfigError: if there is no such format.
    """
    for known in get_args(Format):
        if name == known:
            return known
    raise ConfigError(f"format: expected one of {', '.join(SUFFIXES)}, but got {name!r}.")


def require(*packages: str) -> None:
    """Check that optional packages are installed.

    Raises:
        ConfigError: if one is missing. The message says how to install it.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"ONNX: expected the package{'s' * (len(missing) > 1)} {', '.join(missing)}, but not installed. Install "
            "with: pip install 'seep-monai[export]'"
        )


def traced(network: SegResNet, size_multiple: int) -> ExportedProgram:
    """The network as `torch.export` sees it, for any batch size, height and width."""
    # Not square and not a batch of one, so that no size is taken for another one or for a constant.
    example = torch.zeros(2, 1, 2 * size_multiple, 3 * size_multiple)
    sizes = {
        0: Dim("batch", min=1),
        2: size_multiple * Dim("rows", min=LEAST_MULTIPLES),
        3: size_multiple * Dim("columns", min=LEAST_MULTIPLES),
    }
    return torch.export.export(network, (example,), dynamic_shapes=(sizes,), strict=False)


@contextmanager
def quiet(*names: str) -> Iterator[None]:
    """Only errors of these loggers: libraries log each node of a graph, and missing packages that are not used here."""
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    try:
        for logger in levels:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _write_torch(program: ExportedProgram, content: str, path: Path) -> None:
    torch.export.save(program, path, extra_files={DESCRIPTION_FILE: content})


def _write_onnx(program: ExportedProgram, content: str, path: Path) -> None:
    require("onnx", "onnxscript")
    with quiet("torch.onnx", "onnxscript", "onnx_ir"):
        exported = torch.onnx.export(
            program, dynamo=True, input_names=[INPUT_NAME], output_names=[OUTPUT_NAME], verbose=False
        )
        assert exported is not None
        exported.model.metadata_props[DESCRIPTION_FILE] = content
        exported.save(path, external_data=False)
