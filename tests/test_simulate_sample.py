"""A sample of 200 tiles is as hard as the real tile set: contrast, speckle, widths and shares."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import tifffile
from scipy import ndimage
from skimage.measure import label, regionprops
from skimage.morphology import skeletonize

from seep_monai.simulate.sample import make_sample_data

N_TILES = 200


@dataclass
class Sample:
    """Images and masks by file name."""

    images: dict[str, np.ndarray] = field(default_factory=dict)
    masks: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Instances:
    """Measures of the class 1 instances (8-connected components in one tile)."""

    ratio: list[float] = field(default_factory=list)
    area_px: list[float] = field(default_factory=list)
    major_px: list[float] = field(default_factory=list)
    width_px: list[float] = field(default_factory=list)
    on_edge: list[bool] = field(default_factory=list)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    out = tmp_path_factory.mktemp("sample") / "out"
    make_sample_data(out, n_tiles=N_TILES, seed=0)
    read = Sample()
    for kind, target in (("images", read.images), ("masks", read.masks)):
        for path in sorted(out.glob(f"train_{kind}_256/*.tif")):
            target[path.name] = tifffile.imread(path)
    return read


@pytest.fixture(scope="module")
def ribbons(sample: Sample) -> Instances:
    found = Instances()
    for name, mask in sample.masks.items():
        for region in regionprops(label(mask == 1, connectivity=2)):
            _measure(found, region, sample.images[name], mask)
    return found


def _measure(found: Instances, region: object, image: np.ndarray, mask: np.ndarray) -> None:
    """Add one instance; its ring are the seep-free valid pixels 2 to 8 px outside it."""
    shape = np.zeros(mask.shape, bool)
    shape[region.slice] = region.image  # type: ignore[attr-defined]
    near = tuple(slice(max(0, part.start - 9), part.stop + 9) for part in region.slice)  # type: ignore[attr-defined]
    shape, dn, free = shape[near], image[near].astype(float), (mask[near] == 0) & (image[near] > 0)
    distance = ndimage.distance_transform_edt(~shape)
    ring = (distance >= 2) & (distance <= 8) & free
    inside = shape & (dn > 0)
    if ring.any() and inside.any():
        found.ratio.append(dn[inside].mean() / dn[ring].mean())
    found.area_px.append(float(shape.sum()))
    found.major_px.append(region.axis_major_length)  # type: ignore[attr-defined]
    # A centre line that is d px from the next outside pixel lies in a ribbon of 2 d - 1 px.
    padded = np.pad(shape, 1)
    found.width_px.append(np.median(2 * ndimage.distance_transform_edt(padded)[skeletonize(padded)] - 1))
    found.on_edge.append(any(part.start == 0 or part.stop == 256 for part in region.slice))  # type: ignore[attr-defined]


def _clean_patches(sample: Sample) -> list[np.ndarray]:
    """Seep-free, all-valid 32 x 32 patches of all tiles."""
    patches = []
    for name, image in sample.images.items():
        free = (sample.masks[name] == 0) & (image > 0)
        for row in range(0, 256, 32):
            for col in range(0, 256, 32):
                part = np.s_[row : row + 32, col : col + 32]
                if free[part].all():
                    patches.append(image[part].astype(float))
    return patches


def test_sample_files_have_names_shapes_and_types_of_the_real_set(sample: Sample) -> None:
    assert len(sample.images) == N_TILES
    assert sample.images.keys() == sample.masks.keys()
    for name, image in sample.images.items():
        scene, tile, suffix = name.split(".")
        assert scene.startswith("sim")
        assert len(tile) == 6
        assert suffix == "tif"
        assert 1 <= int(tile) <= 13 * 20
        assert image.shape == sample.masks[name].shape == (256, 256)
        assert image.dtype == np.uint16
        assert sample.masks[name].dtype == np.uint8


def test_sample_has_all_classes_and_rare_ones_are_rare(sample: Sample) -> None:
    n_tiles = [sum(bool((mask == k).any()) for mask in sample.masks.values()) for k in range(8)]

    assert min(n_tiles) >= 3
    assert n_tiles[1] == max(n_tiles[1:])
    # Of the real tiles 60 % hold class 1 and 6 % class 7.
    assert 0.4 * N_TILES < n_tiles[1] < 0.7 * N_TILES
    assert n_tiles[7] < 0.15 * N_TILES


def test_sample_has_a_tenth_of_empty_tiles(sample: Sample) -> None:
    n_empty = sum(not mask.any() for mask in sample.masks.values())

    assert n_empty == pytest.approx(0.1 * N_TILES, abs=5)


def test_sample_seep_share_is_one_to_two_and_a_half_percent(sample: Sample) -> None:
    assert 0.01 < np.mean([(mask > 0).mean() for mask in sample.masks.values()]) < 0.025


def test_sample_no_data_share_is_near_the_real_one(sample: Sample) -> None:
    shares = np.array([(image == 0).mean() for image in sample.images.values()])

    # Real: 4.4 % of the pixels in 12 % of the tiles.
    assert 0.025 < shares.mean() < 0.065
    assert 0.06 < (shares > 0).mean() < 0.18


def test_sample_no_data_holds_no_seep(sample: Sample) -> None:
    assert not any((sample.masks[name][image == 0] > 0).any() for name, image in sample.images.items())


def test_sample_speckle_has_the_real_coefficient_of_variation(sample: Sample) -> None:
    variation = [patch.std() / patch.mean() for patch in _clean_patches(sample)]

    # Real: median .18, p5 .16, p95 .21.
    assert 0.16 < np.median(variation) < 0.21


def test_sample_brightness_rises_across_the_swath(sample: Sample) -> None:
    first, last = (
        np.median(
            [
                np.median(x[x > 0])
                for name, x in sample.images.items()
                if (int(name.split(".")[1]) - 1) % 20 // 5 == part
            ]
        )
        for part in (0, 3)
    )

    # Real: 2.6 over all columns; each of the two values is a median over a quarter of them.
    assert 1.4 < last / first < 2.4


def test_ribbons_are_as_faint_as_the_real_ones(ribbons: Instances) -> None:
    # Real: median .84, p5 .72, p95 .92.
    assert 0.80 < np.median(ribbons.ratio) < 0.88
    assert np.percentile(ribbons.ratio, 95) < 0.99


def test_ribbons_are_two_to_four_px_wide_along_their_skeleton(ribbons: Instances) -> None:
    # Real: median 3, by the same measure.
    assert 2 <= np.median(ribbons.width_px) <= 4


def test_ribbons_have_the_real_areas_and_lengths(ribbons: Instances) -> None:
    # Real: area p25/50/75 104/274/577 px, major axis p50/p95 76/254 px, 78 % touch the tile's edge.
    assert 150 < np.median(ribbons.area_px) < 450
    assert 50 < np.median(ribbons.major_px) < 120
    assert 180 < np.percentile(ribbons.major_px, 95) < 350
    assert 0.65 < np.mean(ribbons.on_edge) < 0.9
