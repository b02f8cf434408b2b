"""Packed bundles: what is in the zip, and that it runs where it is unpacked."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bundle_runs import ROOT, infer
from monai.bundle import run
from shipped_bundle import write_training

from seep_monai.__main__ import main
from seep_monai.errors import ConfigError, DataError
from seep_monai.export import packing
from seep_monai.export.packing import CHECKSUMS, pack_bundle
from seep_monai.tiff import read_tiff, write_tiff
from seep_monai.workflow import BUNDLE_ROOT_VARIABLE

pytestmark = pytest.mark.usefixtures("closed_log")
WHEEL = "seep_monai-0.1.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def small_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one takes seconds; tests/test_reliability_export.py builds it."""
    monkeypatch.setattr(packing, "running_wheel", lambda: (WHEEL, b"wheel"))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_training(tmp_path / "models")


def test_zip_holds_the_bundle_in_a_folder_of_its_name(weights: Path, tmp_path: Path) -> None:
    pack_bundle(ROOT / "bundle", weights, tmp_path / "out" / "mine.zip")
    with zipfile.ZipFile(tmp_path / "out" / "mine.zip") as archive:
        names = set(archive.namelist())
        assert archive.read(f"mine/{WHEEL}") == b"wheel"
        for name in ("model.pt", "model.json"):
            assert archive.read(f"mine/models/{name}") == (weights / name).read_bytes()
    configs = {f"mine/configs/{path.name}" for path in (ROOT / "bundle" / "configs").iterdir()}
    others = {"docs/README.md", "LICENSE", "models/model.pt", "models/model.json", WHEEL, CHECKSUMS}
    assert names == configs | {f"mine/{name}" for name in others}


def test_list_has_the_checksum_of_every_other_file(weights: Path, tmp_path: Path) -> None:
    pack_bundle(ROOT / "bundle", weights, tmp_path / "mine.zip")
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        listed = dict(reversed(line.split("  ")) for line in archive.read(f"mine/{CHECKSUMS}").decode().splitlines())
        names = [name.removeprefix("mine/") for name in archive.namelist()]
        assert sorted(listed) == sorted(name for name in names if name != CHECKSUMS)
        for name, digest in listed.items():
            assert hashlib.sha256(archive.read(f"mine/{name}")).hexdigest() == digest


def test_equal_content_gives_equal_bytes(weights: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        pack_bundle(ROOT / "bundle", weights, tmp_path / name / "mine.zip")
    assert (tmp_path / "first" / "mine.zip").read_bytes() == (tmp_path / "second" / "mine.zip").read_bytes()


def test_unpacked_bundle_draws_with_its_own_weights(weights: Path, tmp_path: Path) -> None:
    pack_bundle(ROOT / "bundle", weights, tmp_path / "mine.zip")
    shutil.unpack_archive(tmp_path / "mine.zip", tmp_path / "elsewhere")
    write_tiff(tmp_path / "a.1.tif", np.random.default_rng(0).integers(100, 200, (64, 64)).astype(np.uint16))
    infer(tmp_path / "a.1.tif", tmp_path, tmp_path / "expected")
    config = tmp_path / "elsewhere" / "mine" / "configs" / "inference.json"
    out = {"input": str(tmp_path / "a.1.tif"), "output_dir": str(tmp_path / "out"), "device": "cpu"}
    run("inference", config_file=str(config), logging_file=False, **out)
    for kind in ("classes", "probability"):
        found, expected = (read_tiff(tmp_path / place / f"a.1_{kind}.tif") for place in ("out", "expected"))
        assert found.description == expected.description
        np.testing.assert_array_equal(found.array, expected.array)


def test_damaged_weights_are_not_packed(weights: Path, tmp_path: Path) -> None:
    (weights / "model.pt").write_bytes(b"damaged")
    with pytest.raises(DataError, match="describes weights with sha256"):
        pack_bundle(ROOT / "bundle", weights, tmp_path / "mine.zip")
    assert not (tmp_path / "mine.zip").exists()


def test_existing_file_and_other_suffix_are_refused(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_text("mine")
    with pytest.raises(ConfigError, match="exists"):
        pack_bundle(ROOT / "bundle", weights, tmp_path / "mine.zip")
    assert (tmp_path / "mine.zip").read_text() == "mine"
    with pytest.raises(ConfigError, match=r"expected a file \.zip"):
        pack_bundle(ROOT / "bundle", weights, tmp_path / "mine.tar")
    pack_bundle(ROOT / "bundle", weights, tmp_path / "mine.zip", overwrite=True)


def test_command_packs_the_weights_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "bundle" / "configs", tmp_path / "bundle" / "configs")
    weights = write_training(tmp_path / "bundle" / "models")
    monkeypatch.setenv(BUNDLE_ROOT_VARIABLE, str(tmp_path / "bundle"))
    main(["pack", "--output", str(tmp_path / "mine.zip")])
    assert f"weights of {weights}" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "mine.zip") as archive:
        assert archive.read("mine/models/model.pt") == (weights / "model.pt").read_bytes()
