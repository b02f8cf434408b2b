"""An exported network that is read from its file and runs in place of the PyTorch network."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from monai.data import MetaTensor
from torch import nn

from seep_monai.checkpoints import DESCRIPTION_FILE, SHIPPED_KEY, checked_description
from seep_monai.description import check_description
from seep_monai.errors import ConfigError, DataError
from seep_monai.export.formats import INPUT_NAME, SUFFIXES, Format, format_of, quiet, require

Run = Callable[[torch.Tensor], torch.Tensor]


def checked_format(path: Path) -> Format:
    """The format of an exported file that exists and can be read here.

    Raises:
        ConfigError: if the suffix is of no known format, or the package that reads it is missing.
        DataError: if there is no such file.
    """
    chosen = format_of(path)
    if chosen is None:
        raise ConfigError(
            f"model: expected a file of seep-monai export ({', '.join(SUFFIXES.values())}), but got {path}. For "
            "model.pt give its folder with --ckpt_dir."
        )
    if not path.is_file():
        raise DataError(f"{path}: expected an exported network, but there is no such file. Correct --model.")
    if chosen == "onnx":
        require("onnxruntime")
    return chosen


def read_exported_description(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of `model.json` that an exported file carries. No code in the file is run.

    Raises:
        ConfigError: if it is not a file of a known format, or the package that reads it is missing.
        DataError: if it is missing, unreadable, or carries no such content.
    """
    file = Path(str(path))
    read = {"torch": _in_archive, "onnx": _in_onnx, "torchscript": _in_archive}[checked_format(file)]
    try:
        content = read(file)
    except Exception as error:
        raise DataError(
            f"{file}: expected a network of seep-monai export, but it cannot be read ({_reason(error)}). Export it "
            "again."
        ) from error
    description = checked_description(file, content)
    check_description(description, file, ships=bool(description.get(SHIPPED_KEY)))
    return description


class ExportedNetwork(nn.Module):
    """The network in a file of `seep-monai export`: (B, 1, H, W) -> logits (B, 8, H, W), both float32.

    ONNX Runtime computes on the CPU, whatever the device.

    Args:
        path: the file.
        device: of the other formats.
        memory_format: of their weights. The network is the same, its rounding and speed are not.

    Raises:
        ConfigError: if it is not a file of a known format, or the package that runs it is missing.
        DataError: if the file is missing or unreadable.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        device: torch.device | str = "cpu",
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        super().__init__()
        self.path = Path(str(path))
        chosen = checked_format(self.path)
        try:
            self._run = _onnx(self.path) if chosen == "onnx" else _of_torch(self.path, chosen, device, memory_format)
        except Exception as error:
            raise DataError(f"{self.path}: cannot be read as {chosen} ({_reason(error)}). Export it again.") from error

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of images.

        Raises:
            DataError: if the file does not take images of this size.
        """
        plain = image.as_tensor() if isinstance(image, MetaTensor) else image
        try:
            return self._run(plain)
        except Exception as error:
            raise DataError(
                f"{self.path}: the network does not take images of {tuple(plain.shape)} ({_reason(error)}). Use the "
                "weights that it was exported from (--ckpt_dir)."
            ) from error


def _in_archive(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        # Below a folder whose name is that of the file when it was written.
        wanted = f"extra/{DESCRIPTION_FILE}"
        name = next((name for name in archive.namelist() if name.endswith(f"/{wanted}")), wanted)
        return archive.read(name).decode()


def _in_onnx(path: Path) -> str:
    return str(_session(path, optimised=False).get_modelmeta().custom_metadata_map[DESCRIPTION_FILE])


def _session(path: Path, *, optimised: bool = True) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # As many as PyTorch takes, which OMP_NUM_THREADS sets.
    options.intra_op_num_threads = torch.get_num_threads()
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _onnx(path: Path) -> Run:
    session = _session(path)

    def run(image: torch.Tensor) -> torch.Tensor:
        # A tensor that was turned has other strides; it is copied.
        (logits,) = session.run(None, {INPUT_NAME: image.float().cpu().contiguous().numpy()})
        return torch.from_numpy(logits).to(image.device)

    return run


def _of_torch(path: Path, chosen: Format, device: torch.device | str, memory_format: torch.memory_format) -> Run:
    with quiet("torch.export"):
        network = torch.export.load(path).module() if chosen == "torch" else torch.jit.load(path, map_location="cpu")
    placed = network.to(device).to(memory_format=memory_format)  # type: ignore[call-overload]
    # Not the module itself: as a submodule it would get `eval`, which modules of torch.export refuse.
    return lambda image: placed(image)


def _reason(error: Exception) -> str:
    """The beginning of an error's text, on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
