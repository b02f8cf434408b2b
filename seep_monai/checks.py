"""Checks of type and range of single settings. The message names the option."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from seep_monai.errors import ConfigError


def boolean(name: str, value: object) -> bool:
    """True or False from a config value. The command line gives `false` as a string, which is true in Python.

    Raises:
        ConfigError: if the value is not True, False or the string true or false.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ConfigError(f"{name}: expected True or False, but got {value!r}.")


def whole_number(name: str, value: object, *, at_least: int) -> int:
    """The value, checked to be a whole number of at least `at_least`.

    Raises:
        ConfigError: for anything else, including True and False.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= at_least:
        return value
    raise ConfigError(f"{name}: expected a whole number of at least {at_least}, but got {value!r}.")


def number(name: str, value: object, *, low: float, high: float = math.inf, low_allowed: bool = False) -> float:
    """The value, checked to be a finite number between `low` and `high`, which are excluded (`low_allowed`: `high`).

    Raises:
        ConfigError: for anything else, including True and False.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and (low < value < high or (low_allowed and value == low)):  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    left = "of at least" if low_allowed else "above"
    right = "" if high == math.inf else f" and below {high:g}"
    raise ConfigError(f"{name}: expected a finite number {left} {low:g}{right}, but got {value!r}.")


def probability(name: str, value: object) -> float:
    """The value, checked to be a number from 0 to 1.

    Raises:
        ConfigError: for anything else, including True and False.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ConfigError(f"{name}: expected a number from 0 to 1, but got {value!r}.")


def usable_device(value: torch.device | str) -> torch.device:
    """The device, checked to be available.

    Raises:
        ConfigError: if it is not available.
    """
    try:
        device = torch.device(value)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ConfigError(f"device: expected cpu, or cuda if there is a GPU, but got {value!r} ({reason}).") from error
    return device


def folder_name(name: str, value: object) -> str:
    """The value as the name of a single folder.

    Raises:
        ConfigError: if it is empty or is a path.
    """
    text = str(value)
    if not text or text in (".", "..") or "/" in text or "\\" in text:
        raise ConfigError(f"{name}: expected the name of one folder, but got {value!r}.")
    return text


def check_agreement(source: str, stored: dict[str, Any], given: dict[str, Any], *, group: str = "") -> None:
    """Raise a ConfigError if a given setting differs from the stored one. None means not given.

    Lists and tuples with equal content are equal. `group` is the beginning of the options' names, such as `split#`.
    """
    for name, value in given.items():
        if value is not None and _plain(value) != _plain(stored[name]):
            raise ConfigError(
                f"{name}: {source} says {stored[name]!r}, but got {value!r}. Leave out --{group}{name}, or choose "
                "other weights with --ckpt_dir."
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
