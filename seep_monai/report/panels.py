"""Panels of tiles: image | truth | prediction, with classes in colour over the grey image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seep_monai.classes import CLASS_COLOURS, NO_DATA_COLOUR, NO_DATA_LABEL

# Choice: 0.4 to 2.5 times the scene's level (e^-0.9 .. e^0.9) covers sea and slicks.
_GREY_LIMIT = 0.9
# Choice: colours stay distinct, and the image shows through a little.
_COLOUR_SHARE = 0.85
_GAP_PX = 4


@dataclass(frozen=True, eq=False)
class TilePicture:
    """The data of a panel.

    Attributes:
        name: the tile's name.
        image: (H, W) float32, log of DN over level.
        truth: (H, W) uint8, 0..7 and 255.
        prediction: (H, W) uint8, 0..7, background where there is no data.
    """

    name: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray


def grey(image: np.ndarray) -> np.ndarray:
    """(H, W) log of DN over level -> (H, W, 3) uint8; the scene's level is mid grey."""
    shade = np.clip((image + _GREY_LIMIT) / (2 * _GREY_LIMIT), 0, 1)
    return np.repeat((255 * shade).astype(np.uint8)[..., None], 3, axis=2)


def painted(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The grey image with seep classes and no-data in colour: (H, W, 3) uint8.

    Args:
        image: (H, W) log of DN over level.
        labels: (H, W), 0..7 and 255 = no-data.
    """
    colours = np.zeros((256, 3))
    colours[: len(CLASS_COLOURS)] = CLASS_COLOURS
    colours[NO_DATA_LABEL] = NO_DATA_COLOUR
    pixels = grey(image).astype(np.float64)
    seep = labels > 0
    share = np.where(labels[seep] == NO_DATA_LABEL, 1.0, _COLOUR_SHARE)[:, None]
    pixels[seep] = share * colours[labels[seep]] + (1 - share) * pixels[seep]
    return pixels.round().astype(np.uint8)


def panel(picture: TilePicture) -> np.ndarray:
    """Image | truth | prediction of one tile: (H, 3 W + gaps, 3) uint8; no-data is marked in all three."""
    is_no_data = picture.truth == NO_DATA_LABEL
    maps = (np.zeros_like(picture.truth), picture.truth, picture.prediction)
    strips = [painted(picture.image, np.where(is_no_data, NO_DATA_LABEL, labels)) for labels in maps]
    gap = np.full((len(picture.image), _GAP_PX, 3), 255, np.uint8)
    return np.concatenate([strips[0], gap, strips[1], gap, strips[2]], axis=1)
