"""Seams, Dice and cost of the ways to cover a scene with windows, in one run.

Seam ratio: mean step of the seep probability between neighbouring pixels across the borders of windows, over the mean
step elsewhere; 1 is no seam. Steps count where one of both pixels has a probability above .05. "Moved by" compares the
map with that of windows whose grid lies elsewhere: mean difference of the probability over the same pixels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import rasterio
import torch
from monai.inferers import SimpleInferer, SlidingWindowInferer
from torch.nn import functional

from seep_monai.dataset.transforms import normalise
from seep_monai.dataset.windows import windows_along
from seep_monai.network.inferers import WindowInferer
from seep_monai.network.segresnet import build_network, settings_from_json
from seep_monai.scene.raster import Raster
from seep_monai.steps.setup import default_device, place_network

SHIFT_PX = 80


def main() -> None:
    """Print one line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_dir", type=Path, required=True, help="weights of tiles with neighbours")
    parser.add_argument("--scenes", type=Path, required=True, help="folder of images/ and masks/")
    parser.add_argument("--amp", default="False", help="bf16 on a CPU")
    given = parser.parse_args()
    description = json.loads((given.ckpt_dir / "model.json").read_text())
    network = build_network(settings_from_json(description["network"]))
    network.load_state_dict(torch.load(given.ckpt_dir / "model.pt", weights_only=True))
    network = place_network(network, default_device(), given.amp == "True").eval()
    window_px = description["tile_size"][0] + 2 * (description["context"]["margin_px"] or 32)
    scenes = [
        _scene(path, given.scenes / "masks" / path.name) for path in sorted((given.scenes / "images").glob("*.tif"))
    ]
    print(f"{'windows':<36}{'seam ratio':>11}{'moved by':>10}{'Dice':>7}{'network px per px':>19}")
    for margin_px in (0, 16, 32, 48, 64):
        inferer = WindowInferer(SimpleInferer(), (window_px, window_px), margin_px)
        _report(f"crop, margin {margin_px} px", scenes, network, inferer, margin_px, window_px, inferer.inside_px[0])
    for overlap in (0.25, 0.5):
        inferer = SlidingWindowInferer((window_px, window_px), 4, overlap, mode="gaussian")
        _report(f"Gaussian, overlap {overlap}", scenes, network, inferer, 0, window_px, int(window_px * (1 - overlap)))


Scene = tuple[torch.Tensor, np.ndarray, np.ndarray]


def _scene(image: Path, mask: Path) -> Scene:
    """(1, 1, H, W) normalised image, valid pixels and truth."""
    with Raster(image) as raster:
        dn, valid = raster.read(slice(0, raster.shape[0]), slice(0, raster.shape[1]))
        level = raster.level()
    with rasterio.open(mask) as source:
        truth = source.read(1) > 0
    return normalise(dn.astype(np.float32), valid, level)[None, None], valid, truth & valid


def _report(
    name: str,
    scenes: list[Scene],
    network: torch.nn.Module,
    inferer: object,
    margin_px: int,
    window_px: int,
    step_px: int,
) -> None:
    at_border, elsewhere, moved, overlap, total, n_windows, n_px = [], [], [], 0, 0, 0, 0
    for image, valid, truth in scenes:
        seep = _seep_prob(image, network, inferer, margin_px) * valid
        shifted = functional.pad(image, (SHIFT_PX, 0, SHIFT_PX, 0))
        other = _seep_prob(shifted, network, inferer, margin_px)[SHIFT_PX:, SHIFT_PX:] * valid
        for values in (seep, seep.T):
            counts = np.maximum(values[:, 1:], values[:, :-1]) > 0.05
            steps = np.abs(np.diff(values, axis=1))
            is_border = np.zeros(steps.shape[1], bool)
            is_border[[w.first - 1 for w in windows_along(values.shape[1], step_px)[1:]]] = True
            at_border.append(steps[:, is_border][counts[:, is_border]])
            elsewhere.append(steps[:, ~is_border][counts[:, ~is_border]])
        moved.append(np.abs(seep - other)[np.maximum(seep, other) > 0.05])
        found = seep > 0.5
        overlap, total = overlap + 2 * np.count_nonzero(found & truth), total + found.sum() + truth.sum()
        n_windows += np.prod([len(windows_along(n, step_px)) for n in seep.shape])
        n_px += seep.size
    ratio = np.concatenate(at_border).mean() / np.concatenate(elsewhere).mean()
    cost = n_windows * window_px**2 / n_px
    print(
        f"{name:<36}{ratio:>11.2f}{np.concatenate(moved).mean():>10.4f}{overlap / total:>7.3f}{cost:>19.2f}", flush=True
    )


def _seep_prob(image: torch.Tensor, network: torch.nn.Module, inferer: object, margin_px: int) -> np.ndarray:
    wide = functional.pad(image, (margin_px,) * 4)
    with torch.no_grad():
        logits = inferer(wide, network)
    inside = slice(margin_px, -margin_px or None)
    return 1 - logits.softmax(1)[0, 0, inside, inside].numpy()


if __name__ == "__main__":
    main()
