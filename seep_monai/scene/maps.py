"""Class map and seep probability of a scene as Cloud-Optimised GeoTIFFs, written strip by strip."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from seep_monai.classes import CLASS_COLOURS, NO_DATA_LABEL
from seep_monai.errors import DataError
from seep_monai.files import move_into_place
from seep_monai.tiff import PROBABILITY_STEPS, TILE_PX

Mask = npt.NDArray[np.bool_]
# Choice: as in tiles of web maps; more levels than needed cost a third of the file at most.
_OVERVIEWS = {"classes": "MODE", "probability": "AVERAGE"}


class SceneMaps:
    """The two maps of a scene in a folder of temporary files.

    Args:
        folder: for temporary files.
        shape: (rows, columns).
        georeference: from `Raster.georeference`.
        tags: texts that both files hold.
    """

    def __init__(
        self, folder: Path, shape: tuple[int, int], georeference: dict[str, Any], tags: dict[str, str]
    ) -> None:
        self.folder = folder
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "dtype": "uint8",
            "count": 1,
            "height": shape[0],
            "width": shape[1],
            "nodata": NO_DATA_LABEL,
            "tiled": True,
            "blockxsize": TILE_PX,
            "blockysize": TILE_PX,
            "BIGTIFF": "IF_SAFER",
            **georeference,
        }
        # Not compressed, because the class map is painted over.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            self._files = {name: rasterio.open(folder / f"{name}.tif", "w+", **profile) for name in _OVERVIEWS}
        for file in self._files.values():
            file.update_tags(**tags)
        self._files["probability"].scales = (1 / PROBABILITY_STEPS,)
        self._files["classes"].write_colormap(1, {k: (*colour, 255) for k, colour in enumerate(CLASS_COLOURS)})

    def write(self, first_row: int, seep_prob: npt.NDArray[np.floating], valid: Mask) -> None:
        """Write the rows from `first_row` on: the probability, and background as the class; (h, W) each."""
        window = Window(0, first_row, valid.shape[1], valid.shape[0])
        steps = np.rint(seep_prob * PROBABILITY_STEPS)
        self._files["probability"].write(np.where(valid, steps, NO_DATA_LABEL).astype(np.uint8), 1, window=window)
        self._files["classes"].write(np.where(valid, 0, NO_DATA_LABEL).astype(np.uint8), 1, window=window)

    def paint(self, rows: slice, columns: slice, classes: npt.NDArray[np.uint8]) -> None:
        """Set the class of pixels in a window where `classes` is above 0."""
        if not classes.any():
            return
        window = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        before = self._files["classes"].read(1, window=window)
        self._files["classes"].write(np.where(classes > 0, classes, before), 1, window=window)

    def finish(self, stem: Path) -> list[Path]:
        """Write `<stem>_probability.tif` and `<stem>_classes.tif`; each gets its name when it is complete.

        Raises:
            DataError: if they cannot be written.
        """
        self.close()
        paths = []
        for name in ("probability", "classes"):
            path, part = Path(f"{stem}_{name}.tif"), self.folder / f"{name}_cog.tif"
            options = {"compress": "DEFLATE", "overview_resampling": _OVERVIEWS[name], "blocksize": TILE_PX}
            try:
                # This copy keeps control points; rio-cogeo drops them.
                rasterio.shutil.copy(self.folder / f"{name}.tif", part, driver="COG", bigtiff="IF_SAFER", **options)
            except rasterio.errors.RasterioError as error:
                raise DataError(f"{path}: cannot be written ({error}). Check the free disk space.") from error
            (self.folder / f"{name}.tif").unlink()
            move_into_place(part, path)
            paths.append(path)
        return paths

    def close(self) -> None:
        """Close the temporary files."""
        for file in self._files.values():
            file.close()
