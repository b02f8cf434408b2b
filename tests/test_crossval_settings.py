from __future__ import annotations

from pathlib import Path

import pytest
from scored_folds import write_weights

from seep_monai.crossval.settings import begin, make_settings, parse_overrides, read_settings
from seep_monai.errors import ConfigError, DataError


def test_overrides_may_set_a_part_of_an_id() -> None:
    words = ["--network_settings#blocks_down", "[1,1]", "--learning_rate=-1"]
    expected = {"network_settings#blocks_down": "[1,1]", "learning_rate": "-1"}
    assert parse_overrides(words, ["network_settings", "learning_rate"]) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max_epoch", "3"], "no such id. Did you mean --max_epochs"),
        (["max_epochs", "3"], "max_epochs: expected --id value"),
        (["--max_epochs"], "expected a value after it"),
        (["--max_epochs", "--device", "cpu"], "--max_epochs: expected a value after it"),
        (["--split#fold", "1"], "--split#fold: is set for each fold"),
        (["--ckpt_dir", "x"], "--ckpt_dir: is set for each fold"),
        (["--+imports", "x"], "no such id"),
        (["--split#split_file", "x"], "the same test part"),
        (["--part", "all"], "no such id"),
    ],
)
def test_overrides_that_no_fold_can_take_raise(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_settings(tmp_path, words)


@pytest.mark.parametrize("n_folds", [0, 1, 2])
def test_fewer_than_three_folds_raise(tmp_path: Path, n_folds: int) -> None:
    with pytest.raises(ConfigError, match="n_folds: expected"):
        make_settings(tmp_path, n_folds=n_folds)


def test_begin_keeps_the_settings_and_takes_the_same_again(tmp_path: Path) -> None:
    settings = make_settings("data", ["--max_epochs", "3", "--device", "cpu"], seed=4)
    begin(settings, tmp_path)
    begin(make_settings("data", ["--device", "cpu", "--max_epochs", "3"], seed=4), tmp_path)
    stored = read_settings(tmp_path)
    assert stored == settings.to_json()
    assert stored["dataset_dir"] == str(Path.cwd() / "data")
    assert stored["overrides"] == {"device": "cpu", "max_epochs": "3"}


def test_begin_with_other_settings_names_each_and_the_remedies(tmp_path: Path) -> None:
    begin(make_settings("data", ["--max_epochs", "3"]), tmp_path)
    with pytest.raises(ConfigError) as caught:
        begin(make_settings("data", ["--batch_size", "8"], n_folds=5), tmp_path)
    message = str(caught.value)
    assert "batch_size was its default, is 8; max_epochs was 3, is its default; n_folds was 4, is 5" in message
    assert "another --output_dir" in message
    assert "--score_only" in message


def test_begin_over_weights_trained_by_hand_raises(tmp_path: Path) -> None:
    write_weights(tmp_path / "fold_0" / "models", 0)
    with pytest.raises(ConfigError, match=r"trained by hand, not by a cross-validation.* --score_only"):
        begin(make_settings("data"), tmp_path)
    assert read_settings(tmp_path) is None


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"overrides": 3}'])
def test_settings_that_cannot_be_read_raise(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(DataError, match=r"settings\.json: expected the settings of a cross-validation"):
        read_settings(tmp_path)


def test_settings_keep_the_checksum_of_the_initial_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seep_monai.initial_weights.shipped_folder", lambda: tmp_path / "shipped")
    assert make_settings("data").initial_weights_sha256 is None
    shipped, given = (write_weights(tmp_path / name, 0, name.encode()) for name in ("shipped", "given"))
    assert make_settings("data").initial_weights_sha256 == shipped
    assert make_settings("data", ["--initial_weights", "none"]).initial_weights_sha256 is None
    chosen = make_settings("data", ["--initial_weights", str(tmp_path / "given")])
    assert chosen.initial_weights_sha256 == given
    assert chosen.training_overrides == {"initial_weights": str(tmp_path / "given")}
    assert chosen.evaluation_overrides == {}


def test_begin_with_other_weights_that_ship_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seep_monai.initial_weights.shipped_folder", lambda: tmp_path / "shipped")
    (tmp_path / "out").mkdir()
    first = write_weights(tmp_path / "shipped", 0, b"first")
    begin(make_settings("data"), tmp_path / "out")
    then = write_weights(tmp_path / "shipped", 0, b"then")
    with pytest.raises(ConfigError, match=f"initial_weights_sha256 was {first}, is {then}"):
        begin(make_settings("data"), tmp_path / "out")
