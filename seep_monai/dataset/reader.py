"""MONAI reader of TIFF files, and the metadata that it stores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from monai.data import ImageReader
from monai.transforms.io.array import SUPPORTED_READERS
from monai.utils import ensure_tuple

from seep_monai import geo
from seep_monai.errors import TiffError
from seep_monai.tiff import TiffImage, read_tiff


@dataclass(frozen=True)
class TiffMeta:
    """The part of a `TiffImage` that MONAI metadata keep, and the dtype of its file (MONAI converts to float32).

    Each attribute is a metadata key with a JSON text as value ("null" for None), because only text survives MONAI's
    collate for a batch of mixed files. Decollate before calling `from_meta`.
    """

    no_data: float | None = None
    geo_tags: geo.GeoTags = field(default_factory=dict)
    source_dtype: str | None = None
    palette: bool = False

    def to_meta(self) -> dict[str, str]:
        """The metadata entries."""
        return {key: json.dumps(value) for key, value in vars(self).items()}

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> TiffMeta:
        """The values in the metadata of one image; absent keys get their defaults."""
        stored = {key: json.loads(meta[key]) for key in vars(cls()) if key in meta}
        tags = stored.get("geo_tags", {})
        stored["geo_tags"] = {int(code): v if isinstance(v, str) else tuple(v) for code, v in tags.items()}
        return cls(**stored)


class TiffReader(ImageReader):
    """MONAI reader of one band of .tif and .tiff files, as (row, col).

    Importing this module, as `seep_monai.steps` does, registers it, and `LoadImaged(keys)` selects it by the file
    suffix. Do not pass `reader=`: if a named reader raises, MONAI silently tries other readers.

    Metadata: `original_channel_dim` ("no_channel"), `spatial_shape` (H, W) and the keys of `TiffMeta`. There is no
    `affine`; MONAI then uses the identity, in px.

    Args:
        band: see `read_tiff`; `LoadImaged(keys, band=2)` passes it on.
    """

    def __init__(self, band: int | None = None) -> None:
        self.band = band

    def verify_suffix(self, filename: Any) -> bool:
        """True if the name, or every name of a list, ends in .tif or .tiff."""
        return all(Path(name).suffix.lower() in (".tif", ".tiff") for name in ensure_tuple(filename))

    def read(self, data: Any, **_: Any) -> TiffImage:
        """Read one file; raises TiffError as `read_tiff` does, and for several names."""
        names = ensure_tuple(data)
        if len(names) != 1:
            raise TiffError(
                f"{names[0]}: expected one file per image, but got {len(names)}. Load each file under its own key."
            )
        return read_tiff(names[0], band=self.band)

    def get_data(self, img: TiffImage) -> tuple[np.ndarray, dict[str, Any]]:
        """The (H, W) array and its metadata."""
        return img.array, {
            "original_channel_dim": "no_channel",
            "spatial_shape": np.array(img.array.shape),
            **TiffMeta(img.no_data, img.geo_tags, img.array.dtype.name, img.palette).to_meta(),
        }


SUPPORTED_READERS["tiffreader"] = TiffReader
