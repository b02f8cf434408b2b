"""Dice, cross-entropy and Jaccard loss, with separate terms for seep segmentation and seep classification.

The softmax over eight logits factors exactly: p(class k) = p(seep) * p(k | seep). The segmentation terms use p(seep)
only. The classification terms use p(k | seep) on true seep pixels only. Class weights act on the latter, so they cannot
widen the predicted seeps. If seep_ce and class_ce are weighted like the number of all pixels and of seep pixels, their
sum is the ordinary cross-entropy.

With several processes the batch is that of all of them: each term is computed from sums over all processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from seep_monai import processes
from seep_monai.classes import N_CLASSES, N_SEEP_CLASSES, NO_DATA_LABEL
from seep_monai.errors import ConfigError

SEEP_TERMS = ("seep_ce", "seep_dice", "seep_jaccard")
CLASS_TERMS = ("class_ce", "class_dice")
Sums = dict[str, torch.Tensor]
# Avoids 0 / 0. It is far below one pixel, so it does not affect values.
_SMOOTH = 1e-5


def seep_logit(logits: torch.Tensor) -> torch.Tensor:
    """Log odds of seep against no seep: (B, 8, H, W) -> (B, H, W). Its sigmoid is the sum of the seep probabilities."""
    return torch.logsumexp(logits[:, 1:], dim=1) - logits[:, 0]


def soft_overlap(prob: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft intersection and sum of both areas, over the last dimension."""
    return (prob * truth).sum(-1), prob.sum(-1) + truth.sum(-1)


def dice_loss(intersection: torch.Tensor, areas: torch.Tensor) -> torch.Tensor:
    """1 - soft Dice; 0 if prediction and truth are both empty."""
    return 1 - (2 * intersection + _SMOOTH) / (areas + _SMOOTH)


def jaccard_loss(intersection: torch.Tensor, areas: torch.Tensor) -> torch.Tensor:
    """1 - soft IoU; 0 if prediction and truth are both empty."""
    return 1 - (intersection + _SMOOTH) / (areas - intersection + _SMOOTH)


@dataclass(frozen=True)
class LossSettings:
    """Settings of the loss.

    Attributes:
        class_weights: rule or seven numbers, see `dataset.statistics.class_weights`.
        weights_by: unit of the counts for the rule.
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
    """Weighted sum of five terms. Each term pools the valid pixels of the batch; no-data (255) is ignored.

    The batch is that of all processes: they must call the loss together, and get the same value.

    - `seep_ce`: binary cross-entropy of p(seep), mean over valid pixels.
    - `seep_dice`, `seep_jaccard`: Dice and Jaccard loss of p(seep).
    - `class_ce`: cross-entropy of p(k | seep), mean over true seep pixels.
    - `class_dice`: Dice loss of p(k | seep) on true seep pixels, mean over the classes in the batch.

    A class without pixels in the batch does not contribute to `class_dice`. A batch without seep pixels has `class_ce`
    = `class_dice` = 0. Then `seep_dice` and `seep_jaccard` are about 1 with a gradient near 0, so false alarms are
    reduced by `seep_ce`. A batch that is all no-data has the loss 0.

    Args:
        class_weights: seven weights for the mask values 1..7, at least one above 0.
        shares: weight of each term; terms that are not given have weight 0.
        weighted_terms: the terms that use the class weights, out of `class_ce` and `class_dice`.

    Attributes:
        terms: after each call, the unweighted value of each term with a share above 0, detached, for logging.
        n_tiles: after each call, the number of tiles in the batch that have valid pixels.

    Raises:
        ConfigError: if a term is unknown, a share is negative or all are 0, or class weights have the wrong length or
            are all 0.
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
        self.n_tiles = torch.zeros(())

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
        sums = _seep_sums(seep_logit(logits), truth)
        of_classes = bool(self.shares.keys() & set(CLASS_TERMS))
        if of_classes:
            is_seep = (truth > 0) & (truth != NO_DATA_LABEL)
            sums |= self._class_sums(logits[:, 1:].movedim(1, -1)[is_seep], truth[is_seep] - 1)
        sums = _pooled(sums)
        terms = _seep_terms(sums) | (self._class_terms(sums) if of_classes else {})
        self.terms = {term: terms[term].detach() for term in self.shares}
        self.n_tiles = sums["n_tiles"].detach()
        return torch.stack([share * terms[term] for term, share in self.shares.items()]).sum()

    def _class_sums(self, logits: torch.Tensor, truth: torch.Tensor) -> Sums:
        """`logits` (n, 7) and `truth` (n,) in 0..6 of the n true seep pixels."""
        one_hot = functional.one_hot(truth, N_SEEP_CLASSES).float()
        log_prob = logits.log_softmax(dim=1)
        weights = self._weights_for("class_ce")[truth]
        overlaps, areas = soft_overlap(log_prob.exp().T, one_hot.T)
        return {
            "class_ce": -(weights * (log_prob * one_hot).sum(1)).sum(),
            "class_weight": weights.sum(),
            "class_overlaps": overlaps,
            "class_areas": areas,
            "class_pixels": one_hot.sum(0),
        }

    def _class_terms(self, sums: Sums) -> dict[str, torch.Tensor]:
        losses = dice_loss(sums["class_overlaps"], sums["class_areas"])
        present = self._weights_for("class_dice") * (sums["class_pixels"] > 0)
        return {
            "class_ce": sums["class_ce"] / sums["class_weight"].clamp(min=_SMOOTH),
            "class_dice": (losses * present).sum() / present.sum().clamp(min=_SMOOTH),
        }

    def _weights_for(self, term: str) -> torch.Tensor:
        return self.weights if term in self.weighted_terms else self.ones


