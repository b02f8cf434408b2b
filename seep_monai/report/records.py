"""Records of evaluated tiles for the report: scores, COCO files and panels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seep_monai.classes import DEFAULT_CLASS_NAMES, NO_DATA_LABEL
from seep_monai.coco import CocoRecords
from seep_monai.instances.components import (
    DEFAULT_SETTINGS,
    ClassMap,
    Floats,
    InstanceSettings,
    class_components,
    seep_components,
    without_no_data,
)
from seep_monai.metrics import pixel_scores
from seep_monai.metrics.recall import missed_px
from seep_monai.metrics.scored_tiles import ScoredTiles
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.objects.finding import find_seeps
from seep_monai.processes import interleaved
from seep_monai.report.panels import TilePicture

N_EXTREMES = 4
# Choice: larger than a training tile, small enough for a page.
_MOST_PICTURE_PX = 768
Ranked = tuple[float, TilePicture]


class EvaluationRecords:
    """`ScoredTiles`, COCO records and pictures of tiles.

    Attributes:
        tiles: the records for the scores.
        coco: the instances for the COCO files.
        worst, best: (seep Dice, picture) of the tiles with the lowest and the highest seep Dice.
        missed: (number of pixels, picture) of the tiles with the most missed seep pixels.
    """

    def __init__(
        self,
        settings: InstanceSettings = DEFAULT_SETTINGS,
        class_names: Sequence[str] = DEFAULT_CLASS_NAMES,
        classifier: ObjectClassifier | None = None,
    ) -> None:
        self.settings, self.classifier = settings, classifier
        self.tiles = ScoredTiles()
        self.coco = CocoRecords(class_names)
        self.worst: list[Ranked] = []
        self.best: list[Ranked] = []
        self.missed: list[Ranked] = []

    def add(
        self, source: tuple[str, str], image: Floats, truth: ClassMap, probabilities: Floats, *, n_tiles: int = 1
    ) -> None:
        """Add one tile.

        Args:
            source: name and scene of the tile.
            image: (H, W) log of DN over level, no-data 0.
            truth: (H, W) uint8, 0..7 and 255 = no-data.
            probabilities: (8, H, W) float in [0, 1] that sum to 1 over the channels.
            n_tiles: number of tiles of a scene.
        """
        valid = truth != NO_DATA_LABEL
        found = find_seeps(probabilities, image, self.settings, self.classifier, valid=valid)
        known = without_no_data(truth, truth=truth)
        true = class_components(known)
        self.tiles.add(
            source,
            truth,
            found.classes,
            by_class=(true, found.by_class),
            detections=(true, found.detections),
            seeps=(seep_components(known), found.seeps),
            log_dn=image,
            n_tiles=n_tiles,
        )
        self.coco.add_tile(f"{source[0]}.tif", true, found.detections)
        # A scene is shown by every so many of its pixels.
        step = -(-max(truth.shape) // _MOST_PICTURE_PX)
        shown = (slice(None, None, step),) * 2
        picture = TilePicture(source[0], image[shown], truth[shown], found.classes[shown])
        self.missed = _first([*self.missed, (missed_px(found.classes, truth), picture)], largest=True)
        dice = pixel_scores(self.tiles.pixels[-1])["seep_dice"]
        if not np.isnan(dice):
            self.worst = _first([*self.worst, (dice, picture)], largest=False)
            self.best = _first([*self.best, (dice, picture)], largest=True)

    @classmethod
    def merged(cls, parts: Sequence[EvaluationRecords]) -> EvaluationRecords:
        """The records of the tiles that were dealt to `parts` in turn, as if one had got them all."""
        merged = cls(parts[0].settings, classifier=parts[0].classifier)
        merged.coco = CocoRecords.merged([part.coco for part in parts])
        tiles, positions = ScoredTiles(), []
        for part in parts:
            positions.append(range(len(tiles.names), len(tiles.names) + len(part.tiles.names)))
            tiles.extend(part.tiles)
        merged.tiles = tiles.selected(interleaved(positions))
        # Of equal numbers, the first tile comes first.
        place = {name: position for position, name in enumerate(merged.tiles.names)}
        for name, largest in (("worst", False), ("best", True), ("missed", True)):
            ranked: list[Ranked] = [pair for part in parts for pair in getattr(part, name)]
            ranked.sort(key=lambda pair: place[pair[1].name])
            setattr(merged, name, _first(ranked, largest=largest))
        return merged


def _first(ranked: list[Ranked], *, largest: bool) -> list[Ranked]:
    """The `N_EXTREMES` pictures with the largest or smallest numbers; the others are freed."""
    return sorted(ranked, key=lambda pair: -pair[0] if largest else pair[0])[:N_EXTREMES]
