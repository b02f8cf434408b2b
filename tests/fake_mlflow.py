"""What the bundle uses of MLflow, kept in memory; the tests run on the real one where it is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from monai.handlers import mlflow_handler


class Store:
    """Experiments and runs, with the methods of `mlflow.MlflowClient` that are called."""

    def __init__(self) -> None:
        self.experiments: dict[str, SimpleNamespace] = {}
        self.runs: list[SimpleNamespace] = []
        self.artifacts: dict[str, list[SimpleNamespace]] = {}

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return self.experiments.get(name)

    def create_experiment(self, name: str, artifact_location: str | None = None) -> str:
        self.experiments[name] = SimpleNamespace(experiment_id=name, lifecycle_stage="active")
        return name

    def get_experiment(self, experiment_id: str) -> SimpleNamespace:
        return self.experiments[experiment_id]

    def create_run(self, experiment_id: str, run_name: str) -> SimpleNamespace:
        assert isinstance(run_name, str)
        info = SimpleNamespace(run_id=str(len(self.runs)), run_name=run_name, status="RUNNING")
        self.runs.append(SimpleNamespace(info=info, data=SimpleNamespace(params={}, metrics={}, tags={})))
        self.artifacts[info.run_id] = []
        return self.runs[-1]

    def search_runs(self, experiment_ids: Any) -> list[SimpleNamespace]:
        return self.runs[::-1]

    def get_run(self, run_id: str) -> SimpleNamespace:
        return self.runs[int(run_id)]

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
        assert len(params) <= 100
        data = self.get_run(run_id).data
        for param in params:
            assert data.params.setdefault(param.key, param.value) == param.value, "parameters do not change"
        data.metrics |= {metric.key: float(metric.value) for metric in metrics}

    def log_metric(self, run_id: str, key: str, value: float) -> None:
        self.get_run(run_id).data.metrics[key] = float(value)

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.get_run(run_id).data.tags[key] = value

    def log_artifact(self, run_id: str, local_path: str) -> None:
        assert Path(local_path).is_file()
        self.artifacts[run_id].append(SimpleNamespace(path=Path(local_path).name))

    def list_artifacts(self, run_id: str) -> list[SimpleNamespace]:
        return self.artifacts[run_id]

    def set_terminated(self, run_id: str, status: str) -> None:
        self.get_run(run_id).info.status = status


def install(patch: pytest.MonkeyPatch) -> None:
    """Put the fake where MONAI and the bundle look for MLflow."""
    stores: dict[str, Store] = {}

    def client(tracking_uri: str) -> Store:
        if "://" not in tracking_uri:
            raise ValueError(f"folders are no longer taken: {tracking_uri}")
        return stores.setdefault(tracking_uri, Store())

    fake, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
    entities.Param = lambda key, value: SimpleNamespace(key=key, value=value)  # type: ignore[attr-defined]
    entities.Metric = lambda key, value, *_: SimpleNamespace(key=key, value=value)  # type: ignore[attr-defined]
    entities.RunStatus = SimpleNamespace(FINISHED="FINISHED", to_string=str)  # type: ignore[attr-defined]
    entities.LifecycleStage = SimpleNamespace(ACTIVE="active")  # type: ignore[attr-defined]
    fake.entities = entities  # type: ignore[attr-defined]
    fake.MlflowClient = client  # type: ignore[attr-defined]
    patch.setitem(sys.modules, "mlflow", fake)
    patch.setitem(sys.modules, "mlflow.entities", entities)
    patch.setattr(mlflow_handler, "mlflow", fake)
    patch.setattr(mlflow_handler, "MlflowException", type("MlflowException", (Exception,), {}))
