"""Sample data: an archive of simulated scenes, the same sea floor on many dates, with the truth of its vents."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import Transformer
from tqdm import tqdm

from seep_monai.errors import SeepError
from seep_monai.files import fill_folder, write_text
from seep_monai.rectangles import Window, cell_window, overlap, shape_of
from seep_monai.simulate.drawing import draw_parameters
from seep_monai.simulate.georeference import WGS84, AffineReference, to_json
from seep_monai.simulate.rasters import write_scene
from seep_monai.simulate.sample import RECORD_NAME, check_seed, scene_name, scene_rng, write_record
from seep_monai.simulate.sea_floor import Ground, Pass, Source, draw_sea_floor, plan_pass
from seep_monai.simulate.settings import TILE_PX, SceneSettings
from seep_monai.simulate.slicks import Slick
from seep_monai.simulate.vectors import geojson_text

logger = logging.getLogger(__name__)

VENTS_NAME = "vents.geojson"
# Choice: every twelve days, the cycle of one Sentinel-1 satellite, at six in the morning.
_FIRST_PASS, _CYCLE = datetime(2024, 1, 1, 6, tzinfo=UTC), timedelta(days=12)
# Between frames that follow each other along the flight.
_FRAME_S = 25


@dataclass(frozen=True)
class ArchivePlan:
    """Frames that are seen on the same dates.

    Attributes:
        seed: seed of the archive.
        n_frames: number of places; the frames lie in rows of a nearly square grid.
        n_dates: number of passes, twelve days apart.
        settings: the user's settings of scenes; `size_px` is that of a frame.
        reference: georeference of the upper left frame.

    Raises:
        SeepError: if a number is out of range, or the frames leave the coordinate system.
    """

    seed: int
    n_frames: int
    n_dates: int
    settings: SceneSettings
    reference: AffineReference

    def __post_init__(self) -> None:
        check_seed(self.seed)
        for name in ("n_frames", "n_dates"):
            if getattr(self, name) < 1:
                raise SeepError(f"{name}: expected 1 or more, but got {getattr(self, name)}. Ask for at least one.")
        self.reference.raster_place(self.shape)

    @property
    def step_px(self) -> tuple[int, int]:
        """Rows and columns from frame to frame: whole tiles, so that frames overlap by less than one."""
        rows, cols = (size // TILE_PX * TILE_PX for size in self.settings.size_px)
        return rows, cols

    @property
    def windows(self) -> list[Window]:
        """The window of each frame in the scene of a whole pass."""
        n_cols = math.ceil(math.sqrt(self.n_frames))
        corners = (cell_window(divmod(frame, n_cols), self.step_px) for frame in range(self.n_frames))
        rows, cols = self.settings.size_px
        return [(slice(r.start, r.start + rows), slice(c.start, c.start + cols)) for r, c in corners]

    @property
    def shape(self) -> tuple[int, int]:
        """(row, col) size in px of the scene of a whole pass."""
        rows, cols = zip(*((rows.stop, cols.stop) for rows, cols in self.windows), strict=True)
        return max(rows), max(cols)

    def contains(self, rows: npt.NDArray[np.floating], cols: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """True for positions (n,), (n,) inside a frame."""
        inside = np.zeros(np.shape(rows), bool)
        for row, col in self.windows:
            inside |= (rows >= row.start) & (rows < row.stop) & (cols >= col.start) & (cols < col.stop)
        return inside

    def time(self, date: int, frame: int = 0) -> datetime:
        """When a frame is seen on a date, both from 0."""
        return _FIRST_PASS + date * _CYCLE + timedelta(seconds=frame * _FRAME_S)

    def sources(self) -> tuple[Source, ...]:
        """The vents and platforms."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed))
        n_tiles = self.n_frames * math.prod(step / TILE_PX for step in self.step_px)
        return draw_sea_floor(Ground(self.shape, self.contains), self.settings, n_tiles, rng)

    def passes(self) -> Iterator[Pass]:
        """What is seen on each date."""
        sources = self.sources()
        # The slicks come from the sources alone.
        sea = replace(self.settings, size_px=self.shape, seep_share=0.0)
        for date in range(self.n_dates):
            name = f"{self.time(date):%Y%m%d}"
            yield plan_pass(draw_parameters(name, scene_rng(self.seed, date), sea), sources, self.settings)


