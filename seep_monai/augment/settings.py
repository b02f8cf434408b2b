"""Settings of the augmentation, checked before any data is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seep_monai.checks import boolean, number, probability, whole_number
from seep_monai.dataset.statistics import check_rule


@dataclass(frozen=True)
class AugmentSettings:
    """Settings of `BatchAugment` and `SlickPaste`.

    Attributes:
        symmetries: whether to apply a random symmetry of the square per tile (of the rectangle if not square).
        turn_prob: share of the tiles that are rotated by a random angle and scaled. 0 is off.
        turn_scale: these tiles are scaled by a log-uniform factor in [1 / (1 + turn_scale), 1 + turn_scale].
        gain: the DN of each tile are multiplied by a uniform factor in [1 - gain, 1 + gain]. 0 is off. Choice: the
            level of a scene varies by about this factor if inference has fewer tiles than training.
        paste_prob: share of the tiles into which slicks are pasted. 0 is off.
        paste_max_slicks: maximum number of slicks per tile.
        paste_class_weights: how often slicks of each class are pasted: rule or seven numbers, as for the loss.

    Raises:
        ConfigError: if a value is out of range.
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
