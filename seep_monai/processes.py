"""Several processes that train or evaluate together, started by `torch.distributed.run`.

Each process has a rank, 0, 1, ..; process 0 alone writes files. Without a process group there is one process of rank 0,
and every function here gives what it gets. `join` and `leave` apart, all processes must call a function of this module
in the same order, because they wait for each other.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from seep_monai.errors import ConfigError

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# Choice: longer than process 0 needs to check 300,000 tiles or to write a report, while the others wait. A process that
# dies ends the others sooner: torch.distributed.run stops them, and their connections close.
_TIMEOUT = timedelta(minutes=30)
# Choice: process 0 needs less to print its message. torch.distributed.run stops it when another process ends first.
_GRACE_S = 5.0


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if _grouped() else 0


def world_size() -> int:
    """The number of processes."""
    return dist.get_world_size() if _grouped() else 1


def is_first() -> bool:
    """Whether this is process 0, which writes the files."""
    return rank() == 0


def check_single_process() -> None:
    """Check that there is one process. Several processes would each do the whole work in the same folder.

    Raises:
        ConfigError: if the environment variable WORLD_SIZE is not 1.
    """
    n_processes = os.environ.get("WORLD_SIZE", "1")
    if n_processes != "1":
        raise ConfigError(
            f"WORLD_SIZE: expected one process, but got {n_processes}. To train or evaluate with several processes, "
            "put multi_gpu_train.json or multi_gpu_evaluate.json behind the config files, or give --multi_gpu behind "
            "train or evaluate. Fitting and inference run in one process: start them without torch.distributed.run."
        )


def local_device() -> torch.device:
    """The GPU of this process, by its number on this machine (LOCAL_RANK); the CPU if there is no GPU.

    Raises:
        ConfigError: if the machine has fewer GPUs than processes.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    number, n_gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= n_gpus:
        raise ConfigError(
            f"LOCAL_RANK: expected a process for each of the {n_gpus} GPUs of this machine at most, but got process "
            f"{number}. Give --nproc_per_node={n_gpus}, or --device cpu."
        )
    return torch.device("cuda", number)


def join(device: torch.device | str) -> None:
    """Join the other processes, if `torch.distributed.run` started several: by NCCL on GPUs, else by gloo.

    Only process 0 then logs what is not an error.

    Raises:
        ConfigError: if the device is a GPU, but not that of this process.
    """
    if _grouped() or os.environ.get("WORLD_SIZE", "1") == "1":
        return
    device = torch.device(device)
    if device.type == "cuda":
        own = local_device()
        if device.index not in (None, own.index):
            raise ConfigError(
                f"device: expected {own} for this process, but got {device}. Leave out --device, or give --device cpu."
            )
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_TIMEOUT)
    if not is_first():
        logging.disable(logging.WARNING)


def leave() -> None:
    """Leave the group that `join` joined."""
    if _grouped():
        dist.destroy_process_group()
        logging.disable(logging.NOTSET)


def by_first(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: process 0 calls the function, and all processes return its result.

    If it raises there, the error is that of process 0, and the others end without a message.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        if world_size() == 1:
            return function(*args, **kwargs)
        result: list[Any] = [False, None]
        try:
            if is_first():
                result = [True, function(*args, **kwargs)]
        finally:
            dist.broadcast_object_list(result, src=0)
        if not result[0]:
            time.sleep(_GRACE_S)
            raise SystemExit(1)
        return result[1]

    return wrapped


def gathered(value: T) -> list[T]:
    """The values of all processes, by rank."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def interleaved(parts: Sequence[Sequence[T]]) -> list[T]:
    """What was dealt to the processes like cards, in the order before.

    >>> interleaved([["a", "d"], ["b"], ["c"]])
    ['a', 'b', 'c', 'd']
    """
    longest = max(map(len, parts))
    return [part[i] for i in range(longest) for part in parts if i < len(part)]


def summed(values: torch.Tensor) -> torch.Tensor:
    """The sum of the tensors of all processes, for a loss that each process computes from it.

    Its gradient is that of one process with all the data, after `DistributedDataParallel` has averaged the gradients of
    the weights: each process multiplies by the number of processes what passes back through here.
    """
    return _Sum.apply(values)


def in_parallel(network: nn.Module) -> nn.Module:
    """The network, which averages its gradients over the processes; it starts with the weights of process 0.

    The network itself is not wrapped and keeps the names of its weights.
    """
    if world_size() == 1:
        return network
    device = next(network.parameters()).device
    return nn.parallel.DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)


def own_seed(seed: int) -> int:
    """The seed of the random numbers of this process; that of process 0 is `seed`."""
    return seed if is_first() else int(np.random.SeedSequence((seed, rank())).generate_state(1)[0])


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        # All processes have the same gradient here, because they compute the same loss: no message is needed.
        return gradient * world_size()


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized()
