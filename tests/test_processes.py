"""Two and three processes (gloo) against one: the loss, its gradients, batches, scores and records."""

from __future__ import annotations

import json
import math
import multiprocessing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.distributed as dist
from monai.data import DataLoader, Dataset
from torch.utils.data import SequentialSampler

from seep_monai import processes
from seep_monai.classes import DEFAULT_CLASS_NAMES
from seep_monai.dataset.shares import BatchShares, SharedTiles, of_process
from seep_monai.errors import ConfigError, DataError, TrainingError
from seep_monai.handlers import SeepScores, SharedEvaluator, StopOnNonFiniteLoss, TilePictures, TileRecords
from seep_monai.network.losses import CLASS_TERMS, SEEP_TERMS, SeepLoss
from seep_monai.report.summary import summarised

N_TILES = 5
# The tiles of each process in the batch of the loss; the last one of three has none.
LOSS_SHARES = {1: [[0, 1, 2, 3, 4]], 2: [[0, 1, 2, 3], [4]], 3: [[0, 3, 4], [1, 2], []]}


def tiles() -> SharedTiles:
    """Tiles of 6 x 5 px with classes in runs, one without seep and one that is half no-data, beside random images."""
    generator = torch.Generator().manual_seed(3)
    items = []
    for number in range(N_TILES):
        image = torch.randn(1, 6, 5, generator=generator)
        label = torch.randint(0, 8, (1, 6, 1), generator=generator).expand(1, 6, 5).clone()
        label[:, :3] = 255 if number == 2 else 0
        items.append({"image": image, "label": label * (number != 1), "tile": f"{number % 2}.{number}"})
    return SharedTiles(Dataset(items))


def loss_and_gradients(share: list[int]) -> dict[str, Any]:
    """The loss of these tiles, its terms, and the gradients of a network's weights."""
    # Every process starts from other weights: those of process 0 count.
    torch.manual_seed(processes.rank())
    network = processes.in_parallel(torch.nn.Conv2d(1, 8, 3, padding=1))
    batch = [tiles()[position] for position in share or [None]]
    image, label = (torch.stack([item[key] for item in batch]) for key in ("image", "label"))
    loss = SeepLoss([1, 2, 3, 4, 5, 6, 7], dict.fromkeys((*SEEP_TERMS, *CLASS_TERMS), 0.7))
    value = loss(network(image), label)
    value.backward()
    gradients = [parameter.grad.flatten().tolist() for parameter in network.parameters()]
    terms = {name: float(term) for name, term in loss.terms.items()}
    return {"loss": float(value.detach()), "terms": terms, "n_tiles": float(loss.n_tiles), "gradients": gradients}


def batches(n_tiles: int) -> list[list[int | None]]:
    """Those of this process, which draws from its own random numbers."""
    torch.manual_seed(10 + processes.rank())
    return list(BatchShares(Dataset(range(n_tiles)), None, 2 if processes.world_size() > 1 else 4))


def probabilities() -> list[dict[str, Any]]:
    """Stored predictions of tiles of three scenes, with many ties, and their truth."""
    rng = np.random.default_rng(5)
    items = []
    for number in range(N_TILES):
        mask = np.zeros((1, 16, 24), np.uint8)
        mask[0, 3:5, 2:20] = number % 3 + 1
        mask[0, 9:12, 4:15] = (number + 1) % 3 + 1
        mask[0, 15] = 255
        found = np.eye(8)[np.where(rng.random((16, 24)) < 0.1, rng.integers(0, 4, (16, 24)), mask[0] % 255)]
        prediction = np.moveaxis(0.9 * found + 0.1 / 8, -1, 0).astype(np.float32)
        items.append({"image": prediction, "label": mask, "tile": f"{number % 3}.{number}", "scene": str(number % 3)})
    return items


