"""Find sites in an archive: places where slicks begin on more passes than chance would show.

OUT is the output folder of `seep-monai archive`. Writes SITES/sites.gpkg, sites.geojson, sites.csv and sites.html.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from seep_monai.archive.sites import Sites, find_sites
from seep_monai.archive.sites_files import write_sites
from seep_monai.archive.sites_input import Scenes, Seeps, read_archive, read_class_names
from seep_monai.archive.sites_places import SiteSettings
from seep_monai.errors import SeepError

DEFAULTS = SiteSettings()


def main(words: Sequence[str]) -> None:
    """Parse the command line, find the sites and write them."""
    parser = argparse.ArgumentParser(
        "seep-monai sites", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", metavar="OUT", type=Path, help="folder with seeps.gpkg and catalogue/")
    parser.add_argument("--output_dir", metavar="SITES", required=True, type=Path, help="folder for the sites")
    parser.add_argument(
        "--radius_km",
        type=float,
        default=DEFAULTS.radius_km,
        help="slicks that begin within this distance of a site belong to it (default: %(default)g)",
    )
    parser.add_argument(
        "--min_passes",
        type=int,
        default=DEFAULTS.min_passes,
        help="least number of passes with a slick (default: %(default)s)",
    )
    parser.add_argument(
        "--most_by_chance",
        type=float,
        default=DEFAULTS.most_by_chance,
        help="leave out sites of which slicks at random places would show more than this number (default: %(default)g)",
    )
    arguments = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("pyogrio").setLevel(logging.WARNING)
    try:
        settings = SiteSettings(arguments.radius_km, arguments.min_passes, arguments.most_by_chance)
        seeps, scenes = read_archive(arguments.archive)
        sites = find_sites(seeps, scenes, settings)
        names = read_class_names(arguments.archive)
        paths = write_sites(arguments.output_dir, sites, facts=_facts(seeps, scenes, sites), class_names=names)
    except SeepError as error:
        raise SystemExit(str(error)) from error
    print(f"{len(sites)} sites written to {', '.join(str(path) for path in paths)}")


def _facts(seeps: Seeps, scenes: Scenes, sites: Sites) -> list[tuple[str, str]]:
    """Rows of the table on the map page."""
    settings = sites.settings
    return [
        ("scenes", f"{len(scenes.names):,}"),
        ("passes", f"{len(sites.pass_times):,}"),
        ("slicks", f"{len(seeps):,}"),
        ("radius", f"{settings.radius_km:g} km"),
        ("least passes with a slick", str(settings.min_passes)),
        ("most sites by chance", f"{settings.most_by_chance:g}"),
        ("slicks begin to be seen", f"{sites.offset_km:.1f} km downstream"),
    ]
