"""DiceCE + Jaccard for seeps: a part that decides seep or not, and a part that names what is seep.

The softmax over eight logits factors exactly: p(class k) = p(seep) * p(k | seep). The outline is learnt from p(seep)
alone and the name from p(k | seep) on true seep pixels alone, so that class weights, which belong to the naming,
cannot make ribbons wider. With seep_ce and class_ce in the proportion of all pixels to seep pixels, their sum is the
ordinary cross-entropy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from seep_monai.classes import N_CLASSES, N_SEEP_CLASSES, NO_DATA_LABEL
from seep_monai.errors import ConfigError

SEEP_TERMS = ("seep_ce", "seep_dice", "seep_jaccard")
CLASS_TERMS = ("class_ce", "class_dice")
# Keeps 0 / 0 defined; far below one pixel, so that it never shows in a value.
_SMOOTH = 1e-5


def seep_logit(logits: torch.Tensor) -> torch.Tensor:
    """Log odds of seep against no seep: (B, 8, H, W) -> (B, H, W); its sigmoid is the summed seep probability."""
    return torch.logsumexp(logits[:, 1:], dim=1) - logits[:, 0]


def soft_overlap(prob: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft intersection and the sum of both areas over the last dimension, which pools the batch."""
    return (prob * truth).sum(-1), prob.sum(-1) + truth.sum(-1)


def dice_loss(intersection: torch.Tensor, areas: torch.Tensor) -> torch.Tensor:
    """1 - Dice; 0 where prediction and truth are both empty."""
    return 1 - (2 * intersection + _SMOOTH) / (areas + _SMOOTH)


def jaccard_loss(intersection: torch.Tensor, areas: torch.Tensor) -> torch.Tensor:
    """1 - soft IoU; 0 where prediction and truth are both empty."""
    return 1 - (intersection + _SMOOTH) / (areas - intersection + _SMOOTH)


@dataclass(frozen=True)
class LossSettings:
    """What the loss is made of.

    Attributes:
        class_weights: rule or seven numbers, see `dataset.statistics.class_weights`.
        weights_by: what the rule counts.
        shares: see `SeepLoss`.
        weighted_terms: see `SeepLoss`.

    Raises:
        ConfigError: see `SeepLoss`.
    """

    class_weights: Any
    weights_by: str
    shares: Mapping[str, float]
    weighted_terms: Sequence[str] = CLASS_TERMS

    def __post_init__(self) -> None:
        check_terms(self.shares, self.weighted_terms)


