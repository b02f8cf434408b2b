"""Draws the seeps of a scene from strips of probabilities: films, objects, maps and polygons."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import shapely
from scipy.ndimage import label
from skimage.morphology import flood

from seep_monai.dataset.transforms import normalise
from seep_monai.dataset.windows import AxisWindow
from seep_monai.instances.components import InstanceSettings
from seep_monai.objects.classifier import ObjectClassifier
from seep_monai.objects.finding import find_seeps
from seep_monai.objects.measures import AROUND_PX
from seep_monai.rectangles import clipped, row_blocks, with_margin, within
from seep_monai.scene.films import Film, FilmTracker, grouped
from seep_monai.scene.maps import SceneMaps
from seep_monai.scene.raster import Raster
from seep_monai.scene.scratch import Scratch
from seep_monai.scene.seep_objects import SeepObject, seep_objects

logger = logging.getLogger(__name__)

Mask = npt.NDArray[np.bool_]
# Measures look at a window of AROUND_PX around the middle of an object.
_MARGIN_PX = AROUND_PX // 2
# Choice: films that begin in one such cell are cut out together, which saves reading; some 200 MB at a time.
_CELL_PX = 512
# Choice: 100 bytes a pixel, so that a film as large as this takes some 800 MB.
MOST_PX = 8_000_000


@dataclass(frozen=True)
class DrawingSettings:
    """How seeps are drawn.

    Attributes:
        instances: how instances are found.
        classifier: the object classifier; None: there is none.
        most_px: films whose window is larger than this are drawn in parts.
    """

    instances: InstanceSettings
    classifier: ObjectClassifier | None = None
    most_px: int = MOST_PX

    @property
    def level(self) -> float:
        """The lowest seep probability of a pixel of any instance."""
        # In mode `class` a pixel of the most probable class has a seep probability of at least .5.
        lowest = 0.5 if self.instances.mode == "class" and self.classifier is None else self.instances.low
        return min(lowest, *(self.classifier.levels if self.classifier is not None else ()), 0.5)


@dataclass
class SceneDrawing:
    """The drawing of one scene. A context manager, which removes all temporary files.

    Args:
        raster: the open raster.
        level: median DN.
        windows: of the strips, from `SceneStrips`.
        settings: how seeps are drawn.
        output_dir: existing folder; temporary files lie in a hidden folder of it.
        tags: texts for the maps.
    """

    raster: Raster
    level: float
    windows: Sequence[AxisWindow]
    settings: DrawingSettings
    output_dir: Path
    tags: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix=f".{self.raster.path.stem}.", dir=self.output_dir))
        block_px = self.windows[0].stop - self.windows[0].first
        self._scratch = Scratch(self._folder / "probabilities", block_px)
        self._maps = SceneMaps(self._folder, self.raster.shape, self.raster.georeference(), self.tags)
        self._tracker = FilmTracker()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._maps.close()
        self._scratch.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, strip: int, probabilities: npt.NDArray[np.float32], valid: Mask) -> None:
        """Add the next strip: (8, inside rows, W or more) probabilities and (inside rows, W or more) valid pixels."""
        window = self.windows[strip]
        rows = slice(window.first - window.start, window.stop - window.start)
        columns = slice(0, self.raster.shape[1])
        probabilities, valid = probabilities[:, rows, columns], valid[rows, columns]
        seep_prob = 1 - probabilities[0]
        self._maps.write(window.first, seep_prob, valid)
        mask = (seep_prob >= self.settings.level) & valid
        self._scratch.add(strip, probabilities, mask)
        self._tracker.add(mask)

    def objects(self) -> Iterator[list[SeepObject]]:
        """The seeps of the scene, some at a time, after the last strip; each is painted into the class map."""
        for films in grouped(self._tracker.films(), _CELL_PX):
            yield from self._objects_of(films)

    def finish(self, stem: Path) -> list[Path]:
        """Write the maps; see `SceneMaps.finish`."""
        return self._maps.finish(stem)

    def _objects_of(self, films: list[Film]) -> Iterator[list[SeepObject]]:
        rows = slice(min(f.top for f in films), max(f.bottom for f in films))
        columns = slice(min(f.left for f in films), max(f.right for f in films))
        n_px = (rows.stop - rows.start + AROUND_PX) * (columns.stop - columns.start + AROUND_PX)
        if n_px <= self.settings.most_px:
            yield self._drawn(rows, columns, films)
        elif len(films) > 1:
            for film in films:
                yield from self._objects_of([film])
        else:
            yield from self._in_parts(films[0])

    def _in_parts(self, film: Film) -> Iterator[list[SeepObject]]:
        height, width = film.bottom - film.top, film.right - film.left
        logger.warning(
            "%s: a connected area of %d x %d px at row %d, column %d is too large to draw as a whole; drawn in parts",
            self.raster.path.name,
            height,
            width,
            film.top,
            film.left,
        )
        mask = self._mask_of(film)
        side = max(int(self.settings.most_px**0.5) - AROUND_PX, 1)
        for top in range(film.top, film.bottom, side):
            for left in range(film.left, film.right, side):
                rows, columns = slice(top, min(top + side, film.bottom)), slice(left, min(left + side, film.right))
                part = mask[top - film.top : rows.stop - film.top, left - film.left : columns.stop - film.left]
                if part.any():
                    yield self._drawn(rows, columns, part)

    def _mask_of(self, film: Film) -> Mask:
        """The pixels of one film in its bounding box; one byte a pixel."""
        columns = slice(film.left, film.right)
        mask = np.zeros((film.bottom - film.top, film.right - film.left), bool)
        for block, _ in row_blocks(mask.shape, self._scratch.block_px):
            rows = slice(film.top + block.start, film.top + block.stop)
            seep_prob = 1 - self._scratch.read(rows, columns)[0]
            mask[block] = (seep_prob >= self.settings.level) & self.raster.read(rows, columns)[1]
        result: Mask = flood(mask, (film.first[0] - film.top, film.first[1] - film.left))
        return result

    def _drawn(self, rows: slice, columns: slice, own: list[Film] | Mask) -> list[SeepObject]:
        """The seeps in a window: of these films, or of the pixels of a mask of the window."""
        around = clipped(with_margin((rows, columns), _MARGIN_PX), self.raster.shape)
        inside = within((rows, columns), around)
        probabilities = self._scratch.read(*around)
        dn, valid = self.raster.read(*around)
        seep_prob = 1 - probabilities[0]
        mask = np.zeros(valid.shape, bool)
        if isinstance(own, list):
            films = [(film.first[0] - rows.start, film.first[1] - columns.start) for film in own]
            mask[inside] = _components_with(((seep_prob >= self.settings.level) & valid)[inside], films)
        else:
            mask[inside] = own
        image = normalise(dn.astype(np.float32), valid, self.level).numpy()
        settings = self.settings
        found = find_seeps(probabilities, image, settings.instances, settings.classifier, valid=valid, within=mask)
        self._maps.paint(*around, found.classes)
        objects = seep_objects(found, image, valid=valid, sea=valid & (seep_prob < 0.5))
        return [_moved(seep, around[0].start, around[1].start) for seep in objects]


def _components_with(mask: Mask, pixels: list[tuple[int, int]]) -> Mask:
    """The 8-connected components that hold one of the pixels."""
    labels, n_found = label(mask, np.ones((3, 3), int))
    wanted = np.zeros(n_found + 1, bool)
    wanted[[labels[pixel] for pixel in pixels]] = True
    wanted[0] = False
    result: Mask = wanted[labels]
    return result


def _moved(seep: SeepObject, down: int, right: int) -> SeepObject:
    """The object in px of the scene."""
    shift = np.array([right, down])
    polygon = shapely.transform(seep.polygon, lambda corners: corners + shift)
    return replace(seep, polygon=polygon, centre_line=seep.centre_line + shift)
