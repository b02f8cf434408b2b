"""Places, names, device and precision of a run."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seep_monai import checks, workflow
from seep_monai.errors import entry
from seep_monai.network.segresnet import in_bf16

bundle_root = entry(workflow.bundle_root)
check_ids = entry(workflow.check_ids)
check_single_process = entry(workflow.check_single_process)
boolean = entry(checks.boolean)
stop_log = workflow.stop_log


def path(*parts: object) -> str:
    """The parts joined into one normalised path; a name that the command line took for a number is text again."""
    return os.path.normpath(Path(*(str(part) for part in parts)))


def default_run_name() -> str:
    """The time of the start, to the millisecond: runs that start together still get folders of their own."""
    return datetime.now().strftime("%Y%m%d_%H%M%S_%f")[:-3]


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def default_amp(device: torch.device | str) -> bool:
    """Mixed precision on a GPU; on a CPU only where it is asked for, since few compute faster in bf16."""
    # Not parsed: a wrong name gets its message from `check_training`.
    return str(device).startswith("cuda")


@entry
def use_amp(amp: object, device: torch.device | str) -> bool:
    """Whether MONAI's engine is to compute in mixed precision: asked for, and on a GPU (for CPUs: `place_network`)."""
    return checks.boolean("amp", amp) and torch.device(device).type == "cuda"


def amp_settings() -> dict[str, Any]:
    """bf16 where the GPU supports it, which needs no loss scaling; else fp16."""
    # Emulated, it would be slower than fp16.
    supported = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return {"dtype": torch.bfloat16 if supported else torch.float16}


@entry
def place_network(network: nn.Module, device: torch.device | str, amp: object = False) -> nn.Module:
    """The network on the device; on a CPU in the memory format that is fastest there, and with `amp` in bf16.

    Without bf16 its convolutions run 1.1 to 1.5 times faster with channels last; in bf16 they are slower that way.
    """
    network = network.to(checks.usable_device(device))
    if torch.device(device).type != "cpu":
        return network
    if checks.boolean("amp", amp):
        return in_bf16(network)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
