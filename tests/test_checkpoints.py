from __future__ import annotations

import contextlib
import hashlib
import json
import math
import zipfile
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine

from seep_monai import checkpoints, processes
from seep_monai.checkpoints import Best
from seep_monai.errors import ConfigError, DataError
from seep_monai.handlers.checkpoints import BestCheckpoint, LastCheckpoint


def validated(handler: BestCheckpoint, epoch: int, **metrics: float) -> None:
    """Let the handler see the end of one validation."""
    engine = Engine(lambda engine, batch: None)
    engine.state.epoch, engine.state.metrics = epoch, metrics
    handler(engine)


@pytest.fixture
def network() -> torch.nn.Linear:
    return torch.nn.Linear(2, 1)


@pytest.mark.parametrize(
    ("best", "value", "expected"),
    [
        (math.nan, 0.0, True),
        (0.2, 0.3, True),
        (0.3, 0.3, False),
        (0.3, 0.2, False),
        (0.3, math.nan, False),
        (math.nan, math.nan, False),
    ],
)
def test_best_improves_only_by_a_defined_higher_value(best: float, value: float, expected: bool) -> None:
    assert Best(best, 1).improved_by(value) is expected


def test_best_checkpoint_keeps_the_weights_of_the_best_epoch(tmp_path: Path, network: torch.nn.Linear) -> None:
    handler = BestCheckpoint(network, tmp_path, "seep_dice", {"network": {"init_filters": 8}})
    for epoch, value in enumerate([math.nan, 0.5, 0.7, 0.6], start=1):
        torch.nn.init.constant_(network.weight, epoch)
        validated(handler, epoch, seep_dice=value)
    stored = torch.load(tmp_path / "model.pt", weights_only=True)
    assert stored["weight"].tolist() == [[3.0, 3.0]]
    description = json.loads((tmp_path / "model.json").read_text())
    assert description["trained"] == {"key_metric": "seep_dice", "value": 0.7, "epoch": 3}
    assert description["network"] == {"init_filters": 8}
    assert description["sha256"] == hashlib.sha256((tmp_path / "model.pt").read_bytes()).hexdigest()


def test_best_checkpoint_with_an_undefined_metric_writes_nothing(tmp_path: Path, network: torch.nn.Linear) -> None:
    validated(BestCheckpoint(network, tmp_path, "seep_dice", {}), 1, seep_dice=math.nan)
    assert list(tmp_path.iterdir()) == []


def test_best_checkpoint_without_the_metric_raises(tmp_path: Path, network: torch.nn.Linear) -> None:
    with pytest.raises(ConfigError, match=r"'dice'; there are seep_dice"):
        validated(BestCheckpoint(network, tmp_path, "dice", {}), 1, seep_dice=0.5)


def test_save_atomic_failing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "last.pt"
    checkpoints.save_atomic(target, {"epoch": 1})
    # The wording is that of the Python version.
    with pytest.raises(Exception, match=r"pickle|local object"):
        checkpoints.save_atomic(target, {"epoch": lambda: 2})
    assert torch.load(target, weights_only=True) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [target]


def test_read_description_without_weights_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"model\.pt: expected trained weights.*--ckpt_dir"):
        checkpoints.read_description(tmp_path)


def test_read_description_of_other_weights_raises(tmp_path: Path, network: torch.nn.Linear) -> None:
    validated(BestCheckpoint(network, tmp_path, "seep_dice", {"format": 2}), 1, seep_dice=0.5)
    checkpoints.save_atomic(tmp_path / "model.pt", {"weight": torch.zeros(1)})
    with pytest.raises(DataError, match="describes weights with sha256"):
        checkpoints.read_description(tmp_path)


@pytest.mark.parametrize("description", [{}, {"format": 1}])
def test_read_description_of_another_format_names_the_remedy(
    tmp_path: Path, network: torch.nn.Linear, description: dict[str, int]
) -> None:
    validated(BestCheckpoint(network, tmp_path, "seep_dice", description), 1, seep_dice=0.5)
    with pytest.raises(DataError, match=r"expected format 2, but got .*Train again"):
        checkpoints.read_description(tmp_path)


