"""Exported networks and int8 beside PyTorch: size, time, Dice on tiles with masks, and how far their logits are off.

The truth is the same network in float64.

Every form sees one tile at a time, in turns, so that other programs on the machine slow all of them. Times are CPU
seconds of the process; with OMP_NUM_THREADS=1 they depend little on the load. int8 is made by ONNX Runtime; the static
forms are calibrated on simulated tiles that are not scored.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seep_monai.checkpoints import MODEL_FILE, load_weights, read_description
from seep_monai.dataset.transforms import normalise
from seep_monai.export.exported_network import ExportedNetwork
from seep_monai.export.formats import INPUT_NAME, SUFFIXES, quiet, write_network
from seep_monai.metrics.pixels import confusion_counts, pixel_scores
from seep_monai.network.segresnet import build_network, settings_from_json
from seep_monai.scene.items import find_inputs, inference_items
from seep_monai.shipped_weights import shipped_folder
from seep_monai.simulate.sample import make_sample_data
from seep_monai.simulate.settings import SceneSettings
from seep_monai.steps.setup import place_network
from seep_monai.tiff import read_tiff

Network = Callable[[torch.Tensor], torch.Tensor]
# The first calls allocate memory.
N_WARM = 2


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_dir", type=Path, default=shipped_folder(), help="weights (default: those that ship)")
    parser.add_argument("--dataset_dir", type=Path, help="tiles with masks to score (default: simulated ones)")
    parser.add_argument("--n_tiles", type=int, default=200, help="number of simulated tiles to score")
    parser.add_argument("--n_calibration", type=int, default=40, help="number of simulated tiles to calibrate int8 on")
    parser.add_argument("--n_timed", type=int, default=40, help="number of tiles that are timed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        scored = given.dataset_dir or simulated(place / "scored", given.n_tiles, seed=1)
        calibration = [image for image, _ in tiles(simulated(place / "calibration", given.n_calibration, seed=2))]
        made = exports(given.ckpt_dir, calibration, place)
        networks: dict[str, Network] = {
            # As `seep-monai infer` runs it.
            "PyTorch": place_network(stored_network(given.ckpt_dir), "cpu"),
            "PyTorch, plain layout": stored_network(given.ckpt_dir),
            **{name: ExportedNetwork(path, "cpu", layout_of(path)) for name, path in made.items()},
        }
        exact = stored_network(given.ckpt_dir).double()
        print_table(
            {"PyTorch": given.ckpt_dir / MODEL_FILE} | made,
            measured(networks, exact, list(tiles(scored)), given.n_timed),
        )


def simulated(out: Path, n_tiles: int, *, seed: int) -> Path:
    """Tiles of scenes that vary as archives do."""
    make_sample_data(out, n_tiles=n_tiles, seed=seed, settings=SceneSettings(variety="archive"))
    return out


def tiles(dataset_dir: Path) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    """Each normalised image (1, 1, H, W) with its mask."""
    for item in inference_items(find_inputs(dataset_dir / "train_images_256").tiles):
        dn = read_tiff(item["image"]).array
        mask = read_tiff(dataset_dir / "train_masks_256" / Path(item["image"]).name).array
        yield normalise(dn, dn > 0, item["scene_level"])[None, None], mask


def stored_network(ckpt_dir: Path) -> torch.nn.Module:
    """The network with its weights."""
    network = build_network(settings_from_json(read_description(ckpt_dir)["network"])).eval()
    load_weights(network, ckpt_dir / MODEL_FILE)
    return network


def exports(ckpt_dir: Path, calibration: list[torch.Tensor], place: Path) -> dict[str, Path]:
    """The file of each form."""
    description = read_description(ckpt_dir)
    size_multiple = settings_from_json(description["network"]).size_multiple
    files = {}
    for name, suffix in SUFFIXES.items():
        files[f"{name} ({suffix})"] = path = place / f"model{suffix}"
        write_network(stored_network(ckpt_dir), description, path, name, size_multiple=size_multiple)
    return files | quantised(place / "model.onnx", calibration, place)


def layout_of(path: Path) -> torch.memory_format:
    """That of `seep-monai infer`."""
    return torch.contiguous_format if path.suffix == ".onnx" else torch.channels_last


def quantised(source: Path, calibration: list[torch.Tensor], place: Path) -> dict[str, Path]:
    """int8 files: weights alone with activations measured at each call, and both by calibration (two ways)."""
    from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = place / "prepared.onnx"
    static: dict[str, dict[str, Any]] = {
        "int8 static, extremes": {},
        "int8 static, 99.99 %": {
            "calibrate_method": CalibrationMethod.Percentile,
            "extra_options": {"CalibPercentile": 99.99},
        },
    }
    with quiet("root"):
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        files = {"int8 dynamic": place / "dynamic.onnx"}
        quantize_dynamic(prepared, files["int8 dynamic"], weight_type=QuantType.QUInt8)
        for number, (name, options) in enumerate(static.items()):
            files[name] = place / f"static{number}.onnx"
            # Convolutions alone: the others, above all the norms, take what they always take.
            kinds = {"op_types_to_quantize": ["Conv"], "per_channel": True}
            types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
            quantize_static(prepared, files[name], Reader(calibration), **kinds, **types, **options)
    return files


class Reader:
    """The calibration images, as ONNX Runtime reads them."""

    def __init__(self, images: list[torch.Tensor]) -> None:
        self.images = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next image, or None at the end."""
        image = next(self.images, None)
        return None if image is None else {INPUT_NAME: image.numpy()}


