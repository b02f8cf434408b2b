"""`seep-monai`: the commands of the bundle say the same words to the runner of MONAI as the long way."""

from __future__ import annotations

from pathlib import Path

import pytest

from seep_monai.__main__ import COMMANDS, main
from seep_monai.commands import bundle
from seep_monai.commands.bundle import BUNDLE_COMMANDS, runner_words
from seep_monai.errors import ConfigError

ROOT = Path("/bundle")


def test_train_names_one_config_file() -> None:
    words = runner_words(BUNDLE_COMMANDS["train"], ["--max_epochs", "3"], ROOT)
    assert words == ["run", "training", "--config_file", "/bundle/configs/train.json", "--max_epochs", "3"]


def test_several_config_files_are_a_list_in_quotes() -> None:
    words = runner_words(BUNDLE_COMMANDS["evaluate"], [], ROOT)
    assert words[3] == "['/bundle/configs/train.json', '/bundle/configs/evaluate.json']"


def test_first_word_of_infer_is_the_input() -> None:
    words = runner_words(BUNDLE_COMMANDS["infer"], ["a.tif", "--output_dir", "OUT"], ROOT)
    assert words[4:] == ["--input", "a.tif", "--output_dir", "OUT"]
    assert runner_words(BUNDLE_COMMANDS["infer"], ["--input", "a.tif"], ROOT)[4:] == ["--input", "a.tif"]
    several = runner_words(BUNDLE_COMMANDS["infer"], ["a.tif", "b.tif", "--output_dir", "OUT"], ROOT)
    assert several[4:] == ["--input", "['a.tif', 'b.tif']", "--output_dir", "OUT"]


def test_several_processes_add_their_config_file_last() -> None:
    words = runner_words(BUNDLE_COMMANDS["train"], ["--multi_gpu", "--max_epochs", "3"], ROOT)
    assert words[3:] == ["['/bundle/configs/train.json', '/bundle/configs/multi_gpu_train.json']", "--max_epochs", "3"]
    words = runner_words(BUNDLE_COMMANDS["evaluate"], ["--part", "all", "--multi_gpu"], ROOT)
    assert words[3].endswith("'/bundle/configs/evaluate.json', '/bundle/configs/multi_gpu_evaluate.json']")
    assert words[4:] == ["--part", "all"]


@pytest.mark.parametrize("name", ["fit", "infer"])
def test_several_processes_of_a_command_that_runs_in_one_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="runs in one process"):
        runner_words(BUNDLE_COMMANDS[name], ["--multi_gpu"], ROOT)


def test_main_hands_all_words_to_the_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(bundle.fire, "Fire", lambda component, command, serialize: calls.append(command))
    monkeypatch.setenv("SEEP_BUNDLE_ROOT", "/bundle")
    main(["fit", "--dataset_dir", "DIR"])
    assert calls == [runner_words(BUNDLE_COMMANDS["fit"], ["--dataset_dir", "DIR"], ROOT)]


@pytest.mark.parametrize("name", BUNDLE_COMMANDS)
def test_help_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, "--help"])
    assert f"seep-monai {name} " in capsys.readouterr().out
    assert COMMANDS[name] == BUNDLE_COMMANDS[name].summary


def test_overview_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


def test_unknown_command_names_the_nearest() -> None:
    with pytest.raises(SystemExit, match="Did you mean evaluate"):
        main(["evaluat"])


@pytest.mark.parametrize("name", ["score", "crossval", "simulate", "export", "pack"])
def test_help_of_the_other_commands_says_what_they_do(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    text = capsys.readouterr().out
    assert f"seep-monai {name}" in text
    assert len(text) > 200
