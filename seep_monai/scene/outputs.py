"""What inference writes for each tile: a class map and a probability."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.dataset.reader import TiffMeta
from seep_monai.dataset.transforms import NORMALISATION_VERSION
from seep_monai.errors import ConfigError
from seep_monai.instances.components import DEFAULT_SETTINGS, InstanceSettings
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.objects.finding import drawn_map
from seep_monai.tiff import write_tiff

KINDS = ("auto", "tile", "raster")


def checked_kind(value: object) -> str:
    """What images are treated as.

    Raises:
        ConfigError: if it is none of `KINDS`.
    """
    if value not in KINDS:
        raise ConfigError(f"as: expected one of {', '.join(KINDS)}, but got {value!r}.")
    return str(value)


def map_description(
    level: float,
    weights_sha256: str,
    settings: InstanceSettings,
    *,
    classified: bool,
    weights_note: str | None = None,
) -> str:
    """The image description of the maps, JSON.

    Args:
        level: of the scene, DN.
        weights_sha256: checksum of the weights.
        settings: how instances are found.
        classified: whether an object classifier found them.
        weights_note: what is to be known of the weights; None: nothing.
    """
    content = {
        "software": "seep_monai",
        "scene_level": level,
        "normalisation_version": NORMALISATION_VERSION,
        "weights_sha256": weights_sha256,
        "instance_settings": settings.to_json(),
        "object_classifier": classified,
    }
    return json.dumps(content if weights_note is None else {**content, "weights_note": weights_note})


class SaveSeepMapsd(MapTransform):
    """Writes `<name>_classes.tif` and `<name>_probability.tif` of each tile, with the image's geo tags.

    The class map is uint8, 0..7 and 255 = no-data. The probability is the summed seep probability, float32, NaN =
    no-data. Both files declare their no-data value; the image description holds the level and the weights' checksum.
    Strips of rasters, which have `strip`, are left to `SceneDrawing`.

    Args:
        keys: key of the class probabilities, (8, H, W). The data also need `image` with the metadata of `TiffReader`,
            and `tile` and `scene_level` from `inference_items`.
        output_dir: an existing folder for the files.
        weights_sha256: checksum of the weights.
        settings: how instances are found. Dropped instances are background in the class map only.
        classifier: the object classifier; None: there is none.
        weights_note: what the image description says of the weights; None: nothing.
        valid_key: key of the mask of valid pixels (1, H, W).
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        *,
        output_dir: str | os.PathLike[str],
        weights_sha256: str,
        settings: InstanceSettings = DEFAULT_SETTINGS,
        classifier: ObjectClassifier | None = None,
        weights_note: str | None = None,
        valid_key: str = "valid",
    ) -> None:
        super().__init__(keys)
        self.settings, self.classifier = settings, classifier
        self.folder = Path(str(output_dir))
        self.weights_sha256, self.weights_note = weights_sha256, weights_note
        self.valid_key = valid_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the maps and return the data."""
        result = dict(data)
        if "strip" not in result:
            for key in self.key_iterator(result):
                self._save(result, result[key])
        return result

    def _save(self, tile: Mapping[Hashable, Any], prediction: Any) -> None:
        probabilities = prediction.float().cpu().numpy()
        valid = np.asarray(tile[self.valid_key].cpu())[0].astype(bool)
        image = tile["image"][0].cpu().numpy()
        drawn = drawn_map(probabilities, image, self.settings, self.classifier, valid=valid)
        classes = np.where(valid, drawn, NO_DATA_LABEL).astype(np.uint8)
        seep_prob = np.where(valid, 1 - probabilities[0], np.nan).astype(np.float32)
        geo_tags = TiffMeta.from_meta(tile["image"].meta).geo_tags
        level, classified = float(tile["scene_level"]), self.classifier is not None
        description = map_description(
            level, self.weights_sha256, self.settings, classified=classified, weights_note=self.weights_note
        )
        stem = self.folder / str(tile["tile"])
        write_tiff(f"{stem}_classes.tif", classes, no_data=NO_DATA_LABEL, geo_tags=geo_tags, description=description)
        write_tiff(f"{stem}_probability.tif", seep_prob, no_data=np.nan, geo_tags=geo_tags, description=description)
