"""Exports of many networks draw what PyTorch draws; a packed bundle runs on another machine; the zoo's checks pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soak
import torch
from bundle_runs import infer
from script_runs import run_script
from shipped_bundle import write_training

from seep_monai.__main__ import main
from seep_monai.checkpoints import save_atomic
from seep_monai.export.comparison import Comparison
from seep_monai.export.conversion import export_weights
from seep_monai.export.formats import SUFFIXES, Format
from seep_monai.files import file_sha256, write_json
from seep_monai.network.segresnet import SegResNetSettings, build_network
from seep_monai.shipped_weights import shipped_folder
from seep_monai.tiff import read_tiff, write_tiff
from seep_monai.workflow import BUNDLE_ROOT_VARIABLE

pytestmark = pytest.mark.usefixtures("closed_log")
only_soak = pytest.mark.skipif(not soak.FULL, reason="takes minutes: scripts/soak.sh")


def random_weights(folder: Path, rng: np.random.Generator) -> Path:
    """Weights of a random network, which draw all classes everywhere."""
    n_levels = int(rng.integers(2, 4))
    settings = SegResNetSettings(
        init_filters=int(rng.choice([8, 16, 24])),
        blocks_down=tuple(rng.integers(1, 3, n_levels).tolist()),
        blocks_up=tuple(rng.integers(1, 3, n_levels - 1).tolist()),
        dropout_prob=float(rng.choice([0.0, 0.2])),
        block_px=int(rng.integers(1, 4)),
    )
    torch.manual_seed(int(rng.integers(2**31)))
    network = build_network(settings)
    torch.nn.init.zeros_(network.conv_final[-1].conv.bias)
    size = 4 * settings.size_multiple
    write_training(folder, network=settings.to_json(), tile_size=[size, 2 * size])
    save_atomic(folder / "model.pt", network.state_dict())
    description = json.loads((folder / "model.json").read_text())
    write_json(folder / "model.json", description | {"sha256": file_sha256(folder / "model.pt")})
    return folder


def test_exports_of_random_networks_draw_what_pytorch_draws(tmp_path: Path) -> None:
    formats: tuple[Format, ...] = get_args(Format) if soak.FULL else ("torchscript",)
    n_networks, rng, total = soak.trials(small=2, full=6), np.random.default_rng(0), Comparison()
    for number in range(n_networks):
        folder = random_weights(tmp_path / str(number), rng)
        for name in formats:
            total += export_weights(folder, folder / f"model{SUFFIXES[name]}", name)
    assert total.n_other_class == 0
    assert total.n_pixels > 10 * total.n_ties
    soak.record("An exported network draws what PyTorch draws", f"{n_networks} random networks as {formats}: {total}")


@only_soak
def test_exports_of_the_weights_that_ship_draw_what_pytorch_draws(tmp_path: Path) -> None:
    for name in get_args(Format):
        comparison = export_weights(shipped_folder(), tmp_path / f"model{SUFFIXES[name]}", name)
        soak.record("An exported network draws what PyTorch draws", f"weights that ship as {name}: {comparison}")


def test_checks_of_the_model_zoo_pass_from_a_foreign_folder() -> None:
    done = run_script("check_bundle")
    assert done.returncode == 0, done.stdout + done.stderr
    n_passed = sum(line.startswith("passed: ") for line in done.stdout.splitlines())
    assert n_passed == 6
    soak.record("The checks of MONAI's model zoo pass from a foreign folder, without network", f"{n_passed} of 6")


@only_soak
def test_packed_bundle_runs_on_another_machine(tmp_path: Path) -> None:
    weights = write_training(tmp_path / "models")
    write_tiff(tmp_path / "a.1.tif", np.random.default_rng(0).integers(100, 200, (64, 64)).astype(np.uint16))
    infer(tmp_path / "a.1.tif", tmp_path, tmp_path / "expected")
    main(["pack", "--ckpt_dir", str(weights), "--output", str(tmp_path / "mine.zip")])
    machine = tmp_path / "machine"
    _run(machine, sys.executable, "-m", "zipfile", "-e", str(tmp_path / "mine.zip"), str(machine))
    bundle = machine / "mine"
    _run(bundle, "sha256sum", "--check", "--strict", "sha256.txt")
    wheel = next(bundle.glob("*.whl"))
    # Without dependencies, which would be downloaded: those of this environment serve.
    options = ["--no-deps", "--no-index", "--disable-pip-version-check"]
    _run(machine, sys.executable, "-m", "venv", "--without-pip", "env")
    python = machine / "env" / "bin" / "python"
    site = _run(machine, str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    _run(machine, sys.executable, "-m", "pip", "--python", str(python), "install", *options, str(wheel))
    (Path(site) / "dependencies.pth").write_text(
        "\n".join(path for path in sys.path if "site-packages" in path or "_pkgs" in path)
    )
    command = str(machine / "env" / "bin" / "seep-monai")
    words = ["infer", str(tmp_path / "a.1.tif"), "--output_dir", "OUT", "--device", "cpu"]
    _run(machine, command, *words, SEEP_BUNDLE_ROOT="mine")
    from_file = _run(machine, str(python), "-c", "import seep_monai; print(seep_monai.__file__)").strip()
    assert from_file.startswith(str(site))
    for kind in ("classes", "probability"):
        found, expected = (read_tiff(place / f"a.1_{kind}.tif") for place in (machine / "OUT", tmp_path / "expected"))
        assert found.description == expected.description
        np.testing.assert_array_equal(found.array, expected.array)
    soak.record("A packed bundle runs after pip install of its wheel elsewhere", "checksums and maps equal")


def _run(folder: Path, *command: str, **variables: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    environment.pop("PYTHONPATH", None)
    if BUNDLE_ROOT_VARIABLE not in variables:
        environment.pop(BUNDLE_ROOT_VARIABLE, None)
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
