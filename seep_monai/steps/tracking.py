"""Experiment tracking by MONAI's `--tracking mlflow`: what MONAI's handlers need here, and the end of the run.

MONAI adds an `MLFlowHandler` to the handlers of each engine. It expects a trainer whose output is a list, closes the
run with the engine, and joins any open run where none is named. Here a run has several engines or steps, so the last
step closes it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ignite.engine import Engine
from monai.handlers import MLFlowHandler
from monai.utils import optional_import

from seep_monai.errors import ConfigError, entry
from seep_monai.steps.setup import default_run_name
from seep_monai.workflow import merged_config, running_workflow

logger = logging.getLogger(__name__)

# Where MONAI adds its handlers, by engine.
_HANDLER_LISTS = ("train#handlers", "validate#handlers", "handlers")
# Choice: as often as the curves of TensorBoard. A point costs two writes to the store.
_INTERVAL = 10
# Exit codes of a program that was stopped by Ctrl-C or SIGTERM.
_STOPPED = (130, 143)


@entry
def prepare_tracking() -> None:
    """Set up the handlers that `--tracking mlflow` has added; nothing without it. Call before engines are made.

    Raises:
        ConfigError: if MLflow is not installed or its store cannot be used.
    """
    for handler in _handlers():
        handler.run_name = default_run_name() if handler.run_name is None else str(handler.run_name)
        handler.output_transform = _loss
        handler.iteration_log = handler.iteration_log and _is_logged
        handler.close_on_complete = False
        # What MONAI calls when the run has begun. Its `experiment_param` fails in a resumed run, where values differ.
        handler.dataset_logger = partial(_log_parameters, handler)


@contextmanager
def closing_run() -> Iterator[None]:
    """Close the tracked run after the block: finished, failed, or killed if the user stopped it."""
    with closing_failed_run():
        yield
    _close_all("FINISHED")


@contextmanager
def closing_failed_run() -> Iterator[None]:
    """Close the tracked run if the block fails, with the message as its tag `error`."""
    try:
        yield
    except BaseException as error:
        causes = (error, error.__cause__)
        stopped = any(isinstance(one, KeyboardInterrupt) or getattr(one, "code", None) in _STOPPED for one in causes)
        _close_all("KILLED" if stopped else "FAILED", str(error) or type(error).__name__)
        raise


def log_metrics(values: Mapping[str, float]) -> None:
    """Store values with the tracked run; nothing without one."""
    for handler in _open()[:1]:
        for name, value in values.items():
            handler.client.log_metric(handler.cur_run.info.run_id, name, value)


def log_files(*paths: Path) -> None:
    """Store files with the tracked run; nothing without one."""
    for handler in _open()[:1]:
        for path in paths:
            handler.client.log_artifact(handler.cur_run.info.run_id, str(path))


def parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values of a config and of its groups, by names that MLflow takes.

    >>> parameters({"seed": 0, "split": {"_target_": "a.b", "fold": 1}, "plan": "$make()", "input": "@dataset_dir"})
    {'seed': 0, 'split.fold': 1}
    """
    found = {key: value for key, value in config.items() if _is_plain(value)}
    for group, values in config.items():
        if isinstance(values, dict):
            found |= {
                f"{group}.{key}": value for key, value in values.items() if key != "_target_" and _is_plain(value)
            }
    return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(one) for one in value)
    if isinstance(value, str):
        return not value.startswith(("$", "@", "%"))
    return value is None or isinstance(value, (bool, int, float))


def _handlers() -> list[MLFlowHandler]:
    """The handlers of MLflow in the running workflow."""
    workflow = running_workflow()
    if workflow is None:
        return []
    ids = [
        f"{handlers}#{i}"
        for handlers in _HANDLER_LISTS
        for i, handler in enumerate(workflow.parser.get(handlers) or [])
        if isinstance(handler, dict) and handler.get("_target_") == "MLFlowHandler"
    ]
    if ids and not optional_import("mlflow")[1]:
        raise ConfigError(
            "tracking: expected MLflow for --tracking mlflow, but it is not installed. Install it with pip install "
            "'seep-monai[tracking]'."
        )
    try:
        handlers = [workflow.parser.get_parsed_content(one) for one in ids]
    except RuntimeError as error:
        raise ConfigError(
            f"tracking_uri: expected a store that MLflow can use, but got {error.__cause__}. Give another "
            "--tracking_uri, such as sqlite:///mlruns.db."
        ) from error
    # MONAI leaves the handler out in all processes but the first.
    return [handler for handler in handlers if isinstance(handler, MLFlowHandler)]


def _open() -> list[MLFlowHandler]:
    return [handler for handler in _handlers() if handler.cur_run is not None]


def _close_all(status: str, message: str = "") -> None:
    """Close the run. A store that is gone hides neither the result nor the error of the run."""
    for handler in _open():
        client, run_id = handler.client, handler.cur_run.info.run_id
        handler.run_finish_status = status
        try:
            if message:
                client.set_tag(run_id, "error", message)
            handler.close()
        except Exception as error:
            logger.warning("MLflow: the run could not be closed: %s", error)


def _log_parameters(handler: MLFlowHandler, _: object) -> None:
    """Store the parameters that the run does not have yet."""
    from mlflow.entities import Param

    run_id = handler.cur_run.info.run_id
    stored = handler.client.get_run(run_id).data.params
    new = [Param(name, str(value)) for name, value in parameters(merged_config()).items() if name not in stored]
    handler.client.log_batch(run_id, params=new)


def _loss(output: Mapping[str, Any]) -> float:
    """The loss of the trainer's output, which is no list here."""
    return float(output["loss"].detach())


def _is_logged(engine: Engine, iteration: int) -> bool:
    return iteration % _INTERVAL == 1