@dataclass(frozen=True)
class Frame:
    """A window of a pass as a scene of its own, for `write_scene`.

    Attributes:
        seen: the pass.
        window: of the frame.
        slicks: those that may reach into the frame, in px of the frame.
    """

    seen: Pass
    window: Window

    @property
    def shape(self) -> tuple[int, int]:
        """Size in px, (row, col)."""
        return shape_of(self.window)

    @property
    def slicks(self) -> tuple[Slick, ...]:
        """The slicks that may reach into the frame, in px of the frame."""
        down, right = (-part.start for part in self.window)
        near = (slick for slick in self.seen.scene.slicks if all(shape_of(overlap(_box(slick), self.window))))
        return tuple(slick.moved(down, right) for slick in near)

    @property
    def has_data(self) -> bool:
        """Whether the swath reaches into the frame."""
        valid = self.seen.scene.swath.valid(self.window)
        return valid is None or bool(valid.any())

    def draw(self, window: Window) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
        """Image and mask of a window of the frame."""
        rows, cols = (
            slice(part.start + of.start, part.stop + of.start) for part, of in zip(window, self.window, strict=True)
        )
        return self.seen.scene.draw((rows, cols))

    def wind_at(self, row: float, col: float) -> float:
        """Wind speed in m/s at a position."""
        return self.seen.scene.wind_at(row + self.window[0].start, col + self.window[1].start)

    def shown_at(self, rows: npt.NDArray[np.floating], cols: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Visible share (0 to 1) of a film's damping at positions (n,)."""
        return self.seen.scene.shown_at(rows + self.window[0].start, cols + self.window[1].start)


def make_archive(out: str | Path, plan: ArchivePlan, *, overwrite: bool = False) -> None:
    """Write the scenes of all frames and dates to `out`, and the truth of the vents.

    Writes `images/SCENE.tif`, `masks/SCENE.tif` and `slicks/SCENE.geojson`, `vents.geojson` and `simulation.json`. The
    name of a scene ends with its time, as those of Sentinel-1 products do. A frame that the swath of a pass does not
    reach is left out. All is written to a temporary folder beside `out`, which is renamed at the end.

    Raises:
        SeepError: before anything is written, if `out` cannot be used.
    """
    fill_folder(Path(out), lambda folder: _write_archive(folder, plan), record=RECORD_NAME, overwrite=overwrite)
    logger.info("%d frames on %d dates written to %s", plan.n_frames, plan.n_dates, out)


def _write_archive(folder: Path, plan: ArchivePlan) -> None:
    scenes: list[dict[str, Any]] = []
    parameters, sources = [], plan.sources()
    truth = [_source_properties(number, source) for number, source in enumerate(sources)]
    progress = tqdm(total=plan.n_frames * plan.n_dates, desc="simulate", unit="scene", disable=not sys.stderr.isatty())
    with progress:
        for date, seen in enumerate(plan.passes()):
            parameters.append(seen.scene.parameters.to_json())
            frames = [(number, Frame(seen, window)) for number, window in enumerate(plan.windows)]
            for number, frame in frames:
                if frame.has_data:
                    scenes.append(_write_frame(folder, plan, date, number, frame))
                progress.update()
            _add_truth(truth, sources, seen, plan, date)
    _write_vents(folder / VENTS_NAME, truth, sources, plan.reference)
    record = {"seed": plan.seed, "n_frames": plan.n_frames, "n_dates": plan.n_dates, "settings": asdict(plan.settings)}
    record |= {"georeference": to_json(plan.reference), "sources": [asdict(source) for source in sources]}
    write_record(folder, {**record, "passes": parameters}, scenes)


def _write_frame(folder: Path, plan: ArchivePlan, date: int, number: int, frame: Frame) -> dict[str, Any]:
    """Write one scene and return its entry in `simulation.json`."""
    mosaic = replace(plan.settings, size_px=plan.shape)
    name = f"{scene_name(plan.seed, number, mosaic)}_{plan.time(date, number):%Y%m%dT%H%M%S}"
    reference, (rows, cols) = plan.reference, frame.window
    place = replace(
        reference,
        upper_left_x=reference.upper_left_x + reference.pixel_size * cols.start,
        upper_left_y=reference.upper_left_y - reference.pixel_size * rows.start,
    )
    write_scene(frame, folder, name, place)
    return {"name": name, "frame": number, "date": date, "row": rows.start, "col": cols.start}


def _source_properties(number: int, source: Source) -> dict[str, Any]:
    known = {"id": number, "kind": source.kind, "class": source.label, "rate": round(source.rate, 4)}
    return {**known, "depth_m": round(source.depth_m), "dates_covered": [], "dates_active": [], "dates_seen": []}


def _add_truth(
    truth: list[dict[str, Any]], sources: tuple[Source, ...], seen: Pass, plan: ArchivePlan, date: int
) -> None:
    """Add one date to the sources that have data, are active, and can be seen on it."""
    day = f"{plan.time(date):%Y-%m-%d}"
    rows, cols = (np.array([getattr(source, axis) for source in sources]) for axis in ("row", "col"))
    for properties, covered in zip(truth, seen.scene.swath.contains(rows, cols), strict=True):
        if covered:
            properties["dates_covered"].append(day)
    for number, slick in zip(seen.active, seen.slicks, strict=True):
        truth[number]["dates_active"].append(day)
        if seen.is_seen(slick, plan.contains):
            truth[number]["dates_seen"].append(day)


def _write_vents(
    path: Path, truth: list[dict[str, Any]], sources: tuple[Source, ...], reference: AffineReference
) -> None:
    """Write the sources as points in longitude and latitude."""
    x, y = reference.map_coordinates([source.row for source in sources], [source.col for source in sources])
    lon, lat = Transformer.from_crs(reference.epsg, WGS84, always_xy=True).transform(x, y)
    features = [
        {
            "type": "Feature",
            "properties": properties,
            "geometry": {"type": "Point", "coordinates": [round(float(a), 7), round(float(b), 7)]},
        }
        for properties, a, b in zip(truth, lon, lat, strict=True)
    ]
    write_text(path, geojson_text({"type": "FeatureCollection", "name": "vents", "features": features}))


def _box(slick: Slick) -> Window:
    row0, row1, col0, col1 = slick.bounds
    return slice(row0, row1), slice(col0, col1)
