"""Exported files: what they carry and give, inference with them, and bad ones."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from bundle_runs import infer, message_of
from shipped_bundle import TINY, write_training

from seep_monai.__main__ import main
from seep_monai.checkpoints import save_atomic
from seep_monai.errors import ConfigError, DataError
from seep_monai.export import conversion
from seep_monai.export.conversion import export_weights
from seep_monai.export.exported_network import ExportedNetwork, read_exported_description
from seep_monai.export.formats import SUFFIXES, Format, write_network
from seep_monai.files import file_sha256, write_json
from seep_monai.network.segresnet import build_network
from seep_monai.tiff import read_tiff, write_tiff
from seep_monai.workflow import BUNDLE_ROOT_VARIABLE

FORMATS = get_args(Format)
pytestmark = pytest.mark.usefixtures("closed_log")


@contextmanager
def recorded_logs() -> Iterator[set[str]]:
    """The libraries that log something at level INFO or above."""
    names: set[str] = set()
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: names.add(record.name.split(".")[0])  # type: ignore[method-assign]
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield names
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights that draw all classes everywhere, and all exports of them."""
    folder = write_training(tmp_path_factory.mktemp("trained") / "models")
    # Untrained weights draw nothing only because of the last bias.
    weights = torch.load(folder / "model.pt", weights_only=True)
    weights["conv_final.2.conv.bias"].zero_()
    save_atomic(folder / "model.pt", weights)
    description = json.loads((folder / "model.json").read_text())
    write_json(folder / "model.json", description | {"sha256": file_sha256(folder / "model.pt")})
    with recorded_logs() as names:
        for name in FORMATS:
            export_weights(folder, folder / f"model{SUFFIXES[name]}", name)
    # Libraries log each node of a graph.
    assert names == {"seep_monai"}
    return folder


@pytest.fixture(scope="module")
def expected(weights: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the inference with the weights writes."""
    out = tmp_path_factory.mktemp("expected") / "out"
    infer(images, weights.parent, out, tta=True)
    return out


@pytest.fixture(scope="module")
def images(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tile and a raster of several windows."""
    folder = tmp_path_factory.mktemp("images")
    shutil.copy(dataset / "train_images_256" / "000001.000002.tif", folder)
    # Blocks, because single pixels give thousands of polygons.
    dn = np.random.default_rng(0).integers(100, 200, (7, 9)).repeat(12, 0).repeat(12, 1).astype(np.uint16)
    write_tiff(folder / "wide.tif", dn)
    return folder


def maps_of(folder: Path, kind: str) -> dict[str, np.ndarray]:
    return {path.name: read_tiff(path).array for path in sorted(folder.glob(f"*_{kind}.tif"))}


# What files carry and give -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_file_gives_the_logits_of_pytorch_for_any_batch_and_size(weights: Path, name: Format) -> None:
    network = build_network(TINY).eval()
    network.load_state_dict(torch.load(weights / "model.pt", weights_only=True))
    exported = ExportedNetwork(weights / f"model{SUFFIXES[name]}").eval()
    for shape in ((1, 1, 4, 4), (1, 1, 64, 6), (5, 1, 30, 128)):
        image = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(exported(image), network(image), atol=1e-4, rtol=0)
            # Turned, as test-time augmentation does: other strides.
            torch.testing.assert_close(exported(image.mT), network(image.mT), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", FORMATS)
def test_file_carries_the_description(weights: Path, name: Format) -> None:
    described = read_exported_description(weights / f"model{SUFFIXES[name]}")
    assert described == json.loads((weights / "model.json").read_text())


@pytest.mark.parametrize("name", FORMATS)
def test_inference_with_the_file_writes_what_the_weights_write(
    weights: Path, images: Path, expected: Path, tmp_path: Path, name: Format
) -> None:
    # The folder of the weights is not read.
    infer(images, tmp_path, tmp_path / "out", tta=True, model=str(weights / f"model{SUFFIXES[name]}"))
    classes, of_weights = maps_of(tmp_path / "out", "classes"), maps_of(expected, "classes")
    assert list(classes) == ["000001.000002_classes.tif", "wide_classes.tif"]
    for key, array in of_weights.items():
        assert len(np.unique(array)) > 3
        # ONNX Runtime rounds in another way, which decides the few pixels whose highest logits are nearly equal.
        assert np.mean(classes[key] != array) < (1e-3 if name == "onnx" else 1e-9)
    probs = maps_of(tmp_path / "out", "probability")
    for key, array in maps_of(expected, "probability").items():
        # Those of rasters are in steps of 1/250.
        tolerance = 1 if array.dtype == np.uint8 else 1e-4
        np.testing.assert_allclose(probs[key].astype(float), array.astype(float), atol=tolerance)
    described = [read_tiff(place / "000001.000002_classes.tif").description for place in (tmp_path / "out", expected)]
    assert described[0] == described[1]


# The command ---------------------------------------------------------------------------------------------------------


def test_command_writes_beside_the_weights_and_prints_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_training(tmp_path / "models")
    main(["export", "--format", "torchscript", "--ckpt_dir", str(folder)])
    assert f"{folder / 'model.ts'}: largest difference of a logit 0; 0 of " in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"model.ts: exists. Choose another file with --output, or .* --overwrite"):
        main(["export", "--format", "torchscript", "--ckpt_dir", str(folder)])
    main(["export", "--format", "torchscript", "--ckpt_dir", str(folder), "--overwrite"])


def test_command_writes_weights_that_ship_into_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BUNDLE_ROOT_VARIABLE, str(tmp_path))
    write_training(tmp_path / "models" / "simulated", shipped=True)
    main(["export", "--format", "torchscript"])
    assert (tmp_path / "models" / "model.ts").is_file()


