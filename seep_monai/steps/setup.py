"""Paths, names, device and precision of a run."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seep_monai import checks, processes, workflow
from seep_monai.errors import entry
from seep_monai.network.segresnet import in_bf16

logger = logging.getLogger(__name__)

# x86 instruction sets, by the names of `torch.backends.cpu.get_cpu_capability`, on which oneDNN imitates bf16.
_WITHOUT_BF16 = ("AVX2",)

bundle_root = entry(workflow.bundle_root)
check_ids = entry(processes.by_first(workflow.check_ids))
check_single_process = entry(processes.check_single_process)
local_device = entry(processes.local_device)
join_processes = entry(processes.join)
leave_processes = processes.leave
own_seed = processes.own_seed
in_parallel = processes.in_parallel
boolean = entry(checks.boolean)
stop_log = workflow.stop_log


def path(*parts: object) -> str:
    """The parts joined into one normalised path. Parts may be numbers, because the command line converts names."""
    return os.path.normpath(Path(*(str(part) for part in parts)))


@processes.by_first
def default_run_name() -> str:
    """The current time to the millisecond, so that runs started at the same time get different folders."""
    return datetime.now().strftime("%Y%m%d_%H%M%S_%f")[:-3]


def default_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def default_amp(device: torch.device | str) -> bool:
    """True on a GPU. False on a CPU, because few CPUs are faster in bf16."""
    # The device is not parsed here: `check_training` raises for an invalid name.
    return str(device).startswith("cuda")


@entry
def use_amp(amp: object, device: torch.device | str) -> bool:
    """Whether MONAI's engine uses mixed precision: `amp` is set and the device is a GPU (CPU: see `place_network`)."""
    return checks.boolean("amp", amp) and torch.device(device).type == "cuda"


def amp_settings() -> dict[str, Any]:
    """bf16 if the GPU supports it, because it needs no loss scaling; else fp16."""
    # Emulated bf16 is slower than fp16.
    supported = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return {"dtype": torch.bfloat16 if supported else torch.float16}


@entry
def place_network(network: nn.Module, device: torch.device | str, amp: object = False) -> nn.Module:
    """The network on the device. On a CPU it computes in bf16 with `amp`, else in channels-last memory format.

    On a CPU, channels last makes float32 convolutions 1.1 to 1.5 times faster, but bf16 convolutions slower.
    """
    in_half = checks.boolean("amp", amp)
    network = network.to(checks.usable_device(device))
    if torch.device(device).type != "cpu":
        return network
    if in_half:
        if torch.backends.cpu.get_cpu_capability() in _WITHOUT_BF16:
            logger.warning(
                "amp: this CPU has no bf16 instructions (AVX-512 or AMX) and imitates them, many times slower than "
                "float32. Leave out --amp True."
            )
        return in_bf16(network)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
