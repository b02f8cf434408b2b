"""Access to the running MONAI workflow: bundle folder, config ids, merged config and log file."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import json
import logging
import os
import platform
import pydoc
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from monai.bundle import ComponentLocator, ConfigParser, ConfigWorkflow
from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS

import seep_monai
from seep_monai.errors import ConfigError
from seep_monai.files import failed_write

logger = logging.getLogger(__name__)

BUNDLE_ROOT_VARIABLE = "SEEP_BUNDLE_ROOT"
# Ids that `--tracking mlflow` adds to the config.
_TRACKING_IDS = frozenset(DEFAULT_MLFLOW_SETTINGS["configs"])
_VERSIONED_PACKAGES = ("monai", "torch", "pytorch-ignite", "numpy", "tifffile", "scikit-image", "scipy")


def bundle_root() -> str:
    """The folder below which data, weights and results are by default: that of the bundle (`bundle_source`).

    For the bundle of an installed wheel it is `bundle` in the current folder, because packages are not written to.

    Raises:
        ConfigError: if there is no bundle.
    """
    source = bundle_source()
    return str(Path.cwd() / "bundle" if source.resolve() == _installed_bundle() else source)


def bundle_source() -> Path:
    """The bundle's folder, with the configs and the weights that ship.

    `SEEP_BUNDLE_ROOT`, else the parent of the configs folder that MONAI reads, else the bundle in an installed wheel,
    else `bundle/` beside the package in a checkout.

    Raises:
        ConfigError: if none of them exists.
    """
    given = os.environ.get(BUNDLE_ROOT_VARIABLE)
    if given:
        return Path(given).absolute()
    configs = _configs_folder()
    if configs is not None:
        return configs.parent if configs.name == "configs" else configs
    for folder in (_installed_bundle(), _installed_bundle().parent.parent / "bundle"):
        if (folder / "configs").is_dir():
            return folder
    raise ConfigError(
        f"bundle_root: expected a bundle folder, but found none. Set --bundle_root DIR or {BUNDLE_ROOT_VARIABLE}."
    )


def _installed_bundle() -> Path:
    """Where a wheel has the bundle; see `setup.py`."""
    return Path(seep_monai.__file__).resolve().parent / "bundle"


def running_workflow() -> ConfigWorkflow | None:
    """The running ConfigWorkflow, or None. Found on the call stack, because config expressions cannot refer to it."""
    for local_variables in _stack():
        candidate = local_variables.get("self")
        if isinstance(candidate, ConfigWorkflow):
            return candidate
    return None


def check_ids() -> None:
    """Check that every id of the running workflow is in its config files. MONAI ignores unknown ids.

    A nested id that is in no file is accepted if the `_target_` of its group takes an argument of that name.

    Raises:
        ConfigError: if an id on the command line is in no file; the message suggests the closest known id.
    """
    workflow = running_workflow()
    if workflow is None:
        return
    files = [file for file in _given_config_files(workflow) if file.name != "metadata.json"]
    known = _merged([ConfigParser.load_config_file(str(file)) for file in files])
    given = {key: value for key, value in workflow.parser.get().items() if key not in {*_TRACKING_IDS - known.keys()}}
    for path, siblings in _unknown_ids(given, known):
        # The same name in another group is suggested before a similar name: --split#fold for --fold.
        same = [nested for nested in _nested_ids(known) if nested.endswith(f"#{path[-1]}")]
        near = same or ["#".join([*path[:-1], x]) for x in difflib.get_close_matches(path[-1], siblings, n=1)]
        listed_ids = ", ".join("#".join([*path[:-1], name]) for name in siblings)
        hint = f"Did you mean --{near[0]}?" if near else f"Known ids: {listed_ids}."
        raise ConfigError(f"--{'#'.join(path)}: the config files have no such id. {hint}")


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of the packages that affect results."""
    return {
        "python": platform.python_version(),
        "seep_monai": seep_monai.__version__,
        **{package: version(package) for package in _VERSIONED_PACKAGES},
    }


def merged_config() -> dict[str, Any]:
    """The config of the running workflow, with all files and overrides merged. Empty outside a workflow."""
    workflow = running_workflow()
    content = {} if workflow is None else workflow.parser.get()
    # An override given from Python may be any object. It is stored as text.
    plain: dict[str, Any] = json.loads(json.dumps(content, default=str))
    return {key: value for key, value in plain.items() if key != "_meta_"}


