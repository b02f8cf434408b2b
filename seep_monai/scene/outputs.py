"""What inference writes for each image: maps, and polygons of the seeps."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform

from seep_monai.classes import DEFAULT_CLASS_NAMES, NO_DATA_LABEL
from seep_monai.dataset.transforms import NORMALISATION_VERSION
from seep_monai.errors import ConfigError
from seep_monai.instances.components import DEFAULT_SETTINGS, Floats, Instances, InstanceSettings, Mask
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.objects.finding import drawn_map, find_seeps
from seep_monai.tiff import TiffMeta, write_tiff

logger = logging.getLogger(__name__)

KINDS = ("auto", "tile", "raster")


def checked_kind(value: object) -> str:
    """What images are treated as.

    Raises:
        ConfigError: if it is none of `KINDS`.
    """
    if value not in KINDS:
        raise ConfigError(f"as: expected one of {', '.join(KINDS)}, but got {value!r}.")
    return str(value)


class SaveSeepsd(MapTransform):
    """Writes the maps of each image and, for rasters, the polygons of its seeps.

    The maps are `<name>_classes.tif` and `<name>_probability.tif`, with the image's geo tags. Polygons are
    `<name>_seeps.gpkg` and, if the image has a coordinate system, `<name>_seeps.geojson` (see `write_seeps`).

    The class map is uint8, 0..7 and 255 = no-data. The probability is the summed seep probability, float32, NaN =
    no-data. Both files declare their no-data value; the image description holds the level and the weights' checksum.

    Args:
        keys: key of the class probabilities, (8, H, W). The data also need `image` with the metadata of `TiffReader`,
            and `tile` and `scene_level` from `inference_items`.
        output_dir: an existing folder for the files.
        weights_sha256: checksum of the weights.
        settings: how instances are found. Dropped instances are background in the class map only.
        classifier: the object classifier; None: there is none.
        class_names: of the classes 1..7.
        tile_size: (rows, columns) of the tiles that the weights were trained on.
        treat_as: `tile`: maps only; `raster`: polygons too; `auto`: images larger than `tile_size` are rasters.
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
        class_names: Sequence[str] = DEFAULT_CLASS_NAMES,
        tile_size: Sequence[int] = (256, 256),
        treat_as: str = "auto",
        valid_key: str = "valid",
    ) -> None:
        super().__init__(keys)
        self.treat_as, self.tile_size, self.class_names = treat_as, tuple(tile_size), tuple(class_names)
        self.settings, self.classifier = settings, classifier
        self.folder = Path(str(output_dir))
        self.weights_sha256 = weights_sha256
        self.valid_key = valid_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the maps and return the data."""
        result = dict(data)
        for key in self.key_iterator(result):
            self._save(result, result[key])
        return result

    def _save(self, tile: Mapping[Hashable, Any], prediction: Any) -> None:
        probabilities = prediction.float().cpu().numpy()
        valid = np.asarray(tile[self.valid_key].cpu())[0].astype(bool)
        image = tile["image"][0].cpu().numpy()
        stem = self.folder / str(tile["tile"])
        if self._is_raster(valid.shape):
            found = find_seeps(probabilities, image, self.settings, self.classifier, valid=valid)
            self._save_polygons(stem, tile, found, image, valid)
            drawn = found.classes
        else:
            drawn = drawn_map(probabilities, image, self.settings, self.classifier, valid=valid)
        classes = np.where(valid, drawn, NO_DATA_LABEL).astype(np.uint8)
        seep_prob = np.where(valid, 1 - probabilities[0], np.nan).astype(np.float32)
        geo_tags = TiffMeta.from_meta(tile["image"].meta).geo_tags
        description = json.dumps(
            {
                "software": "seep_monai",
                "scene_level": float(tile["scene_level"]),
                "normalisation_version": NORMALISATION_VERSION,
                "weights_sha256": self.weights_sha256,
                "instance_settings": self.settings.to_json(),
                "object_classifier": self.classifier is not None,
            }
        )
        write_tiff(f"{stem}_classes.tif", classes, no_data=NO_DATA_LABEL, geo_tags=geo_tags, description=description)
        write_tiff(f"{stem}_probability.tif", seep_prob, no_data=np.nan, geo_tags=geo_tags, description=description)

    def _is_raster(self, shape: tuple[int, ...]) -> bool:
        larger = any(size > tile for size, tile in zip(shape, self.tile_size, strict=True))
        return self.treat_as == "raster" or (self.treat_as == "auto" and larger)

    def _save_polygons(
        self, stem: Path, tile: Mapping[Hashable, Any], found: Instances, image: Floats, valid: Mask
    ) -> None:
        # Here, because a training imports this module, and runs without GDAL.
        from seep_monai.scene.place import read_place
        from seep_monai.scene.seep_objects import seep_objects
        from seep_monai.scene.vector_files import write_seeps

        place = read_place(tile["image"].meta["filename_or_obj"])
        seeps = seep_objects(found, image, valid=valid)
        named = {"scene": str(tile["scene"]), "model_sha256": self.weights_sha256}
        paths = write_seeps(stem, seeps, place, self.class_names, **named)
        in_degrees = "" if place.crs is not None else ", in px, for the image has no georeference"
        logger.info("%d seeps written to %s%s", len(seeps), " and ".join(path.name for path in paths), in_degrees)
