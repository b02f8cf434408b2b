"""What several test modules share: tiny data sets on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from seep_monai.tiff import write_tiff


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
