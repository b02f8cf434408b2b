"""What is done to training batches, as numbers that are checked before any data is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seep_monai.checks import boolean, number, probability, whole_number
from seep_monai.dataset.statistics import check_rule


@dataclass(frozen=True)
class AugmentSettings:
    """Settings of `BatchAugment` and `SlickPaste`.

    Attributes:
        symmetries: draw one of the eight symmetries per tile (of the four that keep the shape where tiles are not
            square).
        turn_prob: share of the tiles that are turned by any angle and magnified. 0 is off.
        turn_scale: they are magnified by a factor drawn from [1 / (1 + turn_scale), 1 + turn_scale], evenly in its
            logarithm; 0 leaves the size.
        gain: a factor drawn from [1 - gain, 1 + gain] per tile multiplies the DN: the scene's level that inference
            takes from fewer tiles than training differs by about as much. 0 is off.
        paste_prob: share of the tiles that get slicks of other tiles. 0 is off.
        paste_max_slicks: they get from 1 to so many.
        paste_class_weights: rule or seven numbers, as for the loss: how often the slicks of each class are pasted.

    Raises:
        ConfigError: on a value out of range.
    """

    symmetries: bool = True
    turn_prob: float = 0.0
    turn_scale: float = 0.2
    gain: float = 0.2
    paste_prob: float = 0.0
    paste_max_slicks: int = 2
    paste_class_weights: Any = "inverse_sqrt"

    def __post_init__(self) -> None:
        boolean("symmetries", self.symmetries)
        probability("turn_prob", self.turn_prob)
        number("turn_scale", self.turn_scale, low=0, high=1, low_allowed=True)
        number("gain", self.gain, low=0, high=1, low_allowed=True)
        probability("paste_prob", self.paste_prob)
        whole_number("paste_max_slicks", self.paste_max_slicks, at_least=1)
        check_rule(self.paste_class_weights, "instances")
