"""Random states of a training, for its checkpoint."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import Randomizable, Transform


class RandomStates:
    """All states that random numbers of a training are drawn from.

    These are the global generators of torch (CPU and GPUs), numpy and Python, that of the augmentation, and of the
    loader its own generators, if it has any, and its random transforms.

    Args:
        augment: random generator of the augmentation.
    """

    def __init__(self, augment: torch.Generator) -> None:
        self.augment = augment
        self._generators: list[torch.Generator] = []
        self._transforms: list[Randomizable] = []

    def add_loader(self, loader: Any) -> None:
        """Also keep the states of a DataLoader, of its sampler and of MONAI's random transforms in its data set."""
        found = [getattr(owner, "generator", None) for owner in (loader, getattr(loader, "sampler", None))]
        self._generators = [generator for generator in found if generator is not None]
        self._transforms = list(random_transforms(getattr(getattr(loader, "dataset", None), "transform", None)))

    def capture(self) -> dict[str, Any]:
        """The states, of types that `torch.load(weights_only=True)` takes."""
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "augment": self.augment.get_state(),
            "numpy": _plain(np.random.get_state()),  # noqa: NPY002 - the global state, which user code may use
            "python": random.getstate(),
            "loader": [generator.get_state() for generator in self._generators],
            "transforms": [_plain(transform.R.get_state()) for transform in self._transforms],
        }

    def restore(self, states: Mapping[str, Any]) -> None:
        """Set the states that `capture` returned. Those that a file of an earlier version does not hold stay."""
        torch.set_rng_state(states["torch"].cpu())
        # With another number of GPUs their states do not apply.
        if len(states["cuda"]) == torch.cuda.device_count() > 0:
            torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
        self.augment.set_state(states["augment"].cpu())
        if "numpy" not in states:
            return
        np.random.set_state(_of_numpy(states["numpy"]))  # noqa: NPY002
        random.setstate(states["python"])
        # A run that is resumed with another loader or other transforms keeps the states that it begins with.
        for generator, state in zip(self._generators, states["loader"], strict=False):
            generator.set_state(state.cpu())
        for transform, state in zip(self._transforms, states["transforms"], strict=False):
            transform.R.set_state(_of_numpy(state))


def random_transforms(thing: object) -> Iterator[Randomizable]:
    """MONAI's random transforms in a transform, a `Compose` or a list of them, outer ones first."""
    if isinstance(thing, Randomizable):
        yield thing
    parts = vars(thing).values() if isinstance(thing, Transform) else thing if isinstance(thing, list | tuple) else ()
    for part in parts:
        yield from random_transforms(part)


def _plain(state: Any) -> list[Any]:
    """A state of numpy's `RandomState` with a tensor in place of the array."""
    name, keys, *rest = state
    return [name, torch.from_numpy(keys.astype(np.int64)), *rest]


def _of_numpy(state: list[Any]) -> Any:
    name, keys, *rest = state
    return (name, keys.numpy().astype(np.uint32), *rest)
