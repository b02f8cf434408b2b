"""Scores of class maps: pixel scores and COCO instance scores."""

from seep_monai.metrics.average_precision import IOU_THRESHOLDS, instance_scores
from seep_monai.metrics.confusion import instance_confusion, normalised
from seep_monai.metrics.matching import match_components
from seep_monai.metrics.monai_metrics import InstanceAveragePrecision, PixelScores
from seep_monai.metrics.overlap import overlaps
from seep_monai.metrics.pixels import confusion_counts, pixel_scores
from seep_monai.metrics.records import tile_rows, unique_tiles

__all__ = [
    "IOU_THRESHOLDS",
    "InstanceAveragePrecision",
    "PixelScores",
    "confusion_counts",
    "instance_confusion",
    "instance_scores",
    "match_components",
    "normalised",
    "overlaps",
    "pixel_scores",
    "tile_rows",
    "unique_tiles",
]
