"""Infer many scenes, and write one catalogue of all potential seeps.

LIST names the scenes: images, .SAFE folders, folders, patterns, text files with one path a line (.txt), and STAC items
or item collections on disk (.json, .geojson). The same command goes on where it was stopped. Writes OUT/scenes/<name>
with the files of `seep-monai infer`, OUT/jobs.csv, OUT/catalogue (STAC) and OUT/seeps.gpkg.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from seep_monai.archive.job_table import all_shards_ended, failures_by_reason, merged_rows, write_csv
from seep_monai.archive.scene_list import Shard, find_scenes
from seep_monai.errors import ConfigError, SeepError
from seep_monai.files import make_folder

CSV_FILE = "jobs.csv"


def main(words: Sequence[str]) -> None:
    """Parse the command line and run the archive."""
    parser = _parser()
    # Not by argparse, which would take the value of an option that it does not know for a scene.
    scenes = list(itertools.takewhile(lambda word: not word.startswith("-"), words))
    arguments, options = parser.parse_known_args(words[len(scenes) :])
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("pyogrio").setLevel(logging.WARNING)
    try:
        if arguments.status is not None:
            print(status(arguments.status))
            return
        if not scenes or arguments.output_dir is None:
            parser.error("expected LIST first, and --output_dir OUT")
        print(run(scenes, arguments, options))
    except SeepError as error:
        raise SystemExit(str(error)) from error
    except KeyboardInterrupt:
        print("stopped; give the same command again to go on", file=sys.stderr)
        raise SystemExit(130) from None


def run(words: Sequence[str], arguments: argparse.Namespace, options: Sequence[str]) -> str:
    """Infer the scenes that are not done, write the catalogue, and return the totals.

    Raises:
        SystemExit: at the end, with the totals, if scenes failed.
    """
    # Here, because `--status` needs none of torch and GDAL.
    from seep_monai.archive.agreement import agree
    from seep_monai.archive.catalogue import write_catalogue
    from seep_monai.archive.engine import run_archive
    from seep_monai.archive.executors import ExecutorChoice
    from seep_monai.archive.inference import make_task

    choice = ExecutorChoice.parse(arguments.executor, arguments.resources)
    shard = Shard.parse(arguments.shard)
    if arguments.retries < 0:
        raise ConfigError(f"retries: expected a whole number of at least 0, but got {arguments.retries}.")
    scenes = find_scenes(words)
    out = make_folder(arguments.output_dir, option="--output_dir").absolute()
    task, model = make_task(options, scenes[0], out)
    agree(out, task.settings, model)
    totals = run_archive(scenes, task, out, choice, shard=shard, retries=arguments.retries)
    report = [str(totals)]
    if all_shards_ended(out, shard):
        write_csv(out / CSV_FILE, merged_rows(out).values())
        n_scenes, n_seeps = write_catalogue(out, task.settings, model, geoparquet=arguments.geoparquet)
        report.append(f"catalogue of {n_scenes} scenes with {n_seeps} seeps written to {out}")
    else:
        report.append("the catalogue is written by the shard that ends last")
    text = "\n".join(report)
    if totals.n_failed:
        raise SystemExit(
            f"{text}\njobs.sqlite and {CSV_FILE} hold the message of each; the same command tries them again"
        )
    return text


def status(out: Path) -> str:
    """How many scenes of an archive are in which state, and why scenes failed."""
    rows = list(merged_rows(out).values())
    states = Counter(row.state for row in rows)
    lines = [f"{len(rows)} scenes", *(f"  {state:<10}{count:>8}" for state, count in sorted(states.items()))]
    seconds = sum(row.seconds for row in rows)
    n_pixels = sum(row.pixels for row in rows)
    n_seeps = sum(row.seeps for row in rows)
    if seconds:
        lines.append(f"{n_pixels / 1e6:.1f} Mpx, {n_pixels / seconds / 1e6:.3g} Mpx/s a worker, {n_seeps} seeps")
    lines += [f"{count} x {reason}" for reason, count in failures_by_reason(rows)]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "seep-monai archive",
        usage="seep-monai archive LIST --output_dir OUT [options], or --status OUT",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Any other id of bundle/configs/inference.json is passed to the inference of every scene (--ckpt_dir "
        "DIR, --amp True, --land FILE). docs/archive.md has an example of Dask, Slurm and Kubernetes.",
        allow_abbrev=False,
    )
    parser.add_argument("--output_dir", metavar="OUT", type=Path, help="folder of the archive")
    parser.add_argument("--status", metavar="OUT", type=Path, help="print the state of an archive, and do nothing else")
    parser.add_argument(
        "--executor", default="local:1", help="local:N processes, or dask:ADDRESS of a scheduler (default: %(default)s)"
    )
    parser.add_argument("--resources", metavar="NAME=AMOUNT", help="what a scene takes of a worker of Dask, as GPU=1")
    parser.add_argument("--shard", metavar="I/N", default="0/1", help="run every N-th scene from the I-th on, from 0")
    parser.add_argument(
        "--retries", type=int, default=2, help="how often a scene that fails is tried again (default: %(default)s)"
    )
    parser.add_argument("--geoparquet", action="store_true", help="write OUT/seeps.parquet too")
    return parser
