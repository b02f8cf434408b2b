"""Charts and page content from the records of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seep_monai.classes import SEEP_LABELS
from seep_monai.dataset.statistics import count_classes
from seep_monai.files import read_json
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
_AT_IOU = "mask IoU 0.5"
# Heading -> charts; those that an evaluation does not have are left out.
_SECTIONS = {
    "Tiles": ("tiles",),
    "Scores of each class": ("classes",),
    "Instances": ("precision_recall", "precision", "recall", "f1"),
    "Errors": ("errors",),
    "Recall by size and contrast": ("recall_by_size",),
    "Confusion": ("confusion",),
    "Most missed pixels": ("missed",),
    "Worst tiles": ("worst",),
    "Best tiles": ("best",),
}


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
        "recall_by_size": (
            "Recall by size and contrast of the true instances",
            recall_figure(metrics["recall"], title),
        ),
        "confusion": (
            "Confusion of instances",
            confusion_figure(np.array(confusion["counts"]), class_names, title=confusion_title),
        ),
    }
    charts = {name: Picture(text, figure_png(figure)) for name, (text, figure) in figures.items()}
    if pictures:
        charts["tiles"] = Picture("Tiles that show all classes", figure_png(tile_figure(pictures, class_names, title)))
    for name, ranked, form, text in (
        ("missed", records.missed, "{:.0f} px", "the most missed seep pixels"),
        ("worst", records.worst, "{:.2f}", "the lowest seep Dice"),
        ("best", records.best, "{:.2f}", "the highest seep Dice"),
    ):
        if ranked:
            caption = ", ".join(f"{picture.name}: {form.format(number)}" for number, picture in ranked)
            figure = tile_figure([picture for _, picture in ranked], class_names, title)
            charts[name] = Picture(f"Tiles with {text}", figure_png(figure), caption)
    return charts


def evaluation_page(
    records: EvaluationRecords,
    metrics: Mapping[str, Any],
    evaluation: EvaluationPlan,
    charts: Mapping[str, Picture],
    *,
    runs_dir: Path,
) -> Report:
    """The content of `report.html`."""
    sections = {heading: [charts[name] for name in names if name in charts] for heading, names in _SECTIONS.items()}
    run_dir = runs_dir / str(evaluation.description.get("run_name", ""))
    curves = training_curves(run_dir)
    if curves:
        sections["Training"] = [
            Picture("Curves of the training", figure_png(training_figure(curves, _TRAINING_CHARTS)))
        ]
    settings = {
        "model.json": {key: value for key, value in evaluation.description.items() if key != "plan"},
        "plan settings": evaluation.description["plan"]["settings"],
    }
    config = run_dir / "config.json"
    if config.is_file():
        settings["config of the training"] = read_json(config)
    return Report(
        metrics=metrics,
        class_names=evaluation.class_names,
        counts={part: count_classes(tiles).to_json() for part, tiles in evaluation.plan.parts.items()},
        sections=sections,
        settings=settings,
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
    figure = line_figure(against_recall, x_label="recall", y_label="precision", title=_AT_IOU)
    figures = {"precision_recall": ("Precision and recall of instances", figure)}
    for key in ("precision", "recall", "f1"):
        name = key.upper() if key == "f1" else key
        lines = {group: (curve.scores, getattr(curve, key)) for group, curve in curves.items()}
        figure = line_figure(lines, x_label="score", y_label=name, title=_AT_IOU)
        figures[key] = (f"{name.capitalize()} of instances against the score threshold", figure)
    return figures


def _notes(metrics: Mapping[str, Any], of_weights: str | None) -> list[str]:
    notes = [
        "Potential seeps: a SAR image cannot prove oil. AP follows COCO, on connected components.",
        "F1 within 1 px, clDice and AP10-50 tolerate an outline error of one pixel; AP50-95 does not.",
    ]
    if not any(metrics["ci95"].values()):
        notes.append(f"No intervals: they need at least five scenes, but there are {metrics['n_scenes']}.")
    if of_weights:
        notes.append(f"{of_weights[0].upper()}{of_weights[1:]}.")
    return notes
