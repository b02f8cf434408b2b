"""Steps of the optimisation: optimiser, schedule, mean of the weights, and which tiles make a batch."""

from __future__ import annotations

from typing import Any

import torch
from monai.optimizers import WarmupCosineSchedule
from torch import nn
from torch.utils.data import Dataset, Sampler, WeightedRandomSampler

from seep_monai import checks
from seep_monai.dataset import plan as plans
from seep_monai.dataset import statistics
from seep_monai.dataset.shares import BatchShares
from seep_monai.errors import ConfigError, entry
from seep_monai.handlers.averaging import WeightAverage

SAMPLINGS = ("shuffle", "rarest_class")


@entry
def weight_average(network: nn.Module, decay: float) -> WeightAverage:
    """The exponential moving average of the network's weights."""
    return WeightAverage(network, decay)


@entry
def make_optimizer(network: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW over all weights of the network."""
    checks.number("learning_rate", learning_rate, low=0)
    checks.number("weight_decay", weight_decay, low=0, low_allowed=True)
    return torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)


@entry
def make_schedule(optimizer: torch.optim.Optimizer, n_steps: int, warmup_share: float) -> WarmupCosineSchedule:
    """Linear warm-up over the first share of the steps, then cosine decay to 0."""
    return WarmupCosineSchedule(optimizer, warmup_steps=int(warmup_share * n_steps), t_total=n_steps)


@entry
def tile_sampler(plan: plans.Plan, sampling: str) -> WeightedRandomSampler | None:
    """For `rarest_class` a sampler that draws training tiles with replacement; for `shuffle` None (each tile once)."""
    if sampling not in SAMPLINGS:
        raise ConfigError(f"sampling: expected one of {', '.join(SAMPLINGS)}, but got {sampling!r}.")
    if sampling == "shuffle":
        return None
    weights = statistics.rarity_weights(plan.training_tiles())
    return WeightedRandomSampler(weights, len(weights))


@entry
def batch_shares(tiles: Dataset[Any], sampler: Sampler[int] | None, batch_size: object) -> BatchShares:
    """This process's share of the batches of all processes; `batch_size` is the number of tiles of each."""
    return BatchShares(tiles, sampler, checks.whole_number("batch_size", batch_size, at_least=1))
