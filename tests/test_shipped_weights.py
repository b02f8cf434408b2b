"""Weights that ship: how they are made and chosen, and those in this checkout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from script_runs import run_script
from shipped_bundle import TINY, write_record, write_training

from seep_monai import shipped_weights
from seep_monai.checkpoints import load_weights, read_description
from seep_monai.dataset.transforms import normalise
from seep_monai.errors import ConfigError, DataError
from seep_monai.files import file_sha256
from seep_monai.network.segresnet import build_network, settings_from_json
from seep_monai.shipped_weights import (
    MOST_BYTES,
    check_half,
    check_not_shipped,
    default_folder,
    in_half,
    random_images,
    ship,
)
from seep_monai.simulate.sample import make_sample_data
from seep_monai.simulate.settings import SceneSettings
from seep_monai.tiff import read_tiff
from seep_monai.workflow import BUNDLE_ROOT_VARIABLE

IN_CHECKOUT = Path(__file__).resolve().parent.parent / "bundle" / "models" / "simulated"
# Dice of seep on the simulated tile of `simulated_tile`. Measured once on the weights in this checkout; measure again
# when they or the simulator change.
STORED_DICE = 0.863


@pytest.fixture
def training(tmp_path: Path) -> Path:
    return write_training(tmp_path / "training")


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return write_record(tmp_path / "simulation.json")


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(BUNDLE_ROOT_VARIABLE, str(tmp_path / "bundle"))
    return tmp_path / "bundle"


# Making them ---------------------------------------------------------------------------------------------------------


def test_shipped_weights_are_float16_and_load_as_float32(training: Path, record: Path, tmp_path: Path) -> None:
    ship(training, tmp_path / "out", [record])
    first = torch.load(training / "model.pt", weights_only=True)
    stored = torch.load(tmp_path / "out" / "model.pt", weights_only=True)
    assert type(stored) is dict
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    network = build_network(TINY)
    load_weights(network, tmp_path / "out" / "model.pt")
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == torch.float32
        # Eleven bits of mantissa: half of the last one is 2**-11 of the value.
        torch.testing.assert_close(tensor, first[name], rtol=2**-11, atol=1e-7)


def test_in_half_keeps_whole_numbers() -> None:
    half = in_half({"n": torch.tensor([70_000]), "w": torch.tensor([0.5])})
    assert (half["n"].dtype, half["n"].item(), half["w"].dtype) == (torch.int64, 70_000, torch.float16)


def test_shipped_description_has_the_simulation_in_place_of_tiles(training: Path, record: Path, tmp_path: Path) -> None:
    ship(training, tmp_path / "out", [record])
    before, after = (json.loads((folder / "model.json").read_text()) for folder in (training, tmp_path / "out"))
    assert after["plan"].keys() == {"settings", "fingerprint", "counts", "leaky"}
    assert "somebody" not in json.dumps(after)
    numbers = {"seep_monai": "0.1.0", "seed": 100, "n_scenes": 2, "n_tiles": 5, "empty_share": 0.1}
    assert after["simulation"] == [{**numbers, "settings": {"pool_share": 0.7}}]
    assert after["shipped"] is True
    assert after["sha256"] == file_sha256(tmp_path / "out" / "model.pt") != before["sha256"]
    kept = before.keys() - {"plan", "sha256"}
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    assert read_description(tmp_path / "out") == after


def test_shipped_twice_gives_the_same_bytes(training: Path, record: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        ship(training, tmp_path / name, [record])
    for name in ("model.pt", "model.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_weights_that_saw_scenes_of_no_record_do_not_ship(training: Path, tmp_path: Path) -> None:
    record = write_record(tmp_path / "other.json", ["900001"])
    with pytest.raises(DataError, match=r"900002 are missing.*Weights that saw real images do not ship"):
        ship(training, tmp_path / "out", [record])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"seed": 1}'])
def test_record_that_cannot_be_read_is_named(training: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(DataError, match=r"bad\.json: expected the record of simulated tiles"):
        ship(training, tmp_path / "out", [tmp_path / "bad.json"])


def test_class_maps_that_float16_changes_are_refused() -> None:
    weights = build_network(TINY).state_dict()
    half = in_half(weights)
    check_half(TINY, weights, half, random_images([64, 64]))
    # Class 3 everywhere, in float16 alone.
    bias = "conv_final.2.conv.bias"
    with pytest.raises(DataError, match=r"16384 of 16384 pixels have another class"):
        check_half(TINY, weights, {**half, bias: half[bias] + 100 * torch.eye(8)[3]}, random_images([64, 64]))


def test_weights_beyond_the_range_of_float16_are_refused(record: Path, tmp_path: Path) -> None:
    training = write_training(tmp_path / "training")
    weights = torch.load(training / "model.pt", weights_only=True)
    weights = {name: tensor * 1e6 if tensor.ndim == 4 else tensor for name, tensor in weights.items()}
    torch.save(weights, training / "model.pt")
    description = json.loads((training / "model.json").read_text()) | {"sha256": file_sha256(training / "model.pt")}
    (training / "model.json").write_text(json.dumps(description))
    with pytest.raises(DataError, match="cannot be stored in float16"):
        ship(training, tmp_path / "out", [record])


def test_weights_that_are_too_large_leave_nothing(
    training: Path, record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped_weights, "MOST_BYTES", 1000)
    with pytest.raises(DataError, match="Train a smaller network"):
        ship(training, tmp_path / "out", [record])
    assert {path.name for path in tmp_path.iterdir()} == {"training", "simulation.json"}


def test_script_ships_and_replaces_only_when_told(training: Path, record: Path, tmp_path: Path) -> None:
    words = [training, tmp_path / "out", "--record", record]
    done = run_script("ship_weights", *words)
    assert done.returncode == 0, done.stderr
    assert file_sha256(tmp_path / "out" / "model.pt") in done.stdout
    assert "new or empty folder" in run_script("ship_weights", *words).stderr
    other = write_training(tmp_path / "other", seed=1)
    assert run_script("ship_weights", other, *words[1:], "--overwrite").returncode == 0
    assert file_sha256(tmp_path / "out" / "model.pt") not in done.stdout


# Choosing and keeping them -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.pt", "model.json", "last.pt"])
def test_own_weights_come_before_those_that_ship(bundle: Path, tmp_path: Path, name: str) -> None:
    own = tmp_path / "models"
    assert default_folder(own) == bundle / "models" / "simulated"
    own.mkdir()
    (own / name).touch()
    assert default_folder(own) == own


def test_shipped_folder_and_copies_of_it_are_not_written_to(
    bundle: Path, training: Path, record: Path, tmp_path: Path
) -> None:
    check_not_shipped(training)
    ship(training, tmp_path / "copy", [record])
    for folder in (tmp_path / "copy", bundle / "models" / "simulated"):
        with pytest.raises(ConfigError, match="Give another folder with --ckpt_dir"):
            check_not_shipped(folder)


def test_damaged_shipped_weights_name_both_checksums_and_how_they_come_back(
    bundle: Path, training: Path, record: Path
) -> None:
    folder = bundle / "models" / "simulated"
    ship(training, folder, [record])
    good = file_sha256(folder / "model.pt")
    (folder / "model.pt").write_bytes((folder / "model.pt").read_bytes()[:-1])
    bad = file_sha256(folder / "model.pt")
    with pytest.raises(DataError, match=f"{good[:12]}.*{bad[:12]}.*git checkout bundle/models/simulated"):
        read_description(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(DataError, match=r"cannot be read.*git checkout bundle/models/simulated"):
        read_description(folder)
    (folder / "model.pt").unlink()
    with pytest.raises(DataError, match=r"--ckpt_dir DIR.*git checkout bundle/models/simulated.*installed again"):
        read_description(folder)


# Those in this checkout ----------------------------------------------------------------------------------------------

in_checkout = pytest.mark.skipif(not IN_CHECKOUT.is_dir(), reason="bundle/models/simulated does not exist yet")


def simulated_tile(folder: Path) -> tuple[torch.Tensor, np.ndarray]:
    """A simulated tile that no training saw: the normalised image (1, 1, 256, 256), and where its seeps are."""
    settings = SceneSettings(size_px=(512, 512), seep_share=1.0)
    make_sample_data(folder, n_tiles=1, n_scenes=1, seed=7001, empty_share=0, settings=settings)
    image, mask = (read_tiff(next((folder / f"train_{kind}_256").iterdir())).array for kind in ("images", "masks"))
    return normalise(image, image > 0, float(np.median(image[image > 0])))[None, None], mask > 0


@in_checkout
def test_weights_in_this_checkout_are_complete_and_small() -> None:
    description = read_description(IN_CHECKOUT)
    assert description["shipped"] is True
    assert description["simulation"]
    assert {path.name for path in IN_CHECKOUT.iterdir()} == {"model.pt", "model.json"}
    assert sum(path.stat().st_size for path in IN_CHECKOUT.iterdir()) <= MOST_BYTES


@in_checkout
def test_model_card_speaks_of_the_weights_in_this_checkout() -> None:
    card = (IN_CHECKOUT.parent.parent / "docs" / "README.md").read_text()
    section = card.partition("## Weights that ship")[2].partition("\n## ")[0]
    assert "trained on no real image" in section
    assert "not measured yet" not in section


@in_checkout
def test_weights_in_this_checkout_find_a_simulated_seep_as_well_as_measured(tmp_path: Path) -> None:
    image, truth = simulated_tile(tmp_path / "tile")
    network = build_network(settings_from_json(read_description(IN_CHECKOUT)["network"])).eval()
    load_weights(network, IN_CHECKOUT / "model.pt")
    with torch.no_grad():
        drawn = network(image).softmax(dim=1)[0, 0].numpy() < 0.5
    dice = 2 * (drawn & truth).sum() / (drawn.sum() + truth.sum())
    assert dice == pytest.approx(STORED_DICE, abs=5e-3)


def test_simulated_tile_has_a_seep(tmp_path: Path) -> None:
    image, truth = simulated_tile(tmp_path / "tile")
    assert image.shape == (1, 1, 256, 256)
    assert 1000 < truth.sum() < 10_000
