"""The running mean of the weights, which jumps about less from epoch to epoch than the weights do."""

from __future__ import annotations

import copy

import torch
from ignite.engine import Engine, Events
from torch import nn

from seep_monai.checks import number


class WeightAverage:
    """The exponential moving average of a network's weights, in a second network.

    The first steps weigh more, min(decay, (1 + n) / (10 + n)) after n steps, so that the start is soon forgotten.
    Source: Tarvainen and Valpola 2017, "Mean teachers are better role models"; the ramp is that of TensorFlow.

    Args:
        network: what is trained. It has no running statistics: group norm keeps none.
        decay: share that stays at each step, in [0, 1). 0 is off.

    Attributes:
        average: the network with the mean; where it is off, the trained one itself.

    Raises:
        ConfigError: if the decay is not in [0, 1).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.trained = self.average = network
        self.decay = number("average#decay", decay, low=0, high=1, low_allowed=True)
        if self.decay > 0:
            self.average = copy.deepcopy(network).requires_grad_(False)

    def start(self) -> None:
        """Begin with the weights that the training begins with."""
        self.average.load_state_dict(self.trained.state_dict())

    @torch.no_grad()
    def update(self, n: int) -> None:
        """Take in the weights of step `n`, from 1."""
        kept = min(self.decay, (1 + n) / (10 + n))
        for average, weight in zip(self.average.parameters(), self.trained.parameters(), strict=True):
            average.lerp_(weight, 1 - kept)


class AverageWeights:
    """Trainer handler: keeps a `WeightAverage` up to date.

    Args:
        average: the average.
    """

    def __init__(self, average: WeightAverage) -> None:
        self.average = average

    def attach(self, engine: Engine) -> None:
        """Follow the trainer; in its list of handlers it stands before the last checkpoint, which may restore it."""
        if self.average.decay > 0:
            engine.add_event_handler(Events.STARTED, self.average.start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)

    def update(self, engine: Engine) -> None:
        """Take in the weights of this step."""
        self.average.update(engine.state.iteration)
