"""Telling real tiles from simulated ones: the classifier, its AUC, the splits, views, statistics and files."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from seep_monai.errors import SeepError
from seep_monai.realism.domain_report import ComparisonSettings, classify_domains
from seep_monai.realism.domain_statistics import (
    STATISTICS,
    band_shares,
    compare_statistics,
    joint_statistics,
    lag_correlation,
    logistic_weights,
    tile_statistics,
)
from seep_monai.realism.domain_tiles import DomainTiles, block_means, control_domain, load_domain, viewed
from seep_monai.realism.domains import (
    auc,
    auc_interval,
    compare_domains,
    domain_classifier,
    split_scenes,
    train_classifier,
)
from seep_monai.tiff import write_tiff

ROOT = Path(__file__).resolve().parent.parent
SIZE = 32


def domain(std: float, *, seed: int, n_scenes: int = 6, n_tiles: int = 8, size: int = SIZE) -> DomainTiles:
    """White noise of this deviation."""
    noise = np.random.default_rng(seed).normal(0, std, (n_scenes * n_tiles, size, size))
    scenes = tuple(f"{k // n_tiles:06d}" for k in range(n_scenes * n_tiles))
    names = tuple(f"{scene}.{k:06d}" for k, scene in enumerate(scenes))
    nothing = np.zeros(len(names))
    return DomainTiles(names, scenes, noise.astype(np.float16), np.ones(noise.shape, bool), nothing, nothing)


def write_tiles(folder: Path, looks: float, *, seed: int, n_scenes: int = 3, n_tiles: int = 3) -> Path:
    """Speckle tiles of 32 px; each scene at its own brightness, its first tile with a no-data row."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for scene in range(n_scenes):
        for tile in range(n_tiles):
            dn = (8000 * (1 + scene) * np.sqrt(rng.gamma(looks, 1 / looks, (SIZE, SIZE)))).clip(1, 65535)
            if tile == 0:
                dn[0] = 0
            write_tiff(folder / f"{scene:06d}.{tile + 1:06d}.tif", dn.astype(np.uint16))
    return folder


def test_classifier_gives_one_logit_per_tile_of_any_size() -> None:
    model = domain_classifier().eval()

    assert model(torch.zeros(3, 1, 256, 256)).shape == (3, 1)
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 1)


def test_classifier_layers_halve_the_tile_four_times_with_the_stated_filters() -> None:
    layers, image = domain_classifier(), torch.zeros(2, 1, 64, 64)
    shapes = []
    for layer in layers:
        image = layer(image)
        if isinstance(layer, torch.nn.Conv2d):
            shapes.append(tuple(image.shape[1:]))

    assert shapes == [(16, 32, 32), (32, 16, 16), (48, 8, 8), (64, 4, 4)]


def test_classifier_has_the_parameters_counted_by_hand() -> None:
    # 9 weights per pair of channels, two batch-norm parameters per filter, 64 weights and a bias at the end.
    weights = 9 * (1 * 16 + 16 * 32 + 32 * 48 + 48 * 64)
    norms = 2 * (16 + 32 + 48 + 64)

    assert weights + norms + 65 == 46609
    assert sum(p.numel() for p in domain_classifier().parameters()) == 46609


def test_auc_counts_pairs_and_half_of_ties() -> None:
    # Pairs: 3>1, 3>2, 2>1 won, 2=2 half: 3.5 of 4.
    assert auc([3, 2], [1, 2]) == pytest.approx(0.875)
    assert auc([1, 2], [3, 2]) == pytest.approx(0.125)
    assert auc([1, 1], [1]) == pytest.approx(0.5)


def test_auc_equals_the_share_of_pairs_on_random_scores_with_ties() -> None:
    rng = np.random.default_rng(0)
    real, simulated = rng.integers(2, 12, 40), rng.integers(0, 10, 30)
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in real for b in simulated]

    assert auc(real, simulated) == pytest.approx(np.mean(pairs))


def test_auc_without_scores_is_undefined() -> None:
    assert np.isnan(auc([], [1.0]))


