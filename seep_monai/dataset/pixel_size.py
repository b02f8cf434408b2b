"""Size of the pixels of a data set, from the record beside its tiles."""

from __future__ import annotations

from pathlib import Path

from seep_monai.checks import number
from seep_monai.errors import ConfigError, DataError
from seep_monai.files import read_json

# Written by `seep-monai tiles` and `seep-monai simulate`.
RECORDS = ("tiles.json", "simulation.json")


def recorded_pixel_size(dataset_dir: str | Path) -> float | None:
    """Size of a pixel in m, from `tiles.json` or `simulation.json`; None if there is no record or it gives no size.

    Raises:
        DataError: if the record cannot be read or its size is no number above 0.
    """
    for path in (Path(str(dataset_dir)) / name for name in RECORDS):
        if not path.is_file():
            continue
        try:
            size = read_json(path).get("pixel_size_m")
            return None if size is None else number("pixel_size_m", size, low=0)
        except (DataError, AttributeError, ConfigError) as error:
            raise DataError(
                f"{path}: expected a JSON record with a pixel_size_m above 0 or null, but it cannot be read ({error}). "
                "Write the data set again, or give --pixel_size_m and delete the file."
            ) from error
    return None
