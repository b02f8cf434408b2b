"""What continuous integration of MONAI's model zoo runs, on a copy of a bundle, from a foreign folder, without network.

Metadata against the schema, shapes of the network, export and loading of the weights, properties of the workflows, and
a training, an evaluation and an inference on simulated tiles. Prints a line a check; the first that fails ends all.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from monai.bundle import ConfigWorkflow, ckpt_export, load, verify_metadata, verify_net_in_out

from seep_monai.shipped_weights import default_folder
from seep_monai.simulate.sample import make_sample_data
from seep_monai.simulate.settings import SceneSettings

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "tests" / "data" / "meta_schema_20240725.json"
NAME = "copied_bundle"
SMALL = {
    "network_settings#init_filters": 8,
    "network_settings#blocks_down": [1, 1],
    "network_settings#blocks_up": [1],
    "max_epochs": 1,
    "initial_weights": "none",
    "split#n_folds": 3,
}


def main() -> None:
    """Copy the bundle, go elsewhere, and run the checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "bundle", nargs="?", type=Path, default=ROOT / "bundle", help="folder (default: that of the repository)"
    )
    bundle = parser.parse_args().bundle.resolve()
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, patch("socket.socket.connect", _refuse):
        place = Path(folder)
        copy(bundle, place / NAME)
        (place / "elsewhere").mkdir()
        os.chdir(place / "elsewhere")
        try:
            for name, check in CHECKS.items():
                started = time.monotonic()
                check(place)
                print(f"passed: {name} ({time.monotonic() - started:.0f} s)", flush=True)
        finally:
            os.chdir(before)


def copy(bundle: Path, target: Path) -> None:
    """The bundle with its weights as `models/model.pt`, where the zoo expects them, or those that ship."""
    shutil.copytree(bundle, target, ignore=shutil.ignore_patterns("eval", "models"))
    own = bundle / "models"
    weights = own if (own / "model.pt").is_file() else default_folder(own)
    (target / "models").mkdir()
    for name in ("model.pt", "model.json"):
        shutil.copy(weights / name, target / "models")


def metadata(place: Path) -> None:
    """`verify_metadata`, with a schema at hand; the version is in the changelog."""
    meta = place / NAME / "configs" / "metadata.json"
    verify_metadata(meta_file=str(meta), filepath=str(shutil.copy(SCHEMA, place / "schema.json")))
    content = json.loads(meta.read_text())
    expect(content["version"] in content["changelog"], "expected the version in the changelog")


def network(place: Path) -> None:
    """`verify_net_in_out`."""
    for name in ("train", "inference"):
        verify_net_in_out(
            "network_def", config_file=config(place, name), meta_file=config(place, "metadata"), n=4, device="cpu"
        )


def export(place: Path) -> None:
    """`ckpt_export`: the TorchScript file gives the logits of the network."""
    files = {"filepath": str(place / "model.ts"), "ckpt_file": str(place / NAME / "models" / "model.pt")}
    ckpt_export("network_def", config_file=config(place, "inference"), meta_file=config(place, "metadata"), **files)
    image = torch.linspace(-2, 2, 64 * 96).reshape(1, 1, 64, 96)
    with torch.no_grad():
        difference = (torch.jit.load(files["filepath"]).eval()(image) - loaded(place)(image)).abs().max()
    expect(float(difference) < 1e-4, f"expected equal logits, but they differ by {float(difference)}")


def loading(place: Path) -> None:
    """`load` gives every weight."""
    stored = torch.load(place / NAME / "models" / "model.pt", weights_only=True)
    found = loaded(place).state_dict()
    expect(stored.keys() == found.keys(), "expected the names of the stored weights")
    expect(all(torch.equal(stored[key].float(), found[key]) for key in stored), "expected the stored weights")


def properties(place: Path) -> None:
    """The workflows are complete."""
    settings = SceneSettings(size_px=(768, 768), seep_share=0.5)
    make_sample_data(place / "data", n_tiles=6, n_scenes=3, seed=0, settings=settings)
    for make in (train, infer):
        complete(make(place, place / NAME / "models")).finalize()


def training(place: Path) -> None:
    """Training, evaluation and inference run, and write what they should."""
    for make in (train, evaluate, infer):
        built = complete(make(place, place / "out" / "models"))
        built.run()
        built.finalize()
    for name in ("models/model.pt", "eval/metrics.json", "eval/report.html"):
        expect((place / "out" / name).is_file(), f"expected {name}")
    expect(len(list((place / "out" / "maps").glob("*_classes.tif"))) == 6, "expected six class maps")


CHECKS: dict[str, Callable[[Path], None]] = {
    "metadata by the schema": metadata,
    "network by the metadata": network,
    "export of the weights": export,
    "loading of the weights": loading,
    "properties of the workflows": properties,
    "training, evaluation and inference": training,
}


def train(place: Path, ckpt_dir: Path) -> ConfigWorkflow:
    """The training of a small network."""
    return workflow(place, ["train"], "train", SMALL | {"ckpt_dir": str(ckpt_dir)} | results(place))


def evaluate(place: Path, ckpt_dir: Path) -> ConfigWorkflow:
    """The evaluation."""
    return workflow(place, ["train", "evaluate"], "train", {"ckpt_dir": str(ckpt_dir)} | results(place))


def infer(place: Path, ckpt_dir: Path) -> ConfigWorkflow:
    """The inference of the images of all tiles."""
    images = {"input": str(place / "data" / "train_images_256"), "output_dir": str(place / "out" / "maps")}
    return workflow(place, ["inference"], "infer", {"ckpt_dir": str(ckpt_dir)} | images)


def results(place: Path) -> dict[str, str]:
    """Places of tiles and results."""
    return {"dataset_dir": str(place / "data"), "output_dir": str(place / "out" / "eval")}


def workflow(place: Path, names: list[str], kind: str, overrides: dict[str, Any]) -> ConfigWorkflow:
    """An initialised workflow of the copied configs."""
    files = [config(place, name) for name in names]
    built = ConfigWorkflow(files, workflow_type=kind, logging_file=False, device="cpu", **overrides)
    built.initialize()
    return built


def complete(built: ConfigWorkflow) -> ConfigWorkflow:
    """The same workflow, with all properties that MONAI asks for."""
    missing = built.check_properties()
    expect(missing == [], f"expected all properties, but {missing} are missing")
    return built


def config(place: Path, name: str) -> str:
    """A config file of the copy."""
    return str(place / NAME / "configs" / f"{name}.json")


def loaded(place: Path) -> torch.nn.Module:
    """The network that `monai.bundle.load` makes of the copy."""
    # "monaihosting" takes what is there already.
    found = load(NAME, bundle_dir=str(place), workflow_type="inference", source="monaihosting")
    return found.float().eval()


def expect(condition: bool, text: str) -> None:
    """End the program with the text unless the condition holds."""
    if not condition:
        raise SystemExit(text)


def _refuse(*_: object) -> None:
    raise OSError("the network is off: a bundle is checked without it")


if __name__ == "__main__":
    main()