class SeepLoss(nn.Module):
    """Sum of five terms, each times its share; every term pools the batch's valid pixels, no-data (255) is left out.

    - `seep_ce`: binary cross-entropy of p(seep), mean over valid pixels.
    - `seep_dice`, `seep_jaccard`: of p(seep) against seep, pooled.
    - `class_ce`: cross-entropy of p(k | seep), mean over true seep pixels, weighted by their class where asked.
    - `class_dice`: Dice of p(k | seep) on true seep pixels, mean over the classes present, weighted where asked.

    Absent classes: a class without a pixel in the batch has no part in `class_dice` and none as a target of `class_ce`.
    A batch without any seep pixel has `class_ce` = `class_dice` = 0, while `seep_dice` and `seep_jaccard` are about 1
    and nearly flat, so that `seep_ce` alone pushes false alarms down. A batch that is all no-data has the loss 0.

    Args:
        class_weights: seven weights for the mask values 1..7, at least one above 0.
        shares: share of each term; a term that is not named has share 0.
        weighted_terms: the terms that the class weights act on, out of `class_ce` and `class_dice`.

    Attributes:
        terms: after each call the unscaled value of each term with a share above 0, detached, for logging.

    Raises:
        ConfigError: if a term is unknown, a share is negative, all are 0, or weights have the wrong length or are all
            0.
    """

    weights: torch.Tensor
    ones: torch.Tensor

    def __init__(
        self,
        class_weights: Sequence[float],
        shares: Mapping[str, float],
        weighted_terms: Sequence[str] = CLASS_TERMS,
    ) -> None:
        super().__init__()
        check_weights(class_weights)
        check_terms(shares, weighted_terms)
        self.register_buffer("weights", torch.tensor([float(w) for w in class_weights]))
        self.register_buffer("ones", torch.ones(N_SEEP_CLASSES))
        self.shares = {term: float(share) for term, share in shares.items() if share > 0}
        self.weighted_terms = frozenset(weighted_terms)
        self.terms: dict[str, torch.Tensor] = {}

    def forward(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """The loss.

        Args:
            logits: (B, 8, H, W), any floating type; computed in float32.
            label: (B, 1, H, W) integers 0..7, 255 = no-data.

        Returns:
            A scalar.
        """
        logits = logits.float()
        truth = label[:, 0].long()
        terms = self._seep_terms(seep_logit(logits), truth)
        if self.shares.keys() & set(CLASS_TERMS):
            is_seep = (truth > 0) & (truth != NO_DATA_LABEL)
            terms |= self._class_terms(logits[:, 1:].movedim(1, -1)[is_seep], truth[is_seep] - 1)
        self.terms = {term: terms[term].detach() for term in self.shares}
        return torch.stack([share * terms[term] for term, share in self.shares.items()]).sum()

    def _seep_terms(self, odds: torch.Tensor, truth: torch.Tensor) -> dict[str, torch.Tensor]:
        # Multiplying by `valid` instead of indexing keeps the shapes static, which a GPU likes.
        valid = (truth != NO_DATA_LABEL).float()
        seep = (truth > 0).float() * valid
        pixel_ce = functional.binary_cross_entropy_with_logits(odds, seep, reduction="none")
        overlap = soft_overlap((odds.sigmoid() * valid).flatten(), seep.flatten())
        return {
            "seep_ce": (pixel_ce * valid).sum() / valid.sum().clamp(min=1),
            "seep_dice": dice_loss(*overlap),
            "seep_jaccard": jaccard_loss(*overlap),
        }

    def _class_terms(self, logits: torch.Tensor, truth: torch.Tensor) -> dict[str, torch.Tensor]:
        """`logits` (n, 7) and `truth` (n,) in 0..6 of the n true seep pixels."""
        one_hot = functional.one_hot(truth, N_SEEP_CLASSES).float()
        log_prob = logits.log_softmax(dim=1)
        weights = self._weights_for("class_ce")[truth]
        class_ce = -(weights * (log_prob * one_hot).sum(1)).sum() / weights.sum().clamp(min=_SMOOTH)
        losses = dice_loss(*soft_overlap(log_prob.exp().T, one_hot.T))
        present = self._weights_for("class_dice") * (one_hot.sum(0) > 0)
        class_dice = (losses * present).sum() / present.sum().clamp(min=_SMOOTH)
        return {"class_ce": class_ce, "class_dice": class_dice}

    def _weights_for(self, term: str) -> torch.Tensor:
        return self.weights if term in self.weighted_terms else self.ones


def check_weights(class_weights: Sequence[float]) -> None:
    """Raise a ConfigError for class weights that `SeepLoss` cannot take."""
    if len(class_weights) != N_SEEP_CLASSES or not max(class_weights) > 0 or not np.isfinite(list(class_weights)).all():
        raise ConfigError(
            f"class_weights: expected {N_SEEP_CLASSES} finite numbers, one above 0, for the labels 1..{N_CLASSES - 1}, "
            f"but got {list(class_weights)}."
        )


def check_terms(shares: Mapping[str, float], weighted_terms: Sequence[str]) -> None:
    """Raise a ConfigError for shares or weighted terms that `SeepLoss` cannot take."""
    known = (*SEEP_TERMS, *CLASS_TERMS)
    unknown = sorted(set(shares) - set(known))
    if unknown or any(not _is_share(share) for share in shares.values()) or not any(shares.values()):
        raise ConfigError(
            f"loss#shares: expected finite shares of at least 0 (one above) for the terms {list(known)}, but got "
            f"{dict(shares)}."
        )
    wrong = sorted(set(weighted_terms) - set(CLASS_TERMS))
    if wrong:
        raise ConfigError(
            f"weighted_terms: class weights act on the naming, {list(CLASS_TERMS)}, but got {wrong}. "
            "On the seep / no-seep terms they would widen every ribbon."
        )


def _is_share(share: object) -> bool:
    return isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share < float("inf")
