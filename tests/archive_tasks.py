"""Tasks of an archive that need no network, and archives of them. Workers import this module, so it imports little."""

from __future__ import annotations

import os
import signal
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seep_monai.archive.attempts import ListedScene
from seep_monai.archive.engine import Totals, run_archive
from seep_monai.archive.executors import ExecutorChoice
from seep_monai.archive.inference import Model
from seep_monai.archive.scene_list import WHOLE, Shard
from seep_monai.errors import DataError

MODEL = Model("ab" * 32, "/weights/model.pt", tuple(f"Seep cls{k}" for k in range(1, 8)), (320, 320))


@dataclass(frozen=True)
class PlainTask:
    """Does what the name of the scene says, and notes each attempt in a folder.

    `kill`: kills its worker. `gpu`: loses the GPU. `bad`: fails. `flaky`: fails the first time.
    """

    notes: str
    settings: str = '{"weights": "ab", "instances": {"low": 0.5}}'
    seconds: float = 0.0

    def __call__(self, scene: ListedScene, folder: Path) -> dict[str, Any]:
        kind = scene.name.partition("_")[0]
        n_before = len(list(Path(self.notes).glob(f"{scene.name}.*")))
        (Path(self.notes) / f"{scene.name}.{os.getpid()}.{time.time_ns()}").touch()
        (folder / f"{scene.name}_part.txt").write_text("half")
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "gpu":
            raise RuntimeError("CUDA error: device-side assert triggered")
        if kind == "bad" or (kind == "flaky" and not n_before):
            raise DataError(f"{scene.path}: expected rows, but row {len(scene.name)} is missing.")
        time.sleep(self.seconds)
        (folder / f"{scene.name}_part.txt").write_text("whole")
        return {"pixels": 100, "seeps": 2, "time": scene.time, "platform": None, "footprint": None}


@dataclass(frozen=True)
class DrawTask:
    """Writes the class map and the polygons of a scene of 300 x 300 px that depend on its name alone."""

    settings: str = '{"weights": "ab"}'
    seconds: float = 0.0

    def __call__(self, scene: ListedScene, folder: Path) -> dict[str, Any]:
        import numpy as np
        import rasterio
        from scene_places import UTM, seeps_of

        from seep_monai.archive.footprint import valid_area
        from seep_monai.scene.vector_files import write_seeps

        time.sleep(self.seconds)
        # Bars near nine places, so that those of two scenes overlap here and there.
        rng, mask = np.random.default_rng(zlib.crc32(scene.name.encode())), np.zeros((300, 300), np.uint8)
        for top in (40, 120, 200):
            for left in (20, 110, 200):
                row, column = rng.integers(0, 25, 2)
                mask[top + row : top + row + 9, left + column : left + column + 40] = rng.integers(1, 8)
        classes = mask.copy()
        classes[:20] = 255
        path, shape = folder / f"{scene.name}_classes.tif", {"height": 300, "width": 300, "count": 1, "dtype": "uint8"}
        with rasterio.open(path, "w", driver="GTiff", crs=UTM.crs.to_wkt(), transform=UTM.affine, **shape) as target:
            target.write(classes.astype(np.uint8), 1)
        seeps = seeps_of(mask)
        of_all = {"scene": scene.name, "time": scene.time, "model_sha256": MODEL.sha256}
        write_seeps(folder / scene.name, seeps, UTM, MODEL.class_names, **of_all)
        return {
            "time": scene.time,
            "platform": scene.platform,
            "footprint": valid_area(path),
            "pixels": mask.size,
            "seeps": len(seeps),
        }


def scenes(*names: str, minutes_apart: int = 5) -> list[ListedScene]:
    """Scenes with these names, taken one after the other."""
    times = [f"2023-04-01T{k * minutes_apart // 60:02d}:{k * minutes_apart % 60:02d}:00Z" for k in range(len(names))]
    return [ListedScene(name, Path(f"/scenes/{name}.tif"), time) for name, time in zip(names, times, strict=True)]


def run(listed: list[ListedScene], task: Any, out: Path, n_workers: int = 2, shard: Shard = WHOLE) -> Totals:
    """The archive on local workers."""
    out.mkdir(exist_ok=True)
    return run_archive(listed, task, out, ExecutorChoice("local", n_workers), shard=shard)


if __name__ == "__main__":
    # A driver that tests kill: OUT N_SCENES SECONDS.
    drawn = scenes(*(f"s{k:02d}" for k in range(int(sys.argv[2]))))
    run(drawn, DrawTask(seconds=float(sys.argv[3])), Path(sys.argv[1]))
