"""The network, built from a frozen description that goes into model.json."""

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
# Share of seep pixels in the real tiles: 1.8 %.
_SEEP_PRIOR = 0.02


@dataclass(frozen=True)
class SegResNetSettings:
    """A two-dimensional SegResNet with one channel in, eight logits out, at full resolution.

    Attributes:
        init_filters: filters of the first level, a multiple of 8 (group norm); doubled at each level.
        blocks_down: residual blocks per level going down; their number is the number of levels.
        blocks_up: residual blocks per level going up, one entry less.
        dropout_prob: dropout behind the first convolution, in [0, 1).
        block_px: 1, or the side of the square blocks of pixels that the network takes as one place with block_px**2
            channels (`BlockSegResNet`): the logits are at full resolution all the same, each level sees block_px times
            as far, and the costly first level has fewer places.
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
        # Config files and model.json give lists; settings compare equal only as tuples.
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

    @property
    def size_multiple(self) -> int:
        """Rows and columns must be multiples of this: blocks divide them, and each level halves them.

        >>> SegResNetSettings().size_multiple, SegResNetSettings(block_px=2).size_multiple
        (8, 16)
        """
        return self.block_px * 2 ** (len(self.blocks_down) - 1)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def settings_from_json(stored: Mapping[str, Any]) -> SegResNetSettings:
    """The settings in a model.json's `network`, or in a config; arguments that are left out have their defaults.

    Raises:
        ConfigError: if an argument is unknown.
    """
    known = {field.name for field in fields(SegResNetSettings)}
    unknown = sorted(set(stored) - known)
    if unknown:
        raise ConfigError(
            f"network_settings: unknown arguments {unknown}; known are {sorted(known)}. Correct the name, or update "
            f"seep_monai "
            "if they come from model.json."
        )
    return SegResNetSettings(**stored)


class BlockSegResNet(SegResNet):
    """A SegResNet on blocks of pixels: (B, 1, H, W) -> logits (B, 8, H, W), each pixel with logits of its own.

    A block's pixels become channels of one place, and the last convolution gives eight logits for each of them.
    Nothing is interpolated, as it would be between a coarser grid and the image.
    Source: Shi et al. 2016, "Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network".

    Args:
        block_px: side of a block.
        arguments: of SegResNet, for one channel in and eight out.
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
    """A SegResNet that computes in bf16 by itself, for CPUs: MONAI's engines know mixed precision on GPUs alone.

    A built network becomes one by its class alone (`in_bf16`): weights, their names and what exports it are those of
    the plain one.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1, H, W) -> logits (B, 8, H, W), both float32."""
        with torch.autocast(x.device.type, torch.bfloat16):
            logits: torch.Tensor = super().forward(x)
        return logits.float()


class Bf16BlockSegResNet(Bf16SegResNet, BlockSegResNet):
    """A `BlockSegResNet` that computes in bf16 by itself."""


def in_bf16(network: SegResNet) -> SegResNet:
    """The same network, which from now on computes in bf16."""
    network.__class__ = Bf16BlockSegResNet if isinstance(network, BlockSegResNet) else Bf16SegResNet
    return network


def build_network(settings: SegResNetSettings) -> SegResNet:
    """The untrained network: (B, 1, H, W) float32 -> logits (B, 8, H, W), H and W multiples of `size_multiple`.

    Its last bias says what is known before any training, that few pixels are seep; starting from equal classes, the
    first hundreds of steps would learn nothing else. Source: Lin et al. 2017, "Focal loss", section 4.1.
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
        # Channels of a block stand side by side: the first block_px**2 are no seep.
        bias[: blocks**2] = math.log((1 - _SEEP_PRIOR) / (_SEEP_PRIOR / N_SEEP_CLASSES))
    return network
