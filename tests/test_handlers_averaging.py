"""The running mean of the weights, against its closed form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ignite.engine import Engine

from seep_monai.errors import ConfigError
from seep_monai.handlers import AverageWeights, WeightAverage
from seep_monai.handlers.checkpoints import BestCheckpoint, LastCheckpoint


def trained_to(values: list[float], decay: float) -> tuple[WeightAverage, torch.nn.Linear]:
    """A weight that starts at 1 and takes these values step by step, and its average."""
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 5.0)
    average = WeightAverage(network, decay)
    torch.nn.init.constant_(network.weight, 1.0)
    steps = iter(values)
    engine = Engine(lambda engine, batch: torch.nn.init.constant_(network.weight, next(steps)))
    AverageWeights(average).attach(engine)
    engine.run([0] * len(values))
    return average, network


def test_average_follows_its_recursion_from_the_weights_at_the_start() -> None:
    average, network = trained_to([2.0, 4.0], 0.25)
    # Kept: min(.25, 2/11) = 2/11, then min(.25, 3/12) = 1/4.
    first = 2 / 11 * 1 + 9 / 11 * 2
    assert average.average.weight.item() == pytest.approx(0.25 * first + 0.75 * 4)
    assert network.weight.item() == 4.0


def test_average_of_a_constant_is_the_constant() -> None:
    assert float(trained_to([1.0] * 5, 0.9)[0].average.weight) == pytest.approx(1.0)


def test_average_that_is_off_is_the_trained_network() -> None:
    average, network = trained_to([3.0], 0.0)
    assert average.average is network


@pytest.mark.parametrize("decay", [1.0, -0.1, True, "0.9"])
def test_decay_out_of_range_raises(decay: object) -> None:
    with pytest.raises(ConfigError, match="average#decay"):
        WeightAverage(torch.nn.Linear(1, 1), decay)  # type: ignore[arg-type]


def last_checkpoint(folder: Path, average: WeightAverage, *, resume: bool = False) -> LastCheckpoint:
    network = average.trained
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
    best = BestCheckpoint(average.average, folder, "seep_dice", {})
    options = {"fingerprint": "f", "resume": resume, "average": average.average}
    return LastCheckpoint(network, optimizer, schedule, best, torch.Generator(), folder, **options)


def test_average_is_kept_and_restored_with_the_last_checkpoint(tmp_path: Path) -> None:
    average, _ = trained_to([2.0, 4.0], 0.9)
    kept = average.average.weight.item()
    engine = Engine(lambda engine, batch: None)
    engine.state.epoch, engine.state.iteration, engine.state.epoch_length = 1, 2, 2
    last_checkpoint(tmp_path, average).save(engine)
    network = torch.nn.Linear(1, 1, bias=False)
    fresh = WeightAverage(network, 0.9)
    last_checkpoint(tmp_path, fresh, resume=True).restore(engine)
    assert fresh.average.weight.item() == kept
    assert fresh.trained.weight.item() == 4.0


def test_average_begins_with_the_weights_of_a_training_without_one(tmp_path: Path) -> None:
    plain, _ = trained_to([2.0, 4.0], 0.0)
    engine = Engine(lambda engine, batch: None)
    engine.state.epoch, engine.state.iteration, engine.state.epoch_length = 1, 2, 2
    last_checkpoint(tmp_path, plain).save(engine)
    network = torch.nn.Linear(1, 1, bias=False)
    fresh = WeightAverage(network, 0.9)
    last_checkpoint(tmp_path, fresh, resume=True).restore(engine)
    assert fresh.average.weight.item() == 4.0