def test_auc_interval_of_scenes_that_disagree_is_wide_and_of_equal_ones_a_point() -> None:
    won, lost, middle = np.full(5, 2.0), np.zeros(7), np.ones(6)

    # Resamples of two real scenes: both lost (1/4), one each, both won (1/4) -> from 0 to 1.
    assert auc_interval([won, lost], [middle, middle], np.random.default_rng(0)) == (0, 1)
    assert auc_interval([won, won], [middle, middle], np.random.default_rng(0)) == (1, 1)


def test_auc_interval_of_one_scene_is_undefined() -> None:
    assert auc_interval([np.ones(3)], [np.ones(3), np.ones(3)], np.random.default_rng(0)) is None


@pytest.mark.parametrize("seed", range(5))
def test_split_shares_no_scene_and_leaves_none_out(seed: int) -> None:
    real, simulated = [f"r{k}" for k in range(14)] * 3, [f"s{k}" for k in range(10)]
    split = split_scenes(real, simulated, seed)

    assert not set(split.train_real) & set(split.test_real)
    assert not set(split.train_simulated) & set(split.test_simulated)
    assert {*split.train_real, *split.test_real} == set(real)
    # 70 % of 14 is 9.8, of 10 is 7.
    assert (len(split.train_real), len(split.train_simulated)) == (10, 7)


def test_split_depends_on_the_seed_alone() -> None:
    scenes = [f"{k}" for k in range(14)]

    assert split_scenes(scenes, scenes, 3) == split_scenes(scenes[::-1], scenes, 3)
    assert split_scenes(scenes, scenes, 3) != split_scenes(scenes, scenes, 4)


def test_split_of_one_scene_is_refused() -> None:
    with pytest.raises(SeepError, match="two simulated scenes"):
        split_scenes(["a", "b"], ["c", "c"], 0)


def test_training_twice_by_one_seed_gives_the_same_weights_and_leaves_the_global_generator() -> None:
    real, simulated = domain(1.0, seed=0, n_scenes=2).images, domain(0.9, seed=1, n_scenes=2).images
    before = torch.get_rng_state()
    first, first_losses = train_classifier(real, simulated, seed=5, n_epochs=2)
    second, second_losses = train_classifier(real, simulated, seed=5, n_epochs=2)
    other, _ = train_classifier(real, simulated, seed=6, n_epochs=2)

    assert first_losses == second_losses
    assert len(first_losses) == 2
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(first[0].weight, other[0].weight)
    assert torch.equal(before, torch.get_rng_state())


def test_domains_of_different_noise_are_told_apart() -> None:
    (result,) = compare_domains(domain(1.0, seed=0), domain(0.3, seed=1), seeds=[0], n_epochs=6)

    assert result.auc > 0.97
    assert result.losses[-1] < result.losses[0]
    assert set(result.real_scores) == {n for n in domain(1, seed=0).names if n[:6] in result.split.test_real}


def test_domains_of_the_same_noise_are_not_told_apart() -> None:
    results = compare_domains(domain(1.0, seed=0), domain(1.0, seed=1), seeds=[0, 1, 2], n_epochs=4)

    # 16 + 16 test tiles a split: the AUC of chance scatters by .1, the mean of three by .06.
    assert np.mean([result.auc for result in results]) == pytest.approx(0.5, abs=0.2)


def test_domains_of_unequal_number_weigh_the_same() -> None:
    (result,) = compare_domains(domain(1.0, seed=0, n_tiles=16), domain(1.0, seed=1, n_tiles=2), seeds=[0], n_epochs=2)

    # Without weights the loss would fall towards that of the share 8/9: .35; with them chance stays at log 2 = .69.
    assert result.losses[-1] == pytest.approx(np.log(2), abs=0.2)


def test_domains_of_different_size_are_refused() -> None:
    with pytest.raises(SeepError, match="32 x 32 and 64 x 64"):
        compare_domains(domain(1, seed=0), domain(1, seed=0, size=64), seeds=[0], n_epochs=1)


