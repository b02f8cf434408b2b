"""Tests of `seep_monai.dataset.transforms`; expected values by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Flipd, Invertd, LoadImaged

from seep_monai.dataset.transforms import NormaliseByScened, normalise
from seep_monai.errors import ConfigError, DataError
from seep_monai.tiff import write_tiff

LEVEL = 1000.0
KNOWN = np.ones((1, 3), bool)


def loaded(
    folder: Path, image: np.ndarray, label: np.ndarray | None = None, no_data: float | None = None, **options: Any
) -> dict[Any, Any]:
    """The image and label after `LoadImaged` and `NormaliseByScened`."""
    write_tiff(folder / "image.tif", image, no_data=no_data)
    write_tiff(folder / "label.tif", np.zeros(image.shape, np.uint8) if label is None else label)
    item = {"image": str(folder / "image.tif"), "label": str(folder / "label.tif"), "scene_level": LEVEL}
    load = LoadImaged(["image", "label"], ensure_channel_first=True)
    return Compose([load, NormaliseByScened("image", **options)])(item)


def test_normalise_valid_dn_log_of_ratio() -> None:
    dn = np.array([[LEVEL, LEVEL * math.e, LEVEL / 2]])
    expected = torch.tensor([[0.0, 1.0, -math.log(2)]])
    torch.testing.assert_close(normalise(dn, KNOWN, LEVEL), expected, rtol=0, atol=1e-6)


def test_normalise_far_from_level_saturates_at_two() -> None:
    found = normalise(np.array([[65535, 1, 0]], np.uint16), KNOWN, 100.0)
    torch.testing.assert_close(found, torch.tensor([[2.0, -2.0, -2.0]]), rtol=0, atol=1e-6)


def test_normalise_negative_dn_saturates_below() -> None:
    found = normalise(np.array([[-5, 100, 100]], np.int16), KNOWN, 100.0)
    torch.testing.assert_close(found, torch.tensor([[-2.0, 0.0, 0.0]]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("no_data", [0.0, math.nan, math.inf, -9999.0])
def test_normalise_no_data_is_the_level(no_data: float) -> None:
    found = normalise(np.array([[no_data, LEVEL * math.e, LEVEL]]), np.array([[False, True, True]]), LEVEL)
    assert found.dtype == torch.float32
    assert found[0, 0] == 0
    assert found[0, 1] == pytest.approx(1.0, abs=1e-6)


def test_normalise_input_unchanged() -> None:
    dn = torch.tensor([[1.0, 2.0, 3.0]])
    normalise(dn, KNOWN, 1.0)
    assert dn.tolist() == [[1.0, 2.0, 3.0]]


def test_normalise_speckle_has_the_same_spread_at_any_level() -> None:
    speckle = np.random.default_rng(0).gamma(30, 1 / 30, (32, 32))
    valid = np.ones((32, 32), bool)
    torch.testing.assert_close(
        normalise(200 * speckle, valid, 200.0), normalise(3e4 * speckle, valid, 3e4), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("level", [0.0, -1.0, math.nan, math.inf])
def test_normalise_level_not_above_zero_refused(level: float) -> None:
    with pytest.raises(ConfigError, match="scene_level: expected a finite number above 0"):
        normalise(np.ones((1, 3)), KNOWN, level)


def test_normalise_by_scened_uint16_without_tag_zero_is_no_data(tmp_path: Path) -> None:
    found = loaded(tmp_path, np.array([[0, 1000], [2718, 65535]], np.uint16), np.array([[1, 2], [0, 7]], np.uint8))
    torch.testing.assert_close(
        found["image"].as_tensor(), torch.tensor([[[0.0, 0.0], [math.log(2.718), 2.0]]]), rtol=0, atol=1e-6
    )
    assert found["label"].dtype == torch.uint8
    assert found["label"].tolist() == [[[255, 2], [0, 7]]]


def test_normalise_by_scened_uint16_with_tag_zero_is_dark(tmp_path: Path) -> None:
    found = loaded(tmp_path, np.array([[0, 1000], [7, 7]], np.uint16), no_data=7)
    assert found["label"].tolist() == [[[0, 0], [255, 255]]]
    assert found["image"][0, 0, 0] == pytest.approx(-2.0)
    assert found["image"][0, 1].tolist() == [0.0, 0.0]


def test_normalise_by_scened_float32_with_nan_tag_nan_is_no_data(tmp_path: Path) -> None:
    image = np.array([[np.nan, 1000 * math.e], [0, 1000]], np.float32)
    found = loaded(tmp_path, image, np.array([[3, 3], [3, 3]], np.uint8), no_data=math.nan)
    torch.testing.assert_close(found["image"].as_tensor(), torch.tensor([[[0.0, 1.0], [-2.0, 0.0]]]), rtol=0, atol=1e-6)
    assert found["label"].tolist() == [[[255, 3], [3, 3]]]


def test_normalise_by_scened_float32_without_tag_all_valid(tmp_path: Path) -> None:
    found = loaded(tmp_path, np.array([[0, 1000]], np.float32), valid_key="valid")
    assert found["valid"].tolist() == [[[True, True]]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_normalise_by_scened_undeclared_nan_or_infinity_refused_by_name(tmp_path: Path, value: float) -> None:
    with pytest.raises(RuntimeError) as caught:
        loaded(tmp_path, np.array([[value, 1000]], np.float32))
    # MONAI's Compose wraps what a transform raises.
    assert isinstance(caught.value.__cause__, DataError)
    assert "image.tif: expected finite values, but 1 pixels" in str(caught.value.__cause__)


def test_normalise_by_scened_valid_key_keeps_the_mask(tmp_path: Path) -> None:
    found = loaded(tmp_path, np.array([[0, 5], [5, 0]], np.uint16), valid_key="valid")
    assert found["valid"].dtype == torch.bool
    assert found["valid"].tolist() == [[[False, True], [True, False]]]


def test_normalise_by_scened_without_label_key_label_untouched(tmp_path: Path) -> None:
    found = loaded(tmp_path, np.array([[0, 5]], np.uint16), np.array([[3, 4]], np.uint8), label_key=None)
    assert found["label"].tolist() == [[[3, 4]]]


def test_normalise_by_scened_metadata_and_other_keys_kept(tmp_path: Path) -> None:
    found = loaded(tmp_path, np.array([[0, 5]], np.uint16))
    assert found["image"].meta["filename_or_obj"] == str(tmp_path / "image.tif")
    assert found["image"].meta["source_dtype"] == '"uint16"'
    assert found["scene_level"] == LEVEL


def test_normalise_by_scened_after_a_flip_can_be_inverted(tmp_path: Path) -> None:
    write_tiff(tmp_path / "image.tif", np.array([[1000, 2718]], np.uint16))
    load = Compose([LoadImaged("image", ensure_channel_first=True), Flipd("image", spatial_axis=1)])
    data = load({"image": str(tmp_path / "image.tif"), "scene_level": LEVEL})
    found = NormaliseByScened("image", label_key=None)(data)
    assert found["image"][0, 0].tolist() == pytest.approx([math.log(2.718), 0.0], abs=1e-6)
    undone = Invertd("image", transform=load, orig_keys="image", nearest_interp=False)(found)
    assert undone["image"][0, 0].tolist() == pytest.approx([0.0, math.log(2.718)], abs=1e-6)


def test_normalise_by_scened_image_of_another_reader_refused() -> None:
    with pytest.raises(ConfigError, match="from another reader"):
        NormaliseByScened(label_key=None)({"image": MetaTensor(torch.ones(1, 2, 2)), "scene_level": LEVEL})
