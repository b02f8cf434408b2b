"""How dark found, missed and falsely drawn seeps are: hand-made tiles whose contrasts are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from script_runs import run_script

from seep_monai.coco.results import MaskTable, mask_table
from seep_monai.instances.components import ANY_SEEP
from seep_monai.report.contrast import above, contrast_summary, contrast_text, seep_detections, tile_contrasts
from seep_monai.tiff import write_tiff

SIZE = 64


def box(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[rows, columns] = True
    return mask


FOUND, MISSED, FALSE = (
    box(slice(4, 8), slice(5, 55)),
    box(slice(24, 27), slice(5, 55)),
    box(slice(45, 50), slice(8, 30)),
)


def record(mask: np.ndarray, category: int, score: float) -> dict:
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {
        "image_id": 1,
        "category_id": category,
        "score": score,
        "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode()},
    }


def predictions() -> list[dict]:
    """The found box under two classes, as classified objects stand in the file, and a false alarm."""
    return [
        record(FOUND, 0, 0.5),
        record(FOUND, 4, 0.25),
        record(FALSE, 0, 0.25),
        record(box(slice(60, 62), slice(0, 5)), 2, 0.01),
    ]


def tile() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """DN with 20, 4 and 10 % of darkening, on a sea that is flat but for a checkerboard of +-5 %."""
    sea = 1000 * np.where(np.indices((SIZE, SIZE)).sum(0) % 2 > 0, 1.05, 1 / 1.05)
    dn = sea * np.where(FOUND, 0.8, 1) * np.where(MISSED, 0.96, 1) * np.where(FALSE, 0.9, 1)
    truth = (FOUND | MISSED).astype(np.uint8)
    return dn, np.ones((SIZE, SIZE), bool), truth


def table() -> MaskTable:
    return seep_detections(mask_table(predictions(), (SIZE, SIZE)))


def test_mask_under_several_classes_is_one_detection_with_the_sum_of_scores() -> None:
    merged = table()
    assert merged.scores.tolist() == [0.75, 0.25, 0.01]
    assert set(merged.classes) == {ANY_SEEP}
    assert merged.runs.areas_px.tolist() == [FOUND.sum(), FALSE.sum(), 10]


def test_threshold_keeps_whole_masks() -> None:
    kept = above(table(), 0.25)
    assert kept.scores.tolist() == [0.75, 0.25]
    assert kept.runs.areas_px.tolist() == [FOUND.sum(), FALSE.sum()]


def test_contrasts_are_those_of_the_tile() -> None:
    found = {c.outcome: c for c in tile_contrasts(*tile(), above(table(), 0.25))}
    assert set(found) == {"found", "missed", "right", "false_alarm"}
    # Even numbers of pixels of both colours of the board, in boxes and rings alike.
    for outcome, darker in (("found", 0.2), ("right", 0.2), ("missed", 0.04), ("false_alarm", 0.1)):
        assert found[outcome].darker == pytest.approx(darker, abs=0.002)
    assert found["missed"].area_px == 150
    # Differences of logarithms over the board's log 1.05, times the root of the area.
    expected = -np.log(0.96) / np.log(1.05) * np.sqrt(150)
    assert found["missed"].visibility == pytest.approx(expected, rel=0.05)


def test_half_a_seep_is_a_poor_outline() -> None:
    half = seep_detections(mask_table([record(box(slice(4, 8), slice(5, 25)), 0, 0.9)], (SIZE, SIZE)))
    assert [c.outcome for c in tile_contrasts(*tile(), half)] == ["outline", "missed", "poor_outline"]


def test_seep_without_sea_around_has_no_contrast() -> None:
    dn, _, truth = tile()
    only = FOUND.copy()
    contrast = next(c for c in tile_contrasts(dn, only, truth, table()) if c.outcome == "found")
    assert np.isnan(contrast.darker)


def test_sea_without_speckle_has_no_visibility() -> None:
    _, valid, truth = tile()
    flat = np.where(truth > 0, 800.0, 1000.0)
    contrast = next(c for c in tile_contrasts(flat, valid, truth, above(table(), 0.25)) if c.outcome == "found")
    assert contrast.darker == pytest.approx(0.2)
    assert np.isnan(contrast.visibility)


def test_tile_without_anything_has_no_rows_and_the_table_says_so() -> None:
    dn, valid, truth = tile()
    nothing = seep_detections(mask_table([], (SIZE, SIZE)))
    summary = contrast_summary(tile_contrasts(dn, valid, np.zeros_like(truth), nothing))
    assert summary["found"] == {"n": 0, "area_px": None, "darker": None, "visibility": None}
    assert "| true seeps, found | 0 | - | - | - |" in contrast_text(summary)


def write_files(folder: Path) -> Path:
    dn, _, truth = tile()
    for kind, array in (("images", dn.astype(np.uint16)), ("masks", truth)):
        (folder / f"train_{kind}_256").mkdir(parents=True)
        write_tiff(folder / f"train_{kind}_256" / "a.1.tif", array)
    (folder / "predictions_coco.json").write_text(json.dumps(predictions()))
    (folder / "ground_truth_coco.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "a.1.tif"}]}))
    return folder


def test_script_keeps_as_many_detections_as_there_are_seeps(tmp_path: Path) -> None:
    data = write_files(tmp_path)
    done = run_script(
        "compare_contrast", data / "predictions_coco.json", "--dataset_dir", data, "--output_dir", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "out" / "contrast.json").read_text())
    assert written["score_threshold"] == 0.25
    assert [written[o]["n"] for o in ("found", "missed", "right", "false_alarm")] == [1, 1, 1, 1]
    assert written["missed"]["darker"][1] == pytest.approx(0.04, abs=0.002)
    assert (tmp_path / "out" / "contrast.md").read_text() == done.stdout


def test_script_refuses_a_tile_twice(tmp_path: Path) -> None:
    data = write_files(tmp_path)
    file = data / "predictions_coco.json"
    done = run_script("compare_contrast", file, file, "--dataset_dir", data, "--output_dir", tmp_path / "out")
    assert done.returncode == 1
    assert "a.1 again" in done.stderr
