"""Inference on tiles: what to read, and the two maps that are written per image."""

from __future__ import annotations

import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from tqdm import tqdm

from seep_monai.classes import NO_DATA_LABEL
from seep_monai.dataset.level import LevelCounter
from seep_monai.dataset.pairs import DEFAULT_SCENE_PATTERN, find_images, scenes_of
from seep_monai.dataset.transforms import NORMALISATION_VERSION
from seep_monai.errors import ConfigError, DataError
from seep_monai.instances.components import DEFAULT_SETTINGS, ClassMap, Floats, InstanceSettings, Mask
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.objects.finding import drawn_map
from seep_monai.tiff import TiffMeta, finite_fault, read_tiff, valid_mask, write_tiff


def inference_items(
    source: str | os.PathLike[str],
    *,
    scene_level: float | None = None,
    scene_pattern: str = DEFAULT_SCENE_PATTERN,
    band: int | None = None,
) -> list[dict[str, Any]]:
    """One dictionary per TIFF with `image` (path), `tile`, `scene` and `scene_level`.

    Args:
        source: a TIFF or a folder of them.
        scene_level: level in DN for all of them; None takes the median of the valid DN of all given tiles of a scene.
        scene_pattern: see `find_pairs`.
        band: band of the images, from 1, where they hold several.

    Raises:
        DataError: if there is nothing to read, or a scene has no level: no valid pixel, pixels that are not finite, a
            median that is not above 0, or integer and float tiles.
        TiffError: if a file cannot be read.
        ConfigError: if `scene_level` is not a finite number above 0, or the pattern does not fit the names.
    """
    paths = find_images(source)
    scenes = scenes_of([path.stem for path in paths], scene_pattern)
    if scene_level is None:
        levels = _scene_levels(paths, scenes, band)
    elif isinstance(scene_level, int | float) and not isinstance(scene_level, bool) and 0 < scene_level < math.inf:
        levels = dict.fromkeys(scenes, float(scene_level))
    else:
        raise ConfigError(
            f"scene_level: expected a finite number above 0 (DN), but got {scene_level!r}. Leave it out for the median "
            "of the scene's valid DN."
        )
    return [
        {"image": str(path.absolute()), "tile": path.stem, "scene": scene, "scene_level": levels[scene]}
        for path, scene in zip(paths, scenes, strict=True)
    ]


class SaveSeepMapsd(MapTransform):
    """Writes `<name>_classes.tif` and `<name>_probability.tif` for each image, with the image's geo tags.

    The class map is uint8, 0..7 and 255 = no data; the probability is float32, the summed seep probability, NaN = no
    data. Both declare their no-data value, and say in the image description by which level and weights they were made.

    Args:
        keys: key of the class probabilities, (8, H, W). `image` must stand beside it with the metadata of `TiffReader`,
            and `tile` and `scene_level` as `inference_items` gives them.
        output_dir: an existing folder for the files.
        weights_sha256: checksum of the weights.
        settings: how instances are found; what they drop is background in the class map, not in the probability.
        classifier: what rates and names objects; None: there is none.
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
        valid_key: str = "valid",
    ) -> None:
        super().__init__(keys)
        self.settings, self.classifier = settings, classifier
        self.folder = Path(str(output_dir))
        self.weights_sha256 = weights_sha256
        self.valid_key = valid_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the maps and pass the data on."""
        result = dict(data)
        for key in self.key_iterator(result):
            self._save(result, result[key])
        return result

    def _save(self, tile: Mapping[Hashable, Any], prediction: Any) -> None:
        probabilities = prediction.float().cpu().numpy()
        valid = np.asarray(tile[self.valid_key].cpu())[0].astype(bool)
        drawn = self._drawn(tile, probabilities, valid)
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
        stem = self.folder / str(tile["tile"])
        write_tiff(f"{stem}_classes.tif", classes, no_data=NO_DATA_LABEL, geo_tags=geo_tags, description=description)
        write_tiff(f"{stem}_probability.tif", seep_prob, no_data=np.nan, geo_tags=geo_tags, description=description)

    def _drawn(self, tile: Mapping[Hashable, Any], probabilities: Floats, valid: Mask) -> ClassMap:
        image = tile["image"][0].cpu().numpy()
        return drawn_map(probabilities, image, self.settings, self.classifier, valid=valid)


def _scene_levels(paths: list[Path], scenes: list[str], band: int | None) -> dict[str, float]:
    paths_of: dict[str, list[Path]] = defaultdict(list)
    for path, scene in zip(paths, scenes, strict=True):
        paths_of[scene].append(path)
    progress = tqdm(total=len(paths), desc="levels", unit="tile", leave=False, disable=not sys.stderr.isatty())
    with progress:
        return {scene: _scene_level(scene, members, band, progress) for scene, members in paths_of.items()}


def _scene_level(scene: str, paths: list[Path], band: int | None, progress: tqdm) -> float:
    counter = LevelCounter()
    for path in paths:
        image = read_tiff(path, band=band)
        valid = valid_mask(image.array, image.no_data)
        fault = finite_fault(image.array, valid, path)
        if fault:
            raise DataError(fault)
        counter.add(image.array[valid])
        progress.update()
    try:
        return counter.median()
    except DataError as error:
        raise DataError(
            f"{paths[0].parent}: scene {scene}: {error} Or give the level of all images with --scene_level."
        ) from error
