"""Export of trained weights: written, compared with PyTorch, and kept only if both are the same."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

from seep_monai.checkpoints import MODEL_FILE, load_weights, read_description
from seep_monai.export.comparison import Comparison, compare_networks, compared_images
from seep_monai.export.exported_network import ExportedNetwork
from seep_monai.export.formats import SUFFIXES, Format, require, write_network
from seep_monai.files import check_new_file, write_bytes
from seep_monai.network.segresnet import build_network, settings_from_json

logger = logging.getLogger(__name__)


def export_weights(ckpt_dir: Path, target: Path, chosen: Format, *, overwrite: bool = False) -> Comparison:
    """Write the weights in `ckpt_dir` as `target`, and return how it differs from PyTorch.

    Args:
        ckpt_dir: folder of `model.pt` and `model.json`.
        target: the new file, with the suffix of the format.
        chosen: the format.
        overwrite: replace an existing file.

    Raises:
        ConfigError: if the target exists or has another suffix, or packages are missing.
        DataError: if the weights are missing or damaged, or the exported network is another one. No file is left.
    """
    check_new_file(target, suffix=SUFFIXES[chosen], option="--output", overwrite=overwrite)
    if chosen == "onnx":
        require("onnx", "onnxscript", "onnxruntime")
    description = read_description(ckpt_dir)
    settings = settings_from_json(description["network"])
    network = build_network(settings).eval()
    load_weights(network, ckpt_dir / MODEL_FILE)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / target.name
        write_network(network, description, new, chosen, size_multiple=settings.size_multiple)
        logger.info("%s: written in %.0f s; it is compared with PyTorch", chosen, time.monotonic() - started)
        comparison = compare_networks(network, ExportedNetwork(new), compared_images(description["tile_size"]))
        comparison.check(f"{ckpt_dir} as {chosen}")
        write_bytes(target, new.read_bytes())
    return comparison
