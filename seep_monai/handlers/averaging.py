"""Trainer handler: the running mean of the weights, which jumps about less from epoch to epoch than the weights do."""

from __future__ import annotations

import copy

import torch
from ignite.engine import Engine, Events
from torch import nn

from seep_monai.settings import number


class AverageWeights:
    """Keeps a second network with the exponential moving average of the trained one's weights.

    The first steps weigh more, min(decay, (1 + n) / (10 + n)) after n steps, so that the start is soon forgotten.
    Source: Tarvainen and Valpola 2017, "Mean teachers are better role models"; the ramp is that of TensorFlow.

    Args:
        network: what is trained. It has no running statistics: group norm keeps none.
        decay: share that stays at each step, in [0, 1); 0 is off.

    Attributes:
        network: the averaged network; where it is off, the trained one itself.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = number("average_decay", decay, low=0, high=1, low_allowed=True)
        self.trained = network
        self.network = copy.deepcopy(network).requires_grad_(False) if self.decay > 0 else network

    def attach(self, engine: Engine) -> None:
        """Follow the trainer; in its list of handlers it stands before validation and last checkpoint."""
        if self.decay > 0:
            engine.add_event_handler(Events.STARTED, self.start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)

    def start(self, engine: Engine) -> None:
        """Begin with the weights that the training begins with."""
        self.network.load_state_dict(self.trained.state_dict())

    @torch.no_grad()
    def update(self, engine: Engine) -> None:
        """Take in the weights of this step."""
        n = engine.state.iteration
        kept = min(self.decay, (1 + n) / (10 + n))
        for average, weight in zip(self.network.parameters(), self.trained.parameters(), strict=True):
            average.lerp_(weight, 1 - kept)