def start_log(run_dir: Path) -> None:
    """Also write the log to `run.log` in the run folder, until `stop_log`."""
    stop_log()
    handler = _RunLog(run_dir / "run.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.set_name(_LOG_NAME)
    logging.getLogger().addHandler(handler)


def stop_log() -> None:
    """Close `run.log`, if it is open."""
    for handler in list(logging.getLogger().handlers):
        if handler.get_name() == _LOG_NAME:
            logging.getLogger().removeHandler(handler)
            handler.close()


_LOG_NAME = "seep_monai_run_log"


class _RunLog(logging.FileHandler):
    """run.log. Where it cannot be written, one line says so and the run goes on."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Called by `emit` in the handling of its error. `logging` would print a traceback for each line."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._failed:
            self._failed = True
            logger.warning("%s", failed_write(Path(self.baseFilename), error))

    def close(self) -> None:
        """Close the file. Lines that did not fit on the disk are lost."""
        with contextlib.suppress(OSError):
            super().close()


def _stack() -> Iterator[dict[str, Any]]:
    return (frame.f_locals for frame in _frames())


def _frames() -> Iterator[FrameType]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def _given_config_files(workflow: ConfigWorkflow) -> list[Path]:
    """The config files on the command line; all files of the folder if a ConfigWorkflow was created in Python."""
    for local_variables in _stack():
        if "workflow_class" in local_variables and local_variables.get("config_file"):
            return _paths(local_variables["config_file"])
    return sorted(Path(workflow.config_root_path).glob("*.json"))


def _configs_folder() -> Path | None:
    """The folder of the config files that MONAI reads, for a workflow or another bundle command."""
    workflow = running_workflow()
    if workflow is not None:
        return Path(workflow.config_root_path).absolute()
    for frame in _frames():
        # `verify_net_in_out`, `ckpt_export` and similar commands have no workflow, only the paths of their files.
        given = frame.f_locals.get("config_file_")
        if given and frame.f_globals.get("__name__") == "monai.bundle.scripts":
            return _paths(given)[-1].absolute().parent
    return None


def _paths(given: Any) -> list[Path]:
    return [Path(file) for file in ([given] if isinstance(given, (str, os.PathLike)) else given)]


def _merged(contents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All ids of the files. `a#b` is `b` within `a`. Unlike in MONAI, the order does not matter."""
    result: dict[str, Any] = {}
    for content in contents:
        for key, value in content.items():
            *path, name = key.removeprefix("+").split("#")
            place = result
            for step in path:
                below = place.get(step)
                place[step] = place = below if isinstance(below, dict) else {}
            both = isinstance(value, dict) and isinstance(place.get(name), dict)
            place[name] = _merged([place[name], value]) if both else value
    return result


def _unknown_ids(
    given: Mapping[str, Any], known: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """The path of each unknown id, with the known ids of its group."""
    if given.get("_target_") != known.get("_target_"):
        # The object was replaced, so the known arguments do not apply.
        return
    for key, value in given.items():
        if key == "_meta_":
            continue
        if key not in known:
            if not _takes(known.get("_target_"), key):
                yield (*above, key), sorted(known.keys() - {"_target_"})
        elif isinstance(value, dict) and isinstance(known[key], dict):
            yield from _unknown_ids(value, known[key], (*above, key))


def _nested_ids(known: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The ids below the top level, outer levels first."""
    groups = {key: value for key, value in known.items() if isinstance(value, dict)}
    for key, value in groups.items():
        yield from (f"{above}{key}#{name}" for name in value)
    for key, value in groups.items():
        yield from _nested_ids(value, f"{above}{key}#")


def _takes(target: Any, name: str) -> bool:
    """Whether the function or class of a `_target_` has an argument of this name."""
    if not isinstance(target, str):
        return False
    path = ComponentLocator().get_component_module_name(target)
    function = pydoc.locate(target) or (isinstance(path, str) and pydoc.locate(f"{path}.{target}"))
    if not callable(function):
        return False
    parameters = inspect.signature(function).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