def test_save_atomic_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.pt", "b.pt"):
        checkpoints.save_atomic(tmp_path / name, {"weight": torch.arange(5.0), "epoch": 3})
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_read_description_that_is_not_json_raises(tmp_path: Path, network: torch.nn.Linear) -> None:
    validated(BestCheckpoint(network, tmp_path, "seep_dice", {"format": 2}), 1, seep_dice=0.5)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(DataError, match=r"model\.json: expected a JSON file"):
        checkpoints.read_description(tmp_path)


def pair(folder: Path) -> tuple[float, int]:
    """The weight in `model.pt`, and the epoch in the description that is read with it and has its checksum."""
    weight = torch.load(folder / "model.pt", weights_only=True)["weight"].item()
    description = json.loads(checkpoints.description_file(folder).read_text())
    assert description["sha256"] == hashlib.sha256((folder / "model.pt").read_bytes()).hexdigest()
    return weight, description["epoch"]


def written(folder: Path, epoch: int) -> None:
    checkpoints.write_weights(folder, {"weight": torch.tensor(float(epoch))}, {"format": 2, "epoch": epoch})


@pytest.mark.parametrize("last_step", range(4))
@pytest.mark.parametrize("n_before", [0, 1])
def test_weights_written_up_to_any_step_are_a_pair_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_before: int, last_step: int
) -> None:
    # The steps are three renamings: of the new description, of the weights, of the description again.
    for epoch in range(n_before):
        written(tmp_path, epoch)
    replace, n_left = Path.replace, last_step

    def stopping(self: Path, target: Path) -> Path:
        nonlocal n_left
        n_left -= 1
        if n_left < 0:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", stopping)
        with contextlib.suppress(KeyboardInterrupt):
            written(tmp_path, 5)
    if last_step >= 2:
        assert pair(tmp_path) == (5, 5)
    elif n_before:
        assert pair(tmp_path) == (0, 0)
    else:
        with pytest.raises(DataError, match="there is no such file"):
            checkpoints.read_description(tmp_path)
    written(tmp_path, 7)
    assert pair(tmp_path) == (7, 7)
    assert {path.name for path in tmp_path.iterdir()} == {"model.pt", "model.json"}


def test_equal_weights_with_another_description_get_that_one(tmp_path: Path) -> None:
    for epoch in (1, 2):
        checkpoints.write_weights(tmp_path, {"weight": torch.tensor(3.0)}, {"format": 2, "epoch": epoch})
    assert pair(tmp_path) == (3, 2)


def test_settle_completes_a_change_and_removes_what_killed_processes_left(tmp_path: Path) -> None:
    written(tmp_path, 1)
    (tmp_path / "model.json").rename(tmp_path / "model.next.json")
    for name in (".last.pt.17.tmp", ".model.pt.4711.tmp"):
        (tmp_path / name).write_bytes(b"half")
    checkpoints.settle(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.pt", "model.json"}
    assert pair(tmp_path) == (1, 1)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["last.pt", "model.pt"], "continue with --resume True"),
        (["model.pt"], "start again with --overwrite True"),
        ([], "start again: "),
    ],
)
def test_how_to_go_on_is_what_is_accepted(tmp_path: Path, names: list[str], expected: str) -> None:
    for name in names:
        torch.save({}, tmp_path / name)
    assert checkpoints.how_to_go_on(tmp_path).startswith(expected)
    checkpoints.check_free(tmp_path, resume="resume" in expected, overwrite="overwrite" in expected)


def test_load_weights_that_are_not_finite_raises(tmp_path: Path, network: torch.nn.Linear) -> None:
    checkpoints.save_atomic(tmp_path / "model.pt", {"weight": torch.tensor([[1, math.nan]]), "bias": torch.zeros(1)})
    with pytest.raises(DataError, match=r"model\.pt: expected finite weights, but weight are not"):
        checkpoints.load_weights(network, tmp_path / "model.pt")