def evaluation(n_tiles: int) -> dict[str, Any]:
    """All scores and records after an evaluation of this process's share of the first tiles."""
    items = probabilities()[:n_tiles]
    records, scores = TileRecords(), SeepScores()
    pictures = TilePictures([item["tile"] for item in reversed(items)])
    loader = DataLoader(Dataset(items), batch_size=2, sampler=of_process(range(n_tiles)))
    engine = SharedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=loader,
        network=torch.nn.Identity(),
        val_handlers=[scores, records, pictures],
    )
    engine.run()
    found = records.records
    ranked = {name: [picture.name for _, picture in getattr(found, name)] for name in ("best", "worst", "missed")}
    return {
        "metrics": {name: repr(value) for name, value in engine.state.metrics.items()},
        "operating_point": engine.state.operating_point,
        "summary": summarised(found.tiles, DEFAULT_CLASS_NAMES),
        "names": found.tiles.names,
        "truth": found.coco.ground_truth(),
        "predictions": found.coco.predictions,
        "pictures": list(pictures.pictures),
        "seen": {name: int(picture.prediction.sum()) for name, picture in pictures.pictures.items()},
        **ranked,
    }


def outcomes() -> dict[str, Any]:
    """What happens if process 0 computes something for all, or all fail."""
    calls: list[int] = []

    @processes.by_first
    def once(value: int) -> int:
        calls.append(value)
        return 7 * value

    @processes.by_first
    def failing() -> None:
        raise DataError("masks: expected a folder")

    engine = SimpleNamespace(state=SimpleNamespace(epoch=1, iteration=2, output={"loss": torch.tensor(math.nan)}))
    engine.state.batch = {"tile": [f"a.{processes.rank()}"]}
    return {
        "once": [once(6), calls],
        "failing": ended(failing),
        "nan": ended(lambda: StopOnNonFiniteLoss()(engine)),  # type: ignore[arg-type]
        "gathered": processes.gathered(processes.rank() ** 2),
        "seed": processes.own_seed(4),
    }


