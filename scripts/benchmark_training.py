"""Compare the bundle's training loop with a bare PyTorch loop, and time the loading of the cache, all in one run.

The whole loop is that of train.json: loader, augmentation, trainer, progress bar, guards, curves and last checkpoint,
without validation. The bare loop is forward, loss, backward and step of the same network, loss, batch size, precision,
memory format and threads, on batches that are already in memory. Both train in turn, epoch by epoch, and medians are
compared.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

import torch
import yaml
from ignite.engine import Engine, Events
from monai.bundle import ConfigWorkflow

from seep_monai.crossval.settings import parse_overrides
from seep_monai.errors import ConfigError
from seep_monai.simulate.sample import make_sample_data

AUGMENTATIONS = ("augment#turn_prob", "augment#paste_prob")
CONFIG = Path(__file__).resolve().parent.parent / "bundle" / "configs" / "train.json"


class Stopwatch:
    """Seconds of each epoch of an engine, with a bare epoch after each."""

    def __init__(self, bare_epoch: BareLoop) -> None:
        self.bare_epoch = bare_epoch
        self.whole_s: list[float] = []
        self.bare_s: list[float] = []

    def attach(self, engine: Engine) -> None:
        """Follow the trainer behind all its own handlers."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.start)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.stop)

    def start(self, engine: Engine) -> None:
        """Begin a whole epoch."""
        self._started = now()

    def stop(self, engine: Engine) -> None:
        """End it, and time a bare one."""
        self.whole_s.append(now() - self._started)
        started = now()
        self.bare_epoch()
        self.bare_s.append(now() - started)


class BareLoop:
    """One epoch over batches in memory: forward, loss, backward, step."""

    def __init__(self, trainer: Engine, batches: list[tuple[torch.Tensor, torch.Tensor]], learning_rate: float) -> None:
        self.trainer, self.batches = trainer, batches
        self.optimizer = torch.optim.AdamW(trainer.network.parameters(), lr=learning_rate)

    def __call__(self) -> None:
        """Train one epoch."""
        trainer = self.trainer
        for image, label in self.batches:
            self.optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cuda", enabled=trainer.amp, **trainer.amp_kwargs):
                loss = trainer.loss_function(trainer.network(image), label)
            loss.backward()
            self.optimizer.step()


def now() -> float:
    """The time in seconds when all work that was given to a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    """Read the command line, run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Any other id of train.json is set in both loops: --batch_size 16 --augment#paste_prob 0.5",
        allow_abbrev=False,
    )
    parser.add_argument("--dataset_dir", type=Path, help="data set to train on (default: simulated tiles)")
    parser.add_argument("--n_tiles", type=int, default=80, help="simulated tiles (default: %(default)s)")
    parser.add_argument("--n_rounds", type=int, default=5, help="epochs of each loop after one to warm up")
    arguments, words = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as scratch:
        dataset_dir = arguments.dataset_dir or Path(scratch) / "sample"
        if arguments.dataset_dir is None:
            make_sample_data(dataset_dir, n_tiles=arguments.n_tiles, seed=0)
        report(benchmark(dataset_dir, Path(scratch), n_rounds=arguments.n_rounds, **settings_of(words)))


def settings_of(words: list[str]) -> dict[str, object]:
    """Ids of train.json with their values, numbers as numbers; an unknown one ends the program."""
    try:
        overrides = parse_overrides(words, json.loads(CONFIG.read_text(encoding="utf-8")))
    except ConfigError as error:
        raise SystemExit(str(error)) from error
    return {name: yaml.safe_load(value) for name, value in overrides.items()}


def benchmark(dataset_dir: Path, scratch: Path, *, n_rounds: int, **overrides: object) -> dict[str, object]:
    """Medians over the rounds, and what they were measured with."""
    places = {"output_dir": str(scratch / "eval"), "ckpt_dir": str(scratch / "models"), "split#n_folds": 1}
    never = {"max_epochs": n_rounds + 1, "val_interval": 10**9}
    settings = {"dataset_dir": str(dataset_dir), **places, **never, **overrides}
    workflow = ConfigWorkflow(str(CONFIG), workflow_type="train", logging_file=False, **settings)
    workflow.initialize()
    parsed = workflow.parser.get_parsed_content
    for folder in ("eval", "models"):
        (scratch / folder).mkdir()
    started = now()
    n_tiles = len(parsed("train#dataset"))
    loading_s = now() - started
    trainer = parsed("train#trainer")
    batches = [trainer.prepare_batch(batch, trainer.state.device) for batch in parsed("train#dataloader")]
    stopwatch = Stopwatch(BareLoop(trainer, batches, parsed("learning_rate")))
    stopwatch.attach(trainer)
    trainer.run()
    workflow.finalize()
    whole, bare = statistics.median(stopwatch.whole_s[1:]), statistics.median(stopwatch.bare_s[1:])
    ratios = [b / w for b, w in zip(stopwatch.bare_s[1:], stopwatch.whole_s[1:], strict=True)]
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "threads": torch.get_num_threads(),
        "precision": trainer.amp_kwargs["dtype"] if trainer.amp else torch.float32,
        "batch": parsed("batch_size"),
        "tiles": n_tiles,
        "rounds": n_rounds,
        "whole loop, tiles/s": n_tiles / whole,
        "bare loop, tiles/s": n_tiles / bare,
        "ratio of medians": bare / whole,
        "ratio, lowest and highest round": f"{min(ratios):.3f} .. {max(ratios):.3f}",
        "loading and normalising 620 tiles, s": loading_s * 620 / n_tiles,
        "augmentation": ", ".join(f"{name} {parsed(name)}" for name in AUGMENTATIONS),
        "peak memory of the process, GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "peak GPU memory, GiB": torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else "none",
    }


def report(figures: dict[str, object]) -> None:
    """Print one line per figure."""
    for name, value in figures.items():
        print(f"{name:<40}{value:.3f}" if isinstance(value, float) else f"{name:<40}{value}")


if __name__ == "__main__":
    main()
