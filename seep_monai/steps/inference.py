"""Steps of an inference: images, windows, output."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seep_monai import checks, files
from seep_monai.checkpoints import DESCRIPTION_FILE, read_description
from seep_monai.errors import ConfigError, entry
from seep_monai.scene import outputs
from seep_monai.scene.items import inference_items
from seep_monai.steps.neighbours import trained_context

logger = logging.getLogger(__name__)


@entry
def items_to_infer(source: str, *, output_dir: str, **options: Any) -> list[dict[str, Any]]:
    """One dictionary per input image. `options` are those of `inference_items`."""
    if Path(str(source)).resolve() == Path(str(output_dir)).resolve():
        raise ConfigError(
            f"output_dir: {output_dir} is the input folder, so a second inference would read the maps of the first. "
            "Choose another folder with --output_dir."
        )
    return inference_items(str(source), **options)


@entry
def begin_inference(
    description: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    output_dir: str,
) -> None:
    """First step of an inference: create the output folder."""
    files.make_folder(output_dir, option="--output_dir")
    logger.info("%d images, weights %s", len(items), description["sha256"])


def end_inference(items: Sequence[Mapping[str, Any]], output_dir: str) -> None:
    """Last step of an inference: log what was written."""
    logger.info("class and probability maps of %d images written to %s", len(items), output_dir)


@entry
def checked_overlap(overlap: object) -> float:
    """The relative overlap of windows of large images, checked to be in [0, 1)."""
    return checks.number("overlap", overlap, low=0, high=1, low_allowed=True)


checked_kind = entry(outputs.checked_kind)


def window_size(ckpt_dir: str) -> list[int]:
    """The size of the training tiles with their margins; 256 x 256 if there are no weights yet."""
    if not (Path(str(ckpt_dir)) / DESCRIPTION_FILE).is_file():
        return [256, 256]
    description = read_description(ckpt_dir)
    margin_px = trained_context(description).margin_px
    return [int(size) + 2 * margin_px for size in description["tile_size"]]
