from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from monai.bundle import ConfigWorkflow, create_workflow

import seep_monai
from seep_monai import files, workflow
from seep_monai.errors import ConfigError

PACKAGE_BUNDLE = Path(seep_monai.__file__).resolve().parent.parent / "bundle"


def write_config(folder: Path, name: str = "config.json", **content: object) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(content))
    return str(path)


def opened(config: str, **overrides: object) -> ConfigWorkflow:
    return create_workflow(config_file=config, workflow_type=None, logging_file=False, **overrides)


def test_bundle_root_from_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(workflow.BUNDLE_ROOT_VARIABLE, str(tmp_path))
    assert workflow.bundle_root() == str(tmp_path)


def test_bundle_root_outside_a_workflow_is_beside_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(workflow.BUNDLE_ROOT_VARIABLE, raising=False)
    assert workflow.bundle_root() == str(PACKAGE_BUNDLE)


@pytest.mark.parametrize("direct", [True, False])
def test_bundle_root_in_a_workflow_is_above_its_configs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direct: bool
) -> None:
    monkeypatch.delenv(workflow.BUNDLE_ROOT_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    content = {"imports": ["$import seep_monai.workflow as workflow"], "bundle_root": "$workflow.bundle_root()"}
    write_config(tmp_path / "mine" / "configs", run=["@bundle_root"], **content)
    config = "mine/configs/config.json"
    opener = ConfigWorkflow(config, workflow_type=None, logging_file=False) if direct else opened(config)
    opener.initialize()
    assert opener.run() == [str(tmp_path / "mine")]


def test_bundle_root_without_any_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(workflow.BUNDLE_ROOT_VARIABLE, raising=False)
    monkeypatch.setattr(seep_monai, "__file__", str(tmp_path / "site" / "seep_monai" / "__init__.py"))
    with pytest.raises(ConfigError, match="--bundle_root"):
        workflow.bundle_root()


def test_bundle_of_an_installed_wheel_is_read_from_the_package_and_written_below_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(workflow.BUNDLE_ROOT_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    inside = tmp_path / "site" / "seep_monai" / "bundle"
    # Another package of this name beside it.
    for folder in (inside, tmp_path / "site" / "bundle"):
        (folder / "configs").mkdir(parents=True)
    monkeypatch.setattr(seep_monai, "__file__", str(inside.parent / "__init__.py"))
    assert workflow.bundle_source() == inside
    assert workflow.bundle_root() == str(tmp_path / "bundle")


def checked_config(folder: Path, **content: object) -> str:
    imports = ["$import seep_monai.workflow as workflow"]
    return write_config(folder, imports=imports, initialize=["$workflow.check_ids()"], max_epochs=1, **content)


def test_check_ids_unknown_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        opened(checked_config(tmp_path), max_epoch=7)
    assert str(caught.value.__cause__) == "--max_epoch: the config files have no such id. Did you mean --max_epochs?"


def test_check_ids_unlike_anything_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        opened(checked_config(tmp_path), zzz=7)
    assert "Known ids: imports, initialize, max_epochs." in str(caught.value.__cause__)


def test_check_ids_known_and_nested_overrides_pass(tmp_path: Path) -> None:
    config = checked_config(tmp_path, train={"trainer": {"max_epochs": 2}})
    assert opened(config, max_epochs=7, **{"train#trainer#max_epochs": 3}).parser["max_epochs"] == 7


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "train#trainer#max_epoch",
            "--train#trainer#max_epoch: the config files have no such id. Did you mean --train#trainer#max_epochs?",
        ),
        ("train#trainer#colour", "Known ids: train#trainer#max_epochs."),
        ("lr", "--lr: the config files have no such id. Did you mean --optimizer#lr?"),
        ("optimizer#lrs", "--optimizer#lrs: the config files have no such id. Did you mean --optimizer#lr?"),
    ],
)
def test_check_ids_unknown_nested_names_the_nearest(tmp_path: Path, path: str, message: str) -> None:
    content = {"train": {"trainer": {"max_epochs": 2}}, "optimizer": {"_target_": "torch.optim.AdamW", "lr": 1}}
    with pytest.raises(RuntimeError) as caught:
        opened(checked_config(tmp_path, **content), **{path: 7})
    assert message in str(caught.value.__cause__)


def test_check_ids_nested_argument_of_the_target_passes(tmp_path: Path) -> None:
    config = checked_config(tmp_path, optimizer={"_target_": "torch.optim.AdamW", "lr": 1})
    assert opened(config, **{"optimizer#betas": [0.8, 0.9]}).parser["optimizer#betas"] == [0.8, 0.9]


def test_check_ids_another_object_in_the_place_of_one_passes(tmp_path: Path) -> None:
    config = checked_config(tmp_path, optimizer={"_target_": "torch.optim.AdamW", "lr": 1})
    other = {"_target_": "torch.optim.SGD", "momentum": 0.9}
    assert opened(config, optimizer=other).parser["optimizer#momentum"] == 0.9


def test_check_ids_of_a_file_not_given_do_not_count(tmp_path: Path) -> None:
    write_config(tmp_path, "other.json", part="test")
    with pytest.raises(RuntimeError):
        opened(checked_config(tmp_path), part="all")


def test_check_ids_of_tracking_pass(tmp_path: Path) -> None:
    opened(checked_config(tmp_path), tracking_uri="file:here", run_name="a", experiment_name="b")


def test_make_folder_with_a_file_in_its_place_raises(tmp_path: Path) -> None:
    place = tmp_path / "eval"
    place.write_text("in the way")
    with pytest.raises(ConfigError, match=r"eval: expected a folder that can be written.*--output_dir"):
        files.make_folder(place, option="--output_dir")
    assert place.read_text() == "in the way"


def test_write_json_failing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "metrics.json"
    files.write_json(target, {"mAP": 0.5})
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(target, {"mAP": float("nan")})
    assert json.loads(target.read_text()) == {"mAP": 0.5}
    assert list(tmp_path.iterdir()) == [target]


def test_run_log_takes_messages_until_it_is_stopped(tmp_path: Path) -> None:
    workflow.start_log(tmp_path)
    logging.getLogger("seep_monai.somewhere").warning("before")
    workflow.stop_log()
    logging.getLogger("seep_monai.somewhere").warning("after")
    text = (tmp_path / "run.log").read_text()
    assert "WARNING seep_monai.somewhere: before" in text
    assert "after" not in text


def test_run_log_on_a_full_disk_says_so_once_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run.log").symlink_to("/dev/full")
    workflow.start_log(tmp_path)
    for number in range(3):
        logging.getLogger("seep_monai.somewhere").warning("line %d", number)
    workflow.stop_log()
    assert len([text for text in caplog.messages if "run.log: cannot be written (No space left" in text]) == 1
    assert "line 2" in caplog.messages
    assert "Traceback" not in capsys.readouterr().err


def test_versions_name_this_package_and_torch() -> None:
    found = workflow.versions()
    assert found["seep_monai"] == seep_monai.__version__
    assert found["torch"].startswith("2.")
