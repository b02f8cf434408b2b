from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seep_monai.checkpoints import Best
from seep_monai.dataset.audit import Tile
from seep_monai.errors import ConfigError, TrainingError
from seep_monai.handlers import (
    ClipGradients,
    RunWriter,
    SeepScores,
    StopEarly,
    StopOnNonFiniteLoss,
    TilePictures,
    TrainingCurves,
    ValidationCurves,
    choose_tiles,
    progress_bar,
)
from seep_monai.handlers.checkpoints import BestCheckpoint
from seep_monai.handlers.curves import validation_tags
from seep_monai.handlers.progress import ProgressLog


class Scalars:
    """Stands for a RunWriter and keeps what it gets."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, int], float] = {}
        self.images: dict[tuple[str, int], np.ndarray] = {}

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.values[tag, step] = value

    def add_image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        self.images[tag, step] = pixels


def tile(name: str, *class_pixels: int) -> Tile:
    """A tile with the given pixels of classes 1, 2, ..."""
    counts = (0, *class_pixels, *[0] * (7 - len(class_pixels)))
    return Tile(name, name[:1], Path(name), Path(name), (8, 8), counts, counts[1:])


def trainer_with(loss: float, tiles: list[str]) -> Engine:
    engine = Engine(lambda engine, batch: None)
    engine.register_events(*IterationEvents)
    engine.state.epoch, engine.state.iteration = 3, 17
    engine.state.batch = {"tile": tiles}
    engine.state.output = {"loss": torch.tensor(loss)}
    return engine


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_non_finite_loss_raises_with_epoch_iteration_and_tiles(loss: float) -> None:
    engine = trainer_with(loss, ["041869.000003", "045551.000007"])
    StopOnNonFiniteLoss().attach(engine)
    with pytest.raises(TrainingError, match=r"epoch 3, iteration 17, on the tiles 041869\.000003, 045551\.000007"):
        engine.fire_event(IterationEvents.LOSS_COMPLETED)


def test_finite_loss_passes() -> None:
    engine = trainer_with(2.5, ["a.1"])
    seen = []
    StopOnNonFiniteLoss().attach(engine)
    engine.add_event_handler(IterationEvents.LOSS_COMPLETED, lambda: seen.append(True))
    engine.fire_event(IterationEvents.LOSS_COMPLETED)
    assert seen == [True]


@pytest.mark.parametrize(("norm", "expected"), [(10.0, [3.0, 4.0]), (1.0, [0.6, 0.8])])
def test_clip_gradients_scales_only_what_is_too_long(norm: float, expected: list[float]) -> None:
    network = torch.nn.Linear(2, 1, bias=False)
    network.weight.grad = torch.tensor([[3.0, 4.0]])
    engine = trainer_with(1.0, [])
    ClipGradients(network, norm).attach(engine)
    engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
    assert network.weight.grad[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_clip_gradients_with_a_scaler_unscales_first() -> None:
    network = torch.nn.Linear(2, 1, bias=False)
    network.weight.grad = torch.tensor([[30.0, 40.0]])
    engine = trainer_with(1.0, [])

    def unscale(optimizer: object) -> None:
        assert optimizer == "the optimizer"
        network.weight.grad.div_(10)

    engine.scaler, engine.optimizer = SimpleNamespace(unscale_=unscale), "the optimizer"
    ClipGradients(network, 1.0)(engine)
    assert network.weight.grad[0].tolist() == pytest.approx([0.6, 0.8], rel=1e-5)


@pytest.mark.parametrize("gradient", [math.inf, math.nan])
def test_clip_gradients_that_are_not_finite_stop_the_run(gradient: float) -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    network.weight.grad = torch.tensor([[gradient]])
    with pytest.raises(TrainingError, match=r"gradient norm became .* epoch 3, iteration 17, on the tiles a\.1"):
        ClipGradients(network, 1.0)(trainer_with(1.0, ["a.1"]))


def test_clip_gradients_that_are_not_finite_are_left_to_a_scaler() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    network.weight.grad = torch.tensor([[math.inf]])
    engine = trainer_with(1.0, ["a.1"])
    engine.scaler, engine.optimizer = SimpleNamespace(unscale_=lambda optimizer: None), None
    ClipGradients(network, 1.0)(engine)
    assert not torch.isfinite(network.weight.grad).any()


def test_clip_gradients_to_nothing_raises() -> None:
    with pytest.raises(ConfigError, match="max_grad_norm"):
        ClipGradients(torch.nn.Linear(1, 1), 0)


@pytest.mark.parametrize(("patience", "last_epoch"), [(0, 9), (1, 4), (2, 5), (6, 9)])
def test_stop_early_ends_when_patience_is_over(tmp_path: Path, patience: int, last_epoch: int) -> None:
    best = BestCheckpoint(torch.nn.Linear(1, 1), tmp_path, "seep_dice", {})
    engine = Engine(lambda engine, batch: None)

    @engine.on(Events.EPOCH_COMPLETED)
    def improve_until_epoch_3() -> None:
        best.best = Best(0.5, 3, max(engine.state.epoch - 3, 0))

    StopEarly(best, patience).attach(engine)
    assert engine.run([0], max_epochs=9).epoch == last_epoch


def test_stop_early_at_the_start_of_a_run_that_had_stopped(tmp_path: Path) -> None:
    best = BestCheckpoint(torch.nn.Linear(1, 1), tmp_path, "seep_dice", {})
    engine = Engine(lambda engine, batch: None)

    @engine.on(Events.STARTED)
    def resume() -> None:
        engine.state.epoch, engine.state.iteration, best.best = 5, 5, Best(0.5, 3, 2)

    StopEarly(best, 2).attach(engine)
    assert engine.run([0], max_epochs=9).iteration == 5


def test_stop_early_with_negative_patience_raises(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="patience"):
        StopEarly(BestCheckpoint(torch.nn.Linear(1, 1), tmp_path, "seep_dice", {}), -1)


def test_training_curves_write_means_over_tiles() -> None:
    # Two iterations of 3 and 1 tiles with losses 1 and 5: the mean over tiles is 2.
    losses, sizes = [1.0, 5.0], [3, 1]
    loss = SimpleNamespace(terms={}, n_tiles=0)

    def step(engine: Engine, index: int) -> dict[str, torch.Tensor]:
        loss.terms = {"seep_ce": torch.tensor(losses[index] / 10)}
        loss.n_tiles = torch.tensor(float(sizes[index]))
        return {"loss": torch.tensor(losses[index])}

    engine, writer = Engine(step), Scalars()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.25)
    TrainingCurves(writer, loss, optimizer, interval=2).attach(engine)  # type: ignore[arg-type]
    engine.run([0, 1], max_epochs=1)
    assert writer.values["train/loss", 1] == pytest.approx(2.0)
    assert writer.values["train_terms/seep_ce", 1] == pytest.approx(0.2)
    assert writer.values["train/learning_rate", 1] == 0.25
    assert writer.values["train/tiles_per_second", 1] > 0
    of_iterations = {key: value for key, value in writer.values.items() if key[0].startswith("train_iterations/")}
    assert of_iterations == {("train_iterations/loss", 2): 5.0, ("train_iterations/learning_rate", 2): 0.25}


def test_progress_log_says_what_is_left(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    engine = Engine(lambda engine, index: {"image": torch.zeros(4, 1, 2, 2), "loss": torch.tensor(0.5)})
    ProgressLog(30.0, enabled=True).attach(engine)
    with caplog.at_level(logging.INFO):
        engine.run([0, 1, 2], max_epochs=2)
    # 20 s an iteration: a line after every second one; 4 tiles in 20 s.
    assert [message for message in caplog.messages if "left" in message] == [
        "epoch 1/2, iteration 2/3: loss 0.5000, 0.2 tiles/s, 0:01:20 left",
        "epoch 2/2, iteration 1/3: loss 0.5000, 0.2 tiles/s, 0:00:40 left",
        "epoch 2/2, iteration 3/3: loss 0.5000, 0.2 tiles/s, 0:00:00 left",
    ]


def test_progress_log_disabled_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(lambda engine, index: {"image": torch.zeros(4, 1, 2, 2), "loss": torch.tensor(0.5)})
    ProgressLog(0.0, enabled=False).attach(engine)
    with caplog.at_level(logging.INFO):
        engine.run([0, 1], max_epochs=1)
    assert not [message for message in caplog.messages if "left" in message]


def scored_engine() -> Engine:
    """A validation of two 4 x 4 tiles: the truth of the first is found exactly; the second has none, none is found."""
    truth = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    truth[0, 0, 1:3, 1:3] = 3
    probabilities = torch.nn.functional.one_hot(truth[:, 0].long(), 8).movedim(-1, 1).float()
    items = [{"pred": probabilities[i], "label": truth[i], "image": torch.zeros(1, 4, 4)} for i in range(2)]
    engine = Engine(lambda engine, batch: items)
    engine.add_event_handler(
        Events.ITERATION_COMPLETED,
        lambda: setattr(engine.state, "batch", [{"tile": "a.1"}, {"tile": "a.2"}]),
    )
    return engine


def test_seep_scores_of_a_perfect_prediction_are_one_and_absent_classes_undefined() -> None:
    engine = scored_engine()
    SeepScores().attach(engine)
    metrics = engine.run([0], max_epochs=2).metrics
    assert metrics["mAP"] == pytest.approx(1)
    assert metrics["seep_dice"] == 1
    assert metrics["iou_3"] == 1
    assert metrics["n_instances"] == 1
    assert math.isnan(metrics["AP_1"])


def test_validation_curves_write_defined_values_only() -> None:
    engine, writer = scored_engine(), Scalars()
    SeepScores().attach(engine)
    ValidationCurves(writer).attach(engine)  # type: ignore[arg-type]
    engine.run([0], max_epochs=1)
    assert writer.values["validation_seep/dice", 1] == 1
    assert writer.values["validation_iou/cls3", 1] == 1
    assert ("validation_iou/cls1", 1) not in writer.values


def test_every_curve_is_a_value_of_seep_scores() -> None:
    engine = scored_engine()
    SeepScores().attach(engine)
    assert set(validation_tags()) <= set(engine.run([0], max_epochs=1).metrics)


def test_tile_pictures_keep_and_show_the_named_tiles() -> None:
    engine, writer = scored_engine(), Scalars()
    pictures = TilePictures(["a.1"], writer)  # type: ignore[arg-type]
    pictures.attach(engine)
    engine.run([0], max_epochs=1)
    assert list(pictures.pictures) == ["a.1"]
    assert (pictures.pictures["a.1"].prediction == pictures.pictures["a.1"].truth).all()
    assert list(writer.images) == [("validation/a.1", 1)]


def test_tile_pictures_of_a_leaky_plan_say_so() -> None:
    engine, writer = scored_engine(), Scalars()
    TilePictures(["a.1"], writer, leaky=True).attach(engine)  # type: ignore[arg-type]
    engine.run([0], max_epochs=1)
    assert list(writer.images) == [("validation_leaky/a.1", 1)]


def test_run_writer_without_a_value_leaves_nothing(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run")
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_run_writer_with_values_writes_one_file(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run")
    writer.add_scalar("a", 1.0, 1)
    writer.add_text("b", "text")
    writer.add_image("c", np.zeros((4, 5, 3), np.uint8), 1)
    writer.close()
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert events.Scalars("a")[0].value == 1.0
    assert (events.Images("c")[0].width, events.Images("c")[0].height) == (5, 4)
    assert len(list((tmp_path / "run").iterdir())) == 1


def test_choose_tiles_takes_the_rarest_class_first() -> None:
    tiles = [tile("a", 90), tile("b", 50, 2), tile("c", 0, 7), tile("d", 60), tile("e", 1, 1, 1)]
    # Class 3 is in e alone, class 2 has most pixels in c, class 1 in a.
    assert choose_tiles(tiles, 3) == ["e", "c", "a"]


def test_choose_tiles_of_fewer_than_asked_gives_all() -> None:
    assert sorted(choose_tiles([tile("a", 1), tile("b")], 6)) == ["a", "b"]


def test_progress_bar_without_a_terminal_is_off() -> None:
    assert progress_bar("training").tqdm_kwargs["disable"] is True
