"""The errors a user can cause; each message says what was expected, what came, where, and what to do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class SeepError(ValueError):
    """Root of all errors that bad input, data or settings cause."""


class TiffError(SeepError):
    """A TIFF file that cannot be read or written as one two-dimensional image."""


class DataError(SeepError):
    """A data folder, a pair of files or a plan that breaks the data contract."""


class ConfigError(SeepError):
    """A setting that is unknown, out of range or contradicts another."""


class TrainingError(SeepError):
    """A training run that cannot go on."""


def listed(names: list[str], limit: int = 10) -> str:
    """Up to `limit` names for an error message, then how many are left.

    >>> listed(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"


def entry(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: a SeepError, also one inside an error of MONAI, or an OSError becomes SystemExit with its message."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, SeepError | OSError):
                cause = cause.__cause__
            if cause is None:
                raise
            if isinstance(cause, OSError):
                # A rename names its target second.
                place = cause.filename2 or cause.filename
                raise SystemExit(f"{place}: cannot be used ({cause.strerror}). Free the place.") from error
            raise SystemExit(str(cause)) from error

    return wrapped
