"""`--tracking mlflow`: values, settings and results of a run are stored, and the run is closed however it ends."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_mlflow
import numpy as np
import pytest
from bundle_runs import evaluate, fit, infer, message_of, train
from monai.handlers import mlflow_handler
from monai.utils import optional_import

from seep_monai.__main__ import main
from seep_monai.handlers.curves import TrainingCurves
from seep_monai.tiff import write_tiff

pytestmark = pytest.mark.usefixtures("closed_log")

Runs = Callable[[Path], list[Any]]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """The runs that are stored in the folder of results, the last one first."""
    if not optional_import("mlflow")[1]:
        fake_mlflow.install(monkeypatch)

    def stored(folder: Path) -> list[Any]:
        client = mlflow_handler.mlflow.MlflowClient(tracking_uri=uri(folder)["tracking_uri"])
        experiment = client.get_experiment_by_name("monai_experiment")
        found = [] if experiment is None else client.search_runs([experiment.experiment_id])
        for run in found:
            run.artifacts = {Path(one.path).name for one in client.list_artifacts(run.info.run_id)}
        return list(found)

    return stored


def uri(folder: Path) -> dict[str, str]:
    return {"tracking": "mlflow", "tracking_uri": f"sqlite:///{folder}/mlruns.db"}


def test_training_stores_losses_scores_settings_and_plan(dataset: Path, tmp_path: Path, runs: Runs) -> None:
    train(dataset, tmp_path, max_epochs=1, seed=3, **uri(tmp_path))
    (run,) = runs(tmp_path)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "one")
    assert run.data.params["seed"] == "3"
    assert run.data.params["split.n_folds"] == "3"
    assert math.isfinite(run.data.metrics["train_loss"])
    description = json.loads((tmp_path / "models" / "model.json").read_text())
    assert run.data.metrics["seep_dice"] == pytest.approx(description["trained"]["value"])
    assert {"datalist.json", "model.json", "config.json"} <= run.artifacts


def test_evaluation_stores_report_and_scores_and_closes_its_run(
    dataset: Path, trained: Path, tmp_path: Path, runs: Runs
) -> None:
    places = {"output_dir": str(tmp_path), "ckpt_dir": str(trained / "models")}
    scores = evaluate(dataset, tmp_path, **places, **uri(tmp_path))
    (run,) = runs(tmp_path)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["seep_dice"] == pytest.approx(scores["seep"]["dice"])
    assert run.artifacts == {"report.html", "metrics.json", "metrics.csv"}


def test_fit_that_fails_is_closed_with_the_reason(dataset: Path, trained: Path, tmp_path: Path, runs: Runs) -> None:
    shutil.copytree(trained / "models", tmp_path / "models")
    message = message_of(fit, dataset, tmp_path, tta=False, **uri(tmp_path))
    assert [(run.info.status, run.data.tags["error"]) for run in runs(tmp_path)] == [("FAILED", message)]


def test_inference_of_rasters_is_one_run_with_their_map_pages(trained: Path, tmp_path: Path, runs: Runs) -> None:
    (tmp_path / "in").mkdir()
    pixels = np.random.default_rng(0).integers(100, 200, (80, 200)).astype(np.uint16)
    for name in ("a", "b"):
        write_tiff(tmp_path / "in" / f"{name}.tif", pixels)
    infer(tmp_path / "in", trained, tmp_path / "out", **uri(tmp_path))
    infer(tmp_path / "in" / "a.tif", trained, tmp_path / "out", **uri(tmp_path))
    last, first = runs(tmp_path)
    assert [run.info.status for run in (first, last)] == ["FINISHED", "FINISHED"]
    assert (first.data.metrics["n_rasters"], last.data.metrics["n_rasters"]) == (2, 1)
    assert first.artifacts >= {"a.html", "b.html"}
    assert "b.html" not in last.artifacts
    assert first.data.params["input"] == str(tmp_path / "in")


def test_training_that_fails_is_closed_with_the_reason(dataset: Path, tmp_path: Path, runs: Runs) -> None:
    message = message_of(train, dataset, tmp_path, learning_rate=1e30, max_epochs=4, **uri(tmp_path))
    (run,) = runs(tmp_path)
    assert (run.info.status, run.data.tags["error"]) == ("FAILED", message)


def test_training_that_the_user_stops_is_closed_and_goes_on_in_the_same_run(
    dataset: Path, tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: TrainingCurves, engine: Any) -> None:
        if engine.state.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingCurves, "write", stop)
        with pytest.raises(SystemExit, match="130"):
            train(dataset, tmp_path, **uri(tmp_path))
    assert [run.info.status for run in runs(tmp_path)] == ["KILLED"]
    train(dataset, tmp_path, resume=True, **uri(tmp_path))
    (run,) = runs(tmp_path)
    assert (run.info.status, run.data.params["resume"]) == ("FINISHED", "False")


def test_evaluation_whose_report_cannot_be_written_is_closed(
    dataset: Path, trained: Path, tmp_path: Path, runs: Runs
) -> None:
    (tmp_path / "report.html").mkdir()
    places = {"output_dir": str(tmp_path), "ckpt_dir": str(trained / "models")}
    assert "report.html: cannot be written" in message_of(evaluate, dataset, tmp_path, **places, **uri(tmp_path))
    assert [run.info.status for run in runs(tmp_path)] == ["FAILED"]


def test_seep_monai_takes_the_option(dataset: Path, trained: Path, tmp_path: Path, runs: Runs) -> None:
    image = str(dataset / "train_images_256" / "000000.000001.tif")
    words = {"output_dir": tmp_path / "out", "ckpt_dir": trained / "models", "device": "cpu"} | uri(tmp_path)
    main(["infer", image, *(word for key, value in words.items() for word in (f"--{key}", str(value)))])
    (run,) = runs(tmp_path)
    assert (run.info.status, run.data.params["input"], run.data.metrics["n_tiles"]) == ("FINISHED", image, 1)


def test_without_mlflow_one_line_says_how_to_install_it(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None: an import fails.
    monkeypatch.setitem(sys.modules, "mlflow", None)
    message = message_of(train, dataset, tmp_path, tracking="mlflow")
    assert message.startswith("tracking: expected MLflow")
    assert "pip install 'seep-monai[tracking]'" in message
    assert not (tmp_path / "models").exists()


def test_store_that_mlflow_does_not_take_is_an_error_that_names_it(dataset: Path, tmp_path: Path, runs: Runs) -> None:
    message = message_of(train, dataset, tmp_path, tracking="mlflow", tracking_uri=str(tmp_path))
    assert message.startswith("tracking_uri: expected")
    assert str(tmp_path) in message
