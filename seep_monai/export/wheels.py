"""The wheel of the running package: built from a checkout, or put together again from an installation."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path

import seep_monai
from seep_monai.errors import DataError

DISTRIBUTION = "seep-monai"
_SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
# What pip adds to an installation.
_OF_PIP = {"INSTALLER", "REQUESTED", "direct_url.json", "RECORD"}
# Oldest time that a zip can hold: equal content gives equal bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


def running_wheel() -> tuple[str, bytes]:
    """File name and content of the wheel of this package.

    Raises:
        DataError: if it cannot be built.
    """
    checkout = Path(seep_monai.__file__).resolve().parent.parent
    if (checkout / "setup.py").is_file():
        return built_wheel(checkout)
    return installed_wheel(distribution(DISTRIBUTION))


def built_wheel(checkout: Path) -> tuple[str, bytes]:
    """The wheel of a checkout, built by pip from a copy: a `build` folder may hold modules of earlier versions."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        copy.mkdir()
        for name in _SOURCES:
            shutil.copy(checkout / name, copy)
        shutil.copytree(checkout / "seep_monai", copy / "seep_monai", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(checkout / "bundle", copy / "bundle", ignore=_own_files)
        options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, str(copy)],
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise DataError(
                f"{checkout}: the wheel cannot be built ({' '.join(done.stderr.split())[-200:]}). Install what builds "
                "it: pip install 'setuptools>=77'"
            )
        return wheels[0].name, wheels[0].read_bytes()


def installed_wheel(installed: Distribution) -> tuple[str, bytes]:
    """The wheel that an installation came from, with the same files.

    Raises:
        DataError: if the installation does not list its files.
    """
    if installed.files is None:
        raise DataError(f"{DISTRIBUTION}: the installation does not list its files. Install it again with pip.")
    # Scripts lie outside: pip makes them from entry_points.txt.
    kept = [path for path in installed.files if path.parts[0] != ".." and path.name not in _OF_PIP]
    content = {
        path.as_posix(): Path(str(path.locate())).read_bytes() for path in kept if "__pycache__" not in path.parts
    }
    info = next(name.split("/")[0] for name in content if name.endswith(".dist-info/METADATA"))
    content[f"{info}/RECORD"] = _record(content, f"{info}/RECORD")
    return f"{info.removesuffix('.dist-info')}-py3-none-any.whl", zipped(content)


def zipped(content: Mapping[str, bytes]) -> bytes:
    """A zip of files by their names. Equal content gives equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def _own_files(folder: str, names: list[str]) -> set[str]:
    """Weights of one's own trainings and results, which may be large."""
    if Path(folder).name == "models":
        return set(names) - {"simulated"}
    return {"eval"} & set(names)


def _record(content: Mapping[str, bytes], name: str) -> bytes:
    """The list of files with checksums that a wheel ends with. Source: PyPA specification of binary distributions."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for file, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.writerow((file, f"sha256={digest}", len(data)))
    rows.writerow((name, "", ""))
    return text.getvalue().encode()