def test_load_normalises_by_the_scene_and_marks_no_data(tmp_path: Path) -> None:
    dn = np.full((32, 32), 20000, np.uint16)
    dn[:, :4] = 0
    dn[0, 10:13] = (65535, 10, 10000)
    write_tiff(tmp_path / "000001.000001.tif", dn)
    write_tiff(tmp_path / "000002.000001.tif", np.full((32, 32), 500, np.uint16))
    tiles = load_domain(tmp_path)

    # Levels 20000 and 500; no-data 0; 10 / 20000 is clipped at -2, so it is not known, nor is the highest DN.
    assert tiles.scenes == ("000001", "000002")
    np.testing.assert_allclose(
        tiles.images[0, 0, [0, 5, 10, 11, 12]], [0, 0, np.log(65535 / 2e4), -2, np.log(0.5)], atol=2e-3
    )
    assert not tiles.images[1].any()
    assert tiles.known[0, 0, [0, 5, 10, 11, 12]].tolist() == [False, True, False, False, True]
    assert tiles.no_data_share.tolist() == [0.125, 0]
    assert tiles.saturated_share[0] == pytest.approx(2 / (28 * 32))


def test_load_leaves_out_tiles_that_are_mostly_no_data(tmp_path: Path) -> None:
    for index, n_empty in enumerate((16, 17, 32)):
        dn = np.full((32, 32), 9, np.uint16)
        dn[:n_empty] = 0
        write_tiff(tmp_path / f"000001.{index:06d}.tif", dn)
    tiles = load_domain(tmp_path)

    assert tiles.names == ("000001.000000",)
    assert tiles.n_left_out == 2


def test_load_takes_the_images_of_a_data_set(tmp_path: Path) -> None:
    write_tiles(tmp_path / "train_images_256", 9, seed=0)

    assert len(load_domain(tmp_path)) == 9


@pytest.mark.parametrize("shape", [(32, 48), (40, 40)])
def test_load_of_other_shapes_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    write_tiff(tmp_path / "000001.000001.tif", np.ones(shape, np.uint16))

    with pytest.raises(SeepError, match=f"{shape[0]} x {shape[1]}"):
        load_domain(tmp_path)


def test_load_of_sizes_that_differ_is_refused(tmp_path: Path) -> None:
    for scene, size in (("000001", 32), ("000002", 64)):
        write_tiff(tmp_path / f"{scene}.000001.tif", np.ones((size, size), np.uint16))

    with pytest.raises(SeepError, match="32 x 32, 64 x 64"):
        load_domain(tmp_path)


def test_control_is_plain_coded_speckle() -> None:
    like = domain(1.0, seed=0, n_scenes=2, n_tiles=3, size=128)
    control = control_domain(like, np.random.default_rng(0))
    ratio = np.exp(control.images.astype(float))

    assert control.images.shape == like.images.shape
    assert len(set(control.scenes)) == 2
    # The amplitude of nine looks varies by about 1 / (2 sqrt 9) = .167.
    assert ratio.std() / ratio.mean() == pytest.approx(0.167, abs=0.004)
    # Steps of 2.3 / 200 medians.
    values = np.unique(ratio[0])
    assert np.median(np.diff(values)) == pytest.approx(2.3 / 200, rel=0.05)
    assert len(np.unique(control.images[0])) <= 200


def test_block_means_skip_what_is_not_known() -> None:
    image = np.array([[1.0, 3, 7, 7], [5, 9, 7, 7]])
    known = np.array([[True, True, False, False], [True, False, False, False]])

    # (1 + 3 + 5) / 3, and the mean of all that is known, also 3, where nothing is.
    np.testing.assert_allclose(block_means(image, known, 2), [[3, 3]])


def test_views_low_and_high_add_up() -> None:
    tiles = domain(0.5, seed=0, n_scenes=2, n_tiles=2)
    low, high = viewed(tiles, "low").images.astype(float), viewed(tiles, "high").images.astype(float)

    np.testing.assert_allclose(low + high, tiles.images, atol=2e-3)
    assert low[0, :8, :8].std() == 0
    assert low[0, 0, 0] == pytest.approx(tiles.images[0, :8, :8].astype(float).mean(), abs=1e-3)
    assert viewed(tiles, "full") is tiles


