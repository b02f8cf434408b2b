"""Normalisation of DN to the log ratio to the scene's level, with no-data marked in the label."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.dataset.reader import TiffMeta
from seep_monai.errors import ConfigError, DataError
from seep_monai.tiff import finite_fault, kind_fault, no_data_value, valid_mask

# Stored in model.json, because weights work only with the normalisation they were trained with.
NORMALISATION_VERSION = 1
# Choice: e^-2 .. e^2 is 0.14 .. 7.4 times the level. Slicks (0.7-0.95) and the swath trend (0.5-2) lie inside. Border
# noise and ships saturate, so they do not dominate the group norms.
LOG_LIMIT = 2.0


def normalise(dn: np.ndarray | torch.Tensor, valid: np.ndarray | torch.Tensor, level: float) -> torch.Tensor:
    """The log of DN over the scene's level. Multiplicative speckle becomes additive with constant variance.

    Args:
        dn: raw counts in linear units (amplitude or intensity), finite where valid, any shape.
        valid: True where data exist, the same shape.
        level: the scene's median valid DN, above 0.

    Returns:
        float32 of the same shape, clipped to [-2, 2]. No-data is 0, the scene's level.

    Raises:
        ConfigError: if the level is not a finite number above 0.
    """
    if not (np.isfinite(level) and level > 0):
        raise ConfigError(f"scene_level: expected a finite number above 0, but got {level!r}.")
    counts = torch.as_tensor(dn, dtype=torch.float32)
    known = torch.as_tensor(valid, dtype=torch.bool)
    ratio = torch.where(known, counts / level, torch.ones_like(counts))
    return ratio.clamp_(np.exp(-LOG_LIMIT), np.exp(LOG_LIMIT)).log_()


class NormaliseByScene(Transform):
    """`normalise` for an image loaded by `TiffReader`, whose metadata define no-data."""

    def __call__(self, image: MetaTensor, level: float) -> tuple[MetaTensor, torch.Tensor]:
        """The normalised image (1, H, W) with the metadata of `image`, and the mask of valid pixels (1, H, W).

        Raises:
            ConfigError: if another reader loaded the image, or the level is not a finite number above 0.
            DataError: if a valid pixel is NaN or infinite. It would spread to the whole output of the network.
        """
        dn = image.as_tensor()
        source = TiffMeta.from_meta(image.meta)
        if source.source_dtype is None:
            raise ConfigError(
                "image: expected metadata of seep_monai.dataset.reader.TiffReader, but got those from another reader. "
                "Load .tif files."
            )
        # The loader converts to float32. Without a tag, the no-data value depends on the dtype of the file.
        no_data = no_data_value(source.no_data, source.source_dtype)
        valid = valid_mask(dn.numpy(), no_data)
        path = image.meta.get("filename_or_obj", "image")
        fault = kind_fault(source.source_dtype, path, palette=source.palette) or finite_fault(dn.numpy(), valid, path)
        if fault:
            raise DataError(fault)
        normalised = normalise(dn, valid, level)
        result = MetaTensor(normalised, meta=image.meta, applied_operations=image.applied_operations)
        return result, torch.from_numpy(valid)


class NormaliseByScened(MapTransform):
    """Dictionary version: normalise `image` by `scene_level` and set the label to 255 where the image has no data.

    Args:
        keys: key of the image.
        label_key: key of the label (1, H, W), converted to uint8; None without a label (inference).
        valid_key: key to store the mask of valid pixels, or None.
        level_key: key of the scene's level in DN.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        *,
        label_key: str | None = "label",
        valid_key: str | None = None,
        level_key: str = "scene_level",
    ) -> None:
        super().__init__(keys)
        self.normalise = NormaliseByScene()
        self.label_key, self.valid_key, self.level_key = label_key, valid_key, level_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new dictionary with the normalised image and the marked label."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key], valid = self.normalise(result[key], float(result[self.level_key]))
            if self.label_key is not None:
                label = torch.as_tensor(result[self.label_key]).to(torch.uint8)
                result[self.label_key] = torch.where(valid, label, torch.full_like(label, NO_DATA_LABEL))
            if self.valid_key is not None:
                result[self.valid_key] = valid
        return result


class CutMargind(MapTransform):
    """Remove the margin of `SceneTiles` after the network: (C, H + 2 m, W + 2 m) -> (C, H, W).

    Args:
        keys: keys of image, label and prediction.
        margin_px: width m of the margin. Data with `margin_px` have their own.
    """

    def __init__(self, keys: KeysCollection, margin_px: int) -> None:
        super().__init__(keys)
        self.margin_px = margin_px

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new dictionary without margins."""
        result = dict(data)
        margin_px = int(result.get("margin_px", self.margin_px))
        inside = slice(margin_px, -margin_px or None)
        for key in self.key_iterator(result):
            result[key] = result[key][..., inside, inside]
        return result
