"""Time and peak memory of `seep-monai sites` on an archive of random slicks: reading, finding and writing.

A share of the slicks scatters around sites that are active on a tenth of their passes; the others lie anywhere. Scenes
are of one degree, in a square grid, twelve days apart. Seconds are of the wall and of the processor.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely

from seep_monai.archive.sites import find_sites
from seep_monai.archive.sites_files import write_sites
from seep_monai.archive.sites_input import read_archive
from seep_monai.archive.sites_places import SiteSettings

KM_PER_DEG = 111.195
SITE_SHARE, SCATTER_KM, RECURRENCE = 0.7, 0.7, 0.1


def main() -> None:
    """Read the command line, make the archive, run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeps", type=int, default=1_000_000, help="number of slicks (default: %(default)s)")
    parser.add_argument("--sites", type=int, default=1618, help="number of sites (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=36, help="scenes of a pass (default: %(default)s)")
    parser.add_argument("--dates", type=int, default=600, help="number of passes (default: %(default)s)")
    parser.add_argument(
        "--archive", type=Path, help="folder of the archive, made if missing (default: a temporary one)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.archive or Path(temporary) / "archive"
        if not folder.exists():
            make_archive(folder, arguments)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seeps, scenes = timed("read", lambda: read_archive(folder))
        sites = timed("find", lambda: find_sites(seeps, scenes, SiteSettings()))
        timed("write", lambda: write_sites(Path(temporary) / "sites", sites))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{len(seeps):,} slicks of {len(scenes.names):,} scenes: {len(sites):,} sites of {arguments.sites:,} planted")
    print(f"peak memory {peak / 1024:.0f} MiB ({before / 1024:.0f} MiB before reading)")


def timed(name: str, run: Callable[[], Any]) -> Any:
    """The result, after its times are printed."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    print(f"{name}: {time.perf_counter() - wall:.1f} s, processor {time.process_time() - cpu:.1f} s", flush=True)
    return result


def make_archive(folder: Path, arguments: argparse.Namespace) -> None:
    """Write `seeps.gpkg` and a catalogue as `seep-monai archive` does; geometries are points, which are not read."""
    rng, side = np.random.default_rng(0), int(np.ceil(np.sqrt(arguments.frames)))
    write_catalogue(folder, arguments.frames, arguments.dates, side)
    n_site = int(arguments.seeps * SITE_SHARE)
    # Sites at least 5 km apart, as on a jittered grid.
    cells = rng.choice((side * 16) ** 2, arguments.sites, replace=False)
    places = (np.stack(divmod(cells, side * 16), axis=1) + rng.uniform(0.25, 0.75, (arguments.sites, 2))) / 16
    site = rng.integers(0, arguments.sites, n_site)
    # Each site has its own tenth of the passes.
    active = np.argsort(rng.random((arguments.sites, arguments.dates)), axis=1)[:, : int(arguments.dates * RECURRENCE)]
    date = np.concatenate(
        [
            active[site, rng.integers(0, active.shape[1], n_site)],
            rng.integers(0, arguments.dates, arguments.seeps - n_site),
        ]
    )
    around = places[site] + rng.normal(0, SCATTER_KM / KM_PER_DEG, (n_site, 2))
    lat, lon = np.concatenate([around, rng.uniform(0, side, (arguments.seeps - n_site, 2))]).clip(0, side - 1e-6).T
    turn, length = rng.uniform(0, 2 * np.pi, arguments.seeps), rng.lognormal(1, 0.7, arguments.seeps) / KM_PER_DEG
    frame = (lat.astype(int) * side + lon.astype(int)).clip(0, arguments.frames - 1)
    columns = {
        "scene": np.array([f"s{d:05d}_{f:03d}" for d, f in zip(date.tolist(), frame.tolist(), strict=True)], object),
        "class": rng.integers(1, 8, arguments.seeps).astype(np.int32),
        "score": rng.random(arguments.seeps),
        "area_km2": rng.lognormal(0, 1, arguments.seeps),
        "length_km": length * KM_PER_DEG,
        "origin_lon": lon,
        "origin_lat": lat,
        "end_lon": lon + length * np.cos(turn),
        "end_lat": lat + length * np.sin(turn),
        "target_km": np.where(rng.random(arguments.seeps) < 0.05, 0.5, np.nan),
        "duplicate_of": np.full(arguments.seeps, None, object),
    }
    pyogrio.raw.write(
        folder / "seeps.gpkg",
        geometry=shapely.to_wkb(shapely.points(lon, lat)),
        field_data=list(columns.values()),
        fields=list(columns),
        layer="seeps",
        driver="GPKG",
        geometry_type="Point",
        crs="EPSG:4326",
    )


def write_catalogue(folder: Path, n_frames: int, n_dates: int, side: int) -> None:
    """Write one item for each frame and date."""
    links = []
    for date in range(n_dates):
        for frame in range(n_frames):
            name, (row, column) = f"s{date:05d}_{frame:03d}", divmod(frame, side)
            time_of = np.datetime64("2014-10-01T06:00:00") + np.timedelta64(date * 12 * 86400 + 25 * frame, "s")
            area = shapely.geometry.mapping(shapely.box(column, row, column + 1, row + 1))
            item = {"type": "Feature", "id": name, "geometry": area, "properties": {"datetime": f"{time_of}Z"}}
            path = folder / "catalogue" / name / f"{name}.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(item))
            links.append({"rel": "item", "href": f"./{name}/{name}.json"})
    (folder / "catalogue" / "catalog.json").write_text(json.dumps({"type": "Catalog", "links": links}))


if __name__ == "__main__":
    main()
