"""Measure the simulator: tiles a second with and without files, and the peak memory of one large scene."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from seep_monai.simulate.drawing import draw_parameters
from seep_monai.simulate.georeference import NoReference
from seep_monai.simulate.sample import make_sample_data
from seep_monai.simulate.scene import plan_scene
from seep_monai.simulate.scene_sample import ScenePlan, make_scenes
from seep_monai.simulate.settings import SceneSettings
from seep_monai.simulate.tiles import grid, tile_window


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n_tiles", type=int, default=120, help="tiles of each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which medians are taken")
    parser.add_argument("--size", type=int, default=10000, help="side of the large scene, px; 0 leaves it out")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    samples = [_sample_seconds(arguments.n_tiles, seed) for seed in range(arguments.rounds)]
    draws = [_draw_seconds(arguments.n_tiles, seed) for seed in range(arguments.rounds)]
    print("CPU seconds of one process; median (least to most) of", arguments.rounds, "rounds")
    for what, seconds in (("sample data, files and scene plans included", samples), ("drawing alone", draws)):
        rates = [arguments.n_tiles / value for value in seconds]
        print(f"{what}: {statistics.median(rates):.0f} tiles/s ({min(rates):.0f} to {max(rates):.0f})")
    if arguments.size:
        # A fresh process, so that its peak is its own.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, peak_mib = pool.apply(_large_scene, (arguments.size,))
        print(f"scene of {arguments.size} x {arguments.size} px: {seconds:.0f} s, peak memory {peak_mib:.0f} MiB")


def _sample_seconds(n_tiles: int, seed: int) -> float:
    """CPU seconds of a sample with its files."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        make_sample_data(Path(folder) / "sample", n_tiles=n_tiles, seed=seed)
        return time.process_time() - start


def _draw_seconds(n_tiles: int, seed: int) -> float:
    """CPU seconds of drawing tiles spread over one scene."""
    scene = plan_scene(draw_parameters("900001", np.random.default_rng(seed)))
    n_rows, n_cols = grid(scene.shape)
    start = time.process_time()
    for index in np.linspace(1, n_rows * n_cols, n_tiles).astype(int):
        scene.draw(tile_window(int(index), scene.shape))
    return time.process_time() - start


def _large_scene(size: int) -> tuple[float, float]:
    """CPU seconds and peak memory in MiB of writing one whole scene."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        plan = ScenePlan(0, 1, SceneSettings(size_px=(size, size)), NoReference())
        make_scenes(Path(folder) / "scenes", plan)
        seconds = time.process_time() - start
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
