"""Sites against the true vents of a simulated archive, beside the level of chance.

ARCHIVE is the folder of `seep-monai simulate --dates`, OUT that of `seep-monai archive` on its images. The best site
takes the nearest free vent within --distance_km, then the next one. A site at a vent below --least_rate counts neither
as right nor as wrong, and sites with a bright target on half of their passes or more are left out, as are platforms.

With --drawn the slicks of OUT are replaced by those that were drawn, so that the sites of a perfect network are scored.

Chance: the slicks of each scene are moved by one random vector, around the edges of the scene, so that their number and
pattern stay and places that come back are lost. To shuffle the dates of the slicks would leave all places as they are.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import Transformer

from seep_monai.archive.sites import Sites, find_sites
from seep_monai.archive.sites_input import Scenes, Seeps, read_archive
from seep_monai.archive.sites_passes import pass_numbers
from seep_monai.archive.sites_peaks import directions
from seep_monai.archive.sites_places import SiteSettings
from seep_monai.errors import DataError, SeepError

TARGET_SHARE = 0.5
# Passes on which a slick was drawn at a vent: a vent with few cannot stand out.
GROUPS = ((0, 3), (4, 5), (6, 9), (10, None))


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, metavar="ARCHIVE")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--least_rate", type=float, default=0.2, help="of the vents to find (default: %(default)s)")
    parser.add_argument("--distance_km", type=float, default=2.0, help="of a site from its vent (default: %(default)s)")
    parser.add_argument(
        "--most_by_chance", type=float, default=1.0, help="as of seep-monai sites (default: %(default)s)"
    )
    parser.add_argument("--least_score", type=float, default=0.0, help="of the slicks that count (default: all)")
    parser.add_argument("--drawn", action="store_true", help="score the sites of the drawn slicks")
    parser.add_argument("--n_shuffles", type=int, default=20, help="random archives (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        seeps, scenes = read_archive(arguments.out)
        vents = read_vents(arguments.archive / "vents.geojson")
        seeps = read_drawn(arguments.archive, scenes) if arguments.drawn else seeps
        seeps = seeps.take(seeps.score >= arguments.least_score)
    except (SeepError, OSError) as error:
        raise SystemExit(str(error)) from error
    settings, rng = SiteSettings(most_by_chance=arguments.most_by_chance), np.random.default_rng(0)
    limits = {"least_rate": arguments.least_rate, "distance_km": arguments.distance_km}
    print(json.dumps(figures(find_sites(seeps, scenes, settings), vents, **limits), indent=1))
    chance = [
        figures(find_sites(shuffled(seeps, scenes, rng), scenes, settings), vents, **limits)
        for _ in range(arguments.n_shuffles)
    ]
    means = {f"mean_{name}": float(np.mean([one[name] for one in chance])) for name in ("sites", "found", "recall")}
    print(json.dumps({"by chance": means}, indent=1))


@dataclass(frozen=True, eq=False)
class Vents:
    """The natural vents of a simulated archive.

    Attributes:
        places: (n, 3), see `sites_peaks.directions`.
        rates: (n,) share of the passes on which a vent is active.
        n_shown: (n,) number of passes on which a slick is drawn.
    """

    places: np.ndarray
    rates: np.ndarray
    n_shown: np.ndarray


def read_vents(path: Path) -> Vents:
    """The vents of an archive, without its platforms."""
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    vents = [feature for feature in features if feature["properties"]["kind"] == "vent"]
    lon, lat = np.array([vent["geometry"]["coordinates"] for vent in vents]).reshape(-1, 2).T
    rates = np.array([vent["properties"]["rate"] for vent in vents])
    return Vents(directions(lon, lat), rates, np.array([len(vent["properties"]["dates_seen"]) for vent in vents]))


def read_drawn(archive: Path, scenes: Scenes) -> Seeps:
    """The slicks that were drawn and can be seen, each once a pass, as if all had been found: the longest film of each.

    A slick of a platform lies at a bright target, others do not.
    """
    features = json.loads((archive / "vents.geojson").read_text(encoding="utf-8"))["features"]
    platforms = [f["geometry"]["coordinates"] for f in features if f["properties"]["kind"] != "vent"]
    passes, films = pass_numbers(scenes), {}
    for index, name in enumerate(scenes.names):
        content = json.loads((archive / "slicks" / f"{name}.geojson").read_text(encoding="utf-8"))
        to_globe = Transformer.from_crs(content["crs"]["properties"]["name"], 4326, always_xy=True)
        for film in content["features"]:
            properties = film["properties"]
            if not properties["visible_share"] or film["geometry"]["type"] != "LineString":
                continue
            # To 100 m, the same slick in two scenes of a pass.
            origin = properties["origin_x"], properties["origin_y"]
            key = passes[index], round(origin[0], -2), round(origin[1], -2)
            if key not in films or properties["length_px"] > films[key][1]["length_px"]:
                ends = [to_globe.transform(*place[:2]) for place in (origin, film["geometry"]["coordinates"][-1])]
                films[key] = index, properties, ends
    if not films:
        raise DataError(f"{archive / 'slicks'}: expected drawn slicks that can be seen, but there is none.")
    index, properties, ends = zip(*films.values(), strict=True)
    (lon, lat), ones = np.array(ends).T, np.ones(len(ends))
    target_km = np.full(len(ends), np.nan)
    if platforms:
        at, there = directions(lon[0], lat[0]), directions(*np.array(platforms)[:, :2].T)
        target_km = np.linalg.norm(at[:, None] - there[None], axis=2).min(axis=1)
    label = np.array([film["class"] for film in properties])
    return Seeps(np.array(index), lon, lat, label, ones, ones, ones, target_km)


def figures(sites: Sites, vents: Vents, *, least_rate: float, distance_km: float) -> dict[str, Any]:
    """Counts and shares of the sites, by rank; a share of nothing is None."""
    columns = sites.columns
    natural = np.flatnonzero(~(columns["target_share"] >= TARGET_SHARE))
    at = directions(columns["lon"][natural], columns["lat"][natural])
    pairs = matched(np.linalg.norm(at[:, None] - vents.places[None], axis=2), distance_km)
    wanted = vents.rates >= least_rate
    good = [(natural[site], vent) for site, vent in pairs.items() if wanted[vent]]
    inside = [
        columns["recurrence_low"][site] <= vents.rates[vent] <= columns["recurrence_high"][site] for site, vent in good
    ]
    found = np.zeros(len(wanted), bool)
    found[[vent for _, vent in good]] = True
    by_passes = {}
    for low, high in GROUPS:
        group = wanted & (vents.n_shown >= low) & (vents.n_shown <= (math.inf if high is None else high))
        by_passes[f"{low} or more" if high is None else f"{low} to {high}"] = f"{found[group].sum()} of {group.sum()}"
    n_wrong = len(natural) - len(pairs)
    return {
        "vents": int(wanted.sum()),
        "sites": len(natural),
        "found": len(good),
        "at_rarer_vents": len(pairs) - len(good),
        "wrong": n_wrong,
        "recall": len(good) / int(wanted.sum()) if wanted.any() else None,
        "precision": len(good) / (len(good) + n_wrong) if len(good) + n_wrong else None,
        "rate_inside_interval": float(np.mean(inside)) if inside else None,
        "found_by_passes_with_a_slick": by_passes,
        "left_out_at_targets": len(sites) - len(natural),
    }


def matched(distances: np.ndarray, limit: float) -> dict[int, int]:
    """The vent of each site that has one: rows are sites, the best first, and columns vents."""
    pairs: dict[int, int] = {}
    free = np.ones(distances.shape[1], bool)
    for site, row in enumerate(distances):
        near = np.where(free & (row <= limit), row, np.inf)
        if np.isfinite(near).any():
            pairs[site] = int(near.argmin())
            free[pairs[site]] = False
    return pairs


def shuffled(seeps: Seeps, scenes: Scenes, rng: np.random.Generator) -> Seeps:
    """The slicks of each scene moved by one vector within the box of the scene, around its edges."""
    west, south, east, north = shapely.bounds(scenes.footprints)[seeps.scene].T
    share_x, share_y = rng.random((2, len(scenes.names)))[:, seeps.scene]
    new_lon = west + (seeps.lon[0] - west + share_x * (east - west)) % np.maximum(east - west, 1e-9)
    new_lat = south + (seeps.lat[0] - south + share_y * (north - south)) % np.maximum(north - south, 1e-9)
    # The other end goes with the origin.
    return replace(seeps, lon=seeps.lon + new_lon - seeps.lon[0], lat=seeps.lat + new_lat - seeps.lat[0])


if __name__ == "__main__":
    main()
