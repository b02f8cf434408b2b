"""The wheel alone: it carries the bundle and the weights that ship, runs from any folder and is never written to.

The source distribution holds besides what it takes to run the tests.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import numpy as np
import pytest
from packaging.metadata import Metadata
from shipped_bundle import ship_into, write_training

import seep_monai
from seep_monai.export.wheels import installed_wheel
from seep_monai.shipped_weights import NOTE
from seep_monai.tiff import read_tiff, write_tiff
from seep_monai.workflow import BUNDLE_ROOT_VARIABLE

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = {"LICENSE", "docs/README.md", "models/simulated/model.pt", "models/simulated/model.json"}
BUNDLE |= {f"configs/{name}.json" for name in ("train", "evaluate", "fit_objects", "inference", "metadata")}
BUNDLE |= {"configs/multi_gpu_train.json", "configs/multi_gpu_evaluate.json"}
# What a source distribution has besides the package and the bundle.
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in", "constraints.txt", "CITATION.cff")
BESIDE = ("tests", "scripts", ".github")
# What `seep-monai infer` and `python -m monai.bundle run` do. One process, since torch takes seconds to import.
INFERRING = """
import sys
import monai.bundle
from seep_monai.__main__ import main
main(["infer", "a.1.tif", "--output_dir", "OUT", "--device", "cpu"])
monai.bundle.run("inference", config_file=sys.argv[1], input="a.1.tif", device="cpu")
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel is made of, with small weights that ship, and weights and results of one's own."""
    folder = tmp_path_factory.mktemp("checkout") / "seep"
    folder.mkdir()
    for name in SOURCES:
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "seep_monai", folder / "seep_monai", ignore=shutil.ignore_patterns("__pycache__"))
    for name in BESIDE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "bundle", folder / "bundle", ignore=shutil.ignore_patterns("eval", "models"))
    ship_into(folder / "bundle", write_training(folder / "bundle" / "models" / "first"))
    for own in ("models/model.pt", "models/simulated/last.pt", "eval/metrics.json"):
        (folder / "bundle" / own).parent.mkdir(exist_ok=True)
        (folder / "bundle" / own).write_text("own")
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check"]
    _run("-m", "pip", "wheel", *options, "--wheel-dir", str(checkout.parent), str(checkout))
    return next(checkout.parent.glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path) -> Path:
    """A folder of packages with the unpacked wheel, which is all that an installation does."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.parent / "site")
    return wheel.parent / "site"


def _version() -> str:
    return seep_monai.__version__


def _run(*words: str, folder: Path = ROOT, packages: Path | None = None) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop(BUNDLE_ROOT_VARIABLE, None)
    if packages is not None:
        environment["PYTHONPATH"] = str(packages)
    command = [sys.executable, "-W", "ignore", *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    _run("-c", f"from setuptools.build_meta import build_sdist; build_sdist({str(folder)!r})", folder=checkout)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


def files_of(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def package_files() -> set[str]:
    return {f"seep_monai/{name}" for name in files_of(ROOT / "seep_monai")}


def checksums(folder: Path) -> dict[Path, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_wheel_carries_the_bundle_and_nothing_of_ones_own(site: Path) -> None:
    bundle = site / "seep_monai" / "bundle"
    assert files_of(bundle) - {"configs/logging.conf"} == BUNDLE


def test_wheel_holds_the_package_and_nothing_else(site: Path) -> None:
    others = {name for name in files_of(site) if not name.startswith("seep_monai/bundle/")} - package_files()
    assert package_files() <= files_of(site)
    assert {name.split("/")[0] for name in others} == {f"seep_monai-{_version()}.dist-info"}


def test_description_of_the_wheel_is_valid(site: Path) -> None:
    text = (next(site.glob("*.dist-info")) / "METADATA").read_text()
    metadata = Metadata.from_email(text, validate=True)
    assert (metadata.description_content_type, str(metadata.version)) == ("text/markdown", _version())


def test_source_distribution_holds_what_builds_and_tests_it_and_nothing_of_ones_own(source: Path) -> None:
    held = {name for name in files_of(source) if ".egg-info/" not in name}
    beside = {f"{folder}/{name}" for folder in BESIDE for name in files_of(ROOT / folder)}
    bundle = {f"bundle/{name}" for name in {*BUNDLE, "configs/logging.conf"}}
    assert held - {"PKG-INFO", "setup.cfg"} == {*SOURCES, *package_files(), *beside, *bundle}


def test_wheel_of_an_installation_is_the_wheel_that_was_installed(wheel: Path, site: Path) -> None:
    name, data = installed_wheel(Distribution.at(next(site.glob("*.dist-info"))))
    assert name == wheel.name
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(io.BytesIO(data)) as second:
        contents = [{name: archive.read(name) for name in archive.namelist()} for archive in (first, second)]
    records = [content.pop(f"{name.removesuffix('-py3-none-any.whl')}.dist-info/RECORD") for content in contents]
    assert contents[0] == contents[1]
    assert sorted(records[0].splitlines()) == sorted(records[1].splitlines())


def test_wheel_names_both_licences(site: Path) -> None:
    info = next(site.glob("*.dist-info"))
    assert "License-Expression: Apache-2.0 AND BSD-2-Clause" in (info / "METADATA").read_text()
    assert "Apache License" in (info / "licenses" / "LICENSE").read_text()
    leaflet = info / "licenses" / "seep_monai" / "scene" / "leaflet" / "LICENSE"
    assert "Volodymyr Agafonkin" in leaflet.read_text()


def test_installed_wheel_infers_from_any_folder_and_writes_below_it(site: Path, tmp_path: Path) -> None:
    before = checksums(site)
    work = tmp_path / "work"
    work.mkdir()
    write_tiff(work / "a.1.tif", np.random.default_rng(0).integers(100, 200, (64, 64)).astype(np.uint16))
    _run(
        "-c", INFERRING, str(site / "seep_monai" / "bundle" / "configs" / "inference.json"), folder=work, packages=site
    )
    maps = [folder / "a.1_classes.tif" for folder in (work / "OUT", work / "bundle" / "eval" / "inference")]
    described = [json.loads(read_tiff(path).description or "") for path in maps]
    assert described[0] == described[1]
    assert described[0]["weights_note"] == NOTE
    assert (read_tiff(maps[0]).array == read_tiff(maps[1]).array).all()
    assert {path.name for path in work.iterdir()} == {"a.1.tif", "OUT", "bundle"}
    assert checksums(site) == before


def test_editable_installation_uses_the_checkout(checkout: Path, tmp_path: Path) -> None:
    script = f"from setuptools.build_meta import build_editable; build_editable({str(tmp_path)!r})"
    _run("-c", script, folder=checkout)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        texts = [archive.read(name).decode() for name in archive.namelist() if ".dist-info/" not in name]
    # A finder and the line that starts it; no copy of the package or of the bundle.
    assert any(str(checkout / "seep_monai") in text for text in texts)
    assert len(texts) == 2
