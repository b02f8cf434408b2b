"""Charts and page content from the records of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seep_monai.classes import SEEP_LABELS
from seep_monai.dataset.statistics import count_classes
from seep_monai.instances.components import ANY_SEEP
from seep_monai.metrics.average_precision import AT_50, RECALL_LEVELS, group_detections
from seep_monai.metrics.operating_point import score_curve
from seep_monai.report.charts import Curve, confusion_figure, line_figure, training_figure
from seep_monai.report.evaluation import EvaluationPlan
from seep_monai.report.figures import class_figure, error_figure, recall_figure, tile_figure
from seep_monai.report.html import Picture, Report, figure_png
from seep_monai.report.panels import TilePicture
from seep_monai.report.records import EvaluationRecords
from seep_monai.report.tables import headline
from seep_monai.shipped_weights import note_of

_TRAINING_CHARTS = (
    ("train/loss",),
    ("train_terms/seep_dice", "train_terms/seep_ce", "train_terms/class_ce", "train_terms/class_dice"),
    ("validation_seep/dice", "validation_seep/iou", "validation_seep/AP50"),
    ("validation/mAP50", "validation/mAP"),
)


def evaluation_charts(
    records: EvaluationRecords, metrics: Mapping[str, Any], class_names: Sequence[str], pictures: Sequence[TilePicture]
) -> dict[str, Picture]:
    """File name without suffix -> chart, in display order."""
    title = f"{metrics['part']} part: {headline(metrics)}"
    confusion = metrics["confusion_matrix"]
    confusion_title = f"mask IoU {confusion['iou']}, all scores"
    figures = {
        "classes": ("Scores of each class", class_figure(metrics, class_names, title)),
        **_instance_figures(np.concatenate(records.tiles.instances), class_names),
        "errors": ("Errors of instances", error_figure(metrics["errors"], class_names, _AT_IOU)),
        "recall": ("Recall by size and contrast of the true instances", recall_figure(metrics["recall"], title)),
        "confusion": (
            "Confusion of instances",
            confusion_figure(np.array(confusion["counts"]), class_names, title=confusion_title),
        ),
    }
    charts = {name: Picture(text, figure_png(figure)) for name, (text, figure) in figures.items()}
    for name, shown in {
        "tiles": list(pictures),
        "missed": [picture for _, picture in records.missed],
        "worst": [picture for _, picture in records.worst],
        "best": [picture for _, picture in records.best],
    }.items():
        if shown:
            charts[name] = Picture(_TILE_TITLES[name], figure_png(tile_figure(shown, class_names, title)))
    captions = {
        "missed": ", ".join(f"{picture.name}: {number:.0f} px" for number, picture in records.missed),
        "worst": ", ".join(f"{picture.name}: {number:.2f}" for number, picture in records.worst),
        "best": ", ".join(f"{picture.name}: {number:.2f}" for number, picture in records.best),
    }
    return {name: Picture(chart.title, chart.png, captions.get(name, "")) for name, chart in charts.items()}


def evaluation_page(
    records: EvaluationRecords,
    metrics: Mapping[str, Any],
    evaluation: EvaluationPlan,
    charts: Mapping[str, Picture],
    *,
    runs_dir: Path,
) -> Report:
    """The content of `report.html`."""
    sections: dict[str, list[Picture]] = {
        "Tiles": [charts[name] for name in ("tiles",) if name in charts],
        "Scores of each class": [charts["classes"]],
        "Instances": [charts[name] for name in _INSTANCE_CHARTS],
        "Errors": [charts["errors"]],
        "Recall by size and contrast": [charts["recall"]],
        "Confusion": [charts["confusion"]],
        "Most missed pixels": [charts[name] for name in ("missed",) if name in charts],
        "Worst tiles": [charts[name] for name in ("worst",) if name in charts],
        "Best tiles": [charts[name] for name in ("best",) if name in charts],
    }
    run_dir = runs_dir / str(evaluation.description.get("run_name", ""))
    curves = training_curves(run_dir)
    if curves:
        sections["Training"] = [
            Picture("Curves of the training", figure_png(training_figure(curves, _TRAINING_CHARTS)))
        ]
    description = {key: value for key, value in evaluation.description.items() if key != "plan"}
    return Report(
        metrics=metrics,
        class_names=evaluation.class_names,
        counts={part: count_classes(tiles).to_json() for part, tiles in evaluation.plan.parts.items()},
        sections=sections,
        settings={
            "model.json": description,
            "plan settings": evaluation.description["plan"]["settings"],
            **_run_config(run_dir),
        },
        notes=_notes(metrics, note_of(evaluation.description)),
    )


def training_curves(run_dir: Path) -> dict[str, Curve]:
    """The scalars of a run's event files, tag -> (epochs, values); empty without event files."""
    if not list(run_dir.glob("events.out.tfevents.*")):
        return {}
    events = EventAccumulator(str(run_dir))
    events.Reload()
    points = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    return {
        tag: (np.array([point.step for point in scalars]), np.array([point.value for point in scalars]))
        for tag, scalars in points.items()
    }


def _instance_figures(rows: np.ndarray, class_names: Sequence[str]) -> dict[str, tuple[str, Figure]]:
    """Precision-recall curves, and precision, recall and F1 against the score, of seep / no seep and each class."""
    groups = {"seep / no seep": ANY_SEEP, **dict(zip(class_names, SEEP_LABELS, strict=True))}
    curves = {name: score_curve(rows, group) for name, group in groups.items()}
    against_recall = {
        name: (RECALL_LEVELS, group_detections(rows, group).precision_recall()[0][AT_50])
        for name, group in groups.items()
    }
    figures = {
        "precision_recall": (
            "Precision and recall of instances",
            line_figure(against_recall, x_label="recall", y_label="precision", title=_AT_IOU),
        )
    }
    for key in ("precision", "recall", "f1"):
        name = key.upper() if key == "f1" else key
        lines = {group: (curve.scores, getattr(curve, key)) for group, curve in curves.items()}
        figure = line_figure(lines, x_label="score", y_label=name, title=_AT_IOU)
        figures[key] = (f"{name.capitalize()} of instances against the score threshold", figure)
    return figures


def _run_config(run_dir: Path) -> dict[str, Any]:
    """The config of the training, if the run's folder exists."""
    path = run_dir / "config.json"
    return {"config of the training": json.loads(path.read_text(encoding="utf-8"))} if path.is_file() else {}


_AT_IOU = "mask IoU 0.5"
_INSTANCE_CHARTS = ("precision_recall", "precision", "recall", "f1")
_TILE_TITLES = {
    "tiles": "Tiles that show all classes",
    "missed": "Tiles with the most missed seep pixels",
    "worst": "Tiles with the lowest seep Dice",
    "best": "Tiles with the highest seep Dice",
}


def _notes(metrics: Mapping[str, Any], of_weights: str | None) -> list[str]:
    notes = ["Potential seeps: a SAR image cannot prove oil. AP follows COCO, on connected components."]
    notes.append("F1 within 1 px, clDice and AP10-50 tolerate an outline error of one pixel; AP50-95 does not.")
    if not any(metrics["ci95"].values()):
        notes.append(f"No intervals: they need at least five scenes, but there are {metrics['n_scenes']}.")
    if of_weights:
        notes.append(f"{of_weights[0].upper()}{of_weights[1:]}.")
    return notes
