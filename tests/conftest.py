"""What several test modules share: tiny data sets on disk and trainings on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from bundle_runs import evaluate, train
from tiny_data import write_tiny_dataset

from seep_monai.tiff import write_tiff
from seep_monai.workflow import stop_log


@pytest.fixture
def write_pairs(tmp_path: Path) -> Callable[..., Path]:
    """Writes {name: (image, mask)} into `train_images_256` and `train_masks_256` of a folder, and returns the folder.

    The image's no-data tag is set by `no_data`, the folder by `folder`.
    """

    def write(
        pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], *, no_data: float | None = None, folder: Path = tmp_path
    ) -> Path:
        for kind in ("images", "masks"):
            (folder / f"train_{kind}_256").mkdir(parents=True, exist_ok=True)
        for name, (image, mask) in pairs.items():
            write_tiff(folder / "train_images_256" / f"{name}.tif", image, no_data=no_data)
            write_tiff(folder / "train_masks_256" / f"{name}.tif", mask)
        return folder

    return write


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("tiny") / "data")


@pytest.fixture(scope="session")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    train(dataset, out)
    stop_log()
    return out


@pytest.fixture(scope="session")
def learned(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained long enough to find most of what there is."""
    out = tmp_path_factory.mktemp("learned")
    train(dataset, out, max_epochs=40, learning_rate=0.01)
    stop_log()
    evaluate(dataset, out)
    return out


@pytest.fixture
def closed_log() -> Iterator[None]:
    yield
    stop_log()
