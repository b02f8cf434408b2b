"""Simulate SAR tiles with potential seeps and their masks, or whole scenes of any size with their ground truth."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from seep_monai.errors import SeepError
from seep_monai.simulate.sample import EMPTY_SHARE, MIN_SCENES, make_sample_data
from seep_monai.simulate.settings import PIXEL_SIZE_M, Orbit, SceneSettings, Variety

if TYPE_CHECKING:
    from seep_monai.simulate.georeference import Georeference

# Source: flight direction of Sentinel-1 on ascending passes, about 12 deg west of north.
HEADING_DEG = 348.0
DEFAULTS = SceneSettings()
# Choice: the winds at which films are seen, and the looks of products from full resolution to 10 x 10 px means.
ARCHIVE = SceneSettings(wind_m_s=(2.5, 10.0), looks=(4.0, 30.0), orbit="any", variety="archive")
# Measured: a process takes about 1 s to start and import, in which another one draws 20 tiles.
MIN_TILES_PER_WORKER = 40
GEOREFERENCE = ("epsg", "pixel_size", "upper_left", "gcp_centre")


def main(words: Sequence[str]) -> None:
    """Parse the command line and write the simulated data."""
    arguments = _parser().parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        usual = ARCHIVE if arguments.variety == "archive" else DEFAULTS
        settings = SceneSettings(
            size_px=tuple(arguments.size),
            seep_share=arguments.seep_share,
            class_frequencies=tuple(arguments.class_frequencies),
            wind_m_s=tuple(arguments.wind or usual.wind_m_s),
            looks=tuple(arguments.looks or usual.looks),
            film_scale=arguments.film_scale,
            pool_share=arguments.pool_share,
            orbit=arguments.orbit or ("radar" if arguments.gcp_centre else usual.orbit),
            variety=arguments.variety,
        )
        make = _make_tiles if arguments.scenes is None else _make_scenes
        make(arguments, settings)
    except SeepError as error:
        raise SystemExit(str(error)) from error


def _make_tiles(arguments: argparse.Namespace, settings: SceneSettings) -> None:
    given = [name for name in (*GEOREFERENCE, "dates") if getattr(arguments, name) is not None]
    if given:
        raise SeepError(f"--{given[0]}: requires --scenes, because tiles have no place. Remove it.")
    n_tiles = 400 if arguments.n_tiles is None else arguments.n_tiles
    make_sample_data(
        arguments.out,
        n_tiles=n_tiles,
        seed=arguments.seed,
        n_scenes=arguments.n_scenes,
        empty_share=EMPTY_SHARE if arguments.empty_share is None else arguments.empty_share,
        settings=settings,
        overwrite=arguments.overwrite,
        n_workers=_n_workers(n_tiles) if arguments.workers is None else arguments.workers,
    )


def _n_workers(n_tiles: int) -> int:
    """Number of processes for `n_tiles` tiles: at most one per core that this process may use."""
    return max(1, min(len(os.sched_getaffinity(0)), n_tiles // MIN_TILES_PER_WORKER))


def _make_scenes(arguments: argparse.Namespace, settings: SceneSettings) -> None:
    given = [name for name in ("n_tiles", "n_scenes", "empty_share", "workers") if getattr(arguments, name) is not None]
    if given:
        raise SeepError(f"--{given[0]}: applies to tiles, but --scenes writes whole scenes. Remove one of the two.")
    # Imported here, because the simulation of tiles must not require GDAL.
    from seep_monai.simulate.archive_sample import ArchivePlan, make_archive
    from seep_monai.simulate.georeference import AffineReference
    from seep_monai.simulate.scene_sample import ScenePlan, make_scenes

    georeference = _georeference(arguments, settings)
    if arguments.dates is None:
        plan = ScenePlan(arguments.seed, arguments.scenes, settings, georeference)
        make_scenes(arguments.out, plan, overwrite=arguments.overwrite)
        return
    if not isinstance(georeference, AffineReference):
        raise SeepError("--dates: requires places on a map grid. Give --epsg, --pixel_size and --upper_left.")
    archive = ArchivePlan(arguments.seed, arguments.scenes, arguments.dates, settings, georeference)
    make_archive(arguments.out, archive, overwrite=arguments.overwrite)


def _georeference(arguments: argparse.Namespace, settings: SceneSettings) -> Georeference:
    from seep_monai.simulate.georeference import AffineReference, NoReference, orbit_gcps

    if arguments.gcp_centre is not None:
        if arguments.epsg is not None or arguments.upper_left is not None:
            raise SeepError("--gcp_centre: control points are in degrees. Remove --epsg and --upper_left.")
        centre = (arguments.gcp_centre[0], arguments.gcp_centre[1])
        return orbit_gcps(
            settings.size_px, centre, pixel_m=arguments.pixel_size or PIXEL_SIZE_M, heading_deg=HEADING_DEG
        )
    if arguments.epsg is not None:
        if arguments.pixel_size is None or arguments.upper_left is None:
            raise SeepError("--epsg: requires --pixel_size and --upper_left in its units. Give both.")
        return AffineReference(arguments.epsg, arguments.pixel_size, *arguments.upper_left)
    if arguments.pixel_size is not None or arguments.upper_left is not None:
        raise SeepError(
            "--pixel_size, --upper_left: require --epsg or --gcp_centre. Give one of these, or remove them."
        )
    return NoReference()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "seep-monai simulate",
        description=__doc__,
        epilog="Tiles: OUT/train_images_256/SCENE.TILE.tif (uint16, 256 x 256, 0 = outside the swath), "
        "OUT/train_masks_256 with the same names (uint8, 0 = no seep, 1..7 = seep class). Scenes (--scenes): "
        "OUT/images/SCENE.tif, OUT/masks/SCENE.tif, OUT/slicks/SCENE.geojson, with --dates OUT/vents.geojson. All: "
        "OUT/simulation.json, from which every scene can be reproduced. The same options and seed give the same files.",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="output folder")
    parser.add_argument("--n_tiles", type=int, help="number of tiles (default: 400)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    parser.add_argument(
        "--n_scenes",
        type=int,
        help="number of scenes of the tiles (default: the fewest that hold all tiles, but at least "
        f"{MIN_SCENES} if each then has two tiles)",
    )
    parser.add_argument("--empty_share", type=float, help=f"share of tiles without seep (default: {EMPTY_SHARE})")
    parser.add_argument("--overwrite", action="store_true", help="replace simulated data in OUT")
    parser.add_argument("--workers", type=int, help="number of processes that draw tiles (default: one per core)")
    _add_scene_options(parser.add_argument_group("scene options"))
    _add_raster_options(parser.add_argument_group("whole scenes instead of tiles"))
    return parser


def _add_scene_options(group: argparse._ArgumentGroup) -> None:
    pair: dict[str, Any] = {"nargs": 2, "type": float, "metavar": ("LOW", "HIGH")}
    group.add_argument(
        "--size",
        nargs=2,
        type=int,
        metavar=("ROWS", "COLS"),
        default=DEFAULTS.size_px,
        help="size of a scene in px (default: %(default)s)",
    )
    group.add_argument(
        "--seep_share", type=float, default=DEFAULTS.seep_share, help="share of tiles with seep (default: %(default)s)"
    )
    group.add_argument(
        "--class_frequencies",
        nargs=7,
        type=float,
        metavar="SHARE",
        default=DEFAULTS.class_frequencies,
        help="relative frequency of each class, seven shares with sum 1 (default: as in the real set, %(default)s)",
    )
    group.add_argument(
        "--variety",
        choices=get_args(Variety),
        default=DEFAULTS.variety,
        help="reference (default): scenes vary as in the real set; archive: pixel size, noise floor, coding, texture "
        "and look-alikes vary as between archives",
    )
    for name, unit in (("wind_m_s", "median wind, m/s"), ("looks", "equivalent looks")):
        usual = f"{getattr(DEFAULTS, name)}, with --variety archive {getattr(ARCHIVE, name)}"
        group.add_argument(f"--{name.removesuffix('_m_s')}", **pair, help=f"{unit} (default: {usual})")
    group.add_argument(
        "--film_scale",
        type=float,
        default=DEFAULTS.film_scale,
        help="scale factor of film lengths and widths, 1 as in the real set; the sea is not scaled",
    )
    group.add_argument(
        "--pool_share",
        type=float,
        default=DEFAULTS.pool_share,
        help="share of the slicks of class 5 that are pools (default: %(default)s, as in the real set)",
    )
    group.add_argument(
        "--orbit",
        choices=get_args(Orbit),
        help="descending (default, as in the real set), ascending (its mirror image), radar: sensor geometry with rows "
        "along the flight and near range in the first column (default with --gcp_centre), or any of the three at "
        "random in each scene (default with --variety archive)",
    )


def _add_raster_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--scenes", type=int, metavar="N", help="write N whole scenes instead of tiles")
    group.add_argument(
        "--dates",
        type=int,
        metavar="D",
        help="an archive: N frames beside each other with the same vents and platforms on D dates; requires --epsg",
    )
    group.add_argument("--epsg", type=int, help="EPSG code of an affine georeference")
    group.add_argument("--pixel_size", type=float, help="in units of --epsg, or in m with --gcp_centre (default: 40)")
    group.add_argument("--upper_left", nargs=2, type=float, metavar=("X", "Y"), help="outer corner of the first pixel")
    group.add_argument(
        "--gcp_centre",
        nargs=2,
        type=float,
        metavar=("LON", "LAT"),
        help="georeference by 11 x 21 ground control points of an orbit, centred at this position",
    )
