"""Trainer handler: the running mean of the weights, which jumps about less from epoch to epoch than the weights do."""

from __future__ import annotations

import copy

import torch
from ignite.engine import Engine, Events
from torch import nn

from seep_monai.checks import number


def averaged_copy(network: nn.Module, decay: float) -> nn.Module:
    """The network that is to hold the mean: a copy, or with a `decay` of 0, which is off, the trained one itself.

    Raises:
        ConfigError: if the decay is not in [0, 1).
    """
    if number("average_decay", decay, low=0, high=1, low_allowed=True) == 0:
        return network
    return copy.deepcopy(network).requires_grad_(False)


class AverageWeights:
    """Keeps the exponential moving average of the trained weights in a second network.

    The first steps weigh more, min(decay, (1 + n) / (10 + n)) after n steps, so that the start is soon forgotten.
    Source: Tarvainen and Valpola 2017, "Mean teachers are better role models"; the ramp is that of TensorFlow.

    Args:
        network: what is trained. It has no running statistics: group norm keeps none.
        average: its `averaged_copy`; the network itself: there is nothing to do.
        decay: share that stays at each step, in [0, 1).
    """

    def __init__(self, network: nn.Module, average: nn.Module, decay: float) -> None:
        self.trained, self.average, self.decay = network, average, decay

    def attach(self, engine: Engine) -> None:
        """Follow the trainer; in its list of handlers it stands before the last checkpoint, which may restore it."""
        if self.average is not self.trained:
            engine.add_event_handler(Events.STARTED, self.start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)

    def start(self, engine: Engine) -> None:
        """Begin with the weights that the training begins with."""
        self.average.load_state_dict(self.trained.state_dict())

    @torch.no_grad()
    def update(self, engine: Engine) -> None:
        """Take in the weights of this step."""
        n = engine.state.iteration
        kept = min(self.decay, (1 + n) / (10 + n))
        for average, weight in zip(self.average.parameters(), self.trained.parameters(), strict=True):
            average.lerp_(weight, 1 - kept)
