"""Exponential moving average of the weights, which varies less between epochs than the weights."""

from __future__ import annotations

import copy

import torch
from ignite.engine import Engine, Events
from torch import nn

from seep_monai.checks import number


class WeightAverage:
    """The exponential moving average (EMA) of a network's weights, in a second network.

    The decay at step n is min(decay, (1 + n) / (10 + n)), which reduces the influence of the initial weights.
    Source: Tarvainen and Valpola 2017, "Mean teachers are better role models"; the ramp is that of TensorFlow.

    Args:
        network: the network in training. It must have no running statistics (group norm has none).
        decay: decay of the average, in [0, 1). 0 is off.

    Attributes:
        average: the network with averaged weights; `network` itself if the average is off.

    Raises:
        ConfigError: if the decay is not in [0, 1).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.trained = self.average = network
        self.decay = number("average#decay", decay, low=0, high=1, low_allowed=True)
        if self.decay > 0:
            self.average = copy.deepcopy(network).requires_grad_(False)

    def start(self) -> None:
        """Copy the current weights."""
        self.average.load_state_dict(self.trained.state_dict())

    @torch.no_grad()
    def update(self, n: int) -> None:
        """Add the weights of step `n`, from 1."""
        kept = min(self.decay, (1 + n) / (10 + n))
        for average, weight in zip(self.average.parameters(), self.trained.parameters(), strict=True):
            average.lerp_(weight, 1 - kept)


class AverageWeights:
    """Trainer handler that updates a `WeightAverage` after each iteration."""

    def __init__(self, average: WeightAverage) -> None:
        self.average = average

    def attach(self, engine: Engine) -> None:
        """Attach to the trainer, before `LastCheckpoint`, which may restore the average."""
        if self.average.decay > 0:
            engine.add_event_handler(Events.STARTED, self.average.start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)

    def update(self, engine: Engine) -> None:
        """Add the weights of this iteration."""
        self.average.update(engine.state.iteration)