def test_views_neutralise_what_is_not_known() -> None:
    tiles = domain(0.5, seed=0, n_scenes=2, n_tiles=2)
    tiles.images[0, 3, 3] = 2
    tiles.known[0, 3, 3] = False
    tiles.no_data_share[1] = 0.2
    high = viewed(tiles, "high")

    assert high.images[0, 3, 3] == 0
    assert high.names == (tiles.names[0], *tiles.names[2:])
    assert tiles.images[0, 3, 3] == 2


def test_lag_correlation_of_alternating_rows_is_minus_one_down_and_plus_one_at_two() -> None:
    image = np.tile(np.array([[1.0], [-1.0]]), (8, 16))
    known = np.ones_like(image, bool)

    assert lag_correlation(image, known, rows=1, columns=0) == pytest.approx(-1)
    assert lag_correlation(image, known, rows=2, columns=0) == pytest.approx(1)
    assert lag_correlation(image, known, rows=0, columns=1) == pytest.approx(1)
    assert np.isnan(lag_correlation(np.zeros((4, 4)), np.ones((4, 4), bool), rows=0, columns=1))


def test_lag_correlation_equals_numpy_on_known_pairs() -> None:
    rng = np.random.default_rng(0)
    image, known = rng.normal(size=(20, 20)), rng.random((20, 20)) > 0.3
    pairs = [(image[r, c], image[r, c + 1]) for r in range(20) for c in range(19) if known[r, c] and known[r, c + 1]]

    assert lag_correlation(image, known, rows=0, columns=1) == pytest.approx(np.corrcoef(np.array(pairs).T)[0, 1])


def test_band_shares_of_white_noise_are_the_areas_of_the_rings() -> None:
    image = np.random.default_rng(0).standard_normal((256, 256))
    areas = np.diff([0, *(np.pi * f**2 for f in (1 / 32, 1 / 8, 1 / 4)), 1])

    np.testing.assert_allclose(band_shares(image), areas, atol=0.006)


def test_band_shares_of_a_wave_of_six_px_lie_in_the_swell() -> None:
    wave = np.sin(2 * np.pi * np.arange(96) / 6)[None].repeat(96, axis=0)

    assert band_shares(wave)[2] > 0.99


def test_statistics_of_white_noise() -> None:
    values = {name: v[0] for name, v in tile_statistics(domain(0.2, seed=0, n_tiles=1, size=256)).items()}

    assert set(values) == set(STATISTICS)
    assert values["std"] == pytest.approx(0.2, rel=0.02)
    for name in ("mean", "skewness", "kurtosis", "lag1_across", "lag1_down", "lag2_down", "trend_across"):
        assert values[name] == pytest.approx(0, abs=0.05)
    # Linear: exp of a normal of deviation s has a CV of sqrt(exp(s^2) - 1) = .202; over 64 and 4096 px .0253, .0032.
    assert values["block8_cv"] == pytest.approx(0.0253, rel=0.1)
    assert values["quarter_cv"] == pytest.approx(0.0032, rel=0.5)
    assert values["rows_roughness"] == pytest.approx(1, abs=0.2)
    # Quantiles of the normal at .1 and 99.9 %.
    assert values["p999"] == pytest.approx(3.09, abs=0.2)


def test_statistics_of_a_tile_without_variation_are_undefined_or_zero() -> None:
    flat = tile_statistics(domain(0.0, seed=0, n_tiles=1))

    assert np.isnan(flat["lag1_across"]).all()
    assert flat["std"].tolist() == [0] * 6


def test_compare_statistics_puts_the_one_that_differs_first() -> None:
    real, simulated = domain(0.2, seed=0), domain(0.2, seed=1)
    real.saturated_share[:] = 0.1
    real = DomainTiles(real.names, real.scenes, real.images, real.known, np.zeros(48), np.full(48, 0.1))
    rows = compare_statistics(real, simulated)

    assert (rows[0].name, rows[0].auc, rows[0].real_median, rows[0].simulated_median) == ("saturated_share", 1, 0.1, 0)
    assert {row.name for row in rows} == set(STATISTICS)