def ended(call: Any) -> str:
    try:
        call()
    except (DataError, TrainingError, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing happened"


def _measured(share: list[int]) -> dict[str, Any]:
    return {
        "loss": loss_and_gradients(share),
        "batches": {str(n): batches(n) for n in (9, 8, 5)},
        "evaluation": {str(n): evaluation(n) for n in (N_TILES, 2, 1)},
        "outcomes": outcomes(),
    }


def _process(rank: int, folder: str, n_processes: int) -> None:
    meeting = f"file://{folder}/meeting"
    # A deadlock fails instead of waiting for half an hour.
    options = {"world_size": n_processes, "timeout": timedelta(minutes=10)}
    dist.init_process_group("gloo", init_method=meeting, rank=rank, **options)
    with patch.object(processes, "_GRACE_S", 0.0):
        measured = _measured(LOSS_SHARES[n_processes][rank])
    Path(folder, f"{rank}.json").write_text(json.dumps(measured))
    processes.leave()
    assert processes.world_size() == 1


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    # As the others' content went through JSON.
    return dict(json.loads(json.dumps(_measured(LOSS_SHARES[1][0]))))


@pytest.fixture(scope="module", params=[2, 3])
def together(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    # A server that has imported this module forks the processes: each of its own would take seconds to do so.
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    arguments = (str(folder), request.param)
    torch.multiprocessing.start_processes(_process, arguments, nprocs=request.param, start_method="forkserver")
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(request.param)]


def test_loss_pooled_over_processes_is_that_of_one_process(alone: dict[str, Any], together: list[Any]) -> None:
    for one in together:
        assert one["loss"]["loss"] == pytest.approx(alone["loss"]["loss"], rel=1e-6)
        assert one["loss"]["terms"] == pytest.approx(alone["loss"]["terms"], rel=1e-6)


def test_gradients_of_the_pooled_loss_are_those_of_one_process(alone: dict[str, Any], together: list[Any]) -> None:
    for one in together:
        for found, expected in zip(one["loss"]["gradients"], alone["loss"]["gradients"], strict=True):
            assert found == pytest.approx(expected, abs=1e-7)
    assert max(map(abs, alone["loss"]["gradients"][0])) > 0.01


def test_loss_counts_the_tiles_of_all_processes(alone: dict[str, Any], together: list[Any]) -> None:
    assert {one["loss"]["n_tiles"] for one in (alone, *together)} == {N_TILES}


@pytest.mark.parametrize("n_tiles", ["9", "8", "5"])
def test_batches_of_processes_are_those_of_one_process_dealt_in_turn(
    alone: dict[str, Any], together: list[Any], n_tiles: str
) -> None:
    shares = [one["batches"][n_tiles] for one in together]
    if len(together) == 2:
        # Two tiles of each process, or four of one.
        whole = [processes.interleaved(parts) for parts in zip(*shares, strict=True)]
        assert [[tile for tile in batch if tile is not None] for batch in whole] == alone["batches"][n_tiles]
    else:
        seen = [tile for share in shares for batch in share for tile in batch if tile is not None]
        assert sorted(seen) == list(range(int(n_tiles)))
        assert {len(share) for share in shares} == {-(-int(n_tiles) // 6)}


def test_batch_has_no_tile_for_a_process_where_there_are_too_few(together: list[Any]) -> None:
    # Nine tiles: the last batch of two processes has one, that of three has three.
    last = [one["batches"]["9"][-1] for one in together]
    assert [share == [None] for share in last] == [False, len(together) == 2, False][: len(together)]


@pytest.mark.parametrize("n_tiles", [str(N_TILES), "2", "1"])
def test_evaluation_by_processes_gives_the_same_bits_as_one(
    alone: dict[str, Any], together: list[Any], n_tiles: str
) -> None:
    # With 2 tiles and with 1, processes have none.
    for one in together:
        assert one["evaluation"][n_tiles] == alone["evaluation"][n_tiles]
    assert 0 < alone["evaluation"][str(N_TILES)]["summary"]["mAP"] < 1


def test_first_process_computes_for_all(together: list[Any]) -> None:
    assert [one["outcomes"]["once"] for one in together] == [[42, [6]], *[[42, []]] * (len(together) - 1)]


def test_failure_of_the_first_process_ends_the_others_without_a_message(together: list[Any]) -> None:
    found = [one["outcomes"]["failing"] for one in together]
    assert found == ["DataError: masks: expected a folder", *["SystemExit: 1"] * (len(together) - 1)]


def test_loss_that_is_not_finite_names_the_tiles_of_all_processes(together: list[Any]) -> None:
    names = ", ".join(f"a.{rank}" for rank in range(len(together)))
    assert all(f"on the tiles {names}." in one["outcomes"]["nan"] for one in together)


def test_gathered_values_stand_by_rank(together: list[Any]) -> None:
    assert all(one["outcomes"]["gathered"] == [0, 1, 4][: len(together)] for one in together)


def test_seed_of_each_process_is_its_own_and_that_of_the_first_is_the_seed(together: list[Any]) -> None:
    seeds = [one["outcomes"]["seed"] for one in together]
    assert seeds[0] == 4
    assert len(set(seeds)) == len(together)


def test_batch_shares_of_one_process_are_the_batches_of_a_loader() -> None:
    assert list(BatchShares(Dataset(range(5)), SequentialSampler(range(5)), 2)) == [[0, 1], [2, 3], [4]]


def test_join_without_other_processes_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    processes.join("cpu")
    assert not dist.is_initialized()


def test_several_processes_are_refused_with_the_names_of_the_overlays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    processes.check_single_process()
    monkeypatch.setenv("WORLD_SIZE", "1")
    processes.check_single_process()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"expected one process, but got 2\. .*multi_gpu_train\.json"):
        processes.check_single_process()


def test_local_device_is_the_gpu_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert processes.local_device() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert processes.local_device() == torch.device("cuda", 1)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ConfigError, match=r"the 2 GPUs of this machine .* but got process 2"):
        processes.local_device()


def test_join_on_the_gpu_of_another_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="expected cuda:1 for this process, but got cuda:0"):
        processes.join("cuda:0")