def test_another_network_is_an_error_and_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_training(tmp_path / "models")
    torch.manual_seed(1)
    other = build_network(TINY).eval()
    monkeypatch.setattr(
        conversion, "write_network", lambda network, *given, **options: write_network(other, *given, **options)
    )
    with pytest.raises(DataError, match="expected the logits of PyTorch"):
        export_weights(folder, tmp_path / "out" / "model.ts", "torchscript")
    assert list((tmp_path / "out").iterdir()) == []


def test_file_with_the_suffix_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model.ts: expected a file .onnx"):
        export_weights(tmp_path, tmp_path / "model.ts", "onnx")


def test_export_without_the_package_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r"onnxscript, but .* pip install 'seep-monai\[export\]'"):
        export_weights(tmp_path, tmp_path / "model.onnx", "onnx")


# Bad files -----------------------------------------------------------------------------------------------------------


def refusal(images: Path, tmp_path: Path, model: Path, **options: object) -> str:
    message = message_of(infer, images, tmp_path, tmp_path / "out", model=str(model), **options)
    assert not (tmp_path / "out").exists()
    return message


@pytest.mark.parametrize("suffix", SUFFIXES.values())
@pytest.mark.parametrize("content", [b"", b"no network"])
def test_unreadable_file_is_refused(images: Path, tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"bad{suffix}").write_bytes(content)
    message = refusal(images, tmp_path, tmp_path / f"bad{suffix}")
    assert message.startswith(f"{tmp_path / 'bad'}{suffix}: expected a network of seep-monai export, but")
    assert "\n" not in message


def test_torchscript_of_another_program_is_refused(images: Path, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Identity()), tmp_path / "other.ts")
    assert "no item named 'extra/model.json' in the archive" in refusal(images, tmp_path, tmp_path / "other.ts")


@pytest.mark.parametrize("name", FORMATS)
def test_cut_file_is_refused(weights: Path, images: Path, tmp_path: Path, name: Format) -> None:
    cut = tmp_path / f"cut{SUFFIXES[name]}"
    cut.write_bytes((weights / f"model{SUFFIXES[name]}").read_bytes()[:-1000])
    assert str(cut) in refusal(images, tmp_path, cut)


def test_archive_without_network_is_refused(weights: Path, images: Path, tmp_path: Path) -> None:
    # The description can be read, and the rest is of another format.
    shutil.copy(weights / "model.ts", tmp_path / "model.pt2")
    message = message_of(infer, images, tmp_path, tmp_path / "out", model=str(tmp_path / "model.pt2"))
    assert message.startswith(f"{tmp_path / 'model.pt2'}: cannot be read as torch")


def test_weights_themselves_are_refused_with_the_remedy(weights: Path, images: Path, tmp_path: Path) -> None:
    assert "For model.pt give its folder with --ckpt_dir" in refusal(images, tmp_path, weights / "model.pt")


def test_missing_file_is_refused(images: Path, tmp_path: Path) -> None:
    assert "there is no such file" in refusal(images, tmp_path, tmp_path / "model.onnx")


def test_inference_without_the_package_says_how_to_install_it(
    weights: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "pip install 'seep-monai[export]'" in refusal(images, tmp_path, weights / "model.onnx")


def test_bf16_on_a_cpu_is_refused(weights: Path, images: Path, tmp_path: Path) -> None:
    message = message_of(infer, images, tmp_path, tmp_path / "out", model=str(weights / "model.ts"), amp=True)
    assert "exported networks compute in float32" in message


@pytest.mark.parametrize("name", FORMATS)
def test_size_that_the_network_does_not_take_is_refused(weights: Path, name: Format) -> None:
    with pytest.raises(DataError, match=r"does not take images of \(1, 1, 5, 8\)"):
        ExportedNetwork(weights / f"model{SUFFIXES[name]}")(torch.zeros(1, 1, 5, 8))
