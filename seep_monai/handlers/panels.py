"""Validator handler that shows the same few tiles after every validation, as image | truth | prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ignite.engine import Engine, Events

from seep_monai import processes
from seep_monai.classes import N_SEEP_CLASSES, NO_DATA_LABEL
from seep_monai.dataset.audit import Tile
from seep_monai.handlers.writer import RunWriter
from seep_monai.instances.components import DEFAULT_SETTINGS, InstanceSettings
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.objects.finding import drawn_map
from seep_monai.report.panels import TilePicture, panel


class TilePictures:
    """Stores pictures of the named tiles, and writes them to TensorBoard if there is a writer.

    Args:
        names: names of the tiles.
        writer: the shared TensorBoard writer of the run, or None.
        leaky: whether the plan leaks, which is shown in the tag.
        settings: settings of the instances.
        classifier: the object classifier, or None.
    """

    def __init__(
        self,
        names: Sequence[str],
        writer: RunWriter | None = None,
        *,
        leaky: bool = False,
        settings: InstanceSettings = DEFAULT_SETTINGS,
        classifier: ObjectClassifier | None = None,
    ) -> None:
        self.names, self.writer = tuple(names), writer
        self.settings, self.classifier = settings, classifier
        self.tag = "validation_leaky" if leaky else "validation"
        self.pictures: dict[str, TilePicture] = {}

    def attach(self, engine: Engine) -> None:
        """Attach to the validator."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.gather)
        if self.writer is not None:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def update(self, engine: Engine) -> None:
        """Store pictures of the named tiles in this batch."""
        for source, tile in zip(engine.state.batch, engine.state.output, strict=True):
            name = source["tile"]
            if name not in self.names:
                continue
            truth = tile["label"][0].cpu().numpy().astype(np.uint8)
            probabilities = tile["pred"].float().cpu().numpy()
            image = tile["image"][0].cpu().numpy()
            valid = truth != NO_DATA_LABEL
            prediction = drawn_map(probabilities, image, self.settings, self.classifier, valid=valid)
            self.pictures[name] = TilePicture(name, image, truth, prediction)

    def gather(self, engine: Engine) -> None:
        """Add the pictures of the other processes, and put all in the order of the names."""
        found = {name: picture for own in processes.gathered(self.pictures) for name, picture in own.items()}
        self.pictures = {name: found[name] for name in self.names if name in found}

    def write(self, engine: Engine) -> None:
        """Write one image per tile to TensorBoard."""
        if self.writer is None:
            return
        for name in self.names:
            self.writer.add_image(f"{self.tag}/{name}", panel(self.pictures[name]), engine.state.epoch)


def choose_tiles(tiles: Sequence[Tile], n_tiles: int) -> list[str]:
    """Names of tiles that show all classes: in turn the tile with most pixels of each class, the rarest class first.

    The choice is deterministic, so panels of different runs can be compared.
    """
    pixels = np.array([tile.class_pixels[1:] for tile in tiles]).reshape(len(tiles), N_SEEP_CLASSES)
    n_with_class = (pixels > 0).sum(axis=0)
    # Absent classes come last.
    order = np.argsort(np.where(n_with_class > 0, n_with_class, len(tiles) + 1), kind="stable")
    # Rows: the tiles with most pixels, with second most, ..; columns: the classes, the rarest first.
    ranked = np.argsort(-pixels[:, order], axis=0, kind="stable")
    return list(dict.fromkeys(tiles[i].name for i in ranked.ravel().tolist()))[:n_tiles]
