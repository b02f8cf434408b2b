"""RLE and COCO files against pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from seep_monai.coco import CocoRecords, MaskTable, Runs, label_runs, read_image_ids, read_results
from seep_monai.coco.results import beside_truth, mask_table, painted
from seep_monai.coco.rle import boxes, decoded_counts, encoded, meeting_pieces, runs_of_counts
from seep_monai.errors import DataError
from seep_monai.instances.components import class_components, class_map
from seep_monai.metrics import InstanceAveragePrecision, overlaps

HEADLINE = ("mAP", "mAP50", "mAP75", "mAR100")


def oracle(mask: np.ndarray) -> dict:
    return coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))


def assert_equals_pycocotools(labels: np.ndarray, n_masks: int) -> None:
    """Strings, areas, boxes and decoded counts of all masks of a label image."""
    runs = label_runs(labels, n_masks)
    expected = [oracle(labels == i + 1) for i in range(n_masks)]
    assert encoded(runs) == [rle["counts"].decode() for rle in expected]
    assert runs.areas_px.tolist() == [int(coco_mask.area(rle)) for rle in expected]
    if labels.size:
        assert boxes(runs).tolist() == [coco_mask.toBbox(rle).tolist() for rle in expected]
    back = runs_of_counts([decoded_counts(text) for text in encoded(runs)], labels.shape)
    for name in ("owner", "start", "stop"):
        np.testing.assert_array_equal(getattr(back, name), getattr(runs, name))


def structured_maps() -> dict[str, np.ndarray]:
    maps = {name: np.zeros((9, 14), np.int32) for name in ("hole", "single", "first", "last", "wrap", "two", "checker")}
    maps["hole"][2:7, 3:9] = 1
    maps["hole"][4, 5] = 0
    maps["single"][4, 7] = 1
    maps["first"][0, 0] = 1
    maps["last"][8, 13] = 1
    maps["wrap"][:, 4:6] = 1
    maps["two"][3, :] = 1
    maps["two"][4, :] = 2
    maps["checker"][::2, ::2] = 1
    return maps | {
        "full": np.ones((5, 7), np.int32),
        "empty": np.zeros((5, 7), np.int32),
        "column": np.array([[1], [0], [1]], np.int32),
        "row": np.array([[1, 0, 1, 1]], np.int32),
        "long counts": np.pad(np.ones((3, 400), np.int32), ((600, 600), (100, 1500))),
        "no pixels": np.zeros((0, 4), np.int32),
    }


# ------------------------------------------------------------------------------------------------------------- RLE
@pytest.mark.parametrize(("name", "labels"), structured_maps().items())
def test_rle_structured_map_equals_pycocotools(name: str, labels: np.ndarray) -> None:
    assert_equals_pycocotools(labels, 2)


@settings(max_examples=200, deadline=None)
@given(arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=30), elements=st.integers(0, 3)))
def test_rle_random_labels_equals_pycocotools(labels: np.ndarray) -> None:
    assert_equals_pycocotools(labels, 3)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.floats(0, 0.02), st.integers(0, 1000))
def test_rle_sparse_large_map_equals_pycocotools(height: int, width: int, density: float, seed: int) -> None:
    labels = (np.random.default_rng(seed).random((height, width)) < density).astype(np.int32)
    assert_equals_pycocotools(labels, 1)


def test_rle_components_of_a_noisy_map_equal_pycocotools() -> None:
    table = class_components((np.random.default_rng(0).random((64, 90)) < 0.3).astype(np.uint8))
    assert_equals_pycocotools(table.labels, len(table))


def test_rle_non_contiguous_labels_give_the_same() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (20, 30)).astype(np.int32)
    assert encoded(label_runs(labels[::2, ::3], 2)) == encoded(label_runs(labels[::2, ::3].copy(), 2))


def test_runs_of_counts_zero_lengths_inside_are_merged() -> None:
    runs = runs_of_counts([np.array([2, 3, 0, 4, 0, 0, 1])], (2, 5))
    assert (runs.start.tolist(), runs.stop.tolist()) == ([2], [9])


@pytest.mark.parametrize("text", ["", "~", "P", "02P", "é", "o" * 13 + "0", "022M"])
def test_decoded_counts_damaged_string_raises(text: str) -> None:
    with pytest.raises(DataError, match="expected"):
        decoded_counts(text)


@pytest.mark.parametrize("counts", [[3], [2, 3], [-1, 5], []])
def test_runs_of_counts_wrong_sum_raises(counts: list[int]) -> None:
    with pytest.raises(DataError, match="add up to 4 pixels"):
        runs_of_counts([np.array(counts, np.int64)], (2, 2))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000))
def test_meeting_pieces_overlapping_masks_equals_pixel_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((3, 8, 9)) < rng.random()
    truth = np.where(rng.random((8, 9)) < 0.7, rng.integers(1, 4, (8, 9)), 0)
    runs = runs_of_counts([decoded_counts(oracle(mask)["counts"].decode()) for mask in masks], (8, 9))
    mask, component, start, stop = meeting_pieces(runs, label_runs(truth, 3))
    shared = np.zeros((3, 3), np.int64)
    np.add.at(shared, (mask, component), stop - start)
    assert shared.tolist() == [[int((m & (truth == t)).sum()) for t in (1, 2, 3)] for m in masks]


# ----------------------------------------------------------------------------------------------------------- files
def random_tile(rng: np.random.Generator, shape: tuple[int, int] = (40, 52)) -> tuple[np.ndarray, np.ndarray]:
    """Softmax probabilities of ribbons that miss the truth by a little, and the truth with some no-data."""
    truth, drawn = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for _ in range(rng.integers(0, 6)):
        k, row, column = rng.integers(1, 8), rng.integers(0, shape[0] - 3), rng.integers(0, shape[1] - 20)
        length = rng.integers(5, 20)
        truth[row : row + 3, column : column + length] = k
        drawn[row : row + 3, column + rng.integers(0, 3) : column + length] = k
    drawn[rng.random(shape) < 0.005] = rng.integers(1, 8)
    logits = rng.normal(0, 0.3, (8, *shape)) + 3.0 * (np.arange(8)[:, None, None] == drawn)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=0)
    truth[:3] = rng.choice([0, 255])
    return probabilities, truth


def records_of(tiles: list[tuple[np.ndarray, np.ndarray]]) -> CocoRecords:
    records = CocoRecords()
    for number, (probabilities, truth) in enumerate(tiles):
        known = truth != 255
        classes = class_map(probabilities) * known
        records.add_tile(f"{number}.tif", class_components(truth * known), class_components(classes, probabilities))
    return records


def pycocotools_scores(folder: Path) -> dict[str, float]:
    """mAP, mAP50, mAP75, mAR100 and AP per class, read from the two files."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(folder / "ground_truth_coco.json")
        predictions = json.loads((folder / "predictions_coco.json").read_text())
        if predictions:
            found = truth.loadRes(str(folder / "predictions_coco.json"))
        else:  # loadRes refuses an empty list
            found = COCO()
            found.dataset = {**truth.dataset, "annotations": []}
            found.createIndex()
        run = COCOeval(truth, found, "segm")
        run.evaluate()
        run.accumulate()
    precision, recall = run.eval["precision"][..., 0, 2], run.eval["recall"][..., 0, 2]
    values = {"mAP": precision, "mAP50": precision[0], "mAP75": precision[5], "mAR100": recall}
    values |= {f"AP_{k}": precision[:, :, k - 1] for k in range(1, 8)}
    return {name: float(v[v > -1].mean()) if (v > -1).any() else float("nan") for name, v in values.items()}


