"""Folders of tiles or of scenes made from tiles: how they are created, and no-data in their images."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seep_monai.errors import DataError
from seep_monai.instances.components import Mask
from seep_monai.simulate.sample import make_folder


def fill_folder(out: Path, write: Callable[[Path], None], *, record: str, overwrite: bool) -> None:
    """Let `write` fill a temporary folder beside `out`, and rename it to `out` when it is complete.

    Args:
        out: the folder.
        write: is called with the temporary folder.
        record: name of the file by which an older result is known.
        overwrite: replace an older result; a folder without `record` is never replaced.

    Raises:
        SeepError: if `out` cannot be used; from `write`.
    """
    out = out.resolve()
    if not (overwrite and out.is_dir() and any(out.iterdir())):
        make_folder(out, write, overwrite=False)
        return
    if not (out / record).is_file():
        raise DataError(
            f"{out}: expected a folder with {record} to overwrite, but there is no such file in it. Give another path "
            "or remove the folder."
        )
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        make_folder(new, write, overwrite=False)
        out.rename(old)
        try:
            new.rename(out)
        except OSError:
            old.rename(out)
            raise


def with_no_data(dn: npt.NDArray[Any], valid: Mask) -> tuple[npt.NDArray[Any], float | None]:
    """The image with its no-data value, and the value of the tag: 0 and no tag for integers, NaN for floats.

    A valid integer DN of 0, which occurs where another value is no-data, becomes 1.

    >>> with_no_data(np.array([0, 5, 9], np.uint16), np.array([True, True, False]))
    (array([1, 5, 0], dtype=uint16), None)
    """
    if np.issubdtype(dn.dtype, np.integer):
        return np.where(valid, np.maximum(dn, 1), 0).astype(dn.dtype), None
    return np.where(valid, dn, np.nan).astype(dn.dtype), np.nan
