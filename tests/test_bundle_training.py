"""Training by the bundle on a tiny data set: its files, its curves, its going on and its plan."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from bundle_runs import CONFIGS, TRAIN, assert_same_weights, evaluate, infer, message_of, train
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_data import SIZE_PX

from seep_monai.tiff import read_tiff

pytestmark = pytest.mark.usefixtures("closed_log")


def test_training_writes_the_files_of_the_contract(trained: Path) -> None:
    names = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    wanted = {"models/model.pt", "models/model.json", "models/last.pt", "eval/datalist.json"}
    wanted |= {f"eval/runs/one/{name}" for name in ("config.json", "versions.json", "run.log")}
    assert wanted <= names
    assert not [name for name in names if name.endswith(".tmp")]


def test_training_writes_one_event_file(trained: Path) -> None:
    assert len(list((trained / "eval" / "runs" / "one").glob("events.out.tfevents.*"))) == 1


def test_training_writes_every_curve_and_panel(trained: Path) -> None:
    events = EventAccumulator(str(trained / "eval" / "runs" / "one"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    wanted = {"train/loss", "train/learning_rate", "train/tiles_per_second", "validation/mAP", "validation/mAP50"}
    wanted |= {f"train_terms/{term}" for term in ("seep_ce", "seep_dice", "seep_jaccard", "class_ce", "class_dice")}
    wanted |= {"validation_seep/dice", "validation_seep/iou", "validation_iou/cls1", "validation_AP50/cls1"}
    assert wanted <= tags
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2]
    assert len([tag for tag in events.Tags()["images"] if tag.startswith("validation/")]) == 2


def test_training_keeps_model_pt_a_plain_state_dict_of_the_described_network(trained: Path) -> None:
    stored = torch.load(trained / "models" / "model.pt", weights_only=True)
    description = json.loads((trained / "models" / "model.json").read_text())
    assert description["network"]["init_filters"] == 8
    assert next(iter(stored.values())).shape[0] == 8
    assert description["tile_size"] == [SIZE_PX, SIZE_PX]


def test_training_plan_is_a_decathlon_list_of_disjoint_scenes(trained: Path, dataset: Path) -> None:
    plan = json.loads((trained / "eval" / "datalist.json").read_text())
    scenes = [{entry["scene"] for entry in plan[part]} for part in ("training", "validation", "test")]
    assert plan["leaky"] is False
    assert sum(map(len, scenes)) == len(set().union(*scenes)) == 6
    assert (dataset / plan["training"][0]["image"]).is_file()
    assert plan["counts"]["training"]["n_tiles"] == 6


def test_training_config_is_resolved_with_its_overrides(trained: Path) -> None:
    config = json.loads((trained / "eval" / "runs" / "one" / "config.json").read_text())
    assert config["network_settings"]["init_filters"] == 8
    assert config["max_epochs"] == 2


def test_training_learns_the_tiny_set(learned: Path) -> None:
    # Seep everywhere would score 2 * .09 / (1 + .09) = .17.
    assert json.loads((learned / "eval" / "metrics.json").read_text())["seep"]["dice"] > 0.8


def test_training_stores_the_operating_point_of_its_best_validation(
    dataset: Path, learned: Path, tmp_path: Path
) -> None:
    point = json.loads((learned / "models" / "model.json").read_text())["operating_point"]
    assert point["iou"] == 0.5
    assert 0 < point["seep"]["threshold"] <= 1
    assert point["seep"]["f1"] > 0.5
    source = dataset / "train_images_256" / "000001.000002.tif"
    infer(source, learned, tmp_path / "cut")
    infer(source, learned, tmp_path / "all", instances__score_threshold=0)
    texts = [read_tiff(tmp_path / name / "000001.000002_classes.tif").description or "" for name in ("cut", "all")]
    cut, whole = (json.loads(text)["instance_settings"]["score_threshold"] for text in texts)
    assert (cut, whole) == (point["instances"]["threshold"], 0)


def test_training_twice_gives_the_same_weights(dataset: Path, trained: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path)
    assert_same_weights(trained / "models", tmp_path / "models")


def test_training_with_the_config_for_several_processes_gives_the_same_weights_in_one(
    dataset: Path, trained: Path, tmp_path: Path
) -> None:
    train(dataset, tmp_path, config_file=[TRAIN, str(CONFIGS / "multi_gpu_train.json")])
    assert_same_weights(trained / "models", tmp_path / "models")


def test_training_from_initial_weights_goes_on_where_those_ended(dataset: Path, learned: Path, tmp_path: Path) -> None:
    # One epoch that moves nothing: the weights stay those it started from.
    other = renamed(dataset, tmp_path / "other", scene="9")
    start = {"initial_weights": str(learned / "models"), "learning_rate": 1e-12, "optimizer#weight_decay": 0.0}
    train(other, tmp_path, max_epochs=1, **start)
    first, then = (torch.load(out / "models" / "model.pt") for out in (learned, tmp_path))
    described = json.loads((tmp_path / "models" / "model.json").read_text())

    for name, weight in first.items():
        torch.testing.assert_close(then[name], weight, atol=1e-6, rtol=0)
    assert described["initial_weights_sha256"] == json.loads((learned / "models" / "model.json").read_text())["sha256"]


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_training_from_weights_that_saw_its_scored_scenes_is_refused(
    dataset: Path, trained: Path, tmp_path: Path, fold: int
) -> None:
    # Fold 0 validates on scenes that the weights were chosen on, the others on scenes they were trained on.
    message = message_of(train, dataset, tmp_path, initial_weights=str(trained / "models"), split__fold=fold)

    assert "trained or chosen on" in message
    assert not list((tmp_path / "models").iterdir())


def test_training_from_weights_whose_ancestors_saw_its_scored_scenes_is_refused(
    dataset: Path, trained: Path, tmp_path: Path
) -> None:
    other = renamed(dataset, tmp_path / "other", scene="9")
    train(other, tmp_path / "second", max_epochs=1, initial_weights=str(trained / "models"))
    train(other, tmp_path / "second", max_epochs=2, resume=True, run_name="two")
    description = json.loads((tmp_path / "second" / "models" / "model.json").read_text())
    message = message_of(train, dataset, tmp_path / "third", initial_weights=str(tmp_path / "second" / "models"))

    first = json.loads((trained / "models" / "model.json").read_text())
    assert {*first["trained_scenes"], *first["chosen_scenes"]} < {
        *description["trained_scenes"],
        *description["chosen_scenes"],
    }
    assert description["initial_weights_sha256"] == first["sha256"]
    assert "or those that they started from, were trained or chosen on" in message


def test_training_from_weights_that_are_not_there_is_refused(dataset: Path, tmp_path: Path) -> None:
    assert "expected trained weights" in message_of(train, dataset, tmp_path, initial_weights=str(tmp_path / "none"))


def test_training_with_extra_tiles_sees_them_and_marks_them(dataset: Path, trained: Path, tmp_path: Path) -> None:
    extra = renamed(dataset, tmp_path / "extra", scene="9")
    train(dataset, tmp_path / "run", extra_dataset_dir=str(extra), pixel_size_m=25)
    description = json.loads((tmp_path / "run" / "models" / "model.json").read_text())
    assert description["pixel_size_m"] == 25
    without = json.loads((trained / "models" / "model.json").read_text())
    last, last_without = (
        torch.load(out / "models" / "last.pt", weights_only=True) for out in (tmp_path / "run", trained)
    )

    assert description["plan"]["extra"]["n_tiles"] == 18
    assert description["plan_fingerprint"] == without["plan_fingerprint"]
    # Two epochs of 6 and of 6 + 18 tiles in batches of 4.
    assert (last_without["iteration"], last["iteration"]) == (4, 12)
    assert evaluate(dataset, tmp_path / "run")["leaky"] is False
    # Scored on the extra tiles themselves, the weights are scored on what they were trained on.
    assert evaluate(extra, tmp_path / "run", part="all")["leaky"] is True
    assert "another plan" in message_of(train, dataset, tmp_path / "run", max_epochs=3, resume=True, run_name="two")


def renamed(dataset: Path, folder: Path, *, scene: str) -> Path:
    """A copy whose scenes begin with another digit."""
    for kind in ("images", "masks"):
        (folder / f"train_{kind}_256").mkdir(parents=True)
        for path in (dataset / f"train_{kind}_256").iterdir():
            shutil.copy(path, folder / f"train_{kind}_256" / f"{scene}{path.name[1:]}")
    return folder


def test_unknown_sampling_is_refused(dataset: Path, tmp_path: Path) -> None:
    assert "expected one of shuffle, rarest_class" in message_of(train, dataset, tmp_path, train__sampling="fair")


@pytest.mark.parametrize("sampling", ["shuffle", "rarest_class"])
def test_training_resumed_equals_one_that_was_not_stopped(dataset: Path, tmp_path: Path, sampling: str) -> None:
    common = {"max_epochs": 3, "train#sampling": sampling}
    train(dataset, tmp_path / "whole", **common)
    train(dataset, tmp_path / "parts", **common, **{"train#trainer#max_epochs": 2})
    train(dataset, tmp_path / "parts", **common, resume=True, run_name="two")
    assert_same_weights(tmp_path / "whole" / "models", tmp_path / "parts" / "models")


def test_training_with_every_effect_resumed_equals_one_that_was_not_stopped(
    dataset: Path, trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    effects = {"augment#turn_prob": 0.5, "augment#paste_prob": 1.0, "max_epochs": 2}
    with caplog.at_level("INFO"):
        train(dataset, tmp_path / "whole", **effects)
    assert "slick bank: " in caplog.text
    train(dataset, tmp_path / "parts", **effects, **{"train#trainer#max_epochs": 1})
    train(dataset, tmp_path / "parts", **effects, resume=True, run_name="two")
    assert_same_weights(tmp_path / "whole" / "models", tmp_path / "parts" / "models")
    first, second = (torch.load(out / "models" / "last.pt", weights_only=True) for out in (trained, tmp_path / "whole"))
    assert any(not torch.equal(first["network"][key], second["network"][key]) for key in first["network"])


def test_training_with_folds_off_has_no_test_part(dataset: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path, max_epochs=1, split__n_folds=1)
    assert json.loads((tmp_path / "eval" / "datalist.json").read_text())["test"] == []


def test_training_by_its_own_datalist_gives_the_same_plan(dataset: Path, trained: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path, max_epochs=1, split__split_file=str(trained / "eval" / "datalist.json"))
    before, after = (json.loads((out / "eval" / "datalist.json").read_text()) for out in (trained, tmp_path))
    assert after["fingerprint"] == before["fingerprint"]


def test_training_by_tile_is_marked_leaky_everywhere(dataset: Path, tmp_path: Path) -> None:
    train(dataset, tmp_path, max_epochs=1, split__split_by="tile", split__allow_leak="true")
    assert json.loads((tmp_path / "eval" / "datalist.json").read_text())["leaky"] is True
    assert evaluate(dataset, tmp_path)["leaky"] is True
    assert all(row.endswith("test,true") for row in (tmp_path / "eval" / "metrics.csv").read_text().splitlines()[1:])
    events = EventAccumulator(str(tmp_path / "eval" / "runs" / "one"))
    events.Reload()
    assert [tag for tag in events.Tags()["images"] if not tag.startswith("validation_leaky/")] == []


def test_training_stops_early_by_patience(dataset: Path, tmp_path: Path) -> None:
    # AP can only rise from 0 when something is found: within six epochs nothing is.
    train(dataset, tmp_path, max_epochs=10, val_interval=2, patience=2, key_metric="mAP75")
    # Validations after epochs 2 (the best so far, 0), 4 and 6.
    assert torch.load(tmp_path / "models" / "last.pt", weights_only=True)["epoch"] == 6


def test_training_with_overwrite_replaces_the_old_weights(dataset: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "models", tmp_path / "models")
    (tmp_path / "models" / "model.json").write_text("old")
    train(dataset, tmp_path, overwrite=True, seed=1)
    assert json.loads((tmp_path / "models" / "model.json").read_text())["plan"]["settings"]["seed"] == 1
