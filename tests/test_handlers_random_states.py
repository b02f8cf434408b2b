from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, Identity, RandGaussianNoise, RandGaussianNoised, Randomizable, SomeOf
from torch.utils.data import RandomSampler

from seep_monai.handlers.random_states import RandomStates, random_transforms


def stored(content: Any) -> Any:
    """What is read of a checkpoint."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def test_restored_states_give_the_same_numbers_of_every_source() -> None:
    augment = torch.Generator().manual_seed(3)
    own = torch.Generator().manual_seed(4)
    noise = Compose([RandGaussianNoised("image", prob=1.0)])
    data = Dataset([{"image": torch.zeros(1, 2, 2)} for _ in range(5)], noise)
    loader = DataLoader(data, sampler=RandomSampler(data, generator=own), batch_size=2)
    states = RandomStates(augment)
    states.add_loader(loader)

    def numbers() -> list[float]:
        drawn = [torch.rand(1), torch.rand(1, generator=augment), torch.tensor(random.gauss(0, 1))]
        drawn += [torch.from_numpy(np.random.standard_normal(1)), *(batch["image"] for batch in loader)]  # noqa: NPY002
        return [value for tensor in drawn for value in tensor.flatten().tolist()]

    # A second normal number of numpy and Python comes from the same pair of uniform ones.
    numbers()
    kept = stored(states.capture())
    first = numbers()
    assert numbers() != first
    states.restore(kept)
    assert numbers() == first


def test_random_transforms_are_found_in_others() -> None:
    inner = RandGaussianNoise()
    found = list(random_transforms(Compose([Identity(), SomeOf([inner], num_transforms=1)])))
    assert inner in found
    assert all(isinstance(one, Randomizable) for one in found)


def test_states_of_an_earlier_version_leave_numpy_as_it_is() -> None:
    states = RandomStates(torch.Generator())
    kept = {key: value for key, value in states.capture().items() if key in ("torch", "cuda", "augment")}
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.standard_normal()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    states.restore(kept)
    assert np.random.standard_normal() == expected  # noqa: NPY002
