"""What stands between MONAI's command line and the rest: the bundle's place, its ids, its run folder."""

from __future__ import annotations

import difflib
import inspect
import json
import logging
import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser, ConfigWorkflow
from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS

import seep_monai
from seep_monai.errors import ConfigError

logger = logging.getLogger(__name__)

BUNDLE_ROOT_VARIABLE = "SEEP_BUNDLE_ROOT"
# Ids that `--tracking mlflow` merges into the config before anybody looks.
_TRACKING_IDS = frozenset(DEFAULT_MLFLOW_SETTINGS["configs"])
_VERSIONED_PACKAGES = ("monai", "torch", "pytorch-ignite", "numpy", "tifffile", "scikit-image", "scipy")


def bundle_root() -> str:
    """The bundle's folder.

    That is `SEEP_BUNDLE_ROOT`, else the folder above the running workflow's configs, else `bundle/` beside the package.

    Raises:
        ConfigError: if none of them exists.
    """
    given = os.environ.get(BUNDLE_ROOT_VARIABLE)
    if given:
        return str(Path(given).absolute())
    workflow = running_workflow()
    if workflow is not None:
        configs = Path(workflow.config_root_path).absolute()
        return str(configs.parent if configs.name == "configs" else configs)
    beside = Path(seep_monai.__file__).resolve().parent.parent / "bundle"
    if beside.is_dir():
        return str(beside)
    raise ConfigError(f"bundle_root: found no bundle folder; give it with --bundle_root DIR or {BUNDLE_ROOT_VARIABLE}.")


def running_workflow() -> ConfigWorkflow | None:
    """The ConfigWorkflow that is evaluating the caller, found on the call stack: a config expression cannot name it."""
    for local_variables in _stack():
        candidate = local_variables.get("self")
        if isinstance(candidate, ConfigWorkflow):
            return candidate
    return None


def check_ids() -> None:
    """Compare the running workflow's top-level ids with those of its config files: MONAI ignores what it does not know.

    Raises:
        ConfigError: if an id on the command line is in no file; names the nearest known one.
    """
    workflow = running_workflow()
    if workflow is None:
        return
    known = _file_ids(_given_config_files(workflow))
    unknown = sorted(set(workflow.parser.get()) - known - _TRACKING_IDS - {"_meta_"})
    if unknown:
        near = difflib.get_close_matches(unknown[0], sorted(known), n=1)
        hint = f"Did you mean --{near[0]}?" if near else f"Known ids: {', '.join(sorted(known))}."
        raise ConfigError(f"--{unknown[0]}: the config files have no such id. {hint}")


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of what the figures depend on."""
    return {
        "python": platform.python_version(),
        "seep_monai": seep_monai.__version__,
        **{package: version(package) for package in _VERSIONED_PACKAGES},
    }


def merged_config() -> dict[str, Any]:
    """The running workflow's config with all files and overrides merged; empty outside a workflow."""
    workflow = running_workflow()
    content = {} if workflow is None else workflow.parser.get()
    # An override given from Python may be any object; its text is what a reader of the file needs.
    plain: dict[str, Any] = json.loads(json.dumps(content, default=str))
    return {key: value for key, value in plain.items() if key != "_meta_"}


def start_log(run_dir: Path) -> None:
    """Send everything that is logged to `run.log` in the run's folder as well, until `stop_log`."""
    stop_log()
    handler = logging.FileHandler(run_dir / "run.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.set_name(_LOG_NAME)
    logging.getLogger().addHandler(handler)


def stop_log() -> None:
    """Close the run's log, if one is open."""
    for handler in list(logging.getLogger().handlers):
        if handler.get_name() == _LOG_NAME:
            logging.getLogger().removeHandler(handler)
            handler.close()


_LOG_NAME = "seep_monai_run_log"


def _stack() -> Iterator[dict[str, Any]]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame.f_locals
        frame = frame.f_back


def _given_config_files(workflow: ConfigWorkflow) -> list[Path]:
    """The files the command line gave; a ConfigWorkflow used directly forgets them, then all beside it count."""
    for local_variables in _stack():
        if "workflow_class" in local_variables and local_variables.get("config_file"):
            given = local_variables["config_file"]
            return [Path(file) for file in ([given] if isinstance(given, (str, os.PathLike)) else given)]
    return sorted(Path(workflow.config_root_path).glob("*.json"))


def _file_ids(files: list[Path]) -> set[str]:
    return {key for file in files if file.name != "metadata.json" for key in ConfigParser.load_config_file(str(file))}
