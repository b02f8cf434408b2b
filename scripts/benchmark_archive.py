"""What an archive costs beside its scenes, how long its catalogue takes, and how long an archive of scenes takes.

Overhead: scenes that sleep, so that they need no cores. It is the time of all workers less that of all scenes, over
that of all scenes. Catalogue: an archive is made of outputs with random polygons, and its catalogue is written in a
process of its own, whose time and peak memory are printed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seep_monai.archive.attempts import SCENES, ListedScene

SETTINGS = '{"benchmark": true}'
ALL_SCENES = 100_000
GPUS = (1, 10, 100)
# Source: O'Reilly and others 2022: 1,618 seep zones in the Gulf of Mexico.
N_VENTS = 1618
N_FRAMES, FRAME_DEG, OVERLAP_DEG, WEST_SOUTH = 10, (2.4, 2.0), 0.1, (-96.0, 26.0)
# As many as the outline of a slick of some 100 px has.
N_CORNERS = 50


@dataclass(frozen=True)
class SleepTask:
    """A scene that sleeps."""

    seconds: float
    settings: str = SETTINGS

    def __call__(self, scene: ListedScene, folder: Path) -> dict[str, Any]:
        time.sleep(self.seconds)
        return {"pixels": 1, "seeps": 0, "pid": os.getpid(), "ended": time.time()}


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n_scenes", type=int, default=1000, help="scenes that sleep; 0 leaves them out")
    parser.add_argument("--seconds", type=float, default=1.0, help="sleep of each (default: %(default)s)")
    parser.add_argument("--executor", default="local:20", help="see seep-monai archive (default: %(default)s)")
    parser.add_argument("--n_seeps", type=int, default=1_000_000, help="seeps of the catalogue; 0 leaves it out")
    parser.add_argument("--catalogue_scenes", type=int, default=1000, help="scenes of the catalogue")
    parser.add_argument("--out", type=Path, help="folder for the archive of the catalogue, kept (default: removed)")
    parser.add_argument("--scene_seconds", type=float, nargs="*", default=(), help="measured seconds of a scene")
    given = parser.parse_args()
    if given.n_scenes:
        _print_overhead(given.n_scenes, given.seconds, given.executor)
    if given.n_seeps:
        _print_catalogue(given.n_seeps, given.catalogue_scenes, given.out)
    for seconds in given.scene_seconds:
        print(f"{ALL_SCENES} scenes of {seconds:g} s:", *(_duration(seconds, n_gpus) for n_gpus in GPUS), sep="\n  ")


def _print_overhead(n_scenes: int, seconds: float, executor: str) -> None:
    # Here, because each worker imports this file again.
    from seep_monai.archive.engine import run_archive
    from seep_monai.archive.executors import ExecutorChoice

    choice = ExecutorChoice.parse(executor)
    with tempfile.TemporaryDirectory() as folder:
        scenes = [ListedScene(f"s{k:06d}", Path(f"/s{k}.tif")) for k in range(n_scenes)]
        begun = time.time()
        totals = run_archive(scenes, SleepTask(seconds), Path(folder), choice)
        records = [json.loads(path.read_text()) for path in Path(folder).glob(f"{SCENES}/*/record.json")]
    in_scenes = sum(record["seconds"] for record in records)
    of_worker: dict[int, list[dict[str, Any]]] = {}
    for record in records:
        of_worker.setdefault(record["pid"], []).append(record)
    spans = [
        max(r["ended"] for r in some) - min(r["ended"] - r["seconds"] for r in some) for some in of_worker.values()
    ]
    first = [min(r["ended"] - r["seconds"] for r in some) - begun for some in of_worker.values()]
    print(
        f"{len(records)} scenes of {seconds:g} s on {len(of_worker)} workers: {totals.seconds:.1f} s; overhead "
        f"{100 * (len(of_worker) * totals.seconds / in_scenes - 1):.2f} %, of which between the scenes of a worker "
        f"{100 * (sum(spans) / in_scenes - 1):.2f} %; workers began after {min(first):.1f} to {max(first):.1f} s"
    )


def _print_catalogue(n_seeps: int, n_scenes: int, out: Path | None) -> None:
    folder = Path(tempfile.mkdtemp()) if out is None else out
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        if not (folder / SCENES).is_dir():
            pool.apply(_make_outputs, (folder, n_seeps, n_scenes))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        wall, cpu, peak_gib, n_found = pool.apply(_write, (folder,))
    print(
        f"catalogue of {n_found} seeps in {n_scenes} scenes: {wall:.1f} s, {cpu:.1f} s of one core, peak memory "
        f"{peak_gib:.2f} GiB"
    )
    if out is None:
        shutil.rmtree(folder)


def _make_outputs(folder: Path, n_seeps: int, n_scenes: int) -> None:
    """An archive of ten frames that overlap a little, seen again and again; half of the seeps lie at vents."""
    import numpy as np
    import pyogrio
    import shapely

    from seep_monai.scene.vector_files import FIELDS, LAYER

    rng = np.random.default_rng(0)
    vents = rng.uniform(0, 1, (N_VENTS, 2)) * (N_FRAMES * FRAME_DEG[0], FRAME_DEG[1]) + WEST_SOUTH
    for index in range(n_scenes):
        date, frame = divmod(index, N_FRAMES)
        west, n = WEST_SOUTH[0] + frame * FRAME_DEG[0], n_seeps // n_scenes + (index < n_seeps % n_scenes)
        near = vents[(vents[:, 0] >= west) & (vents[:, 0] < west + FRAME_DEG[0] + OVERLAP_DEG)]
        anywhere = rng.uniform(0, 1, (n, 2)) * (FRAME_DEG[0] + OVERLAP_DEG, FRAME_DEG[1]) + (west, WEST_SOUTH[1])
        origins = np.where(np.arange(n)[:, None] % 2, anywhere, near[rng.integers(0, len(near), n)])
        origins = origins + rng.normal(0, 0.003, (n, 2))
        angles = np.linspace(0, 2 * np.pi, N_CORNERS, endpoint=False)
        radii = rng.uniform(0.5, 1, (n, N_CORNERS, 1)) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        rings = origins[:, None] + radii * rng.uniform(0.001, 0.01, (n, 1, 2))
        polygons = shapely.multipolygons(shapely.polygons(rings)[:, None])
        name, time_of = f"S{index:06d}", np.datetime64("2020-01-01T00:00:00") + date * 86400 + frame * 25
        values = {
            field: np.full(n, "x", object) if kind is object else np.ones(n, kind) for field, kind in FIELDS.items()
        }
        values |= {"lon": origins[:, 0], "lat": origins[:, 1], "origin_lon": origins[:, 0], "origin_lat": origins[:, 1]}
        values |= {"time": np.full(n, f"{time_of}Z", object), "scene": np.full(n, name, object)}
        place = folder / SCENES / name
        place.mkdir(parents=True)
        pyogrio.raw.write(
            place / f"{name}_seeps.gpkg",
            geometry=shapely.to_wkb(polygons),
            field_data=[values[field].astype(kind) for field, kind in FIELDS.items()],
            fields=list(FIELDS),
            layer=LAYER,
            driver="GPKG",
            geometry_type="MultiPolygon",
            crs="EPSG:4326",
        )
        corners = shapely.box(west, WEST_SOUTH[1], west + FRAME_DEG[0] + OVERLAP_DEG, WEST_SOUTH[1] + FRAME_DEG[1])
        files = {path.name: path.stat().st_size for path in place.iterdir()}
        record = {"scene": name, "path": f"/{name}.tif", "time": f"{time_of}Z", "platform": "sentinel-1a"}
        record |= {"pixels": 1, "seeps": n, "files": files, "settings": json.loads(SETTINGS)}
        record["footprint"] = shapely.geometry.mapping(corners)
        (place / "record.json").write_text(json.dumps(record))


def _write(folder: Path) -> tuple[float, float, float, int]:
    from seep_monai.archive.catalogue import write_catalogue
    from seep_monai.archive.inference import Model

    model = Model("ab" * 32, str(folder / "model.pt"), tuple(f"Seep cls{k}" for k in range(1, 8)), (320, 320))
    wall, cpu = time.perf_counter(), time.process_time()
    _, n_seeps = write_catalogue(folder, SETTINGS, model)
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return time.perf_counter() - wall, time.process_time() - cpu, peak_gib, n_seeps


def _duration(seconds: float, n_gpus: int) -> str:
    hours = ALL_SCENES * seconds / n_gpus / 3600
    return f"{n_gpus} GPU{'s' if n_gpus > 1 else ''}: {hours:.0f} h, {hours / 24:.1f} days"


if __name__ == "__main__":
    main()
