"""Ignite handlers for training, validation and evaluation."""

from seep_monai.handlers.averaging import AverageWeights, WeightAverage
from seep_monai.handlers.checkpoints import BestCheckpoint, LastCheckpoint
from seep_monai.handlers.curves import TrainingCurves, ValidationCurves
from seep_monai.handlers.evaluator import SharedEvaluator
from seep_monai.handlers.guards import ClipGradients, StopEarly, StopOnNonFiniteLoss
from seep_monai.handlers.objects import ObjectTiles
from seep_monai.handlers.panels import TilePictures, choose_tiles
from seep_monai.handlers.progress import ProgressLog, progress_bar
from seep_monai.handlers.records import TileRecords
from seep_monai.handlers.scores import SeepScores
from seep_monai.handlers.writer import RunWriter

__all__ = [
    "AverageWeights",
    "BestCheckpoint",
    "ClipGradients",
    "LastCheckpoint",
    "ObjectTiles",
    "ProgressLog",
    "RunWriter",
    "SeepScores",
    "SharedEvaluator",
    "StopEarly",
    "StopOnNonFiniteLoss",
    "TilePictures",
    "TileRecords",
    "TrainingCurves",
    "ValidationCurves",
    "WeightAverage",
    "choose_tiles",
    "progress_bar",
]
