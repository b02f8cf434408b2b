"""The network, built from settings that are stored in model.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from monai.networks.nets import SegResNet
from torch.nn import functional

from seep_monai.checks import number, whole_number
from seep_monai.classes import N_CLASSES, N_SEEP_CLASSES
from seep_monai.errors import ConfigError

_NORM_GROUPS = 8
# Choice: the share of seep pixels in the real tiles is 1.8 %.
_SEEP_PRIOR = 0.02
# Choice: a gigabyte of weights. The default network has 1.6 million.
_MOST_LEVELS, _MOST_BLOCK_PX, _MOST_WEIGHTS = 8, 16, 2**28


@dataclass(frozen=True)
class SegResNetSettings:
    """Settings of a two-dimensional SegResNet with one input channel and eight logits at full resolution.

    Attributes:
        init_filters: filters of the first level, a multiple of 8 (group norm); doubled at each level.
        blocks_down: residual blocks of each encoder level; the length is the number of levels.
        blocks_up: residual blocks of each decoder level, one entry less.
        dropout_prob: dropout after the first convolution, in [0, 1).
        block_px: factor of the pixel unshuffle before the network (`BlockSegResNet`); 1 is off. The logits stay at full
            resolution, the receptive field is block_px times as large, and the first level costs less.
    """

    init_filters: int = 16
    blocks_down: tuple[int, ...] = (1, 2, 2, 4)
    blocks_up: tuple[int, ...] = (1, 1, 1)
    dropout_prob: float = 0.0
    block_px: int = 1

    def __post_init__(self) -> None:
        for name in ("blocks_down", "blocks_up"):
            blocks = getattr(self, name)
            if not isinstance(blocks, list | tuple) or not blocks or not all(isinstance(n, int) for n in blocks):
                raise ConfigError(f"{name}: expected a list of whole numbers, but got {blocks!r}.")
        # Config files and model.json give lists. As tuples, equal settings compare equal.
        object.__setattr__(self, "blocks_down", tuple(self.blocks_down))
        object.__setattr__(self, "blocks_up", tuple(self.blocks_up))
        if not isinstance(self.init_filters, int) or self.init_filters < 1 or self.init_filters % _NORM_GROUPS:
            raise ConfigError(
                f"init_filters: expected a positive multiple of {_NORM_GROUPS} (group norm), but got "
                f"{self.init_filters!r}."
            )
        if len(self.blocks_up) != len(self.blocks_down) - 1 or min(*self.blocks_down, *self.blocks_up) < 1:
            raise ConfigError(
                "blocks_up: expected one entry less than blocks_down, all at least 1, but got "
                f"blocks_down {list(self.blocks_down)} and blocks_up {list(self.blocks_up)}."
            )
        number("dropout_prob", self.dropout_prob, low=0, high=1, low_allowed=True)
        whole_number("block_px", self.block_px, at_least=1)
        if len(self.blocks_down) > _MOST_LEVELS or self.block_px > _MOST_BLOCK_PX or self.least_weights > _MOST_WEIGHTS:
            raise ConfigError(
                f"network_settings: expected at most {_MOST_LEVELS} levels, block_px of {_MOST_BLOCK_PX} and "
                f"{_MOST_WEIGHTS} weights, but got {str(self.to_json())[:200]}. Give a smaller network."
            )

    @property
    def size_multiple(self) -> int:
        """Rows and columns must be multiples of this: they are divided by block_px and halved at each further level.

        >>> SegResNetSettings().size_multiple, SegResNetSettings(block_px=2).size_multiple
        (8, 16)
        """
        return self.block_px * 2 ** (len(self.blocks_down) - 1)

    @property
    def least_weights(self) -> int:
        """Number of weights of the residual blocks, two convolutions of 3 x 3 each; the network has some more."""
        up = (*self.blocks_up[::-1], 0)
        blocks = zip(self.blocks_down, up, strict=True)
        return sum((down + up) * 18 * (self.init_filters << level) ** 2 for level, (down, up) in enumerate(blocks))

    def to_json(self) -> dict[str, Any]:
        """A dictionary that can be written to JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def settings_from_json(stored: Mapping[str, Any]) -> SegResNetSettings:
    """The settings from `network` in model.json, or from a config. Missing arguments have their defaults.

    Raises:
        ConfigError: if an argument is unknown or out of range.
    """
    known = {field.name for field in fields(SegResNetSettings)}
    unknown = sorted(set(stored) - known)
    if unknown:
        raise ConfigError(
            f"network_settings: unknown arguments {unknown}; known are {sorted(known)}. Correct the name. If they come "
            "from model.json, update seep_monai."
        )
    return SegResNetSettings(**stored)


class BlockSegResNet(SegResNet):
    """A SegResNet between a pixel unshuffle and a pixel shuffle: (B, 1, H, W) -> logits (B, 8, H, W).

    The pixels of a block become channels, and the last convolution gives eight logits for each of them. Unlike a
    network on a coarser grid, it needs no interpolation.
    Source: Shi et al. 2016, "Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network".

    Args:
        block_px: side of a block.
        in_channels: channels of the image.
        out_channels: logits per pixel.
        arguments: further arguments of SegResNet.
    """

    def __init__(self, block_px: int, *, in_channels: int, out_channels: int, **arguments: Any) -> None:
        super().__init__(in_channels=in_channels * block_px**2, out_channels=out_channels * block_px**2, **arguments)
        self.block_px = block_px

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1, H, W) -> logits (B, 8, H, W)."""
        x, down_x = self.encode(functional.pixel_unshuffle(x, self.block_px))
        down_x.reverse()
        return functional.pixel_shuffle(self.decode(x, down_x), self.block_px)


class Bf16SegResNet(SegResNet):
    """A SegResNet that computes in bf16, for CPUs, because MONAI's engines support mixed precision only on GPUs.

    `in_bf16` converts a network by changing its class, so weights, their names and exports stay the same.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1, H, W) -> logits (B, 8, H, W), both float32."""
        with torch.autocast(x.device.type, torch.bfloat16):
            logits: torch.Tensor = super().forward(x)
        return logits.float()


class Bf16BlockSegResNet(Bf16SegResNet, BlockSegResNet):
    """A `BlockSegResNet` that computes in bf16."""


def in_bf16(network: SegResNet) -> SegResNet:
    """The same network, changed in place to compute in bf16."""
    network.__class__ = Bf16BlockSegResNet if isinstance(network, BlockSegResNet) else Bf16SegResNet
    return network


def build_network(settings: SegResNetSettings) -> SegResNet:
    """The untrained network: (B, 1, H, W) float32 -> logits (B, 8, H, W), H and W multiples of `size_multiple`.

    The last bias is initialised with the prior that few pixels are seep. Otherwise the first few hundred steps are
    spent on learning it. Source: Lin et al. 2017, "Focal loss", section 4.1.
    """
    arguments: dict[str, Any] = {
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": N_CLASSES,
        "init_filters": settings.init_filters,
        "blocks_down": settings.blocks_down,
        "blocks_up": settings.blocks_up,
        "dropout_prob": settings.dropout_prob or None,
        "norm": ("GROUP", {"num_groups": _NORM_GROUPS}),
    }
    blocks = settings.block_px
    network = SegResNet(**arguments) if blocks == 1 else BlockSegResNet(blocks, **arguments)
    bias = network.conv_final[-1].conv.bias
    with torch.no_grad():
        bias.zero_()
        # The channels of a block are adjacent: the first block_px**2 are no seep.
        bias[: blocks**2] = math.log((1 - _SEEP_PRIOR) / (_SEEP_PRIOR / N_SEEP_CLASSES))
    return network
