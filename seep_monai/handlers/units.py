"""Tiles of an evaluator's batch as units of scoring and fitting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from seep_monai.dataset.assembly import Unit


def tile_unit(source: Mapping[str, Any], output: Mapping[str, Any]) -> Unit:
    """One tile of a decollated batch.

    Args:
        source: with `tile` and `scene`, and `part` if there are several.
        output: with `image` and `label` (1, H, W) and `pred` (8, H, W).
    """
    return Unit(
        str(source["tile"]),
        str(source["scene"]),
        str(source.get("part", "")),
        output["image"][0].cpu().numpy(),
        output["label"][0].cpu().numpy().astype(np.uint8),
        output["pred"].float().cpu().numpy(),
    )
