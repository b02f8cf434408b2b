"""The files that an evaluation writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seep_monai.files import write_bytes, write_json, write_text
from seep_monai.report.evaluation import EvaluationPlan
from seep_monai.report.html import report_html
from seep_monai.report.page import evaluation_charts, evaluation_page
from seep_monai.report.panels import TilePicture
from seep_monai.report.records import EvaluationRecords
from seep_monai.report.scored_tiles_file import SCORED_TILES_FILE, write_scored_tiles
from seep_monai.report.summary import METRICS_FORMAT, false_alarms_by_area, summarised
from seep_monai.report.tables import headline_text, metrics_csv


def write_results(
    records: EvaluationRecords,
    evaluation: EvaluationPlan,
    pictures: Sequence[TilePicture],
    output_dir: Path,
    *,
    unit: str = "tile",
    pixel_size_m: float | None = None,
) -> str:
    """Write `metrics.json`, `metrics.csv`, both COCO files, `figures/*.png`, `report.html` and `scored_tiles.npz`.

    Args:
        pictures: tiles to show.
        output_dir: an existing folder with a folder `figures`.
        unit: what was scored, `tile` or `scene`.
        pixel_size_m: size of a pixel; None: unknown, and no score refers to an area.

    Returns:
        The headline scores with their intervals, one per line.
    """
    tiles = evaluation.plan.tiles(evaluation.part)
    counts = {"n_tiles": len(tiles), "n_scenes": len({tile.scene for tile in tiles})}
    origin: dict[str, Any] = {
        "part": evaluation.part,
        "unit": unit,
        "leaky": evaluation.leaky,
        "instance_mode": evaluation.instance_mode,
        "instance_settings": evaluation.settings.to_json(),
        "weights_sha256": evaluation.description["sha256"],
        "plan_fingerprint": evaluation.description["plan_fingerprint"],
    }
    scores = summarised(records.tiles, evaluation.class_names)
    by_area = {"false_alarms_per_1000_km2": false_alarms_by_area(records.tiles, pixel_size_m)}
    metrics: dict[str, Any] = {"format": METRICS_FORMAT, **counts, **origin, **scores, **by_area}
    write_json(output_dir / "metrics.json", metrics)
    write_text(output_dir / "metrics.csv", metrics_csv(metrics, evaluation.class_names))
    records.coco.write(output_dir)
    charts = evaluation_charts(records, metrics, evaluation.class_names, pictures)
    for name, picture in charts.items():
        write_bytes(output_dir / "figures" / f"{name}.png", picture.png)
    page = evaluation_page(records, metrics, evaluation, charts, runs_dir=output_dir / "runs")
    write_text(output_dir / "report.html", report_html(page))
    # Written last: if this file exists, all others do.
    write_scored_tiles(
        output_dir / SCORED_TILES_FILE, records.tiles, {**origin, "class_names": list(evaluation.class_names)}
    )
    return headline_text(metrics)
