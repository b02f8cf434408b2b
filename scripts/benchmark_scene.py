"""Time and memory of the inference of a scene, against the bare network and MONAI's SlidingWindowInferer, in one run.

Without --scene a scene of --size px is simulated, with control points. Every part runs in a process of its own, which
reports its peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from monai.bundle import ConfigWorkflow
from monai.inferers import SimpleInferer, SlidingWindowInferer

from seep_monai.dataset.windows import windows_along
from seep_monai.network.segresnet import build_network, settings_from_json
from seep_monai.steps.inference import window_inferer
from seep_monai.steps.setup import default_device, place_network

CONFIG = Path(__file__).resolve().parent.parent / "bundle" / "configs" / "inference.json"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_dir", type=Path, required=True, help="folder of model.pt and model.json")
    parser.add_argument("--scene", type=Path, help="a raster; default: a simulated one")
    parser.add_argument("--size", type=int, nargs=2, default=(3000, 3000), metavar=("ROWS", "COLS"))
    parser.add_argument("--amp", default="False", help="bf16 on a CPU (a GPU always uses it)")
    parser.add_argument("--tta", default="False", help="average over the eight symmetries")
    parser.add_argument(
        "--without_monai", action="store_true", help="leave out SlidingWindowInferer, which needs memory"
    )
    parser.add_argument("--part", choices=tuple(PARTS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part is not None:
        result = PARTS[given.part](given)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({**result, "peak_gib": peak}))
        return
    with tempfile.TemporaryDirectory() as folder:
        scene = given.scene or _simulated(Path(folder), given.size)
        parts = [name for name in PARTS if not (given.without_monai and name == "monai")]
        words = [*sys.argv[1:], "--scene", str(scene)]
        results = {name: _in_process([*words, "--part", name]) for name in parts}
    _print(results)


def ours(given: argparse.Namespace) -> dict[str, float]:
    """The bundle's inference."""
    with tempfile.TemporaryDirectory() as out:
        options = {"ckpt_dir": str(given.ckpt_dir), "amp": given.amp == "True", "tta": given.tta == "True"}
        paths = {"input": str(given.scene), "output_dir": out, "as": "raster"}
        workflow = ConfigWorkflow(str(CONFIG), workflow_type="inference", **options, **paths)
        workflow.initialize()
        workflow.run()
        seconds = workflow.parser.get_parsed_content("scenes").seconds
        workflow.finalize()
    n_windows, window_px = _n_windows(given)
    return {**seconds, "window_px": n_windows * window_px**2, "scene_px": float(np.prod(_shape(given.scene)))}


def bare(given: argparse.Namespace) -> dict[str, float]:
    """The network alone, on batches in memory."""
    network, device = _network(given)
    size = _n_windows(given)[1]
    times = []
    batch = torch.randn(4, 1, size, size, device=device)
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
        for _ in range(14):
            started = time.monotonic()
            network(batch).float().cpu()
            times.append(time.monotonic() - started)
    return {"px_per_s": 4 * size**2 / statistics.median(times[4:])}


def monai(given: argparse.Namespace) -> dict[str, float]:
    """MONAI's inferer with Gaussian weights and an overlap of .25, the whole map in memory, and no objects."""
    network, device = _network(given)
    size = _n_windows(given)[1]
    started = time.monotonic()
    with rasterio.open(given.scene) as source:
        dn = source.read(1)
    image = np.log(np.clip(dn / np.median(dn[dn > 0]), np.exp(-2), np.exp(2)), where=dn > 0, out=np.zeros(dn.shape))
    whole = torch.from_numpy(image.astype(np.float32))[None, None]
    inferer = SlidingWindowInferer((size, size), 4, 0.25, mode="gaussian", sw_device=device, device="cpu")
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
        inferer(whole, network).softmax(1)
    return {"network": time.monotonic() - started}


PARTS = {"bare": bare, "ours": ours, "monai": monai}


def _network(given: argparse.Namespace) -> tuple[torch.nn.Module, torch.device]:
    device = default_device()
    stored = json.loads((given.ckpt_dir / "model.json").read_text())["network"]
    network = build_network(settings_from_json(stored))
    network.load_state_dict(torch.load(given.ckpt_dir / "model.pt", weights_only=True))
    return place_network(network, device, given.amp == "True").eval(), device


def _n_windows(given: argparse.Namespace) -> tuple[int, int]:
    inferer = window_inferer(SimpleInferer(), str(given.ckpt_dir), 4)
    rows, columns = (windows_along(n, inside) for n, inside in zip(_shape(given.scene), inferer.inside_px, strict=True))
    return len(rows) * len(columns), inferer.window_px[0]


def _shape(path: Path) -> tuple[int, int]:
    with rasterio.open(path) as source:
        return source.height, source.width


def _simulated(folder: Path, size: tuple[int, int]) -> Path:
    place = ["--gcp_centre", "-90", "27", "--pixel_size", "40", "--size", *map(str, size)]
    command = [sys.executable, "-m", "seep_monai", "simulate", str(folder / "sim"), "--scenes", "1", *place]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next((folder / "sim" / "images").glob("*.tif"))


def _in_process(words: list[str]) -> dict[str, float]:
    command = [sys.executable, __file__, *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _print(results: dict[str, dict[str, float]]) -> None:
    mine, alone = results["ours"], results["bare"]
    mpx = mine["scene_px"] / 1e6
    total = sum(mine[name] for name in ("level", "network", "objects", "files"))
    rows = [
        ("device", f"{default_device()}, {os.environ.get('OMP_NUM_THREADS', torch.get_num_threads())} threads"),
        ("scene", f"{mpx:.1f} Mpx"),
        ("whole inference, s per 100 Mpx", f"{total * 100 / mpx:.1f}"),
        *((f"  {name}", f"{mine[name] * 100 / mpx:.1f}") for name in ("level", "network", "objects", "files")),
        ("bare network, Mpx of windows a s", f"{alone['px_per_s'] / 1e6:.2f}"),
        ("reading to maps over the bare network", f"{mine['window_px'] / mine['network'] / alone['px_per_s']:.2f}"),
        ("peak memory, GiB", f"{mine['peak_gib']:.2f}"),
    ]
    if "monai" in results:
        rows.append(("SlidingWindowInferer, s per 100 Mpx", f"{results['monai']['network'] * 100 / mpx:.1f}"))
        rows.append(("  its peak memory, GiB", f"{results['monai']['peak_gib']:.2f}"))
    for name, value in rows:
        print(f"{name:<40}{value}")


if __name__ == "__main__":
    main()
