"""The weights that a training starts from."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from shipped_bundle import TINY, ship_into, write_training

from seep_monai.errors import ConfigError, DataError
from seep_monai.initial_weights import fitting_folder, initial_folder
from seep_monai.network.segresnet import SegResNetSettings
from seep_monai.workflow import BUNDLE_ROOT_VARIABLE


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(BUNDLE_ROOT_VARIABLE, str(tmp_path / "bundle"))
    return tmp_path / "bundle"


@pytest.fixture
def shipped(bundle: Path, tmp_path: Path) -> Path:
    return ship_into(bundle, write_training(tmp_path / "training"))


def test_auto_means_the_weights_that_ship_where_they_are(bundle: Path, tmp_path: Path) -> None:
    assert initial_folder("auto") is None
    assert initial_folder("auto") != ship_into(bundle, write_training(tmp_path / "training"))
    assert initial_folder("auto") == bundle / "models" / "simulated"


def test_none_and_a_folder_mean_themselves(shipped: Path) -> None:
    assert initial_folder("none") is None
    assert initial_folder("models") == Path("models")
    # The command line gives a name of digits as a number.
    assert initial_folder(7) == Path("7")


@pytest.mark.parametrize("choice", [None, ""])
def test_no_choice_raises(choice: object) -> None:
    with pytest.raises(ConfigError, match="initial_weights: expected auto, none or a folder of weights"):
        initial_folder(choice)


@pytest.mark.parametrize("network", [TINY, replace(TINY, dropout_prob=0.2)])
def test_weights_of_the_same_network_fit_whatever_the_dropout(shipped: Path, network: SegResNetSettings) -> None:
    assert fitting_folder("auto", network) == shipped
    assert fitting_folder(str(shipped), network) == shipped


def test_shipped_weights_of_another_network_are_left_out_with_a_line(
    shipped: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert fitting_folder("auto", replace(TINY, init_filters=16)) is None
    expected = "training from scratch: the weights that ship are of another network (init_filters 8 there, 16 here)"
    assert caplog.messages == [expected]


def test_missing_shipped_weights_are_a_line(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert fitting_folder("auto", TINY) is None
        assert fitting_folder("none", TINY) is None
    missing, none = caplog.messages
    assert missing == f"training from scratch (initial weights: {bundle}/models/simulated does not exist)"
    assert none == "training from scratch (initial weights: none)"


def test_given_weights_of_another_network_name_the_settings(shipped: Path) -> None:
    other = replace(TINY, init_filters=16, block_px=2)
    with pytest.raises(ConfigError, match=r"init_filters 8 there, 16 here; block_px 1 there, 2 here.*weights none"):
        fitting_folder(str(shipped), other)


def test_given_weights_of_another_normalisation_are_refused(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "old", normalisation_version=0)
    with pytest.raises(ConfigError, match="normalisation_version 0 there, 1 here"):
        fitting_folder(str(folder), TINY)


def test_damaged_shipped_weights_are_not_left_out_in_silence(shipped: Path) -> None:
    (shipped / "model.pt").write_bytes(b"half")
    with pytest.raises(DataError, match="git checkout bundle/models/simulated"):
        fitting_folder("auto", TINY)