def test_load_weights_with_code_raises_and_runs_nothing(tmp_path: Path, network: torch.nn.Linear) -> None:
    class Code:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"weight": Code()}, tmp_path / "model.pt")
    with pytest.raises(DataError, match=r"model\.pt: expected weights"):
        checkpoints.load_weights(network, tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


def test_load_weights_packed_smaller_than_they_are_raises(tmp_path: Path, network: torch.nn.Linear) -> None:
    torch.save(network.state_dict() | {"more": torch.zeros(10_000)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(tmp_path / "model.pt", "w", 8) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(DataError, match=r"more than the file"):
        checkpoints.load_weights(network, tmp_path / "model.pt")


def test_every_load_of_torch_takes_weights_only() -> None:
    for folder in ("seep_monai", "scripts", "bundle"):
        for path in (Path(__file__).parents[1] / folder).rglob("*.*"):
            for line in path.read_text("utf-8").splitlines() if path.suffix in (".py", ".json") else ():
                assert "torch.load(" not in line or "weights_only=True" in line, path


def test_load_weights_of_another_network_raises(tmp_path: Path, network: torch.nn.Linear) -> None:
    checkpoints.save_atomic(tmp_path / "model.pt", torch.nn.Linear(3, 1).state_dict())
    with pytest.raises(DataError, match=r"model\.pt: expected weights of the network.*size mismatch"):
        checkpoints.load_weights(network, tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("name", "remedy"), [("last.pt", r"Resume it with --resume True.*--overwrite True"), ("model.pt", "Replace the")]
)
def test_check_free_with_another_runs_weights_raises(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / name).write_bytes(b"weights")
    with pytest.raises(ConfigError, match=remedy):
        checkpoints.check_free(tmp_path, resume=False, overwrite=False)


def test_check_free_with_overwrite_passes(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")
    checkpoints.check_free(tmp_path, resume=False, overwrite=True)
    assert (tmp_path / "model.pt").exists()


def test_check_free_with_resume_and_nothing_to_resume_raises(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"last\.pt: --resume True needs"):
        checkpoints.check_free(tmp_path, resume=True, overwrite=False)


def test_check_free_with_a_damaged_last_checkpoint_raises(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(DataError, match=r"last\.pt: expected a checkpoint, but it cannot be read"):
        checkpoints.check_free(tmp_path, resume=True, overwrite=False)


def test_check_free_with_resume_and_overwrite_raises(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most one"):
        checkpoints.check_free(tmp_path, resume=True, overwrite=True)


def test_best_checkpoint_counts_validations_since_the_best(tmp_path: Path, network: torch.nn.Linear) -> None:
    handler = BestCheckpoint(network, tmp_path, "seep_dice", {})
    for epoch, value in enumerate([0.5, 0.4, math.nan, 0.3], start=1):
        validated(handler, epoch, seep_dice=value)
    assert handler.best == Best(0.5, 1, 3)


@pytest.mark.parametrize(("n_processes", "expected"), [(1, list(range(1, 25))), (3, [10, 20])])
def test_several_processes_agree_on_a_write_within_an_epoch_at_every_tenth_batch(
    tmp_path: Path,
    network: torch.nn.Linear,
    monkeypatch: pytest.MonkeyPatch,
    n_processes: int,
    expected: list[int],
) -> None:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
    best = BestCheckpoint(network, tmp_path, "seep_dice", {})
    last = LastCheckpoint(
        network, optimizer, schedule, best, torch.Generator(), tmp_path, fingerprint="f", checkpoint_interval_s=60
    )
    engine, asked = Engine(lambda engine, batch: None), []
    monkeypatch.setattr(processes, "world_size", lambda: n_processes)
    monkeypatch.setattr(LastCheckpoint, "_is_due", lambda _: bool(asked.append(engine.state.iteration)))
    engine.state.epoch_length = 25
    for iteration in range(1, 26):
        engine.state.iteration = iteration
        last.save_within_epoch(engine)
    assert asked == expected