def test_logistic_weights_of_one_telling_column_point_along_it() -> None:
    rng = np.random.default_rng(0)
    real, simulated = rng.normal(size=(200, 3)), rng.normal(size=(50, 3))
    real[:, 1] += 2

    weights = logistic_weights(real, simulated)
    assert weights[1] > 1
    assert np.abs(weights[[0, 2]]).max() < 0.4
    # Which domain is called real only turns the sign.
    np.testing.assert_allclose(logistic_weights(simulated, real), -weights, atol=1e-3)


def test_joint_statistics_tell_different_noise_and_not_the_same() -> None:
    different = joint_statistics(domain(1.0, seed=0), domain(0.5, seed=1), range(2))
    same = joint_statistics(domain(1.0, seed=0), domain(1.0, seed=1), range(10))

    assert different.auc > 0.99
    assert len(different.aucs) == 2
    assert next(iter(different.weights.values())) == max(different.weights.values(), key=abs)
    assert same.auc == pytest.approx(0.5, abs=0.2)


def test_joint_statistics_of_undefined_tiles_do_not_tell_the_domain() -> None:
    real, simulated = domain(1.0, seed=0), domain(0.5, seed=1)
    for tiles in (real, simulated):
        # Seven of the eight tiles of each scene have no known pixel.
        tiles.known[np.arange(len(tiles)) % 8 > 0] = False

    # Two test scenes each: 14 * 14 pairs of undefined tiles are ties, of the other 60 pairs all are won:
    # (196 / 2 + 60) / 256 = .617. With the median of the own domain all 256 are won.
    assert joint_statistics(real, simulated, range(3)).auc == pytest.approx(0.617, abs=0.03)


def test_classify_domains_writes_three_files_that_agree(tmp_path: Path) -> None:
    real, simulated = write_tiles(tmp_path / "real", 9, seed=0), write_tiles(tmp_path / "sim", 3, seed=1)
    settings = ComparisonSettings(n_epochs=1, n_splits=2, views=("full", "high"), control=True)
    text = classify_domains(real, simulated, tmp_path / "out", settings)
    record = json.loads((tmp_path / "out" / "domains.json").read_text())

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["domains.json", "domains.md", "domains.png"]
    assert (tmp_path / "out" / "domains.md").read_text() == text
    assert list(record["views"]) == ["full", "high"]
    assert [split["seed"] for split in record["views"]["full"]["splits"]] == [0, 1]
    assert len(record["views"]["full"]["splits"][0]["losses"]) == 1
    assert len(record["control"]["splits"]) == 1
    assert record["real"] == {"n_tiles": 9, "n_scenes": 3, "n_left_out": 0, "tile_px": 32}
    assert f"| full view | {record['views']['full']['auc']:.3f} |" in text


def test_classify_domains_of_one_folder_twice_writes_nothing(tmp_path: Path) -> None:
    real = write_tiles(tmp_path / "real", 9, seed=0)

    with pytest.raises(SeepError, match="one twice"):
        classify_domains(real, real, tmp_path / "out", ComparisonSettings())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong", [{"n_epochs": 0}, {"n_splits": 0}, {"seed": -1}, {"views": ("low",)}, {"views": ("full", "full")}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SeepError, match=next(iter(wrong))):
        ComparisonSettings(**wrong)  # type: ignore[arg-type]


def test_script_with_a_missing_folder_says_so_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiles(tmp_path / "real", 9, seed=0)
    folders = [str(tmp_path / name) for name in ("real", "none", "out")]
    monkeypatch.setattr(sys, "argv", ["classify_domains.py", *folders[:2], "--output_dir", folders[2]])

    with pytest.raises(SystemExit, match="none: expected a folder"):
        runpy.run_path(str(ROOT / "scripts" / "classify_domains.py"), run_name="__main__")
    assert not (tmp_path / "out").exists()
