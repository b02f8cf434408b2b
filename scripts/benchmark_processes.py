"""Weak scaling of the training: tiles per second of several processes, with the same batch in each.

Each round trains for a few epochs with each number of processes in turn, by torch.distributed.run on this machine, and
reads the speed of each epoch from the run's curves. The first epoch, which warms up, is left out. Efficiency is the
speed of a process over that with the first number of processes in the same round: 1 is perfect. Medians over rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seep_monai.simulate.sample import make_sample_data


def main() -> None:
    """Read the command line, run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Any other id of train.json is set in all runs: --batch_size 8 --device cpu",
        allow_abbrev=False,
    )
    parser.add_argument("--n_processes", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--dataset_dir", type=Path, help="data set to train on (default: simulated tiles)")
    parser.add_argument("--n_tiles", type=int, default=48, help="simulated tiles (default: %(default)s)")
    parser.add_argument("--n_rounds", type=int, default=5, help="rounds (default: %(default)s)")
    parser.add_argument("--n_epochs", type=int, default=3, help="epochs of a run (default: %(default)s)")
    given, words = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as scratch:
        dataset_dir = given.dataset_dir or Path(scratch) / "sample"
        if given.dataset_dir is None:
            make_sample_data(dataset_dir, n_tiles=given.n_tiles, seed=0)
        rounds: list[dict[int, float]] = []
        for round_number in range(given.n_rounds):
            out = Path(scratch) / str(round_number)
            speeds = {n: tiles_per_s(n, dataset_dir, out / str(n), given.n_epochs, words) for n in given.n_processes}
            rounds.append(speeds)
            print(f"round {round_number + 1}: {rounds[-1]}", file=sys.stderr, flush=True)
    report(rounds)


def tiles_per_s(n_processes: int, dataset_dir: Path, out: Path, n_epochs: int, words: list[str]) -> float:
    """The median over the epochs of one run but the first."""
    settings = {"dataset_dir": dataset_dir, "output_dir": out / "eval", "ckpt_dir": out / "models", "run_name": "one"}
    settings |= {"max_epochs": n_epochs, "val_interval": n_epochs, "split#n_folds": 1}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={n_processes}"]
    command += ["-m", "seep_monai", "train", "--multi_gpu"]
    command += [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    events = EventAccumulator(str(out / "eval" / "runs" / "one"))
    events.Reload()
    return statistics.median(event.value for event in events.Scalars("train/tiles_per_second")[1:])


def report(rounds: list[dict[int, float]]) -> None:
    """Print one line for each number of processes."""
    print(f"{len(rounds)} rounds, {os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f} at the end")
    print(f"{'processes':<12}{'tiles/s':>10}{'lowest .. highest':>22}{'efficiency':>12}{'lowest .. highest':>20}")
    first = next(iter(rounds[0]))
    for n in rounds[0]:
        speeds = [one[n] for one in rounds]
        shares = [one[n] / n / (one[first] / first) for one in rounds]
        spread = f"{min(speeds):.2f} .. {max(speeds):.2f}"
        print(
            f"{n:<12}{statistics.median(speeds):>10.2f}{spread:>22}{statistics.median(shares):>12.3f}"
            f"{f'{min(shares):.3f} .. {max(shares):.3f}':>20}"
        )


if __name__ == "__main__":
    main()
