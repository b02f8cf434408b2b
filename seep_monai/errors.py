"""Errors that a user can cause. Each message says where, what was expected, what was found, and what to do."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from seep_monai.interruption import exit_code

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class SeepError(ValueError):
    """Base class of all errors caused by bad input, data or settings."""


class TiffError(SeepError):
    """A TIFF file that cannot be read or written as a two-dimensional image."""


class DataError(SeepError):
    """A data folder, a pair of files or a plan that violates the data format."""


class ConfigError(SeepError):
    """A setting that is unknown, out of range or in conflict with another."""


class TrainingError(SeepError):
    """A training run that cannot continue."""


def listed(names: list[str], limit: int = 10) -> str:
    """Up to `limit` names for an error message, then the number of the remaining ones.

    >>> listed(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"


def entry(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator that ends the program with one line where the function fails.

    A SeepError or OSError, also one wrapped by MONAI, becomes SystemExit with its message. Ctrl-C and SIGTERM become
    SystemExit with their exit code.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except KeyboardInterrupt as stop:
            logger.warning("stopped")
            raise SystemExit(exit_code(stop)) from None
        except Exception as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, SeepError | OSError):
                cause = cause.__cause__
            if cause is None:
                raise
            raise SystemExit(_os_message(cause) if isinstance(cause, OSError) else str(cause)) from error

    return wrapped


def _os_message(error: OSError) -> str:
    # For a failed rename, `filename2` is the target. Errors of GDAL and of open files have no name.
    place = error.filename2 or error.filename
    if place is None:
        return f"A file cannot be read or written ({error}). Check the free disk space and the permissions."
    return f"{place}: cannot be used ({error.strerror}). Check the free disk space, the path and its permissions."
