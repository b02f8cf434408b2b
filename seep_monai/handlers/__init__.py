"""Ignite handlers: scores, curves, panels, guards and the progress bar."""

from seep_monai.handlers.curves import TrainingCurves, ValidationCurves
from seep_monai.handlers.guards import ClipGradients, StopEarly, StopOnNonFiniteLoss
from seep_monai.handlers.panels import TilePictures, choose_tiles
from seep_monai.handlers.progress import progress_bar
from seep_monai.handlers.scores import SeepScores

__all__ = [
    "ClipGradients",
    "SeepScores",
    "StopEarly",
    "StopOnNonFiniteLoss",
    "TilePictures",
    "TrainingCurves",
    "ValidationCurves",
    "choose_tiles",
    "progress_bar",
]
