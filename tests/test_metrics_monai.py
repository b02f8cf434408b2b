"""The MONAI shells: input forms, state, order, gathering over processes, errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from monai.data import MetaTensor

from seep_monai.errors import SeepError
from seep_monai.instances.components import InstanceSettings, find_instances
from seep_monai.metrics import InstanceAveragePrecision, PixelScores

DROPPING = InstanceSettings(min_size_px=30, score_threshold=0.7)
BOTH = pytest.mark.parametrize("metric_class", [InstanceAveragePrecision, PixelScores])


def make_tiles(n: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (n, 8, 24, 40), multiples of 1/64 with many ties, and labels (n, 1, 24, 40)."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((n, 1, 24, 40), np.int64)
    probabilities = np.zeros((n, 8, 24, 40), np.float32)
    for i in range(n):
        for _ in range(3):
            k, row, column = rng.integers(1, 8), rng.integers(0, 20), rng.integers(0, 20)
            labels[i, 0, row : row + 3, column : column + 14] = k
            confidence = rng.choice([0.625, 0.75])
            patch = probabilities[i, :, row : row + 3, column + 2 : column + 14]
            patch[:] = 0
            patch[k] = confidence
        labels[i, 0, :2, :2] = 255
        probabilities[i, 0] = 1 - probabilities[i].sum(axis=0)
    return torch.from_numpy(probabilities), torch.from_numpy(labels)


def scores_of(metric_class, probabilities, labels, **kwargs) -> dict[str, float]:
    metric = metric_class()
    metric(y_pred=probabilities, y=labels, **kwargs)
    return metric.aggregate()


def assert_same(first: dict[str, float], second: dict[str, float]) -> None:
    assert first.keys() == second.keys()
    np.testing.assert_array_equal(list(first.values()), list(second.values()))


@pytest.fixture
def tiles() -> tuple[torch.Tensor, torch.Tensor]:
    return make_tiles()


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_metric_other_float_type_gives_the_same(metric_class, dtype, tiles) -> None:
    assert_same(scores_of(metric_class, *tiles), scores_of(metric_class, tiles[0].to(dtype), tiles[1]))


@BOTH
def test_metric_list_input_gives_the_same_as_batch(metric_class, tiles) -> None:
    assert_same(scores_of(metric_class, *tiles), scores_of(metric_class, list(tiles[0]), list(tiles[1])))


@BOTH
def test_metric_labels_without_channel_give_the_same(metric_class, tiles) -> None:
    assert_same(scores_of(metric_class, *tiles), scores_of(metric_class, list(tiles[0]), list(tiles[1][:, 0])))


@BOTH
def test_metric_meta_tensors_give_the_same(metric_class, tiles) -> None:
    assert_same(scores_of(metric_class, *tiles), scores_of(metric_class, *(MetaTensor(t) for t in tiles)))


@BOTH
def test_metric_non_contiguous_input_gives_the_same(metric_class, tiles) -> None:
    strided = tuple(t.transpose(2, 3).contiguous().transpose(2, 3) for t in tiles)
    assert not strided[0].is_contiguous()
    assert_same(scores_of(metric_class, *tiles), scores_of(metric_class, *strided))


@BOTH
def test_metric_input_with_gradient_is_accepted(metric_class, tiles) -> None:
    assert_same(scores_of(metric_class, *tiles), scores_of(metric_class, tiles[0].clone().requires_grad_(), tiles[1]))


@BOTH
def test_metric_input_stays_untouched(metric_class, tiles) -> None:
    before = [t.clone() for t in tiles]
    scores_of(metric_class, *tiles)
    assert all(torch.equal(t, b) for t, b in zip(tiles, before, strict=True))


@BOTH
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_metric_other_batch_split_gives_the_same(metric_class, batch_size, tiles) -> None:
    metric = metric_class()
    for p, t in zip(*(t.split(batch_size) for t in tiles), strict=True):
        metric(y_pred=p, y=t)
    assert_same(metric.aggregate(), scores_of(metric_class, *tiles))


@BOTH
def test_metric_other_order_with_ids_gives_the_same(metric_class, tiles) -> None:
    order = torch.tensor([4, 1, 5, 0, 3, 2])
    shuffled = scores_of(metric_class, tiles[0][order], tiles[1][order], image_ids=order)
    assert_same(shuffled, scores_of(metric_class, *tiles))


@BOTH
def test_metric_repeated_ids_count_once(metric_class, tiles) -> None:
    metric = metric_class()
    metric(y_pred=tiles[0], y=tiles[1], image_ids=range(6))
    metric(y_pred=tiles[0][:2], y=tiles[1][:2], image_ids=[0, 1])
    assert_same(metric.aggregate(), scores_of(metric_class, *tiles))


def test_instance_metric_repeat_with_other_scores_leaves_the_first_whole(tiles) -> None:
    metric = InstanceAveragePrecision()
    metric(y_pred=tiles[0], y=tiles[1], image_ids=range(6))
    metric(y_pred=tiles[0][:1] * 0.999, y=tiles[1][:1], image_ids=[0])
    assert_same(metric.aggregate(), scores_of(InstanceAveragePrecision, *tiles))


@BOTH
def test_metric_without_tiles_is_undefined(metric_class) -> None:
    scores = metric_class().aggregate()
    assert all(np.isnan(value) for key, value in scores.items() if "n_instances" not in key)


@BOTH
def test_metric_after_reset_starts_anew(metric_class, tiles) -> None:
    metric = metric_class()
    metric(y_pred=tiles[0][:3], y=tiles[1][:3])
    metric.aggregate()
    metric.reset()
    metric(y_pred=tiles[0], y=tiles[1])
    assert_same(metric.aggregate(), scores_of(metric_class, *tiles))


@BOTH
def test_metric_called_after_aggregate_adds_up(metric_class, tiles) -> None:
    metric = metric_class()
    metric(y_pred=tiles[0][:3], y=tiles[1][:3])
    metric.aggregate()
    metric(y_pred=tiles[0][3:], y=tiles[1][3:])
    assert_same(metric.aggregate(), scores_of(metric_class, *tiles))


@BOTH
def test_metric_state_stays_below_1_kb_a_tile(metric_class, tiles) -> None:
    metric = metric_class()
    metric(y_pred=tiles[0], y=tiles[1])
    state = metric.get_buffer()
    assert state.dtype == torch.float64
    assert state.numel() * 8 < 1000 * 6


def test_pixel_metric_confusion_counts_every_known_pixel(tiles) -> None:
    metric = PixelScores()
    metric(y_pred=tiles[0], y=tiles[1])
    assert metric.confusion().sum() == 6 * (24 * 40 - 4)


@BOTH
def test_metric_object_mode_of_hard_probabilities_gives_the_same(metric_class) -> None:
    # One rectangle per tile: its object is its arg-max component.
    labels = torch.zeros(2, 1, 16, 16, dtype=torch.long)
    labels[0, 0, 3:6, 2:12] = 4
    probabilities = torch.nn.functional.one_hot(labels[:, 0].roll(1, 1), 8).movedim(-1, 1).float() * 0.75
    probabilities[:, 0] += 0.25
    metric = metric_class(InstanceSettings(mode="object"))
    metric(y_pred=probabilities, y=labels)
    assert_same(metric.aggregate(), scores_of(metric_class, probabilities, labels))


@BOTH
def test_metric_dropped_instances_equal_probabilities_without_them(metric_class, tiles) -> None:
    probabilities, labels = tiles
    without = probabilities.clone()
    for p, t in zip(without.numpy(), labels.numpy(), strict=True):
        kept = find_instances(p, DROPPING, valid=t[0] != 255).classes > 0
        p[0], p[1:] = np.where(kept, p[0], 1), p[1:] * kept
    metric = metric_class(DROPPING)
    metric(y_pred=probabilities, y=labels)
    assert not torch.equal(without, probabilities)
    assert_same(metric.aggregate(), scores_of(metric_class, without, labels))


@BOTH
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, t: (p.index_fill(1, torch.tensor([3]), float("nan")), t), "without NaN"),
        (lambda p, t: (p * 9 - 3, t), "Apply softmax"),
        (lambda p, t: (p[:, :7], t), r"probabilities \(8, H, W\)"),
        (lambda p, t: (p[0], t), r"as many labels|probabilities \(8, H, W\)"),
        (lambda p, t: (p, t[..., :30]), "of one size"),
        (lambda p, t: (p, t.repeat(1, 2, 1, 1)), "of one size"),
        (lambda p, t: (p, t[:4]), "as many labels as predictions"),
        (lambda p, t: (p.long(), t), "float type"),
        (lambda p, t: (p, t + 2), r"got \[8"),
        (lambda p, t: (p, t - 1), r"got \[-1"),
        (lambda p, t: (p, t * 256), r"got \[512"),
        (lambda p, t: (p, t + 0.5), r"got \[0.5"),
        (lambda p, t: (p, None), "got none"),
        (lambda p, t: (p[:0], t[:0]), "one or more"),
    ],
)
def test_metric_bad_input_raises(metric_class, change, message, tiles) -> None:
    probabilities, labels = change(*tiles)
    with pytest.raises(SeepError, match=message):
        metric_class()(y_pred=probabilities, y=labels)


@BOTH
@pytest.mark.parametrize("image_ids", [[0, 1], [0, 1, 2, 3, 4, 0.5], ["a"] * 6, [0, 1, 2, 3, 4, 2**60]])
def test_metric_bad_ids_raise(metric_class, image_ids, tiles) -> None:
    with pytest.raises(SeepError, match="expected 6 whole numbers"):
        metric_class()(y_pred=tiles[0], y=tiles[1], image_ids=image_ids)


@BOTH
def test_metric_ids_in_some_calls_only_raise(metric_class, tiles) -> None:
    metric = metric_class()
    metric(y_pred=tiles[0], y=tiles[1])
    with pytest.raises(SeepError, match="in every call or in none"):
        metric(y_pred=tiles[0], y=tiles[1], image_ids=range(6))


# -------------------------------------------------------------------------------------------- several processes
SHARES = {
    2: {"uneven": [[0, 2, 4, 5], [1, 3]], "repeated": [[0, 2, 4, 5], [1, 3, 0, 2]], "nothing": [[*range(6)], []]},
    3: {
        "uneven": [[0, 2, 4], [1], [3, 5]],
        "repeated": [[0, 3], [1, 4], [2, 5, 0]],
        "nothing": [[0, 1, 2, 3, 4], [], [5]],
    },
}


def _share(rank: int, folder: str, n_processes: int) -> None:
    """Some processes see less than others, a repeat, or nothing at all; each writes what it aggregates."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=n_processes)
    probabilities, labels = make_tiles()
    shares = SHARES[n_processes]
    results = {}
    for metric_class in (InstanceAveragePrecision, PixelScores):
        for name, both in shares.items():
            metric = metric_class()
            if mine := both[rank]:
                metric(y_pred=probabilities[mine], y=labels[mine], image_ids=mine)
            results[f"{metric_class.__name__} {name}"] = metric.aggregate()
        metric = metric_class()
        metric(y_pred=probabilities[rank::n_processes], y=labels[rank::n_processes])
        results[f"{metric_class.__name__} unnumbered"] = metric.aggregate()
    Path(folder, f"{rank}.json").write_text(json.dumps(results))
    dist.destroy_process_group()


@pytest.fixture(scope="module", params=[2, 3])
def processes(request, tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("shares")
    torch.multiprocessing.spawn(_share, args=(str(folder), request.param), nprocs=request.param)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(request.param)]


@BOTH
@pytest.mark.parametrize("share", ["uneven", "repeated", "nothing", "unnumbered"])
def test_metric_in_several_processes_gives_the_same_as_in_one(metric_class, share, tiles, processes) -> None:
    for results in processes:
        assert_same(results[f"{metric_class.__name__} {share}"], scores_of(metric_class, *tiles))