@pytest.mark.parametrize("seed", range(8))
def test_files_random_tiles_pycocotools_gives_our_scores(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    tiles = [random_tile(rng) for _ in range(5)] + [random_tile(rng, (64, 33))]
    records_of(tiles).write(tmp_path)
    metric = InstanceAveragePrecision()
    metric(y_pred=[torch.from_numpy(p) for p, _ in tiles], y=[torch.from_numpy(t) for _, t in tiles])
    ours = metric.aggregate()
    for name, value in pycocotools_scores(tmp_path).items():
        assert ours[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


def test_files_empty_predictions_pycocotools_gives_our_scores(tmp_path: Path) -> None:
    nothing = np.zeros((8, 20, 30))
    nothing[0] = 1
    truth = np.zeros((20, 30), np.uint8)
    truth[4, 5:20] = 3
    records_of([(nothing, truth)]).write(tmp_path)
    assert json.loads((tmp_path / "predictions_coco.json").read_text()) == []
    assert [pycocotools_scores(tmp_path)[name] for name in HEADLINE] == [0, 0, 0, 0]


def test_files_records_have_ids_from_one_and_categories_from_zero() -> None:
    truth = np.array([[1, 0, 7]], np.uint8)
    certain = np.eye(8)[truth].transpose(2, 0, 1)
    content = records_of([(certain, truth), (certain, truth)])
    truth_file = content.ground_truth()
    assert [image["id"] for image in truth_file["images"]] == [1, 2]
    assert [(a["id"], a["image_id"], a["category_id"]) for a in truth_file["annotations"]] == [
        (1, 1, 0),
        (2, 1, 6),
        (3, 2, 0),
        (4, 2, 6),
    ]
    assert truth_file["categories"][0] == {"id": 0, "name": "Seep cls1"}
    assert truth_file["annotations"][1] == {
        "id": 2,
        "image_id": 1,
        "category_id": 6,
        "segmentation": {"size": [1, 3], "counts": "21"},
        "area": 1,
        "bbox": [2, 0, 1, 1],
        "iscrowd": 0,
    }


def test_files_scores_survive_json_exactly(tmp_path: Path) -> None:
    tiles = [random_tile(np.random.default_rng(3))]
    content = records_of(tiles)
    content.write(tmp_path)
    probabilities, truth = tiles[0]
    known = truth != 255
    table = class_components(class_map(probabilities) * known, probabilities)
    read = json.loads((tmp_path / "predictions_coco.json").read_text())
    assert [record["score"] for record in read] == table.scores.tolist()


def test_files_prediction_of_another_size_raises() -> None:
    small, large = (class_components(np.zeros((n, n), np.uint8)) for n in (4, 5))
    with pytest.raises(DataError, match=r"a\.tif: expected a prediction of the mask's size"):
        CocoRecords().add_tile("a.tif", large, small)


# --------------------------------------------------------------------------------------------------------- results
def result(mask: np.ndarray, *, score: float = 0.5, category_id: int = 0, image_id: int = 1, **changes) -> dict:
    rle = oracle(mask)
    segmentation = {"size": list(mask.shape), "counts": rle["counts"].decode()}
    return {
        "image_id": image_id,
        "category_id": category_id,
        "score": score,
        "segmentation": segmentation,
        **changes,
    }


def bar(columns: slice, shape: tuple[int, int] = (3, 10)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[1, columns] = 1
    return mask


def table_of(*masks: np.ndarray, scores: list[float] | None = None) -> MaskTable:
    found = [result(m, score=s) for m, s in zip(masks, scores or [0.5] * len(masks), strict=True)]
    return mask_table(found, masks[0].shape)


@pytest.mark.parametrize("seed", range(20))
def test_beside_truth_overlapping_masks_iou_equals_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = class_components((rng.random((15, 22)) < 0.3).astype(np.uint8))
    masks = [rng.random((15, 22)) < rng.random() for _ in range(5)]
    found = overlaps(*beside_truth(truth, table_of(*masks)))
    iou = np.zeros((len(masks), len(truth)))
    iou[found.predicted, found.truth] = found.iou
    theirs = [oracle(truth.labels == i + 1) for i in range(len(truth))]
    np.testing.assert_allclose(iou, coco_mask.iou([oracle(m) for m in masks], theirs, [0] * len(theirs)), atol=1e-15)


def test_mask_table_uncompressed_counts_give_the_same() -> None:
    mask = bar(slice(2, 5))
    plain = result(mask, segmentation={"size": [3, 10], "counts": [7, 1, 2, 1, 2, 1, 16]})
    first, second = (mask_table([record], (3, 10)).runs for record in (plain, result(mask)))
    assert (first.start.tolist(), first.stop.tolist()) == (second.start.tolist(), second.stop.tolist())


def test_mask_table_empty_mask_keeps_its_row() -> None:
    assert table_of(bar(slice(0, 0)), bar(slice(0, 2))).runs.areas_px.tolist() == [0, 2]


def test_mask_table_other_size_raises() -> None:
    with pytest.raises(DataError, match=r"of image 1: expected the size \[4, 10\].*got \[3, 10\]"):
        mask_table([result(bar(slice(0, 2)))], (4, 10))


@pytest.mark.parametrize("counts", [7, [30.0], [2, True], [-1, 31], "0", [2**70]])
def test_mask_table_damaged_counts_raise(counts: object) -> None:
    with pytest.raises(DataError, match="expected"):
        mask_table([result(bar(slice(0, 2)), segmentation={"size": [3, 10], "counts": counts})], (3, 10))


def test_within_mask_on_no_data_is_cut_or_left_out() -> None:
    valid = np.ones((3, 10), bool)
    valid[:, 5:] = False
    cut = table_of(bar(slice(6, 9)), bar(slice(3, 9)), scores=[0.5, 0.75]).within(valid)
    assert cut.runs.areas_px.tolist() == [2]
    assert cut.scores.tolist() == [0.75]


def test_painted_overlap_goes_to_the_best_score() -> None:
    table = mask_table(
        [
            result(bar(slice(0, 6)), score=0.5, category_id=2),
            result(bar(slice(4, 10)), score=0.75, category_id=4),
            result(bar(slice(8, 10)), score=0.75, category_id=6),
        ],
        (3, 10),
    )
    classes, scores = painted(table)
    assert classes[1].tolist() == [3] * 4 + [5] * 6
    assert scores[1].tolist() == [0.5] * 4 + [0.75] * 6
    assert not classes[[0, 2]].any()


def test_runs_pixels_are_those_of_each_mask() -> None:
    runs = Runs((3, 3), np.array([0, 0, 2]), np.array([0, 5, 7]), np.array([3, 6, 8]), 3)
    assert [pixels.tolist() for pixels in runs.pixels()] == [[0, 1, 2, 5], [], [7]]


def test_read_results_list_and_object_give_the_same(tmp_path: Path) -> None:
    records = [result(bar(slice(0, 2)), image_id=i) for i in (3, 1, 3)]
    for name, content in (("list", records), ("object", {"annotations": records})):
        (tmp_path / name).write_text(json.dumps(content))
    assert read_results(tmp_path / "list") == read_results(tmp_path / "object")
    assert {i: len(found) for i, found in read_results(tmp_path / "list").items()} == {3: 2, 1: 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"segmentation": [[0, 0, 1, 1, 2, 2]]}, "polygons. Convert"),
        ({"segmentation": {"counts": "0"}}, "Write masks as COCO RLE"),
        ({"category_id": 7}, "category_id 0..6"),
        ({"category_id": -1}, "category_id 0..6"),
        ({"image_id": "a"}, "whole image_id"),
        ({"score": "1"}, "finite score"),
    ],
)
def test_read_results_bad_record_raises(changes: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps([result(bar(slice(0, 2))) | changes]))
    with pytest.raises(DataError, match=rf"r\.json: result 0: .*{message}"):
        read_results(tmp_path / "r.json")


@pytest.mark.parametrize("text", ["{", "3", '{"images": []}', "[4]", '[{"image_id": 1, "bbox": [1, 2, 3, 4]}]'])
def test_read_results_other_form_raises(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(DataError, match=r"r\.json"):
        read_results(tmp_path / "r.json")


def test_read_image_ids_folder_and_suffix_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "i.json").write_text(json.dumps({"images": [{"id": 9, "file_name": "images/041869.000003.tif"}]}))
    assert read_image_ids(tmp_path / "i.json") == {"041869.000003": 9}


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"images": []},
        {"images": [{"id": 1}]},
        {"images": [{"id": 1, "file_name": "a.tif"}, {"id": 1, "file_name": "b.tif"}]},
        {"images": [{"id": 1, "file_name": "a.tif"}, {"id": 2, "file_name": "a.png"}]},
    ],
)
def test_read_image_ids_bad_file_raises(content: object, tmp_path: Path) -> None:
    (tmp_path / "i.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"i\.json: expected"):
        read_image_ids(tmp_path / "i.json")