def measured(
    networks: dict[str, Network], exact: torch.nn.Module, scored: list[tuple[torch.Tensor, np.ndarray]], n_timed: int
) -> dict[str, dict[str, float]]:
    """Quartiles of milliseconds, Dice, largest difference of a logit, and share of pixels of another class."""
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    counts = {name: np.zeros((8, 8), np.int64) for name in networks}
    largest, n_other, n_pixels = dict.fromkeys(networks, 0.0), dict.fromkeys(networks, 0), 0
    for number, (image, mask) in enumerate(scored):
        with torch.no_grad():
            expected = exact(image.double())
        for name, network in networks.items():
            started = time.process_time()
            with torch.no_grad():
                logits = network(image)
            if N_WARM <= number < N_WARM + n_timed:
                seconds[name].append(time.process_time() - started)
            drawn = logits.argmax(dim=1)
            largest[name] = max(largest[name], float((logits - expected).abs().max()))
            n_other[name] += int((drawn != expected.argmax(dim=1)).sum())
            counts[name] += confusion_counts(truth=mask, predicted=drawn[0].numpy().astype(np.uint8))
        n_pixels += mask.size
    return {
        name: {
            **{f"q{q}": 1e3 * float(np.percentile(seconds[name], q)) for q in (25, 50, 75)},
            "dice": pixel_scores(counts[name])["seep_dice"],
            "difference": largest[name],
            "other": n_other[name] / n_pixels,
        }
        for name in networks
    }


def print_table(files: dict[str, Path], results: dict[str, dict[str, float]]) -> None:
    """A table in Markdown."""
    first = results["PyTorch"]
    threads = os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())
    print(
        f"{threads} thread(s), CPU capability {torch.backends.cpu.get_cpu_capability()}, load {os.getloadavg()[0]:.1f}"
    )
    print("| form | MB | ms a tile (quartiles) | speed | Dice | largest difference of a logit | other class |")
    print("|---|---|---|---|---|---|---|")
    for name, row in results.items():
        size = f"{files[name].stat().st_size / 1e6:.1f}" if name in files else ""
        times = f"{row['q50']:.1f} ({row['q25']:.1f} .. {row['q75']:.1f})"
        speed = f"{first['q50'] / row['q50']:.2f}"
        quality = f"{row['dice']:.4f} | {row['difference']:.2g} | {row['other']:.2e}"
        print(f"| {name} | {size} | {times} | {speed} | {quality} |")


if __name__ == "__main__":
    main()