def _seep_sums(odds: torch.Tensor, truth: torch.Tensor) -> Sums:
    """`odds` and `truth` (B, H, W)."""
    # Multiplying by `valid` instead of indexing keeps shapes static, which is faster on a GPU.
    valid = (truth != NO_DATA_LABEL).float()
    seep = (truth > 0).float() * valid
    pixel_ce = functional.binary_cross_entropy_with_logits(odds, seep, reduction="none")
    overlap, areas = soft_overlap((odds.sigmoid() * valid).flatten(), seep.flatten())
    return {
        "n_tiles": valid.flatten(1).amax(1).sum(),
        "n_pixels": valid.sum(),
        "seep_ce": (pixel_ce * valid).sum(),
        "seep_overlap": overlap,
        "seep_areas": areas,
    }


def _seep_terms(sums: Sums) -> dict[str, torch.Tensor]:
    overlap = sums["seep_overlap"], sums["seep_areas"]
    return {
        "seep_ce": sums["seep_ce"] / sums["n_pixels"].clamp(min=1),
        "seep_dice": dice_loss(*overlap),
        "seep_jaccard": jaccard_loss(*overlap),
    }


def _pooled(sums: Sums) -> Sums:
    """The sums over all processes, by one message."""
    if processes.world_size() == 1:
        return sums
    flat = processes.summed(torch.cat([value.reshape(-1) for value in sums.values()]))
    parts = flat.split([value.numel() for value in sums.values()])
    return {name: part.reshape(value.shape) for part, (name, value) in zip(parts, sums.items(), strict=True)}


def check_weights(class_weights: Sequence[float]) -> None:
    """Raise a ConfigError for invalid class weights of `SeepLoss`."""
    if len(class_weights) != N_SEEP_CLASSES or not max(class_weights) > 0 or not np.isfinite(list(class_weights)).all():
        raise ConfigError(
            f"class_weights: expected {N_SEEP_CLASSES} finite numbers, at least one above 0, for the labels "
            f"1..{N_CLASSES - 1}, but got {list(class_weights)}."
        )


def check_terms(shares: Mapping[str, float], weighted_terms: Sequence[str]) -> None:
    """Raise a ConfigError for invalid shares or weighted terms of `SeepLoss`."""
    known = (*SEEP_TERMS, *CLASS_TERMS)
    unknown = sorted(set(shares) - set(known))
    if unknown or any(not _is_share(share) for share in shares.values()) or not any(shares.values()):
        raise ConfigError(
            f"loss#shares: expected finite numbers of at least 0, at least one above 0, for the terms {list(known)}, "
            f"but got {dict(shares)}."
        )
    wrong = sorted(set(weighted_terms) - set(CLASS_TERMS))
    if wrong:
        raise ConfigError(
            f"loss#weighted_terms: expected terms out of {list(CLASS_TERMS)}, but got {wrong}. Leave them out: class "
            "weights on the seep terms would widen the predicted seeps."
        )


def _is_share(share: object) -> bool:
    return isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share < float("inf")
